//! `{"Records":[…]}`: what Amazon's, MinIO's, versitygw's and Ceph's bodies share.

use cofferdam_schemas::{BucketName, ETag, ObjectKey, Verb, VersionId};
use serde_json::{Map, Value};

use super::events::{Meaning, meaning};
use super::{Dialect, DialectError, Ignored, KeyEncoding, MAX_RECORDS, Notification, ObjectNotice, Why, short};

/// In what a dialect differs from the others.
pub(super) struct Rules {
    /// For error messages.
    pub(super) dialect: Dialect,
    /// How keys are written.
    pub(super) keys: KeyEncoding,
    /// Whether the size can be believed, given what happened and the number in the record.
    pub(super) size: fn(name: &str, verb: Verb, told: Option<u64>) -> Option<u64>,
}

/// `s3:TestEvent`, which has no records.
pub(super) fn is_test_event(body: &Map<String, Value>) -> bool {
    body.get("Event").and_then(Value::as_str) == Some("s3:TestEvent")
}

/// Every record of a body.
pub(super) fn parse(body: &Map<String, Value>, rules: &Rules) -> Result<Vec<Notification>, DialectError> {
    if is_test_event(body) {
        return Ok(vec![ignored(Why::TestEvent, "TestEvent")]);
    }
    let Some(Value::Array(list)) = body.get("Records") else {
        return Err(DialectError::Shape {
            dialect: rules.dialect,
            reason: "there is no list of Records",
        });
    };
    if list.len() > MAX_RECORDS {
        return Err(DialectError::TooManyRecords {
            count: list.len(),
            limit: MAX_RECORDS,
        });
    }
    if list.is_empty() {
        return Ok(vec![ignored(Why::Empty, "")]);
    }
    let read = |(n, value)| record(n, value, rules).unwrap_or_else(Notification::Unreadable);
    Ok(list.iter().enumerate().map(read).collect())
}

fn record(n: usize, value: &Value, rules: &Rules) -> Result<Notification, DialectError> {
    let text = |path: &'static str| value.pointer(path).and_then(Value::as_str);
    let name = text("/eventName").ok_or(DialectError::Field {
        record: n,
        field: "eventName",
    })?;
    let name = name.strip_prefix("s3:").unwrap_or(name);
    let verb = match meaning(name) {
        Meaning::Happened(verb) => verb,
        Meaning::Nothing(why) => return Ok(ignored(why, name)),
    };
    let bucket = text("/s3/bucket/name").ok_or(DialectError::Field {
        record: n,
        field: "s3.bucket.name",
    })?;
    let key = text("/s3/object/key").ok_or(DialectError::Field {
        record: n,
        field: "s3.object.key",
    })?;
    Ok(Notification::Object(ObjectNotice {
        bucket: bucket_name(n, bucket)?,
        key: object_key(n, rules.keys, key)?,
        verb,
        size: (rules.size)(name, verb, value.pointer("/s3/object/size").and_then(number)),
        etag: text("/s3/object/eTag").and_then(etag),
        version: text("/s3/object/versionId").and_then(version),
        sequencer: text("/s3/object/sequencer").and_then(sequencer),
        event_time: text("/eventTime").and_then(|at| at.parse().ok()),
        reason: short(name),
    }))
}

pub(super) fn ignored(why: Why, event: &str) -> Notification {
    Notification::Ignored(Ignored {
        why,
        event: short(event),
    })
}

pub(super) fn bucket_name(record: usize, text: &str) -> Result<BucketName, DialectError> {
    BucketName::new(text).map_err(|e| DialectError::Name {
        record,
        reason: e.to_string(),
    })
}

pub(super) fn object_key(record: usize, encoding: KeyEncoding, text: &str) -> Result<ObjectKey, DialectError> {
    let key = encoding.decode(text).ok_or_else(|| DialectError::Name {
        record,
        reason: "object key is not UTF-8 once decoded".into(),
    })?;
    ObjectKey::new(key).map_err(|e| DialectError::Name {
        record,
        reason: e.to_string(),
    })
}

/// A number, or a number in a string (Ceph).
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// An entity tag, without the quotes some sources leave around it.
pub(super) fn etag(text: &str) -> Option<ETag> {
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    ETag::new(bare).ok()
}

/// A version id; empty and `null` are none.
pub(super) fn version(text: &str) -> Option<VersionId> {
    VersionId::new(text).ok()
}

/// A sequencer, if there is one of a sane length.
pub(super) fn sequencer(text: &str) -> Option<String> {
    (1..=128).contains(&text.len()).then(|| text.to_owned())
}
