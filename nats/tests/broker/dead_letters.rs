//! Messages that are given up, and their way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cofferdam_nats::dlq::{self, Filter};
use cofferdam_nats::worker::run_dlq_writer;
use cofferdam_nats::{Bus, NatsError};
use cofferdam_processor::{Conclusion, ProcessError};
use cofferdam_schemas::{ErrorCode, ObjectEvent, Outcome, ResultEvent};
use futures::StreamExt;

use crate::harness::{Documents, Running, Scripted, Server, provisioned, until};

fn rejecting() -> Arc<Scripted> {
    Scripted::new(|_, _| async { Err(ProcessError::reject(ErrorCode::Damaged, "checksum\nis wrong")) })
}

#[tokio::test]
async fn a_rejected_document_leaves_a_letter_a_dead_result_and_is_terminated() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let event = documents.event("x").await;
    bus.publish_event(&event, 0).await.unwrap();
    let processor = rejecting();
    let running = Running::processor(&bus, processor.clone(), &documents);

    let letters = server.eventually("DLQ", "dlq.v1.acme.EVT.work-hi.damaged", 1).await;
    let letter = &letters[0];
    assert_eq!(letter.json::<ObjectEvent>(), event, "a full copy");
    for (name, value) in [
        ("x-dlq-stream", "EVT"),
        ("x-dlq-consumer", "work-hi"),
        ("x-dlq-seq", "1"),
        ("x-dlq-deliveries", "1"),
        ("x-dlq-reason", "damaged/damaged"),
        (
            "x-dlq-last-error",
            "document%20cannot%20be%20processed:%20checksum%0Ais%20wrong",
        ),
        ("Nats-Msg-Id", "dlq:EVT:work-hi:1"),
        ("ce-type", "cofferdam.object.put.v1"),
    ] {
        assert_eq!(letter.header(name), Some(value), "{name}");
    }
    let dead = server.eventually("RES", "res.v1.acme.work.dead.*", 1).await;
    let result: ResultEvent = dead[0].json();
    assert_eq!((result.outcome, &result.event), (Outcome::Dead, &event.id));
    assert_eq!(result.error.unwrap().code, ErrorCode::Damaged);
    let advisory = &server
        .eventually("ADV", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>", 1)
        .await[0];
    assert_eq!(advisory.json::<serde_json::Value>()["reason"], "damaged/damaged");
    until("nothing is left", async || {
        server.consumer("EVT", "work-hi").await.num_ack_pending == 0
    })
    .await;
    running.stop().await;
    assert_eq!(processor.calls(), 1);

    // The dead-letter writer sees the advisory and finds the letter there.
    let writer = Running::spawn(|stop| run_dlq_writer(bus.clone(), stop));
    until("the advisory is handled", async || {
        let info = server.consumer("ADV", "dlq-writer").await;
        info.num_pending == 0 && info.num_ack_pending == 0
    })
    .await;
    writer.stop().await;
    assert_eq!(server.stored("DLQ", "dlq.v1.>").await.len(), 1);
    assert_eq!(server.stored("RES", "res.v1.>").await.len(), 1);
}

#[tokio::test]
async fn failures_without_end_are_given_up_at_the_delivery_limit() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    let processor = Scripted::new(|_, _| async {
        Err(ProcessError::Dependency {
            what: "key service",
            source: "refused".into(),
        })
    });
    let running = Running::processor(&bus, processor.clone(), &documents);
    let letters = server.eventually("DLQ", "dlq.v1.acme.EVT.work-hi.exhausted", 1).await;
    assert_eq!(letters[0].header("x-dlq-deliveries"), Some("4"));
    assert_eq!(letters[0].header("x-dlq-reason"), Some("exhausted/unavailable"));
    server.eventually("RES", "res.v1.acme.work.dead.*", 1).await;
    running.stop().await;
    assert_eq!(processor.calls(), 4);
}

#[tokio::test]
async fn a_panic_is_caught_and_the_third_on_one_message_is_the_last() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    bus.publish_event(&documents.event("poison").await, 0).await.unwrap();
    bus.publish_event(&documents.event("fine").await, 0).await.unwrap();
    let processor = Scripted::new(|job, _| async move {
        assert!(job.object.size != "poison".len() as u64, "SECRET of the document");
        Ok(Conclusion::default())
    });
    let running = Running::processor(&bus, processor.clone(), &documents);
    let letters = server.eventually("DLQ", "dlq.v1.acme.EVT.work-hi.panic", 1).await;
    assert_eq!(letters[0].header("x-dlq-deliveries"), Some("3"));
    assert!(
        !letters[0].header("x-dlq-last-error").unwrap().contains("SECRET"),
        "what a panic says may quote the document"
    );
    server.eventually("RES", "res.v1.acme.work.done.*", 1).await;
    server.eventually("RES", "res.v1.acme.work.dead.*", 1).await;
    running.stop().await;
    assert_eq!(processor.calls(), 4);
}

#[tokio::test]
async fn what_is_no_event_is_rejected_without_a_result() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let client = server.raw().await;
    client
        .publish("evt.v1.hi.acme.put.00", "not json".into())
        .await
        .unwrap();
    // Of another tenant than the subject says.
    let event = documents.event("x").await;
    let mut headers = async_nats::HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/x"),
        ("ce-time", "2026-01-01T00:00:00Z"),
    ] {
        headers.insert(name, value);
    }
    headers.insert("ce-type", event.verb.event_type());
    let body = serde_json::to_vec(&event).unwrap();
    client
        .publish_with_headers("evt.v1.hi.intruder.put.00", headers, body.into())
        .await
        .unwrap();
    let processor = rejecting();
    let running = Running::processor(&bus, processor.clone(), &documents);
    server.eventually("DLQ", "dlq.v1.acme.EVT.work-hi.schema", 1).await;
    let letters = server.eventually("DLQ", "dlq.v1.intruder.EVT.work-hi.schema", 1).await;
    assert!(
        letters[0]
            .header("x-dlq-last-error")
            .unwrap()
            .contains("another%20tenant")
    );
    running.stop().await;
    assert_eq!(processor.calls(), 0);
    assert_eq!(server.stored("RES", "res.v1.>").await.len(), 0);
}

/// Takes a message and dies with it, as often as the consumer allows.
async fn die_over_it(server: &Server, times: usize) {
    let context = async_nats::jetstream::new(server.raw().await);
    let consumer: async_nats::jetstream::consumer::PullConsumer =
        context.get_consumer_from_stream("work-hi", "EVT").await.unwrap();
    for _ in 0..times {
        let mut batch = consumer
            .batch()
            .max_messages(1)
            .expires(Duration::from_secs(5))
            .messages()
            .await
            .unwrap();
        drop(batch.next().await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_message_whose_workers_die_is_found_by_the_dead_letter_writer() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let event = documents.event("x").await;
    bus.publish_event(&event, 0).await.unwrap();
    let writer = Running::spawn(|stop| run_dlq_writer(bus.clone(), stop));
    die_over_it(&server, 4).await;
    // Somebody has to ask for the fifth delivery before the broker notices.
    let running = Running::processor(&bus, rejecting(), &documents);
    let letters = server.eventually("DLQ", "dlq.v1.acme.EVT.work-hi.exhausted", 1).await;
    assert_eq!(letters[0].json::<ObjectEvent>(), event);
    assert_eq!(letters[0].header("x-dlq-deliveries"), Some("4"));
    let dead = server.eventually("RES", "res.v1.acme.work.dead.*", 1).await;
    let result: ResultEvent = dead[0].json();
    assert_eq!((result.event, result.processor_version.as_str()), (event.id, "unknown"));
    running.stop().await;
    writer.stop().await;
}

#[tokio::test]
async fn a_replayed_letter_goes_through_and_is_gone() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    let event = documents.event("x").await;
    bus.publish_event(&event, 0).await.unwrap();
    let mended = Arc::new(AtomicBool::new(false));
    let processor = Scripted::new({
        let mended = mended.clone();
        move |_, _| {
            let mended = mended.load(Ordering::SeqCst);
            async move {
                if mended {
                    Ok(Conclusion::default())
                } else {
                    Err(ProcessError::reject(ErrorCode::Damaged, "no"))
                }
            }
        }
    });
    let running = Running::processor(&bus, processor, &documents);
    let letter = one_letter(&bus).await;
    assert_eq!(
        (
            letter.tenant.as_ref().unwrap().as_str(),
            letter.consumer.as_str(),
            letter.redrive
        ),
        ("acme", "work-hi", 0)
    );
    assert_eq!(letter.message_id, Some(format!("evt:{}", event.id)));
    assert_eq!(letter.about, Some(event.object.id.to_string()));
    assert_eq!(letter.error, "document cannot be processed: no");

    // Not mended: it comes back, with the next number.
    let published = dlq::replay(&bus, letter.seq).await.unwrap();
    assert!(!published.duplicate);
    until("the letter is replaced", async || {
        one_letter(&bus).await.seq != letter.seq
    })
    .await;
    let second = one_letter(&bus).await;
    assert_eq!(
        (second.redrive, second.message_id.clone()),
        (1, Some(format!("redrive:1:evt:{}", event.id)))
    );
    assert!(
        matches!(dlq::show(&bus, letter.seq).await, Err(NatsError::NoDeadLetter { sequence }) if sequence == letter.seq)
    );

    mended.store(true, Ordering::SeqCst);
    dlq::replay(&bus, second.seq).await.unwrap();
    let stored = server.eventually("RES", "res.v1.acme.work.done.*", 1).await;
    assert!(stored[0].header("Nats-Msg-Id").unwrap().ends_with(":done:r2"));
    assert_eq!(dlq::list(&bus, &Filter::default()).await.unwrap().len(), 0);
    assert!(matches!(
        dlq::replay(&bus, second.seq).await,
        Err(NatsError::NoDeadLetter { .. })
    ));
    let ids: Vec<_> = server
        .stored("EVT", "evt.v1.>")
        .await
        .iter()
        .map(|s| s.header("Nats-Msg-Id").unwrap().to_owned())
        .collect();
    assert_eq!(
        ids,
        [
            format!("evt:{}", event.id),
            format!("redrive:1:evt:{}", event.id),
            format!("redrive:2:evt:{}", event.id)
        ]
    );
    running.stop().await;
}

async fn one_letter(bus: &Bus) -> dlq::DeadLetter {
    let mut letters = Vec::new();
    until("there is one letter", async || {
        letters = dlq::list(bus, &Filter::default()).await.unwrap();
        letters.len() == 1
    })
    .await;
    letters.remove(0)
}

#[tokio::test]
async fn letters_are_filtered_and_paged() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    for _ in 0..5 {
        bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    }
    let client = server.raw().await;
    client
        .publish("evt.v1.hi.acme.put.00", "not json".into())
        .await
        .unwrap();
    let running = Running::processor(&bus, rejecting(), &documents);
    server.eventually("DLQ", "dlq.v1.>", 6).await;
    running.stop().await;
    let count = async |filter: Filter| dlq::list(&bus, &filter).await.unwrap().len();
    assert_eq!(
        count(Filter {
            class: Some("damaged".into()),
            ..Filter::default()
        })
        .await,
        5
    );
    assert_eq!(
        count(Filter {
            class: Some("schema".into()),
            ..Filter::default()
        })
        .await,
        1
    );
    assert_eq!(
        count(Filter {
            consumer: Some("other".into()),
            ..Filter::default()
        })
        .await,
        0
    );
    let page = dlq::list(
        &bus,
        &Filter {
            limit: 4,
            ..Filter::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(page.len(), 4);
    assert_eq!(
        count(Filter {
            after: page[3].seq,
            ..Filter::default()
        })
        .await,
        2
    );
}
