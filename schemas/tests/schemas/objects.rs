//! Object and event ids: the same for the same version, whatever says so; another for any other.

use std::collections::BTreeSet;

use cofferdam_schemas::{Origin, Plan, Timestamp, Verb};
use proptest::prelude::*;

fn origin(key: &str, version: Option<&str>, etag: &str, millis: i64) -> Origin {
    Origin {
        tenant: "default".parse().unwrap(),
        source: "inbox".parse().unwrap(),
        bucket: "inbox".parse().unwrap(),
        key: key.parse().unwrap(),
        version: version.map(|text| text.parse().unwrap()),
        etag: etag.parse().unwrap(),
        last_modified: Timestamp::from_unix_millis(millis),
    }
}

#[test]
fn ids_are_pinned() {
    // Stored rows, sealed objects and other processes hold these: they may not change.
    let object = origin("a.pdf", None, "abc", 1_767_225_600_000);
    assert_eq!(object.object_id().to_string(), "019b76da-a800-7542-bc9d-ad2952bded6e");
    assert_eq!(
        object.event_id(Verb::Put).to_string(),
        "c8b06bcdedfe9cbb3162aaadbf8e60ef"
    );
    let versioned = origin("a.pdf", Some("v1"), "abc", 1_767_225_600_000);
    assert_eq!(
        versioned.object_id().to_string(),
        "019b76da-a800-7c7c-ae6b-d457546912c1"
    );
}

#[test]
fn without_versions_the_same_bytes_written_again_are_another_version() {
    // A, B, A again: the tag returns, the time does not.
    let ids: BTreeSet<_> = [("a", 1000), ("b", 2000), ("a", 3000)]
        .map(|(etag, at)| origin("key", None, etag, at).object_id())
        .into_iter()
        .collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn with_a_version_the_tag_does_not_matter_and_the_time_only_sorts() {
    let one = origin("key", Some("v1"), "a", 1000);
    let other = origin("key", Some("v1"), "b", 1000);
    assert_eq!(one.object_id(), other.object_id());
    assert_eq!(
        one.event_id(Verb::Put),
        origin("key", Some("v1"), "a", 9000).event_id(Verb::Put)
    );
}

#[test]
fn fields_do_not_run_into_each_other() {
    let glued = [
        origin("ab", None, "c", 1),
        origin("a", None, "bc", 1),
        origin("abc", Some("d"), "e", 1),
        origin("abc", None, "d", 1),
    ];
    let ids: BTreeSet<_> = glued.iter().map(Origin::object_id).collect();
    assert_eq!(ids.len(), glued.len());
    let mut moved = origin("key", None, "a", 1);
    moved.tenant = "other".parse().unwrap();
    assert_ne!(
        moved.object_id(),
        origin("key", None, "a", 1).object_id(),
        "another tenant's object is another object"
    );
}

#[test]
fn verbs_make_different_events() {
    let object = origin("key", None, "a", 1);
    let ids: BTreeSet<_> = [Verb::Put, Verb::Del, Verb::Meta, Verb::Restore]
        .map(|verb| object.event_id(verb))
        .into_iter()
        .collect();
    assert_eq!(ids.len(), 4);
}

proptest! {
    #[test]
    fn ids_are_version_7_at_the_stores_time(key in ".{1,40}", etag in "[0-9a-f]{32}", millis in 0..=253_402_300_799_999_i64) {
        prop_assume!(!key.contains('\0'));
        let object = origin(&key, None, &etag, millis);
        let id = object.object_id().0;
        prop_assert_eq!(id.get_version_num(), 7);
        prop_assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        prop_assert_eq!(i64::from_str_radix(&id.simple().to_string()[..12], 16).unwrap(), millis);
        prop_assert_eq!(object.object_id(), object.clone().object_id());
    }

    #[test]
    fn a_plan_does_not_depend_on_order_or_repeats(mut names in prop::collection::vec("[a-z]{1,8}", 0..6), policy in "[a-z]{1,5}") {
        names.retain(|name| name != "done" && name != "event");
        let plan = |names: &[String]| Plan::new(names.iter().map(|name| name.parse().unwrap()), policy.clone());
        let one = plan(&names);
        names.reverse();
        names.extend(names.clone());
        let other = plan(&names);
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.hash(), other.hash());
        prop_assert_ne!(one.hash(), Plan { policy: format!("{policy}!"), ..one }.hash());
    }
}
