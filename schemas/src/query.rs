//! Questions about objects, asked as requests on `q.<query>` and answered at once: what is asked, and what comes back.
//!
//! | query | asked with | answered with |
//! |---|---|---|
//! | `objects` | [`ObjectsQuery`] | [`ObjectsAnswer`] |
//! | `object` | [`crate::Selector`] | [`ObjectAnswer`] |
//! | `results` | [`crate::Selector`] | [`ResultsAnswer`] |
//! | `command` | [`CommandQuery`] | [`CommandAnswer`] |
//!
//! An answer that is a [`WireError`] instead also carries the header `cofferdam-error: <code>`. Answers come from the durable store: what was published a
//! moment ago may be missing for that moment.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::WireError;
use crate::finding::{Finding, Verdict};
use crate::ids::{BucketName, CommandId, ETag, EventId, ObjectId, ObjectKey, ProcessorName, SourceName, VersionId};
use crate::plan::Plan;
use crate::result::{Artefact, Outcome, SealedCopy};
use crate::timestamp::Timestamp;

/// Where an object version is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectState {
    /// Accepted, not all results are in.
    Open,
    /// Final: done.
    Done,
    /// Final: sealed and not to be given out.
    Quarantined,
    /// Quarantined, and released by a person since.
    Released,
    /// Final: gone or replaced at its source.
    Superseded,
    /// A required processor gave up; a dead-letter entry waits for a person.
    Dead,
    /// Deleted by command.
    Deleted,
}

impl ObjectState {
    /// All of them.
    pub const ALL: [ObjectState; 7] = [
        ObjectState::Open,
        ObjectState::Done,
        ObjectState::Quarantined,
        ObjectState::Released,
        ObjectState::Superseded,
        ObjectState::Dead,
        ObjectState::Deleted,
    ];
    /// The word in rows and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectState::Open => "open",
            ObjectState::Done => "done",
            ObjectState::Quarantined => "quarantined",
            ObjectState::Released => "released",
            ObjectState::Superseded => "superseded",
            ObjectState::Dead => "dead",
            ObjectState::Deleted => "deleted",
        }
    }
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for ObjectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of `q.objects`: a listing, newest versions first. An empty body asks for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectsQuery {
    /// Only this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ObjectState>,
    /// Only keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Only this landing bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketName>,
    /// How many at most: 1 to 1,000; 100 when absent. Fewer may come although more are there, see [`ObjectsAnswer::next`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the last answer said to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The answer to `q.objects`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectsAnswer {
    /// The versions, by last-modified time, newest first.
    pub objects: Vec<ObjectView>,
    /// Ask again with this cursor for more. Absent only when the end was reached: a page may be short, even empty, because the number of rows
    /// looked at for one answer is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One object version as answers show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectView {
    /// Its id.
    pub id: ObjectId,
    /// The source that announced it.
    pub source: SourceName,
    /// The landing bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The store's version id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// The entity tag.
    pub etag: ETag,
    /// Size in bytes.
    pub size: u64,
    /// The store's last-modified time.
    pub last_modified: Timestamp,
    /// The media type the uploader declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The media type found by looking at the bytes, once a processor has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_type: Option<String>,
    /// Its state.
    pub state: ObjectState,
    /// The verdict, once it is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The sealed copy, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedCopy>,
    /// The event that started it all.
    pub event: EventId,
    /// What is required before it is done.
    pub plan: Plan,
    /// When its `done` event was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When it was deleted by command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// What people decided about it while it was quarantined, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The trace it belongs to, 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// What a person decided about a quarantined object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: DecisionKind,
    /// The command it came by.
    pub command: CommandId,
    /// Why.
    pub reason: String,
}

/// What can be decided about a quarantined object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecisionKind {
    /// It may be given out.
    Release,
    /// It is deleted.
    Destroy,
}

impl DecisionKind {
    /// The word in rows and on the wire, which is also the command's verb.
    pub fn as_str(self) -> &'static str {
        match self {
            DecisionKind::Release => "release",
            DecisionKind::Destroy => "destroy",
        }
    }
}

/// The answer to `q.object`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectAnswer {
    /// The version.
    pub object: ObjectView,
    /// What happened to it, oldest first.
    pub timeline: Vec<Step>,
}

/// What kind of step a timeline shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// The version was accepted: its event is stored. More than once when it was published again after a failure.
    Accepted,
    /// The version was removed from the landing bucket by its owner.
    Removed,
    /// Its metadata changed, or it came back from an archive tier.
    Changed,
    /// A processor began the work that made its result.
    Started,
    /// A processor's result.
    Finished,
    /// The final state was reached.
    Final,
    /// A person released it from quarantine.
    Released,
    /// It was deleted by command.
    Deleted,
}

/// One step in the way of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: StepKind,
    /// The processor, for `started` and `finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<ProcessorName>,
    /// How it ended, for `finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The conclusion, for `finished` and `final`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// How many findings, for `finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<u32>,
    /// The state, for `final`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ObjectState>,
    /// Why a processor gave up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WireError>,
    /// Why a person decided so, for `released`, and for `deleted` out of quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to `q.results`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultsAnswer {
    /// The version.
    pub object: ObjectId,
    /// Each processor's results, by name; a failure that was overcome later stands behind the result.
    pub results: Vec<ResultView>,
}

/// One processor's result as rows keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultView {
    /// The processor.
    pub processor: ProcessorName,
    /// Its version.
    pub processor_version: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The conclusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What was found, as far as it fits into a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// How many findings there were in all.
    pub findings_total: u32,
    /// Files that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<Artefact>,
    /// What else the processor said. Holds only `left_out`, the number of bytes, if it was too large for a row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, serde_json::Value>,
    /// The sealed copy this processor made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedCopy>,
    /// Why, when the outcome is `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WireError>,
    /// When the work began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// The body of `q.command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandQuery {
    /// The command's id.
    pub id: CommandId,
}

/// The answer to `q.command`, once the command has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandAnswer {
    /// The command.
    pub id: CommandId,
    /// The verb.
    pub verb: ProcessorName,
    /// How it ended.
    pub outcome: Outcome,
    /// The object it concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// What it gave, without links: those are told once, in the result event, and kept nowhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, serde_json::Value>,
    /// Why not, when the outcome is `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WireError>,
    /// When it ended.
    pub finished_at: Timestamp,
}
