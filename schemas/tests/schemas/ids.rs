//! Ids and names: what they take, that they come back from text and JSON, and that their JSON Schema says the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use cofferdam_schemas::{
    BucketName, CommandId, ETag, EventId, IdError, KeyId, Lane, ObjectId, ObjectKey, Outcome, Partition, ProcessorName,
    RequestId, SourceName, TenantName, Verb, VersionId,
};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn schema<T: JsonSchema>() -> jsonschema::Validator {
    jsonschema::validator_for(schemars::schema_for!(T).as_value()).unwrap()
}

/// Whether the type takes a text; text, JSON and schema have to agree.
#[track_caller]
fn takes<T>(text: &str) -> bool
where
    T: FromStr<Err = IdError> + Display + Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema,
{
    let json = serde_json::Value::from(text);
    let parsed = text.parse::<T>();
    let read = serde_json::from_value::<T>(json.clone());
    match parsed {
        Ok(id) => {
            assert_eq!(id.to_string(), text);
            assert_eq!(read.unwrap(), id);
            assert_eq!(serde_json::to_value(&id).unwrap(), json);
            assert!(schema::<T>().is_valid(&json), "the schema refuses {text:?}");
            true
        }
        Err(error) => {
            assert!(read.is_err(), "JSON takes {text:?}");
            assert!(error.text.chars().count() <= 80, "{error}");
            false
        }
    }
}

/// The same for what is refused, where the schema can say so too.
#[track_caller]
fn refuses<T>(text: &str)
where
    T: FromStr<Err = IdError> + Display + Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema,
{
    assert!(!takes::<T>(text), "{text:?} is taken");
    assert!(!schema::<T>().is_valid(&text.into()), "the schema takes {text:?}");
}

#[test]
fn tokens() {
    for text in ["a", "0", "default", "a-b-c", &"x".repeat(32)] {
        assert!(
            takes::<TenantName>(text) && takes::<ProcessorName>(text) && takes::<SourceName>(text),
            "{text}"
        );
    }
    for text in ["", "-a", "a-", "A", "a.b", "a b", "a*", ">", "\u{e4}", &"x".repeat(33)] {
        refuses::<TenantName>(text);
        refuses::<ProcessorName>(text);
        refuses::<SourceName>(text);
    }
    refuses::<ProcessorName>("event");
    refuses::<ProcessorName>("done");
    assert!(takes::<TenantName>("done"));
}

#[test]
fn buckets_keys_and_versions() {
    for text in ["abc", "a.b-c", "1.2.3", &"b".repeat(63)] {
        assert!(takes::<BucketName>(text), "{text}");
    }
    for text in ["ab", "a..b", ".ab", "ab-", "aBc", "a_b", &"b".repeat(64)] {
        refuses::<BucketName>(text);
    }
    for text in [
        " ",
        "a/b",
        "//",
        "%2F",
        "..",
        "\u{1f600}",
        "line\nfeed",
        &"k".repeat(1024),
    ] {
        assert!(takes::<ObjectKey>(text), "{text}");
    }
    refuses::<ObjectKey>("");
    refuses::<ObjectKey>("a\0b");
    refuses::<ObjectKey>(&"k".repeat(1025));
    // A schema counts characters, we count bytes.
    assert!(!takes::<ObjectKey>(&"\u{e4}".repeat(513)));
    assert!(takes::<VersionId>("Null") && takes::<ETag>("d41d8cd98f00b204e9800998ecf8427e-3"));
    refuses::<VersionId>("null");
    refuses::<VersionId>("");
    refuses::<ETag>("\"quoted\"");
}

#[test]
fn other_ids() {
    assert!(takes::<CommandId>("Az09_-") && takes::<RequestId>("x y"));
    refuses::<CommandId>("");
    refuses::<CommandId>("a.b");
    refuses::<CommandId>(&"c".repeat(65));
    assert!(takes::<EventId>(&"0f".repeat(16)));
    refuses::<EventId>(&"0F".repeat(16));
    refuses::<EventId>(&"0f".repeat(15));
    assert!(takes::<KeyId>(&"a1".repeat(16)));
    refuses::<KeyId>("a1");
    assert!(takes::<ObjectId>("019b7a3c-0000-7abc-8def-0123456789ab"));
    assert!(!takes::<ObjectId>("019b7a3c"));
}

#[test]
fn words() {
    for lane in Lane::ALL {
        assert_eq!(lane.to_string().parse::<Lane>().unwrap(), lane);
        assert_eq!(serde_json::to_value(lane).unwrap(), lane.as_str());
    }
    for verb in [Verb::Put, Verb::Del, Verb::Meta, Verb::Restore] {
        assert_eq!(verb.to_string().parse::<Verb>().unwrap(), verb);
        assert_eq!(serde_json::to_value(verb).unwrap(), verb.as_str());
    }
    for outcome in [Outcome::Done, Outcome::Superseded, Outcome::Dead] {
        assert_eq!(outcome.to_string().parse::<Outcome>().unwrap(), outcome);
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
    }
    assert!("Put".parse::<Verb>().is_err() && "high".parse::<Lane>().is_err() && "".parse::<Outcome>().is_err());
}

#[test]
fn partitions_are_two_digits_below_64() {
    for number in 0..Partition::COUNT {
        let partition = Partition::new(number).unwrap();
        assert_eq!(partition.to_string().len(), 2);
        assert_eq!(partition.to_string().parse::<Partition>().unwrap(), partition);
    }
    assert!(Partition::new(64).is_err());
    for text in ["", "7", "64", "007", "+7", "-1", "ab"] {
        assert!(text.parse::<Partition>().is_err(), "{text}");
    }
}

proptest! {
    /// What a type takes can stand as one token in a subject, and the pattern in its schema is the rule itself.
    #[test]
    fn any_text_is_judged_the_same_three_times(text in "[a-z0-9A-Z.\\-_ \"\u{e4}]{0,66}") {
        let token = takes::<TenantName>(&text);
        prop_assert_eq!(token, schema::<TenantName>().is_valid(&text.as_str().into()));
        prop_assert!(!token || !text.contains(['.', ' ', '*', '>']));
        prop_assert_eq!(takes::<BucketName>(&text), schema::<BucketName>().is_valid(&text.as_str().into()));
        prop_assert_eq!(takes::<CommandId>(&text), schema::<CommandId>().is_valid(&text.as_str().into()));
        takes::<ObjectKey>(&text);
        takes::<VersionId>(&text);
        takes::<ETag>(&text);
        takes::<RequestId>(&text);
    }

    #[test]
    fn what_the_schema_generates_is_taken(
        token in "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?",
        event in "[0-9a-f]{32}",
        command in "[A-Za-z0-9_-]{1,64}",
    ) {
        prop_assert!(takes::<SourceName>(&token) && takes::<EventId>(&event) && takes::<CommandId>(&command));
    }

    #[test]
    fn every_uuid_and_key_id_comes_back(bytes: [u8; 16]) {
        prop_assert!(takes::<ObjectId>(&ObjectId(bytes_to_uuid(bytes)).to_string()));
        prop_assert!(takes::<KeyId>(&KeyId(bytes).to_string()));
    }

    #[test]
    fn the_error_never_repeats_a_long_text(text in "[A-Z]{81,300}") {
        let error = text.parse::<TenantName>().unwrap_err();
        prop_assert!(error.to_string().len() < 200, "{}", error);
    }
}

fn bytes_to_uuid(bytes: [u8; 16]) -> uuid::Uuid {
    uuid::Uuid::from_bytes(bytes)
}

#[test]
fn partitions_are_even() {
    let (tenant, bucket) = ("default".parse().unwrap(), "inbox".parse().unwrap());
    let mut counts = [0_u32; 64];
    for number in 0..6400 {
        let partition = Partition::of(&tenant, &bucket, &format!("key-{number}").parse().unwrap());
        counts[partition.to_string().parse::<usize>().unwrap()] += 1;
    }
    assert!(counts.iter().all(|count| (50..=160).contains(count)), "{counts:?}");
}
