//! Signatures: the composite of ML-DSA-65 and Ed25519, and ML-DSA-65 alone.
//!
//! Composite as in draft-ietf-lamps-pq-composite-sigs-19, id-MLDSA65-Ed25519-SHA512: both halves sign
//! `"CompositeAlgorithmSignatures2025" ‖ "COMPSIG-MLDSA65-Ed25519-SHA512" ‖ len(ctx) ‖ ctx ‖ SHA-512(message)`, ML-DSA with the label as its own context, and both
//! have to verify. Signing and verifying is done by RustCrypto whatever the provider: aws-lc-rs gives ML-DSA no context.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_envelope::label::{self, BATCH_CONTEXT, ORIGIN_CONTEXT};
use cofferdam_envelope::{Inclusion, SignatureAlg};
use cofferdam_schemas::KeyId;
use ed25519_dalek::Signer as _;
use ml_dsa::{EncodedVerifyingKey, KeyExport, MlDsa65};
use rand::rngs::SysRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroize;

use crate::error::{CryptoError, SignError};
use crate::key::key_id;
use crate::merkle;
use crate::traits::Signer;

const PREFIX: &[u8; 32] = b"CompositeAlgorithmSignatures2025";
const LABEL: &[u8; 30] = b"COMPSIG-MLDSA65-Ed25519-SHA512";
/// Length of an ML-DSA-65 public key in bytes.
const ML_DSA_PUBLIC_LEN: usize = 1952;
/// Length of an ML-DSA-65 signature in bytes.
const ML_DSA_SIGNATURE_LEN: usize = 3309;

/// What both halves sign. Fails for a context above 255 bytes.
fn representative(context: &[u8], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let len = u8::try_from(context.len()).map_err(|_| CryptoError::Limit)?;
    Ok([&PREFIX[..], LABEL, &[len], context, &Sha512::digest(message)].concat())
}

/// Signs with a composite key in memory. Both halves are zeroed when dropped.
pub struct CompositeSigner {
    ml_dsa: ml_dsa::SigningKey<MlDsa65>,
    ed25519: ed25519_dalek::SigningKey,
    public: Vec<u8>,
    id: KeyId,
    hedged: bool,
}

impl CompositeSigner {
    /// From the two 32-byte seeds. ML-DSA signatures are hedged: fresh randomness goes into each, which protects the key against faults.
    pub fn from_seeds(ml_dsa_65: &[u8; 32], ed25519: &[u8; 32]) -> Self {
        let mut seed = ml_dsa::Seed::from(*ml_dsa_65);
        let ml_dsa = ml_dsa::SigningKey::<MlDsa65>::from_seed(&seed);
        seed.zeroize();
        let ed25519 = ed25519_dalek::SigningKey::from_bytes(ed25519);
        let verifying = ml_dsa::Keypair::verifying_key(&ml_dsa);
        let public = [verifying.to_bytes().as_slice(), ed25519.verifying_key().as_bytes()].concat();
        let id = key_id(SignatureAlg::MlDsa65Ed25519.key_id_alg(), &public);
        Self {
            ml_dsa,
            ed25519,
            public,
            id,
            hedged: true,
        }
    }

    /// The same key without hedging: one message has one signature. For test vectors.
    pub fn deterministic(self) -> Self {
        Self { hedged: false, ..self }
    }

    /// The public key: ML-DSA-65 (1,952 bytes), then Ed25519 (32 bytes).
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The key that verifies.
    pub fn verify_key(&self) -> VerifyKey {
        let half = Ed25519Half::Key(self.ed25519.verifying_key());
        VerifyKey::from_parts(
            SignatureAlg::MlDsa65Ed25519,
            &self.public,
            ml_dsa::Keypair::verifying_key(&self.ml_dsa),
            half,
        )
    }

    /// Signs under an application context of at most 255 bytes. Takes about 0.7 ms, now and then several times that.
    pub fn sign_with_context(&self, context: &[u8], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let message = representative(context, message)?;
        let failed = |_| CryptoError::Provider("ml-dsa-65 signature");
        let key = self.ml_dsa.expanded_key();
        let first = if self.hedged {
            key.sign_randomized(&message, LABEL, &mut SysRng).map_err(failed)?
        } else {
            key.sign_deterministic(&message, LABEL).map_err(failed)?
        };
        let second = self.ed25519.sign(&message);
        Ok([first.encode().as_slice(), &second.to_bytes()].concat())
    }
}

impl fmt::Debug for CompositeSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompositeSigner")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Signer for CompositeSigner {
    fn key_id(&self) -> KeyId {
        self.id
    }
    fn alg(&self) -> SignatureAlg {
        SignatureAlg::MlDsa65Ed25519
    }
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.sign_with_context(ORIGIN_CONTEXT, statement)?)
    }
}

enum Ed25519Half {
    /// ML-DSA-65 alone has none.
    None,
    Key(ed25519_dalek::VerifyingKey),
}

/// A public key that verifies. Cheap to clone.
#[derive(Clone)]
pub struct VerifyKey(Arc<Inner>);

struct Inner {
    alg: SignatureAlg,
    id: KeyId,
    public: Vec<u8>,
    ml_dsa: ml_dsa::VerifyingKey<MlDsa65>,
    ed25519: Ed25519Half,
}

impl VerifyKey {
    /// Reads a public key of [`SignatureAlg::public_key_len`] bytes.
    pub fn new(alg: SignatureAlg, public: &[u8]) -> Result<Self, CryptoError> {
        if public.len() != alg.public_key_len() {
            return Err(CryptoError::PublicKey);
        }
        let (first, second) = public.split_at(ML_DSA_PUBLIC_LEN);
        let encoded = EncodedVerifyingKey::<MlDsa65>::try_from(first).map_err(|_| CryptoError::PublicKey)?;
        let ml_dsa = ml_dsa::VerifyingKey::<MlDsa65>::decode(&encoded);
        let ed25519 = match alg {
            SignatureAlg::MlDsa65Ed25519 => {
                let key = second.try_into().map_err(|_| CryptoError::PublicKey)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| CryptoError::PublicKey)?;
                if key.is_weak() {
                    return Err(CryptoError::PublicKey);
                }
                Ed25519Half::Key(key)
            }
            SignatureAlg::MlDsa65 => Ed25519Half::None,
            other => {
                return Err(CryptoError::Unsupported {
                    alg: other.key_id_alg(),
                    provider: "this version",
                });
            }
        };
        Ok(Self::from_parts(alg, public, ml_dsa, ed25519))
    }

    fn from_parts(
        alg: SignatureAlg,
        public: &[u8],
        ml_dsa: ml_dsa::VerifyingKey<MlDsa65>,
        ed25519: Ed25519Half,
    ) -> Self {
        let id = key_id(alg.key_id_alg(), public);
        Self(Arc::new(Inner {
            alg,
            id,
            public: public.to_vec(),
            ml_dsa,
            ed25519,
        }))
    }

    /// Its id.
    pub fn key_id(&self) -> KeyId {
        self.0.id
    }
    /// Its algorithm.
    pub fn alg(&self) -> SignatureAlg {
        self.0.alg
    }
    /// The public key.
    pub fn public(&self) -> &[u8] {
        &self.0.public
    }

    /// Whether the signature holds for an object's statement: by itself, or at its place in a batch.
    pub fn verify_statement(&self, statement: &[u8], inclusion: Option<&Inclusion>, signature: &[u8]) -> bool {
        let Some(inclusion) = inclusion else {
            return self.verify(ORIGIN_CONTEXT, statement, signature);
        };
        match merkle::root_from(merkle::leaf(statement), inclusion) {
            Some(root) => {
                let message = label::batch(inclusion.size, &root, &self.key_id().0);
                self.verify(BATCH_CONTEXT, &message, signature)
            }
            None => false,
        }
    }

    /// Whether the signature holds under this application context. For the composite both halves must, Ed25519 by the strict rules. Takes about 0.12 ms.
    pub fn verify(&self, context: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let key = &*self.0;
        match &key.ed25519 {
            Ed25519Half::None => verify_ml_dsa(&key.ml_dsa, context, message, signature),
            Ed25519Half::Key(ed25519) => {
                let Ok(message) = representative(context, message) else {
                    return false;
                };
                let Some((first, second)) = signature.split_at_checked(ML_DSA_SIGNATURE_LEN) else {
                    return false;
                };
                let Ok(second) = ed25519_dalek::Signature::from_slice(second) else {
                    return false;
                };
                verify_ml_dsa(&key.ml_dsa, LABEL, &message, first) && ed25519.verify_strict(&message, &second).is_ok()
            }
        }
    }
}

fn verify_ml_dsa(key: &ml_dsa::VerifyingKey<MlDsa65>, context: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match ml_dsa::Signature::<MlDsa65>::try_from(signature) {
        Ok(signature) => key.verify_with_context(message, context, &signature),
        Err(_) => false,
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyKey")
            .field("alg", &self.0.alg)
            .field("id", &self.0.id)
            .finish_non_exhaustive()
    }
}
