//! What can be seen from outside, as OpenTelemetry instruments.
//!
//! The constants are the names as Prometheus shows them. The exporter adds `_total` to counters and the unit to the
//! rest, so the instruments themselves are named without. No label is a tenant, an object or anything else without a
//! bound.

use std::time::Duration;

use cofferdam_schemas::Timestamp;
use cofferdam_seams::{Clock, SystemClock};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, UpDownCounter};
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::topology::{ConsumerSpec, DLQ, Topology};

/// Deliveries, by `consumer` and `attempt` (`1`, `2`, `3+`).
pub const DELIVERIES: &str = "cofferdam_deliveries_total";
/// Time from delivery to settlement, by `stage` (the consumer) and `outcome` (`done`, `retry`, `dead`, `halt`,
/// `released`).
pub const STAGE_DURATION: &str = "cofferdam_stage_duration_seconds";
/// Messages given up, by `stage` (the consumer) and `reason` (the class).
pub const DEAD_LETTERS: &str = "cofferdam_dead_letters_total";
/// Deliveries that are being worked on, by `consumer`.
pub const INFLIGHT: &str = "cofferdam_inflight";
/// Publishes, by `kind` (`event`, `result` and so on) and `outcome` (`stored`, `duplicate`, `full`, `unavailable`,
/// `refused`).
pub const PUBLISHES: &str = "cofferdam_publishes_total";
/// How often a pull had to be set up again, by `consumer` and `cause`.
pub const PULLS_LOST: &str = "cofferdam_pulls_lost_total";
/// What the connection went through, by `role` and `event`.
pub const CONNECTION_EVENTS: &str = "cofferdam_connection_events_total";
/// Batches a sink or the joiner handled: messages in each, by `consumer`.
pub const BATCH_SIZE: &str = "cofferdam_sink_batch_size";
/// Messages waiting, by `stream` and `consumer`.
pub const CONSUMER_PENDING: &str = "cofferdam_consumer_pending";
/// Messages delivered and not yet acknowledged, by `stream` and `consumer`.
pub const CONSUMER_ACK_PENDING: &str = "cofferdam_consumer_ack_pending";
/// Messages that were delivered more than once and are not acknowledged, by `stream` and `consumer`.
pub const CONSUMER_REDELIVERED: &str = "cofferdam_consumer_redelivered";
/// Pull requests waiting at the server, by `stream` and `consumer`: 0 means nobody works.
pub const CONSUMER_WAITING: &str = "cofferdam_consumer_waiting";
/// Age of the oldest message that is not acknowledged, by `stream` and `consumer`. The lag to alert on.
pub const OLDEST_UNPROCESSED_AGE: &str = "cofferdam_oldest_unprocessed_age_seconds";
/// Dead letters waiting for a person.
pub const DLQ_DEPTH: &str = "cofferdam_dlq_depth";
/// Age of the oldest of them.
pub const DLQ_OLDEST_AGE: &str = "cofferdam_dlq_oldest_age_seconds";

/// Messages the trimmer removed, by `stream`.
pub const TRIMMED: &str = "cofferdam_trimmed_messages_total";
/// How full a stream is, by `stream`: at 1 it refuses messages.
pub const STREAM_FILL: &str = "cofferdam_stream_fill_ratio";
/// 1 while something keeps a stream above the trimmer's mark, by `stream` and `by` (a consumer, or `settling`,
/// `uncopied`, `young`, `dead-letter`, `replay`).
pub const TRIM_HELD: &str = "cofferdam_trim_held";

/// Bounds of duration histograms in seconds: 5 ms to 300 s.
const SECONDS: [f64; 15] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// The instruments of one connection. Made when the connection is, so after the program has installed its meter
/// provider.
pub(crate) struct Metrics {
    deliveries: Counter<u64>,
    stage_duration: Histogram<f64>,
    dead_letters: Counter<u64>,
    inflight: UpDownCounter<i64>,
    publishes: Counter<u64>,
    pulls_lost: Counter<u64>,
    connection_events: Counter<u64>,
    batch_size: Histogram<u64>,
    pending: Gauge<u64>,
    ack_pending: Gauge<u64>,
    redelivered: Gauge<u64>,
    waiting: Gauge<u64>,
    oldest_age: Gauge<f64>,
    dlq_depth: Gauge<u64>,
    dlq_oldest_age: Gauge<f64>,
    trimmed: Counter<u64>,
    stream_fill: Gauge<f64>,
    trim_held: Gauge<u64>,
}

/// The instrument's own name: what the exporter adds is taken off.
fn bare(name: &'static str) -> &'static str {
    name.strip_suffix("_total")
        .or_else(|| name.strip_suffix("_seconds"))
        .unwrap_or(name)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("cofferdam");
        let counter = |name, text| meter.u64_counter(bare(name)).with_description(text).build();
        let gauge = |name, text| meter.u64_gauge(bare(name)).with_description(text).build();
        let age = |name, text| {
            meter
                .f64_gauge(bare(name))
                .with_unit("s")
                .with_description(text)
                .build()
        };
        Self {
            deliveries: counter(DELIVERIES, "Deliveries by consumer and attempt."),
            stage_duration: meter
                .f64_histogram(bare(STAGE_DURATION))
                .with_unit("s")
                .with_description("Time from delivery to settlement.")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            dead_letters: counter(DEAD_LETTERS, "Messages that were given up."),
            inflight: meter
                .i64_up_down_counter(bare(INFLIGHT))
                .with_description("Deliveries that are being worked on.")
                .build(),
            publishes: counter(PUBLISHES, "Messages published, by kind and outcome."),
            pulls_lost: counter(PULLS_LOST, "Pulls that had to be set up again."),
            connection_events: counter(CONNECTION_EVENTS, "What the connection to the broker went through."),
            batch_size: meter
                .u64_histogram(bare(BATCH_SIZE))
                .with_description("Messages in a batch.")
                .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
                .build(),
            pending: gauge(CONSUMER_PENDING, "Messages waiting for a consumer."),
            ack_pending: gauge(CONSUMER_ACK_PENDING, "Messages delivered and not yet acknowledged."),
            redelivered: gauge(
                CONSUMER_REDELIVERED,
                "Messages delivered more than once and not acknowledged.",
            ),
            waiting: gauge(CONSUMER_WAITING, "Pull requests waiting at the server."),
            oldest_age: age(
                OLDEST_UNPROCESSED_AGE,
                "Age of the oldest message that is not acknowledged.",
            ),
            dlq_depth: gauge(DLQ_DEPTH, "Dead letters waiting for a person."),
            dlq_oldest_age: age(DLQ_OLDEST_AGE, "Age of the oldest dead letter."),
            trimmed: counter(TRIMMED, "Messages the trimmer removed."),
            stream_fill: meter
                .f64_gauge(bare(STREAM_FILL))
                .with_description("How full a stream is; at 1 it refuses messages.")
                .build(),
            trim_held: gauge(TRIM_HELD, "What keeps a stream above the trimmer's mark."),
        }
    }

    pub(crate) fn trimmed(&self, stream: &'static str, messages: u64) {
        self.trimmed.add(messages, &[KeyValue::new("stream", stream)]);
    }

    pub(crate) fn filled(&self, stream: &'static str, share: f64) {
        self.stream_fill.record(share, &[KeyValue::new("stream", stream)]);
    }

    pub(crate) fn trim_held(&self, stream: &'static str, by: &str, held: bool) {
        let labels = [KeyValue::new("stream", stream), KeyValue::new("by", by.to_owned())];
        self.trim_held.record(u64::from(held), &labels);
    }

    pub(crate) fn delivered(&self, consumer: &str, attempt: u64) {
        let attempt = match attempt {
            0 | 1 => "1",
            2 => "2",
            _ => "3+",
        };
        self.deliveries.add(
            1,
            &[
                KeyValue::new("consumer", consumer.to_owned()),
                KeyValue::new("attempt", attempt),
            ],
        );
    }

    pub(crate) fn settled(&self, consumer: &str, outcome: &'static str, took: Duration) {
        let labels = [
            KeyValue::new("stage", consumer.to_owned()),
            KeyValue::new("outcome", outcome),
        ];
        self.stage_duration.record(took.as_secs_f64(), &labels);
    }

    pub(crate) fn dead(&self, consumer: &str, class: &str) {
        let labels = [
            KeyValue::new("stage", consumer.to_owned()),
            KeyValue::new("reason", class.to_owned()),
        ];
        self.dead_letters.add(1, &labels);
    }

    pub(crate) fn working(&self, consumer: &str, change: i64) {
        self.inflight
            .add(change, &[KeyValue::new("consumer", consumer.to_owned())]);
    }

    pub(crate) fn published(&self, kind: &'static str, outcome: &'static str) {
        self.publishes
            .add(1, &[KeyValue::new("kind", kind), KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn pull_lost(&self, consumer: &str, cause: &'static str) {
        self.pulls_lost.add(
            1,
            &[
                KeyValue::new("consumer", consumer.to_owned()),
                KeyValue::new("cause", cause),
            ],
        );
    }

    pub(crate) fn connection(&self, role: &str, event: &'static str) {
        self.connection_events.add(
            1,
            &[KeyValue::new("role", role.to_owned()), KeyValue::new("event", event)],
        );
    }

    pub(crate) fn batch(&self, consumer: &str, messages: usize) {
        self.batch_size
            .record(messages as u64, &[KeyValue::new("consumer", consumer.to_owned())]);
    }
}

/// Reads every consumer's state each `every`, and the depth of `DLQ`, into the gauges, until `stop`. The role needs the
/// API's consumer and stream information and to read single messages. What cannot be read is logged and left as it was.
pub async fn poll_consumers(bus: Bus, topology: Topology, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for consumer in &topology.consumers {
            if let Err(error) = poll_consumer(&bus, consumer).await {
                tracing::warn!(
                    stream = consumer.stream,
                    consumer = consumer.name,
                    error = crate::error::chain(&error),
                    "consumer cannot be looked at"
                );
            }
        }
        if let Err(error) = poll_dlq(&bus).await {
            tracing::warn!(
                stream = DLQ,
                error = crate::error::chain(&error),
                "stream cannot be looked at"
            );
        }
    }
}

async fn poll_consumer(bus: &Bus, spec: &ConsumerSpec) -> Result<(), crate::NatsError> {
    let info = bus.consumer_info(spec.stream, &spec.name).await?;
    let labels = [
        KeyValue::new("stream", spec.stream),
        KeyValue::new("consumer", spec.name.clone()),
    ];
    let metrics = bus.metrics();
    metrics.pending.record(info.num_pending, &labels);
    metrics.ack_pending.record(info.num_ack_pending as u64, &labels);
    metrics.redelivered.record(info.num_redelivered as u64, &labels);
    metrics.waiting.record(info.num_waiting as u64, &labels);
    let age = if info.num_pending == 0 && info.num_ack_pending == 0 {
        None
    } else {
        // The first message behind the floor that one of the filters takes.
        let mut oldest = None;
        for filter in spec.filters() {
            let first = bus
                .first_from(spec.stream, info.ack_floor.stream_sequence + 1, &filter)
                .await?;
            oldest = oldest.into_iter().chain(first.map(|message| message.time)).min();
        }
        oldest
    };
    metrics.oldest_age.record(age.map_or(0.0, seconds_since), &labels);
    Ok(())
}

async fn poll_dlq(bus: &Bus) -> Result<(), crate::NatsError> {
    let state = bus.stream_state(DLQ).await?;
    bus.metrics().dlq_depth.record(state.messages, &[]);
    let age = if state.messages == 0 {
        0.0
    } else {
        seconds_since(state.first_timestamp)
    };
    bus.metrics().dlq_oldest_age.record(age, &[]);
    Ok(())
}

fn seconds_since(at: Timestamp) -> f64 {
    let millis = SystemClock.now().unix_millis().saturating_sub(at.unix_millis());
    (millis as f64 / 1000.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exporter_adds_what_is_taken_off() {
        assert_eq!(bare(DELIVERIES), "cofferdam_deliveries");
        assert_eq!(bare(STAGE_DURATION), "cofferdam_stage_duration");
        assert_eq!(bare(INFLIGHT), "cofferdam_inflight");
    }
}
