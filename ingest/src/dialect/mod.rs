//! Dialects: what foreign stores say about their objects, as one shape.
//!
//! Everything here is a pure function of bytes. A body is a *hint*: bucket, key and what happened are read strictly (a record without them is
//! [`Notification::Unreadable`]), everything else leniently (`None` when it is absent or makes no sense), because HEAD decides later. Nothing is
//! dropped in silence: what needs no work comes back as [`Notification::Ignored`] with the reason, so that it can be counted.
//!
//! One file per dialect holds what is peculiar to that source; `records` and `events` hold what they share.

mod aws;
mod ceph;
mod eventbridge;
mod events;
mod key;
mod minio;
mod records;
mod sns;
mod versitygw;

use std::fmt;
use std::str::FromStr;

use cofferdam_schemas::{BucketName, ETag, ObjectKey, Timestamp, Verb, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use key::KeyEncoding;

/// Longest body that is read, in bytes: the limit of the `RAW` stream.
pub const MAX_BODY: usize = 256 * 1024;
/// Most records one body may hold. A body of 256 KiB has room for about 400 real ones.
pub const MAX_RECORDS: usize = 2_000;

/// The shape in which a source speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Recognised body by body. What cannot be told apart for certain is refused, because a wrong guess changes keys.
    #[default]
    Auto,
    /// Amazon S3's own records, as they arrive in SQS.
    Aws,
    /// The same inside an SNS envelope (not raw delivery).
    Sns,
    /// S3 events of Amazon EventBridge.
    EventBridge,
    /// MinIO, and RustFS, which speaks the same.
    #[serde(alias = "rustfs")]
    Minio,
    /// versitygw.
    Versitygw,
    /// Ceph RGW.
    Ceph,
}

impl Dialect {
    /// Every dialect that can be named in a configuration.
    pub const ALL: [Dialect; 7] = [
        Dialect::Auto,
        Dialect::Aws,
        Dialect::Sns,
        Dialect::EventBridge,
        Dialect::Minio,
        Dialect::Versitygw,
        Dialect::Ceph,
    ];

    /// The word in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Auto => "auto",
            Dialect::Aws => "aws",
            Dialect::Sns => "sns",
            Dialect::EventBridge => "eventbridge",
            Dialect::Minio => "minio",
            Dialect::Versitygw => "versitygw",
            Dialect::Ceph => "ceph",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = DialectError;
    fn from_str(text: &str) -> Result<Self, DialectError> {
        let named = if text == "rustfs" { "minio" } else { text };
        Self::ALL
            .into_iter()
            .find(|d| d.as_str() == named)
            .ok_or_else(|| DialectError::UnknownDialect { name: short(text) })
    }
}

/// What one record of a body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// Something happened to an object.
    Object(ObjectNotice),
    /// It asks for no work, on purpose.
    Ignored(Ignored),
    /// This record cannot be used; the others of the same body can.
    Unreadable(DialectError),
}

/// Something happened to an object, by the word of its store. Only a hint: the normaliser asks the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectNotice {
    /// The bucket.
    pub bucket: BucketName,
    /// The key, decoded where the dialect encodes it, otherwise untouched. Never normalised.
    pub key: ObjectKey,
    /// What happened.
    pub verb: Verb,
    /// Size in bytes, where the source is known to tell it right.
    pub size: Option<u64>,
    /// The entity tag, without quotes.
    pub etag: Option<ETag>,
    /// The version id. Absent, empty and `null` are all "unversioned".
    pub version: Option<VersionId>,
    /// The source's order of events on one key. Comparable only for the same key, and not in every dialect.
    pub sequencer: Option<String>,
    /// When the source says it happened.
    pub event_time: Option<Timestamp>,
    /// The source's own word for it, without the `s3:` prefix, for example `ObjectCreated:Put`. At most 80 characters.
    pub reason: String,
}

/// A record that asks for no work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Why.
    pub why: Why,
    /// The source's own word for the event, at most 80 characters.
    pub event: String,
}

/// Why a record asks for no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The source tests the connection.
    TestEvent,
    /// The body has no records.
    Empty,
    /// Nothing changed: a removal of what was not there, a read, a part of an upload that is not an object yet.
    NothingChanged,
    /// About a bucket, a replication, a tier: not about an object's bytes, metadata or existence.
    NotAnObject,
    /// An event this version does not know.
    Unknown,
}

impl Why {
    /// The label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::TestEvent => "test",
            Why::Empty => "empty",
            Why::NothingChanged => "no-change",
            Why::NotAnObject => "not-an-object",
            Why::Unknown => "unknown",
        }
    }
}

/// Why a body, or one record of it, cannot be read. Never carries document content: keys and names only, cut to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// Not JSON, or not an object.
    #[error("body is not a JSON object: {reason}")]
    NotJson {
        /// What the parser said.
        reason: String,
    },
    /// Longer than [`MAX_BODY`].
    #[error("body has {size} bytes, {limit} are allowed")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// More records than [`MAX_RECORDS`].
    #[error("body has {count} records, {limit} are allowed")]
    TooManyRecords {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// JSON, but not of this dialect.
    #[error("body is not of dialect {dialect}: {reason}")]
    Shape {
        /// The dialect.
        dialect: Dialect,
        /// What is missing or wrong.
        reason: &'static str,
    },
    /// `auto` cannot tell which dialect this is.
    #[error("dialect cannot be recognised: {reason}; name it in the source's configuration")]
    Ambiguous {
        /// Why not.
        reason: &'static str,
    },
    /// A required field of one record is missing or has the wrong type.
    #[error("record {record}: field {field} is missing or has the wrong type")]
    Field {
        /// Which record, from 0.
        record: usize,
        /// Which field.
        field: &'static str,
    },
    /// A bucket or key is not valid.
    #[error("record {record}: {reason}")]
    Name {
        /// Which record, from 0.
        record: usize,
        /// The rule that was broken.
        reason: String,
    },
    /// A configuration names no dialect we have.
    #[error("there is no dialect {name:?}: use auto, aws, sns, eventbridge, minio (or rustfs), versitygw or ceph")]
    UnknownDialect {
        /// The text.
        name: String,
    },
}

/// Reads a body. Every record of it becomes one [`Notification`], in order; `Err` when the body as a whole cannot be read.
pub fn parse(dialect: Dialect, body: &[u8]) -> Result<Vec<Notification>, DialectError> {
    parse_with(dialect, None, body)
}

/// As [`parse`], with keys read in `encoding` instead of the dialect's own, for servers that differ from their kind.
///
/// Takes any bytes: it never panics, and neither its time nor what it keeps grows beyond a small multiple of the body, which is [`MAX_BODY`] at most.
pub fn parse_with(
    dialect: Dialect,
    encoding: Option<KeyEncoding>,
    body: &[u8],
) -> Result<Vec<Notification>, DialectError> {
    let body = document(body)?;
    let dialect = if dialect == Dialect::Auto {
        recognise(&body)?
    } else {
        dialect
    };
    match dialect {
        // `recognise` never answers `Auto`; a test event is the same in all dialects that have one.
        Dialect::Auto | Dialect::Aws => aws::parse(&body, encoding),
        Dialect::Sns => sns::parse(&body, encoding),
        Dialect::EventBridge => eventbridge::parse(&body, encoding),
        Dialect::Minio => minio::parse(&body, encoding),
        Dialect::Versitygw => versitygw::parse(&body, encoding),
        Dialect::Ceph => ceph::parse(&body, encoding),
    }
}

/// Reads the JSON, within limits.
fn document(body: &[u8]) -> Result<Map<String, Value>, DialectError> {
    if body.len() > MAX_BODY {
        return Err(DialectError::TooLarge {
            size: body.len(),
            limit: MAX_BODY,
        });
    }
    // serde_json refuses nesting deeper than 128, so depth needs no limit of ours.
    serde_json::from_slice(body).map_err(|e| DialectError::NotJson {
        reason: short(&e.to_string()),
    })
}

/// Tells the dialect by its shape.
fn recognise(body: &Map<String, Value>) -> Result<Dialect, DialectError> {
    if body.contains_key("detail-type") && body.contains_key("detail") {
        return Ok(Dialect::EventBridge);
    }
    if body.contains_key("TopicArn") && body.contains_key("Message") {
        return Ok(Dialect::Sns);
    }
    if records::is_test_event(body) {
        return Ok(Dialect::Aws);
    }
    let Some(Value::Array(list)) = body.get("Records") else {
        return Err(DialectError::Ambiguous {
            reason: "there are no Records, no detail and no Message",
        });
    };
    let Some(first) = list.first() else {
        return Ok(Dialect::Aws);
    };
    let source = first.get("eventSource").and_then(Value::as_str).unwrap_or_default();
    let name = first.get("eventName").and_then(Value::as_str).unwrap_or_default();
    let capital_principal = first.pointer("/userIdentity/PrincipalId").is_some();
    match source {
        "minio:s3" | "rustfs:s3" => Ok(Dialect::Minio),
        _ if body.contains_key("EventName") => Ok(Dialect::Minio),
        "ceph:s3" => Ok(Dialect::Ceph),
        "aws:s3" if capital_principal => Ok(Dialect::Versitygw),
        "aws:s3" if !name.starts_with("s3:") => Ok(Dialect::Aws),
        "aws:s3" => Err(DialectError::Ambiguous {
            reason: "the records say aws:s3 but their event names have a prefix S3 does not send",
        }),
        _ => Err(DialectError::Ambiguous {
            reason: "the records have an unknown eventSource",
        }),
    }
}

/// Cuts a foreign text to 80 characters for an error, a label or a reason.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
