//! Rows of buckets.

use cofferdam_schemas::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Change, Versioning};
use crate::error::{Refusal, Stop};

/// A bucket's row.
#[derive(Debug, Clone)]
pub(crate) struct BucketRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) versioning: Versioning,
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<BucketRow> {
    let versioning: String = row.get(3)?;
    Ok(BucketRow {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: Timestamp::from_unix_millis(row.get(2)?),
        versioning: Versioning::parse(&versioning).ok_or(rusqlite::Error::InvalidQuery)?,
    })
}

pub(crate) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<BucketRow>> {
    connection
        .prepare_cached("SELECT id, name, created_at, versioning FROM buckets WHERE name = ?1")?
        .query_row([name], row)
        .optional()
}

pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<BucketRow>> {
    connection
        .prepare_cached("SELECT id, name, created_at, versioning FROM buckets ORDER BY name")?
        .query_map([], row)?
        .collect()
}

pub(crate) fn create(change: &mut Change<'_>, name: &str) -> Result<(), Stop> {
    let added = change
        .tx
        .prepare_cached("INSERT INTO buckets (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![name, change.now.unix_millis()])?;
    if added == 0 {
        Err(Refusal::BucketExists.into())
    } else {
        Ok(())
    }
}

/// Removes an empty bucket and the multipart uploads begun in it.
pub(crate) fn delete(change: &mut Change<'_>, name: &str) -> Result<(), Stop> {
    let bucket = find(change.tx, name)?.ok_or(Refusal::NoSuchBucket)?;
    // Versions that are only held count too: the pipeline still reads them.
    if change
        .tx
        .prepare_cached("SELECT 1 FROM objects WHERE bucket = ?1 LIMIT 1")?
        .exists([bucket.id])?
    {
        return Err(Refusal::BucketNotEmpty.into());
    }
    let uploads: Vec<i64> = change
        .tx
        .prepare_cached("SELECT id FROM uploads WHERE bucket = ?1")?
        .query_map([bucket.id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for upload in uploads {
        super::multipart::drop_upload(change, upload)?;
    }
    change
        .tx
        .prepare_cached("DELETE FROM buckets WHERE id = ?1")?
        .execute([bucket.id])?;
    Ok(())
}

pub(crate) fn set_versioning(change: &mut Change<'_>, name: &str, versioning: Versioning) -> Result<(), Stop> {
    let changed = change
        .tx
        .prepare_cached("UPDATE buckets SET versioning = ?2 WHERE name = ?1")?
        .execute(params![name, versioning.as_str()])?;
    if changed == 0 {
        Err(Refusal::NoSuchBucket.into())
    } else {
        Ok(())
    }
}

pub(crate) fn notification(connection: &Connection, name: &str) -> rusqlite::Result<Option<Option<String>>> {
    connection
        .prepare_cached("SELECT notification FROM buckets WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(crate) fn set_notification(change: &mut Change<'_>, name: &str, configuration: &str) -> Result<(), Stop> {
    let changed = change
        .tx
        .prepare_cached("UPDATE buckets SET notification = ?2 WHERE name = ?1")?
        .execute(params![name, configuration])?;
    if changed == 0 {
        Err(Refusal::NoSuchBucket.into())
    } else {
        Ok(())
    }
}
