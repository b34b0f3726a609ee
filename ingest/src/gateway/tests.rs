use cofferdam_processor::{CommandJob, ProcessError};
use cofferdam_schemas::{CommandOutcome, RetrieveRequest};
use serde_json::json;

use super::*;
use crate::testing::{House, Recorder, START, clock_at, full, processor, tenant};

struct Retrieve;

#[async_trait::async_trait]
impl CommandHandler for Retrieve {
    fn verb(&self) -> &'static str {
        "retrieve"
    }
    fn check(&self, body: &Value) -> Result<(), String> {
        serde_json::from_value::<RetrieveRequest>(body.clone())
            .map(drop)
            .map_err(|e| e.to_string())
    }
    async fn handle(&self, _: &CommandJob) -> Result<Result<CommandOutcome, WireError>, ProcessError> {
        Err(ProcessError::Cancelled)
    }
}

fn gateway(ledger: Option<Ledger>, recorder: &Arc<Recorder>, settings: GatewaySettings) -> Gateway {
    let checks: BTreeMap<_, Arc<dyn CommandHandler>> = [(processor("retrieve"), Arc::new(Retrieve) as _)].into();
    Gateway::new(
        checks,
        [tenant("default"), tenant("other")],
        ledger,
        recorder.clone(),
        clock_at(START),
        settings,
    )
}

const SUBJECT: &str = "cmdin.v1.default.retrieve";

fn ask(id: &str) -> Vec<u8> {
    json!({"id": id, "select": {"key": "a.txt"}}).to_string().into_bytes()
}

#[tokio::test]
async fn accepted_means_committed() {
    let house = House::new().await;
    let recorder = Recorder::new();
    let gateway = gateway(Some(house.ledger()), &recorder, GatewaySettings::default());
    let accepted = gateway.answer(SUBJECT, &ask("c1")).await.unwrap();
    assert!(accepted.accepted);
    assert_eq!(accepted.id.as_str(), "c1");
    let row = house.row(LedgerKind::Command, "default/c1").await.unwrap();
    let command: Command = serde_json::from_value(row.payload).unwrap();
    assert_eq!(
        (command.tenant.as_str(), command.verb.as_str()),
        ("default", "retrieve")
    );
    assert_eq!(command.accepted_at, Timestamp::from_unix_millis(START));
    assert!(recorder.commands.lock().unwrap().is_empty(), "publishing is the pump's");
}

#[tokio::test]
async fn the_same_command_twice_is_one_and_another_under_its_id_is_refused() {
    let house = House::new().await;
    let gateway = gateway(Some(house.ledger()), &Recorder::new(), GatewaySettings::default());
    let first = gateway.answer(SUBJECT, &ask("c1")).await.unwrap();
    // Field order and spaces are not the body.
    let same = br#"{ "select": {"key": "a.txt"}, "id": "c1" }"#;
    assert_eq!(gateway.answer(SUBJECT, same).await.unwrap(), first);
    let other = json!({"id": "c1", "select": {"key": "b.txt"}}).to_string();
    let error = gateway.answer(SUBJECT, other.as_bytes()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("use a new id"), "{}", error.message);
    assert_eq!(house.rows().await.len(), 1);
    // Another tenant's ids are its own.
    gateway
        .answer("cmdin.v1.other.retrieve", other.as_bytes())
        .await
        .unwrap();
    assert_eq!(house.rows().await.len(), 2);
}

#[tokio::test]
async fn without_an_id_one_is_made() {
    let house = House::new().await;
    let gateway = gateway(Some(house.ledger()), &Recorder::new(), GatewaySettings::default());
    let body = br#"{"id": null, "select": {"key": "a.txt"}}"#;
    let (one, two) = (
        gateway.answer(SUBJECT, body).await.unwrap(),
        gateway.answer(SUBJECT, body).await.unwrap(),
    );
    assert_ne!(one.id, two.id);
    assert_eq!(Uuid::parse_str(one.id.as_str()).unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn every_refusal_has_its_code_and_says_what_to_do() {
    let house = House::new().await;
    let settings = GatewaySettings {
        max_body: 200,
        ..GatewaySettings::default()
    };
    let gateway = gateway(Some(house.ledger()), &Recorder::new(), settings);
    for (subject, body, code, says) in [
        (SUBJECT, &b"{\"select\""[..], ErrorCode::InvalidRequest, "not JSON"),
        (SUBJECT, b"\xff\xfe", ErrorCode::InvalidRequest, "not JSON"),
        (SUBJECT, b"", ErrorCode::InvalidRequest, "not JSON"),
        (SUBJECT, b"[]", ErrorCode::InvalidRequest, "one JSON object"),
        (SUBJECT, b"{}", ErrorCode::InvalidRequest, "missing field `select`"),
        (
            SUBJECT,
            br#"{"select":{},"extra":1}"#,
            ErrorCode::InvalidRequest,
            "unknown field `extra`",
        ),
        (
            SUBJECT,
            br#"{"select":{},"id":"no spaces"}"#,
            ErrorCode::InvalidRequest,
            "field id",
        ),
        (
            SUBJECT,
            br#"{"select":{},"id":7}"#,
            ErrorCode::InvalidRequest,
            "leave it out",
        ),
        (
            SUBJECT,
            br#"{"select":{},"tenant":"other"}"#,
            ErrorCode::Forbidden,
            "credentials",
        ),
        (
            SUBJECT,
            br#"{"select":{},"tenant":7}"#,
            ErrorCode::Forbidden,
            "credentials",
        ),
        (
            SUBJECT,
            br#"{"select":{},"tenant":"default"}"#,
            ErrorCode::InvalidRequest,
            "unknown field `tenant`",
        ),
        (
            SUBJECT,
            &[b' '; 201],
            ErrorCode::LimitExceeded,
            "201 bytes, 200 are allowed",
        ),
        (
            "cmdin.v1.default.explode",
            b"{}",
            ErrorCode::UnknownCommand,
            "there is retrieve",
        ),
        ("cmdin.v1.default.a.b", b"{}", ErrorCode::UnknownCommand, "\"a.b\""),
        (
            "cmdin.v1.stranger.retrieve",
            b"{}",
            ErrorCode::Forbidden,
            "not served here",
        ),
        ("cmdin.v1.default", b"{}", ErrorCode::InvalidRequest, "cmd.<verb>"),
        (
            "cmdin.v1.UPPER.retrieve",
            b"{}",
            ErrorCode::InvalidRequest,
            "cmd.<verb>",
        ),
    ] {
        let error = gateway.answer(subject, body).await.unwrap_err();
        assert_eq!(
            error.code,
            code,
            "{subject} {}: {}",
            String::from_utf8_lossy(body),
            error.message
        );
        assert!(error.message.contains(says), "{}", error.message);
        assert_eq!(error.time, Timestamp::from_unix_millis(START));
        assert!(Uuid::parse_str(error.request_id.as_str()).is_ok());
    }
    assert!(house.rows().await.is_empty(), "nothing half accepted");
}

#[tokio::test]
async fn an_error_never_repeats_the_body() {
    let gateway = gateway(None, &Recorder::new(), GatewaySettings::default());
    let error = gateway
        .answer(SUBJECT, b"{\"select\": hunter2-secret")
        .await
        .unwrap_err();
    assert!(!serde_json::to_string(&error).unwrap().contains("hunter2"));
}

#[tokio::test]
async fn without_a_ledger_the_broker_commits() {
    let recorder = Recorder::new();
    let gateway = gateway(None, &recorder, GatewaySettings::default());
    recorder.fail(1, full);
    let error = gateway.answer(SUBJECT, &ask("c1")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Backpressure);
    assert!(error.message.contains("again with the same id"));
    gateway.answer(SUBJECT, &ask("c1")).await.unwrap();
    assert_eq!(recorder.commands.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn one_tenant_cannot_crowd_out_another() {
    let settings = GatewaySettings {
        max_per_tenant: 0,
        ..GatewaySettings::default()
    };
    let crowded = gateway(None, &Recorder::new(), settings);
    let error = crowded.answer(SUBJECT, &ask("c1")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Backpressure);
}

#[test]
fn labels_are_only_of_verbs_there_are() {
    let gateway = gateway(None, &Recorder::new(), GatewaySettings::default());
    assert_eq!(gateway.label(SUBJECT), "retrieve");
    assert_eq!(gateway.label("cmdin.v1.default.whatever-a-client-says"), "unknown");
}
