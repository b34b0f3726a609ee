//! The one shell in which work happens.
//!
//! A worker pulls from one durable consumer and never holds more than it can keep alive. A message goes through one
//! task: wait for a permit, work, settle; all the while another task reports progress, three times per ack wait or more,
//! so that a message is redelivered only when its worker is gone.
//!
//! What becomes of a message is one pure function, [`decide`](mod@self) over result, attempt and policy:
//!
//! | result | disposition |
//! |---|---|
//! | done | acknowledged (confirmed after long work) |
//! | [`Failure::Retry`] | given back with a delay; at the delivery limit dead-lettered as `exhausted` |
//! | [`Failure::Reject`] | dead-lettered: full copy in `DLQ`, a result with outcome `dead`, then terminated |
//! | [`Failure::Halt`] | left as it is; the worker stops with [`WorkerError::Halted`] |
//! | panic | given back; dead-lettered at the third of one message |
//! | stopped | given back at once |
//!
//! Nothing is acknowledged before its effects are durable and its result is stored. An acknowledgement that is lost is
//! a redelivery, which every handler must take: the same message again has the same effect again.

mod batch;
mod command;
mod dead;
mod decide;
mod delivery;
mod dlq_writer;
mod keep;
mod processor;
mod pull;
mod read;
mod settle;
mod shell;
mod single;

pub use batch::{Acks, Batch, BatchSettings, run_batch};
pub use command::run_command;
pub use delivery::{Delivery, Ticket};
pub use dlq_writer::run_dlq_writer;
pub use processor::run_processor;
pub use read::read_any;
pub use single::{Single, run_single};

use std::time::Duration;

use cofferdam_schemas::ErrorCode;
use tokio_util::sync::CancellationToken;

use crate::error::NatsError;

/// How long a message that failed waits before it is delivered again, by attempt; the last one repeats. Jitter of 20 %
/// is added.
pub const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1800),
];

/// How a worker works. The delivery limit and the ack wait come from the consumer.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Messages worked on at once. As many again are held ready.
    pub concurrency: usize,
    /// Cancelled to stop: pulling ends, work in progress is finished.
    pub stop: CancellationToken,
    /// How long work in progress may take after `stop` before it is cancelled and given back.
    pub grace: Duration,
    /// See [`RETRY_DELAYS`]. Must not be empty; an empty list stands for [`RETRY_DELAYS`].
    pub delays: Vec<Duration>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            concurrency: 4,
            stop: CancellationToken::new(),
            grace: Duration::from_secs(8),
            delays: RETRY_DELAYS.to_vec(),
        }
    }
}

/// Why a message was not handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may pass: deliver it again, later.
    Retry {
        /// For logs and, at the limit, the dead letter. No document content, no secret.
        reason: String,
    },
    /// It will not pass: dead-letter it.
    Reject {
        /// One word for subject and metric, such as `schema`.
        class: String,
        /// What users see.
        code: ErrorCode,
        /// For logs and the dead letter. No document content, no secret.
        reason: String,
    },
    /// Our fault, or our configuration's: stop the worker and leave the message for when that is mended.
    Halt {
        /// For whoever runs it.
        reason: String,
    },
}

impl From<crate::PublishError> for Failure {
    /// A broker that is full or away may recover; a message that is too large never will; a refusal is our
    /// configuration's fault.
    fn from(error: crate::PublishError) -> Self {
        use crate::PublishError::{Backpressure, Rejected, TooLarge, Unavailable};
        let reason = crate::error::chain(&error);
        match error {
            Backpressure { .. } | Unavailable { .. } => Failure::Retry { reason },
            TooLarge { .. } => Failure::Reject {
                class: "too-large".into(),
                code: ErrorCode::LimitExceeded,
                reason,
            },
            Rejected { .. } => Failure::Halt { reason },
        }
    }
}

/// A worker ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not begin.
    #[error("worker of {consumer} cannot start")]
    Start {
        /// The consumer.
        consumer: String,
        /// What failed.
        #[source]
        source: NatsError,
    },
    /// A handler met a fault that is ours. The message is still there and is delivered again when a worker runs.
    #[error("worker of {consumer} stopped at message {sequence}: {reason}")]
    Halted {
        /// The consumer.
        consumer: String,
        /// The message's sequence in its stream.
        sequence: u64,
        /// What the handler said.
        reason: String,
    },
}

/// The words for an error code in subjects and reasons.
pub(crate) fn code_str(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest => "invalid-request",
        ErrorCode::UnknownCommand => "unknown-command",
        ErrorCode::NotFound => "not-found",
        ErrorCode::NotReady => "not-ready",
        ErrorCode::Quarantined => "quarantined",
        ErrorCode::NotQuarantined => "not-quarantined",
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::InvalidRange => "invalid-range",
        ErrorCode::LimitExceeded => "limit-exceeded",
        ErrorCode::Damaged => "damaged",
        ErrorCode::CannotOpen => "cannot-open",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::Backpressure => "backpressure",
        ErrorCode::Internal => "internal",
    }
}
