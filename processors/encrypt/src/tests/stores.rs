//! Stores that behave in a certain way.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cofferdam_schemas::BucketName;
use cofferdam_seams::{Listed, Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore, PutOptions, Upload};
use futures::StreamExt;

/// Notes which ranges are read.
pub(super) struct Spy {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) ranges: Mutex<Vec<Option<Range<u64>>>>,
}

/// Ends every read one byte early, without saying so.
pub(super) struct Short(pub(super) Arc<dyn ObjectStore>);

macro_rules! pass_through {
    ($name:ident, $inner:tt, $get:item) => {
        #[async_trait]
        impl ObjectStore for $name {
            $get
            async fn head(&self, at: &Locator) -> Result<ObjectMeta, ObjectError> {
                self.$inner.head(at).await
            }
            async fn upload(&self, at: &Locator, options: PutOptions) -> Result<Box<dyn Upload>, ObjectError> {
                self.$inner.upload(at, options).await
            }
            async fn delete(&self, at: &Locator) -> Result<(), ObjectError> {
                self.$inner.delete(at).await
            }
            async fn list(&self, b: &BucketName, p: &str, a: Option<&str>, l: usize) -> Result<Vec<Listed>, ObjectError> {
                self.$inner.list(b, p, a, l).await
            }
            async fn presign_get(&self, at: &Locator, e: Duration, d: Option<&str>) -> Result<String, ObjectError> {
                self.$inner.presign_get(at, e, d).await
            }
            async fn ready(&self) -> Result<(), ObjectError> {
                self.$inner.ready().await
            }
        }
    };
}

pass_through!(
    Spy,
    inner,
    async fn get(&self, at: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError> {
        self.ranges.lock().unwrap().push(range.clone());
        self.inner.get(at, range).await
    }
);

pass_through!(
    Short,
    0,
    async fn get(&self, at: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError> {
        let mut body = self.0.get(at, range).await?;
        let mut left = (body.range.end - body.range.start).saturating_sub(1) as usize;
        body.stream = body
            .stream
            .map(move |chunk| {
                chunk.map(|chunk| {
                    let kept = chunk.slice(..chunk.len().min(left));
                    left -= kept.len();
                    kept
                })
            })
            .boxed();
        Ok(body)
    }
);
