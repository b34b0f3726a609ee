//! The keys that come from a data key.

use std::sync::Arc;

use cofferdam_envelope::geometry::{COMMITMENT_LEN, SALT_LEN};
use cofferdam_envelope::{Core, label};
use zeroize::Zeroizing;

use crate::crypto::{AEAD_KEY_LEN, AEAD_NONCE_LEN, Aead, Kem, Provider};
use crate::error::CryptoError;
use crate::key::Dek;

/// What seals the payload.
#[derive(Clone)]
pub(crate) struct PayloadKeys {
    pub(crate) aead: Arc<dyn Aead>,
    pub(crate) base_nonce: [u8; AEAD_NONCE_LEN],
    pub(crate) commitment: [u8; COMMITMENT_LEN],
}

/// C2SP chunked-encryption's derivation, unchanged.
pub(crate) fn payload_keys(
    provider: &dyn Provider,
    input_key: &[u8; 32],
    salt: &[u8; SALT_LEN],
    context: &[u8],
) -> Result<PayloadKeys, CryptoError> {
    const LEN: usize = AEAD_KEY_LEN + AEAD_NONCE_LEN + COMMITMENT_LEN;
    let mut okm = Zeroizing::new([0; LEN]);
    provider.hkdf_sha512_expand(input_key, &label::payload_info(salt, context), okm.as_mut_slice())?;
    let mut key = Zeroizing::new([0; AEAD_KEY_LEN]);
    let (mut base_nonce, mut commitment) = ([0; AEAD_NONCE_LEN], [0; COMMITMENT_LEN]);
    key.copy_from_slice(&okm[..AEAD_KEY_LEN]);
    base_nonce.copy_from_slice(&okm[AEAD_KEY_LEN..AEAD_KEY_LEN + AEAD_NONCE_LEN]);
    commitment.copy_from_slice(&okm[AEAD_KEY_LEN + AEAD_NONCE_LEN..]);
    Ok(PayloadKeys {
        aead: provider.aes_256_gcm(&key)?,
        base_nonce,
        commitment,
    })
}

/// The MAC over the recipients. `block` is the block without its MAC.
pub(crate) fn recipients_mac(
    provider: &dyn Provider,
    dek: &Dek,
    header: &[u8; 32],
    block: &[u8],
) -> Result<[u8; 32], CryptoError> {
    let mut key = Zeroizing::new([0; 32]);
    provider.hkdf_sha512_expand(dek.as_bytes(), &label::recipients_mac_info(header), key.as_mut_slice())?;
    Ok(provider.hmac_sha256(key.as_slice(), &label::recipients_mac_input(header, block)))
}

/// What seals the private metadata. Its key serves one message, so that its nonce is zero.
pub(crate) fn metadata_aead(provider: &dyn Provider, dek: &Dek, core: &Core) -> Result<Arc<dyn Aead>, CryptoError> {
    let mut key = Zeroizing::new([0; AEAD_KEY_LEN]);
    let info = label::metadata_info(&core.object, &core.tenant);
    provider.hkdf_sha512_expand(dek.as_bytes(), &info, key.as_mut_slice())?;
    provider.aes_256_gcm(&key)
}

/// The coins of the recovery stanza: as many as its KEM takes, at most 64.
pub(crate) fn escrow_coins(
    provider: &dyn Provider,
    dek: &Dek,
    header: &[u8; 32],
    key_id: &[u8; 16],
    kem: Kem,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut coins = Zeroizing::new(vec![0; kem.coins_len()]);
    provider.hkdf_sha512_expand(dek.as_bytes(), &label::escrow_coins_info(header, key_id), &mut coins)?;
    Ok(coins)
}
