//! The joiner on a real stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cofferdam_nats::Bus;
use cofferdam_nats::worker::WorkerError;
use cofferdam_schemas::{ObjectRef, Outcome};
use cofferdam_seams::SystemClock;
use cofferdam_sinks::conformance::fixture::{command_result, done, object, result, tenant};
use cofferdam_sinks::run_join;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{provisioned, until};

struct Joiner {
    stop: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Joiner {
    fn start(bus: &Bus) -> Self {
        let stop = CancellationToken::new();
        Self {
            task: tokio::spawn(run_join(bus.clone(), Arc::new(SystemClock), stop.clone())),
            stop,
        }
    }
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
    /// As kill -9 would: nothing is finished, nothing is given back.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn docs(count: i64) -> Vec<ObjectRef> {
    let tenant = tenant();
    (0..count)
        .map(|n| object(&tenant, "inbox", &format!("k{n}"), n))
        .collect()
}

async fn publish(bus: &Bus, doc: &ObjectRef, processor: &str, outcome: Outcome) {
    bus.publish_result(&result(doc, processor, outcome), 0).await.unwrap();
}

#[tokio::test]
async fn complete_objects_cost_one_message_each() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let joiner = Joiner::start(&bus);
    let docs = docs(200);
    for doc in &docs {
        publish(&bus, doc, "encrypt", Outcome::Done).await;
        publish(&bus, doc, "validate", Outcome::Done).await;
    }
    // The results of commands pass by.
    let command = command_result(&docs[0].tenant, "c1", &docs[0]);
    bus.publish_command_result(&command, docs[0].partition(), 0)
        .await
        .unwrap();
    until("all are acknowledged", async || server.open("RES", "join").await == 0).await;
    let mut found = server.done().await;
    let mut expected: Vec<_> = docs.iter().map(done).collect();
    found.sort_by_key(|done| done.object.id);
    expected.sort_by_key(|done| done.object.id);
    assert_eq!(found, expected);
    assert_eq!(server.stored_in_join().await, 200, "no state was written");
    joiner.stop().await;
}

#[tokio::test]
async fn a_slow_object_is_spilled_and_a_late_result_completes_it() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let joiner = Joiner::start(&bus);
    let docs = docs(3);
    publish(&bus, &docs[0], "encrypt", Outcome::Done).await;
    publish(&bus, &docs[1], "validate", Outcome::Dead).await;
    publish(&bus, &docs[1], "encrypt", Outcome::Done).await;
    until("spilled", async || {
        server.join("join.v1.state.>").await.len() == 2 && server.open("RES", "join").await == 0
    })
    .await;
    assert!(server.done().await.is_empty());
    // This process remembers what it spilled: the missing part is joined without waiting another two seconds.
    let began = Instant::now();
    publish(&bus, &docs[0], "validate", Outcome::Done).await;
    until("done", async || server.done().await.len() == 1).await;
    assert!(began.elapsed() < Duration::from_millis(1800), "{:?}", began.elapsed());
    assert_eq!(server.done().await, [done(&docs[0])]);
    // A new process does not, and needs its two seconds. The dead one is replayed.
    joiner.stop().await;
    let joiner = Joiner::start(&bus);
    publish(&bus, &docs[1], "validate", Outcome::Done).await;
    until("done", async || server.done().await.len() == 2).await;
    assert_eq!(server.done().await[1], done(&docs[1]));
    // A late duplicate (published again) changes nothing and leaves no state.
    let stored = server.stored_in_join().await;
    bus.publish_result(&result(&docs[0], "encrypt", Outcome::Done), 1)
        .await
        .unwrap();
    until("acknowledged", async || server.open("RES", "join").await == 0).await;
    assert_eq!(server.stored_in_join().await, stored);
    joiner.stop().await;
}

#[tokio::test]
async fn two_joiners_with_half_each_meet() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let other = server.bus("test").await;
    let joiners = [Joiner::start(&bus), Joiner::start(&other)];
    let docs = docs(100);
    for processor in ["validate", "encrypt"] {
        for doc in &docs {
            publish(&bus, doc, processor, Outcome::Done).await;
        }
    }
    until("all are acknowledged", async || server.open("RES", "join").await == 0).await;
    let mut found = server.done().await;
    found.sort_by_key(|done| done.object.id);
    let mut expected: Vec<_> = docs.iter().map(done).collect();
    expected.sort_by_key(|done| done.object.id);
    assert_eq!(found, expected);
    for joiner in joiners {
        joiner.stop().await;
    }
}

#[tokio::test]
async fn kills_of_joiner_and_server_lose_and_repeat_nothing() {
    let Some((mut server, bus)) = provisioned().await else {
        return;
    };
    let docs = docs(150);
    let mut joiner = Joiner::start(&bus);
    for (n, doc) in docs.iter().enumerate() {
        publish(&bus, doc, "encrypt", Outcome::Done).await;
        if n % 3 != 0 {
            publish(&bus, doc, "validate", Outcome::Done).await;
        }
        if n == 60 {
            server.kill_and_restart();
        }
        if n == 100 {
            joiner.kill().await;
            joiner = Joiner::start(&bus);
        }
    }
    for doc in docs.iter().step_by(3) {
        publish(&bus, doc, "validate", Outcome::Done).await;
    }
    until("all are done", async || server.done().await.len() == docs.len()).await;
    until("all are acknowledged", async || server.open("RES", "join").await == 0).await;
    let mut found = server.done().await;
    found.sort_by_key(|done| done.object.id);
    let mut expected: Vec<_> = docs.iter().map(done).collect();
    expected.sort_by_key(|done| done.object.id);
    assert_eq!(found, expected);
    joiner.stop().await;
}
