//! The ledger: what was accepted and is not yet final.
//!
//! The row of an upload is committed together with the object's own row, before the client hears of success. It stays until the sink has
//! committed the object's final state. So whatever is lost between here and there (a message, a process, the power), the row is still
//! there to be published again.

use std::collections::BTreeMap;

use cofferdam_schemas::{BucketName, Checksums, ETag, ObjectKey, Timestamp, Verb, VersionId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::BucketError;
use crate::index;
use crate::store::Bucket;

/// What a ledger row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LedgerKind {
    /// Something happened to an object of this bucket; the payload is a [`BucketRecord`].
    Upload,
    /// A foreign store announced an object; the payload is an `ObjectEvent`.
    Foreign,
    /// A user asked for something; the payload is a `Command`.
    Command,
}

impl LedgerKind {
    /// Its name in the index.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Foreign => "foreign",
            Self::Command => "command",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Upload, Self::Foreign, Self::Command]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerRow {
    /// Ascending in the order of acceptance; never used twice.
    pub seq: i64,
    /// What it stands for.
    pub kind: LedgerKind,
    /// What was accepted, see [`LedgerKind`].
    pub payload: serde_json::Value,
    /// How often it was published again.
    pub redrives: u32,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it was last published.
    pub published_at: Option<Timestamp>,
    /// The object id, or tenant and command id; of an upload only once it was published.
    pub subject_id: Option<String>,
}

/// What happened to a version in a landing bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRecord {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The internal version id. With it [`cofferdam_seams::ObjectStore::get`] reads exactly this version, also when S3 clients no longer see it.
    pub version: VersionId,
    /// The entity tag.
    pub etag: ETag,
    /// Size in bytes.
    pub size: u64,
    /// When the version was written (of a delete: the deleted version).
    pub last_modified: Timestamp,
    /// The declared media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Whole-object checksums.
    #[serde(default)]
    pub checksums: Checksums,
    /// `put`, or `del` when the user removed this version (or hid it behind a delete marker).
    pub verb: Verb,
    /// User metadata, names in lower case.
    #[serde(default)]
    pub user: BTreeMap<String, String>,
    /// How it came: `PutObject`, `CompleteMultipartUpload`, `CopyObject`, `InboxFolder` (written in process) or `DeleteObject`.
    pub reason: String,
}

/// Whether a row was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// It was, with this number.
    New(i64),
    /// There is one of the same kind and subject already, with this number.
    Exists(i64),
}

/// How full the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerDepth {
    /// Rows that are neither final nor parked.
    pub open: u64,
    /// Rows whose work was given up and waits for a person.
    pub parked: u64,
    /// When the oldest open row was accepted.
    pub oldest: Option<Timestamp>,
}

/// The ledger of a [`Bucket`]. Clones share it.
#[derive(Clone)]
pub struct Ledger {
    bucket: Bucket,
}

impl Ledger {
    /// A row that was published so far in the future was published by another clock.
    pub const AHEAD: std::time::Duration = std::time::Duration::from_secs(60);

    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    /// Adds a row, durably, unless there is one for this subject. `subject_id` is unique within its kind: an object id, or tenant
    /// and command id.
    pub async fn accept(
        &self,
        kind: LedgerKind,
        subject_id: String,
        payload: serde_json::Value,
    ) -> Result<Accept, BucketError> {
        let payload = payload.to_string();
        self.bucket
            .commit(None, move |change| {
                Ok(index::ledger::accept(change, kind, &subject_id, &payload)?)
            })
            .await
    }

    /// Rows that were never published, in order, after a row number.
    pub async fn unpublished(&self, after_seq: i64, limit: usize) -> Result<Vec<LedgerRow>, BucketError> {
        self.bucket
            .look(move |connection| Ok(index::ledger::unpublished(connection, after_seq, limit)?))
            .await
    }

    /// Notes that rows were published now. The subject id is given for uploads once the normaliser knows the object id.
    pub async fn mark_published(&self, rows: Vec<(i64, Option<String>)>) -> Result<(), BucketError> {
        self.bucket
            .commit(None, move |change| Ok(index::ledger::mark_published(change, &rows)?))
            .await
    }

    /// These subjects are final: their rows go, and the overwritten versions held for them.
    pub async fn close(&self, kind: LedgerKind, subject_ids: Vec<String>) -> Result<(), BucketError> {
        self.bucket
            .commit(None, move |change| {
                Ok(index::ledger::close(change, kind, &subject_ids)?)
            })
            .await
    }

    /// Like [`Self::close`], by row number: for records that never get a subject, such as deletes that need no work.
    pub async fn close_rows(&self, seqs: Vec<i64>) -> Result<(), BucketError> {
        self.bucket
            .commit(None, move |change| Ok(index::ledger::close_rows(change, &seqs)?))
            .await
    }

    /// These subjects were given up: their rows (and held versions) stay, but they are not published again. A later [`Self::close`] still works.
    pub async fn park(&self, kind: LedgerKind, subject_ids: Vec<String>) -> Result<(), BucketError> {
        self.bucket
            .commit(None, move |change| Ok(index::ledger::park(change, kind, &subject_ids)?))
            .await
    }

    /// The row of a subject that is not closed, parked and deferred ones included.
    pub async fn find(&self, kind: LedgerKind, subject_id: String) -> Result<Option<LedgerRow>, BucketError> {
        self.bucket
            .look(move |connection| Ok(index::ledger::find(connection, kind, &subject_id)?))
            .await
    }

    /// These subjects are final, but something is left to do later (retiring the plaintext): their rows and held versions stay, are neither
    /// published again nor counted as open, and come back from [`Self::deferred`]. Deferring again sets another time; [`Self::close`]
    /// removes them as any other.
    pub async fn defer(&self, kind: LedgerKind, subject_ids: Vec<String>, until: Timestamp) -> Result<(), BucketError> {
        self.bucket
            .commit(None, move |change| {
                Ok(index::ledger::defer(change, kind, &subject_ids, until)?)
            })
            .await
    }

    /// Deferred rows whose time has come by `due`, the longest due first.
    pub async fn deferred(&self, due: Timestamp, limit: usize) -> Result<Vec<LedgerRow>, BucketError> {
        self.bucket
            .look(move |connection| Ok(index::ledger::deferred(connection, due, limit)?))
            .await
    }

    /// Rows last published before a time, neither final nor parked; the longest waiting first. After them those whose time is more than
    /// [`Ledger::AHEAD`] from now: the clock was set back since, and they would wait until it is there again.
    pub async fn overdue(&self, published_before: Timestamp, limit: usize) -> Result<Vec<LedgerRow>, BucketError> {
        let ahead = self.bucket.now().plus_millis(Self::AHEAD.as_millis() as i64);
        self.bucket
            .look(move |connection| Ok(index::ledger::overdue(connection, published_before, ahead, limit)?))
            .await
    }

    /// Notes that a row is published again now, and says the how-manieth time that is. 0 if the row is final by now.
    pub async fn mark_redriven(&self, seq: i64) -> Result<u32, BucketError> {
        self.bucket
            .commit(None, move |change| Ok(index::ledger::mark_redriven(change, seq)?))
            .await
    }

    /// How full it is.
    pub async fn depth(&self) -> Result<LedgerDepth, BucketError> {
        self.bucket
            .look(|connection| Ok(index::ledger::depth(connection)?))
            .await
    }

    /// Changes whenever rows are added. What was added before the call is not told: look first, then wait.
    pub fn notified(&self) -> watch::Receiver<u64> {
        self.bucket.notified()
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
