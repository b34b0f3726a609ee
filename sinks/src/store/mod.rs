//! The durable store of what happened to objects, in the words of the domain.
//!
//! **Why several tables.** Messages about one object come over three consumers, in any order, more than once. Every write is an upsert of
//! a whole row under the time its message was stored by JetStream: the later message wins, a redelivered one writes the same bytes
//! (two writes under one timestamp would otherwise merge, in ScyllaDB, into a row nobody wrote). Last-write-wins is only safe on a row
//! that one kind of message writes: if event, results, final state and deletion shared a row, a result that arrives after the final
//! state would erase it. So each kind has its table, and the state of an object is *merged when it is read*:
//! deleted, else final, else dead (a required processor gave up and nothing has overcome it), else open.
//!
//! Two layers: [`Store`] has the domain's verbs; [`TableStore`] implements them over an [`Engine`], which only knows rows. A backend is an
//! engine, and passes [`crate::conformance`].

mod cursor;
mod encode;
mod engine;
mod list;
mod merge;
mod rows;
mod tables;

use async_trait::async_trait;
use cofferdam_schemas::{
    BucketName, CommandId, CommandResult, Done, ObjectEvent, ObjectId, ObjectKey, ObjectState, ResultEvent, TenantName,
    Timestamp,
};

pub use cursor::Cursor;
pub use engine::{Change, Engine, Mutation, Record, Select, Value};
pub use rows::{EventRow, Filter, ObjectRow, Page};
pub use tables::TableStore;

use crate::error::StoreError;
use cofferdam_schemas::query::{CommandAnswer, Decision, ResultView};

/// A message's value and when the broker stored it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamped<T> {
    /// What the message says.
    pub value: T,
    /// When it was stored, in microseconds since 1970: the same for every redelivery. It orders writes.
    pub written_at: u64,
    /// The trace the message belongs to: 32 hex digits.
    pub trace_id: Option<String>,
}

impl<T> Stamped<T> {
    /// A value without a trace.
    pub fn new(value: T, written_at: u64) -> Self {
        Self {
            value,
            written_at,
            trace_id: None,
        }
    }
}

/// Where results become durable and can be asked for.
///
/// `put_*` are idempotent and commute: any order, any number of times, the rows end the same. They return once the rows are durable. One call
/// is all or nothing only within one object; callers repeat a failed call whole. Reads are bound to a tenant: what is another's is not there.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes events.
    async fn put_events(&self, events: &[Stamped<ObjectEvent>]) -> Result<(), StoreError>;
    /// Writes results of processors.
    async fn put_results(&self, results: &[Stamped<ResultEvent>]) -> Result<(), StoreError>;
    /// Writes results of commands, without the links in them. They expire after 90 days.
    async fn put_command_results(&self, results: &[Stamped<CommandResult>]) -> Result<(), StoreError>;
    /// Writes final states. Once it returns, the object can be found by id and by key, whether or not its event was written.
    async fn put_final(&self, done: &[Stamped<Done>]) -> Result<(), StoreError>;
    /// Marks an object deleted. Marking it again succeeds and changes nothing.
    async fn mark_deleted(&self, tenant: &TenantName, object: &ObjectId, at: Timestamp) -> Result<(), StoreError>;
    /// Keeps what a person decided about a quarantined object; a later decision of the same kind takes its place.
    async fn decide(&self, tenant: &TenantName, object: &ObjectId, decision: &Decision) -> Result<(), StoreError>;

    /// One version.
    async fn object(&self, tenant: &TenantName, object: &ObjectId) -> Result<Option<ObjectRow>, StoreError>;
    /// The newest version of a key that is neither superseded nor deleted, in one bucket or in all of the tenant's.
    async fn find_by_key(
        &self,
        tenant: &TenantName,
        bucket: Option<&BucketName>,
        key: &ObjectKey,
    ) -> Result<Option<ObjectRow>, StoreError>;
    /// Up to `limit` versions, newest first. A page may be short before the end, see [`Page`].
    async fn list_objects(
        &self,
        tenant: &TenantName,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError>;
    /// Every processor's results on a version: by name, a result before the failures it overcame.
    async fn results_of(&self, tenant: &TenantName, object: &ObjectId) -> Result<Vec<ResultView>, StoreError>;
    /// Whether each processor a `done` names has its row, whatever that row says now.
    async fn has_results(&self, done: &Done) -> Result<bool, StoreError>;
    /// The event messages about a version, oldest first, at most 1,000.
    async fn events_of(&self, tenant: &TenantName, object: &ObjectId) -> Result<Vec<EventRow>, StoreError>;
    /// A command's result.
    async fn command(&self, tenant: &TenantName, command: &CommandId) -> Result<Option<CommandAnswer>, StoreError>;
    /// The final state a version reached, whether or not it was deleted since; cheaper than [`Store::object`].
    async fn final_state(&self, tenant: &TenantName, object: &ObjectId) -> Result<Option<ObjectState>, StoreError>;
    /// Whether a version has its final state.
    async fn is_final(&self, tenant: &TenantName, object: &ObjectId) -> Result<bool, StoreError> {
        Ok(self.final_state(tenant, object).await?.is_some())
    }

    /// Whether the store answers; cheap.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Housekeeping that the backend does not do by itself, such as removing expired rows. Called now and then.
    async fn maintain(&self) -> Result<(), StoreError>;
}
