//! Writing an object whose first bytes are known last.

use async_trait::async_trait;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use cofferdam_seams::{Locator, ObjectError, ObjectMeta, ObjectStore, PutOptions, Upload};

use super::S3Store;
use super::fault::fault;

/// The size of a part; S3 wants at least 5 MiB in all but the last.
const PART: usize = 8 << 20;
/// S3 takes 10,000 parts; some are left for an object that becomes larger than its hint.
const PARTS: u64 = 9_000;
/// The most that may be reserved for the head, so that the first part stays within bounds.
const MOST_HEAD: u64 = 4 << 20;

/// An upload. Sends nothing until there is more than one part.
pub(super) struct S3Upload {
    store: S3Store,
    at: Locator,
    options: PutOptions,
    part: usize,
    /// What follows the head in the first part; full before anything goes into `tail`.
    first: BytesMut,
    /// The part that is being filled, from the second on.
    tail: BytesMut,
    multipart: Option<Multipart>,
}

struct Multipart {
    id: String,
    parts: Vec<CompletedPart>,
}

impl S3Upload {
    pub(super) fn new(store: S3Store, at: Locator, options: PutOptions) -> Result<Self, ObjectError> {
        if options.reserve_head > MOST_HEAD {
            return Err(ObjectError::InvalidRequest {
                reason: format!("head of {} bytes is too long", options.reserve_head),
            });
        }
        let needed = usize::try_from(options.size_hint.unwrap_or(0).div_ceil(PARTS)).unwrap_or(PART);
        Ok(Self {
            store,
            at,
            options,
            part: needed.max(PART),
            first: BytesMut::new(),
            tail: BytesMut::new(),
            multipart: None,
        })
    }

    fn first_room(&self) -> usize {
        // At most 4 MiB of head, so at least 4 MiB follow, and the part as a whole is as long as any.
        (self.part - self.options.reserve_head as usize).saturating_sub(self.first.len())
    }

    /// Larger parts as there are more of them: without a hint, 5 TiB still fit.
    fn part_size(&self) -> usize {
        let number = self.multipart.as_ref().map_or(0, |multipart| multipart.parts.len());
        self.part.saturating_mul(1 << (number / 1000).min(9))
    }

    async fn begin(&mut self) -> Result<(), ObjectError> {
        if self.multipart.is_some() {
            return Ok(());
        }
        let (at, options) = (&self.at, &self.options);
        let request = self
            .store
            .client
            .create_multipart_upload()
            .bucket(at.bucket.as_str())
            .key(at.key.as_str());
        let request = request
            .set_content_type(options.content_type.clone())
            .set_metadata(Some(options.user.clone().into_iter().collect()));
        let begun = request.send().await.map_err(|error| fault(at, error))?;
        let id = begun
            .upload_id()
            .ok_or_else(|| ObjectError::unavailable("store gave no upload id"))?
            .to_owned();
        self.multipart = Some(Multipart { id, parts: Vec::new() });
        Ok(())
    }

    async fn send_part(&mut self, number: i32, body: Bytes) -> Result<(), ObjectError> {
        let Some(multipart) = &mut self.multipart else {
            return Err(ObjectError::InvalidRequest {
                reason: "upload has no parts".into(),
            });
        };
        let request = self
            .store
            .client
            .upload_part()
            .bucket(self.at.bucket.as_str())
            .key(self.at.key.as_str());
        let request = request.upload_id(&multipart.id).part_number(number).body(body.into());
        let sent = request.send().await.map_err(|error| fault(&self.at, error))?;
        // Every checksum the server answered with must be repeated, or it refuses to complete.
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .set_checksum_crc32_c(sent.checksum_crc32_c)
            .set_checksum_crc64_nvme(sent.checksum_crc64_nvme)
            .set_checksum_sha1(sent.checksum_sha1)
            .set_checksum_sha256(sent.checksum_sha256)
            .build();
        multipart.parts.push(part);
        Ok(())
    }

    async fn flush_tail(&mut self) -> Result<(), ObjectError> {
        self.begin().await?;
        // The first part comes last, so parts already sent are numbers 2 and up.
        let sent = self.multipart.as_ref().map_or(0, |multipart| multipart.parts.len());
        let number = i32::try_from(sent + 2).unwrap_or(i32::MAX);
        let body = self.tail.split().freeze();
        self.send_part(number, body).await
    }

    async fn put_whole(&mut self, body: Bytes) -> Result<(), ObjectError> {
        let (at, options) = (&self.at, &self.options);
        let request = self
            .store
            .client
            .put_object()
            .bucket(at.bucket.as_str())
            .key(at.key.as_str())
            .body(body.into());
        let request = request
            .set_content_type(options.content_type.clone())
            .set_metadata(Some(options.user.clone().into_iter().collect()));
        let request = request.set_if_none_match(options.only_if_absent.then(|| "*".to_owned()));
        let put = request.send().await.map_err(|error| fault(at, error))?;
        self.written(put.version_id(), put.e_tag());
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), ObjectError> {
        let Some(multipart) = &mut self.multipart else {
            return Err(ObjectError::InvalidRequest {
                reason: "upload has no parts".into(),
            });
        };
        multipart.parts.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(multipart.parts.clone()))
            .build();
        let (at, options) = (&self.at, &self.options);
        let request = self
            .store
            .client
            .complete_multipart_upload()
            .bucket(at.bucket.as_str())
            .key(at.key.as_str());
        let request = request.upload_id(&multipart.id).multipart_upload(parts);
        let request = request.set_if_none_match(options.only_if_absent.then(|| "*".to_owned()));
        let completed = request.send().await.map_err(|error| fault(at, error))?;
        // Nothing is left to be aborted.
        self.multipart = None;
        self.written(completed.version_id(), completed.e_tag());
        Ok(())
    }

    /// From now on the locator names exactly what was written.
    fn written(&mut self, version: Option<&str>, etag: Option<&str>) {
        self.at.version = version.and_then(|version| cofferdam_schemas::VersionId::new(version).ok());
        self.at.etag = etag.and_then(|etag| cofferdam_schemas::ETag::new(etag.trim_matches('"')).ok());
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, mut chunk: Bytes) -> Result<(), ObjectError> {
        let room = self.first_room().min(chunk.len());
        self.first.extend_from_slice(&chunk.split_to(room));
        while !chunk.is_empty() {
            let room = self.part_size().saturating_sub(self.tail.len()).min(chunk.len());
            self.tail.extend_from_slice(&chunk.split_to(room));
            if self.tail.len() >= self.part_size() {
                self.flush_tail().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, head: Bytes) -> Result<ObjectMeta, ObjectError> {
        if head.len() as u64 != self.options.reserve_head {
            return Err(ObjectError::InvalidRequest {
                reason: format!(
                    "head has {} bytes, {} were reserved",
                    head.len(),
                    self.options.reserve_head
                ),
            });
        }
        let mut first = BytesMut::with_capacity(head.len() + self.first.len());
        first.extend_from_slice(&head);
        first.extend_from_slice(&self.first.split());
        if self.multipart.is_none() && self.tail.is_empty() {
            self.put_whole(first.freeze()).await?;
        } else {
            if !self.tail.is_empty() {
                self.flush_tail().await?;
            }
            self.send_part(1, first.freeze()).await?;
            self.complete().await?;
        }
        // The answer to a write has neither size nor time.
        self.store.head(&self.at).await
    }

    async fn abort(mut self: Box<Self>) {
        if let Some(multipart) = self.multipart.take() {
            abort(self.store.clone(), self.at.clone(), multipart.id).await;
        }
    }
}

async fn abort(store: S3Store, at: Locator, id: String) {
    let request = store
        .client
        .abort_multipart_upload()
        .bucket(at.bucket.as_str())
        .key(at.key.as_str())
        .upload_id(id);
    if let Err(error) = request.send().await {
        let error = fault(&at, error);
        tracing::warn!(%at, %error, "unfinished multipart upload stays until the bucket's lifecycle removes it");
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        let Some(multipart) = self.multipart.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(abort(self.store.clone(), self.at.clone(), multipart.id));
        }
    }
}
