//! What stands in the key ring, in the clear only in memory.

use std::collections::BTreeMap;
use std::fmt;

use cofferdam_schemas::{TenantName, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::{Zeroize, Zeroizing};

use super::age::{SEED_LEN, Seed};
use super::error::KeyError;

/// A seed in the ring: 64 hex digits in JSON, zeroed when dropped, never shown.
#[derive(Clone)]
pub(crate) struct StoredSeed(pub(crate) Seed);

impl StoredSeed {
    pub(crate) fn random() -> Result<Self, KeyError> {
        let mut seed = Seed::default();
        super::random(&mut seed[..])?;
        Ok(Self(seed))
    }
}

impl fmt::Debug for StoredSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredSeed(..)")
    }
}

impl Serialize for StoredSeed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = Zeroizing::new([0; SEED_LEN * 2]);
        hex::encode_to_slice(&self.0[..], &mut digits[..]).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(std::str::from_utf8(&digits[..]).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for StoredSeed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl de::Visitor<'_> for Digits {
            type Value = StoredSeed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hex digits")
            }
            // The text is borrowed from the (zeroed) buffer it was decrypted into; the error must not repeat it.
            fn visit_str<E: de::Error>(self, text: &str) -> Result<StoredSeed, E> {
                let mut seed = Seed::default();
                match hex::decode_to_slice(text, &mut seed[..]) {
                    Ok(()) => Ok(StoredSeed(seed)),
                    Err(_) => {
                        seed.zeroize();
                        Err(E::custom("a seed is not 64 hex digits"))
                    }
                }
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

/// One generation of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Epoch {
    /// Counts up from 1.
    pub(crate) epoch: u32,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// The X-Wing seed.
    pub(crate) seed: StoredSeed,
}

/// The keys of one tenant. The last epoch of each list is the one that is sealed to; all of them open.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantEntry {
    pub(crate) kem: Vec<Epoch>,
    pub(crate) recovery: Vec<Epoch>,
}

/// One generation of the installation's signing key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignerEntry {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) ml_dsa_65: StoredSeed,
    pub(crate) ed25519: StoredSeed,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    pub(crate) tenants: BTreeMap<TenantName, TenantEntry>,
    /// Oldest first.
    pub(crate) signers: Vec<SignerEntry>,
}

/// A signing key signs for a year and is replaced 30 days before its end. Verification does not end with it: a
/// signature stays good, and the time in a sealed object is the sealer's own word, so that comparing the two would stop
/// nobody who has the key.
pub(crate) const SIGNER_MILLIS: i64 = 365 * 24 * 3600 * 1000;
const SIGNER_RENEW_MILLIS: i64 = 30 * 24 * 3600 * 1000;

impl Content {
    /// Makes the keys of tenants that have none yet; says which.
    pub(crate) fn add_tenants(&mut self, tenants: &[TenantName], now: Timestamp) -> Result<Vec<TenantName>, KeyError> {
        let mut added = Vec::new();
        for tenant in tenants {
            if self.tenants.contains_key(tenant) {
                continue;
            }
            let first = || {
                Ok::<_, KeyError>(vec![Epoch {
                    epoch: 1,
                    created: now,
                    seed: StoredSeed::random()?,
                }])
            };
            self.tenants.insert(
                tenant.clone(),
                TenantEntry {
                    kem: first()?,
                    recovery: first()?,
                },
            );
            added.push(tenant.clone());
        }
        Ok(added)
    }

    /// Makes a signing key when there is none, or the newest ends soon; says whether it did.
    pub(crate) fn renew_signer(&mut self, now: Timestamp) -> Result<bool, KeyError> {
        if !self.signer_ends_soon(now) {
            return Ok(false);
        }
        self.signers.push(SignerEntry {
            not_before: now,
            not_after: now.plus_millis(SIGNER_MILLIS),
            ml_dsa_65: StoredSeed::random()?,
            ed25519: StoredSeed::random()?,
        });
        Ok(true)
    }

    /// Whether there is no signing key, or only one that ends within 30 days.
    pub(crate) fn signer_ends_soon(&self, now: Timestamp) -> bool {
        self.signers
            .last()
            .is_none_or(|s| now.plus_millis(SIGNER_RENEW_MILLIS) >= s.not_after)
    }

    /// Whether every list has an entry, as everything that reads it relies on.
    pub(crate) fn is_complete(&self) -> bool {
        !self.signers.is_empty()
            && self
                .tenants
                .values()
                .all(|t| !t.kem.is_empty() && !t.recovery.is_empty())
    }
}
