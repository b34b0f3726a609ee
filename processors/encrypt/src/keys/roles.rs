//! The ring as the rest of the crate meets it.

use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_schemas::{KeyId, TenantName};

use super::ring::{Held, KeyRing};
use crate::crypto::{
    CompositeSigner, Dek, Directory, OpenError, OpenReason, RecipientKey, Role, Stanza, Unwrap, VerifyKey,
};

impl KeyRing {
    /// The key that signs now.
    pub fn signer(&self) -> Arc<CompositeSigner> {
        // Unwrap safety: a ring without a signing key is refused when it is read (`Content::is_complete`), and none is
        // ever removed.
        #[allow(clippy::expect_used)]
        self.keys().signers.last().cloned().expect("a ring has a signing key")
    }

    /// What opens one tenant's objects in everyday use: its TENANT-KEM keys, and nothing else.
    pub fn door(&self, tenant: &TenantName) -> TenantDoor {
        TenantDoor {
            ring: self.clone(),
            tenant: tenant.clone(),
        }
    }

    /// A recovery key of this tenant, whatever its epoch; `None` when the id is not one of them.
    pub fn recovery(&self, tenant: &TenantName, id: &KeyId) -> Option<RecipientKey> {
        let held = self.held(id)?;
        (held.tenant == *tenant && held.recipient.role() == Role::Recovery).then(|| held.recipient.clone())
    }

    fn held(&self, id: &KeyId) -> Option<Arc<Held>> {
        self.keys().held.get(id).cloned()
    }
}

/// Opens stanzas with any key of the ring, recovery keys included.
#[async_trait]
impl Unwrap for KeyRing {
    fn holds(&self, id: &KeyId) -> bool {
        self.keys().held.contains_key(id)
    }

    async fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError> {
        let held = self.held(&KeyId(stanza.key_id)).ok_or(OpenReason::NoStanza)?;
        // A key serves in its own role only: a recovery key behind a stanza that says "tenant" is somebody's mistake or
        // trick.
        if held.recipient.role() != stanza.role {
            return Err(OpenReason::NoStanza.into());
        }
        held.secret(self.provider())
            .map_err(OpenError::Crypto)?
            .unwrap(stanza, header)
    }
}

impl Directory for KeyRing {
    fn verifier(&self, signer: &KeyId) -> Option<VerifyKey> {
        self.keys().verifiers.get(signer).cloned()
    }
}

/// See [`KeyRing::door`].
#[derive(Debug, Clone)]
pub struct TenantDoor {
    ring: KeyRing,
    tenant: TenantName,
}

#[async_trait]
impl Unwrap for TenantDoor {
    fn holds(&self, id: &KeyId) -> bool {
        self.ring
            .held(id)
            .is_some_and(|h| h.tenant == self.tenant && h.recipient.role() == Role::Tenant)
    }

    async fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError> {
        if !self.holds(&KeyId(stanza.key_id)) {
            return Err(OpenReason::NoStanza.into());
        }
        self.ring.unwrap(stanza, header).await
    }
}
