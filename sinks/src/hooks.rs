//! What is done once rows are durable.

use async_trait::async_trait;
use cofferdam_schemas::{CommandResult, Done, ResultEvent};

use crate::error::Source;

/// Something that follows a durable row: retiring the plaintext, closing the ledger row.
///
/// Called with what was committed, before it is acknowledged, so at least once and again after a crash: each must take what it was given before. An
/// error in a batch has the hook called again with one item at a time; items that fail alone come again later and hold up nothing else.
#[async_trait]
pub trait FinalHook: Send + Sync {
    /// Objects whose final state is durable.
    async fn on_final(&self, done: &[Done]) -> Result<(), HookError>;
    /// Commands whose result is durable. The results still have their links.
    async fn on_commands(&self, _results: &[CommandResult]) -> Result<(), HookError> {
        Ok(())
    }
    /// Results of processors that gave up, durable.
    async fn on_dead(&self, _results: &[ResultEvent]) -> Result<(), HookError> {
        Ok(())
    }
}

/// A hook did not do its work; it is tried again.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed")]
pub struct HookError {
    /// What, for example `retiring the plaintext`.
    pub what: &'static str,
    /// What failed.
    #[source]
    pub source: Source,
}

impl HookError {
    /// An error of a hook.
    pub fn new(what: &'static str, source: impl Into<Source>) -> Self {
        Self {
            what,
            source: source.into(),
        }
    }
}
