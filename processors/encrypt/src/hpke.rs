//! HPKE (RFC 9180) in base mode with HKDF-SHA256 and AES-256-GCM, single shot: the wrapping of the data key in a stanza.
//!
//! The key schedule is our own thirty lines rather than a library's, because a key service gives only the shared secret: the rest has to be
//! doable from there.

use std::sync::Arc;

use cofferdam_envelope::{Role, Stanza, StanzaAlg, label};
use zeroize::Zeroizing;

use crate::crypto::{AEAD_KEY_LEN, AEAD_NONCE_LEN, Aead, Coins, Kem, Provider};
use crate::error::{CryptoError, OpenError, OpenReason};
use crate::key::{DEK_LEN, Dek, RecipientKey};

/// HKDF-SHA256 in the HPKE registry.
pub const KDF_HKDF_SHA256: u16 = 0x0001;
/// AES-256-GCM in the HPKE registry.
pub const AEAD_AES_256_GCM: u16 = 0x0002;
/// Length of a sealed data key in bytes.
pub const WRAPPED_LEN: usize = DEK_LEN + 16;

const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: u8 = 0x00;

fn suite_id(kem_id: u16, aead_id: u16) -> [u8; 10] {
    let mut out = *b"HPKE\0\0\0\0\0\0";
    out[4..6].copy_from_slice(&kem_id.to_be_bytes());
    out[6..8].copy_from_slice(&KDF_HKDF_SHA256.to_be_bytes());
    out[8..10].copy_from_slice(&aead_id.to_be_bytes());
    out
}

/// The key schedule (RFC 9180, 5.1) in base mode with HKDF-SHA256. `shared_secret` is what the KEM with this number gave; `key` has the length that the AEAD with this
/// number takes. Fills `key` and gives the base nonce, which is the nonce of the first, and here only, message.
pub fn key_schedule(
    provider: &dyn Provider,
    kem_id: u16,
    aead_id: u16,
    shared_secret: &[u8],
    info: &[u8],
    key: &mut [u8],
) -> Result<[u8; AEAD_NONCE_LEN], CryptoError> {
    let suite = suite_id(kem_id, aead_id);
    let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| {
        let labelled = Zeroizing::new([VERSION, &suite, label, ikm].concat());
        provider.hkdf_sha256_extract(salt, &labelled)
    };
    let expand = |prk: &[u8; 32], label: &[u8], info: &[u8], out: &mut [u8]| {
        let len = u16::try_from(out.len()).map_err(|_| CryptoError::Limit)?.to_be_bytes();
        provider.hkdf_sha256_expand(prk, &[&len, VERSION, &suite, label, info].concat(), out)
    };
    let psk_id_hash = extract(b"", b"psk_id_hash", b"");
    let info_hash = extract(b"", b"info_hash", info);
    let context = [&[MODE_BASE][..], psk_id_hash.as_slice(), info_hash.as_slice()].concat();
    let secret = extract(shared_secret, b"secret", b"");
    let mut base_nonce = [0; AEAD_NONCE_LEN];
    expand(&secret, b"key", &context, key)?;
    expand(&secret, b"base_nonce", &context, &mut base_nonce)?;
    Ok(base_nonce)
}

/// What seals the one message of a stanza.
fn context(
    provider: &dyn Provider,
    kem_id: u16,
    shared_secret: &[u8; 32],
    info: &[u8],
) -> Result<(Arc<dyn Aead>, [u8; AEAD_NONCE_LEN]), CryptoError> {
    let mut key = Zeroizing::new([0; AEAD_KEY_LEN]);
    let nonce = key_schedule(
        provider,
        kem_id,
        AEAD_AES_256_GCM,
        shared_secret,
        info,
        key.as_mut_slice(),
    )?;
    Ok((provider.aes_256_gcm(&key)?, nonce))
}

/// Wraps a data key for a recipient; `header` is the header hash `H`.
pub fn wrap(
    provider: &dyn Provider,
    recipient: &RecipientKey,
    header: &[u8; 32],
    dek: &Dek,
    coins: Coins<'_>,
) -> Result<Stanza, CryptoError> {
    let alg = recipient.alg();
    let kem = Kem::of(alg).ok_or(CryptoError::Unsupported {
        alg: alg.id(),
        provider: provider.kind().as_str(),
    })?;
    let key_id = recipient.id().0;
    let made = recipient.encapsulate(provider, kem, coins)?;
    let info = label::wrap_info(recipient.role(), &key_id, header);
    let (aead, nonce) = context(provider, kem.id(), &made.shared, &info)?;
    let mut body = made.enc;
    let enc_len = body.len();
    body.resize(enc_len + WRAPPED_LEN, 0);
    aead.seal(&nonce, b"", dek.as_bytes(), &mut body[enc_len..])?;
    Ok(Stanza {
        role: recipient.role(),
        alg: alg.id(),
        key_id,
        body,
    })
}

/// The HPKE number of a stanza algorithm's KEM, also of those that only a key service computes.
fn kem_id(alg: u16) -> Option<u16> {
    match StanzaAlg::from_id(alg)? {
        StanzaAlg::MlKem768X25519 => Some(0x647a),
        StanzaAlg::MlKem768P256 => Some(0x0050),
        StanzaAlg::MlKem768 => Some(0x0041),
        _ => None,
    }
}

/// Opens a stanza once the KEM's shared secret is known, wherever it was computed. The stanza's tag decides whether it is the right one.
pub fn unwrap_with_shared_secret(
    provider: &dyn Provider,
    shared_secret: &[u8; 32],
    stanza: &Stanza,
    header: &[u8; 32],
) -> Result<Dek, OpenError> {
    let kem_id = kem_id(stanza.alg).ok_or(OpenReason::NoStanza)?;
    // Lengths are checked before anything is decrypted.
    let (_, sealed) = stanza.enc_and_ct().ok_or(OpenReason::Encapsulation)?;
    let info = label::wrap_info(stanza.role, &stanza.key_id, header);
    let (aead, nonce) = context(provider, kem_id, shared_secret, &info).map_err(OpenError::Crypto)?;
    let mut dek = Zeroizing::new([0; DEK_LEN]);
    aead.open(&nonce, b"", sealed, dek.as_mut_slice())
        .map_err(|_| OpenReason::Stanza)?;
    Ok(Dek::from_bytes(*dek))
}

/// Whether a role's stanza is made with coins from the data key.
pub(crate) fn has_derived_coins(role: Role) -> bool {
    role == Role::Recovery
}
