//! Everything a processor needs, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cofferdam_schemas::{
    BucketName, Checksums, EventId, ObjectKey, ObjectRef, Plan as WorkPlan, ProcessorName, SourceName, TenantName,
    Timestamp, Verb,
};
use cofferdam_seams::memory::MemoryStore;
use cofferdam_seams::{ManualClock, ObjectStore, Place, PutOptions, read_all};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::Sample;
use super::fault::{Fault, FaultyStore, MemoryCatalog, Plan};
use crate::catalog::ObjectRecord;
use crate::deps::{Deps, Stores};
use crate::document::Document;
use crate::job::Job;

/// A text that stands in the default document and may stand nowhere else.
pub const CANARY: &str = "canary-9b1f0c5e-battery";

/// About 150 KiB of plain text with [`CANARY`] in it: more than two chunks.
pub fn default_document() -> Sample {
    let mut body = format!("A report. Its secret is {CANARY}.\n");
    for line in 0..2400 {
        body.push_str(&format!(
            "Line {line} of an ordinary report, long enough to be read in parts.\n"
        ));
    }
    Sample {
        name: "report".to_owned(),
        key: "battery/report.txt".to_owned(),
        content_type: Some("text/plain".to_owned()),
        body: body.into_bytes(),
    }
}

/// Stores, catalog, clock and directories of one test. The directories go when it is dropped.
pub struct Rig {
    /// What a processor is started with.
    pub deps: Deps,
    /// The clock in [`Rig::deps`].
    pub clock: Arc<ManualClock>,
    pub(crate) plan: Arc<Plan>,
    catalog: Arc<MemoryCatalog>,
    landing: MemoryStore,
    kept: MemoryStore,
    _directories: tempfile::TempDir,
}

const SOURCE: &str = "inbox";
const TENANT: &str = "default";

impl Rig {
    /// An empty one, with tenant `default`, source and bucket `inbox`, at 2026-01-01.
    pub fn new() -> Self {
        let plan = Plan::new();
        let landing = MemoryStore::new();
        let kept = MemoryStore::new();
        let faulty = |inner: &MemoryStore| -> Arc<dyn ObjectStore> {
            Arc::new(FaultyStore {
                inner: inner.clone(),
                plan: plan.clone(),
            })
        };
        let store = faulty(&kept);
        let place = |bucket: &str| Place {
            store: store.clone(),
            bucket: BucketName::new(bucket).expect("bucket name"),
        };
        let catalog = Arc::new(MemoryCatalog {
            rows: Default::default(),
            plan: plan.clone(),
        });
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(1_767_225_600_000)));
        let directories = tempfile::tempdir().expect("a temporary directory");
        let directory = |name: &str| {
            let path = directories.path().join(name);
            std::fs::create_dir(&path).expect("a directory");
            path
        };
        let deps = Deps {
            stores: Stores {
                landing: BTreeMap::from([(SourceName::new(SOURCE).expect("source name"), faulty(&landing))]),
                vault: place("vault"),
                quarantine: place("quarantine"),
                results: place("results"),
                outbox: place("outbox"),
            },
            catalog: catalog.clone(),
            clock: clock.clone(),
            tenants: vec![TenantName::new(TENANT).expect("tenant name")],
            data_dir: directory("data"),
            config_dir: directory("config"),
            stop: CancellationToken::new(),
        };
        Self {
            deps,
            clock,
            plan,
            catalog,
            landing,
            kept,
            _directories: directories,
        }
    }

    /// Puts a document into the landing bucket and makes the job for it, for this processor.
    pub async fn job(&self, processor: &ProcessorName, sample: &Sample) -> (Job, Document) {
        let bucket = BucketName::new("inbox").expect("bucket name");
        let key = ObjectKey::new(sample.key.clone()).expect("object key");
        let inbox = Place {
            store: Arc::new(self.landing.clone()),
            bucket: bucket.clone(),
        };
        let options = PutOptions {
            content_type: sample.content_type.clone(),
            ..PutOptions::default()
        };
        let meta = inbox
            .put(key.clone(), Bytes::from(sample.body.clone()), options)
            .await
            .expect("put in memory");
        let mut object = ObjectRef {
            id: cofferdam_schemas::object::NO_OBJECT,
            tenant: TenantName::new(TENANT).expect("tenant name"),
            source: SourceName::new(SOURCE).expect("source name"),
            bucket,
            key,
            version: None,
            etag: meta.etag,
            size: meta.size,
            last_modified: meta.last_modified,
            content_type: meta.content_type,
            checksums: Checksums {
                sha256: Some(hex::encode(Sha256::digest(&sample.body))),
                ..Checksums::default()
            },
        };
        object.id = object.origin().object_id();
        let event: EventId = object.event_id(Verb::Put);
        let plan = WorkPlan::new([processor.clone()], "battery");
        let document = self.deps.stores.document(&object).expect("the source is configured");
        (
            Job {
                event,
                object,
                plan,
                attempt: 1,
                cancelled: CancellationToken::new(),
            },
            document,
        )
    }

    /// Lets the catalog know an object version, as the sink would once it is final.
    pub fn record(&self, record: ObjectRecord) {
        self.catalog.put(record);
    }

    /// Lets step number `step` from now on fail once with "unavailable". For tests of command handlers, which fail each step in turn; documents
    /// have [`super::Test::Transient`]. Every call into a store or the catalog is a step, as is every chunk read; a call that changes something
    /// is two, before its effect and after it.
    pub fn fail_step(&self, step: u64) {
        self.plan.arm(Fault::Fail(step));
    }

    /// Holds step number `step` from now on up until [`Rig::heal`], while steps behind it are taken: for two that work at once.
    pub fn stall_step(&self, step: u64) {
        self.plan.arm(Fault::Stall(step));
    }

    /// Waits until a task is held up there; false when it ends before.
    pub async fn stalled<T>(&self, task: &tokio::task::JoinHandle<T>) -> bool {
        loop {
            tokio::select! {
                () = self.plan.met.notified() => return true,
                () = tokio::time::sleep(Duration::from_millis(1)) => {
                    if task.is_finished() {
                        return false;
                    }
                }
            }
        }
    }

    /// Nothing fails any more, and steps are counted from nought.
    pub fn heal(&self) {
        self.plan.arm(Fault::None);
    }

    /// Steps taken since [`Rig::heal`] or [`Rig::fail_step`].
    pub fn steps(&self) -> u64 {
        self.plan.steps()
    }

    /// SHA-256 of every object in vault, quarantine, results and outbox, by bucket and key.
    pub async fn effects(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for bucket in ["vault", "quarantine", "results", "outbox"] {
            self.hash_bucket(&self.kept, bucket, &mut all).await;
        }
        all
    }

    /// The same for the landing bucket.
    pub async fn landed(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        self.hash_bucket(&self.landing, "inbox", &mut all).await;
        all
    }

    async fn hash_bucket(&self, store: &MemoryStore, bucket: &str, all: &mut BTreeMap<String, String>) {
        let place = Place {
            store: Arc::new(store.clone()),
            bucket: BucketName::new(bucket).expect("bucket name"),
        };
        for row in store
            .list(&place.bucket, "", None, usize::MAX)
            .await
            .expect("list in memory")
        {
            let body = store.get(&place.at(row.key.clone()), None).await.expect("listed");
            let bytes = read_all(body.stream, u64::MAX).await.expect("read in memory");
            all.insert(format!("{bucket}/{}", row.key), hex::encode(Sha256::digest(&bytes)));
        }
    }

    /// Removes a document from the landing bucket behind the processor's back.
    pub async fn remove(&self, job: &Job) {
        let place = Place {
            store: Arc::new(self.landing.clone()),
            bucket: job.object.bucket.clone(),
        };
        place
            .store
            .delete(&place.at(job.object.key.clone()))
            .await
            .expect("delete in memory");
    }
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}
