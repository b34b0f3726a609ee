//! What a command needs to know about objects that went through: a narrow view of the durable store.

use async_trait::async_trait;
use cofferdam_schemas::{ObjectId, ObjectRef, SealedCopy, Selector, TenantName, Timestamp, Verdict};

/// Where an object version is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectState {
    /// Accepted, not all results are in.
    Open,
    /// Final: done.
    Done,
    /// Final: sealed and not to be given out.
    Quarantined,
    /// Final: gone or replaced at its source.
    Superseded,
    /// A required processor gave up; a dead-letter entry waits for a person.
    Dead,
    /// Deleted by command.
    Deleted,
}

impl ObjectState {
    /// The word in rows and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectState::Open => "open",
            ObjectState::Done => "done",
            ObjectState::Quarantined => "quarantined",
            ObjectState::Superseded => "superseded",
            ObjectState::Dead => "dead",
            ObjectState::Deleted => "deleted",
        }
    }
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        use ObjectState::{Dead, Deleted, Done, Open, Quarantined, Superseded};
        [Open, Done, Quarantined, Superseded, Dead, Deleted].into_iter().find(|s| s.as_str() == text)
    }
}

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
}

/// Looks objects up. Every method is bound to one tenant; an object of another tenant is "not there".
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// The object a selector names: by id, or the newest version of a key that is not superseded.
    async fn find(&self, tenant: &TenantName, select: &Selector) -> Result<Option<ObjectRecord>, CatalogError>;
    /// Marks an object deleted, durably. Marking it again succeeds.
    async fn mark_deleted(&self, tenant: &TenantName, object: &ObjectId, at: Timestamp) -> Result<(), CatalogError>;
}

/// The store behind the catalog does not answer.
#[derive(Debug, thiserror::Error)]
#[error("catalog does not answer")]
pub struct CatalogError {
    /// What failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
