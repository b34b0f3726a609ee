//! The edges of the cryptography: who holds private keys, and who says which public keys count. Only these are asynchronous, because behind them may stand a
//! service.

use async_trait::async_trait;
use cofferdam_envelope::{Inclusion, SignatureAlg, Stanza};
use cofferdam_schemas::KeyId;

use crate::composite::VerifyKey;
use crate::error::{OpenError, SignError};
use crate::key::Dek;

/// Holds private keys of recipients, here or in a key service.
#[async_trait]
pub trait Unwrap: Send + Sync {
    /// Whether it holds the private key of this id. Must not ask a service.
    fn holds(&self, id: &KeyId) -> bool;

    /// Opens a stanza whose key it [holds](Self::holds); `header` is the header hash `H`, which the stanza is bound to. Anything wrong with the stanza is
    /// [`OpenError::CannotOpen`]; a service that does not answer is [`OpenError::Unavailable`]. With the private key at hand this is
    /// [`RecipientSecret::unwrap`](crate::key::RecipientSecret::unwrap); a key service that decapsulates finishes with
    /// [`hpke::unwrap_with_shared_secret`](crate::hpke::unwrap_with_shared_secret).
    async fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError>;
}

/// A signature over an object's statement, as it stands in the signature block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// How it was made.
    pub alg: SignatureAlg,
    /// The statement's place in a batch, if it was signed in one.
    pub inclusion: Option<Inclusion>,
    /// The signature itself: [`SignatureAlg::signature_len`] bytes.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Of a statement that was signed by itself.
    pub fn alone(alg: SignatureAlg, bytes: Vec<u8>) -> Self {
        Self {
            alg,
            inclusion: None,
            bytes,
        }
    }
}

/// Holds the private key of one signer, here or in a key service.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The id of its public key.
    fn key_id(&self) -> KeyId;

    /// How it signs.
    fn alg(&self) -> SignatureAlg;

    /// The epoch certificate that goes into the object, at most 60,000 bytes; empty when every reader's directory knows the key.
    fn certificate(&self) -> &[u8] {
        &[]
    }

    /// Signs a statement under the application context [`ORIGIN_CONTEXT`](cofferdam_envelope::label::ORIGIN_CONTEXT). The result has
    /// [`SignatureAlg::signature_len`] bytes.
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Signs a statement by itself or together with others, as suits the signer: for objects whose head is written last, because its length is not known before.
    async fn sign_any(&self, statement: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::alone(self.alg(), self.sign(statement).await?))
    }
}

/// The signers that are trusted. A key is never taken from the object itself.
pub trait Directory: Send + Sync {
    /// The key of a trusted signer; `None` if it is not trusted.
    fn verifier(&self, signer: &KeyId) -> Option<VerifyKey>;

    /// The key of a signer whose object carries a certificate and was sealed at this time (Unix milliseconds). The certificate is not covered by the object's
    /// signature, so that a directory which does not check it must not trust the object: the default.
    fn verifier_certified(&self, signer: &KeyId, certificate: &[u8], sealed_at: u64) -> Option<VerifyKey> {
        let _ = (signer, certificate, sealed_at);
        None
    }
}
