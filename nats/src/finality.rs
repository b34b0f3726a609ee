//! Knowing that an object version is final after its `done` has left the broker.

use async_trait::async_trait;
use cofferdam_schemas::{ObjectId, TenantName};

/// The store of final states, as the broker's side asks it.
///
/// `JOIN` keeps `done` messages for a while only, and a result may come later than that: a notification that its store
/// sends twice, a dead letter that is replayed. The trimmer removes a `done` only after every sink has acknowledged it,
/// so the store is the place that knows.
#[async_trait]
pub trait Finality: Send + Sync + 'static {
    /// Whether a `done` of this object version was committed. Not whether it was deleted: a version that is deleted
    /// while it is open has had no `done`.
    async fn is_final(&self, tenant: &TenantName, object: &ObjectId) -> Result<bool, FinalityError>;
}

/// The store of final states does not answer. Whoever asked tries again later.
#[derive(Debug, thiserror::Error)]
#[error("final states cannot be read")]
pub struct FinalityError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
