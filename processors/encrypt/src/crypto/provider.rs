//! What a provider of algorithms gives. Plain and synchronous: bytes in, bytes out, no clock. What takes long may be called from a blocking
//! thread.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::aws_lc::AwsLc;
use super::kem::Kem;
use super::rust_crypto::RustCrypto;
use crate::error::CryptoError;

/// Length of an AES-256 key in bytes.
pub const AEAD_KEY_LEN: usize = 32;
/// Length of a GCM nonce in bytes.
pub const AEAD_NONCE_LEN: usize = 12;
/// Length of a KEM's shared secret in bytes.
pub const SHARED_SECRET_LEN: usize = 32;

/// A KEM's shared secret. Zeroed when dropped.
pub type SharedSecret = Zeroizing<[u8; SHARED_SECRET_LEN]>;

/// Which implementation computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// The RustCrypto crates: portable, pure Rust.
    RustCrypto,
    /// aws-lc-rs: assembler, several times faster where it counts. The default: it is in every build anyway, for TLS.
    #[default]
    AwsLc,
}

impl ProviderKind {
    /// All providers.
    pub const ALL: [ProviderKind; 2] = [ProviderKind::RustCrypto, ProviderKind::AwsLc];

    /// Its name in configuration and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            ProviderKind::RustCrypto => "rust-crypto",
            ProviderKind::AwsLc => "aws-lc",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The provider of a kind.
pub fn provider(kind: ProviderKind) -> Arc<dyn Provider> {
    match kind {
        ProviderKind::RustCrypto => Arc::new(RustCrypto),
        ProviderKind::AwsLc => Arc::new(AwsLc),
    }
}

/// Where the randomness of an encapsulation comes from.
#[derive(Clone, Copy)]
pub enum Coins<'a> {
    /// Drawn by the provider.
    Fresh,
    /// Given, [`Kem::coins_len`] bytes, uniformly random or derived from something that is. Used for the recovery stanza, whose coins come from the data
    /// key so that they can be proved, and for test vectors. Never twice for different recipients of different secrets.
    Given(&'a [u8]),
}

/// What an encapsulation makes.
pub struct Encapsulated {
    /// Goes to the recipient.
    pub enc: Vec<u8>,
    /// Stays here.
    pub shared: SharedSecret,
}

/// A set of algorithms from one implementation.
pub trait Provider: Send + Sync + fmt::Debug + 'static {
    /// Which one it is.
    fn kind(&self) -> ProviderKind;

    /// Fills with bytes from a generator fit for keys.
    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError>;

    /// AES-256-GCM under one key.
    fn aes_256_gcm(&self, key: &[u8; AEAD_KEY_LEN]) -> Result<Arc<dyn Aead>, CryptoError>;

    /// HKDF-Expand with SHA-512. Fails beyond 16,320 bytes.
    fn hkdf_sha512_expand(&self, prk: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError>;

    /// HKDF-Extract with SHA-256.
    fn hkdf_sha256_extract(&self, salt: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]>;

    /// HKDF-Expand with SHA-256. Fails beyond 8,160 bytes.
    fn hkdf_sha256_expand(&self, prk: &[u8; 32], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError>;

    /// HMAC-SHA-256.
    fn hmac_sha256(&self, key: &[u8], message: &[u8]) -> [u8; 32];

    /// Makes a public key ready for use; keep it when it is used often. Fails if the key is not valid.
    fn encapsulator(&self, kem: Kem, public: &[u8]) -> Result<Arc<dyn Encapsulator>, CryptoError>;

    /// Makes a shared secret for a public key that is used once.
    fn encapsulate(&self, kem: Kem, public: &[u8], coins: Coins<'_>) -> Result<Encapsulated, CryptoError> {
        self.encapsulator(kem, public)?.encapsulate(coins)
    }

    /// Makes a private key ready for use; keep it when it is used often. `private` has [`Kem::private_len`] bytes (a seed).
    fn decapsulator(&self, kem: Kem, private: &[u8]) -> Result<Arc<dyn Decapsulator>, CryptoError>;
}

/// AES-256-GCM under one key, which is zeroed when it is dropped.
pub trait Aead: Send + Sync {
    /// Seals `plaintext` into `out`, which is exactly 16 bytes longer: ciphertext, then tag. Nothing is copied on the way.
    fn seal(
        &self,
        nonce: &[u8; AEAD_NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError>;

    /// Opens `sealed` into `out`, which is exactly 16 bytes shorter. When it fails, `out` holds zeros.
    fn open(&self, nonce: &[u8; AEAD_NONCE_LEN], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), CryptoError>;
}

/// A public key of a KEM.
pub trait Encapsulator: Send + Sync {
    /// Makes a shared secret.
    fn encapsulate(&self, coins: Coins<'_>) -> Result<Encapsulated, CryptoError>;
}

/// A private key of a KEM.
pub trait Decapsulator: Send + Sync {
    /// The public key.
    fn public(&self) -> &[u8];

    /// The shared secret of an encapsulation, [`Kem::enc_len`] bytes. A wrong or changed one is *not* an error (ML-KEM rejects implicitly and gives another
    /// secret), a malformed one is.
    fn decapsulate(&self, enc: &[u8]) -> Result<SharedSecret, CryptoError>;
}
