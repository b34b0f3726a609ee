//! What is measured. Units are added to the names by the exporter (`cofferdam_sink_commit_seconds`).

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

/// Histogram: messages in one commit, by `sink` and `kind`.
pub const BATCH_SIZE: &str = "cofferdam_sink_batch_size";
/// Histogram: seconds until a batch was durable, failed attempts included, by `sink` and `kind`.
pub const COMMIT: &str = "cofferdam_sink_commit";
/// Histogram: seconds from an object's last-modified time until its final state was durable, by `sink` and `state`.
pub const END_TO_END: &str = "cofferdam_e2e_duration";
/// Counter: attempts to write to the store, or to run a hook, that failed, by `sink` and `what`.
pub const FAILURES: &str = "cofferdam_sink_failures";
/// Gauge: objects whose results are not all in and that are held in the joiner's memory.
pub const JOIN_OPEN: &str = "cofferdam_join_open";
/// Counter: objects by what the joiner did with them: `done`, `spilled`, `failed`.
pub const JOIN_OBJECTS: &str = "cofferdam_join_objects";

const SIZES: [f64; 8] = [1.0, 4.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
const COMMITS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];
/// From 5 ms to 300 s, as the objective is stated (99 % below a minute).
const END_TO_END_S: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 120.0, 300.0];

/// Instruments of one sink.
pub(crate) struct SinkMetrics {
    sink: String,
    batch: Histogram<u64>,
    commit: Histogram<f64>,
    end_to_end: Histogram<f64>,
    failures: Counter<u64>,
}

impl SinkMetrics {
    /// Uses the global meter provider as it is now.
    pub(crate) fn new(sink: &str) -> Self {
        let meter = opentelemetry::global::meter("cofferdam");
        Self {
            sink: sink.to_owned(),
            batch: meter
                .u64_histogram(BATCH_SIZE)
                .with_description("Messages in one commit.")
                .with_boundaries(SIZES.to_vec())
                .build(),
            commit: meter
                .f64_histogram(COMMIT)
                .with_unit("s")
                .with_description("Time until a batch was durable.")
                .with_boundaries(COMMITS.to_vec())
                .build(),
            end_to_end: meter
                .f64_histogram(END_TO_END)
                .with_unit("s")
                .with_description("Time from an object's last-modified time until its final state was durable.")
                .with_boundaries(END_TO_END_S.to_vec())
                .build(),
            failures: meter
                .u64_counter(FAILURES)
                .with_description("Attempts to write to the store or to run a hook that failed.")
                .build(),
        }
    }

    pub(crate) fn committed(&self, kind: &'static str, messages: usize, took: Duration) {
        let labels = [KeyValue::new("sink", self.sink.clone()), KeyValue::new("kind", kind)];
        self.batch.record(messages as u64, &labels);
        self.commit.record(took.as_secs_f64(), &labels);
    }

    pub(crate) fn finished(&self, state: &'static str, millis: i64) {
        let labels = [KeyValue::new("sink", self.sink.clone()), KeyValue::new("state", state)];
        self.end_to_end.record(millis.max(0) as f64 / 1000.0, &labels);
    }

    pub(crate) fn failed(&self, what: &'static str) {
        self.failures.add(
            1,
            &[KeyValue::new("sink", self.sink.clone()), KeyValue::new("what", what)],
        );
    }
}

/// Instruments of the joiner.
pub(crate) struct JoinMetrics {
    open: Gauge<u64>,
    objects: Counter<u64>,
}

impl JoinMetrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("cofferdam");
        Self {
            open: meter
                .u64_gauge(JOIN_OPEN)
                .with_description("Objects held in the joiner's memory.")
                .build(),
            objects: meter
                .u64_counter(JOIN_OBJECTS)
                .with_description("Objects by what the joiner did with them.")
                .build(),
        }
    }

    pub(crate) fn open(&self, objects: usize) {
        self.open.record(objects as u64, &[]);
    }

    pub(crate) fn settled(&self, what: &'static str) {
        self.objects.add(1, &[KeyValue::new("what", what)]);
    }
}
