use cofferdam_schemas::Verb;

use super::*;
use crate::testing::{House, Recorder, away, bucket_name, eventually, full, key, normaliser, refusing};
use cofferdam_seams::{Locator, ObjectStore};

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), IngestError>>,
}

fn start(house: &House, recorder: &Arc<Recorder>) -> Running {
    let stop = CancellationToken::new();
    let task = tokio::spawn(run_pump(house.ledger(), recorder.clone(), normaliser(), stop.clone()));
    Running { stop, task }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn pump(house: &House, recorder: &Arc<Recorder>) -> Pump {
    Pump {
        ledger: house.ledger(),
        publisher: recorder.clone(),
        normaliser: normaliser(),
    }
}

async fn unpublished(house: &House) -> usize {
    house.ledger().unpublished(0, 10_000).await.unwrap().len()
}

#[tokio::test]
async fn rows_are_published_in_order_and_marked() {
    let house = House::new().await;
    for name in ["a", "b", "c"] {
        house.put("inbox", name, "x").await;
    }
    let recorder = Recorder::new();
    let running = start(&house, &recorder);
    eventually("all rows published", || async { unpublished(&house).await == 0 }).await;
    assert_eq!(recorder.keys(), ["a", "b", "c"]);
    // New rows wake it: its own rescan comes only after half a minute.
    house.put("inbox", "d", "x").await;
    eventually("new row published", || async {
        recorder.keys().len() == 4 && unpublished(&house).await == 0
    })
    .await;
    running.end().await;
    // Published is not final: the rows stay, under their object's id.
    for n in 0..4 {
        let event = recorder.event(n);
        let row = house
            .row(LedgerKind::Upload, &event.object.id.to_string())
            .await
            .unwrap();
        assert!(row.published_at.is_some());
    }
    assert_eq!(recorder.redrives(), [0; 4]);
}

#[tokio::test]
async fn a_broker_that_takes_nothing_is_waited_for_and_nothing_is_lost() {
    let house = House::new().await;
    let names: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    for name in &names {
        house.put("inbox", name, "x").await;
    }
    let recorder = Recorder::new();
    recorder.fail(7, full);
    recorder.fail(15, away);
    let running = start(&house, &recorder);
    eventually("all rows published", || async { unpublished(&house).await == 0 }).await;
    running.end().await;
    let mut published = recorder.keys();
    published.sort();
    assert_eq!(published, names, "each exactly once");
}

#[tokio::test]
async fn a_row_the_broker_refuses_stays_and_blocks_no_other() {
    let house = House::new().await;
    for name in ["a", "b"] {
        house.put("inbox", name, "x").await;
    }
    let recorder = Recorder::new();
    recorder.fail(1, refusing);
    let pump = pump(&house, &recorder);
    assert!(matches!(
        pump.round(&CancellationToken::new()).await.unwrap(),
        Round::Clear
    ));
    assert_eq!(recorder.keys(), ["b"]);
    assert_eq!(unpublished(&house).await, 1);
    assert!(matches!(
        pump.round(&CancellationToken::new()).await.unwrap(),
        Round::Clear
    ));
    assert_eq!(recorder.keys(), ["b", "a"]);
}

#[tokio::test]
async fn a_row_that_can_never_be_published_is_parked() {
    let house = House::new().await;
    house.put("gone", "a", "x").await;
    house.put("shared", "nobody/a", "x").await;
    house.put("shared", "other/a", "x").await;
    let recorder = Recorder::new();
    let pump = pump(&house, &recorder);
    assert!(matches!(
        pump.round(&CancellationToken::new()).await.unwrap(),
        Round::Clear
    ));
    assert_eq!(recorder.keys(), ["other/a"]);
    assert_eq!(recorder.event(0).object.tenant.as_str(), "other");
    // Neither pumped again nor re-driven.
    assert_eq!(house.rows().await.len(), 1);
}

#[tokio::test]
async fn a_removal_is_published_and_over() {
    let house = House::new().await;
    let meta = house.put("inbox", "a", "x").await;
    let recorder = Recorder::new();
    let pump = pump(&house, &recorder);
    pump.round(&CancellationToken::new()).await.unwrap();
    // As a user does: by key, without a version.
    house
        .bucket
        .delete(&Locator::new(bucket_name("inbox"), key("a")))
        .await
        .unwrap();
    pump.round(&CancellationToken::new()).await.unwrap();
    let (put, del) = (recorder.event(0), recorder.event(1));
    assert_eq!((put.verb, del.verb), (Verb::Put, Verb::Del));
    assert_eq!(del.object.version, meta.version.or(put.object.version.clone()));
    // The row of the removal is gone; that of the put waits for its final state (superseded).
    let rows = house.rows().await;
    assert_eq!(rows.len(), 1);
    assert!(
        matches!(Outgoing::of(&rows[0], &normaliser()).unwrap(), Outgoing::Event(event) if event.verb == Verb::Put)
    );
}

#[tokio::test]
async fn more_rows_than_a_page() {
    let house = House::new().await;
    let many = PAGE + 100;
    let payload = |n: usize| serde_json::json!({"id": format!("c{n}"), "tenant": "default", "verb": "retrieve", "body": {}, "accepted_at": "2026-11-21T00:00:00.000Z"});
    let ledger = house.ledger();
    let rows = (0..many).map(|n| ledger.accept(LedgerKind::Command, format!("default/c{n}"), payload(n)));
    futures::future::try_join_all(rows).await.unwrap();
    let recorder = Recorder::new();
    pump(&house, &recorder).round(&CancellationToken::new()).await.unwrap();
    assert_eq!(recorder.commands.lock().unwrap().len(), many);
    assert_eq!(unpublished(&house).await, 0);
}
