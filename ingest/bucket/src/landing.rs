//! Landing buckets: where documents come in.

use std::sync::Arc;

use cofferdam_schemas::BucketName;

/// Which keys a landing bucket takes. The store asks and does not know why: whoever knows what the keys mean answers.
pub trait LandingKeys: Send + Sync + 'static {
    /// Whether an object may be written under this key. The text of a refusal is shown to whoever wants to write it, so it says what is wrong with
    /// the key and what to do. Asked before bytes are taken and again in the transaction that makes the object visible: it must be quick.
    fn check(&self, key: &str) -> Result<(), String>;
}

/// A landing bucket: what is written to it and deleted from it goes into the ledger.
#[derive(Clone)]
pub struct Landing {
    /// The bucket.
    pub bucket: BucketName,
    /// Which keys it takes; all of them when absent. Holds for everybody who writes, over S3 and in process. Deleting is always possible.
    pub keys: Option<Arc<dyn LandingKeys>>,
}

impl From<BucketName> for Landing {
    /// Takes every key.
    fn from(bucket: BucketName) -> Self {
        Self { bucket, keys: None }
    }
}

impl std::fmt::Debug for Landing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Landing")
            .field("bucket", &self.bucket)
            .field("every_key", &self.keys.is_none())
            .finish()
    }
}
