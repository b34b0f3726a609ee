//! What is seen from outside of one call of a processor: a span and two instruments, the same for every processor.
//!
//! They are made here, around [`crate::Processor::process`], so that a new processor has them without a line of its own. The shell's
//! delivery span is the parent; deliveries, retries and dead letters are the shell's to count.

use std::future::Future;
use std::time::Instant;

use cofferdam_schemas::ProcessorName;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::error::{ErrorClass, ProcessError};
use crate::job::{Conclusion, Job};

/// Name of the span around one call.
pub const SPAN: &str = "process_document";
/// Fields the span has when it closes (`verdict` and `findings` only after success).
pub const SPAN_FIELDS: [&str; 7] = [
    "processor",
    "processor_version",
    "event",
    "object",
    "attempt",
    "bytes",
    "outcome",
];
/// Histogram: seconds one call took, by `processor` and `outcome`.
pub const DURATION: &str = "cofferdam_process_duration";
/// Counter: bytes of the documents that were processed to an end, as the store claims their size, by `processor`.
pub const BYTES: &str = "cofferdam_process_bytes";

/// Seconds: from a small text to five GiB.
const BOUNDARIES: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0,
];

/// The instruments of one processor.
pub(crate) struct Instruments {
    name: ProcessorName,
    version: &'static str,
    duration: Histogram<f64>,
    bytes: Counter<u64>,
}

impl Instruments {
    /// Uses the global meter provider as it is now: install it before processors start.
    pub(crate) fn new(name: &ProcessorName, version: &'static str) -> Self {
        let meter = opentelemetry::global::meter("cofferdam");
        Self {
            name: name.clone(),
            version,
            duration: meter
                .f64_histogram(DURATION)
                .with_unit("s")
                .with_description("Time one processor spent on one document.")
                .with_boundaries(BOUNDARIES.to_vec())
                .build(),
            bytes: meter
                .u64_counter(BYTES)
                .with_unit("By")
                .with_description("Size of the documents a processor brought to a result.")
                .build(),
        }
    }

    /// Runs one call inside its span and records how it ended, also when it is dropped half-way.
    pub(crate) async fn observe(
        &self,
        job: &Job,
        call: impl Future<Output = Result<Conclusion, ProcessError>>,
    ) -> Result<Conclusion, ProcessError> {
        let span = tracing::info_span!(
            SPAN,
            processor = %self.name,
            processor_version = self.version,
            event = %job.event,
            object = %job.object.id,
            attempt = job.attempt,
            bytes = job.object.size,
            outcome = Empty,
            verdict = Empty,
            findings = Empty,
        );
        let mut ending = Ending {
            instruments: self,
            span: span.clone(),
            began: Instant::now(),
            outcome: "cancelled",
        };
        let result = call.instrument(span.clone()).await;
        ending.outcome = outcome(&result);
        if let Ok(conclusion) = &result {
            self.bytes.add(
                job.object.size,
                &[KeyValue::new("processor", self.name.as_str().to_owned())],
            );
            if let Some(verdict) = conclusion.verdict {
                span.record("verdict", verdict.as_str());
            }
            span.record("findings", conclusion.findings.len());
        }
        result
    }
}

fn outcome(result: &Result<Conclusion, ProcessError>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(ProcessError::Cancelled) => "cancelled",
        Err(error) => match error.class() {
            ErrorClass::Retry => "retry",
            ErrorClass::Reject => "reject",
            ErrorClass::Superseded => "superseded",
            ErrorClass::Halt => "halt",
        },
    }
}

/// Records the end when it goes out of scope, so that a dropped call is seen too.
struct Ending<'a> {
    instruments: &'a Instruments,
    span: Span,
    began: Instant,
    outcome: &'static str,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.span.record("outcome", self.outcome);
        let labels = [
            KeyValue::new("processor", self.instruments.name.as_str().to_owned()),
            KeyValue::new("outcome", self.outcome),
        ];
        self.instruments
            .duration
            .record(self.began.elapsed().as_secs_f64(), &labels);
    }
}
