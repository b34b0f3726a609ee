//! What reads give back.

use cofferdam_processor::ObjectRecord;
use cofferdam_schemas::query::{Decision, ObjectView};
use cofferdam_schemas::{BucketName, EventId, ObjectRef, ObjectState, Plan, SealedCopy, Timestamp, Verb, Verdict};

use super::cursor::Cursor;

/// One object version, merged from its tables.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRow {
    /// The version.
    pub object: ObjectRef,
    /// The event that started it all.
    pub event: EventId,
    /// What is required of it.
    pub plan: Plan,
    /// Its state.
    pub state: ObjectState,
    /// The verdict, once it is final.
    pub verdict: Option<Verdict>,
    /// The sealed copy, once there is one.
    pub sealed: Option<SealedCopy>,
    /// The media type found in its bytes: a text `detected_type` in the details of any result.
    pub detected_type: Option<String>,
    /// When its `done` event was stored.
    pub finished_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// What was decided about it while it was quarantined, oldest first.
    pub decisions: Vec<Decision>,
    /// Its trace.
    pub trace_id: Option<String>,
}

impl ObjectRow {
    /// Where a listing goes on behind this row.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            last_modified: self.object.last_modified,
            object: self.object.id,
        }
    }
}

impl From<ObjectRow> for ObjectRecord {
    fn from(row: ObjectRow) -> Self {
        Self {
            object: row.object,
            state: row.state,
            verdict: row.verdict,
            sealed: row.sealed,
            decisions: row.decisions,
        }
    }
}

impl From<ObjectRow> for ObjectView {
    fn from(row: ObjectRow) -> Self {
        Self {
            id: row.object.id,
            source: row.object.source,
            bucket: row.object.bucket,
            key: row.object.key,
            version: row.object.version,
            etag: row.object.etag,
            size: row.object.size,
            last_modified: row.object.last_modified,
            content_type: row.object.content_type,
            detected_type: row.detected_type,
            state: row.state,
            verdict: row.verdict,
            sealed: row.sealed,
            event: row.event,
            plan: row.plan,
            finished_at: row.finished_at,
            deleted_at: row.deleted_at,
            decisions: row.decisions,
            trace_id: row.trace_id,
        }
    }
}

/// One event message about a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// When it was stored.
    pub stored_at: Timestamp,
    /// What it says happened.
    pub verb: Verb,
    /// Its id: the same when it was published again.
    pub event: EventId,
}

/// What a listing is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this state.
    pub state: Option<ObjectState>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// Only this bucket.
    pub bucket: Option<BucketName>,
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<ObjectRow>,
    /// Where to go on; `None` only at the end. A filter may leave few rows of the many that one call looks at.
    pub next: Option<Cursor>,
}
