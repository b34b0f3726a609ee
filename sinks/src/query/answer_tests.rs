use cofferdam_schemas::query::CommandAnswer;
use cofferdam_schemas::{ObjectState, Outcome, Verdict};
use cofferdam_seams::ManualClock;
use serde_json::{Value, json};

use super::*;
use crate::conformance::fixture::{self, at, done, event, object, result, stamped, tenant};
use crate::sqlite::SqliteStore;

struct Setup {
    answerer: Answerer,
    store: Arc<SqliteStore>,
    tenant: TenantName,
    _keep: tempfile::TempDir,
}

async fn setup() -> Setup {
    let keep = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&keep.path().join("c.db")).await.unwrap());
    let (tenant, other) = (tenant(), TenantName::new("other").unwrap());
    let clock = Arc::new(ManualClock::at(at(0)));
    let answerer = Answerer::new(store.clone(), vec![tenant.clone(), other], clock, 200_000);
    Setup {
        answerer,
        store,
        tenant,
        _keep: keep,
    }
}

impl Setup {
    async fn ask<T: DeserializeOwned>(&self, query: &str, body: Value) -> T {
        let answer = self
            .answerer
            .answer(&format!("q.v1.{}.{query}", self.tenant), body.to_string().as_bytes())
            .await;
        serde_json::from_slice(&answer.unwrap()).unwrap()
    }

    #[track_caller]
    fn refused(&self, subject: &str, body: &[u8], code: ErrorCode) -> WireError {
        let error = futures::executor::block_on(self.answerer.answer(subject, body)).unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
        assert_eq!(error.time, at(0));
        error
    }
}

#[tokio::test]
async fn the_way_of_a_document() {
    let setup = setup().await;
    let doc = object(&setup.tenant, "inbox", "a report.pdf", 0);
    let store = &setup.store;
    store
        .put_events(&[stamped(event(&doc), 1), stamped(event(&doc), 40)])
        .await
        .unwrap();
    let mut dead = result(&doc, "validate", Outcome::Dead);
    (dead.started_at, dead.finished_at) = (at(60), at(90));
    store
        .put_results(&[
            stamped(dead, 91),
            stamped(result(&doc, "encrypt", Outcome::Done), 201),
            stamped(result(&doc, "validate", Outcome::Done), 202),
        ])
        .await
        .unwrap();
    store.put_final(&[stamped(done(&doc), 300)]).await.unwrap();
    store.mark_deleted(&setup.tenant, &doc.id, at(400)).await.unwrap();

    let answer: ObjectAnswer = setup.ask("object", json!({"object": doc.id})).await;
    assert_eq!(
        (answer.object.state, answer.object.verdict),
        (ObjectState::Deleted, Some(Verdict::Pass))
    );
    assert_eq!(answer.object.detected_type.as_deref(), Some("application/pdf"));
    let shape: Vec<(i64, StepKind, Option<String>)> = answer
        .timeline
        .iter()
        .map(|step| {
            (
                step.at.unix_millis() - fixture::T0,
                step.kind,
                step.processor.as_ref().map(ToString::to_string),
            )
        })
        .collect();
    let (encrypt, validate) = (Some("encrypt".to_owned()), Some("validate".to_owned()));
    assert_eq!(
        shape,
        [
            (1, StepKind::Accepted, None),
            (40, StepKind::Accepted, None),
            (60, StepKind::Started, validate.clone()),
            (90, StepKind::Finished, validate.clone()),
            (100, StepKind::Started, encrypt.clone()),
            (100, StepKind::Started, validate.clone()),
            (200, StepKind::Finished, encrypt),
            (200, StepKind::Finished, validate),
            (300, StepKind::Final, None),
            (400, StepKind::Deleted, None),
        ]
    );
    assert_eq!(answer.timeline[3].error.as_ref().unwrap().code, ErrorCode::Damaged);
    assert_eq!(answer.timeline[7].findings, Some(1));
    assert_eq!(
        (answer.timeline[8].state, answer.timeline[8].verdict),
        (Some(ObjectState::Done), Some(Verdict::Pass))
    );

    let results: ResultsAnswer = setup.ask("results", json!({"object": doc.id})).await;
    assert_eq!(results.results.len(), 3);
}

#[tokio::test]
async fn listings_fit_into_a_message_and_go_on() {
    let setup = setup().await;
    for n in 0..300 {
        let doc = object(&setup.tenant, "inbox", &format!("{}{n:03}", "k".repeat(900)), n);
        setup.store.put_events(&[stamped(event(&doc), n)]).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let answer: ObjectsAnswer = setup.ask("objects", json!({"limit": 1000, "cursor": cursor})).await;
        assert!(!answer.objects.is_empty() || answer.next.is_none());
        seen.extend(
            answer
                .objects
                .iter()
                .map(|object| object.last_modified.unix_millis() - fixture::T0),
        );
        match answer.next {
            Some(next) => cursor = next.into(),
            None => break,
        }
    }
    assert_eq!(seen, (0..300).rev().collect::<Vec<i64>>());
    let usual: ObjectsAnswer = serde_json::from_slice(
        &setup
            .answerer
            .answer(&format!("q.v1.{}.objects", setup.tenant), b"")
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(usual.objects.len(), 100);
}

#[tokio::test]
async fn commands() {
    let setup = setup().await;
    let doc = object(&setup.tenant, "inbox", "k", 0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
        - fixture::T0;
    setup
        .store
        .put_command_results(&[stamped(fixture::command_result(&setup.tenant, "c-1", &doc), now)])
        .await
        .unwrap();
    let answer: CommandAnswer = setup.ask("command", json!({"id": "c-1"})).await;
    assert_eq!((answer.outcome, answer.object), (Outcome::Done, Some(doc.id)));
    assert!(!answer.values.contains_key("url"));
}

#[tokio::test]
async fn every_wrong_question_gets_its_error() {
    let setup = setup().await;
    let doc = object(&setup.tenant, "inbox", "mine", 0);
    setup.store.put_events(&[stamped(event(&doc), 1)]).await.unwrap();
    let mine = |query: &str| format!("q.v1.{}.{query}", setup.tenant);
    setup.refused(&mine("object"), b"{", ErrorCode::InvalidRequest);
    setup.refused(&mine("object"), b"[]", ErrorCode::InvalidRequest);
    setup.refused(&mine("object"), b"{}", ErrorCode::InvalidRequest);
    setup.refused(&mine("object"), b"{\"object\": \"no uuid\"}", ErrorCode::InvalidRequest);
    let error = setup.refused(&mine("objects"), b"{\"limt\": 5}", ErrorCode::InvalidRequest);
    assert!(
        error.message.contains("limt") && error.details["line"] == "1",
        "{error:?}"
    );
    setup.refused(&mine("objects"), b"{\"limit\": 0}", ErrorCode::InvalidRequest);
    setup.refused(&mine("objects"), b"{\"limit\": 1001}", ErrorCode::InvalidRequest);
    setup.refused(&mine("objects"), b"{\"state\": \"lost\"}", ErrorCode::InvalidRequest);
    setup.refused(
        &mine("objects"),
        b"{\"cursor\": \"made up\"}",
        ErrorCode::InvalidRequest,
    );
    setup.refused(&mine("command"), b"{\"id\": \"none\"}", ErrorCode::NotFound);
    setup.refused(&mine("object"), b"{\"key\": \"none\"}", ErrorCode::NotFound);
    setup.refused(&mine("results"), b"{\"key\": \"none\"}", ErrorCode::NotFound);
    setup.refused(&mine("nothing"), b"{}", ErrorCode::UnknownCommand);
    setup.refused(&mine("object"), &vec![b' '; LONGEST + 1], ErrorCode::LimitExceeded);
    setup.refused("q.v1.nobody.objects", b"", ErrorCode::Forbidden);
    setup.refused("q.v2.x", b"", ErrorCode::UnknownCommand);
    // Another tenant's object does not exist.
    setup.refused(
        "q.v1.other.object",
        format!("{{\"object\": \"{}\"}}", doc.id).as_bytes(),
        ErrorCode::NotFound,
    );
    setup.refused("q.v1.other.results", b"{\"key\": \"mine\"}", ErrorCode::NotFound);
    setup.store.close().await;
    setup.refused(&mine("objects"), b"", ErrorCode::Unavailable);
}
