//! The private metadata: sealed in the head, for whoever opens the object.

use std::collections::BTreeMap;
use std::fmt;

use cofferdam_envelope::Core;
use cofferdam_envelope::geometry::TAG_LEN;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::{AEAD_NONCE_LEN, Provider};
use crate::derive;
use crate::error::{OpenError, OpenReason, SealError};
use crate::key::Dek;

const NONCE: [u8; AEAD_NONCE_LEN] = [0; AEAD_NONCE_LEN];

/// What a document was called and what its store knew of it. Its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateMetadata {
    /// The object's key in the landing store.
    #[serde(default)]
    pub key: String,
    /// The media type it was declared as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The user's metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

impl fmt::Debug for PrivateMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateMetadata(..)")
    }
}

impl PrivateMetadata {
    /// Sealed under a key for this object and tenant, bound to the core's fixed fields.
    pub(crate) fn seal(&self, provider: &dyn Provider, dek: &Dek, core: &Core) -> Result<Vec<u8>, SealError> {
        let json = Zeroizing::new(serde_json::to_vec(self).map_err(SealError::Metadata)?);
        let mut out = vec![0; json.len() + TAG_LEN];
        derive::metadata_aead(provider, dek, core)?.seal(&NONCE, &core.bound_bytes(), &json, &mut out)?;
        Ok(out)
    }

    pub(crate) fn open(provider: &dyn Provider, dek: &Dek, core: &Core, sealed: &[u8]) -> Result<Self, OpenError> {
        let len = sealed.len().checked_sub(TAG_LEN).ok_or(OpenReason::Metadata)?;
        let mut json = Zeroizing::new(vec![0; len]);
        let aead = derive::metadata_aead(provider, dek, core).map_err(OpenError::Crypto)?;
        aead.open(&NONCE, &core.bound_bytes(), sealed, &mut json)
            .map_err(|_| OpenReason::Metadata)?;
        serde_json::from_slice(&json).map_err(|_| OpenReason::Metadata.into())
    }
}
