//! What the tests of this crate share. The ledger is the real one, in a temporary directory; only the broker is a recorder (it keeps what it was given
//! and fails when told to; it knows nothing of streams, windows or consumers).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_bucket::{Bucket, BucketSettings, Landing, Ledger, LedgerKind, LedgerRow};
use cofferdam_schemas::{
    BucketName, Checksums, Command, Done, FinalState, KeyId, ObjectEvent, ObjectKey, ObjectRef, Plan, ProcessorName,
    SealedCopy, SourceName, TenantName, Timestamp, Verdict,
};
use cofferdam_seams::{Clock, Locator, ManualClock, ObjectMeta, ObjectStore, PutOptions};

use crate::publish::{Publisher, Trouble};
use crate::{Normaliser, PlanPolicy, Tenancy, TenantMap};

pub(crate) const START: i64 = 1_795_000_000_000;

pub(crate) fn bucket_name(text: &str) -> BucketName {
    BucketName::new(text).unwrap()
}
pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}
pub(crate) fn tenant(text: &str) -> TenantName {
    TenantName::new(text).unwrap()
}
pub(crate) fn source(text: &str) -> SourceName {
    SourceName::new(text).unwrap()
}
pub(crate) fn processor(text: &str) -> ProcessorName {
    ProcessorName::new(text).unwrap()
}
pub(crate) fn at(text: &str, name: &str) -> Locator {
    Locator::new(bucket_name(text), key(name))
}

/// Buckets: `inbox` (tenant `default`), `shared` (first segment; `default` and `other`), `gone` (landing in the store, not in the configuration), and
/// at the foreign source `minio` the bucket `docs` (tenant `default`) and our output `vault`.
pub(crate) fn normaliser() -> Arc<Normaliser> {
    let map = TenantMap::new([tenant("default"), tenant("other")])
        .landing(source("inbox"), bucket_name("inbox"), Tenancy::Fixed(tenant("default")))
        .and_then(|map| map.landing(source("inbox"), bucket_name("shared"), Tenancy::FirstSegment))
        .and_then(|map| map.landing(source("minio"), bucket_name("docs"), Tenancy::Fixed(tenant("default"))))
        .and_then(|map| map.landing(source("minio"), bucket_name("many"), Tenancy::FirstSegment))
        .and_then(|map| map.output(source("minio"), bucket_name("vault")))
        .unwrap();
    let plan = PlanPolicy {
        required: vec![processor("validate"), processor("encrypt")],
        version: "1".into(),
    };
    Arc::new(Normaliser::new(map, plan, source("inbox")))
}

/// A real bucket with its ledger.
pub(crate) struct House {
    pub(crate) bucket: Bucket,
    pub(crate) clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl House {
    /// With landing buckets that take every key.
    pub(crate) async fn new() -> Self {
        let names = ["inbox", "shared", "gone"];
        Self::with(names.map(|name| bucket_name(name).into()).into()).await
    }

    pub(crate) async fn with(landing: Vec<Landing>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(START)));
        let settings = BucketSettings {
            data_dir: folder.path().to_owned(),
            inline_limit: 65_536,
            region: "us-east-1".into(),
            landing: landing.clone(),
            clock: clock.clone(),
        };
        let bucket = Bucket::open(settings).await.unwrap();
        for landing in landing {
            bucket.create_bucket(&landing.bucket).await.unwrap();
        }
        for name in ["vault", "quarantine"] {
            bucket.create_bucket(&bucket_name(name)).await.unwrap();
        }
        Self {
            bucket,
            clock,
            _folder: folder,
        }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.bucket.ledger()
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.bucket.clone())
    }

    pub(crate) async fn put(&self, place: &str, name: &str, body: &'static str) -> ObjectMeta {
        put(&self.bucket, place, name, body).await
    }

    /// Every row that is not closed, parked ones excluded.
    pub(crate) async fn rows(&self) -> Vec<LedgerRow> {
        let mut rows = self.ledger().unpublished(0, 10_000).await.unwrap();
        rows.extend(
            self.ledger()
                .overdue(Timestamp::from_unix_millis(START * 2), 10_000)
                .await
                .unwrap(),
        );
        rows.sort_by_key(|row| row.seq);
        rows
    }

    pub(crate) async fn row(&self, kind: LedgerKind, subject: &str) -> Option<LedgerRow> {
        self.ledger().find(kind, subject.to_owned()).await.unwrap()
    }
}

pub(crate) async fn put(store: &dyn ObjectStore, place: &str, name: &str, body: &'static str) -> ObjectMeta {
    let mut upload = store.upload(&at(place, name), PutOptions::default()).await.unwrap();
    upload.write(Bytes::from_static(body.as_bytes())).await.unwrap();
    upload.finish(Bytes::new()).await.unwrap()
}

#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) events: Mutex<Vec<(ObjectEvent, u32)>>,
    pub(crate) commands: Mutex<Vec<(Command, u32)>>,
    troubles: Mutex<VecDeque<fn() -> Trouble>>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The next publications fail so.
    pub(crate) fn fail(&self, times: usize, trouble: fn() -> Trouble) {
        self.troubles
            .lock()
            .unwrap()
            .extend(std::iter::repeat_n(trouble, times));
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.events
            .lock()
            .unwrap()
            .iter()
            .map(|(event, _)| event.object.key.to_string())
            .collect()
    }

    pub(crate) fn event(&self, n: usize) -> ObjectEvent {
        self.events.lock().unwrap()[n].0.clone()
    }

    pub(crate) fn redrives(&self) -> Vec<u32> {
        self.events
            .lock()
            .unwrap()
            .iter()
            .map(|(_, redrive)| *redrive)
            .collect()
    }

    fn trouble(&self) -> Result<(), Trouble> {
        self.troubles
            .lock()
            .unwrap()
            .pop_front()
            .map_or(Ok(()), |trouble| Err(trouble()))
    }
}

pub(crate) fn full() -> Trouble {
    Trouble::Backpressure("told to be full".into())
}
pub(crate) fn away() -> Trouble {
    Trouble::Unavailable("told to be away".into())
}
pub(crate) fn refusing() -> Trouble {
    Trouble::Refused("told to refuse".into())
}

#[async_trait]
impl Publisher for Recorder {
    async fn event(&self, event: &ObjectEvent, redrive: u32) -> Result<(), Trouble> {
        self.trouble()?;
        self.events.lock().unwrap().push((event.clone(), redrive));
        Ok(())
    }
    async fn command(&self, command: &Command, redrive: u32) -> Result<(), Trouble> {
        self.trouble()?;
        self.commands.lock().unwrap().push((command.clone(), redrive));
        Ok(())
    }
}

/// Waits until it holds; fails the test when it does not within ten seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come true within ten seconds");
}

pub(crate) fn sealed(object: &ObjectRef, opened_at: i64) -> SealedCopy {
    SealedCopy {
        bucket: bucket_name("vault"),
        key: key(&format!("{}/{}.sealed", object.tenant, object.id)),
        size: object.size + 1_000,
        plaintext_size: object.size,
        plaintext_sha256: object.checksums.sha256.clone().unwrap_or_default(),
        suite: "0x0001".into(),
        header: "00".repeat(32),
        payload_root: "00".repeat(32),
        recipients: vec![KeyId([1; 16]), KeyId([2; 16])],
        signer: KeyId([3; 16]),
        opened_at: Timestamp::from_unix_millis(opened_at),
    }
}

pub(crate) fn done(event: &ObjectEvent, state: FinalState, sealed: Option<SealedCopy>) -> Done {
    Done {
        event: event.id.clone(),
        object: event.object.clone(),
        plan: event.plan.clone(),
        state,
        verdict: Verdict::Pass,
        sealed,
        results: Vec::new(),
    }
}

/// An object at the foreign source, as its HEAD says.
pub(crate) fn foreign(place: &str, name: &str, meta: &ObjectMeta) -> ObjectEvent {
    let notice = crate::dialect::ObjectNotice {
        bucket: bucket_name(place),
        key: key(name),
        verb: cofferdam_schemas::Verb::Put,
        size: None,
        etag: None,
        version: None,
        sequencer: None,
        event_time: None,
        reason: String::new(),
    };
    normaliser().present(&source("minio"), &notice, meta.clone()).unwrap()
}

pub(crate) fn no_checksums() -> Checksums {
    Checksums::default()
}

pub(crate) fn plan() -> Plan {
    Plan::new([processor("encrypt"), processor("validate")], "1")
}

pub(crate) fn clock_at(millis: i64) -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(Timestamp::from_unix_millis(millis)))
}

/// Vault and quarantine of a house.
pub(crate) fn isolation(house: &House) -> crate::Isolation {
    let place = |name| cofferdam_seams::Place {
        store: house.store(),
        bucket: bucket_name(name),
    };
    crate::Isolation {
        vault: place("vault"),
        quarantine: place("quarantine"),
    }
}
