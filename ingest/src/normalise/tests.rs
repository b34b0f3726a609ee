use cofferdam_schemas::{ETag, VersionId};

use super::*;
use crate::testing::{START, bucket_name, key, no_checksums, normaliser, plan, source};

fn time(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

fn record(verb: Verb) -> BucketRecord {
    BucketRecord {
        bucket: bucket_name("shared"),
        key: key("other/a b.txt"),
        version: VersionId::new("0000000000000007").unwrap(),
        etag: ETag::new("abc").unwrap(),
        size: 5,
        last_modified: time(START),
        content_type: Some("text/plain".into()),
        checksums: no_checksums(),
        verb,
        user: Default::default(),
        reason: "PutObject".into(),
    }
}

fn notice(verb: Verb) -> ObjectNotice {
    ObjectNotice {
        bucket: bucket_name("docs"),
        key: key("x//y"),
        verb,
        size: Some(99),
        etag: Some(ETag::new("hint").unwrap()),
        version: None,
        sequencer: None,
        event_time: Some(time(START + 5)),
        reason: "ObjectCreated:Put".into(),
    }
}

fn meta() -> ObjectMeta {
    ObjectMeta {
        size: 5,
        etag: ETag::new("truth").unwrap(),
        version: None,
        last_modified: time(START),
        content_type: None,
        checksums: no_checksums(),
        user: Default::default(),
    }
}

#[test]
fn a_record_of_the_bucket_becomes_an_event() {
    let event = normaliser().record(&record(Verb::Put)).unwrap();
    assert_eq!(event.object.tenant.as_str(), "other");
    assert_eq!(event.object.key.as_str(), "other/a b.txt");
    assert_eq!(event.object.version.as_ref().unwrap().as_str(), "0000000000000007");
    assert_eq!((event.lane, event.verb), (Lane::Hi, Verb::Put));
    assert_eq!(event.plan, plan());
    assert_eq!(event.id, event.object.event_id(Verb::Put));
    assert_eq!(event.object.id, event.object.origin().object_id());
    assert_eq!(normaliser().record(&record(Verb::Put)).unwrap(), event);
}

#[test]
fn only_what_head_says_makes_the_ids() {
    let normaliser = normaliser();
    let first = normaliser
        .present(&source("minio"), &notice(Verb::Put), meta())
        .unwrap();
    assert_eq!((first.object.size, first.object.etag.as_str()), (5, "truth"));
    let mut other = notice(Verb::Put);
    (other.size, other.etag, other.event_time, other.sequencer) = (None, None, None, Some("1".into()));
    other.reason = "ObjectCreated:CompleteMultipartUpload".into();
    assert_eq!(normaliser.present(&source("minio"), &other, meta()).unwrap(), first);
    // A, B, A: the tag comes back, the time does not.
    let again = ObjectMeta {
        last_modified: time(START + 1_000),
        ..meta()
    };
    let again = normaliser.present(&source("minio"), &notice(Verb::Put), again).unwrap();
    assert_ne!(again.object.id, first.object.id);
    assert_ne!(again.id, first.id);
}

#[test]
fn what_asks_for_no_work_has_an_empty_plan() {
    for (verb, required) in [(Verb::Put, 2), (Verb::Restore, 2), (Verb::Meta, 0), (Verb::Del, 0)] {
        let event = normaliser().record(&record(verb)).unwrap();
        assert_eq!(event.plan.required.len(), required, "{verb}");
        assert_eq!(event.plan.policy, "1");
    }
}

#[test]
fn a_removal_is_made_of_what_the_notification_says() {
    let normaliser = normaliser();
    let removed = |notice: &ObjectNotice, seen| normaliser.removed(&source("minio"), notice, time(seen)).unwrap();
    let mut bare = notice(Verb::Del);
    (bare.etag, bare.size, bare.sequencer) = (None, None, Some("18E9F1142462B29F".into()));
    let event = removed(&bare, 1);
    assert_eq!((event.verb, event.object.size), (Verb::Del, 0));
    assert_eq!(event.object.etag.as_str(), "removed-18E9F1142462B29F");
    assert_eq!(event.object.last_modified, time(START + 5));
    // Delivered again, later: the same.
    assert_eq!(removed(&bare, 2), event);
    // Another removal of the key at the same second: another.
    let next = ObjectNotice {
        sequencer: Some("2".into()),
        ..bare.clone()
    };
    assert_ne!(removed(&next, 1).id, event.id);
    let timeless = ObjectNotice {
        event_time: None,
        sequencer: Some("\"".into()),
        ..bare
    };
    let event = removed(&timeless, 77);
    assert_eq!(
        (event.object.etag.as_str(), event.object.last_modified),
        ("removed", time(77))
    );
}

#[test]
fn refusals_have_types() {
    let normaliser = normaliser();
    let refused = |bucket: &str, name: &str| {
        let notice = ObjectNotice {
            bucket: bucket_name(bucket),
            key: key(name),
            ..notice(Verb::Put)
        };
        normaliser
            .present(&source("minio"), &notice, meta())
            .unwrap_err()
            .kind()
    };
    assert_eq!(refused("vault", "default/x.sealed"), "own-output");
    assert_eq!(refused("stranger", "x"), "not-landing");
    assert_eq!(refused("many", "nobody/x"), "unknown-tenant");
}
