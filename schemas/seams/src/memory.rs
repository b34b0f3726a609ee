//! An object store in memory, for tests of code above [`ObjectStore`].
//!
//! It does not provide: presigned URLs that work (it gives a `memory:` URL), version history (a version must match the current
//! one), durability. It can fail: [`MemoryStore::fail_next`] makes the next calls answer "unavailable".

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cofferdam_schemas::{BucketName, Checksums, ETag, Timestamp};
use futures::StreamExt;

use crate::objects::{
    ByteStream, Listed, Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore, PutOptions, Upload,
};

type Objects = BTreeMap<(BucketName, String), (ObjectMeta, Bytes)>;

/// See the module.
#[derive(Clone, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<Objects>>,
    written: Arc<AtomicU64>,
    failures: Arc<AtomicU64>,
}

impl MemoryStore {
    /// An empty store. Buckets exist by being named.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next `calls` calls fail with [`ObjectError::Unavailable`].
    pub fn fail_next(&self, calls: u64) {
        self.failures.store(calls, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), ObjectError> {
        let failing = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match failing {
            Ok(_) => Err(ObjectError::unavailable("told to fail")),
            Err(_) => Ok(()),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Objects) -> T) -> T {
        act(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self, at: &Locator) -> Result<(ObjectMeta, Bytes), ObjectError> {
        self.check()?;
        let found = self.with(|objects| objects.get(&(at.bucket.clone(), at.key.as_str().to_owned())).cloned());
        let (meta, body) = found.ok_or_else(|| ObjectError::NotFound { at: at.clone() })?;
        if at.version.is_some() && at.version != meta.version {
            return Err(ObjectError::NotFound { at: at.clone() });
        }
        if at.etag.as_ref().is_some_and(|etag| *etag != meta.etag) {
            return Err(ObjectError::PreconditionFailed { at: at.clone() });
        }
        Ok((meta, body))
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn head(&self, at: &Locator) -> Result<ObjectMeta, ObjectError> {
        Ok(self.find(at)?.0)
    }

    async fn get(&self, at: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError> {
        let (meta, body) = self.find(at)?;
        let range = range.unwrap_or(0..meta.size);
        if range.start >= meta.size && range.start > 0 {
            return Err(ObjectError::InvalidRange {
                start: range.start,
                size: meta.size,
            });
        }
        let range = range.start..range.end.clamp(range.start, meta.size);
        let part = body.slice(range.start as usize..range.end as usize);
        let chunks: Vec<_> = part.chunks(64 * 1024).map(|c| Ok(part.slice_ref(c))).collect();
        let stream: ByteStream = futures::stream::iter(chunks).boxed();
        Ok(ObjectBody { meta, range, stream })
    }

    async fn upload(&self, at: &Locator, options: PutOptions) -> Result<Box<dyn Upload>, ObjectError> {
        self.check()?;
        Ok(Box::new(MemoryUpload {
            store: self.clone(),
            at: at.clone(),
            options,
            tail: BytesMut::new(),
        }))
    }

    async fn delete(&self, at: &Locator) -> Result<(), ObjectError> {
        match self.find(at) {
            Ok(_) => {}
            Err(ObjectError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.with(|objects| objects.remove(&(at.bucket.clone(), at.key.as_str().to_owned())));
        Ok(())
    }

    async fn list(
        &self,
        bucket: &BucketName,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError> {
        self.check()?;
        Ok(self.with(|objects| {
            let here = objects
                .iter()
                .filter(|((b, key), _)| b == bucket && key.starts_with(prefix));
            let behind = here.filter(|((_, key), _)| after.is_none_or(|after| key.as_str() > after));
            let rows = behind.filter_map(|((_, key), (meta, _))| {
                let key = cofferdam_schemas::ObjectKey::new(key.clone()).ok()?;
                Some(Listed {
                    key,
                    size: meta.size,
                    etag: meta.etag.clone(),
                    last_modified: meta.last_modified,
                })
            });
            rows.take(limit).collect()
        }))
    }

    async fn presign_get(&self, at: &Locator, _: Duration, _: Option<&str>) -> Result<String, ObjectError> {
        self.find(at)?;
        Ok(format!("memory:{at}"))
    }

    async fn ready(&self) -> Result<(), ObjectError> {
        self.check()
    }
}

struct MemoryUpload {
    store: MemoryStore,
    at: Locator,
    options: PutOptions,
    tail: BytesMut,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, chunk: Bytes) -> Result<(), ObjectError> {
        self.store.check()?;
        self.tail.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(self: Box<Self>, head: Bytes) -> Result<ObjectMeta, ObjectError> {
        self.store.check()?;
        if head.len() as u64 != self.options.reserve_head {
            return Err(ObjectError::InvalidRequest {
                reason: "head is not as long as reserved".into(),
            });
        }
        let mut body = BytesMut::from(&head[..]);
        body.extend_from_slice(&self.tail);
        let number = self.store.written.fetch_add(1, Ordering::SeqCst);
        let etag = ETag::new(format!("memory-{number}")).map_err(ObjectError::unavailable)?;
        let meta = ObjectMeta {
            size: body.len() as u64,
            etag,
            version: None,
            last_modified: Timestamp::from_unix_millis(1_700_000_000_000 + number as i64),
            content_type: self.options.content_type.clone(),
            checksums: Checksums::default(),
            user: self.options.user.clone(),
        };
        let place = (self.at.bucket.clone(), self.at.key.as_str().to_owned());
        self.store.with(|objects| {
            if self.options.only_if_absent && objects.contains_key(&place) {
                return Err(ObjectError::PreconditionFailed { at: self.at.clone() });
            }
            objects.insert(place, (meta.clone(), body.freeze()));
            Ok(meta)
        })
    }

    async fn abort(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn make() -> (Arc<MemoryStore>, BucketName, ()) {
        (Arc::new(MemoryStore::new()), BucketName::new("bucket").unwrap(), ())
    }
    crate::object_store_conformance!(make);

    #[tokio::test]
    async fn fails_when_told_to() {
        let (store, bucket, ()) = make().await;
        store.fail_next(2);
        for _ in 0..2 {
            assert!(matches!(
                store.list(&bucket, "", None, 1).await,
                Err(ObjectError::Unavailable { .. })
            ));
        }
        assert!(store.list(&bucket, "", None, 1).await.is_ok());
    }
}
