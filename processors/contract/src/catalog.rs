//! What a command needs to know about objects that went through: a narrow view of the durable store.

use async_trait::async_trait;
use cofferdam_schemas::query::Decision;
use cofferdam_schemas::{ObjectId, ObjectRef, SealedCopy, Selector, TenantName, Timestamp, Verdict};

pub use cofferdam_schemas::ObjectState;

/// What the catalog knows about an object version.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRecord {
    /// The version.
    pub object: ObjectRef,
    /// Its state.
    pub state: ObjectState,
    /// The verdict, once it is final.
    pub verdict: Option<Verdict>,
    /// The sealed copy, once there is one.
    pub sealed: Option<SealedCopy>,
    /// What people decided about it while it was quarantined, oldest first.
    pub decisions: Vec<Decision>,
}

/// Looks objects up. Every method is bound to one tenant; an object of another tenant is "not there".
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// The object a selector names: by id, or the newest version of a key that is not superseded.
    async fn find(&self, tenant: &TenantName, select: &Selector) -> Result<Option<ObjectRecord>, CatalogError>;
    /// Marks an object deleted, durably. Marking it again succeeds.
    async fn mark_deleted(&self, tenant: &TenantName, object: &ObjectId, at: Timestamp) -> Result<(), CatalogError>;
    /// Keeps what a person decided about a quarantined object, durably. The same decision again succeeds; a later one of the same kind takes its place.
    async fn decide(&self, tenant: &TenantName, object: &ObjectId, decision: &Decision) -> Result<(), CatalogError>;
}

/// The store behind the catalog does not answer.
#[derive(Debug, thiserror::Error)]
#[error("catalog does not answer")]
pub struct CatalogError {
    /// What failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
