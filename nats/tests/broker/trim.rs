//! The trimmer against a real server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, consumer};
use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_nats::dlq::{self, Filter};
use cofferdam_nats::trim::{Fence, TrimSettings, Trimmed, Trimmer, run_trim};
use cofferdam_nats::worker::run_dlq_writer;
use cofferdam_nats::{
    Bus, DonePublished, Finality, FinalityError, JoinRecord, PublishError, StateWritten, Topology, TopologySettings,
};
use cofferdam_processor::ProcessError;
use cofferdam_schemas::{Done, ErrorCode, ObjectEvent, ObjectId, TenantName};
use cofferdam_seams::{Clock, SystemClock};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::bus::{done, result};
use crate::harness::{Documents, Running, Scripted, Server, event, provisioned_with, settings, until};

/// Streams of 128 KiB; floors count at the next look.
fn small() -> TopologySettings {
    TopologySettings {
        max_bytes: ["RAW", "EVT", "CMD", "RES", "JOIN", "DLQ", "ADV", "JOB"]
            .map(|s| (s.to_owned(), 128 << 10))
            .into(),
        ..settings()
    }
}

fn quick() -> TrimSettings {
    TrimSettings {
        every: Duration::from_millis(200),
        replay: Duration::ZERO,
        settle: Duration::ZERO,
        done_kept: Duration::ZERO,
        most: BTreeMap::new(),
        ..TrimSettings::default()
    }
}

fn trimmer(bus: &Bus, settings: TrimSettings) -> Trimmer {
    Trimmer::new(bus.clone(), &Topology::new(&small()), settings)
}

/// Two looks, as a floor needs; what came of the second.
async fn twice(trimmer: &mut Trimmer, stream: &str) -> Trimmed {
    trimmer.round().await;
    let all = trimmer.round().await;
    all.into_iter().find(|trimmed| trimmed.stream == stream).unwrap()
}

/// Publishes until the stream is full; how many it took.
async fn fill(bus: &Bus, from: u32) -> u32 {
    for number in from.. {
        match bus.publish_event(&event(number), 0).await {
            Ok(_) => {}
            Err(PublishError::Backpressure { code: 10077, .. }) => return number - from,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("a stream without end")
}

/// Takes and acknowledges so many messages.
#[allow(clippy::disallowed_methods)] // Stands for workers, without their batches and delays.
async fn settle(server: &Server, stream: &str, name: &str, count: usize) {
    let context = jetstream::new(server.raw().await);
    let consumer: consumer::PullConsumer = context.get_consumer_from_stream(name, stream).await.unwrap();
    let mut messages = consumer.batch().max_messages(count).messages().await.unwrap();
    let mut settled = 0;
    while let Some(message) = messages.next().await {
        message.unwrap().double_ack().await.unwrap();
        settled += 1;
    }
    assert_eq!(settled, count, "{name}");
}

async fn state(server: &Server, stream: &str) -> jetstream::stream::State {
    let context = jetstream::new(server.raw().await);
    let stream = context.get_stream(stream).await.unwrap();
    stream.cached_info().state.clone()
}

#[tokio::test]
async fn a_full_stream_takes_messages_again_and_nobody_loses_any() {
    let Some((server, bus)) = provisioned_with(&small()).await else {
        return;
    };
    let count = fill(&bus, 0).await;
    let mut trimmer = trimmer(&bus, quick());

    // Nobody has done anything.
    let trimmed = twice(&mut trimmer, "EVT").await;
    assert!(trimmed.fill > 0.9, "{trimmed:?}");
    assert_eq!(
        (trimmed.removed, trimmed.held_by),
        (0, Some(Fence::Consumer("sink-lite-events".into())))
    );
    assert!(matches!(
        bus.publish_event(&event(count), 0).await,
        Err(PublishError::Backpressure { .. })
    ));

    // One is done, another has a part: the part goes. The bulk lane, which nothing is for, is in nobody's way.
    settle(&server, "EVT", "sink-lite-events", count as usize).await;
    settle(&server, "EVT", "work-hi", 20).await;
    let trimmed = twice(&mut trimmer, "EVT").await;
    assert_eq!(
        (trimmed.removed, trimmed.held_by),
        (20, Some(Fence::Consumer("work-hi".into())))
    );
    assert_eq!(state(&server, "EVT").await.first_sequence, 21);
    bus.publish_event(&event(count), 0).await.unwrap();

    // What is left reaches the one that lagged, all of it.
    settle(&server, "EVT", "work-hi", count as usize + 1 - 20).await;
    settle(&server, "EVT", "sink-lite-events", 1).await;
    let trimmed = twice(&mut trimmer, "EVT").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (u64::from(count) + 1 - 20, None));
    let again = fill(&bus, count + 1).await;
    assert!(
        again > count * 9 / 10,
        "about as many as in the beginning: {again} of {count}"
    );
}

#[tokio::test]
async fn the_loop_makes_room_by_itself() {
    let Some((server, bus)) = provisioned_with(&small()).await else {
        return;
    };
    let count = fill(&bus, 0).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(run_trim(bus.clone(), Topology::new(&small()), quick(), stop.clone()));
    settle(&server, "EVT", "sink-lite-events", count as usize).await;
    settle(&server, "EVT", "work-hi", count as usize).await;
    until("there is room", async || {
        bus.publish_event(&event(count), 0).await.is_ok()
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_floor_must_have_stood_and_messages_stay_for_the_replay_time() {
    let Some((server, bus)) = provisioned_with(&small()).await else {
        return;
    };
    let count = fill(&bus, 0).await;
    settle(&server, "EVT", "sink-lite-events", count as usize).await;
    settle(&server, "EVT", "work-hi", count as usize).await;
    let patient = TrimSettings {
        settle: Duration::from_secs(60),
        ..quick()
    };
    let trimmed = twice(&mut trimmer(&bus, patient), "EVT").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (0, Some(Fence::Settling)));

    let hour = Duration::from_secs(3600);
    let relaxed = TrimSettings {
        replay: hour,
        pressure: 1.5,
        ..quick()
    };
    let trimmed = twice(&mut trimmer(&bus, relaxed), "EVT").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (0, Some(Fence::Replay)));
    // Under pressure the replay time yields, but only what is needed.
    let pressed = TrimSettings {
        replay: hour,
        ..quick()
    };
    let trimmed = twice(&mut trimmer(&bus, pressed), "EVT").await;
    let left = u64::from(count) - trimmed.removed;
    assert!(
        (left as f64 / f64::from(count) - 0.5).abs() < 0.1,
        "{left} of {count} are left"
    );
    assert_eq!(trimmed.held_by, None);
}

#[tokio::test]
async fn a_dead_letter_stands_in_the_way_until_there_is_pressure_and_can_be_replayed_after() {
    let Some((server, bus)) = provisioned_with(&small()).await else {
        return;
    };
    let documents = Documents::new();
    let dead = documents.event("x").await;
    bus.publish_event(&dead, 0).await.unwrap();
    let rejecting = Scripted::new(|_, _| async { Err(ProcessError::reject(ErrorCode::Damaged, "no")) });
    let running = Running::processor(&bus, rejecting, &documents);
    server.eventually("DLQ", "dlq.v1.acme.EVT.work-hi.damaged", 1).await;
    until("the message is settled", async || {
        server.consumer("EVT", "work-hi").await.num_ack_pending == 0
    })
    .await;
    running.stop().await;
    // The writer deals with the advisory of the termination; without it nothing may go.
    let count = fill(&bus, 0).await as usize;
    settle(&server, "EVT", "sink-lite-events", count + 1).await;
    settle(&server, "EVT", "work-hi", count).await;
    let relaxed = TrimSettings {
        pressure: 1.5,
        ..quick()
    };
    let trimmed = twice(&mut trimmer(&bus, relaxed.clone()), "EVT").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (0, Some(Fence::Uncopied)));
    let writer = Running::spawn(|stop| run_dlq_writer(bus.clone(), stop));
    until("the advisory is handled", async || {
        let info = server.consumer("ADV", "dlq-writer").await;
        info.ack_floor.stream_sequence >= 1 && info.num_ack_pending == 0
    })
    .await;
    writer.stop().await;

    let trimmed = twice(&mut trimmer(&bus, relaxed), "EVT").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (0, Some(Fence::DeadLetter)));
    let trimmed = twice(&mut trimmer(&bus, quick()), "EVT").await;
    assert!(trimmed.removed > 0 && trimmed.held_by.is_none(), "{trimmed:?}");
    assert!(
        state(&server, "EVT").await.first_sequence > 1,
        "the message itself is gone"
    );

    let letter = dlq::list(&bus, &Filter::default()).await.unwrap().remove(0);
    dlq::replay(&bus, letter.seq).await.unwrap();
    let stored = server.stored("EVT", "evt.v1.>").await;
    assert_eq!(
        stored.last().unwrap().json::<ObjectEvent>(),
        dead,
        "whole, from the letter"
    );
}

#[tokio::test]
async fn a_message_whose_workers_died_stays_until_it_is_copied() {
    let Some((server, bus)) = provisioned_with(&small()).await else {
        return;
    };
    let lost = event(4_000_000);
    bus.publish_event(&lost, 0).await.unwrap();
    let context = jetstream::new(server.raw().await);
    let consumer: consumer::PullConsumer = context.get_consumer_from_stream("work-hi", "EVT").await.unwrap();
    for _ in 0..4 {
        let batch = consumer.batch().max_messages(1).expires(Duration::from_secs(5));
        let mut messages = batch.messages().await.unwrap();
        drop(messages.next().await.unwrap().unwrap());
    }
    let count = fill(&bus, 0).await as usize;
    settle(&server, "EVT", "sink-lite-events", count + 1).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    // Asking for more is what makes the broker notice the one that used up its deliveries.
    settle(&server, "EVT", "work-hi", count).await;
    server
        .eventually("ADV", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", 1)
        .await;
    let info = server.consumer("EVT", "work-hi").await;
    assert!(
        info.ack_floor.stream_sequence > 1 && info.num_ack_pending == 0,
        "the floor has jumped past it: {info:?}"
    );
    let mut trimmer = trimmer(&bus, quick());
    let trimmed = twice(&mut trimmer, "EVT").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (0, Some(Fence::Uncopied)));

    let writer = Running::spawn(|stop| run_dlq_writer(bus.clone(), stop));
    let letters = server.eventually("DLQ", "dlq.v1.acme.EVT.work-hi.exhausted", 1).await;
    assert_eq!(letters[0].json::<ObjectEvent>(), lost);
    until("the advisory is handled", async || {
        server.consumer("ADV", "dlq-writer").await.ack_floor.stream_sequence >= 1
    })
    .await;
    writer.stop().await;
    let trimmed = twice(&mut trimmer, "EVT").await;
    assert_eq!(trimmed.held_by, None);
    assert!(state(&server, "EVT").await.first_sequence > 1, "now it is gone");
}

/// A store of final states that knows what the test says.
#[derive(Default)]
struct Known {
    all: AtomicBool,
    down: AtomicBool,
}

#[async_trait]
impl Finality for Known {
    async fn is_final(&self, _: &TenantName, _: &ObjectId) -> Result<bool, FinalityError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(FinalityError("locked".into()));
        }
        Ok(self.all.load(Ordering::SeqCst))
    }
}

fn done_of(number: u32) -> Done {
    done(&result(&event(number)))
}

#[tokio::test]
async fn done_messages_go_by_number_and_states_of_open_objects_stay() {
    let Some((server, bus)) = provisioned_with(&small()).await else {
        return;
    };
    let known = Arc::new(Known::default());
    let bus = bus.with_finality(known.clone());
    let write = async |number: u32| {
        let object = event(number).object;
        let written = bus
            .write_join_state(&object.tenant, &object.id, Bytes::from_static(b"{}"), 0)
            .await
            .unwrap();
        assert!(matches!(written, StateWritten::At(_)), "{written:?}");
    };
    for number in 0..10 {
        bus.publish_done(&done_of(number)).await.unwrap();
    }
    write(100).await;
    write(101).await;
    for number in 10..20 {
        bus.publish_done(&done_of(number)).await.unwrap();
    }
    settle(&server, "JOIN", "done-lite", 20).await;
    let short = TrimSettings {
        most: BTreeMap::from([("JOIN".to_owned(), 20)]),
        ..quick()
    };
    let kept = TrimSettings {
        done_kept: Duration::from_secs(60),
        ..short.clone()
    };
    let trimmed = twice(&mut trimmer(&bus, kept), "JOIN").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (0, Some(Fence::Young)));
    let mut trimmer = trimmer(&bus, short);
    let trimmed = twice(&mut trimmer, "JOIN").await;
    assert_eq!((trimmed.removed, trimmed.held_by), (20, None));
    let left = server.stored("JOIN", "join.v1.>").await;
    assert!(left.iter().all(|m| m.subject.starts_with("join.v1.state.")) && left.len() == 2);

    // A late result of a finished object: the store knows, so there is no second `done`, and no state either.
    let late = done_of(3);
    known.all.store(true, Ordering::SeqCst);
    assert_eq!(bus.publish_done(&late).await.unwrap(), DonePublished::AlreadyThere);
    let record = bus.join_record(&late.object.tenant, &late.object.id).await.unwrap();
    assert_eq!(record, JoinRecord::Done);
    assert_eq!(server.stored("JOIN", "join.v1.done.>").await.len(), 0);
    // While the store does not answer nothing is decided.
    known.down.store(true, Ordering::SeqCst);
    assert!(matches!(
        bus.publish_done(&late).await,
        Err(PublishError::Unavailable { .. })
    ));
    assert!(bus.join_record(&late.object.tenant, &late.object.id).await.is_err());
    // An object of this moment needs no question.
    let mut fresh = done_of(5);
    fresh.object.last_modified = SystemClock.now();
    assert_eq!(bus.publish_done(&fresh).await.unwrap(), DonePublished::New);
    known.down.store(false, Ordering::SeqCst);

    // The sweep: states of objects that are final, by their `done` or by the store.
    known.all.store(false, Ordering::SeqCst);
    assert_eq!(trimmer.sweep().await, 0);
    bus.publish_done(&done_of(100)).await.unwrap();
    assert_eq!(trimmer.sweep().await, 1);
    known.all.store(true, Ordering::SeqCst);
    assert_eq!(trimmer.sweep().await, 1);
    assert_eq!(server.stored("JOIN", "join.v1.state.>").await.len(), 0);
}
