//! Rows of multipart uploads.
//!
//! Each part is a blob of its own. Completing an upload moves no bytes: the parts' blobs become the object's segments.

use std::collections::BTreeMap;

use base64::Engine as _;
use cofferdam_schemas::{Checksums, Timestamp};
use md5::Digest as _;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::buckets;
use super::objects::{self, Which};
use super::write::{self, Body, Conditions, NewVersion, Put, Segment};
use super::{Attached, Change, Headers, Tags, from_json, signed, to_json, unsigned};
use crate::blobs::{NewBlob, random_name};
use crate::digest::{self, Algorithm};
use crate::error::{Refusal, Stop};

/// The smallest part that is not the last: 5 MiB.
pub(crate) const SMALLEST_PART: u64 = 5 * 1024 * 1024;
/// The highest part number.
pub(crate) const MOST_PARTS: u32 = 10_000;

/// Which checksum the finished object shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) algorithm: Option<Algorithm>,
    /// Over the parts' checksums, not over the bytes.
    pub(crate) composite: bool,
}

/// An upload's row.
#[derive(Debug, Clone)]
pub(crate) struct UploadRow {
    pub(crate) id: i64,
    pub(crate) token: String,
    pub(crate) shown: Shown,
    pub(crate) attached: Attached,
}

/// A part's row.
#[derive(Debug, Clone)]
pub(crate) struct PartRow {
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) blob: i64,
    pub(crate) sums: Checksums,
    pub(crate) modified: Timestamp,
}

impl PartRow {
    /// A part's entity tag is its MD5.
    pub(crate) fn etag(&self) -> &str {
        self.sums.md5.as_deref().unwrap_or_default()
    }
}

/// Begins an upload and gives its id.
pub(crate) fn create(
    change: &mut Change<'_>,
    bucket: &str,
    key: &str,
    shown: Shown,
    attached: &Attached,
) -> Result<String, Stop> {
    let bucket = buckets::find(change.tx, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    change.takes(key)?;
    let token = random_name();
    let Attached { headers, user, tags } = attached;
    change
        .tx
        .prepare_cached(
            "INSERT INTO uploads (token, bucket, key, created_at, algorithm, composite, headers, user, tags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            token,
            bucket.id,
            key.as_bytes(),
            change.now.unix_millis(),
            shown.algorithm.map(Algorithm::name),
            shown.composite,
            to_json(headers)?,
            to_json(user)?,
            if tags.is_empty() { None } else { Some(to_json(tags)?) },
        ])?;
    Ok(token)
}

/// Finds an upload of this key.
pub(crate) fn find(connection: &Connection, bucket: &str, key: &str, token: &str) -> Result<UploadRow, Stop> {
    let bucket = buckets::find(connection, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    let row = connection
        .prepare_cached("SELECT id, algorithm, composite, headers, user, tags FROM uploads WHERE token = ?1 AND bucket = ?2 AND key = ?3")?
        .query_row(params![token, bucket.id, key.as_bytes()], |row| {
            let algorithm: Option<String> = row.get(1)?;
            let headers: Headers = from_json(3, row.get_ref(3)?.as_str()?)?;
            let user: BTreeMap<String, String> = from_json(4, row.get_ref(4)?.as_str()?)?;
            let tags: Tags = row.get_ref(5)?.as_str_or_null()?.map(|text| from_json(5, text)).transpose()?.unwrap_or_default();
            Ok(UploadRow {
                id: row.get(0)?,
                token: token.to_owned(),
                shown: Shown { algorithm: algorithm.as_deref().and_then(Algorithm::parse), composite: row.get(2)? },
                attached: Attached { headers, user, tags },
            })
        })
        .optional()?;
    row.ok_or_else(|| Refusal::NoSuchUpload.into())
}

/// Keeps a part, in place of one with the same number.
pub(crate) fn put_part(
    change: &mut Change<'_>,
    upload: &UploadRow,
    number: u32,
    blob: NewBlob,
    sums: &Checksums,
) -> Result<(), Stop> {
    if !change
        .tx
        .prepare_cached("SELECT 1 FROM uploads WHERE id = ?1 AND token = ?2")?
        .exists(params![upload.id, upload.token])?
    {
        return Err(Refusal::NoSuchUpload.into());
    }
    let replaced: Option<i64> = change
        .tx
        .prepare_cached("SELECT blob FROM upload_parts WHERE upload = ?1 AND number = ?2")?
        .query_row(params![upload.id, number], |row| row.get(0))
        .optional()?;
    if let Some(replaced) = replaced {
        write::release_blob(change, replaced)?;
    }
    let id = write::insert_blob(change, &blob)?;
    change
        .tx
        .prepare_cached("INSERT OR REPLACE INTO upload_parts (upload, number, size, blob, sums, modified) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![upload.id, number, signed(blob.size), id, to_json(sums)?, change.now.unix_millis()])?;
    blob.keep();
    Ok(())
}

/// Parts after a number, in order.
pub(crate) fn parts(connection: &Connection, upload: i64, after: u32, limit: u32) -> rusqlite::Result<Vec<PartRow>> {
    connection
        .prepare_cached(
            "SELECT number, size, blob, sums, modified FROM upload_parts WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )?
        .query_map(params![upload, after, limit], |row| {
            Ok(PartRow {
                number: row.get(0)?,
                size: unsigned(row.get(1)?),
                blob: row.get(2)?,
                sums: from_json(3, row.get_ref(3)?.as_str()?)?,
                modified: Timestamp::from_unix_millis(row.get(4)?),
            })
        })?
        .collect()
}

/// Gives up an upload and its parts.
pub(crate) fn abort(change: &mut Change<'_>, bucket: &str, key: &str, token: &str) -> Result<(), Stop> {
    let upload = find(change.tx, bucket, key, token)?;
    Ok(drop_upload(change, upload.id)?)
}

pub(crate) fn drop_upload(change: &mut Change<'_>, upload: i64) -> rusqlite::Result<()> {
    let mut statement = change
        .tx
        .prepare_cached("DELETE FROM upload_parts WHERE upload = ?1 RETURNING blob")?;
    let blobs: Vec<i64> = statement
        .query_map([upload], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    drop(statement);
    for blob in blobs {
        write::release_blob(change, blob)?;
    }
    change
        .tx
        .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
        .execute([upload])
        .map(drop)
}

/// Uploads that neither began nor got a part since `before`, after an id.
pub(crate) fn abandoned(
    connection: &Connection,
    before: Timestamp,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(
            "SELECT id FROM uploads u WHERE id > ?2 AND created_at < ?1
             AND NOT EXISTS (SELECT 1 FROM upload_parts p WHERE p.upload = u.id AND p.modified >= ?1) ORDER BY id LIMIT ?3",
        )?
        .query_map(params![before.unix_millis(), after, limit], |row| row.get(0))?
        .collect()
}

/// Gives up an upload if it is still abandoned; tells whether it was.
pub(crate) fn expire(change: &mut Change<'_>, upload: i64, before: Timestamp) -> rusqlite::Result<bool> {
    // Its id may be another upload's by now, or a part may have come.
    let still = abandoned(change.tx, before, upload - 1, 1)?.first() == Some(&upload);
    if still {
        drop_upload(change, upload)?;
    }
    Ok(still)
}

/// A part as the client names it when it completes an upload.
#[derive(Debug, Clone)]
pub(crate) struct NamedPart {
    pub(crate) number: u32,
    pub(crate) etag: Option<String>,
    pub(crate) checksums: Vec<(Algorithm, Vec<u8>)>,
}

/// What the client says about the finished object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stated {
    pub(crate) parts: Vec<NamedPart>,
    pub(crate) size: Option<u64>,
    /// As in the header: base64, with `-<parts>` if composite.
    pub(crate) checksums: Vec<(Algorithm, String)>,
    pub(crate) conditions: Conditions,
}

/// A finished multipart object.
#[derive(Debug, Clone)]
pub(crate) struct Completed {
    pub(crate) put: Put,
    pub(crate) etag: String,
    pub(crate) shown: Shown,
    pub(crate) composite: Option<String>,
    pub(crate) sums: Checksums,
}

/// Makes an object of the named parts; parts that are not named are given up. Repeating it after success gives the same answer.
pub(crate) fn complete(
    change: &mut Change<'_>,
    bucket: &str,
    key: &str,
    token: &str,
    stated: Stated,
) -> Result<Completed, Stop> {
    let upload = match find(change.tx, bucket, key, token) {
        Err(Stop::Refused(Refusal::NoSuchUpload)) => return completed_before(change, bucket, key, token),
        other => other?,
    };
    let have: BTreeMap<u32, PartRow> = parts(change.tx, upload.id, 0, MOST_PARTS)?
        .into_iter()
        .map(|part| (part.number, part))
        .collect();
    let chosen = choose(&stated.parts, &have)?;
    let size: u64 = chosen.iter().map(|part| part.size).sum();
    if stated.size.is_some_and(|stated| stated != size) {
        return Err(Refusal::WrongSize { size }.into());
    }
    let etag = etag(&chosen);
    let sums = whole(&chosen);
    let composite = upload
        .shown
        .algorithm
        .filter(|_| upload.shown.composite)
        .and_then(|algorithm| composite(algorithm, &chosen));
    for (algorithm, value) in &stated.checksums {
        let (is_shown, whole) = (
            upload.shown.algorithm == Some(*algorithm),
            digest::claim(&sums, *algorithm),
        );
        let fits = match &composite {
            Some(composite) if is_shown => {
                value == composite || Some(value.as_str()) == composite.split_once('-').map(|c| c.0)
            }
            _ => whole.is_some_and(|whole| digest::base64(&whole) == *value),
        };
        if !fits {
            return Err(Refusal::BadDigest {
                checksum: algorithm.name(),
            }
            .into());
        }
    }
    let segments = chosen.iter().map(|part| {
        Ok(Segment {
            blob: part.blob,
            size: part.size,
            sums: to_json(&part.sums)?,
        })
    });
    let new = NewVersion {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        body: Body::Parts(segments.collect::<rusqlite::Result<_>>()?),
        size,
        etag: etag.clone(),
        sums: sums.clone(),
        algorithm: upload.shown.algorithm,
        composite: composite.clone(),
        attached: upload.attached,
        upload: Some(upload.token),
        conditions: stated.conditions,
        reason: "CompleteMultipartUpload",
    };
    // The chosen parts' references go over to the segments.
    let mut statement = change
        .tx
        .prepare_cached("DELETE FROM upload_parts WHERE upload = ?1 AND number = ?2")?;
    for part in &chosen {
        statement.execute(params![upload.id, part.number])?;
    }
    drop(statement);
    drop_upload(change, upload.id)?;
    let put = write::put(change, new)?;
    Ok(Completed {
        put,
        etag,
        shown: upload.shown,
        composite,
        sums,
    })
}

fn choose(named: &[NamedPart], have: &BTreeMap<u32, PartRow>) -> Result<Vec<PartRow>, Refusal> {
    if named.is_empty() {
        return Err(Refusal::Invalid {
            reason: "no parts are named",
        });
    }
    if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(Refusal::InvalidPartOrder);
    }
    let mut chosen: Vec<PartRow> = Vec::with_capacity(named.len());
    for (place, part) in named.iter().enumerate() {
        let invalid = Refusal::InvalidPart { number: part.number };
        let Some(row) = have.get(&part.number) else {
            return Err(invalid);
        };
        if part.etag.as_deref().is_some_and(|etag| etag != row.etag()) {
            return Err(invalid);
        }
        for (algorithm, value) in &part.checksums {
            if digest::claim(&row.sums, *algorithm).as_ref() != Some(value) {
                return Err(invalid);
            }
        }
        if row.size < SMALLEST_PART && place + 1 < named.len() {
            return Err(Refusal::PartTooSmall {
                number: part.number,
                size: row.size,
            });
        }
        chosen.push(row.clone());
    }
    Ok(chosen)
}

/// The MD5 over the parts' MD5s, and their number: what S3 clients expect of a multipart object.
fn etag(parts: &[PartRow]) -> String {
    let mut md5 = md5::Md5::new();
    for part in parts {
        md5.update(hex::decode(part.etag()).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

/// Checksums over all bytes, as far as they follow from the parts'.
fn whole(parts: &[PartRow]) -> Checksums {
    let mut sums = Checksums::default();
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.can_combine()) {
        let each: Option<Vec<Vec<u8>>> = parts.iter().map(|part| digest::claim(&part.sums, algorithm)).collect();
        let all = each
            .and_then(|each| algorithm.combine(each.iter().map(Vec::as_slice).zip(parts.iter().map(|part| part.size))));
        *digest::slot(&mut sums, algorithm) = all.map(hex::encode);
    }
    if let [only] = parts {
        sums = only.sums.clone();
    }
    sums
}

fn composite(algorithm: Algorithm, parts: &[PartRow]) -> Option<String> {
    let values: Option<Vec<Vec<u8>>> = parts.iter().map(|part| digest::claim(&part.sums, algorithm)).collect();
    let value = algorithm.of(&values?.concat());
    Some(format!(
        "{}-{}",
        base64::engine::general_purpose::STANDARD.encode(value),
        parts.len()
    ))
}

/// A client whose answer was lost asks again.
fn completed_before(change: &mut Change<'_>, bucket: &str, key: &str, token: &str) -> Result<Completed, Stop> {
    let bucket = buckets::find(change.tx, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    let row = objects::row(change.tx, &bucket, key, &Which::Latest)?.filter(|row| row.upload.as_deref() == Some(token));
    let row = row.ok_or(Refusal::NoSuchUpload)?;
    Ok(Completed {
        put: Put {
            id: row.id,
            public: bucket.versioning.public(row.id, row.plain),
            modified: row.modified,
        },
        etag: row.etag,
        shown: Shown {
            algorithm: row.algorithm,
            composite: row.composite.is_some(),
        },
        composite: row.composite,
        sums: row.sums,
    })
}
