//! An object version, and how its ids are derived.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::checksum::Checksums;
use crate::event::Verb;
use crate::ids::{
    BucketName, ETag, EventId, ObjectId, ObjectKey, Partition, SourceName, TenantName, VersionId, hash_fields,
};
use crate::timestamp::Timestamp;

/// What identifies an object version at its source, before it has an id of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whose it is.
    pub tenant: TenantName,
    /// The source that announced it.
    pub source: SourceName,
    /// The landing bucket.
    pub bucket: BucketName,
    /// The key, exactly as the store holds it.
    pub key: ObjectKey,
    /// The store's version id, if it has one.
    pub version: Option<VersionId>,
    /// The entity tag.
    pub etag: ETag,
    /// The store's last-modified time. Together with the entity tag it stands for the version where there is no version id.
    pub last_modified: Timestamp,
}

impl Origin {
    fn version_hash(&self) -> [u8; 32] {
        let modified = self.last_modified.unix_millis().to_be_bytes();
        let (kind, version, modified): (&[u8], _, &[u8]) = match &self.version {
            Some(version) => (b"v", version.as_str(), b""),
            None => (b"e", self.etag.as_str(), &modified),
        };
        hash_fields(&[
            self.tenant.as_str().as_bytes(),
            self.source.as_str().as_bytes(),
            self.bucket.as_str().as_bytes(),
            self.key.as_str().as_bytes(),
            kind,
            version.as_bytes(),
            modified,
        ])
    }

    /// The object id: version 7 layout, the time from the store, the rest from a hash of what identifies the version.
    pub fn object_id(&self) -> ObjectId {
        let hash = self.version_hash();
        let mut random = [0; 10];
        random.copy_from_slice(&hash[..10]);
        let millis = u64::try_from(self.last_modified.unix_millis()).unwrap_or(0);
        ObjectId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id of the event that something (`verb`) happened to this version.
    pub fn event_id(&self, verb: Verb) -> EventId {
        let hash = hash_fields(&[&self.version_hash(), verb.as_str().as_bytes()]);
        // Unwrap safety: 16 bytes are always 32 lower-case hex digits.
        #[allow(clippy::expect_used)]
        EventId::new(hex::encode(&hash[..16])).expect("32 hex digits")
    }
}

/// An object version as events, jobs and results speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// Its id.
    pub id: ObjectId,
    /// Whose it is.
    pub tenant: TenantName,
    /// The source that announced it.
    pub source: SourceName,
    /// The landing bucket.
    pub bucket: BucketName,
    /// The key, exactly as the store holds it.
    pub key: ObjectKey,
    /// The store's version id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// The entity tag; readers use it as a precondition.
    pub etag: ETag,
    /// Size in bytes, as the store claims it.
    pub size: u64,
    /// The store's last-modified time.
    pub last_modified: Timestamp,
    /// The media type the uploader declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Whole-object checksums, as the store claims them.
    #[serde(default)]
    pub checksums: Checksums,
}

impl ObjectRef {
    /// What identifies this version at its source.
    pub fn origin(&self) -> Origin {
        Origin {
            tenant: self.tenant.clone(),
            source: self.source.clone(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            version: self.version.clone(),
            etag: self.etag.clone(),
            last_modified: self.last_modified,
        }
    }
    /// The partition of the key.
    pub fn partition(&self) -> Partition {
        Partition::of(&self.tenant, &self.bucket, &self.key)
    }
    /// The id of an event on this version, see [`Origin::event_id`].
    pub fn event_id(&self, verb: Verb) -> EventId {
        self.origin().event_id(verb)
    }
}

/// The nil id, for records that concern no object.
pub const NO_OBJECT: ObjectId = ObjectId(Uuid::nil());
