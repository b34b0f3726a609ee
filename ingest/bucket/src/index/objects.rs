//! Rows of object versions: reading.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use cofferdam_schemas::{Checksums, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::buckets::{self, BucketRow};
use super::{Attached, Headers, Tags, from_json, unsigned, version_number};
use crate::blobs::{Piece, Source};
use crate::digest::Algorithm;
use crate::error::{Refusal, Stop};

/// A version's row, without its bytes.
#[derive(Debug, Clone)]
pub(crate) struct VersionRow {
    pub(crate) id: i64,
    pub(crate) latest: bool,
    pub(crate) marker: bool,
    pub(crate) plain: bool,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) blob: Option<i64>,
    pub(crate) parts: Option<u32>,
    /// The algorithm of the checksum that S3 clients see.
    pub(crate) algorithm: Option<Algorithm>,
    /// The checksum over the parts' checksums, `<base64>-<parts>`.
    pub(crate) composite: Option<String>,
    pub(crate) sums: Checksums,
    pub(crate) attached: Attached,
    pub(crate) upload: Option<String>,
}

/// Columns that [`VersionRow::read`] takes, in its order.
const COLUMNS: &str = "id, latest, marker, plain, size, etag, modified, blob, parts, algorithm, composite, sums, headers, user, tags, upload";

impl VersionRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let algorithm: Option<String> = row.get(9)?;
        let sums: Checksums = from_json(11, row.get_ref(11)?.as_str()?)?;
        let headers: Headers = from_json(12, row.get_ref(12)?.as_str()?)?;
        let user: BTreeMap<String, String> = from_json(13, row.get_ref(13)?.as_str()?)?;
        let tags: Tags = row
            .get_ref(14)?
            .as_str_or_null()?
            .map(|text| from_json(14, text))
            .transpose()?
            .unwrap_or_default();
        Ok(Self {
            id: row.get(0)?,
            latest: row.get(1)?,
            marker: row.get(2)?,
            plain: row.get(3)?,
            size: unsigned(row.get(4)?),
            etag: row.get(5)?,
            modified: Timestamp::from_unix_millis(row.get(6)?),
            blob: row.get(7)?,
            parts: row.get(8)?,
            algorithm: algorithm.as_deref().and_then(Algorithm::parse),
            composite: row.get(10)?,
            sums,
            attached: Attached { headers, user, tags },
            upload: row.get(15)?,
        })
    }
}

/// Which version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest.
    Latest,
    /// By the id S3 requests use. Held versions are not found so.
    Public(String),
    /// By the internal id, held or not.
    Internal(i64),
}

/// Finds a version's row, delete markers included.
pub(crate) fn row(
    connection: &Connection,
    bucket: &BucketRow,
    key: &str,
    which: &Which,
) -> rusqlite::Result<Option<VersionRow>> {
    // An order only where there can be several: for the one that is the latest SQLite would build a tree to sort it in, which cost more than
    // everything else about a small upload's rows.
    let (condition, id) = match which {
        Which::Latest => ("latest = 1 AND ?3 = 0", 0),
        Which::Public(text) if text == "null" => ("held = 0 AND plain = 1 AND ?3 = 0 ORDER BY id DESC LIMIT 1", 0),
        Which::Public(text) => match version_number(text) {
            Some(id) => ("id = ?3 AND held = 0 AND plain = 0", id),
            None => return Ok(None),
        },
        Which::Internal(id) => ("id = ?3", *id),
    };
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM objects WHERE bucket = ?1 AND key = ?2 AND {condition}"
        ))?
        .query_row(params![bucket.id, key.as_bytes(), id], VersionRow::read)
        .optional()
}

/// Finds a version that has bytes, or says why there is none.
pub(crate) fn find(
    connection: &Connection,
    bucket: &str,
    key: &str,
    which: &Which,
) -> Result<(BucketRow, VersionRow), Stop> {
    let bucket = buckets::find(connection, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    match row(connection, &bucket, key, which)? {
        Some(found) if found.marker => {
            let version = bucket.versioning.public(found.id, found.plain);
            Err(Refusal::DeleteMarker {
                version,
                named: *which != Which::Latest,
            }
            .into())
        }
        Some(found) => Ok((bucket, found)),
        None if *which == Which::Latest => Err(Refusal::NoSuchKey.into()),
        None => Err(Refusal::NoSuchVersion.into()),
    }
}

/// Where a range of a version's bytes is, and the files it takes.
pub(crate) fn pieces(
    connection: &Connection,
    version: &VersionRow,
    range: &Range<u64>,
) -> rusqlite::Result<Vec<Piece>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(blob) = version.blob {
        return Ok(vec![Piece {
            source: source(connection, blob)?,
            range: range.clone(),
        }]);
    }
    let mut statement = connection.prepare_cached(
        "SELECT start, size, blob FROM segments WHERE object = ?1 AND start < ?3 AND start + size > ?2 ORDER BY number",
    )?;
    let bounds = params![version.id, super::signed(range.start), super::signed(range.end)];
    let rows = statement.query_map(bounds, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let mut pieces = Vec::new();
    for row in rows {
        let (start, size, blob) = row?;
        let (start, end) = (unsigned(start), unsigned(start) + unsigned(size));
        let inner = range.start.max(start) - start..range.end.min(end) - start;
        pieces.push(Piece {
            source: source(connection, blob)?,
            range: inner,
        });
    }
    Ok(pieces)
}

fn source(connection: &Connection, blob: i64) -> rusqlite::Result<Source> {
    connection
        .prepare_cached("SELECT file, data FROM blobs WHERE id = ?1")?
        .query_row([blob], |row| {
            let file: Option<String> = row.get(0)?;
            Ok(match file {
                Some(file) => Source::File(file),
                None => Source::Memory(Bytes::from(row.get::<_, Vec<u8>>(1)?)),
            })
        })
}

/// Whether a version is still in the index.
pub(crate) fn exists(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM objects WHERE id = ?1")?
        .exists([id])
}

/// One segment of a multipart object.
pub(crate) struct SegmentRow {
    pub(crate) number: u32,
    pub(crate) start: u64,
    pub(crate) size: u64,
    pub(crate) sums: Checksums,
}

/// Segments of a multipart object after a number, in order.
pub(crate) fn segments(
    connection: &Connection,
    object: i64,
    after: u32,
    limit: u32,
) -> rusqlite::Result<Vec<SegmentRow>> {
    connection
        .prepare_cached(
            "SELECT number, start, size, sums FROM segments WHERE object = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )?
        .query_map(params![object, after, limit], |row| {
            Ok(SegmentRow {
                number: row.get(0)?,
                start: unsigned(row.get(1)?),
                size: unsigned(row.get(2)?),
                sums: from_json(3, row.get_ref(3)?.as_str()?)?,
            })
        })?
        .collect()
}

/// Names of blob files in the index that begin with `prefix`.
pub(crate) fn files(connection: &Connection, prefix: &str) -> rusqlite::Result<std::collections::HashSet<String>> {
    connection
        .prepare_cached("SELECT file FROM blobs WHERE file >= ?1 AND file < ?1 || 'g'")?
        .query_map([prefix], |row| row.get(0))?
        .collect()
}
