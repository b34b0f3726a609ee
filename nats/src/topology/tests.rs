use std::collections::BTreeSet;

use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy};
use cofferdam_schemas::ProcessorName;

use super::*;

fn name(text: &str) -> ProcessorName {
    ProcessorName::new(text).unwrap()
}

fn topology() -> Topology {
    Topology::new(&TopologySettings {
        processors: vec![name("encrypt"), name("validate")],
        verbs: vec![name("retrieve"), name("delete")],
        sinks: vec!["sqlite".into()],
        ..TopologySettings::default()
    })
}

#[test]
fn every_stream_keeps_by_limits_and_ingest_streams_refuse_when_full() {
    let topology = topology();
    let names: Vec<_> = topology.streams.iter().map(|s| s.name).collect();
    assert_eq!(names, ["RAW", "EVT", "CMD", "RES", "JOIN", "DLQ", "ADV", "JOB"]);
    for stream in &topology.streams {
        assert_eq!(stream.config.retention, RetentionPolicy::Limits, "{}", stream.name);
        assert!(
            stream.config.duplicate_window <= stream.config.max_age,
            "{}",
            stream.name
        );
        assert!(stream.config.max_bytes > 0, "{}", stream.name);
        let ingest = [RAW, EVT, CMD, RES, JOIN].contains(&stream.name);
        assert_eq!(stream.config.discard == DiscardPolicy::New, ingest, "{}", stream.name);
    }
}

#[test]
fn every_consumer_is_explicit_without_backoff() {
    for consumer in &topology().consumers {
        assert_eq!(consumer.config.ack_policy, AckPolicy::Explicit, "{}", consumer.name);
        assert!(consumer.config.backoff.is_empty(), "{}", consumer.name);
        assert_eq!(consumer.config.durable_name.as_deref(), Some(consumer.name.as_str()));
        assert!(consumer.config.max_ack_pending <= 5000, "{}", consumer.name);
    }
}

#[test]
fn consumers_are_those_of_the_settings() {
    let topology = topology();
    let names: BTreeSet<String> = topology
        .consumers
        .iter()
        .map(|c| format!("{}/{}", c.stream, c.name))
        .collect();
    let expected = [
        "RAW/normalise",
        "EVT/encrypt-hi",
        "EVT/encrypt-bulk",
        "EVT/validate-hi",
        "EVT/validate-bulk",
        "EVT/sink-sqlite-events",
        "CMD/cmd-retrieve",
        "CMD/cmd-delete",
        "RES/sink-sqlite",
        "RES/join",
        "JOIN/done-sqlite",
        "ADV/dlq-writer",
    ];
    assert_eq!(names, expected.iter().map(|&s| s.to_owned()).collect());
    assert_eq!(topology.consumers.len(), expected.len());
    assert_eq!(topology.consumers_of(&Owner::Processor(name("encrypt"))).count(), 2);
}

#[test]
fn a_processor_takes_puts_and_restores_of_its_lane_only() {
    let topology = topology();
    let consumer = topology.consumer(EVT, "encrypt-bulk").unwrap();
    assert_eq!(
        consumer.config.filter_subjects,
        ["evt.v1.bulk.*.put.>", "evt.v1.bulk.*.restore.>"]
    );
    assert_eq!(consumer.config.filter_subject, "");
}

#[test]
fn limits_and_delivery_settings_can_be_configured() {
    let topology = Topology::new(&TopologySettings {
        processors: vec![name("encrypt"), name("encrypt")],
        max_bytes: [("EVT".to_owned(), 4096)].into(),
        processor_max_deliver: 2,
        replicas: 3,
        ..TopologySettings::default()
    });
    assert_eq!(topology.stream(EVT).unwrap().config.max_bytes, 4096);
    assert_eq!(topology.stream(RES).unwrap().config.num_replicas, 3);
    let consumer = topology.consumer(EVT, "encrypt-hi").unwrap();
    assert_eq!((consumer.config.max_deliver, consumer.config.num_replicas), (2, 3));
    assert_eq!(
        topology.consumers.iter().filter(|c| c.name == "encrypt-hi").count(),
        1,
        "a name given twice is one consumer"
    );
}

#[test]
fn stream_limits_follow_the_disk_in_powers_of_two() {
    let total = |bytes: u64| StreamLimits::within(bytes).values().sum::<i64>() as u64;
    let embedded = StreamLimits::EMBEDDED
        .iter()
        .map(|(_, bytes)| *bytes as u64)
        .sum::<u64>();
    assert_eq!(total(3 << 30), embedded);
    assert_eq!(total(64 << 30), embedded * 8, "not without end");
    assert_eq!(total(2 << 30), embedded / 2);
    assert_eq!(StreamLimits::within(10 << 30), StreamLimits::within(11 << 30));
    for bytes in [1 << 28, 1 << 29, 1 << 30, 5 << 30, 40 << 30] {
        assert!(total(bytes) <= bytes, "{bytes}");
    }
    assert!(StreamLimits::within(0).values().all(|bytes| *bytes > 0));
}
