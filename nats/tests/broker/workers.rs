//! The shell: success, failure, panics, lost servers, stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cofferdam_nats::worker::{self, Delivery, Failure, Single, WorkerError, WorkerSettings, run_command, run_single};
use cofferdam_processor::{CommandHandler, CommandJob, Conclusion, ProcessError};
use cofferdam_schemas::{
    Command, CommandId, CommandOutcome, CommandResult, ErrorCode, Outcome, RequestId, ResultEvent, TenantName,
    Timestamp, Verdict, WireError,
};
use cofferdam_seams::{Clock, SystemClock, read_all};
use tokio_util::sync::CancellationToken;

use crate::harness::{Documents, Running, Scripted, name, provisioned, quick, until};

#[allow(clippy::result_large_err)] // The shape of a processor's answer.
fn pass() -> Result<Conclusion, ProcessError> {
    Ok(Conclusion {
        verdict: Some(Verdict::Pass),
        ..Conclusion::default()
    })
}

fn passing() -> Arc<Scripted> {
    Scripted::new(|_, _| async { pass() })
}

fn transient() -> ProcessError {
    ProcessError::Dependency {
        what: "key service",
        source: "connection refused".into(),
    }
}

#[tokio::test]
async fn a_document_becomes_a_result_and_its_event_is_acknowledged() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let event = documents.event("hello").await;
    bus.publish_event(&event, 3).await.unwrap();
    let processor = Scripted::new(|_, document| async move {
        let body = document.read().await.map_err(ProcessError::Document)?;
        let bytes = read_all(body.stream, 100).await.map_err(ProcessError::Document)?;
        Ok(Conclusion {
            details: [("length".to_owned(), bytes.len().into())].into(),
            ..Conclusion::default()
        })
    });
    let running = Running::processor(&bus, processor.clone(), &documents);
    let stored = server.eventually("RES", "res.v1.acme.work.done.*", 1).await;
    let result: ResultEvent = stored[0].json();
    assert_eq!(
        (result.outcome, &result.object, &result.plan),
        (Outcome::Done, &event.object, &event.plan)
    );
    assert_eq!(result.details["length"], 5);
    assert_eq!(
        stored[0].header("Nats-Msg-Id"),
        Some(format!("res:{}:r3", result.id).as_str()),
        "the redrive travels along"
    );
    assert_eq!(stored[0].header("ce-type"), Some(ResultEvent::TYPE));
    until("the event is acknowledged", async || {
        server.consumer("EVT", "work-hi").await.num_ack_pending == 0
    })
    .await;
    running.stop().await;
    assert_eq!(processor.calls(), 1);
}

#[tokio::test]
async fn a_failure_that_passes_is_retried_with_a_delay() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    let started = Instant::now();
    let processor = Scripted::new(|job, _| async move { if job.attempt < 3 { Err(transient()) } else { pass() } });
    let running = Running::processor(&bus, processor.clone(), &documents);
    server.eventually("RES", "res.v1.acme.work.done.*", 1).await;
    assert!(
        started.elapsed() >= Duration::from_millis(160),
        "two delays of 100 ms, less 20 %"
    );
    running.stop().await;
    assert_eq!(processor.calls(), 3);
    assert_eq!(server.stored("DLQ", "dlq.v1.>").await.len(), 0);
}

#[tokio::test]
async fn a_document_that_is_gone_is_superseded() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let event = documents.event("x").await;
    cofferdam_seams::ObjectStore::delete(&documents.store, &(&event.object).into())
        .await
        .unwrap();
    bus.publish_event(&event, 0).await.unwrap();
    let processor = Scripted::new(|_, document| async move {
        document.head().await.map_err(ProcessError::Document)?;
        pass()
    });
    let running = Running::processor(&bus, processor, &documents);
    let stored = server.eventually("RES", "res.v1.acme.work.superseded.*", 1).await;
    assert_eq!(stored[0].json::<ResultEvent>().outcome, Outcome::Superseded);
    running.stop().await;
}

#[tokio::test]
async fn long_work_keeps_its_message_and_so_do_those_that_wait_behind_it() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    for _ in 0..4 {
        bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    }
    // Two at a time for 2.5 s each, with an ack wait of 1 s: the third and fourth wait longer than that.
    let processor = Scripted::new(|job, _| async move {
        assert_eq!(job.attempt, 1);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        pass()
    });
    let running = Running::processor(&bus, processor.clone(), &documents);
    server.eventually("RES", "res.v1.acme.work.done.*", 4).await;
    running.stop().await;
    assert_eq!(processor.calls(), 4);
    assert_eq!(server.consumer("EVT", "work-hi").await.num_redelivered, 0);
}

#[tokio::test]
async fn a_fault_of_ours_stops_the_worker_and_leaves_the_message() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    let faulty = Scripted::new(|_, _| async {
        Err(ProcessError::Internal {
            reason: "key ring is empty".into(),
        })
    });
    let error = Running::processor(&bus, faulty, &documents).end().await.unwrap_err();
    let WorkerError::Halted {
        consumer,
        sequence,
        reason,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (consumer.as_str(), sequence, reason.as_str()),
        ("work-hi", 1, "internal fault: key ring is empty")
    );
    // Mended, it goes on with the same message.
    let running = Running::processor(&bus, passing(), &documents);
    server.eventually("RES", "res.v1.acme.work.done.*", 1).await;
    running.stop().await;
    assert_eq!(server.stored("DLQ", "dlq.v1.>").await.len(), 0);
}

#[tokio::test]
async fn a_worker_without_its_consumer_says_so() {
    let Some((_server, bus)) = provisioned().await else {
        return;
    };
    struct Nothing;
    #[async_trait]
    impl Single for Nothing {
        async fn handle(&self, _: &Delivery) -> Result<(), Failure> {
            Ok(())
        }
    }
    let error = run_single(bus, "EVT", "nobody", Arc::new(Nothing), WorkerSettings::default())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "worker of nobody cannot start");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "consumer EVT/nobody is not provisioned");
}

#[tokio::test]
async fn work_goes_on_after_the_server_was_killed() {
    let Some((mut server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let processor = Scripted::new(|_, _| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        pass()
    });
    let running = Running::processor(&bus, processor, &documents);
    let mut sent = std::collections::BTreeSet::new();
    for round in 0..3 {
        for _ in 0..20 {
            let event = documents.event("x").await;
            bus.publish_event(&event, 0).await.unwrap();
            sent.insert(event.id.to_string());
        }
        if round < 2 {
            server.kill();
            tokio::time::sleep(Duration::from_millis(300)).await;
            server.restart().await;
        }
    }
    let stored = server.eventually("RES", "res.v1.acme.work.done.*", 60).await;
    let done: std::collections::BTreeSet<_> = stored
        .iter()
        .map(|s| s.json::<ResultEvent>().event.to_string())
        .collect();
    assert_eq!(done, sent);
    assert_eq!(stored.len(), 60, "what was done twice has one result");
    until("everything is acknowledged", async || {
        let info = server.consumer("EVT", "work-hi").await;
        info.num_ack_pending == 0 && info.num_pending == 0
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn stopping_finishes_what_runs_and_gives_back_what_waits() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    for _ in 0..6 {
        bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    }
    let started = Arc::new(AtomicU32::new(0));
    let slow = Scripted::new({
        let started = started.clone();
        move |_, _| {
            started.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_millis(600)).await;
                pass()
            }
        }
    });
    let running = Running::processor(&bus, slow.clone(), &documents);
    until("two are being worked on", async || started.load(Ordering::SeqCst) == 2).await;
    running.stop().await;
    assert_eq!(slow.calls(), 2, "nothing new was begun");
    assert_eq!(server.stored("RES", "res.v1.>").await.len(), 2, "what ran was finished");
    // The four others are there at once for somebody else, not only when the ack wait is over.
    let rest = passing();
    let next = Running::processor(&bus, rest.clone(), &documents);
    server.eventually("RES", "res.v1.>", 6).await;
    next.stop().await;
    assert_eq!(rest.calls(), 4);
}

#[tokio::test]
async fn work_that_does_not_end_in_the_grace_period_is_cancelled_and_given_back() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    bus.publish_event(&documents.event("polite").await, 0).await.unwrap();
    bus.publish_event(&documents.event("stubborn").await, 0).await.unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let processor = Scripted::new({
        let told = told.clone();
        move |job, _| {
            let told = told.clone();
            async move {
                if job.object.size == "polite".len() as u64 {
                    job.cancelled.cancelled().await;
                    told.store(true, Ordering::SeqCst);
                    return Err(ProcessError::Cancelled);
                }
                std::future::pending().await
            }
        }
    });
    let running = {
        let (bus, processor, stores) = (bus.clone(), processor.clone(), documents.stores());
        Running::spawn(|stop| {
            let settings = WorkerSettings {
                grace: Duration::from_millis(300),
                ..quick(&stop)
            };
            worker::run_processor(
                bus,
                processor,
                stores,
                Arc::new(SystemClock),
                cofferdam_schemas::Lane::Hi,
                settings,
            )
        })
    };
    until("both are being worked on", async || processor.calls() == 2).await;
    let stopping = Instant::now();
    running.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(3), "{:?}", stopping.elapsed());
    assert!(told.load(Ordering::SeqCst), "the job was told");
    assert_eq!(
        server.stored("DLQ", "dlq.v1.>").await.len(),
        0,
        "stopping is not the document's fault"
    );
    let next = Running::processor(&bus, passing(), &documents);
    server.eventually("RES", "res.v1.acme.work.done.*", 2).await;
    next.stop().await;
}

struct Fetch;

#[async_trait]
impl CommandHandler for Fetch {
    fn verb(&self) -> &'static str {
        "fetch"
    }
    fn check(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
    async fn handle(&self, job: &CommandJob) -> Result<Result<CommandOutcome, WireError>, ProcessError> {
        match job.command.body["want"].as_str() {
            Some("url") => Ok(Ok(CommandOutcome {
                object: None,
                values: [("url".to_owned(), "x:".into())].into(),
            })),
            Some("refusal") => Ok(Err(WireError {
                code: ErrorCode::Quarantined,
                message: "it is quarantined".into(),
                details: Default::default(),
                time: SystemClock.now(),
                request_id: RequestId::new(job.command.id.as_str()).unwrap(),
            })),
            _ => Err(ProcessError::reject(ErrorCode::CannotOpen, "seal is broken")),
        }
    }
}

#[tokio::test]
async fn commands_are_answered_refused_or_given_up() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    for want in ["url", "refusal", "nonsense"] {
        let command = Command {
            id: CommandId::new(want).unwrap(),
            tenant: TenantName::new("acme").unwrap(),
            verb: name("fetch"),
            body: serde_json::json!({ "want": want }),
            accepted_at: Timestamp::from_unix_millis(1_700_000_000_000),
        };
        bus.publish_command(&command, 0).await.unwrap();
    }
    let running = {
        let bus = bus.clone();
        Running::spawn(|stop| run_command(bus, Arc::new(Fetch), Arc::new(SystemClock), quick(&stop)))
    };
    let stored = server.eventually("RES", "res.v1.acme.fetch.>", 3).await;
    let results: Vec<CommandResult> = stored.iter().map(|s| s.json()).collect();
    let of = |id: &str| results.iter().find(|r| r.id.as_str() == id).unwrap();
    assert_eq!(of("url").result.as_ref().unwrap().values["url"], "x:");
    assert_eq!(of("refusal").error.as_ref().unwrap().code, ErrorCode::Quarantined);
    let given_up = of("nonsense").error.as_ref().unwrap();
    assert_eq!(given_up.code, ErrorCode::CannotOpen);
    assert!(
        given_up.message.contains("seal is broken") && given_up.message.contains("dead letter"),
        "{}",
        given_up.message
    );
    assert!(stored.iter().all(|s| s.header("ce-type") == Some(CommandResult::TYPE)));
    // Only what could not be carried out waits for a person.
    let letters = server
        .eventually("DLQ", "dlq.v1.acme.CMD.cmd-fetch.cannot-open", 1)
        .await;
    assert_eq!(letters.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn two_workers_share_a_consumer() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    for _ in 0..200 {
        bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    }
    let slow = || {
        Scripted::new(|_, _| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            pass()
        })
    };
    let (one, two) = (slow(), slow());
    let running = [
        Running::processor(&bus, one.clone(), &documents),
        Running::processor(&bus, two.clone(), &documents),
    ];
    server.eventually("RES", "res.v1.>", 200).await;
    for running in running {
        running.stop().await;
    }
    assert_eq!(one.calls() + two.calls(), 200, "nothing was done twice");
    assert!(
        one.calls() > 20 && two.calls() > 20,
        "{} and {}",
        one.calls(),
        two.calls()
    );
}

#[tokio::test]
async fn an_idle_worker_takes_the_next_message_at_once() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let running = Running::processor(&bus, passing(), &documents);
    // Longer than two heartbeats: the idle pull must not be taken for a lost one.
    tokio::time::sleep(Duration::from_secs(13)).await;
    let started = Instant::now();
    bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    server.eventually("RES", "res.v1.>", 1).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let _: CancellationToken = running.stop.clone();
    running.stop().await;
}
