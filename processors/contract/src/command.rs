//! Commands a processor answers.

use async_trait::async_trait;
use cofferdam_schemas::{Command, CommandOutcome, WireError};
use tokio_util::sync::CancellationToken;

use crate::error::ProcessError;

/// One accepted command.
#[derive(Debug, Clone)]
pub struct CommandJob {
    /// The command.
    pub command: Command,
    /// 1 for the first delivery.
    pub attempt: u32,
    /// Cancelled when the service stops and will not wait any longer.
    pub cancelled: CancellationToken,
}

/// Answers one kind of command. The same rules as for [`crate::Processor::process`]: at least once, possibly concurrently, the same
/// command must have the same effect however often it is delivered.
#[async_trait]
pub trait CommandHandler: Send + Sync + 'static {
    /// The verb, a token: subject `cmd.v1.<tenant>.<verb>`, durable `cmd-<verb>`.
    fn verb(&self) -> &'static str;
    /// Checks a body before the command is accepted. Pure and quick; the error is what the caller gets.
    fn check(&self, body: &serde_json::Value) -> Result<(), String>;
    /// Does it. `Ok(Err(..))` is a refusal that the caller is told; `Err(..)` is classified as for documents.
    async fn handle(&self, job: &CommandJob) -> Result<Result<CommandOutcome, WireError>, ProcessError>;
}
