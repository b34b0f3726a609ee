//! How sealing and opening fail.

use std::error::Error;

use cofferdam_envelope::EnvelopeError;

/// A cryptographic operation was refused. Says which, never why in terms of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The provider has no such algorithm.
    #[error("algorithm {alg:#06x} is not supported by {provider}")]
    Unsupported {
        /// Its number in its registry.
        alg: u16,
        /// The provider.
        provider: &'static str,
    },
    /// A public key is not one: wrong length, coefficients out of range, or a point of low order.
    #[error("public key is not valid")]
    PublicKey,
    /// A private key has the wrong length.
    #[error("private key is not valid")]
    PrivateKey,
    /// A ciphertext is not authentic, or not one at all.
    #[error("ciphertext is not authentic")]
    Open,
    /// More was asked of an algorithm than it gives (output length, message length).
    #[error("limit of the algorithm was exceeded")]
    Limit,
    /// The source of randomness does not answer.
    #[error("no randomness available")]
    Randomness,
    /// The provider failed for a reason it does not tell.
    #[error("cryptographic provider failed: {0}")]
    Provider(&'static str),
}

/// An object cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The recipients are not a tenant, a recovery key and at most 254 others.
    #[error("recipients are not complete: {0}")]
    Recipients(&'static str),
    /// The head does not fit its limits: too much metadata or context, or text that is not allowed there.
    #[error("head of the sealed object is not possible")]
    Envelope(#[source] EnvelopeError),
    /// The private metadata cannot be written.
    #[error("private metadata cannot be written")]
    Metadata(#[source] serde_json::Error),
    /// An algorithm refused.
    #[error("sealing failed")]
    Crypto(#[source] CryptoError),
    /// The signer does not sign. It may later.
    #[error("signing failed")]
    Sign(#[source] SignError),
    /// An earlier call on this sealer failed, so that what it gave out is incomplete.
    #[error("sealer is spent: an earlier call failed")]
    Spent,
}

impl From<EnvelopeError> for SealError {
    fn from(source: EnvelopeError) -> Self {
        Self::Envelope(source)
    }
}
impl From<CryptoError> for SealError {
    fn from(source: CryptoError) -> Self {
        Self::Crypto(source)
    }
}
impl From<SignError> for SealError {
    fn from(source: SignError) -> Self {
        Self::Sign(source)
    }
}

/// A signer does not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key is there, but the algorithm refused.
    #[error("signature was not made")]
    Crypto(#[source] CryptoError),
    /// The service that keeps the key does not answer; try again.
    #[error("signing service does not answer")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl From<CryptoError> for SignError {
    fn from(source: CryptoError) -> Self {
        Self::Crypto(source)
    }
}

/// Why a signature is not trusted (step 2 of opening). Nothing here depends on a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// The directory does not know the signer, or its certificate does not hold.
    #[error("signer is not in the directory")]
    UnknownSigner,
    /// The directory's key for this id is another key or of another algorithm.
    #[error("signer's key has another algorithm or id")]
    KeyMismatch,
    /// The signature is detached and was not given.
    #[error("detached signature is missing")]
    Missing,
    /// The signature does not verify.
    #[error("signature does not verify")]
    Signature,
}

/// What the caller's policy does not allow (steps 1 and 3 of opening). Nothing here depends on a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The suite is not on the caller's list.
    #[error("suite {0:#06x} is not allowed")]
    Suite(u16),
    /// The signature algorithm is not on the caller's list.
    #[error("signature algorithm {0:#04x} is not allowed")]
    SignatureAlg(u8),
    /// Erasable objects need an erase token, which this version does not fetch.
    #[error("erasable objects are not supported")]
    Erasable,
    /// It belongs to another tenant.
    #[error("object belongs to another tenant")]
    Tenant,
    /// It is another object.
    #[error("object has another id")]
    Object,
}

/// Why an object cannot be opened (steps 4 to 7). For the audit log only: to the outside all of them are one error, so that nobody learns
/// from trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenReason {
    /// No stanza is for a key we hold (in a role and algorithm the caller allows).
    NoStanza,
    /// The encapsulated key is malformed.
    Encapsulation,
    /// The wrapped data key is not authentic: another key, another object, another role, or changed.
    Stanza,
    /// The recipients' MAC differs.
    RecipientsMac,
    /// The payload's key commitment differs.
    Commitment,
    /// The private metadata is not authentic or not readable.
    Metadata,
    /// A chunk is not authentic.
    Chunk,
    /// The payload ends before the length that was signed.
    Truncated,
    /// The payload goes on after the length that was signed.
    Trailing,
}

impl OpenReason {
    /// A word for the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            OpenReason::NoStanza => "no-stanza",
            OpenReason::Encapsulation => "encapsulation",
            OpenReason::Stanza => "stanza",
            OpenReason::RecipientsMac => "recipients-mac",
            OpenReason::Commitment => "commitment",
            OpenReason::Metadata => "metadata",
            OpenReason::Chunk => "chunk",
            OpenReason::Truncated => "truncated",
            OpenReason::Trailing => "trailing",
        }
    }
}

/// A sealed object does not open. The variants follow the order of opening.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Step 1: these bytes are not a head, or not one this version reads.
    #[error("not a readable sealed object")]
    Envelope(#[source] EnvelopeError),
    /// Steps 1 and 3: the caller's policy does not allow it.
    #[error("sealed object is refused")]
    Refused(#[source] Refused),
    /// Step 2: not signed by somebody we trust.
    #[error("sealed object is not trusted")]
    Untrusted(#[source] Untrusted),
    /// Steps 4 to 7. One error to the outside; [`OpenError::audit`] has the reason.
    #[error("sealed object cannot be opened")]
    CannotOpen(OpenReason),
    /// Step 8: every chunk was authentic, but the payload is not the one that was signed. Whatever was released before this must not be used.
    #[error("payload is not the one that was signed")]
    PayloadChanged,
    /// The service that unwraps does not answer; try again.
    #[error("key service does not answer")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The range does not lie within the plaintext.
    #[error("range does not lie within the document")]
    Range(#[source] EnvelopeError),
    /// Our side failed, not the object.
    #[error("opening failed")]
    Crypto(#[source] CryptoError),
}

impl OpenError {
    /// A word for the audit log, never for the caller.
    pub fn audit(&self) -> &'static str {
        match self {
            OpenError::Envelope(_) => "envelope",
            OpenError::Refused(Refused::Tenant) => "other-tenant",
            OpenError::Refused(Refused::Object) => "other-object",
            OpenError::Refused(_) => "refused",
            OpenError::Untrusted(_) => "untrusted",
            OpenError::CannotOpen(reason) => reason.as_str(),
            OpenError::PayloadChanged => "payload-root",
            OpenError::Unavailable(_) => "unavailable",
            OpenError::Range(_) => "range",
            OpenError::Crypto(_) => "internal",
        }
    }
}

impl From<OpenReason> for OpenError {
    fn from(reason: OpenReason) -> Self {
        Self::CannotOpen(reason)
    }
}
impl From<Untrusted> for OpenError {
    fn from(source: Untrusted) -> Self {
        Self::Untrusted(source)
    }
}
impl From<Refused> for OpenError {
    fn from(source: Refused) -> Self {
        Self::Refused(source)
    }
}
