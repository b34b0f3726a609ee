//! Rows of object versions: writing and removing, with the rule for held versions.
//!
//! An overwritten version of a landing bucket whose ledger row is not closed is not removed but *held*: hidden from S3, still readable by
//! its internal version id, removed when its row is closed. So an overwrite loses nothing that was accepted. A delete by the user
//! withdraws: it removes held versions too.

use cofferdam_schemas::{Checksums, ETag, Timestamp, Verb};
use cofferdam_seams::crash::{self, Point, When};
use rusqlite::{OptionalExtension as _, params};

use super::buckets::{self, BucketRow};
use super::objects::{self, VersionRow, Which};
use super::{Attached, Change, Versioning, ledger, signed, to_json, unsigned, version_id};
use crate::blobs::NewBlob;
use crate::digest::Algorithm;
use crate::error::{Refusal, Stop};
use crate::ledger::BucketRecord;

/// Where a new version's bytes are.
pub(crate) enum Body {
    /// In a blob that was just written.
    New(NewBlob),
    /// Those of another version; the blobs are shared.
    Of(Box<VersionRow>),
    /// In parts of an upload, which become segments.
    Parts(Vec<Segment>),
}

/// A part that becomes a segment.
pub(crate) struct Segment {
    pub(crate) blob: i64,
    pub(crate) size: u64,
    /// JSON.
    pub(crate) sums: String,
}

/// What must hold for a key before it is written or removed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    /// `If-None-Match: *`
    pub(crate) absent: bool,
    /// `If-Match`: any of `None`, or this entity tag.
    pub(crate) matches: Option<Option<String>>,
}

impl Conditions {
    pub(crate) fn check(&self, current: Option<&VersionRow>) -> Result<(), Refusal> {
        let current = current.filter(|row| !row.marker);
        if self.absent && current.is_some() {
            return Err(Refusal::Precondition {
                condition: "If-None-Match",
            });
        }
        match (&self.matches, current) {
            (None, _) | (Some(None), Some(_)) => Ok(()),
            (Some(Some(etag)), Some(current)) if *etag == current.etag => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::Precondition { condition: "If-Match" }),
            (Some(_), None) => Err(Refusal::NoSuchKey),
        }
    }
}

/// A version to be written.
pub(crate) struct NewVersion {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) body: Body,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) sums: Checksums,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) composite: Option<String>,
    pub(crate) attached: Attached,
    pub(crate) upload: Option<String>,
    pub(crate) conditions: Conditions,
    /// For the ledger: how it came.
    pub(crate) reason: &'static str,
}

/// A version that was written.
#[derive(Debug, Clone)]
pub(crate) struct Put {
    pub(crate) id: i64,
    /// The version id as S3 clients see it.
    pub(crate) public: Option<String>,
    pub(crate) modified: Timestamp,
}

/// Writes a version and, in a landing bucket, its ledger row.
pub(crate) fn put(change: &mut Change<'_>, mut new: NewVersion) -> Result<Put, Stop> {
    let bucket = buckets::find(change.tx, &new.bucket)?.ok_or(Refusal::NoSuchBucket)?;
    change.takes(&new.key)?;
    let current = objects::row(change.tx, &bucket, &new.key, &Which::Latest)?;
    new.conditions.check(current.as_ref())?;
    let plain = bucket.versioning != Versioning::Enabled;
    // New references first: the bytes may be those of the version that is about to be replaced.
    let (blob, segments) = match &mut new.body {
        Body::New(blob) => (Some(insert_blob(change, blob)?), None),
        Body::Of(source) => (source.blob, share(change, source)?),
        Body::Parts(parts) => (None, Some(std::mem::take(parts))),
    };
    let parts = segments
        .as_ref()
        .and_then(|segments| u32::try_from(segments.len()).ok());
    step_back(change, &bucket, &new.key, plain)?;
    let Attached { headers, user, tags } = &new.attached;
    change
        .tx
        .prepare_cached(
            "INSERT INTO objects (bucket, key, latest, plain, size, etag, modified, blob, parts, algorithm, composite, sums, headers, user, tags, upload)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            bucket.id,
            new.key.as_bytes(),
            plain,
            signed(new.size),
            new.etag,
            change.now.unix_millis(),
            blob,
            parts,
            new.algorithm.map(Algorithm::name),
            new.composite,
            to_json(&new.sums)?,
            to_json(headers)?,
            to_json(user)?,
            if tags.is_empty() { None } else { Some(to_json(tags)?) },
            new.upload,
        ])?;
    let id = change.tx.last_insert_rowid();
    insert_segments(change, segments.unwrap_or_default(), id)?;
    if change.landing {
        let row = objects::row(change.tx, &bucket, &new.key, &Which::Internal(id))?.ok_or(Refusal::NoSuchVersion)?;
        record(change, &bucket, &new.key, &row, Verb::Put, new.reason)?;
        crash::point(Point::UploadAccepted, When::Before);
    }
    if let Body::New(blob) = new.body {
        blob.keep();
    }
    Ok(Put {
        id,
        public: bucket.versioning.public(id, plain),
        modified: change.now,
    })
}

/// Makes room for a new latest version: the one of before goes, is held, or becomes an older one.
fn step_back(change: &mut Change<'_>, bucket: &BucketRow, key: &str, plain: bool) -> Result<(), Stop> {
    if plain && let Some(replaced) = objects::row(change.tx, bucket, key, &Which::Public("null".to_owned()))? {
        let open = change.landing && ledger::is_open(change.tx, replaced.id)?;
        if open && !replaced.marker {
            change
                .tx
                .prepare_cached("UPDATE objects SET held = 1, latest = 0 WHERE id = ?1")?
                .execute([replaced.id])?;
        } else {
            drop_version(change, &replaced)?;
        }
    }
    change
        .tx
        .prepare_cached("UPDATE objects SET latest = 0 WHERE bucket = ?1 AND key = ?2 AND latest = 1")?
        .execute(params![bucket.id, key.as_bytes()])?;
    Ok(())
}

/// What a delete did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// A delete marker was made, or was removed.
    pub(crate) marker: bool,
    /// The public id of the version that was made or removed.
    pub(crate) version: Option<String>,
}

/// Removes a key as a user does: without versioning its bytes, held ones included; with versioning by a delete marker.
pub(crate) fn delete_key(
    change: &mut Change<'_>,
    bucket: &str,
    key: &str,
    conditions: &Conditions,
) -> Result<Deleted, Stop> {
    let bucket = buckets::find(change.tx, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    let current = objects::row(change.tx, &bucket, key, &Which::Latest)?;
    conditions.check(current.as_ref())?;
    withdraw_held(change, &bucket, key)?;
    let plain = bucket.versioning != Versioning::Enabled;
    if let Some(current) = current.filter(|row| !row.marker)
        && change.landing
    {
        record(change, &bucket, key, &current, Verb::Del, "DeleteObject")?;
    }
    if plain && let Some(replaced) = objects::row(change.tx, &bucket, key, &Which::Public("null".to_owned()))? {
        drop_version(change, &replaced)?;
    }
    if bucket.versioning == Versioning::Unversioned {
        return Ok(Deleted::default());
    }
    change
        .tx
        .prepare_cached("UPDATE objects SET latest = 0 WHERE bucket = ?1 AND key = ?2 AND latest = 1")?
        .execute(params![bucket.id, key.as_bytes()])?;
    change
        .tx
        .prepare_cached(
            "INSERT INTO objects (bucket, key, latest, marker, plain, size, etag, modified, sums, headers, user)
             VALUES (?1, ?2, 1, 1, ?3, 0, '', ?4, '{}', '{}', '{}')",
        )?
        .execute(params![bucket.id, key.as_bytes(), plain, change.now.unix_millis()])?;
    Ok(Deleted {
        marker: true,
        version: bucket.versioning.public(change.tx.last_insert_rowid(), plain),
    })
}

/// Removes exactly one version. `by_user` writes a ledger row in a landing bucket; the pipeline's own clearing away does not.
/// What is not there is removed already.
pub(crate) fn delete_version(
    change: &mut Change<'_>,
    bucket: &str,
    key: &str,
    which: &Which,
    conditions: &Conditions,
    by_user: bool,
) -> Result<Deleted, Stop> {
    let bucket = buckets::find(change.tx, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    let Some(row) = objects::row(change.tx, &bucket, key, which)? else {
        return Ok(Deleted::default());
    };
    conditions.check(Some(&row))?;
    if by_user && change.landing && !row.marker {
        record(change, &bucket, key, &row, Verb::Del, "DeleteObject")?;
    }
    if by_user && row.plain {
        withdraw_held(change, &bucket, key)?;
    }
    drop_version(change, &row)?;
    if row.latest {
        change
            .tx
            .prepare_cached(
                "UPDATE objects SET latest = 1 WHERE id = (SELECT id FROM objects WHERE bucket = ?1 AND key = ?2 AND held = 0 ORDER BY id DESC LIMIT 1)",
            )?
            .execute(params![bucket.id, key.as_bytes()])?;
    }
    Ok(Deleted {
        marker: row.marker,
        version: bucket.versioning.public(row.id, row.plain),
    })
}

/// Removes the held versions of a key, each with its ledger row.
fn withdraw_held(change: &mut Change<'_>, bucket: &BucketRow, key: &str) -> Result<(), Stop> {
    let held: Vec<i64> = change
        .tx
        .prepare_cached("SELECT id FROM objects WHERE bucket = ?1 AND key = ?2 AND held = 1 ORDER BY id")?
        .query_map(params![bucket.id, key.as_bytes()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in held {
        if let Some(row) = objects::row(change.tx, bucket, key, &Which::Internal(id))? {
            if change.landing {
                record(change, bucket, key, &row, Verb::Del, "DeleteObject")?;
            }
            drop_version(change, &row)?;
        }
    }
    Ok(())
}

/// Removes a version that was held for the ledger row that now is closed.
pub(crate) fn release_held(change: &mut Change<'_>, id: i64) -> rusqlite::Result<()> {
    let row = change
        .tx
        .prepare_cached("SELECT blob FROM objects WHERE id = ?1 AND held = 1")?
        .query_row([id], |row| row.get::<_, Option<i64>>(0))
        .optional()?;
    match row {
        Some(blob) => remove_rows(change, id, blob),
        None => Ok(()),
    }
}

fn drop_version(change: &mut Change<'_>, row: &VersionRow) -> rusqlite::Result<()> {
    remove_rows(change, row.id, row.blob)
}

fn remove_rows(change: &mut Change<'_>, id: i64, blob: Option<i64>) -> rusqlite::Result<()> {
    let mut blobs: Vec<i64> = blob.into_iter().collect();
    if blobs.is_empty() {
        let mut statement = change
            .tx
            .prepare_cached("SELECT blob FROM segments WHERE object = ?1")?;
        for segment in statement.query_map([id], |row| row.get(0))? {
            blobs.push(segment?);
        }
        change
            .tx
            .prepare_cached("DELETE FROM segments WHERE object = ?1")?
            .execute([id])?;
    }
    change
        .tx
        .prepare_cached("DELETE FROM objects WHERE id = ?1")?
        .execute([id])?;
    blobs.into_iter().try_for_each(|blob| release_blob(change, blob))
}

/// Gives up one reference to a blob, and the blob with the last.
pub(crate) fn release_blob(change: &mut Change<'_>, blob: i64) -> rusqlite::Result<()> {
    let left: Option<(i64, Option<String>)> = change
        .tx
        .prepare_cached("UPDATE blobs SET refs = refs - 1 WHERE id = ?1 RETURNING refs, file")?
        .query_row([blob], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((refs, file)) = left
        && refs <= 0
    {
        change
            .tx
            .prepare_cached("DELETE FROM blobs WHERE id = ?1")?
            .execute([blob])?;
        change.released.extend(file);
    }
    Ok(())
}

/// A row for a blob that was just written.
pub(crate) fn insert_blob(change: &mut Change<'_>, blob: &NewBlob) -> rusqlite::Result<i64> {
    let (file, data) = blob.columns();
    change
        .tx
        .prepare_cached("INSERT INTO blobs (file, size, refs, data) VALUES (?1, ?2, 1, ?3)")?
        .execute(params![file, signed(blob.size), data])?;
    Ok(change.tx.last_insert_rowid())
}

/// One more reference to each blob of a version, which must still be there. Gives its segments, if it has any.
fn share(change: &mut Change<'_>, source: &VersionRow) -> Result<Option<Vec<Segment>>, Stop> {
    if !objects::exists(change.tx, source.id)? {
        return Err(Refusal::NoSuchKey.into());
    }
    let mut refer = change
        .tx
        .prepare_cached("UPDATE blobs SET refs = refs + 1 WHERE id = ?1")?;
    if let Some(blob) = source.blob {
        refer.execute([blob])?;
        return Ok(None);
    }
    let mut statement = change
        .tx
        .prepare_cached("SELECT blob, size, sums FROM segments WHERE object = ?1 ORDER BY number")?;
    let segments = statement.query_map([source.id], |row| {
        Ok(Segment {
            blob: row.get(0)?,
            size: unsigned(row.get(1)?),
            sums: row.get(2)?,
        })
    })?;
    let segments: Vec<Segment> = segments.collect::<rusqlite::Result<_>>()?;
    for segment in &segments {
        refer.execute([segment.blob])?;
    }
    Ok(Some(segments))
}

fn insert_segments(change: &mut Change<'_>, segments: Vec<Segment>, object: i64) -> rusqlite::Result<()> {
    let mut statement = change.tx.prepare_cached(
        "INSERT INTO segments (object, number, start, size, blob, sums) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut start = 0;
    for (number, part) in (1_u32..).zip(segments) {
        statement.execute(params![
            object,
            number,
            signed(start),
            signed(part.size),
            part.blob,
            part.sums
        ])?;
        start += part.size;
    }
    Ok(())
}

/// Writes the ledger row of what happened to a version.
fn record(
    change: &mut Change<'_>,
    bucket: &BucketRow,
    key: &str,
    row: &VersionRow,
    verb: Verb,
    reason: &str,
) -> Result<(), Stop> {
    let unreadable = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let record = BucketRecord {
        bucket: bucket.name.parse().map_err(unreadable)?,
        key: key.parse().map_err(unreadable)?,
        version: version_id(row.id)?,
        etag: ETag::new(row.etag.clone()).map_err(unreadable)?,
        size: row.size,
        last_modified: row.modified,
        content_type: row.attached.headers.content_type.clone(),
        checksums: row.sums.clone(),
        verb,
        user: row.attached.user.clone(),
        reason: reason.to_owned(),
    };
    // Only the row of a put keeps its version held.
    let object = (verb == Verb::Put).then_some(row.id);
    ledger::insert(
        change,
        crate::ledger::LedgerKind::Upload,
        None,
        object,
        &to_json(&record)?,
    )?;
    Ok(())
}

/// Replaces a version's tags.
pub(crate) fn set_tags(change: &mut Change<'_>, id: i64, tags: &super::Tags) -> rusqlite::Result<()> {
    let tags = if tags.is_empty() { None } else { Some(to_json(tags)?) };
    change
        .tx
        .prepare_cached("UPDATE objects SET tags = ?2 WHERE id = ?1")?
        .execute(params![id, tags])
        .map(drop)
}
