//! The cryptography of sealing and opening: the algorithms behind one [`Provider`] trait, and every public type around them.
//!
//! | What | RustCrypto (default) | aws-lc-rs |
//! |---|---|---|
//! | AES-256-GCM, HKDF, HMAC, randomness | `aes-gcm`, `hkdf`, `hmac`, system | aws-lc |
//! | MLKEM768-X25519 | `x-wing` over `ml-kem` | aws-lc ML-KEM-768 and X25519, recombined with SHA3-256 |
//! | ML-KEM-768 with given coins, key expansion from the seed | `ml-kem` | `ml-kem` (aws-lc-rs takes neither coins nor seeds) |
//! | composite and ML-DSA-65 signatures | `ml-dsa`, `ed25519-dalek` | the same: ML-DSA in aws-lc-rs has no context string, which the composite needs |
//! | BLAKE3, SHA-256 of headers | `blake3`, `sha2` | the same |
//!
//! Both write the same format and open each other's objects; the tests run the same vectors on both.

mod aws_lc;
mod kem;
mod provider;
mod rust_crypto;

pub use self::kem::Kem;
pub use self::provider::{
    AEAD_KEY_LEN, AEAD_NONCE_LEN, Aead, Coins, Decapsulator, Encapsulated, Encapsulator, Provider, ProviderKind,
    SHARED_SECRET_LEN, SharedSecret, provider,
};
pub(crate) use self::rust_crypto::validate_public_key;

pub use crate::batch::{BatchSigner, sign_together};
pub use crate::composite::{CompositeSigner, VerifyKey};
pub use crate::error::{CryptoError, OpenError, OpenReason, Refused, SealError, SignError, Untrusted};
pub use crate::escrow::escrow_proof;
pub use crate::key::{DEK_LEN, Dek, RecipientKey, RecipientSecret, key_id, tenant_id};
pub use crate::metadata::PrivateMetadata;
pub use crate::open::{OpenPolicy, OpenRequest, Opener, VerifiedHead};
pub use crate::payload::{PayloadOpener, PayloadSealer, RangeOpener};
pub use crate::seal::{Entropy, SealRequest, SealSummary, Sealed, Sealer, Unsigned};
pub use crate::traits::{Directory, Signature, Signer, Unwrap};
pub use crate::workers::Workers;
pub use cofferdam_envelope::{Role, SignatureAlg, Stanza, StanzaAlg, Suite};
