//! Who signs what this processor seals.
//!
//! Batches are the default because of what the bench says (`at-once-…`: 16 documents of 1 KiB in hand on two cores, objects a second and core): 740 with a signature each and 2,200 in batches
//! with rust-crypto, 750 and 2,900 with aws-lc. Nobody who comes alone waits for it.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::crypto::{BatchSigner, Signer};
use crate::keys::KeyRing;

/// Up to this many bytes a document is sealed in memory, so that its head, whose length depends on the batch, can be written with it. A larger one costs so much more
/// than its signature that it has one of its own.
pub(crate) const BATCHED_UP_TO: u64 = 64 * 1024;

/// How objects are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signatures {
    /// One signature for each object (algorithm 0x01).
    Each,
    /// Documents of up to 64 KiB that are sealed at the same time share a signature (algorithm 0x03); one that is alone is signed at once, as with `each`.
    #[default]
    Batch,
}

/// The ring's signing key, in the way that is configured.
pub(crate) struct Signing {
    how: Signatures,
    /// Gathers for the ring's newest key.
    batch: Mutex<Option<BatchSigner>>,
}

impl Signing {
    pub(crate) fn new(how: Signatures) -> Self {
        Self {
            how,
            batch: Mutex::default(),
        }
    }

    /// Whether a document of this size may share a signature.
    pub(crate) fn batches(&self, size: u64) -> bool {
        self.how == Signatures::Batch && size <= BATCHED_UP_TO
    }

    /// The signer of now, which is the ring's newest key and changes once a year, for a document of this size that is about to be sealed.
    pub(crate) fn signer(&self, ring: &KeyRing, size: u64) -> Arc<dyn Signer> {
        let key = ring.signer();
        if !self.batches(size) {
            return key;
        }
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        match &*batch {
            Some(signer) if signer.key_id() == key.key_id() => Arc::new(signer.turn()),
            _ => Arc::new(batch.insert(BatchSigner::new(key)).turn()),
        }
    }
}
