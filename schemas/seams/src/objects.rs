//! Object bytes behind one narrow trait.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cofferdam_schemas::{BucketName, Checksums, ETag, ObjectKey, ObjectRef, Timestamp, VersionId};
use futures::{Stream, StreamExt};

/// Chunks of an object's bytes. An error ends the stream; bytes before it are as stored.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ObjectError>> + Send>>;

/// Names an object, and as preconditions the version and entity tag it must have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Locator {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Only this version.
    pub version: Option<VersionId>,
    /// Only with this entity tag; otherwise [`ObjectError::PreconditionFailed`].
    pub etag: Option<ETag>,
}

impl Locator {
    /// The current version of a key, whatever it is.
    pub fn new(bucket: BucketName, key: ObjectKey) -> Self {
        Self {
            bucket,
            key,
            version: None,
            etag: None,
        }
    }
}

impl From<&ObjectRef> for Locator {
    /// Exactly the version the event speaks of.
    fn from(object: &ObjectRef) -> Self {
        Self {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version: object.version.clone(),
            etag: Some(object.etag.clone()),
        }
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

/// What a store says about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Size in bytes.
    pub size: u64,
    /// The entity tag.
    pub etag: ETag,
    /// The version id, in stores that have them.
    pub version: Option<VersionId>,
    /// When it was written.
    pub last_modified: Timestamp,
    /// The declared media type.
    pub content_type: Option<String>,
    /// Whole-object checksums the store claims.
    pub checksums: Checksums,
    /// User metadata, names in lower case.
    pub user: BTreeMap<String, String>,
}

/// An object's metadata and (a range of) its bytes.
pub struct ObjectBody {
    /// What the store says.
    pub meta: ObjectMeta,
    /// The range that follows, within `0..meta.size`.
    pub range: Range<u64>,
    /// The bytes.
    pub stream: ByteStream,
}

/// One row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: ObjectKey,
    /// Size in bytes.
    pub size: u64,
    /// The entity tag.
    pub etag: ETag,
    /// When it was written.
    pub last_modified: Timestamp,
}

/// What goes with an object that is written.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// The media type.
    pub content_type: Option<String>,
    /// User metadata, names in lower case.
    pub user: BTreeMap<String, String>,
    /// Refuse with [`ObjectError::PreconditionFailed`] when the key exists (`If-None-Match: *`).
    pub only_if_absent: bool,
    /// This many bytes at the front are handed to [`Upload::finish`] instead of being written first. At most 4 MiB.
    pub reserve_head: u64,
    /// The size of the whole object (head included) if it is known: lets a store choose how to keep it.
    pub size_hint: Option<u64>,
}

/// An object that is being written. Nothing of it is visible before [`Upload::finish`] returns; dropping it leaves nothing behind
/// (over S3, at most an unfinished multipart upload, which the bucket's lifecycle removes).
#[async_trait]
pub trait Upload: Send {
    /// Writes the next bytes, after the reserved head.
    async fn write(&mut self, chunk: Bytes) -> Result<(), ObjectError>;
    /// Completes it with its head (exactly `reserve_head` bytes). When this returns the object is durable.
    async fn finish(self: Box<Self>, head: Bytes) -> Result<ObjectMeta, ObjectError>;
    /// Gives it up.
    async fn abort(self: Box<Self>);
}

/// Object bytes, wherever they are kept.
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// Metadata of an object.
    async fn head(&self, at: &Locator) -> Result<ObjectMeta, ObjectError>;
    /// Bytes of an object, all of them or a range. A range is cut to the object's end; one that begins at or behind it
    /// is [`ObjectError::InvalidRange`] (but `0..n` of an empty object is empty).
    async fn get(&self, at: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError>;
    /// Begins to write an object.
    async fn upload(&self, at: &Locator, options: PutOptions) -> Result<Box<dyn Upload>, ObjectError>;
    /// Removes a key, or with `version` exactly that version and no marker. Removing what is not there succeeds.
    async fn delete(&self, at: &Locator) -> Result<(), ObjectError>;
    /// Up to `limit` current objects whose key begins with `prefix` and is greater than `after`, in byte order.
    async fn list(
        &self,
        bucket: &BucketName,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError>;
    /// A URL with which anybody can read the object until it expires.
    async fn presign_get(
        &self,
        at: &Locator,
        expires: Duration,
        download_as: Option<&str>,
    ) -> Result<String, ObjectError>;
    /// Whether the store answers; cheap.
    async fn ready(&self) -> Result<(), ObjectError>;
}

/// A bucket in a store.
#[derive(Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The bucket.
    pub bucket: BucketName,
}

impl Place {
    /// The current version of a key here.
    pub fn at(&self, key: ObjectKey) -> Locator {
        Locator::new(self.bucket.clone(), key)
    }

    /// Writes a small object whole.
    pub async fn put(&self, key: ObjectKey, body: Bytes, mut options: PutOptions) -> Result<ObjectMeta, ObjectError> {
        options.size_hint = Some(body.len() as u64);
        options.reserve_head = 0;
        let mut upload = self.store.upload(&self.at(key), options).await?;
        upload.write(body).await?;
        upload.finish(Bytes::new()).await
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// Collects a stream, refusing more than `limit` bytes with [`ObjectError::TooLarge`].
pub async fn read_all(mut stream: ByteStream, limit: u64) -> Result<Bytes, ObjectError> {
    let mut all = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if (all.len() + chunk.len()) as u64 > limit {
            return Err(ObjectError::TooLarge { limit });
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No such bucket, key or version.
    #[error("object {at} is not there")]
    NotFound {
        /// Which.
        at: Locator,
    },
    /// It is there but with another entity tag, or it exists and must not.
    #[error("object {at} is not in the expected state")]
    PreconditionFailed {
        /// Which.
        at: Locator,
    },
    /// The range begins at or behind the end.
    #[error("range begins at {start} but object has {size} bytes")]
    InvalidRange {
        /// First byte asked for.
        start: u64,
        /// The object's size.
        size: u64,
    },
    /// The store refuses these credentials.
    #[error("store refuses access to {at}")]
    AccessDenied {
        /// Which.
        at: Locator,
    },
    /// More bytes than allowed.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// How many are allowed.
        limit: u64,
    },
    /// Bytes in the store are not what was stored.
    #[error("stored bytes of {at} are damaged: {reason}")]
    Corrupt {
        /// Which.
        at: Locator,
        /// How it was noticed.
        reason: &'static str,
    },
    /// The caller asked for something that makes no sense.
    #[error("request is not valid: {reason}")]
    InvalidRequest {
        /// Why.
        reason: String,
    },
    /// No room: disk or quota.
    #[error("store is full")]
    Full {
        /// What the store said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store does not answer, or not now; the same call may succeed later.
    #[error("store does not answer")]
    Unavailable {
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ObjectError {
    /// Wraps a cause that may pass.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: source.into() }
    }
}
