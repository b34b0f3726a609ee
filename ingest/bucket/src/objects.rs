//! [`ObjectStore`] over the embedded bucket, in process: nothing goes through HTTP.
//!
//! Objects written here have an entity tag of our own: `b3` and the first 32 hex digits of a BLAKE3 hash over the bytes behind the
//! reserved head, the head, and the head's length (8 bytes, big-endian). It costs a fraction of MD5, and neither looks like an MD5 (it has
//! 34 digits) nor like a multipart entity tag (it has no hyphen), so that no client takes it for one and compares.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_schemas::{BucketName, ETag, ObjectKey, VersionId};
use cofferdam_seams::{Listed, Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore, PutOptions, Upload};
use futures::StreamExt as _;

use crate::blobs::BlobWriter;
use crate::digest::{self, Algorithm, Digests};
use crate::error::{BucketError, Refusal};
use crate::index::list::{self, Query};
use crate::index::objects::{VersionRow, Which};
use crate::index::write::{self, Body, Conditions, NewVersion};
use crate::index::{Attached, Headers, version_number, version_text};
use crate::presign;
use crate::store::Bucket;

/// The longest head that may be reserved.
const MOST_RESERVED: u64 = 4 * 1024 * 1024;

fn which(at: &Locator) -> Result<Which, ObjectError> {
    match &at.version {
        None => Ok(Which::Latest),
        Some(version) => {
            let id = version_number(version.as_str()).ok_or_else(|| ObjectError::NotFound { at: at.clone() })?;
            Ok(Which::Internal(id))
        }
    }
}

fn failed(at: &Locator) -> impl Fn(BucketError) -> ObjectError + use<> {
    let at = at.clone();
    move |error| match error {
        BucketError::Refused(refusal) => match refusal {
            Refusal::NoSuchBucket | Refusal::NoSuchKey | Refusal::NoSuchVersion | Refusal::DeleteMarker { .. } => {
                ObjectError::NotFound { at: at.clone() }
            }
            Refusal::Precondition { .. } => ObjectError::PreconditionFailed { at: at.clone() },
            Refusal::TooLarge { limit } => ObjectError::TooLarge { limit },
            other => ObjectError::InvalidRequest {
                reason: other.to_string(),
            },
        },
        BucketError::Full(source) => ObjectError::Full { source: Some(source) },
        BucketError::Files { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ObjectError::Corrupt {
            at: at.clone(),
            reason: "its file is missing",
        },
        BucketError::Files { source, .. } if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            ObjectError::Corrupt {
                at: at.clone(),
                reason: "its file is too short",
            }
        }
        BucketError::Unreadable { what } => ObjectError::Corrupt {
            at: at.clone(),
            reason: what,
        },
        other => ObjectError::unavailable(other),
    }
}

fn meta(at: &Locator, row: &VersionRow) -> Result<ObjectMeta, ObjectError> {
    let corrupt = |reason| ObjectError::Corrupt { at: at.clone(), reason };
    let etag = ETag::new(row.etag.clone()).map_err(|_| corrupt("entity tag cannot be read"))?;
    if at.etag.as_ref().is_some_and(|wanted| *wanted != etag) {
        return Err(ObjectError::PreconditionFailed { at: at.clone() });
    }
    Ok(ObjectMeta {
        size: row.size,
        etag,
        version: Some(VersionId::new(version_text(row.id)).map_err(|_| corrupt("version id cannot be read"))?),
        last_modified: row.modified,
        content_type: row.attached.headers.content_type.clone(),
        checksums: row.sums.clone(),
        user: row.attached.user.clone(),
    })
}

/// Cuts a range to the object. An empty range at the very beginning is always there.
fn cut(range: Option<Range<u64>>, size: u64) -> Result<Range<u64>, ObjectError> {
    let Some(range) = range else { return Ok(0..size) };
    if range.start >= size && range.start > 0 {
        return Err(ObjectError::InvalidRange {
            start: range.start,
            size,
        });
    }
    Ok(range.start..range.end.clamp(range.start, size))
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn head(&self, at: &Locator) -> Result<ObjectMeta, ObjectError> {
        let (bucket, key, which) = (at.bucket.as_str().to_owned(), at.key.as_str().to_owned(), which(at)?);
        let found = self
            .look(move |connection| crate::index::objects::find(connection, &bucket, &key, &which))
            .await;
        meta(at, &found.map_err(failed(at))?.1)
    }

    async fn get(&self, at: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError> {
        // What does not fit is told after the look, with the row at hand; until then nothing is read.
        let choose = move |_: &_, _: &_, row: &VersionRow| {
            Ok((
                cut(range.clone(), row.size).unwrap_or(0..0),
                cut(range.clone(), row.size),
            ))
        };
        let found = self.read(at.bucket.as_str(), at.key.as_str(), which(at)?, choose).await;
        let (_, row, _, range, stream) = found.map_err(failed(at))?;
        let (meta, range) = (meta(at, &row)?, range?);
        let failed = failed(at);
        let stream = stream
            .map(move |chunk| chunk.map_err(|error| failed(BucketError::files("read blob", error))))
            .boxed();
        Ok(ObjectBody { meta, range, stream })
    }

    async fn upload(&self, at: &Locator, options: PutOptions) -> Result<Box<dyn Upload>, ObjectError> {
        if options.reserve_head > MOST_RESERVED {
            return Err(ObjectError::InvalidRequest {
                reason: format!("more than {MOST_RESERVED} bytes reserved"),
            });
        }
        self.takes(at.bucket.as_str(), at.key.as_str()).map_err(failed(at))?;
        let bucket = at.bucket.as_str().to_owned();
        let there = self
            .look(move |connection| Ok(crate::index::buckets::find(connection, &bucket)?.is_some()))
            .await;
        if !there.map_err(failed(at))? {
            return Err(ObjectError::NotFound { at: at.clone() });
        }
        let digests = Digests::new(&[Algorithm::Crc64Nvme]).with_blake3();
        let writer = self.writer(options.reserve_head, options.size_hint, digests);
        Ok(Box::new(InProcess {
            bucket: self.clone(),
            at: at.clone(),
            options,
            writer,
        }))
    }

    /// With a version this is the pipeline's own clearing away and writes no ledger row. Without one it is what a user does.
    async fn delete(&self, at: &Locator) -> Result<(), ObjectError> {
        let which = match which(at) {
            Ok(which) => which,
            // A version this store never gave is not there.
            Err(_) => return Ok(()),
        };
        let (bucket, key) = (at.bucket.as_str().to_owned(), at.key.as_str().to_owned());
        let conditions = Conditions {
            absent: false,
            matches: at.etag.as_ref().map(|etag| Some(etag.as_str().to_owned())),
        };
        let done = self
            .commit(Some(at.bucket.as_str()), move |change| match which {
                Which::Latest => write::delete_key(change, &bucket, &key, &conditions),
                which => write::delete_version(change, &bucket, &key, &which, &conditions, false),
            })
            .await;
        match done {
            Ok(_) | Err(BucketError::Refused(Refusal::NoSuchKey)) => Ok(()),
            Err(error) => Err(failed(at)(error)),
        }
    }

    async fn list(
        &self,
        bucket: &BucketName,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError> {
        let query = Query {
            prefix: prefix.to_owned(),
            delimiter: None,
            from: after.map(list::after).unwrap_or_default(),
            limit,
        };
        let name = bucket.as_str().to_owned();
        let page = self
            .look(move |connection| list::current(connection, &name, &query))
            .await
            .map_err(|error| match error {
                BucketError::Refused(refusal) => ObjectError::InvalidRequest {
                    reason: format!("{bucket}: {refusal}"),
                },
                BucketError::Full(source) => ObjectError::Full { source: Some(source) },
                other => ObjectError::unavailable(other),
            })?;
        let listed = page.entries.into_iter().map(|entry| {
            Ok(Listed {
                key: ObjectKey::new(entry.key).map_err(ObjectError::unavailable)?,
                size: entry.size,
                etag: ETag::new(entry.etag).map_err(ObjectError::unavailable)?,
                last_modified: entry.modified,
            })
        });
        listed.collect()
    }

    async fn presign_get(
        &self,
        at: &Locator,
        expires: Duration,
        download_as: Option<&str>,
    ) -> Result<String, ObjectError> {
        let (bucket, key, which) = (at.bucket.as_str().to_owned(), at.key.as_str().to_owned(), which(at)?);
        let found = self
            .look(move |connection| crate::index::objects::find(connection, &bucket, &key, &which))
            .await;
        let (bucket, row) = found.map_err(failed(at))?;
        meta(at, &row)?;
        let (url, signer) = self
            .endpoint()
            .ok_or_else(|| ObjectError::unavailable("endpoint is not set"))?;
        let public = bucket.versioning.public(row.id, row.plain);
        if at.version.is_some() && public.is_none() && !row.latest {
            // Held versions are not for the outside.
            return Err(ObjectError::NotFound { at: at.clone() });
        }
        let wanted = presign::Get {
            bucket: at.bucket.as_str(),
            key: at.key.as_str(),
            version: public.filter(|_| at.version.is_some()),
            expires,
            download_as,
        };
        wanted.sign(&url, self.region(), &signer, time::OffsetDateTime::now_utc())
    }

    async fn ready(&self) -> Result<(), ObjectError> {
        let answer = self
            .look(|connection| Ok(connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?))
            .await;
        answer.map(drop).map_err(ObjectError::unavailable)
    }
}

/// An object being written in process.
struct InProcess {
    bucket: Bucket,
    at: Locator,
    options: PutOptions,
    writer: BlobWriter,
}

#[async_trait]
impl Upload for InProcess {
    async fn write(&mut self, chunk: Bytes) -> Result<(), ObjectError> {
        self.writer
            .write(chunk)
            .await
            .map_err(|error| failed(&self.at)(BucketError::files("write blob", error)))
    }

    async fn finish(self: Box<Self>, head: Bytes) -> Result<ObjectMeta, ObjectError> {
        let Self {
            bucket,
            at,
            options,
            writer,
        } = *self;
        if head.len() as u64 != options.reserve_head {
            return Err(ObjectError::InvalidRequest {
                reason: "head is not as long as reserved".to_owned(),
            });
        }
        let files = |error| failed(&at)(BucketError::files("write blob", error));
        let mut written = writer.finish().await.map_err(files)?;
        let mut sums = std::mem::take(&mut written.sums);
        let front = Algorithm::Crc64Nvme.of(&head);
        if let Some(tail) = sums.values.get(&Algorithm::Crc64Nvme)
            && let Some(whole) =
                Algorithm::Crc64Nvme.combine([(front.as_slice(), head.len() as u64), (tail.as_slice(), written.size)])
        {
            sums.values.insert(Algorithm::Crc64Nvme, whole);
        }
        let mut hash = sums.blake3.take().unwrap_or_default();
        hash.update(&head).update(&(head.len() as u64).to_be_bytes());
        let etag = format!("b3{}", hex::encode(&hash.finalize().as_bytes()[..16]));
        let claims = sums.claims();
        let blob = written.store(head).await.map_err(files)?;
        let (size, content_type) = (blob.size, options.content_type.clone());
        let new = NewVersion {
            bucket: at.bucket.as_str().to_owned(),
            key: at.key.as_str().to_owned(),
            body: Body::New(blob),
            size,
            etag: etag.clone(),
            sums: claims.clone(),
            algorithm: digest::claim(&claims, Algorithm::Crc64Nvme).map(|_| Algorithm::Crc64Nvme),
            composite: None,
            attached: Attached {
                headers: Headers {
                    content_type,
                    ..Headers::default()
                },
                user: options.user.clone(),
                tags: Vec::new(),
            },
            upload: None,
            conditions: Conditions {
                absent: options.only_if_absent,
                matches: None,
            },
            reason: "InboxFolder",
        };
        let put = bucket
            .commit(Some(at.bucket.as_str()), move |change| write::put(change, new))
            .await
            .map_err(failed(&at))?;
        Ok(ObjectMeta {
            size,
            etag: ETag::new(etag).map_err(ObjectError::unavailable)?,
            version: Some(VersionId::new(version_text(put.id)).map_err(ObjectError::unavailable)?),
            last_modified: put.modified,
            content_type: options.content_type,
            checksums: claims,
            user: options.user,
        })
    }

    async fn abort(self: Box<Self>) {}
}
