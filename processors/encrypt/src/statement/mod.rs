//! Signing statements that travel outside: a DSSE envelope with two signatures, Ed25519 and ML-DSA-65.
//!
//! Both sign the same bytes ([`cofferdam_schemas::dsse::pae`]) in their plain form, ML-DSA with an empty context, so that ordinary DSSE tools verify the one they know. We want
//! both. The pair is a key of its own and not the ring's signing key: the halves of a composite key must not sign alone
//! (draft-ietf-lamps-pq-composite-sigs on reuse of component keys), and whoever signs a statement need not be able to open documents.

pub(crate) mod spki;
#[cfg(test)]
mod tests;

use std::fmt;

use cofferdam_envelope::SignatureAlg;
use cofferdam_schemas::KeyId;
use cofferdam_schemas::dsse::{DsseError, Envelope, Signature, pae};
use ed25519_dalek::Signer as _;
use ml_dsa::{KeyExport, MlDsa65};
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::composite::VerifyKey;
use crate::error::CryptoError;

/// Set before what the key's id is a hash of.
const KEY_LABEL: &[u8] = b"cofferdam statement key v1";

/// One of the two algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// RFC 8032.
    Ed25519,
    /// FIPS 204.
    MlDsa65,
}

impl Half {
    const ALL: [Half; 2] = [Half::Ed25519, Half::MlDsa65];

    /// Its name in key ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Half::Ed25519 => "ed25519",
            Half::MlDsa65 => "ml-dsa-65",
        }
    }
    /// Length of its signatures in bytes.
    fn signature_len(self) -> usize {
        match self {
            Half::Ed25519 => 64,
            Half::MlDsa65 => 3309,
        }
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an envelope does not hold under a key.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// It is not read.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// The payload is of another type.
    #[error("the payload is of type {found:?}, not {expected}")]
    PayloadType {
        /// What it says it is.
        found: String,
        /// What was wanted.
        expected: &'static str,
    },
    /// A signature of neither length, or said to be by another key.
    #[error("a signature is said to be by key {keyid:?} ({length} bytes), not by key {key}")]
    Unknown {
        /// Its key id, cut to 80 characters; empty without.
        keyid: String,
        /// Its length in bytes.
        length: usize,
        /// The key it was to be by.
        key: KeyId,
    },
    /// One algorithm signed twice.
    #[error("there are two {0} signatures")]
    Twice(Half),
    /// One of the two is not there.
    #[error("there is no {0} signature")]
    Missing(Half),
    /// The signature is not over these bytes by this key.
    #[error("the {0} signature does not hold: the statement was changed, or another key signed it")]
    Wrong(Half),
}

/// A private key. Both halves are zeroed when dropped.
pub struct StatementSigner {
    ed25519: ed25519_dalek::SigningKey,
    ml_dsa: ml_dsa::SigningKey<MlDsa65>,
    key: StatementKey,
}

impl StatementSigner {
    /// From the two 32-byte seeds.
    ///
    /// # Errors
    /// When a seed makes no usable key, which random ones do not.
    pub fn from_seeds(ed25519: &[u8; 32], ml_dsa_65: &[u8; 32]) -> Result<Self, CryptoError> {
        let mut seed = ml_dsa::Seed::from(*ml_dsa_65);
        let ml_dsa = ml_dsa::SigningKey::<MlDsa65>::from_seed(&seed);
        seed.zeroize();
        let ed25519 = ed25519_dalek::SigningKey::from_bytes(ed25519);
        let public = ml_dsa::Keypair::verifying_key(&ml_dsa).to_bytes();
        let key = StatementKey::new(ed25519.verifying_key().as_bytes(), public.as_slice())?;
        Ok(Self { ed25519, ml_dsa, key })
    }

    /// The key that verifies.
    pub fn key(&self) -> &StatementKey {
        &self.key
    }

    /// Puts a payload into a signed envelope. Takes about a millisecond, and memory for the payload three times.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn sign(&self, payload_type: &str, payload: &[u8]) -> Result<Envelope, CryptoError> {
        let message = pae(payload_type, payload);
        let failed = |_| CryptoError::Provider("ml-dsa-65 signature");
        // Hedged: fresh randomness protects the key against faults, and makes no difference to whoever verifies.
        let expanded = self.ml_dsa.expanded_key();
        let second = expanded
            .sign_randomized(&message, b"", &mut SysRng)
            .map_err(failed)?
            .encode();
        let first = self.ed25519.sign(&message).to_bytes();
        let signature = |half, bytes: &[u8]| Signature::new(self.key.signature_id(half), bytes);
        let signatures = vec![
            signature(Half::Ed25519, &first),
            signature(Half::MlDsa65, second.as_slice()),
        ];
        Ok(Envelope::new(payload_type, payload, signatures))
    }
}

impl fmt::Debug for StatementSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementSigner")
            .field("id", &self.key.id)
            .finish_non_exhaustive()
    }
}

/// A public key: both halves.
#[derive(Debug, Clone)]
pub struct StatementKey {
    id: KeyId,
    ed25519: ed25519_dalek::VerifyingKey,
    ml_dsa: VerifyKey,
}

impl StatementKey {
    /// From the two public keys, 32 and 1,952 bytes.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`] when one is no key, or so weak that it verifies what nobody signed.
    pub fn new(ed25519: &[u8], ml_dsa_65: &[u8]) -> Result<Self, CryptoError> {
        let bytes = ed25519.try_into().map_err(|_| CryptoError::PublicKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| CryptoError::PublicKey)?;
        if key.is_weak() {
            return Err(CryptoError::PublicKey);
        }
        let ml_dsa = VerifyKey::new(SignatureAlg::MlDsa65, ml_dsa_65)?;
        let hash = Sha256::new()
            .chain_update(KEY_LABEL)
            .chain_update(ed25519)
            .chain_update(ml_dsa_65)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Ok(Self {
            id: KeyId(id),
            ed25519: key,
            ml_dsa,
        })
    }

    /// Its id: a hash of both public keys.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// One half's public key: 32 or 1,952 bytes.
    pub fn public(&self, half: Half) -> &[u8] {
        match half {
            Half::Ed25519 => self.ed25519.as_bytes(),
            Half::MlDsa65 => self.ml_dsa.public(),
        }
    }

    fn signature_id(&self, half: Half) -> String {
        format!("{}/{half}", self.id)
    }

    /// The payload of an envelope that this key signed, with both halves. A signature by anybody else is refused, not passed over: what the reader does not know it does not
    /// take for checked.
    ///
    /// # Errors
    /// The first reason why it does not hold.
    pub fn open(&self, envelope: &Envelope, payload_type: &'static str) -> Result<Vec<u8>, StatementError> {
        if envelope.payload_type != payload_type {
            return Err(StatementError::PayloadType {
                found: envelope.payload_type.chars().take(80).collect(),
                expected: payload_type,
            });
        }
        let mut found: [Option<Vec<u8>>; 2] = [None, None];
        for signature in &envelope.signatures {
            let bytes = signature.bytes()?;
            let keyid = signature.keyid.as_deref();
            let half = Half::ALL.into_iter().find(|half| half.signature_len() == bytes.len());
            // An id is a hint and may be missing; one that names another key tells at once what is wrong.
            let half = half.filter(|half| keyid.is_none_or(|id| id == self.signature_id(*half)));
            let half = half.ok_or_else(|| StatementError::Unknown {
                keyid: keyid.unwrap_or_default().chars().take(80).collect(),
                length: bytes.len(),
                key: self.id,
            })?;
            if found[half as usize].replace(bytes).is_some() {
                return Err(StatementError::Twice(half));
            }
        }
        let payload = envelope.payload()?;
        let message = pae(payload_type, &payload);
        for half in Half::ALL {
            let signature = found[half as usize].as_deref().ok_or(StatementError::Missing(half))?;
            if !self.holds(half, &message, signature) {
                return Err(StatementError::Wrong(half));
            }
        }
        Ok(payload)
    }

    fn holds(&self, half: Half, message: &[u8], signature: &[u8]) -> bool {
        match half {
            Half::Ed25519 => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| self.ed25519.verify_strict(message, &signature).is_ok()),
            Half::MlDsa65 => self.ml_dsa.verify(b"", message, signature),
        }
    }
}
