//! The aws-lc-rs provider.
//!
//! X-Wing is put together from its parts: aws-lc has ML-KEM-768, X25519 and SHA3-256, not the hybrid. Two things it does not offer through its safe interface are
//! computed by RustCrypto: key expansion from a seed, once per key, and ML-KEM's half of an encapsulation with given coins, for the recovery stanza.

use std::sync::Arc;

use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::{aead, digest, hkdf, hmac, kem, rand};
use cofferdam_envelope::geometry::TAG_LEN;
use ml_kem::KeyExport;
use zeroize::{Zeroize, Zeroizing};

use super::kem::{ExpandedSeed, Kem, ML_KEM_768_ENC_LEN, ML_KEM_768_PUBLIC_LEN, X_WING_LABEL, X25519_LEN};
use super::provider::{
    AEAD_KEY_LEN, AEAD_NONCE_LEN, Aead, Coins, Decapsulator, Encapsulated, Encapsulator, Provider, ProviderKind,
    SharedSecret,
};
use super::rust_crypto;
use crate::error::CryptoError;

/// aws-lc-rs.
#[derive(Debug)]
pub(super) struct AwsLc;

/// Length of the output as a type, for aws-lc-rs.
struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(algorithm: hkdf::Algorithm, prk: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    if out.is_empty() {
        return Ok(());
    }
    // `Prk::new_less_safe` panics above 80 bytes; nothing here is longer than a hash.
    if prk.len() > 64 {
        return Err(CryptoError::Limit);
    }
    let prk = hkdf::Prk::new_less_safe(algorithm, prk);
    let parts = [info];
    let okm = prk.expand(&parts, Len(out.len())).map_err(|_| CryptoError::Limit)?;
    okm.fill(out).map_err(|_| CryptoError::Limit)
}

impl Provider for AwsLc {
    fn kind(&self) -> ProviderKind {
        ProviderKind::AwsLc
    }

    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        rand::fill(out).map_err(|_| CryptoError::Randomness)
    }

    fn aes_256_gcm(&self, key: &[u8; AEAD_KEY_LEN]) -> Result<Arc<dyn Aead>, CryptoError> {
        let key =
            aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(|_| CryptoError::Provider("aes-256-gcm key"))?;
        Ok(Arc::new(Gcm(aead::LessSafeKey::new(key))))
    }

    fn hkdf_sha512_expand(&self, prk: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        expand(hkdf::HKDF_SHA512, prk, info, out)
    }

    fn hkdf_sha256_extract(&self, salt: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
        // Extract is one HMAC with the salt as its key; aws-lc-rs does not give the result out in another way.
        Zeroizing::new(self.hmac_sha256(salt, ikm))
    }

    fn hkdf_sha256_expand(&self, prk: &[u8; 32], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        expand(hkdf::HKDF_SHA256, prk, info, out)
    }

    fn hmac_sha256(&self, key: &[u8], message: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
        let mut out = [0; 32];
        out.copy_from_slice(tag.as_ref());
        out
    }

    fn encapsulator(&self, kem: Kem, public: &[u8]) -> Result<Arc<dyn Encapsulator>, CryptoError> {
        if public.len() != kem.public_len() {
            return Err(CryptoError::PublicKey);
        }
        let (ml_kem, x25519) = public.split_at(ML_KEM_768_PUBLIC_LEN);
        Ok(Arc::new(To {
            key: kem::EncapsulationKey::new(&kem::ML_KEM_768, ml_kem).map_err(|_| CryptoError::PublicKey)?,
            with_coins: rust_crypto::ml_kem_public(ml_kem)?,
            x25519: (kem == Kem::MlKem768X25519).then(|| x25519.to_vec()),
        }))
    }

    fn decapsulator(&self, kem: Kem, private: &[u8]) -> Result<Arc<dyn Decapsulator>, CryptoError> {
        if private.len() != kem.private_len() {
            return Err(CryptoError::PrivateKey);
        }
        match kem {
            Kem::MlKem768 => {
                let (key, public) = ml_kem_key(private)?;
                Ok(Arc::new(MlKem { key, public }))
            }
            Kem::MlKem768X25519 => {
                let seed = ExpandedSeed::new(private);
                let (ml_kem, mut public) = ml_kem_key(seed.ml_kem())?;
                let failed = |_| CryptoError::PrivateKey;
                let x25519 = agreement::PrivateKey::from_private_key(&X25519, seed.x25519()).map_err(failed)?;
                let x25519_public = x25519.compute_public_key().map_err(|_| CryptoError::PrivateKey)?;
                public.extend_from_slice(x25519_public.as_ref());
                Ok(Arc::new(XWing { ml_kem, x25519, public }))
            }
        }
    }
}

type MlKemKey = kem::DecapsulationKey<kem::AlgorithmId>;

/// An ML-KEM-768 private key from its seed, and its public key. aws-lc-rs reads only the expanded form, which RustCrypto makes.
fn ml_kem_key(seed: &[u8]) -> Result<(MlKemKey, Vec<u8>), CryptoError> {
    // The expanded form is deprecated for storing keys, which is not what happens here.
    #[allow(deprecated)]
    use ml_kem::ExpandedKeyEncoding;
    let key = rust_crypto::ml_kem_key(seed)?;
    #[allow(deprecated)]
    let mut expanded = key.to_expanded_bytes();
    let made = MlKemKey::new(&kem::ML_KEM_768, &expanded);
    expanded.zeroize();
    Ok((
        made.map_err(|_| CryptoError::PrivateKey)?,
        key.encapsulation_key().to_bytes().to_vec(),
    ))
}

fn shared_secret(bytes: &[u8]) -> Result<SharedSecret, CryptoError> {
    let mut out = SharedSecret::default();
    if bytes.len() != out.len() {
        return Err(CryptoError::Provider("shared secret length"));
    }
    out.copy_from_slice(bytes);
    Ok(out)
}

/// X-Wing's combiner: SHA3-256(ss_M ‖ ss_X ‖ ct_X ‖ pk_X ‖ label). aws-lc refuses an all-zero `ss_X`.
fn combine(
    ml_kem_secret: &[u8],
    own: &agreement::PrivateKey,
    peer: &[u8],
    sent: &[u8],
    public: &[u8],
    refused: CryptoError,
) -> Result<SharedSecret, CryptoError> {
    agreement::agree(own, UnparsedPublicKey::new(&X25519, peer), refused, |x25519_secret| {
        let mut hash = digest::Context::new(&digest::SHA3_256);
        for part in [ml_kem_secret, x25519_secret, sent, public, X_WING_LABEL] {
            hash.update(part);
        }
        shared_secret(hash.finish().as_ref())
    })
}

struct Gcm(aead::LessSafeKey);

impl Aead for Gcm {
    fn seal(
        &self,
        nonce: &[u8; AEAD_NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        let (body, tag) = out.split_at_mut_checked(plaintext.len()).ok_or(CryptoError::Limit)?;
        if tag.len() != TAG_LEN {
            return Err(CryptoError::Limit);
        }
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let sealed = self
            .0
            .seal_out_of_place_scatter(nonce, aead::Aad::from(aad), plaintext, body, &[], tag);
        sealed.map_err(|_| CryptoError::Limit)
    }

    fn open(&self, nonce: &[u8; AEAD_NONCE_LEN], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let (body, tag) = sealed.split_at_checked(out.len()).ok_or(CryptoError::Open)?;
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_separate_gather(nonce, aead::Aad::from(aad), body, tag, out)
            .map_err(|_| {
                out.zeroize();
                CryptoError::Open
            })
    }
}

/// A public key, of both KEMs.
struct To {
    key: kem::EncapsulationKey<kem::AlgorithmId>,
    /// The same for given coins.
    with_coins: ml_kem::ml_kem_768::EncapsulationKey,
    /// The second half of the hybrid.
    x25519: Option<Vec<u8>>,
}

impl To {
    fn ml_kem(&self, coins: Option<&[u8; 32]>) -> Result<Encapsulated, CryptoError> {
        if let Some(coins) = coins {
            return Ok(rust_crypto::ml_kem_encapsulate(&self.with_coins, coins));
        }
        let (ciphertext, secret) = self.key.encapsulate().map_err(|_| CryptoError::PublicKey)?;
        Ok(Encapsulated {
            enc: ciphertext.as_ref().to_vec(),
            shared: shared_secret(secret.as_ref())?,
        })
    }
}

impl Encapsulator for To {
    fn encapsulate(&self, coins: Coins<'_>) -> Result<Encapsulated, CryptoError> {
        // ML-KEM's 32 bytes, then the X25519 scalar, if there is one.
        let (first, second) = match coins {
            Coins::Fresh => (None, None),
            Coins::Given(coins) => {
                let (first, second) = coins.split_first_chunk().ok_or(CryptoError::Limit)?;
                if second.len() != if self.x25519.is_some() { X25519_LEN } else { 0 } {
                    return Err(CryptoError::Limit);
                }
                (Some(first), Some(second))
            }
        };
        let mut made = self.ml_kem(first)?;
        let Some(x25519) = &self.x25519 else {
            return Ok(made);
        };
        let failed = |_| CryptoError::Provider("x25519 key");
        let ephemeral = match second {
            Some(scalar) => agreement::PrivateKey::from_private_key(&X25519, scalar)
                .map_err(|_| CryptoError::Provider("x25519 key"))?,
            None => agreement::PrivateKey::generate(&X25519).map_err(failed)?,
        };
        let sent = ephemeral.compute_public_key().map_err(failed)?;
        made.shared = combine(
            made.shared.as_slice(),
            &ephemeral,
            x25519,
            sent.as_ref(),
            x25519,
            CryptoError::PublicKey,
        )?;
        made.enc.extend_from_slice(sent.as_ref());
        Ok(made)
    }
}

struct MlKem {
    key: MlKemKey,
    public: Vec<u8>,
}

impl Decapsulator for MlKem {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn decapsulate(&self, enc: &[u8]) -> Result<SharedSecret, CryptoError> {
        let secret = self.key.decapsulate(enc.into()).map_err(|_| CryptoError::Open)?;
        shared_secret(secret.as_ref())
    }
}

struct XWing {
    ml_kem: MlKemKey,
    x25519: agreement::PrivateKey,
    public: Vec<u8>,
}

impl Decapsulator for XWing {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn decapsulate(&self, enc: &[u8]) -> Result<SharedSecret, CryptoError> {
        if enc.len() != Kem::MlKem768X25519.enc_len() {
            return Err(CryptoError::Open);
        }
        let (ciphertext, sent) = enc.split_at(ML_KEM_768_ENC_LEN);
        let secret = self
            .ml_kem
            .decapsulate(ciphertext.into())
            .map_err(|_| CryptoError::Open)?;
        let public = &self.public[ML_KEM_768_PUBLIC_LEN..];
        combine(secret.as_ref(), &self.x25519, sent, sent, public, CryptoError::Open)
    }
}
