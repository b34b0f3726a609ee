//! Commands: an accepted command in, its result out.

use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_processor::{CommandHandler, CommandJob};
use cofferdam_schemas::{Command, CommandId, CommandResult, ErrorCode, Outcome, Partition};
use cofferdam_seams::Clock;
use cofferdam_seams::crash::{self, Point, When};
use tokio_util::sync::CancellationToken;

use super::dead::{dead_command, gone};
use super::decide::Fault;
use super::delivery::Delivery;
use super::processor::fault;
use super::shell::{self, Handler};
use super::{Failure, WorkerError, WorkerSettings};
use crate::bus::Bus;
use crate::error::PublishError;
use crate::subject::Cmd;
use crate::topology::{CMD, command_consumer};

struct Shell {
    bus: Bus,
    handler: Arc<dyn CommandHandler>,
    clock: Arc<dyn Clock>,
}

/// Runs the handler of one verb until it is stopped. A refusal is a result with outcome `dead` and the refusal's error;
/// only a command that could not be carried out leaves a dead letter besides.
///
/// # Errors
/// [`WorkerError::Start`] when its consumer is not there, [`WorkerError::Halted`] when the handler says the fault is
/// ours.
pub async fn run_command(
    bus: Bus,
    handler: Arc<dyn CommandHandler>,
    clock: Arc<dyn Clock>,
    settings: WorkerSettings,
) -> Result<(), WorkerError> {
    let consumer = command_consumer(handler.verb());
    let handler = Shell {
        bus: bus.clone(),
        handler,
        clock,
    };
    shell::run(bus, CMD, &consumer, Arc::new(handler), settings).await
}

/// The command of a delivery, if its subject says the same about it.
pub(super) fn read_command(delivery: &Delivery) -> Result<Command, Failure> {
    let command: Command = delivery.decode_as(&[Command::TYPE])?;
    if delivery.subject.parse::<Cmd>().ok() != Some(Cmd::from(&command)) {
        return Err(delivery.off_schema("its body names another tenant or verb than its subject"));
    }
    Ok(command)
}

/// The partition of a command's result. A command need not concern an object, so it is a hash of the id (FNV-1a).
pub(super) fn partition_of(id: &CommandId) -> Partition {
    let hash = id.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    // Unwrap safety: a remainder of the number of partitions is below it.
    #[allow(clippy::expect_used)]
    Partition::new((hash % u32::from(Partition::COUNT)) as u8).expect("below the number of partitions")
}

impl Shell {
    async fn publish(&self, result: &CommandResult, redrive: u32) -> Result<(), PublishError> {
        self.bus
            .publish_command_result(result, partition_of(&result.id), redrive)
            .await
            .map(drop)
    }
}

#[async_trait]
impl Handler for Shell {
    async fn handle(&self, delivery: &Delivery, cancelled: CancellationToken) -> Result<(), Fault> {
        let command = read_command(delivery)?;
        let attempt = u32::try_from(delivery.delivered).unwrap_or(u32::MAX);
        let job = CommandJob {
            command: command.clone(),
            attempt,
            cancelled,
        };
        let (outcome, result, error) = match self.handler.handle(&job).await {
            Ok(Ok(outcome)) => (Outcome::Done, Some(outcome), None),
            Ok(Err(refusal)) => (Outcome::Dead, None, Some(refusal)),
            Err(error) => match fault(&error) {
                Some(fault) => return Err(fault),
                // What it was about is gone: an answer, not a failure.
                None => (
                    Outcome::Dead,
                    None,
                    Some(gone(&command, error.code(), self.clock.now())),
                ),
            },
        };
        let Command { id, tenant, verb, .. } = command;
        let result = CommandResult {
            id,
            tenant,
            verb,
            outcome,
            result,
            error,
            finished_at: self.clock.now(),
        };
        crash::point(Point::CommandResultPublished, When::Before);
        self.publish(&result, delivery.redrive).await.map_err(Failure::from)?;
        crash::point(Point::CommandResultPublished, When::After);
        Ok(())
    }

    async fn dead(&self, delivery: &Delivery, code: ErrorCode, reason: &str) -> Result<(), PublishError> {
        let Ok(command) = read_command(delivery) else {
            return Ok(());
        };
        self.publish(
            &dead_command(&command, code, reason, self.clock.now()),
            delivery.redrive,
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn commands_spread_over_partitions_and_repeat() {
        let ids: Vec<_> = (0..1000).map(|n| CommandId::new(format!("cmd-{n}")).unwrap()).collect();
        let partitions: BTreeSet<_> = ids.iter().map(partition_of).collect();
        assert_eq!(partitions.len(), usize::from(Partition::COUNT));
        assert_eq!(partition_of(&ids[7]), partition_of(&ids[7].clone()));
    }
}
