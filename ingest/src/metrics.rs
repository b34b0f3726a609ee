//! What this crate counts. Names are without `_total`: the Prometheus exporter appends it to every counter.

use std::sync::OnceLock;

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

/// `cofferdam_notifications_total{source,kind}`: what sources said, by what became of it.
pub(crate) const NOTIFICATIONS: &str = "cofferdam_notifications";
/// `cofferdam_outbox_depth`: ledger rows that are not final.
pub(crate) const OUTBOX_DEPTH: &str = "cofferdam_outbox_depth";
/// `cofferdam_outbox_oldest_age_seconds`: age of the oldest of them; 0 when there is none.
pub(crate) const OUTBOX_AGE: &str = "cofferdam_outbox_oldest_age_seconds";
/// `cofferdam_redriven_total{kind}`: rows published again.
pub(crate) const REDRIVEN: &str = "cofferdam_redriven";
/// `cofferdam_retired_total{outcome}`: what became of plaintexts whose object is final.
pub(crate) const RETIRED: &str = "cofferdam_retired";
/// `cofferdam_commands_total{verb,outcome}`: what the gateway answered.
pub(crate) const COMMANDS: &str = "cofferdam_commands";

struct Instruments {
    notifications: Counter<u64>,
    depth: Gauge<u64>,
    age: Gauge<f64>,
    redriven: Counter<u64>,
    retired: Counter<u64>,
    commands: Counter<u64>,
}

/// Made at first use, which is after the process has set the global meter provider.
fn instruments() -> &'static Instruments {
    static ONCE: OnceLock<Instruments> = OnceLock::new();
    ONCE.get_or_init(|| {
        let meter = global::meter("cofferdam");
        Instruments {
            notifications: meter
                .u64_counter(NOTIFICATIONS)
                .with_description("notifications of sources, by what became of them")
                .build(),
            depth: meter
                .u64_gauge(OUTBOX_DEPTH)
                .with_description("ledger rows that are not final")
                .build(),
            age: meter
                .f64_gauge(OUTBOX_AGE)
                .with_description("age of the oldest ledger row that is not final")
                .build(),
            redriven: meter
                .u64_counter(REDRIVEN)
                .with_description("ledger rows published again")
                .build(),
            retired: meter
                .u64_counter(RETIRED)
                .with_description("plaintexts of final objects, by what became of them")
                .build(),
            commands: meter
                .u64_counter(COMMANDS)
                .with_description("commands, by what the gateway answered")
                .build(),
        }
    })
}

pub(crate) fn notification(source: &str, kind: &'static str) {
    instruments().notifications.add(
        1,
        &[KeyValue::new("source", source.to_owned()), KeyValue::new("kind", kind)],
    );
}

pub(crate) fn outbox(depth: u64, oldest_age_s: f64) {
    instruments().depth.record(depth, &[]);
    instruments().age.record(oldest_age_s, &[]);
}

pub(crate) fn redriven(kind: &'static str) {
    instruments().redriven.add(1, &[KeyValue::new("kind", kind)]);
}

pub(crate) fn retired(outcome: &'static str) {
    instruments().retired.add(1, &[KeyValue::new("outcome", outcome)]);
}

pub(crate) fn command(verb: &str, outcome: &'static str) {
    instruments().commands.add(
        1,
        &[
            KeyValue::new("verb", verb.to_owned()),
            KeyValue::new("outcome", outcome),
        ],
    );
}
