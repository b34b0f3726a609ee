//! From messages to rows to answers.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_schemas::query::{ObjectAnswer, ObjectsAnswer, StepKind};
use cofferdam_schemas::{ErrorCode, ObjectState, Outcome, WireError};
use cofferdam_seams::SystemClock;
use cofferdam_sinks::conformance::fixture::{event, object, result, tenant};
use cofferdam_sinks::{SqliteStore, Store, run_join, run_query, run_sink};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::broker::{provisioned, until};

#[tokio::test]
async fn a_document_can_be_asked_for_from_beginning_to_end() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&directory.path().join("cofferdam.db")).await.unwrap());
    let tenant = tenant();
    let stop = CancellationToken::new();
    let sink = tokio::spawn(run_sink(bus.clone(), store.clone(), vec![], "sqlite", stop.clone()));
    let join = tokio::spawn(run_join(bus.clone(), Arc::new(SystemClock), stop.clone()));
    let query = tokio::spawn(run_query(
        bus.clone(),
        store.clone(),
        vec![tenant.clone()],
        stop.clone(),
    ));

    let doc = object(&tenant, "inbox", "a report.pdf", 0);
    bus.publish_event(&event(&doc), 0).await.unwrap();
    until("its row is there", async || {
        store.object(&tenant, &doc.id).await.unwrap().is_some()
    })
    .await;
    assert_eq!(
        store.object(&tenant, &doc.id).await.unwrap().unwrap().state,
        ObjectState::Open
    );
    bus.publish_result(&result(&doc, "encrypt", Outcome::Done), 0)
        .await
        .unwrap();
    bus.publish_result(&result(&doc, "validate", Outcome::Done), 0)
        .await
        .unwrap();
    until("it is final", async || store.is_final(&tenant, &doc.id).await.unwrap()).await;
    for (stream, consumer) in [
        ("EVT", "sink-sqlite-events"),
        ("RES", "sink-sqlite"),
        ("JOIN", "done-sqlite"),
    ] {
        until("all is acknowledged", async || server.open(stream, consumer).await == 0).await;
    }

    let ask = async |query: &str, body: serde_json::Value| {
        let subject = format!("q.v1.{tenant}.{query}");
        let answer = tokio::time::timeout(
            Duration::from_secs(10),
            bus.client().request(subject, body.to_string().into()),
        )
        .await;
        answer.unwrap().unwrap()
    };
    let answer = ask("object", json!({"key": "a report.pdf"})).await;
    assert!(answer.headers.is_none());
    let answer: ObjectAnswer = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!((answer.object.id, answer.object.state), (doc.id, ObjectState::Done));
    let kinds: Vec<StepKind> = answer.timeline.iter().map(|step| step.kind).collect();
    for kind in [
        StepKind::Accepted,
        StepKind::Started,
        StepKind::Finished,
        StepKind::Final,
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let listed: ObjectsAnswer =
        serde_json::from_slice(&ask("objects", json!({"state": "done"})).await.payload).unwrap();
    assert_eq!(listed.objects.len(), 1);
    let refused = ask("object", json!({"key": "none"})).await;
    assert_eq!(
        refused.headers.unwrap().get("cofferdam-error").unwrap().as_str(),
        "not-found"
    );
    let error: WireError = serde_json::from_slice(&refused.payload).unwrap();
    assert_eq!(error.code, ErrorCode::NotFound);

    stop.cancel();
    sink.await.unwrap().unwrap();
    join.await.unwrap().unwrap();
    query.await.unwrap().unwrap();
}
