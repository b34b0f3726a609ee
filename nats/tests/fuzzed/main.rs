//! The fuzz targets of this crate (`tests/fuzz/targets`), run on any compiler: over bytes from nothing, and over good ones with damage.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/fuzz/targets/events.rs"]
mod events;
#[path = "../../../tests/fuzz/targets/subjects.rs"]
mod subjects;

use cofferdam_schemas::{Command, CommandId, ProcessorName, TenantName, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;

/// A target, and good bytes to begin from.
type Target = (fn(&[u8]), Vec<u8>);

fn targets() -> Vec<Target> {
    let command = Command {
        id: CommandId::new("c-1").unwrap(),
        tenant: TenantName::new("acme").unwrap(),
        verb: ProcessorName::new("retrieve").unwrap(),
        body: serde_json::json!({"select": {"key": "a"}}),
        accepted_at: Timestamp::from_unix_millis(0),
    };
    let body = serde_json::to_string(&command).unwrap();
    let subjects = [
        "evt.v1.hi.acme.put.03",
        "cmd.v1.acme.retrieve",
        "res.v1.acme.encrypt.done.07",
        "join.v1.done.acme.01a2148e-bc1d-7d2a-bde5-f00b3c287fe6",
        "dlq.v1.acme.EVT.encrypt-hi.schema",
        "raw.s3.minio",
    ];
    let message = format!("cmd.v1.acme.retrieve\n{}\nc-1\n{body}", Command::TYPE);
    let subjects = subjects.map(|subject| (subjects::run as fn(&[u8]), subject.as_bytes().to_vec()));
    [(events::run as fn(&[u8]), message.into_bytes())]
        .into_iter()
        .chain(subjects)
        .collect()
}

/// Good bytes pass, so that the damage below begins where something is parsed.
#[test]
fn targets_take_good_bytes() {
    for (run, good) in targets() {
        run(&good);
        run(b"");
    }
    for (_, subject) in &targets()[1..] {
        let read = cofferdam_nats::subject::read_any(subject);
        assert_eq!(read, 1, "{}", String::from_utf8_lossy(subject));
    }
    let message = targets().remove(0).1;
    let mut parts = message.splitn(4, |byte| *byte == b'\n');
    let mut next = || std::str::from_utf8(parts.next().unwrap()).unwrap();
    let (subject, event_type, about, body) = (next(), next(), next(), next());
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/x"),
        ("ce-time", "2026-01-01T00:00:00Z"),
        ("ce-type", event_type),
        ("ce-subject", about),
    ];
    assert_eq!(cofferdam_nats::worker::read_any(subject, &headers, body.as_bytes()), 1);
}

/// An object version had several subjects, one for each way to write its id.
#[test]
fn found_an_id_is_written_in_one_way() {
    for id in [
        "01A2148E-bc1d-7d2a-bde5-f00b3c287fe6",
        "01a2148ebc1d7d2abde5f00b3c287fe6",
        "{01a2148e-bc1d-7d2a-bde5-f00b3c287fe6}",
    ] {
        let subject = format!("join.v1.done.acme.{id}");
        subjects::run(subject.as_bytes());
        assert!(subject.parse::<cofferdam_nats::subject::Join>().is_err(), "{subject}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn targets_hold_for_damaged_bytes(
        target: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let targets = targets();
        let (run, mut bytes) = target.get(&targets).clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        run(&bytes);
    }

    #[test]
    fn targets_hold_for_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        events::run(&bytes);
        subjects::run(&bytes);
    }

    #[test]
    fn subjects_hold_for_any_tokens(subject in "(evt|cmd|res|join|dlq|raw)\\.v1(\\.[a-z0-9*>-]{0,9}){0,6}") {
        subjects::run(subject.as_bytes());
    }
}
