//! Connecting and publishing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cofferdam_nats::{
    Bus, DonePublished, JoinRecord, NatsError, Need, PublishError, StateWritten, Topology, provision,
};
use cofferdam_schemas::{Command, CommandId, Done, ObjectEvent, Outcome, ResultEvent, TenantName, Timestamp};

use crate::harness::{Server, event, name, provisioned, provisioned_with, settings, until};

pub fn result(event: &ObjectEvent) -> ResultEvent {
    let at = Timestamp::from_unix_millis(1_700_000_001_000);
    ResultEvent {
        id: ResultEvent::result_id(&event.id, &name("work"), "1.0", Outcome::Done),
        event: event.id.clone(),
        processor: name("work"),
        processor_version: "1.0".into(),
        outcome: Outcome::Done,
        object: event.object.clone(),
        plan: event.plan.clone(),
        verdict: None,
        findings: Vec::new(),
        sealed: None,
        artefacts: Vec::new(),
        details: Default::default(),
        error: None,
        started_at: at,
        finished_at: at,
    }
}

pub fn done(result: &ResultEvent) -> Done {
    Done::conclude([result]).unwrap()
}

#[tokio::test]
async fn the_same_event_is_stored_once_and_a_redrive_passes() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let event = event(1);
    let first = bus.publish_event(&event, 0).await.unwrap();
    let again = bus.publish_event(&event, 0).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate, again.seq), (false, true, first.seq));
    for redrive in [1, 2] {
        let redriven = bus.publish_event(&event, redrive).await.unwrap();
        assert!(!redriven.duplicate);
        assert!(bus.publish_event(&event, redrive).await.unwrap().duplicate);
    }
    let stored = server.stored("EVT", "evt.v1.>").await;
    assert_eq!(stored.len(), 3);
    assert_eq!(
        stored[0].header("Nats-Msg-Id"),
        Some(format!("evt:{}", event.id).as_str())
    );
    assert_eq!(stored[0].header("cofferdam-redrive"), None);
    assert_eq!(
        stored[2].header("Nats-Msg-Id"),
        Some(format!("evt:{}:r2", event.id).as_str())
    );
    assert_eq!(stored[2].header("cofferdam-redrive"), Some("2"));
    assert_eq!(stored[0].header("ce-type"), Some("cofferdam.object.put.v1"));
    assert_eq!(stored[0].header("ce-source"), Some("/cofferdam/test"));
    assert_eq!(
        stored[0].header("ce-subject"),
        Some(event.object.id.to_string().as_str())
    );
    assert_eq!(stored[0].json::<ObjectEvent>(), event);
    let result = result(&event);
    assert!(!bus.publish_result(&result, 0).await.unwrap().duplicate);
    assert!(bus.publish_result(&result, 0).await.unwrap().duplicate);
    assert!(
        !bus.publish_result(&result, 1).await.unwrap().duplicate,
        "the redrive passes the window for results too"
    );
}

#[tokio::test]
async fn dedup_survives_a_killed_server() {
    let Some((mut server, bus)) = provisioned().await else {
        return;
    };
    let event = event(1);
    bus.publish_event(&event, 0).await.unwrap();
    server.kill();
    server.restart().await;
    assert!(bus.publish_event(&event, 0).await.unwrap().duplicate);
}

#[tokio::test]
async fn a_publish_waits_out_a_restart() {
    let Some((mut server, bus)) = provisioned().await else {
        return;
    };
    server.kill();
    let event = event(1);
    let publish = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish_event(&event, 0).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.restart().await;
    publish.await.unwrap().unwrap();
    assert_eq!(server.stored("EVT", "evt.v1.>").await.len(), 1);
}

#[tokio::test]
async fn without_a_server_a_publish_gives_up_in_time() {
    let Some((mut server, bus)) = provisioned().await else {
        return;
    };
    server.kill();
    let started = Instant::now();
    let error = bus
        .with_publish_deadline(Duration::from_secs(3))
        .publish_event(&event(1), 0)
        .await
        .unwrap_err();
    assert!(matches!(error, PublishError::Unavailable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test]
async fn racing_joiners_make_one_done() {
    let Some((server, _bus)) = provisioned().await else {
        return;
    };
    let mut buses = Vec::new();
    for n in 0..4 {
        buses.push(server.bus(&format!("join{n}")).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        for bus in &buses {
            let (bus, done) = (bus.clone(), done(&result(&event(number))));
            tasks.spawn(async move { bus.publish_done(&done).await.unwrap() });
        }
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| **o == DonePublished::New).count(), 50);
    assert_eq!(
        outcomes.iter().filter(|o| **o == DonePublished::AlreadyThere).count(),
        150
    );
    assert_eq!(server.stored("JOIN", "join.v1.done.>").await.len(), 50);
}

#[tokio::test]
async fn a_spilled_state_is_written_only_on_what_was_read() {
    let Some((_server, bus)) = provisioned().await else {
        return;
    };
    let result = result(&event(1));
    let (tenant, object) = (&result.object.tenant, &result.object.id);
    assert_eq!(bus.join_record(tenant, object).await.unwrap(), JoinRecord::Nothing);
    let StateWritten::At(first) = bus
        .write_join_state(tenant, object, Bytes::from_static(b"a"), 0)
        .await
        .unwrap()
    else {
        panic!()
    };
    let late = bus
        .write_join_state(tenant, object, Bytes::from_static(b"b"), 0)
        .await
        .unwrap();
    assert_eq!(late, StateWritten::Conflict);
    let StateWritten::At(second) = bus
        .write_join_state(tenant, object, Bytes::from_static(b"c"), first)
        .await
        .unwrap()
    else {
        panic!()
    };
    let read = bus.join_record(tenant, object).await.unwrap();
    assert_eq!(
        read,
        JoinRecord::State {
            sequence: second,
            body: Bytes::from_static(b"c")
        }
    );
    assert_eq!(bus.publish_done(&done(&result)).await.unwrap(), DonePublished::New);
    assert!(matches!(
        bus.join_record(tenant, object).await.unwrap(),
        JoinRecord::Done
    ));
    let stale = bus
        .write_join_state(tenant, object, Bytes::from_static(b"d"), second)
        .await
        .unwrap();
    assert_eq!(stale, StateWritten::Conflict, "nothing is written behind a done");
}

#[tokio::test]
async fn a_full_stream_is_backpressure() {
    let mut settings = settings();
    settings.max_bytes.insert("EVT".into(), 4096);
    let Some((_server, bus)) = provisioned_with(&settings).await else {
        return;
    };
    let mut error = None;
    for number in 0..50 {
        if let Err(refusal) = bus.publish_event(&event(number), 0).await {
            error = Some(refusal);
            break;
        }
    }
    assert!(
        matches!(error, Some(PublishError::Backpressure { code: 10077, .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_at_once() {
    let Some((_server, bus)) = provisioned().await else {
        return;
    };
    let mut result = result(&event(1));
    result.details.insert("much".into(), "x".repeat(2 << 20).into());
    let error = bus.publish_result(&result, 0).await.unwrap_err();
    assert!(
        matches!(error, PublishError::TooLarge { limit: 1_048_576, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_that_nobody_takes_expires() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let command = |id: &str| Command {
        id: CommandId::new(id).unwrap(),
        tenant: TenantName::new("acme").unwrap(),
        verb: name("fetch"),
        body: serde_json::json!({}),
        accepted_at: Timestamp::from_unix_millis(1_700_000_000_000),
    };
    bus.publish_command(&command("a"), 0).await.unwrap();
    bus.publish_command_within(&command("b"), 0, Some(Duration::from_secs(1)))
        .await
        .unwrap();
    until("the command with a time is gone", async || {
        server.stored("CMD", "cmd.v1.>").await.len() == 1
    })
    .await;
    assert_eq!(
        server.stored("CMD", "cmd.v1.acme.fetch").await[0].json::<Command>(),
        command("a")
    );
}

/// `work` may do what a processor needs, and nothing else.
const PERMISSIONS: &str = r#"
authorization { users: [
  { user: provisioner, password: "p", permissions: { publish: ">", subscribe: ">" } }
  { user: work, password: "w", permissions: {
      publish: { allow: [ "res.v1.*.work.>", "$JS.API.CONSUMER.INFO.EVT.work-hi", "$JS.API.CONSUMER.MSG.NEXT.EVT.work-hi",
                          "$JS.ACK.EVT.work-hi.>", "dlq.v1.*.EVT.work-hi.*" ] }
      subscribe: { allow: [ "_INBOX_work.>" ] } } }
] }
"#;

#[tokio::test]
async fn the_self_check_says_which_permission_is_missing() {
    let Some(server) = Server::with(PERMISSIONS).await else {
        return;
    };
    let provisioner = Bus::connect(server.login("provisioner", "p")).await.unwrap();
    let bus = Bus::connect(server.login("work", "w")).await.unwrap();
    let consume = Need::Consume {
        stream: "EVT".into(),
        consumer: "work-hi".into(),
    };
    let missing = bus.self_check(std::slice::from_ref(&consume)).await.unwrap_err();
    assert!(
        matches!(missing, NatsError::Missing { .. } | NatsError::NoAnswer { .. }),
        "{missing}"
    );
    provision(&provisioner, &Topology::new(&settings())).await.unwrap();

    bus.self_check(&[Need::Publish("res.v1.*.work.>".into()), consume])
        .await
        .unwrap();
    let foreign = [
        Need::Publish("res.v1.*.other.>".into()),
        Need::Publish("evt.v1.>".into()),
        Need::Subscribe("live.v1.>".into()),
        Need::Consume {
            stream: "EVT".into(),
            consumer: "work-bulk".into(),
        },
        Need::Read("JOIN".into()),
    ];
    for need in foreign {
        let error = bus.self_check(std::slice::from_ref(&need)).await.unwrap_err();
        assert!(
            matches!(&error, NatsError::Permission { role, .. } if role == "work"),
            "{need:?}: {error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("Permissions Violation") && text.contains("grant it to the user work"),
            "{text}"
        );
    }
    assert_eq!(
        server_messages(&provisioner).await,
        0,
        "the check leaves nothing behind"
    );

    let started = Instant::now();
    let refused = bus.publish_event(&event(1), 0).await.unwrap_err();
    assert!(
        matches!(&refused, PublishError::Rejected { reason, .. } if reason.contains("lacks a permission")),
        "{refused}"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

async fn server_messages(bus: &Bus) -> u64 {
    let context = async_nats::jetstream::new(bus.client().clone());
    let mut messages = 0;
    for name in ["EVT", "RES", "DLQ"] {
        messages += context.get_stream(name).await.unwrap().cached_info().state.messages;
    }
    messages
}

#[tokio::test]
async fn wrong_credentials_fail_at_once() {
    let Some(server) = Server::with(PERMISSIONS).await else {
        return;
    };
    let started = Instant::now();
    let error = Bus::connect(server.login("work", "wrong")).await.unwrap_err();
    assert!(matches!(error, NatsError::Connect { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!format!("{:?}", server.login("work", "hush-hush")).contains("hush-hush"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_in_time() {
    let login = cofferdam_nats::Login {
        url: "nats://127.0.0.1:1".into(),
        user: "work".into(),
        password: String::from("x").into(),
        role: "work".into(),
    };
    let error = Bus::connect_within(login, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot connect to nats at nats://127.0.0.1:1 as work"
    );
}

#[tokio::test]
async fn closing_ends_the_connection() {
    let Some((_server, bus)) = provisioned().await else {
        return;
    };
    let started = Instant::now();
    bus.close().await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(!bus.is_connected());
}
