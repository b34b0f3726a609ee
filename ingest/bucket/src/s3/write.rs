//! PutObject, POST object, DeleteObject, DeleteObjects, object tags.

use hyper::header::HeaderValue;
use s3s::dto::{
    ChecksumType, DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectInput, PutObjectOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::checksums::{self, Claims, show, stated};
use super::receive::{Incoming, headers, metadata, receive, tags};
use super::{Backend, checked_key, conditions, errors, which};
use crate::digest::Algorithm;
use crate::error::Stop;
use crate::index::objects::{self, Which};
use crate::index::write::{self, Body, Conditions, Deleted, NewVersion};
use crate::index::{Attached, Headers, Tags};

/// The most keys in one DeleteObjects.
const MOST_DELETES: usize = 1000;

impl Backend {
    pub(super) async fn put(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = request.input;
        checked_key(&input.key)?;
        let claims = Claims::read(stated!(input), input.content_md5.as_deref(), &request.headers)?;
        let attached = Attached {
            headers: headers!(input),
            user: metadata(input.metadata.take())?,
            tags: tags(input.tagging.as_deref())?,
        };
        let conditions = conditions::of_write(input.if_match.take(), input.if_none_match.take())?;
        self.check_before(&input.bucket, &input.key, &conditions).await?;
        let incoming = Incoming {
            body: input.body.take(),
            length: input.content_length,
            claims,
            trailing: request.trailing_headers,
            // SHA-256 for those who read the document afterwards: with it they need not compute MD5 again, which takes three times as long.
            also: vec![Algorithm::Crc64Nvme, Algorithm::Sha256],
        };
        let received = receive(&self.bucket, incoming).await?;
        let sums = received.sums.claims();
        let algorithm = received.chosen.unwrap_or(Algorithm::Crc64Nvme);
        let etag = sums.md5.clone().unwrap_or_default();
        let new = NewVersion {
            bucket: input.bucket.clone(),
            key: input.key,
            size: received.blob.size,
            body: Body::New(received.blob),
            etag: etag.clone(),
            sums: sums.clone(),
            algorithm: Some(algorithm),
            composite: None,
            attached,
            upload: None,
            conditions,
            reason: "PutObject",
        };
        let put = self
            .bucket
            .commit(Some(&input.bucket), move |change| write::put(change, new))
            .await
            .map_err(errors::refuse)?;
        let mut output = PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            version_id: put.public,
            checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            ..PutObjectOutput::default()
        };
        show!(output, checksums::of_sums(&sums, algorithm));
        Ok(S3Response::new(output))
    }

    /// Says no early to what the commit would refuse anyway, before gigabytes are sent for nothing. The commit checks again.
    pub(super) async fn check_before(&self, bucket: &str, key: &str, conditions: &Conditions) -> S3Result<()> {
        self.bucket.takes(bucket, key).map_err(errors::refuse)?;
        let (bucket, key, conditions) = (bucket.to_owned(), key.to_owned(), conditions.clone());
        let look = self.bucket.look(move |connection| {
            let found = crate::index::buckets::find(connection, &bucket)?.ok_or(crate::error::Refusal::NoSuchBucket)?;
            let current = objects::row(connection, &found, &key, &Which::Latest)?;
            Ok(conditions.check(current.as_ref())?)
        });
        look.await.map_err(errors::refuse)
    }

    pub(super) async fn delete(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() || input.mfa.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "Deleting on condition of time, size or MFA is not implemented."
            ));
        }
        // The answer names the version in a header.
        if input
            .version_id
            .as_deref()
            .is_some_and(|version| HeaderValue::from_str(version).is_err())
        {
            return Err(s3_error!(InvalidArgument, "Invalid version id specified"));
        }
        let conditions = conditions::of_write(input.if_match, None)?;
        let (bucket, key, version) = (input.bucket.clone(), input.key, input.version_id);
        let done = self.bucket.commit(Some(&input.bucket), move |change| {
            remove(change, &bucket, &key, version.as_deref(), &conditions)
        });
        let done = done.await.map_err(errors::refuse)?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: done.marker.then_some(true),
            version_id: done.version,
            ..DeleteObjectOutput::default()
        }))
    }

    pub(super) async fn delete_many(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let objects = input.delete.objects;
        if objects.is_empty() || objects.len() > MOST_DELETES {
            return Err(s3_error!(MalformedXML, "A request deletes 1 to 1000 keys."));
        }
        if input.mfa.is_some()
            || objects
                .iter()
                .any(|object| object.last_modified_time.is_some() || object.size.is_some())
        {
            return Err(s3_error!(
                NotImplemented,
                "Deleting on condition of time, size or MFA is not implemented."
            ));
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        let bucket = input.bucket.clone();
        // One change for all. A key that is refused was not touched, so the others need not be undone.
        let done = self.bucket.commit(Some(&input.bucket), move |change| {
            let mut results = Vec::with_capacity(objects.len());
            crate::index::buckets::find(change.tx, &bucket)?.ok_or(crate::error::Refusal::NoSuchBucket)?;
            for object in objects {
                let conditions = Conditions {
                    absent: false,
                    matches: object.e_tag.map(|etag| Some(etag.into_value())),
                };
                let result = match remove(change, &bucket, &object.key, object.version_id.as_deref(), &conditions) {
                    Ok(deleted) => Ok(deleted),
                    Err(Stop::Refused(refusal)) => Err(refusal),
                    Err(error) => return Err(error),
                };
                results.push((object.key, object.version_id, result));
            }
            Ok(results)
        });
        let (mut deleted, mut failed) = (Vec::new(), Vec::new());
        for (key, version_id, result) in done.await.map_err(errors::refuse)? {
            match result {
                Ok(_) if quiet => {}
                Ok(done) => deleted.push(DeletedObject {
                    delete_marker: done.marker.then_some(true),
                    delete_marker_version_id: done.version.filter(|_| done.marker),
                    key: Some(key),
                    version_id,
                }),
                Err(refusal) => {
                    let error = errors::refused(refusal);
                    failed.push(s3s::dto::Error {
                        code: Some(error.code().as_str().to_owned()),
                        key: Some(key),
                        message: error.message().map(str::to_owned),
                        version_id,
                    });
                }
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(failed),
            ..DeleteObjectsOutput::default()
        }))
    }

    pub(super) async fn tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        let version = which(input.version_id.as_deref());
        let found = self
            .bucket
            .look(move |connection| objects::find(connection, &input.bucket, &input.key, &version));
        let (bucket, row) = found.await.map_err(errors::refuse)?;
        let tag_set = row
            .attached
            .tags
            .into_iter()
            .map(|(key, value)| Tag {
                key: Some(key),
                value: Some(value),
            })
            .collect();
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set,
            version_id: bucket.versioning.public(row.id, row.plain),
        }))
    }

    pub(super) async fn put_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        let tags = input
            .tagging
            .tag_set
            .into_iter()
            .map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
            .collect();
        let tags = super::receive::check_tags(tags)?;
        let version_id = self.set_tags(input.bucket, input.key, input.version_id, tags).await?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
    }

    pub(super) async fn delete_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = request.input;
        let version_id = self
            .set_tags(input.bucket, input.key, input.version_id, Tags::new())
            .await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
    }

    async fn set_tags(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        tags: Tags,
    ) -> S3Result<Option<String>> {
        let name = bucket.clone();
        let change = self.bucket.commit(Some(&name), move |change| {
            let (found, row) = objects::find(change.tx, &bucket, &key, &which(version.as_deref()))?;
            write::set_tags(change, row.id, &tags)?;
            Ok(found.versioning.public(row.id, row.plain))
        });
        change.await.map_err(errors::refuse)
    }
}

/// Removes a key, or one version of it.
fn remove(
    change: &mut crate::index::Change<'_>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
    conditions: &Conditions,
) -> Result<Deleted, Stop> {
    match version {
        None => write::delete_key(change, bucket, key, conditions),
        Some(version) => {
            let which = Which::Public(version.to_owned());
            let mut deleted = write::delete_version(change, bucket, key, &which, conditions, true)?;
            // The answer names the version that was asked for, whether it was there or not.
            deleted.version = Some(version.to_owned());
            Ok(deleted)
        }
    }
}
