use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use cofferdam_nats::worker::{Acks, Delivery};
use cofferdam_schemas::cloudevent::Attributes;
use cofferdam_schemas::{
    CommandResult, Done, ObjectEvent, ObjectId, ObjectState, Outcome, ResultEvent, TenantName, Verb,
};

use super::*;
use crate::conformance::fixture::{self, at, done, event, object, result, tenant};
use crate::error::StoreError;
use crate::hooks::HookError;
use crate::sqlite::Sqlite;
use crate::store::{Engine, Mutation, Record, Select, Stamped, TableStore};

/// An engine whose next writes fail. Reads are the real ones.
struct Flaky {
    inner: Sqlite,
    failures: Arc<AtomicU32>,
}

#[async_trait]
impl Engine for Flaky {
    async fn write(&self, mutations: Vec<Mutation>) -> Result<(), StoreError> {
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
        {
            return Err(StoreError::unavailable("told to fail"));
        }
        self.inner.write(mutations).await
    }
    async fn read(&self, selects: Vec<Select>) -> Result<Vec<Vec<Record>>, StoreError> {
        self.inner.read(selects).await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        self.inner.ready().await
    }
    async fn maintain(&self) -> Result<(), StoreError> {
        self.inner.maintain().await
    }
}

/// Remembers its calls, looks whether the rows were durable, and fails for chosen objects.
#[derive(Default)]
struct Hook {
    store: Option<Arc<dyn Store>>,
    refuses: Mutex<BTreeSet<ObjectId>>,
    finals: Mutex<Vec<Vec<ObjectId>>>,
    dead: Mutex<Vec<ObjectId>>,
    links: Mutex<Vec<bool>>,
}

#[async_trait]
impl FinalHook for Hook {
    async fn on_final(&self, done: &[Done]) -> Result<(), HookError> {
        for one in done {
            if let Some(store) = &self.store {
                let row = store
                    .object(&one.object.tenant, &one.object.id)
                    .await
                    .map_err(|error| HookError::new("looking", error))?;
                assert_eq!(
                    row.map(|row| row.state),
                    Some(ObjectState::Done),
                    "the row is durable before the hook runs"
                );
            }
            if self.refuses.lock().unwrap().contains(&one.object.id) {
                return Err(HookError::new("retiring", "told to fail"));
            }
        }
        self.finals
            .lock()
            .unwrap()
            .push(done.iter().map(|one| one.object.id).collect());
        Ok(())
    }
    async fn on_commands(&self, results: &[CommandResult]) -> Result<(), HookError> {
        let links = results.iter().map(|result| {
            result
                .result
                .as_ref()
                .is_some_and(|given| given.values.contains_key("url"))
        });
        self.links.lock().unwrap().extend(links);
        Ok(())
    }
    async fn on_dead(&self, results: &[ResultEvent]) -> Result<(), HookError> {
        self.dead
            .lock()
            .unwrap()
            .extend(results.iter().map(|result| result.object.id));
        Ok(())
    }
}

struct Setup {
    store: Arc<dyn Store>,
    failures: Arc<AtomicU32>,
    writer: Writer,
    hook: Arc<Hook>,
    tenant: TenantName,
    stop: CancellationToken,
    acks: Acks,
    _keep: tempfile::TempDir,
}

async fn setup() -> Setup {
    let keep = tempfile::tempdir().unwrap();
    let inner = Sqlite::open(&keep.path().join("c.db"), Arc::new(SystemClock))
        .await
        .unwrap();
    let (failures, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
    let store: Arc<dyn Store> = Arc::new(TableStore::new(Flaky {
        inner,
        failures: failures.clone(),
    }));
    let hook = Arc::new(Hook {
        store: Some(store.clone()),
        ..Hook::default()
    });
    let writer = Writer::new(store.clone(), "sqlite", stop.clone());
    Setup {
        store,
        failures,
        writer,
        hook,
        tenant: tenant(),
        stop,
        acks: Acks::detached(),
        _keep: keep,
    }
}

impl Setup {
    fn hooks(&self) -> Vec<Arc<dyn FinalHook>> {
        vec![self.hook.clone()]
    }
    fn done_sink(&self) -> DoneSink {
        DoneSink::new(self.writer.clone(), self.hooks(), Arc::new(SystemClock))
    }
    /// The results that a final state sums up have their rows.
    async fn results(&self, doc: &cofferdam_schemas::ObjectRef) {
        let rows = ["encrypt", "validate"].map(|name| Stamped::new(result(doc, name, Outcome::Done), 1));
        self.store.put_results(&rows).await.unwrap();
    }
    fn doc(&self, n: i64) -> cofferdam_schemas::ObjectRef {
        object(&self.tenant, "inbox", &format!("k{n}"), n)
    }
}

fn message(subject: String, event_type: &str, body: impl serde::Serialize, sequence: u64) -> Delivery {
    let attributes = Attributes {
        id: sequence.to_string(),
        source: "/test".into(),
        event_type: event_type.into(),
        subject: "x".into(),
        time: at(0),
    };
    Delivery::detached(
        subject,
        Some(attributes),
        serde_json::to_vec(&body).unwrap().into(),
        sequence,
        at(sequence as i64),
    )
}

fn event_message(event: &ObjectEvent, sequence: u64) -> Delivery {
    message(
        format!("evt.v1.hi.{}.{}.00", event.object.tenant, event.verb),
        event.verb.event_type(),
        event,
        sequence,
    )
}
fn result_message(result: &ResultEvent, sequence: u64) -> Delivery {
    let subject = format!(
        "res.v1.{}.{}.{}.00",
        result.object.tenant, result.processor, result.outcome
    );
    message(subject, ResultEvent::TYPE, result, sequence)
}
fn done_message(done: &Done, sequence: u64) -> Delivery {
    message(
        format!("join.v1.done.{}.{}", done.object.tenant, done.object.id),
        Done::TYPE,
        done,
        sequence,
    )
}

#[tokio::test]
async fn a_document_goes_into_its_rows() {
    let setup = setup().await;
    let doc = setup.doc(0);
    EventSink::new(setup.writer.clone())
        .handle(vec![event_message(&event(&doc), 1)], &setup.acks)
        .await
        .unwrap();
    let results = ["encrypt", "validate"]
        .iter()
        .zip(2..)
        .map(|(name, n)| result_message(&result(&doc, name, Outcome::Done), n))
        .collect();
    ResultSink::new(setup.writer.clone(), setup.hooks())
        .handle(results, &setup.acks)
        .await
        .unwrap();
    assert_eq!(
        setup.store.object(&setup.tenant, &doc.id).await.unwrap().unwrap().state,
        ObjectState::Open
    );
    setup
        .done_sink()
        .handle(vec![done_message(&done(&doc), 4)], &setup.acks)
        .await
        .unwrap();
    let row = setup.store.object(&setup.tenant, &doc.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.finished_at), (ObjectState::Done, Some(at(4))));
    assert_eq!(setup.acks.acked(), [1, 2, 3, 4]);
    assert_eq!(*setup.hook.finals.lock().unwrap(), [vec![doc.id]]);
}

#[tokio::test]
async fn a_message_that_cannot_be_used_harms_no_other() {
    let setup = setup().await;
    let doc = setup.doc(0);
    let tenant = &setup.tenant;
    let good = event_message(&event(&doc), 1);
    let foreign = message("evt.v1.hi.other.put.00".into(), Verb::Put.event_type(), event(&doc), 2);
    let broken = message(
        format!("evt.v1.hi.{tenant}.put.00"),
        Verb::Put.event_type(),
        "no event",
        3,
    );
    let unknown = message(
        format!("evt.v1.hi.{tenant}.put.00"),
        "cofferdam.object.put.v9",
        event(&doc),
        4,
    );
    let bare = Delivery::detached(
        format!("evt.v1.hi.{tenant}.put.00"),
        None,
        serde_json::to_vec(&event(&doc)).unwrap().into(),
        5,
        at(5),
    );
    let also_good = event_message(&event(&setup.doc(6)), 6);
    let batch = vec![good, foreign, broken, unknown, bare, also_good];
    EventSink::new(setup.writer.clone())
        .handle(batch, &setup.acks)
        .await
        .unwrap();
    // The four are dead-lettered, which a detached `Acks` does not show as acknowledged.
    assert_eq!(setup.acks.acked(), [1, 6]);
    assert_eq!(setup.store.events_of(tenant, &doc.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_that_is_down_is_waited_for() {
    let setup = setup().await;
    let doc = setup.doc(0);
    setup.results(&doc).await;
    setup.failures.store(2, Ordering::SeqCst);
    setup
        .done_sink()
        .handle(vec![done_message(&done(&doc), 1)], &setup.acks)
        .await
        .unwrap();
    assert_eq!(setup.failures.load(Ordering::SeqCst), 0);
    assert_eq!(setup.acks.acked(), [1]);
    assert!(setup.store.is_final(&setup.tenant, &doc.id).await.unwrap());
}

/// A power cut took a result from the broker whose object had its final row already: the row of the result was never written.
#[tokio::test]
async fn a_final_state_waits_for_the_rows_it_sums_up() {
    let setup = setup().await;
    let doc = setup.doc(0);
    let message = || vec![done_message(&done(&doc), 1)];
    setup.done_sink().handle(message(), &setup.acks).await.unwrap();
    assert!(setup.acks.acked().is_empty());
    assert!(!setup.store.is_final(&setup.tenant, &doc.id).await.unwrap());
    let late = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        setup.results(&doc).await;
    };
    let mut sink = setup.done_sink();
    let (handled, ()) = tokio::join!(sink.handle(message(), &setup.acks), late);
    handled.unwrap();
    assert_eq!(setup.acks.acked(), [1]);
    assert!(setup.store.is_final(&setup.tenant, &doc.id).await.unwrap());
}

#[tokio::test]
async fn stopping_leaves_what_is_not_written() {
    let setup = setup().await;
    setup.failures.store(u32::MAX, Ordering::SeqCst);
    setup.stop.cancel();
    let doc = setup.doc(0);
    let mut results = ResultSink::new(setup.writer.clone(), setup.hooks());
    results
        .handle(
            vec![result_message(&result(&doc, "validate", Outcome::Dead), 1)],
            &setup.acks,
        )
        .await
        .unwrap();
    setup
        .done_sink()
        .handle(vec![done_message(&done(&doc), 2)], &setup.acks)
        .await
        .unwrap();
    assert!(setup.acks.acked().is_empty());
    assert!(setup.hook.finals.lock().unwrap().is_empty() && setup.hook.dead.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_hook_that_fails_for_one_holds_up_no_other() {
    let setup = setup().await;
    let docs: Vec<_> = (0..4).map(|n| setup.doc(n)).collect();
    for doc in &docs {
        setup.results(doc).await;
    }
    setup.hook.refuses.lock().unwrap().insert(docs[2].id);
    let batch = || {
        docs.iter()
            .zip(1..)
            .map(|(doc, n)| done_message(&done(doc), n))
            .collect::<Vec<_>>()
    };
    setup.done_sink().handle(batch(), &setup.acks).await.unwrap();
    assert_eq!(setup.acks.acked(), [1, 2, 4]);
    assert_eq!(
        *setup.hook.finals.lock().unwrap(),
        [vec![docs[0].id], vec![docs[1].id], vec![docs[3].id]]
    );
    setup.hook.refuses.lock().unwrap().clear();
    setup
        .done_sink()
        .handle(vec![batch().remove(2)], &setup.acks)
        .await
        .unwrap();
    assert_eq!(setup.acks.acked(), [1, 2, 4, 3]);
}

#[tokio::test]
async fn dead_results_and_commands_reach_their_hooks() {
    let setup = setup().await;
    let doc = setup.doc(0);
    let command = fixture::command_result(&setup.tenant, "c1", &doc);
    let subject = format!("res.v1.{}.retrieve.done.00", setup.tenant);
    let batch = vec![
        result_message(&result(&doc, "encrypt", Outcome::Done), 1),
        message(subject, CommandResult::TYPE, &command, 2),
        result_message(&result(&doc, "validate", Outcome::Dead), 3),
    ];
    ResultSink::new(setup.writer.clone(), setup.hooks())
        .handle(batch, &setup.acks)
        .await
        .unwrap();
    assert_eq!(setup.acks.acked(), [1, 3, 2]);
    assert_eq!(*setup.hook.dead.lock().unwrap(), [doc.id]);
    assert_eq!(
        *setup.hook.links.lock().unwrap(),
        [true],
        "the hook sees the result as it was published"
    );
}
