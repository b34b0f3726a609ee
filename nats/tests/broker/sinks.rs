//! Batches.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cofferdam_nats::worker::{Acks, Batch, BatchSettings, Delivery, Failure, Ticket, WorkerError, run_batch};
use cofferdam_schemas::ErrorCode;

use crate::harness::{Running, event, provisioned, until};

#[derive(Default)]
struct Seen {
    batches: Vec<Vec<u64>>,
    deliveries: Vec<u64>,
    stopped: bool,
}

type Shared = Arc<Mutex<Seen>>;

/// Notes what it is given and then does what the test says.
struct Noting<F> {
    seen: Shared,
    act: F,
}

type Act<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

#[async_trait]
impl<F> Batch for Noting<F>
where
    F: for<'a> FnMut(Vec<Delivery>, &'a Acks) -> Act<'a> + Send + 'static,
{
    async fn handle(&mut self, batch: Vec<Delivery>, acks: &Acks) -> Result<(), Failure> {
        {
            let mut seen = self.seen.lock().unwrap();
            seen.batches.push(batch.iter().map(|d| d.stream_seq).collect());
            seen.deliveries.extend(batch.iter().map(|d| d.delivered));
        }
        (self.act)(batch, acks).await
    }
    async fn stop(&mut self, _: &Acks) -> Result<(), Failure> {
        self.seen.lock().unwrap().stopped = true;
        Ok(())
    }
}

fn run(
    bus: &cofferdam_nats::Bus,
    seen: &Shared,
    act: impl for<'a> FnMut(Vec<Delivery>, &'a Acks) -> Act<'a> + Send + 'static,
) -> Running {
    let handler = Box::new(Noting {
        seen: seen.clone(),
        act,
    });
    let bus = bus.clone();
    Running::spawn(|stop| async move {
        let settings = BatchSettings {
            max: 64,
            linger: Duration::from_millis(20),
            stop,
            delays: vec![Duration::from_millis(100)],
            ..BatchSettings::default()
        };
        run_batch(bus, "EVT", "sink-lite-events", handler, settings).await
    })
}

async fn publish(bus: &cofferdam_nats::Bus, numbers: std::ops::Range<u32>) {
    for number in numbers {
        bus.publish_event(&event(number), 0).await.unwrap();
    }
}

async fn settled(server: &crate::harness::Server) {
    let published = server.stored("EVT", "evt.v1.>").await.len() as u64;
    until("everything is acknowledged", async || {
        let info = server.consumer("EVT", "sink-lite-events").await;
        // The count of what is pending trails behind the stream for a moment.
        info.delivered.stream_sequence >= published && info.num_ack_pending == 0 && info.num_pending == 0
    })
    .await;
}

/// A server where what a sink does not settle comes again after one second in place of thirty.
async fn impatient() -> Option<(crate::harness::Server, cofferdam_nats::Bus)> {
    let settings = cofferdam_nats::TopologySettings {
        sinks: Vec::new(),
        ..crate::harness::settings()
    };
    let (server, bus) = crate::harness::provisioned_with(&settings).await?;
    let mut topology = cofferdam_nats::Topology::new(&crate::harness::settings());
    for consumer in &mut topology.consumers {
        consumer.config.ack_wait = Duration::from_secs(1);
    }
    cofferdam_nats::provision(&bus, &topology).await.unwrap();
    Some((server, bus))
}

#[tokio::test]
async fn batches_fill_and_are_acknowledged() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    publish(&bus, 0..300).await;
    let seen = Shared::default();
    let running = run(&bus, &seen, |batch, acks| {
        Box::pin(async move {
            acks.ack_all(&batch).await;
            Ok(())
        })
    });
    settled(&server).await;
    running.stop().await;
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen.batches.concat(),
        (1..=300).collect::<Vec<_>>(),
        "in order, each once"
    );
    assert!(
        seen.batches.iter().all(|b| b.len() <= 64) && seen.batches.len() < 30,
        "{} batches",
        seen.batches.len()
    );
    assert!(seen.stopped);
}

#[tokio::test]
async fn what_is_kept_is_kept_alive_and_can_be_acknowledged_later() {
    let Some((server, bus)) = impatient().await else {
        return;
    };
    publish(&bus, 0..10).await;

    struct Keeping {
        seen: Shared,
        kept: Vec<Ticket>,
        since: Option<Instant>,
    }
    #[async_trait]
    impl Batch for Keeping {
        async fn handle(&mut self, batch: Vec<Delivery>, _: &Acks) -> Result<(), Failure> {
            self.seen
                .lock()
                .unwrap()
                .deliveries
                .extend(batch.iter().map(|d| d.delivered));
            self.kept.extend(batch.iter().map(Delivery::ticket));
            self.since.get_or_insert_with(Instant::now);
            Ok(())
        }
        async fn tick(&mut self, acks: &Acks) -> Result<(), Failure> {
            if self.since.is_some_and(|since| since.elapsed() > Duration::from_secs(4)) {
                assert_eq!(acks.held(), self.kept.len());
                acks.ack_all(&self.kept).await;
                self.kept.clear();
            }
            Ok(())
        }
    }
    let seen = Shared::default();
    let handler = Box::new(Keeping {
        seen: seen.clone(),
        kept: Vec::new(),
        since: None,
    });
    let running = Running::spawn(|stop| {
        let settings = BatchSettings {
            stop,
            ..BatchSettings::default()
        };
        let bus = bus.clone();
        async move { run_batch(bus, "EVT", "sink-lite-events", handler, settings).await }
    });
    settled(&server).await;
    running.stop().await;
    assert_eq!(
        seen.lock().unwrap().deliveries,
        [1; 10],
        "four times the ack wait, and nothing came twice"
    );
}

#[tokio::test]
async fn what_is_dropped_comes_again_and_a_failing_store_is_waited_for() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    publish(&bus, 0..10).await;
    let seen = Shared::default();
    let mut calls = 0;
    let running = run(&bus, &seen, move |batch, acks| {
        calls += 1;
        Box::pin(async move {
            if calls <= 2 {
                return Err(Failure::Retry {
                    reason: "database is down".into(),
                });
            }
            // Half of a batch at a time; the rest is simply forgotten.
            acks.ack_all(&batch[..batch.len().div_ceil(2)]).await;
            Ok(())
        })
    });
    settled(&server).await;
    running.stop().await;
    assert_eq!(server.stored("DLQ", "dlq.v1.>").await.len(), 0);
    assert!(seen.lock().unwrap().batches.len() >= 5);
}

#[tokio::test]
async fn one_bad_message_is_isolated_and_dead_lettered() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    publish(&bus, 0..20).await;
    let seen = Shared::default();
    let running = run(&bus, &seen, |batch, acks| {
        Box::pin(async move {
            if batch.iter().any(|d| d.stream_seq == 7) {
                return Err(Failure::Reject {
                    class: "schema".into(),
                    code: ErrorCode::InvalidRequest,
                    reason: "not a row".into(),
                });
            }
            if batch.iter().any(|d| d.stream_seq == 9) {
                panic!("handler's fault");
            }
            acks.ack_all(&batch).await;
            Ok(())
        })
    });
    settled(&server).await;
    running.stop().await;
    let letters = server.stored("DLQ", "dlq.v1.>").await;
    let mut seqs: Vec<_> = letters
        .iter()
        .map(|l| (l.header("x-dlq-seq").unwrap(), l.subject.rsplit('.').next().unwrap()))
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [("7", "schema"), ("9", "panic")]);
}

#[tokio::test]
async fn a_halt_stops_the_batch_worker_and_leaves_the_messages() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    publish(&bus, 0..3).await;
    let seen = Shared::default();
    let running = run(&bus, &seen, |_, _| {
        Box::pin(async {
            Err(Failure::Halt {
                reason: "database is of a newer version".into(),
            })
        })
    });
    let error = running.end().await.unwrap_err();
    assert!(
        matches!(&error, WorkerError::Halted { reason, .. } if reason.contains("newer version")),
        "{error}"
    );
    let running = run(&bus, &seen, |batch, acks| {
        Box::pin(async move {
            acks.ack_all(&batch).await;
            Ok(())
        })
    });
    settled(&server).await;
    running.stop().await;
}

#[tokio::test]
async fn batches_go_on_after_the_server_was_killed() {
    // A single server writes acks lazily: some that were sent before the kill are forgotten and their messages come again.
    let Some((mut server, bus)) = impatient().await else {
        return;
    };
    let seen = Shared::default();
    let running = run(&bus, &seen, |batch, acks| {
        Box::pin(async move {
            acks.ack_all(&batch).await;
            Ok(())
        })
    });
    publish(&bus, 0..50).await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.restart().await;
    publish(&bus, 50..100).await;
    // Not by the consumer's own count, which may be 0 for a moment after a restart.
    let all = || {
        seen.lock()
            .unwrap()
            .batches
            .concat()
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    until("every message was handled", async || all() == (1..=100).collect()).await;
    settled(&server).await;
    running.stop().await;
}

#[tokio::test]
async fn a_detached_register_notes_acks() {
    let acks = Acks::detached();
    let time = cofferdam_schemas::Timestamp::from_unix_millis(0);
    let delivery = Delivery::detached("res.v1.acme.work.done.00", None, Default::default(), 4, time);
    acks.ack(&delivery).await;
    acks.ack(&delivery.ticket()).await;
    assert_eq!(acks.acked(), [4, 4]);
}
