//! What a processor made of an object: the message on `RES`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::WireError;
use crate::finding::{Finding, Verdict};
use crate::ids::{BucketName, EventId, IdError, KeyId, ObjectKey, ProcessorName, ResultId};
use crate::object::ObjectRef;
use crate::plan::Plan;
use crate::timestamp::Timestamp;

/// How a processor's (or a command's) work ended. A token in subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The work was done.
    Done,
    /// The version was gone or replaced before it could be read; counts as finished.
    Superseded,
    /// Refused or failed for good; a dead-letter entry holds the message.
    Dead,
}

impl Outcome {
    /// The token.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Superseded => "superseded",
            Outcome::Dead => "dead",
        }
    }
}
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for Outcome {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        [Outcome::Done, Outcome::Superseded, Outcome::Dead]
            .into_iter()
            .find(|o| o.as_str() == text)
            .ok_or_else(|| IdError {
                kind: "outcome",
                reason: "is done, superseded or dead",
                text: text.chars().take(80).collect(),
            })
    }
}

/// A file a processor made, kept in the results bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artefact {
    /// What it is, for example `report.html`.
    pub name: String,
    /// Where it is.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its media type.
    pub content_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
}

/// Where the sealed copy is, and how it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedCopy {
    /// The vault bucket.
    pub bucket: BucketName,
    /// The key there.
    pub key: ObjectKey,
    /// Size of the sealed object in bytes.
    pub size: u64,
    /// Size of the plaintext in bytes.
    pub plaintext_size: u64,
    /// SHA-256 of the plaintext, lower-case hex: of what was opened again, not of what was read first.
    pub plaintext_sha256: String,
    /// The envelope's suite, for example `0x0001`.
    pub suite: String,
    /// SHA-256 over magic and core (`H` in the envelope's specification), lower-case hex.
    pub header: String,
    /// BLAKE3 of the payload, lower-case hex.
    pub payload_root: String,
    /// Key ids of the recipients, the tenant's first.
    pub recipients: Vec<KeyId>,
    /// Key id of the signer.
    pub signer: KeyId,
    /// When the sealed copy was read back and opened. Until then nobody may delete the plaintext.
    pub opened_at: Timestamp,
}

/// One result of one processor on one object version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultEvent {
    /// See [`ResultId`].
    pub id: ResultId,
    /// The event that asked for it.
    pub event: EventId,
    /// The processor.
    pub processor: ProcessorName,
    /// The processor's version.
    pub processor_version: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The object version.
    pub object: ObjectRef,
    /// The plan, repeated from the event.
    pub plan: Plan,
    /// The conclusion, if this processor draws one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The sealed copy, if this processor made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedCopy>,
    /// Files that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<Artefact>,
    /// What else this processor has to say, by name. Flat and small: tables go into artefacts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, serde_json::Value>,
    /// Why, when the outcome is `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WireError>,
    /// When the work that made this result began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl ResultEvent {
    /// The CloudEvents type.
    pub const TYPE: &'static str = "cofferdam.result.v1";
    /// The id of a result.
    pub fn result_id(event: &EventId, processor: &ProcessorName, version: &str, outcome: Outcome) -> ResultId {
        ResultId(format!("{event}:{processor}:{version}:{outcome}"))
    }
}
