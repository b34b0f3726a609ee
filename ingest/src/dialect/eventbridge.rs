//! S3 events through EventBridge: one event a body, names in `detail-type`, fields in kebab case, **keys plain**. Real S3 writes `etag`, moto `eTag`.
//! moto's `id` and `sequencer` are constants, so neither is ever used to tell events apart.

use cofferdam_schemas::Verb;
use serde_json::{Map, Value};

use super::records::{self, bucket_name, ignored, object_key};
use super::{Dialect, DialectError, KeyEncoding, Notification, ObjectNotice, Why, short};

pub(super) fn parse(
    body: &Map<String, Value>,
    encoding: Option<KeyEncoding>,
) -> Result<Vec<Notification>, DialectError> {
    let shape = |reason| DialectError::Shape {
        dialect: Dialect::EventBridge,
        reason,
    };
    let kind = body
        .get("detail-type")
        .and_then(Value::as_str)
        .ok_or(shape("there is no detail-type"))?;
    if body.get("source").and_then(Value::as_str) != Some("aws.s3") {
        return Ok(vec![ignored(Why::NotAnObject, kind)]);
    }
    let detail = body
        .get("detail")
        .filter(|d| d.is_object())
        .ok_or(shape("there is no detail"))?;
    Ok(vec![
        event(kind, detail, body, encoding).unwrap_or_else(Notification::Unreadable),
    ])
}

fn event(
    kind: &str,
    detail: &Value,
    body: &Map<String, Value>,
    encoding: Option<KeyEncoding>,
) -> Result<Notification, DialectError> {
    let verb = match kind {
        "Object Created" => Verb::Put,
        "Object Deleted" => Verb::Del,
        "Object Restore Completed" => Verb::Restore,
        "Object Tags Added" | "Object Tags Deleted" | "Object ACL Updated" => Verb::Meta,
        "Object Restore Initiated" | "Object Restore Expired" => return Ok(ignored(Why::NothingChanged, kind)),
        "Object Storage Class Changed" | "Object Access Tier Changed" => return Ok(ignored(Why::NotAnObject, kind)),
        "Test Event" => return Ok(ignored(Why::TestEvent, kind)),
        _ => return Ok(ignored(Why::Unknown, kind)),
    };
    let text = |path: &'static str| detail.pointer(path).and_then(Value::as_str);
    let bucket = text("/bucket/name").ok_or(DialectError::Field {
        record: 0,
        field: "detail.bucket.name",
    })?;
    let key = text("/object/key").ok_or(DialectError::Field {
        record: 0,
        field: "detail.object.key",
    })?;
    let time = body.get("time").and_then(Value::as_str);
    // The reason says how (`PutObject`, `CompleteMultipartUpload`); for removals the type of deletion says more.
    let how = text("/deletion-type").or(text("/reason")).unwrap_or_default();
    Ok(Notification::Object(ObjectNotice {
        bucket: bucket_name(0, bucket)?,
        key: object_key(0, encoding.unwrap_or(KeyEncoding::Plain), key)?,
        verb,
        size: detail.pointer("/object/size").and_then(records::number),
        etag: text("/object/etag").or(text("/object/eTag")).and_then(records::etag),
        version: text("/object/version-id").and_then(records::version),
        sequencer: text("/object/sequencer").and_then(records::sequencer),
        event_time: time.and_then(|at| at.parse().ok()),
        reason: short(&format!("{kind}:{how}")),
    }))
}
