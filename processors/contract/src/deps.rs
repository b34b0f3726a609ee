//! What a processor is given when it starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cofferdam_schemas::{ObjectRef, SourceName, TenantName};
use cofferdam_seams::{Clock, ObjectStore, Place};
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::document::Document;

/// The stores there are.
#[derive(Clone)]
pub struct Stores {
    /// Landing stores by source.
    pub landing: BTreeMap<SourceName, Arc<dyn ObjectStore>>,
    /// Where sealed objects go.
    pub vault: Place,
    /// Where the sealed copies of quarantined objects go, out of their tenant's reach.
    pub quarantine: Place,
    /// Where artefacts go.
    pub results: Place,
    /// Where retrieved copies wait for their short time.
    pub outbox: Place,
}

impl Stores {
    /// The document an event speaks of; `None` when its source is not configured.
    pub fn document(&self, object: &ObjectRef) -> Option<Document> {
        let store = self.landing.get(&object.source)?;
        Some(Document::new(store.clone(), object))
    }
}

/// What a processor is given when it starts.
#[derive(Clone)]
pub struct Deps {
    /// The stores.
    pub stores: Stores,
    /// What is known about finished objects.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The tenants there are.
    pub tenants: Vec<TenantName>,
    /// A directory that belongs to this installation.
    pub data_dir: PathBuf,
    /// A directory for key files outside the data directory (`~/.config/cofferdam` unless configured).
    pub config_dir: PathBuf,
    /// Cancelled when the service stops; background tasks of a processor end then.
    pub stop: CancellationToken,
}
