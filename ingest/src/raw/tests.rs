use cofferdam_seams::memory::MemoryStore;
use serde_json::{Value, json};

use super::*;
use crate::testing::{House, Recorder, START, at, away, normaliser, put, refusing, source};

struct Set {
    store: MemoryStore,
    recorder: Arc<Recorder>,
    raw: RawNormaliser,
}

fn set(ledger: Option<Ledger>) -> Set {
    let (store, recorder) = (MemoryStore::new(), Recorder::new());
    let place = RawSource {
        dialect: Dialect::Auto,
        key_encoding: None,
        store: Arc::new(store.clone()),
    };
    let raw = RawNormaliser::new(
        [(source("minio"), place)].into(),
        normaliser(),
        recorder.clone(),
        ledger,
    );
    Set { store, recorder, raw }
}

fn record(name: &str, bucket: &str, key: &str) -> Value {
    json!({"eventSource": "minio:s3", "eventName": name, "eventTime": "2026-11-21T03:17:11.815Z", "s3": {
        "bucket": {"name": bucket}, "object": {"key": key, "size": 12345, "eTag": "wrong", "sequencer": "18E9F1142462B29F"},
    }})
}

fn body(records: &[Value]) -> Vec<u8> {
    json!({"Records": records}).to_string().into_bytes()
}

impl Set {
    async fn take(&self, records: &[Value]) -> Result<(), RawFailure> {
        self.raw
            .take("minio", &body(records), Timestamp::from_unix_millis(START))
            .await
    }
}

/// Found with MinIO's dialect, which would read `+` as a space.
#[tokio::test]
async fn a_source_may_write_its_keys_as_they_are() {
    let (store, recorder) = (MemoryStore::new(), Recorder::new());
    put(&store, "docs", "a+b%2Fc.txt", "hello").await;
    let place = RawSource {
        dialect: Dialect::Minio,
        key_encoding: Some(KeyEncoding::Plain),
        store: Arc::new(store.clone()),
    };
    let raw = RawNormaliser::new([(source("minio"), place)].into(), normaliser(), recorder.clone(), None);
    let set = Set { store, recorder, raw };
    set.take(&[record("s3:ObjectCreated:Put", "docs", "a+b%2Fc.txt")])
        .await
        .unwrap();
    let events = set.recorder.events.lock().unwrap();
    assert_eq!(events[0].0.object.key.as_str(), "a+b%2Fc.txt");
}

#[track_caller]
fn rejected(result: Result<(), RawFailure>, wanted: &str) {
    match result {
        Err(RawFailure::Reject(_, class, _)) => assert_eq!(class, wanted),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn head_is_the_truth_and_a_repetition_is_the_same_event() {
    let set = set(None);
    let meta = put(&set.store, "docs", "a b.txt", "hello").await;
    set.take(&[record("s3:ObjectCreated:Put", "docs", "a+b.txt")])
        .await
        .unwrap();
    set.take(&[record("s3:ObjectCreated:CompleteMultipartUpload", "docs", "a%20b.txt")])
        .await
        .unwrap();
    let event = set.recorder.event(0);
    assert_eq!(
        (event.object.size, &event.object.etag, event.object.last_modified),
        (5, &meta.etag, meta.last_modified)
    );
    assert_eq!(set.recorder.event(1), event);
}

#[tokio::test]
async fn what_is_gone_or_not_for_us_is_counted_and_forgotten() {
    let set = set(None);
    put(&set.store, "vault", "default/x.sealed", "sealed").await;
    put(&set.store, "stranger", "x", "x").await;
    set.take(&[
        record("s3:ObjectCreated:Put", "docs", "gone"),
        record("s3:ObjectCreated:Put", "vault", "default/x.sealed"),
        record("s3:ObjectCreated:Put", "stranger", "x"),
        record("s3:ObjectRemoved:NoOP", "docs", "x"),
    ])
    .await
    .unwrap();
    set.raw
        .take(
            "minio",
            br#"{"Service":"S3","Event":"s3:TestEvent"}"#,
            Timestamp::from_unix_millis(0),
        )
        .await
        .unwrap();
    assert_eq!(set.recorder.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_removal_needs_no_head() {
    let set = set(None);
    set.take(&[record("s3:ObjectRemoved:Delete", "docs", "a")])
        .await
        .unwrap();
    let event = set.recorder.event(0);
    assert_eq!(event.verb, Verb::Del);
    assert!(event.plan.required.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_rejected_after_the_rest_is_taken() {
    let set = set(None);
    rejected(
        set.raw.take("minio", b"not json", Timestamp::from_unix_millis(0)).await,
        "undecodable",
    );
    rejected(
        set.raw.take("elsewhere", b"{}", Timestamp::from_unix_millis(0)).await,
        "unknown-source",
    );
    rejected(
        set.raw
            .take("NOT A SOURCE", b"{}", Timestamp::from_unix_millis(0))
            .await,
        "unknown-source",
    );
    put(&set.store, "docs", "good", "x").await;
    put(&set.store, "many", "nobody/x", "x").await;
    let broken = json!({"eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put"});
    rejected(
        set.take(&[broken, record("s3:ObjectCreated:Put", "docs", "good")])
            .await,
        "undecodable",
    );
    rejected(
        set.take(&[record("s3:ObjectCreated:Put", "many", "nobody%2Fx")]).await,
        "unknown-tenant",
    );
    assert_eq!(set.recorder.keys(), ["good"]);
}

#[tokio::test]
async fn a_store_or_broker_that_is_away_means_retry() {
    let set = set(None);
    put(&set.store, "docs", "a", "x").await;
    let records = [record("s3:ObjectCreated:Put", "docs", "a")];
    set.store.fail_next(1);
    assert!(matches!(set.take(&records).await, Err(RawFailure::Retry(reason)) if reason.contains("told to fail")));
    set.recorder.fail(1, away);
    assert!(matches!(set.take(&records).await, Err(RawFailure::Retry(_))));
    set.recorder.fail(1, refusing);
    rejected(set.take(&records).await, "publish-refused");
    // Retrying comes before rejecting: waiting may still save something.
    let broken = json!({"eventSource": "minio:s3"});
    set.recorder.fail(1, away);
    assert!(matches!(
        set.take(&[records[0].clone(), broken]).await,
        Err(RawFailure::Retry(_))
    ));
    set.take(&records).await.unwrap();
    assert_eq!(set.recorder.keys(), ["a"]);
}

#[tokio::test]
async fn with_a_ledger_accepting_is_committing() {
    let house = House::new().await;
    let set = set(Some(house.ledger()));
    put(&set.store, "docs", "a", "x").await;
    for _ in 0..2 {
        set.take(&[
            record("s3:ObjectCreated:Put", "docs", "a"),
            record("s3:ObjectRemoved:Delete", "docs", "b"),
        ])
        .await
        .unwrap();
    }
    // One row for the object; the removals were published, they need no final state.
    let rows = house.rows().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].kind, LedgerKind::Foreign);
    assert_eq!(set.recorder.keys(), ["b", "b"]);
    let Outgoing::Event(event) = Outgoing::of(&rows[0], &normaliser()).unwrap() else {
        panic!()
    };
    assert_eq!(event.object.key.as_str(), "a");
    assert!(
        house
            .row(LedgerKind::Foreign, &event.object.id.to_string())
            .await
            .is_some()
    );
    assert!(set.store.head(&at("docs", "a")).await.is_ok());
}
