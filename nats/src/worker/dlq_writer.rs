//! The safety net below the workers: messages that used up their deliveries without any worker saying so, because each
//! one died over them.
//!
//! The broker tells in an advisory, which `ADV` makes durable. Here the body is read from where it lies and copied into
//! `DLQ` under the same id that a worker would have used, so that both ways make one letter; for documents and commands
//! the result with outcome `dead` is published as well.

use std::sync::Arc;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_schemas::cloudevent::Attributes;
use cofferdam_schemas::{ErrorCode, Lane, ProcessorName, Timestamp};
use cofferdam_seams::{Clock, SystemClock};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::command::{partition_of, read_command};
use super::dead::{dead_command, dead_result};
use super::decide::Fault;
use super::delivery::Delivery;
use super::processor::read_event;
use super::shell::{self, Handler};
use super::{Failure, WorkerError, WorkerSettings, code_str};
use crate::bus::{Bus, REDRIVE};
use crate::dlq::Burial;
use crate::error::chain;
use crate::topology::{ADV, CMD, DLQ_WRITER, EVT};

/// Stands for the version of a processor that could not say it any more.
const NO_VERSION: &str = "unknown";

/// Runs the dead-letter writer until it is stopped.
///
/// # Errors
/// [`WorkerError::Start`] when its consumer is not there, [`WorkerError::Halted`] when it lacks a permission.
pub async fn run_dlq_writer(bus: Bus, stop: CancellationToken) -> Result<(), WorkerError> {
    let settings = WorkerSettings {
        concurrency: 4,
        stop,
        ..WorkerSettings::default()
    };
    let writer = Writer {
        bus: bus.clone(),
        clock: SystemClock,
    };
    shell::run(bus, ADV, DLQ_WRITER, Arc::new(writer), settings).await
}

/// An advisory about a message, as far as it is read.
#[derive(Debug, Deserialize)]
struct Advisory {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    consumer: String,
    #[serde(default)]
    stream_seq: u64,
    #[serde(default)]
    deliveries: u64,
    #[serde(default)]
    reason: String,
}

const MAX_DELIVER: &str = "io.nats.jetstream.advisory.v1.max_deliver";
const TERMINATED: &str = "io.nats.jetstream.advisory.v1.terminated";

struct Writer {
    bus: Bus,
    clock: SystemClock,
}

#[async_trait]
impl Handler for Writer {
    async fn handle(&self, delivery: &Delivery, _: CancellationToken) -> Result<(), Fault> {
        let advisory: Advisory = delivery.decode()?;
        match advisory.kind.as_str() {
            MAX_DELIVER => self.write(&advisory, "exhausted", ErrorCode::Internal, true).await?,
            // A worker that terminates has written letter and result already; only somebody else's `+TERM` makes a new
            // one here.
            TERMINATED => {
                let class = advisory
                    .reason
                    .split('/')
                    .next()
                    .filter(|class| !class.is_empty())
                    .unwrap_or("terminated")
                    .to_owned();
                self.write(&advisory, &class, ErrorCode::Internal, false).await?;
            }
            _ => tracing::warn!(kind = advisory.kind, stream = advisory.stream, "broker advisory noted"),
        }
        Ok(())
    }
}

impl Writer {
    async fn write(&self, advisory: &Advisory, class: &str, code: ErrorCode, tell: bool) -> Result<(), Failure> {
        let Advisory {
            stream,
            consumer,
            stream_seq,
            deliveries,
            reason,
            ..
        } = advisory;
        if stream == ADV {
            return Ok(());
        }
        let Some(message) = self.read(stream, *stream_seq).await? else {
            tracing::error!(
                stream,
                consumer,
                stream_seq,
                "message was given up and is gone from its stream, nothing is left to copy"
            );
            return Ok(());
        };
        let reason = match reason.as_str() {
            "" => {
                format!("delivered {deliveries} times and never settled: each worker that took it died or fell silent")
            }
            said => format!("terminated: {said}"),
        };
        let stored_at = Timestamp::from(message.time);
        if tell {
            self.tell(stream, consumer, &message, code, &reason).await?;
        }
        let burial = Burial {
            stream,
            consumer,
            sequence: *stream_seq,
            deliveries: *deliveries,
            subject: &message.subject,
            headers: &message.headers,
            body: message.payload.clone(),
            stored_at,
            class,
            code: code_str(code),
            reason: &reason,
        };
        let stored = burial.publish(&self.bus).await?;
        if !stored.duplicate {
            self.bus.metrics().dead(consumer, class);
            tracing::error!(stream, consumer, stream_seq, reason, "message is given up");
        }
        Ok(())
    }

    /// The result of the work that will not be done.
    async fn tell(
        &self,
        stream: &str,
        consumer: &str,
        message: &StreamMessage,
        code: ErrorCode,
        reason: &str,
    ) -> Result<(), Failure> {
        let delivery = as_delivery(message);
        let redrive = message
            .headers
            .get(REDRIVE)
            .and_then(|n| n.as_str().parse().ok())
            .unwrap_or(0);
        if stream == EVT
            && let (Some(processor), Ok(event)) = (processor_of(consumer), read_event(&delivery))
        {
            let result = dead_result(&event, &processor, NO_VERSION, code, reason, self.clock.now());
            self.bus.publish_result(&result, redrive).await?;
        }
        if stream == CMD
            && let Ok(command) = read_command(&delivery)
        {
            let result = dead_command(&command, code, reason, self.clock.now());
            self.bus
                .publish_command_result(&result, partition_of(&command.id), redrive)
                .await?;
        }
        Ok(())
    }

    async fn read(&self, stream: &str, sequence: u64) -> Result<Option<StreamMessage>, Failure> {
        let retry = |error: &(dyn std::error::Error + 'static)| Failure::Retry { reason: chain(error) };
        let stream = self
            .bus
            .jetstream()
            .get_stream_no_info(stream)
            .await
            .map_err(|e| retry(&e))?;
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(retry(&error)),
        }
    }
}

/// The processor whose consumer this is; sinks and others have none.
fn processor_of(consumer: &str) -> Option<ProcessorName> {
    Lane::ALL
        .iter()
        .find_map(|lane| consumer.strip_suffix(&format!("-{lane}")))
        .and_then(|name| ProcessorName::new(name).ok())
}

fn as_delivery(message: &StreamMessage) -> Delivery {
    let attributes = Attributes::read(|name| message.headers.get(name).map(|v| v.as_str())).ok();
    let body: Bytes = message.payload.clone();
    Delivery::detached(
        message.subject.to_string(),
        attributes,
        body,
        message.sequence,
        Timestamp::from(message.time),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processors_consumers_have_a_processor() {
        assert_eq!(processor_of("encrypt-hi").unwrap().as_str(), "encrypt");
        assert_eq!(processor_of("word-count-bulk").unwrap().as_str(), "word-count");
        assert_eq!(processor_of("sink-sqlite-events"), None);
        assert_eq!(processor_of("cmd-retrieve"), None);
    }

    #[test]
    fn advisories_are_read() {
        let text = r#"{"type":"io.nats.jetstream.advisory.v1.max_deliver","id":"x","timestamp":"2026-01-01T00:00:00Z","stream":"EVT",
            "consumer":"encrypt-hi","stream_seq":7,"deliveries":6}"#;
        let advisory: Advisory = serde_json::from_str(text).unwrap();
        assert_eq!(
            (advisory.kind.as_str(), advisory.stream_seq, advisory.deliveries),
            (MAX_DELIVER, 7, 6)
        );
        assert_eq!(advisory.reason, "");
    }
}
