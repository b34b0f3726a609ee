//! Proving that the recovery stanza is right, without the recovery key.
//!
//! All randomness of the recovery stanza comes from the data key. Whoever has just opened the object therefore makes the stanza again and compares: if it is equal, the holder
//! of the recovery key can open it too. Without this, a swapped recovery key shows itself only in the disaster.

use cofferdam_envelope::{Role, Stanza};
use subtle::ConstantTimeEq;

use crate::crypto::{Coins, Kem, Provider};
use crate::derive;
use crate::error::CryptoError;
use crate::hpke;
use crate::key::{Dek, RecipientKey};

/// Makes the recovery stanza of an object; `header` is the header hash `H`.
pub(crate) fn recovery_stanza(
    provider: &dyn Provider,
    dek: &Dek,
    recovery: &RecipientKey,
    header: &[u8; 32],
) -> Result<Stanza, CryptoError> {
    let alg = recovery.alg();
    let kem = Kem::of(alg).ok_or(CryptoError::Unsupported {
        alg: alg.id(),
        provider: provider.kind().as_str(),
    })?;
    let coins = derive::escrow_coins(provider, dek, header, &recovery.id().0, kem)?;
    hpke::wrap(provider, recovery, header, dek, Coins::Given(&coins))
}

/// Whether `stanza` wraps `dek` for this recovery public key, which comes from the trusted directory, never from the object. Costs about as much as one encapsulation.
pub fn escrow_proof(
    provider: &dyn Provider,
    dek: &Dek,
    recovery: &RecipientKey,
    stanza: &Stanza,
    header: &[u8; 32],
) -> bool {
    if recovery.role() != Role::Recovery || stanza.role != Role::Recovery {
        return false;
    }
    let Ok(expected) = recovery_stanza(provider, dek, recovery, header) else {
        return false;
    };
    let same_names = expected.alg == stanza.alg && expected.key_id == stanza.key_id;
    same_names && bool::from(expected.body.ct_eq(&stanza.body))
}
