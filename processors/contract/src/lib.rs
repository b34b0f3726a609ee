//! What a processor is: the trait, what a [`Job`] and a [`Conclusion`] are, and the battery every processor passes.
//!
//! Nothing here names a stream, acknowledges a message or knows a store's client. The shell (`cofferdam-nats`) turns a delivered
//! event into a [`Job`] and a [`Document`], calls the processor, and turns its answer into a result event, a retry or a dead letter.

#[cfg(any(test, feature = "battery"))]
pub mod battery;
mod catalog;
mod command;
pub mod cores;
mod deps;
mod document;
mod erased;
mod error;
mod job;
pub mod telemetry;

pub use catalog::{Catalog, CatalogError, ObjectRecord, ObjectState};
pub use command::{CommandHandler, CommandJob};
pub use deps::{Deps, Stores};
pub use document::Document;
pub use erased::{AnyProcessor, Registration};
pub use error::{ConfigErrors, ConfigProblem, ErrorClass, ProcessError, StartError};
pub use job::{Conclusion, Job};

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;

/// Turns one document into one result.
///
/// Called at least once per document, possibly concurrently, possibly again after it has succeeded: the result must depend only on
/// the document, the configuration and the processor's version. A call that is cancelled (dropped) may leave behind only what a
/// later call with the same job finds and reuses or overwrites with the same bytes.
pub trait Processor: Sized + Send + Sync + 'static {
    /// The name: subject token, durable name, span, sub-command and metric label. Checked by [`Registration::of`].
    const NAME: &'static str;
    /// The version that stands in result ids. Raise it when the same document would give another result.
    const VERSION: &'static str;
    /// What the operator writes under `[processors.<name>]`.
    type Config: DeserializeOwned + Send;
    /// A configuration known to be valid.
    type Plan: Send;

    /// Checks a configuration. Pure: no files, no network. Reports every problem at once.
    fn plan(config: Self::Config) -> Result<Self::Plan, ConfigErrors>;
    /// Starts the processor; may connect and read files.
    fn start(plan: Self::Plan, deps: &Deps) -> impl Future<Output = Result<Self, StartError>> + Send;
    /// Processes one document. The effects must be durable when it returns.
    fn process(&self, job: &Job, document: Document) -> impl Future<Output = Result<Conclusion, ProcessError>> + Send;
    /// Commands this processor answers besides, each through its own durable consumer. None by default.
    fn commands(self: &Arc<Self>) -> Vec<Arc<dyn CommandHandler>> {
        Vec::new()
    }
}
