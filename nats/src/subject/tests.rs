use std::fmt::{Debug, Display};
use std::str::FromStr;

use cofferdam_schemas::{Lane, ObjectId, Outcome, Partition, ProcessorName, SourceName, TenantName, Verb};
use proptest::prelude::*;

use super::*;

fn token() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
}
fn tenant() -> impl Strategy<Value = TenantName> {
    token().prop_map(|t| TenantName::new(t).unwrap())
}
fn name() -> impl Strategy<Value = ProcessorName> {
    token().prop_filter_map("reserved", |t| ProcessorName::new(t).ok())
}
fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Hi), Just(Lane::Bulk)]
}
fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![Just(Verb::Put), Just(Verb::Del), Just(Verb::Meta), Just(Verb::Restore)]
}
fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Done), Just(Outcome::Superseded), Just(Outcome::Dead)]
}
fn partition() -> impl Strategy<Value = Partition> {
    (0..Partition::COUNT).prop_map(|n| Partition::new(n).unwrap())
}
fn object() -> impl Strategy<Value = ObjectId> {
    any::<u128>().prop_map(|n| ObjectId(uuid::Uuid::from_u128(n)))
}
fn kind() -> impl Strategy<Value = JoinKind> {
    prop_oneof![Just(JoinKind::State), Just(JoinKind::Done)]
}

#[track_caller]
fn round_trip<T: Display + FromStr<Err = SubjectError> + PartialEq + Debug>(subject: T) {
    let text = subject.to_string();
    assert!(text.split('.').all(|t| !t.is_empty()), "{text} has an empty token");
    assert!(!text.contains(['*', '>', ' ']), "{text} has a wildcard or space");
    assert_eq!(text.parse::<T>().as_ref(), Ok(&subject));
}

proptest! {
    #[test]
    fn every_subject_reads_back(
        lane in lane(), tenant in tenant(), name in name(), source in token(), verb in verb(), outcome in outcome(),
        partition in partition(), object in object(), kind in kind(), class in ".{0,40}", anonymous: bool,
    ) {
        round_trip(Raw { source: SourceName::new(source).unwrap() });
        round_trip(Evt { lane, tenant: tenant.clone(), verb, partition });
        round_trip(Cmd { tenant: tenant.clone(), verb: name.clone() });
        round_trip(Res { tenant: tenant.clone(), name: name.clone(), outcome, partition });
        round_trip(Join { kind, tenant: tenant.clone(), object });
        round_trip(Dlq {
            tenant: (!anonymous).then(|| tenant.clone()),
            stream: "EVT".into(),
            consumer: format!("{name}-{lane}"),
            class: Dlq::class_token(&class),
        });
        round_trip(Live::Event { tenant: tenant.clone(), verb, partition });
        round_trip(Live::Result { tenant: tenant.clone(), name: name.clone(), outcome, partition });
        round_trip(Live::Done { tenant: tenant.clone(), object });
        round_trip(CmdIn { tenant: tenant.clone(), verb: name.to_string() });
        round_trip(Query { tenant, name: name.to_string() });
    }

    #[test]
    fn no_text_panics_a_parser(text in ".{0,80}", tail in "[a-z0-9.*>_-]{0,40}") {
        for prefix in ["", "evt.v1.", "res.v1.", "join.v1.", "dlq.v1.", "live.v1.", "cmdin.v1.", "q.v1.", "cmd.v1.", "raw.s3."] {
            read_any(format!("{prefix}{text}").as_bytes());
            read_any(format!("{prefix}{tail}").as_bytes());
        }
    }

    #[test]
    fn no_bytes_panic_a_parser(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_any(&bytes);
    }
}

#[track_caller]
fn refused<T: FromStr<Err = SubjectError> + Debug>(text: &str, says: &str) {
    let error = text.parse::<T>().unwrap_err();
    let all = format!(
        "{error}: {}",
        std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default()
    );
    assert!(all.contains(says), "{all}");
}

#[test]
fn foreign_subjects_are_refused_with_a_reason() {
    refused::<Evt>("evt.v1.hi.acme.put", "is not of the form evt.v1.<lane>");
    refused::<Evt>("evt.v1.hi.acme.put.07.more", "is not of the form");
    refused::<Evt>("evt.v2.hi.acme.put.07", "is not of the form");
    refused::<Evt>("evt.v1.mid.acme.put.07", "lane is not valid");
    refused::<Evt>("evt.v1.hi.ACME.put.07", "tenant name is not valid");
    refused::<Evt>("evt.v1.hi.acme.put.64", "partition is not valid");
    refused::<Res>("res.v1.acme.done.done.00", "is reserved");
    refused::<Join>(
        "join.v1.open.acme.01890a5d-ac96-774b-bcce-b302099a8057",
        "is state or done",
    );
    refused::<Dlq>("dlq.v1._.EVT..exhausted", "is not of the form");
    refused::<CmdIn>("cmdin.v1.acme", "is not of the form");
}

#[test]
fn live_kinds_are_told_apart() {
    assert!(matches!("live.v1.acme.event.put.07".parse(), Ok(Live::Event { .. })));
    assert!(matches!(
        "live.v1.acme.encrypt.done.07".parse(),
        Ok(Live::Result { .. })
    ));
    assert!(matches!(
        "live.v1.acme.done.01890a5d-ac96-774b-bcce-b302099a8057".parse(),
        Ok(Live::Done { .. })
    ));
    refused::<Live>("live.v1.acme.done.done.07", "is reserved");
}

#[test]
fn class_becomes_one_token() {
    assert_eq!(Dlq::class_token("schema/unknown type"), "schema-unknown-type");
    assert_eq!(Dlq::class_token("..."), "other");
    assert_eq!(Dlq::class_token(""), "other");
}

#[test]
fn tenants_are_found_in_stored_subjects() {
    for subject in [
        "evt.v1.hi.acme.put.07",
        "cmd.v1.acme.retrieve",
        "res.v1.acme.encrypt.done.07",
        "join.v1.done.acme.x",
    ] {
        assert_eq!(tenant_of(subject).unwrap().as_str(), "acme", "{subject}");
    }
    assert_eq!(tenant_of("raw.s3.minio"), None);
    assert_eq!(tenant_of("evt.v1.hi"), None);
}
