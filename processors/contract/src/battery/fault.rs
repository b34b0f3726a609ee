//! Stores that fail, lose an answer or hang at one chosen step.
//!
//! Every call into a store is a step, every chunk that is read is one, and a call that changes something is two: before its effect and
//! after it. All stores of a rig count together, so that "fail step 7" means one place in the whole of a job.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_schemas::query::{Decision, DecisionKind};
use cofferdam_schemas::{BucketName, ObjectId, Selector, TenantName, Timestamp};
use cofferdam_seams::{
    Listed, Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore, PutOptions, Upload, memory::MemoryStore,
};
use futures::StreamExt;
use tokio::sync::Notify;

use crate::catalog::{Catalog, CatalogError, ObjectRecord, ObjectState};

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Step number n fails, once.
    Fail(u64),
    /// Step number n never ends.
    Hang(u64),
    /// The step with this number does not return until another fault, or none, is armed.
    Stall(u64),
}

/// Counts steps and trips at one.
pub(crate) struct Plan {
    steps: AtomicU64,
    fault: Mutex<Fault>,
    /// Told when the fault was met.
    pub(crate) met: Notify,
    resumed: Notify,
}

impl Plan {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            steps: AtomicU64::new(0),
            fault: Mutex::new(Fault::None),
            met: Notify::new(),
            resumed: Notify::new(),
        })
    }

    /// Counts from nought again, towards this fault.
    pub(crate) fn arm(&self, fault: Fault) {
        self.steps.store(0, Ordering::SeqCst);
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        self.resumed.notify_waiters();
    }

    /// Steps taken since it was armed.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    async fn step(&self) -> Result<(), ObjectError> {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::Fail(at) if at == step => {
                self.met.notify_one();
                Err(ObjectError::unavailable("the battery made this call fail"))
            }
            Fault::Hang(at) if at == step => {
                self.met.notify_one();
                std::future::pending().await
            }
            Fault::Stall(at) if at == step => {
                let resumed = self.resumed.notified();
                tokio::pin!(resumed);
                // Waiting before anybody hears of it.
                resumed.as_mut().enable();
                self.met.notify_one();
                resumed.await;
                Ok(())
            }
            Fault::None | Fault::Fail(_) | Fault::Hang(_) | Fault::Stall(_) => Ok(()),
        }
    }
}

#[derive(Clone)]
pub(crate) struct FaultyStore {
    pub(crate) inner: MemoryStore,
    pub(crate) plan: Arc<Plan>,
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn head(&self, at: &Locator) -> Result<ObjectMeta, ObjectError> {
        self.plan.step().await?;
        self.inner.head(at).await
    }

    async fn get(&self, at: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError> {
        self.plan.step().await?;
        let mut body = self.inner.get(at, range).await?;
        let plan = self.plan.clone();
        body.stream = body
            .stream
            .then(move |chunk| {
                let plan = plan.clone();
                async move {
                    plan.step().await?;
                    chunk
                }
            })
            .boxed();
        Ok(body)
    }

    async fn upload(&self, at: &Locator, options: PutOptions) -> Result<Box<dyn Upload>, ObjectError> {
        self.plan.step().await?;
        let inner = self.inner.upload(at, options).await?;
        Ok(Box::new(FaultyUpload {
            inner,
            plan: self.plan.clone(),
        }))
    }

    async fn delete(&self, at: &Locator) -> Result<(), ObjectError> {
        self.plan.step().await?;
        self.inner.delete(at).await?;
        self.plan.step().await
    }

    async fn list(
        &self,
        bucket: &BucketName,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError> {
        self.plan.step().await?;
        self.inner.list(bucket, prefix, after, limit).await
    }

    async fn presign_get(
        &self,
        at: &Locator,
        expires: Duration,
        download_as: Option<&str>,
    ) -> Result<String, ObjectError> {
        self.plan.step().await?;
        self.inner.presign_get(at, expires, download_as).await
    }

    async fn ready(&self) -> Result<(), ObjectError> {
        self.plan.step().await?;
        self.inner.ready().await
    }
}

struct FaultyUpload {
    inner: Box<dyn Upload>,
    plan: Arc<Plan>,
}

#[async_trait]
impl Upload for FaultyUpload {
    async fn write(&mut self, chunk: Bytes) -> Result<(), ObjectError> {
        self.plan.step().await?;
        self.inner.write(chunk).await
    }

    async fn finish(self: Box<Self>, head: Bytes) -> Result<ObjectMeta, ObjectError> {
        self.plan.step().await?;
        let meta = self.inner.finish(head).await?;
        self.plan.step().await?;
        Ok(meta)
    }

    async fn abort(self: Box<Self>) {
        self.inner.abort().await;
    }
}

/// A catalog in memory. It knows nothing until told ([`MemoryCatalog::put`]); the newest record of a key is the last one put.
pub(crate) struct MemoryCatalog {
    pub(crate) rows: Mutex<Vec<ObjectRecord>>,
    pub(crate) plan: Arc<Plan>,
}

impl MemoryCatalog {
    pub(crate) fn put(&self, record: ObjectRecord) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
    async fn step(&self) -> Result<(), CatalogError> {
        self.plan.step().await.map_err(|source| CatalogError {
            source: Box::new(source),
        })
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn find(&self, tenant: &TenantName, select: &Selector) -> Result<Option<ObjectRecord>, CatalogError> {
        self.step().await?;
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let matches = |row: &&ObjectRecord| {
            row.object.tenant == *tenant
                && match &select.object {
                    Some(id) => row.object.id == *id,
                    None => {
                        select.key.as_ref().is_some_and(|key| row.object.key == *key)
                            && select.bucket.as_ref().is_none_or(|bucket| row.object.bucket == *bucket)
                            && row.state != ObjectState::Superseded
                    }
                }
        };
        Ok(rows.iter().rev().find(matches).cloned())
    }

    async fn mark_deleted(&self, tenant: &TenantName, object: &ObjectId, _: Timestamp) -> Result<(), CatalogError> {
        self.step().await?;
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows
            .iter_mut()
            .filter(|row| row.object.tenant == *tenant && row.object.id == *object)
        {
            row.state = ObjectState::Deleted;
        }
        Ok(())
    }

    async fn decide(&self, tenant: &TenantName, object: &ObjectId, decision: &Decision) -> Result<(), CatalogError> {
        self.step().await?;
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows
            .iter_mut()
            .filter(|row| row.object.tenant == *tenant && row.object.id == *object)
        {
            row.decisions.retain(|known| known.kind != decision.kind);
            row.decisions.push(decision.clone());
            if decision.kind == DecisionKind::Release && row.state == ObjectState::Quarantined {
                row.state = ObjectState::Released;
            }
        }
        Ok(())
    }
}
