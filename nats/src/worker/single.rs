//! Handlers outside the processors: the normaliser of foreign notifications.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::decide::Fault;
use super::delivery::Delivery;
use super::shell::{self, Handler};
use super::{Failure, WorkerError, WorkerSettings};
use crate::bus::Bus;

/// Handles one message at a time for each permit.
#[async_trait]
pub trait Single: Send + Sync + 'static {
    /// Handles it. Called at least once a message, possibly concurrently, possibly again after it succeeded. Its
    /// effects must be durable when it returns `Ok`; the message is acknowledged then.
    async fn handle(&self, delivery: &Delivery) -> Result<(), Failure>;
}

struct Adapter(Arc<dyn Single>);

#[async_trait]
impl Handler for Adapter {
    async fn handle(&self, delivery: &Delivery, _: CancellationToken) -> Result<(), Fault> {
        Ok(self.0.handle(delivery).await?)
    }
}

/// Runs a handler on a consumer until it is stopped.
///
/// # Errors
/// [`WorkerError::Start`] when the consumer is not there, [`WorkerError::Halted`] when the handler answers
/// [`Failure::Halt`].
pub async fn run_single(
    bus: Bus,
    stream: &str,
    consumer: &str,
    handler: Arc<dyn Single>,
    settings: WorkerSettings,
) -> Result<(), WorkerError> {
    shell::run(bus, stream, consumer, Arc::new(Adapter(handler)), settings).await
}
