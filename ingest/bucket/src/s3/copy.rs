//! CopyObject and UploadPartCopy.
//!
//! A copy of an object shares its blobs: no bytes move, whatever the size. It keeps the source's entity tag and checksums (also the
//! multipart form of them, with the parts), where AWS would compute new ones.

use std::ops::Range;

use futures::StreamExt as _;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag, MetadataDirective,
    TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::checksums::{self, show};
use super::conditions::{ReadConditions, Verdict};
use super::receive::{LARGEST, headers, metadata, tags};
use super::{Backend, checked_key, conditions, errors, multipart, which};
use crate::digest::{Algorithm, Digests, claim, slot};
use crate::error::{BucketError, Refusal};
use crate::index::objects::{self, VersionRow};
use crate::index::write::{self, Body, NewVersion};
use crate::index::{Attached, Headers};

/// Bucket, key and version of a copy's source.
pub(super) fn source(from: &CopySource) -> S3Result<(String, String, Option<String>)> {
    match from {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => {
            checked_key(key)?;
            Ok((
                bucket.to_string(),
                key.to_string(),
                version_id.as_deref().map(str::to_owned),
            ))
        }
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(s3_error!(
            NotImplemented,
            "Copying from access points or outposts is not implemented."
        )),
    }
}

/// Conditions on the source.
macro_rules! source_conditions {
    ($input:expr) => {
        ReadConditions {
            matches: $input.copy_source_if_match.take(),
            none_match: $input.copy_source_if_none_match.take(),
            modified_since: $input.copy_source_if_modified_since.take(),
            unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}

/// On a copy, "not modified" is a condition that failed.
fn judge(conditions: &ReadConditions, row: &VersionRow) -> Result<(), Refusal> {
    match conditions.judge(&row.etag, row.modified) {
        Verdict::Go => Ok(()),
        Verdict::NotModified => Err(Refusal::Precondition {
            condition: "x-amz-copy-source-If-None-Match",
        }),
        Verdict::Failed(_) => Err(Refusal::Precondition {
            condition: "x-amz-copy-source-If-Match",
        }),
    }
}

impl Backend {
    pub(super) async fn copy(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let mut input = request.input;
        checked_key(&input.key)?;
        let (from_bucket, from_key, from_version) = source(&input.copy_source)?;
        let replace_metadata = directive(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?;
        let replace_tags = directive(input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
        if from_bucket == input.bucket
            && from_key == input.key
            && from_version.is_none()
            && !replace_metadata
            && !replace_tags
        {
            let reason = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata.";
            return Err(s3_error!(InvalidRequest, "{reason}"));
        }
        let given = Attached {
            headers: headers!(input),
            user: metadata(input.metadata.take())?,
            tags: tags(input.tagging.as_deref())?,
        };
        // `s3s` does not read these two of a copy; they are in the request's headers.
        let header = |name: &str| {
            request
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::parse)
                .transpose()
        };
        let bad = |_| s3_error!(InvalidArgument, "If-Match or If-None-Match cannot be read");
        let conditions = conditions::of_write(header("if-match").map_err(bad)?, header("if-none-match").map_err(bad)?)?;
        self.check_before(&input.bucket, &input.key, &conditions).await?;

        let wanted = source_conditions!(input);
        let version = which(from_version.as_deref());
        let look = self.bucket.look(move |connection| {
            let (bucket, row) = objects::find(connection, &from_bucket, &from_key, &version)?;
            judge(&wanted, &row)?;
            Ok((bucket, row, from_key))
        });
        let (from, mut row, from_key) = look.await.map_err(errors::refuse)?;
        let algorithm = input
            .checksum_algorithm
            .as_ref()
            .map(|name| multipart::algorithm(name.as_str()))
            .transpose()?;
        if let Some(algorithm) = algorithm
            && claim(&row.sums, algorithm).is_none()
        {
            *slot(&mut row.sums, algorithm) =
                Some(hex::encode(self.hash(&from.name, &from_key, &row, algorithm).await?));
        }
        if algorithm.is_some() {
            (row.algorithm, row.composite) = (algorithm, None);
        }
        let shown = checksums::of_version(&row);
        let attached = Attached {
            headers: if replace_metadata {
                given.headers
            } else {
                row.attached.headers.clone()
            },
            user: if replace_metadata {
                given.user
            } else {
                row.attached.user.clone()
            },
            tags: if replace_tags {
                given.tags
            } else {
                row.attached.tags.clone()
            },
        };
        let (etag, source_version) = (row.etag.clone(), from.versioning.public(row.id, row.plain));
        let new = NewVersion {
            bucket: input.bucket.clone(),
            key: input.key,
            size: row.size,
            etag: row.etag.clone(),
            sums: row.sums.clone(),
            algorithm: row.algorithm,
            composite: row.composite.clone(),
            body: Body::Of(Box::new(row)),
            attached,
            upload: None,
            conditions,
            reason: "CopyObject",
        };
        let put = self
            .bucket
            .commit(Some(&input.bucket), move |change| write::put(change, new))
            .await
            .map_err(errors::refuse)?;
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(super::timestamp(put.modified)),
            checksum_type: shown.1,
            ..CopyObjectResult::default()
        };
        show!(result, shown.0);
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source_version,
            version_id: put.public,
            ..CopyObjectOutput::default()
        }))
    }

    /// Computes a checksum the store does not have, by reading the object.
    async fn hash(&self, bucket: &str, key: &str, row: &VersionRow, algorithm: Algorithm) -> S3Result<Vec<u8>> {
        let (which, whole) = (objects::Which::Internal(row.id), 0..row.size);
        let found = self
            .bucket
            .read(bucket, key, which, move |_, _, _| Ok((whole.clone(), ())))
            .await;
        let (.., mut stream) = found.map_err(errors::refuse)?;
        let mut digests = Digests::new(&[algorithm]);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| errors::refuse(BucketError::files("read blob", error)))?;
            let work = tokio::task::spawn_blocking(move || {
                digests.update(&chunk);
                digests
            });
            digests = work.await.map_err(|_| errors::refuse(BucketError::Panicked))?;
        }
        Ok(digests.finish().values.remove(&algorithm).unwrap_or_default())
    }

    pub(super) async fn copy_part(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let mut input = request.input;
        let number = multipart::part_number(input.part_number)?;
        let (from_bucket, from_key, from_version) = source(&input.copy_source)?;
        let wanted = source_conditions!(input);
        let asked = input.copy_source_range.as_deref().map(byte_range).transpose()?;
        let upload = self.upload(&input.bucket, &input.key, &input.upload_id).await?;

        let choose = move |_: &_, _: &_, row: &VersionRow| {
            judge(&wanted, row)?;
            // Unlike a GET, a part copy is not cut to what is there.
            let range = asked.clone().unwrap_or(0..row.size);
            if range.end > row.size {
                return Err(Refusal::Invalid {
                    reason: "Range specified is not valid for source object",
                }
                .into());
            }
            if range.end - range.start > LARGEST {
                return Err(Refusal::TooLarge { limit: LARGEST }.into());
            }
            Ok((range, ()))
        };
        let found = self
            .bucket
            .read(&from_bucket, &from_key, which(from_version.as_deref()), choose)
            .await;
        let (from, row, range, (), mut stream) = found.map_err(errors::refuse)?;
        let files = |error| errors::refuse(BucketError::files("copy blob", error));
        let digests = Digests::new(&multipart::computed(&upload)).with_md5();
        let mut writer = self.bucket.writer(0, Some(range.end - range.start), digests);
        while let Some(chunk) = stream.next().await {
            writer.write(chunk.map_err(files)?).await.map_err(files)?;
        }
        let mut written = writer.finish().await.map_err(files)?;
        let sums = std::mem::take(&mut written.sums).claims();
        let blob = written.store(bytes::Bytes::new()).await.map_err(files)?;
        let modified = self
            .keep_part(&input.bucket, upload.clone(), number, blob, sums.clone())
            .await?;
        let mut result = CopyPartResult {
            e_tag: sums.md5.clone().map(ETag::Strong),
            last_modified: Some(super::timestamp(modified)),
            ..CopyPartResult::default()
        };
        show!(
            result,
            upload
                .shown
                .algorithm
                .and_then(|algorithm| checksums::of_sums(&sums, algorithm))
        );
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: from.versioning.public(row.id, row.plain),
            ..UploadPartCopyOutput::default()
        }))
    }
}

fn directive(text: Option<&str>) -> S3Result<bool> {
    match text {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "A directive is COPY or REPLACE.")),
    }
}

/// `bytes=first-last`, both given.
fn byte_range(text: &str) -> S3Result<Range<u64>> {
    let parse = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < u64::MAX).then(|| first..last + 1)
    };
    parse().ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last."
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_part_copies() {
        assert_eq!(byte_range("bytes=0-0").unwrap(), 0..1);
        assert_eq!(byte_range("bytes=5-9").unwrap(), 5..10);
        for text in [
            "bytes=9-5",
            "bytes=5-",
            "bytes=-5",
            "0-5",
            "bytes=a-b",
            "bytes=0-18446744073709551615",
        ] {
            assert!(byte_range(text).is_err(), "{text}");
        }
    }
}
