use std::collections::BTreeMap;
use std::sync::Mutex;

use cofferdam_bucket::LedgerKind;
use cofferdam_schemas::{FinalState, ObjectEvent};
use serde_json::json;

use super::*;
use crate::finalise::RetirePolicy;
use crate::testing::{House, Recorder, START, away, isolation, normaliser, refusing, sealed, source};

#[test]
fn patience_doubles() {
    let first = Duration::from_secs(600);
    let due = |minutes: u64, redrives| is_due(Duration::from_secs(minutes * 60), redrives, first);
    assert!(!due(9, 0));
    assert!(due(10, 0));
    assert!(!due(19, 1));
    assert!(due(20, 1));
    assert!(!due(79, 3));
    assert!(due(80, 3));
    // Never longer than a day, however often.
    assert!(!due(24 * 60 - 1, 20));
    for redrives in [20, 31, 32, 33, u32::MAX] {
        assert!(due(24 * 60, redrives), "{redrives}");
    }
}

#[derive(Default)]
struct Known {
    objects: Mutex<BTreeMap<ObjectId, Final>>,
    commands: Mutex<Vec<CommandId>>,
    fails: Mutex<bool>,
}

#[async_trait]
impl Finals for Known {
    async fn object(&self, _: &TenantName, object: &ObjectId) -> Result<Option<Final>, FinalsError> {
        if *self.fails.lock().unwrap() {
            return Err(FinalsError("told to fail".into()));
        }
        Ok(self.objects.lock().unwrap().get(object).cloned())
    }
    async fn command(&self, _: &TenantName, command: &CommandId) -> Result<bool, FinalsError> {
        Ok(self.commands.lock().unwrap().contains(command))
    }
}

struct Set {
    house: House,
    recorder: Arc<Recorder>,
    finals: Arc<Known>,
    redrive: Redrive,
}

async fn set() -> Set {
    let house = House::new().await;
    let (recorder, finals) = (Recorder::new(), Arc::new(Known::default()));
    let stores = [(source("inbox"), house.store())].into();
    let finaliser = Finaliser::new(
        Some(house.ledger()),
        stores,
        source("inbox"),
        isolation(&house),
        RetirePolicy::UntilDone,
        house.clock.clone(),
    );
    let redrive = Redrive {
        ledger: house.ledger(),
        publisher: recorder.clone(),
        normaliser: normaliser(),
        finals: finals.clone(),
        finaliser: Arc::new(finaliser),
        clock: house.clock.clone(),
        settings: RedriveSettings::default(),
    };
    Set {
        house,
        recorder,
        finals,
        redrive,
    }
}

impl Set {
    /// An upload, published.
    async fn upload(&self, name: &str) -> ObjectEvent {
        self.house.put("inbox", name, "hello").await;
        let row = self.house.ledger().unpublished(0, 100).await.unwrap().pop().unwrap();
        let Outgoing::Event(event) = Outgoing::of(&row, &normaliser()).unwrap() else {
            panic!()
        };
        self.house
            .ledger()
            .mark_published(vec![(row.seq, Some(event.object.id.to_string()))])
            .await
            .unwrap();
        *event
    }

    fn finish(&self, event: &ObjectEvent) {
        let last = Final {
            object: event.object.clone(),
            state: FinalState::Done,
            sealed: Some(sealed(&event.object, START)),
        };
        self.finals.objects.lock().unwrap().insert(event.object.id, last);
    }

    async fn pass_minutes(&self, minutes: i64) -> Swept {
        self.house.clock.advance_millis(minutes * 60_000);
        self.redrive.sweep().await.unwrap()
    }
}

#[tokio::test]
async fn what_an_earlier_process_left_goes_out_at_once() {
    let set = set().await;
    let (open, over) = (set.upload("open").await, set.upload("over").await);
    set.finish(&over);
    set.house.clock.advance_millis(1);
    let started = set.house.clock.now();
    let swept = set.redrive.inherit(started, &CancellationToken::new()).await.unwrap();
    assert_eq!((swept.redriven, swept.closed), (1, 1));
    assert_eq!(set.recorder.event(0), open, "the same event under the same ids");
    assert_eq!(set.recorder.redrives(), [1]);
    assert_eq!(set.house.rows().await.len(), 1);
    // Again: published since the start, so it is this process's.
    let swept = set.redrive.inherit(started, &CancellationToken::new()).await.unwrap();
    assert_eq!((swept.redriven, swept.closed), (0, 0));
}

#[tokio::test]
async fn an_overdue_row_is_published_again_less_and_less_often() {
    let set = set().await;
    set.upload("a").await;
    let mut at = Vec::new();
    for minute in 1..=80 {
        if set.pass_minutes(1).await.redriven > 0 {
            at.push(minute);
        }
    }
    assert_eq!(at, [10, 30, 70]);
    assert_eq!(set.recorder.redrives(), [1, 2, 3]);
}

/// Found by `cargo xtask prove --seed 1029`: a row that was published while the clock was a day ahead was not driven again for a day.
#[tokio::test]
async fn a_row_published_by_a_clock_that_was_ahead_is_driven_too() {
    let set = set().await;
    set.house.clock.advance_millis(86_400_000);
    set.upload("a").await;
    set.house.clock.advance_millis(-86_400_000);
    assert_eq!(set.pass_minutes(1).await.redriven, 1);
    assert_eq!(set.recorder.redrives(), [1]);
    // From then on it is a row like any other.
    assert_eq!(set.pass_minutes(2).await.redriven, 0);
}

#[tokio::test]
async fn a_final_row_is_retired_and_closed_without_a_word() {
    let set = set().await;
    let event = set.upload("a").await;
    assert_eq!(set.pass_minutes(2).await.closed, 0);
    set.finish(&event);
    let swept = set.pass_minutes(1).await;
    assert_eq!((swept.redriven, swept.closed), (0, 1));
    assert!(set.house.rows().await.is_empty());
    let place = crate::testing::at("inbox", "a");
    assert!(
        set.house.store().head(&place).await.is_err(),
        "the crash came between final state and retiring"
    );
    assert!(set.recorder.keys().is_empty());
}

#[tokio::test]
async fn commands_are_driven_likewise() {
    let set = set().await;
    for id in ["c1", "c2"] {
        let payload = json!({"id": id, "tenant": "default", "verb": "retrieve", "body": {}, "accepted_at": "2026-11-21T00:00:00.000Z"});
        set.house
            .ledger()
            .accept(LedgerKind::Command, format!("default/{id}"), payload)
            .await
            .unwrap();
    }
    let rows = set.house.ledger().unpublished(0, 10).await.unwrap();
    set.house
        .ledger()
        .mark_published(rows.iter().map(|row| (row.seq, None)).collect())
        .await
        .unwrap();
    set.finals.commands.lock().unwrap().push(CommandId::new("c2").unwrap());
    let swept = set.pass_minutes(10).await;
    assert_eq!((swept.redriven, swept.closed), (1, 1));
    let commands = set.recorder.commands.lock().unwrap();
    assert_eq!((commands[0].0.id.as_str(), commands[0].1), ("c1", 1));
}

#[tokio::test]
async fn a_broker_that_is_away_ends_the_look_and_loses_nothing() {
    let set = set().await;
    for name in ["a", "b", "c"] {
        set.upload(name).await;
    }
    set.recorder.fail(100, away);
    set.house.clock.advance_millis(1);
    let started = set.house.clock.now();
    let swept = set.redrive.inherit(started, &CancellationToken::new()).await.unwrap();
    assert!(swept.trouble.is_some());
    assert_eq!(set.house.rows().await.len(), 3);
    // A refusal is not waited for, and does not make the look endless.
    let refused = self::set().await;
    refused.upload("a").await;
    refused.recorder.fail(1, refusing);
    refused.house.clock.advance_millis(1);
    refused
        .redrive
        .inherit(refused.house.clock.now(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(refused.house.rows().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_published_while_final_states_are_unknown() {
    let set = set().await;
    set.upload("a").await;
    *set.finals.fails.lock().unwrap() = true;
    set.house.clock.advance_millis(11 * 60_000);
    assert!(matches!(set.redrive.sweep().await, Err(IngestError::Finals(_))));
    assert!(set.recorder.keys().is_empty());
}

#[tokio::test]
async fn it_runs_and_stops() {
    let set = set().await;
    set.upload("a").await;
    set.house.clock.advance_millis(1);
    let stop = CancellationToken::new();
    let Redrive {
        ledger,
        publisher,
        normaliser,
        finals,
        finaliser,
        clock,
        settings,
    } = set.redrive;
    let task = tokio::spawn(run_redrive(
        ledger,
        publisher,
        normaliser,
        finals,
        finaliser,
        clock,
        settings,
        stop.clone(),
    ));
    crate::testing::eventually("the left-over row is published", || async {
        set.recorder.keys().len() == 1
    })
    .await;
    stop.cancel();
    task.await.unwrap().unwrap();
}
