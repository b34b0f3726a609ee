//! The RustCrypto provider.

use std::sync::Arc;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use cofferdam_envelope::geometry::TAG_LEN;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use ml_kem::ml_kem_768;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Sha256, Sha512};
use x_wing::{Decapsulate, DecapsulationKeyRejectNonContrib, Decapsulator as _, KeyExport, TryDecapsulate};
use zeroize::{Zeroize, Zeroizing};

use super::kem::{Kem, ML_KEM_768_PUBLIC_LEN, X25519_LEN};
use super::provider::{
    AEAD_KEY_LEN, AEAD_NONCE_LEN, Aead, Coins, Decapsulator, Encapsulated, Encapsulator, Provider, ProviderKind,
    SharedSecret,
};
use crate::error::CryptoError;

/// The RustCrypto crates.
#[derive(Debug)]
pub(super) struct RustCrypto;

impl Provider for RustCrypto {
    fn kind(&self) -> ProviderKind {
        ProviderKind::RustCrypto
    }

    fn random(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        SysRng.try_fill_bytes(out).map_err(|_| CryptoError::Randomness)
    }

    fn aes_256_gcm(&self, key: &[u8; AEAD_KEY_LEN]) -> Result<Arc<dyn Aead>, CryptoError> {
        Ok(Arc::new(Gcm(Aes256Gcm::new(key.into()))))
    }

    fn hkdf_sha512_expand(&self, prk: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        // RFC 5869 wants a PRK of at least the hash's length; HMAC takes any, and C2SP chunked-encryption prescribes the 32-byte key as it
        // is. The crate checks for the former, so that expansion is done here over HMAC for shorter ones.
        if prk.len() >= 64 {
            let hkdf = Hkdf::<Sha512>::from_prk(prk).map_err(|_| CryptoError::Limit)?;
            return hkdf.expand(info, out).map_err(|_| CryptoError::Limit);
        }
        expand_short_prk(prk, info, out)
    }

    fn hkdf_sha256_extract(&self, salt: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
        let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm);
        let out = Zeroizing::new(prk.into());
        prk.zeroize();
        out
    }

    fn hkdf_sha256_expand(&self, prk: &[u8; 32], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| CryptoError::Limit)?;
        hkdf.expand(info, out).map_err(|_| CryptoError::Limit)
    }

    fn hmac_sha256(&self, key: &[u8], message: &[u8]) -> [u8; 32] {
        // Unwrap safety: HMAC takes keys of every length; the error type is for other MACs.
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("hmac takes any key length");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    fn encapsulator(&self, kem: Kem, public: &[u8]) -> Result<Arc<dyn Encapsulator>, CryptoError> {
        Ok(match kem {
            Kem::MlKem768X25519 => {
                let key = x_wing::EncapsulationKey::try_from(public).map_err(|_| CryptoError::PublicKey)?;
                Arc::new(ToXWing(key))
            }
            Kem::MlKem768 => Arc::new(ToMlKem(ml_kem_public(public)?)),
        })
    }

    fn decapsulator(&self, kem: Kem, private: &[u8]) -> Result<Arc<dyn Decapsulator>, CryptoError> {
        match kem {
            Kem::MlKem768X25519 => {
                let mut seed: [u8; 32] = private.try_into().map_err(|_| CryptoError::PrivateKey)?;
                let key = DecapsulationKeyRejectNonContrib::from(seed);
                seed.zeroize();
                let public = key.encapsulation_key().to_bytes().to_vec();
                Ok(Arc::new(XWing { key, public }))
            }
            Kem::MlKem768 => {
                let key = ml_kem_key(private)?;
                let public = key.encapsulation_key().to_bytes().to_vec();
                Ok(Arc::new(MlKem { key, public }))
            }
        }
    }
}

/// HKDF-Expand (RFC 5869, 2.3) with SHA-512 for any PRK.
fn expand_short_prk(prk: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    if out.len() > 255 * 64 {
        return Err(CryptoError::Limit);
    }
    let keyed = Hmac::<Sha512>::new_from_slice(prk).map_err(|_| CryptoError::Limit)?;
    let mut previous = Zeroizing::new([0u8; 64]);
    for (n, block) in out.chunks_mut(64).enumerate() {
        let mut mac = keyed.clone();
        if n > 0 {
            mac.update(previous.as_slice());
        }
        mac.update(info);
        // At most 255 blocks, checked above.
        mac.update(&[n as u8 + 1]);
        let mut tag = mac.finalize().into_bytes();
        previous.copy_from_slice(&tag);
        block.copy_from_slice(&tag[..block.len()]);
        tag.zeroize();
    }
    Ok(())
}

pub(super) fn ml_kem_key(seed: &[u8]) -> Result<ml_kem_768::DecapsulationKey, CryptoError> {
    let mut seed = ml_kem::Seed::try_from(seed).map_err(|_| CryptoError::PrivateKey)?;
    let key = ml_kem_768::DecapsulationKey::from_seed(seed);
    seed.zeroize();
    Ok(key)
}

pub(super) fn ml_kem_public(public: &[u8]) -> Result<ml_kem_768::EncapsulationKey, CryptoError> {
    let public = public.try_into().map_err(|_| CryptoError::PublicKey)?;
    ml_kem_768::EncapsulationKey::new(public).map_err(|_| CryptoError::PublicKey)
}

/// The coins as an array, drawn if they are not given. Zeroed afterwards.
fn coins<const N: usize>(coins: Coins<'_>) -> Result<Zeroizing<[u8; N]>, CryptoError> {
    let mut out = Zeroizing::new([0; N]);
    match coins {
        Coins::Fresh => RustCrypto.random(out.as_mut_slice())?,
        Coins::Given(given) if given.len() == N => out.copy_from_slice(given),
        Coins::Given(_) => return Err(CryptoError::Limit),
    }
    Ok(out)
}

/// Encapsulates to an ML-KEM-768 key with given coins; both providers do it here.
pub(super) fn ml_kem_encapsulate(key: &ml_kem_768::EncapsulationKey, coins: &[u8; 32]) -> Encapsulated {
    let (enc, mut shared) = key.encapsulate_deterministic(coins.into());
    let out = Encapsulated {
        enc: enc.to_vec(),
        shared: Zeroizing::new(shared.into()),
    };
    shared.zeroize();
    out
}

struct ToXWing(x_wing::EncapsulationKey);

impl Encapsulator for ToXWing {
    fn encapsulate(&self, given: Coins<'_>) -> Result<Encapsulated, CryptoError> {
        let coins = coins::<64>(given)?;
        let (enc, mut shared) = self.0.encapsulate_deterministic((&*coins).into());
        let out = Encapsulated {
            enc: enc.to_vec(),
            shared: Zeroizing::new(shared.into()),
        };
        shared.zeroize();
        Ok(out)
    }
}

struct ToMlKem(ml_kem_768::EncapsulationKey);

impl Encapsulator for ToMlKem {
    fn encapsulate(&self, given: Coins<'_>) -> Result<Encapsulated, CryptoError> {
        Ok(ml_kem_encapsulate(&self.0, &*coins::<32>(given)?))
    }
}

/// Checks a public key that somebody gives us: its length, ML-KEM's modulus check (FIPS 203, 7.2), and that the X25519 half is no point of low order, with which
/// every sender would agree on the same all-zero half.
pub(crate) fn validate_public_key(kem: Kem, public: &[u8]) -> Result<(), CryptoError> {
    if public.len() != kem.public_len() {
        return Err(CryptoError::PublicKey);
    }
    let (ml_kem, x25519) = public.split_at(ML_KEM_768_PUBLIC_LEN);
    ml_kem_public(ml_kem)?;
    if kem == Kem::MlKem768X25519 {
        let point: [u8; X25519_LEN] = x25519.try_into().map_err(|_| CryptoError::PublicKey)?;
        // Any scalar shows it: all are multiples of the cofactor.
        if x25519_dalek::x25519([0x40; 32], point) == [0; 32] {
            return Err(CryptoError::PublicKey);
        }
    }
    Ok(())
}

struct Gcm(Aes256Gcm);

impl Aead for Gcm {
    fn seal(
        &self,
        nonce: &[u8; AEAD_NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        let (body, tag) = out.split_at_mut_checked(plaintext.len()).ok_or(CryptoError::Limit)?;
        let tag: &mut [u8; TAG_LEN] = tag.try_into().map_err(|_| CryptoError::Limit)?;
        let buffer = InOutBuf::new(plaintext, body).map_err(|_| CryptoError::Limit)?;
        let made = self
            .0
            .encrypt_inout_detached(nonce.into(), aad, buffer)
            .map_err(|_| CryptoError::Limit)?;
        tag.copy_from_slice(&made);
        Ok(())
    }

    fn open(&self, nonce: &[u8; AEAD_NONCE_LEN], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let (body, tag) = sealed.split_at_checked(out.len()).ok_or(CryptoError::Open)?;
        let tag: &[u8; TAG_LEN] = tag.try_into().map_err(|_| CryptoError::Open)?;
        let buffer = InOutBuf::new(body, out).map_err(|_| CryptoError::Limit)?;
        let opened = self.0.decrypt_inout_detached(nonce.into(), aad, buffer, tag.into());
        opened.map_err(|_| {
            // The crate compares the tag before it decrypts; this does not lean on that.
            out.zeroize();
            CryptoError::Open
        })
    }
}

struct XWing {
    key: DecapsulationKeyRejectNonContrib,
    public: Vec<u8>,
}

impl Decapsulator for XWing {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn decapsulate(&self, enc: &[u8]) -> Result<SharedSecret, CryptoError> {
        let enc = enc.try_into().map_err(|_| CryptoError::Open)?;
        let mut shared = self.key.try_decapsulate(enc).map_err(|_| CryptoError::Open)?;
        let out = Zeroizing::new(shared.into());
        shared.zeroize();
        Ok(out)
    }
}

struct MlKem {
    key: ml_kem_768::DecapsulationKey,
    public: Vec<u8>,
}

impl Decapsulator for MlKem {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn decapsulate(&self, enc: &[u8]) -> Result<SharedSecret, CryptoError> {
        let enc = enc.try_into().map_err(|_| CryptoError::Open)?;
        let mut shared = self.key.decapsulate(enc);
        let out = Zeroizing::new(shared.into());
        shared.zeroize();
        Ok(out)
    }
}
