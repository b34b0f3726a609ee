//! One value of every wire type, all about the same document.

// Unwrap safety: every text here is a constant, and a test makes all of them.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::json;

use crate::bom::{Batch, Bom, Counts, Document, Maker, Source, Statement};
use crate::command::{
    Accepted, Command, CommandOutcome, CommandResult, DeleteRequest, DestroyRequest, ReleaseRequest, RetrieveRequest,
    Selector,
};
use crate::dsse::{self, Envelope};
use crate::query::{
    CommandAnswer, CommandQuery, Decision, DecisionKind, ObjectAnswer, ObjectState, ObjectView, ObjectsAnswer,
    ObjectsQuery, ResultView, ResultsAnswer, Step, StepKind,
};
use crate::{
    Artefact, Checksums, Done, ErrorCode, EventId, FinalState, Finding, Lane, ObjectEvent, ObjectRef, Outcome, Plan,
    ProcessorName, ProcessorSummary, ResultEvent, ScanLine, SealedCopy, Severity, Span, Timestamp, Verb, Verdict,
    WireError,
};

fn id<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid example")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_767_225_600_000 + seconds * 1000)
}

fn object() -> ObjectRef {
    let mut object = ObjectRef {
        id: crate::object::NO_OBJECT,
        tenant: id("default"),
        source: id("inbox"),
        bucket: id("inbox"),
        key: id("reports/2026 Q1.pdf"),
        version: None,
        etag: id("9b2cf535f27731c974343645a3985328"),
        size: 4096,
        last_modified: at(0),
        content_type: Some("application/pdf".to_owned()),
        checksums: Checksums {
            sha256: Some("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".to_owned()),
            crc64nvme: Some("ae8b14860a799888".to_owned()),
            ..Checksums::default()
        },
    };
    object.id = object.origin().object_id();
    object
}

fn event_id() -> EventId {
    object().event_id(Verb::Put)
}

fn plan() -> Plan {
    Plan::new([id("encrypt"), id("validate")], "default-1")
}

fn finding() -> Finding {
    Finding {
        span: Some(Span { start: 1024, end: 1040 }),
        remediation: Some("open it only if the sender is known and the macros are expected".to_owned()),
        citation: Some("Microsoft Open Specifications, [MS-OVBA] 1.3".to_owned()),
        ..Finding::new("active/macros", Severity::Medium, 1.0, "the document carries macros")
    }
}

fn sealed() -> SealedCopy {
    SealedCopy {
        bucket: id("vault"),
        key: id(&format!("default/{}.sealed", object().id)),
        size: 7042,
        plaintext_size: 4096,
        plaintext_sha256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".to_owned(),
        suite: "0x0001".to_owned(),
        header: "11".repeat(32),
        payload_root: "22".repeat(32),
        recipients: vec![
            id("0123456789abcdef0123456789abcdef"),
            id("fedcba9876543210fedcba9876543210"),
        ],
        signer: id("00112233445566778899aabbccddeeff"),
        opened_at: at(1),
    }
}

fn artefact() -> Artefact {
    Artefact {
        name: "report.json".to_owned(),
        bucket: id("results"),
        key: id(&format!("default/{}/validate/report.json", object().id)),
        content_type: "application/json".to_owned(),
        size: 512,
        sha256: "33".repeat(32),
    }
}

fn details() -> BTreeMap<String, serde_json::Value> {
    BTreeMap::from([
        ("detected_type".to_owned(), json!("pdf")),
        ("size".to_owned(), json!(4096)),
        ("checked".to_owned(), json!(["sha256", "signatures", "size", "type"])),
    ])
}

pub(super) fn event() -> ObjectEvent {
    ObjectEvent {
        id: event_id(),
        verb: Verb::Put,
        lane: Lane::Hi,
        object: object(),
        plan: plan(),
    }
}

pub(super) fn result() -> ResultEvent {
    let processor: ProcessorName = id("validate");
    ResultEvent {
        id: ResultEvent::result_id(&event_id(), &processor, "1", Outcome::Done),
        event: event_id(),
        processor,
        processor_version: "1".to_owned(),
        outcome: Outcome::Done,
        object: object(),
        plan: plan(),
        verdict: Some(Verdict::Review),
        findings: vec![finding()],
        sealed: None,
        artefacts: vec![artefact()],
        details: details(),
        error: None,
        started_at: at(0),
        finished_at: at(1),
    }
}

pub(super) fn done() -> Done {
    let summary = |processor: &str, verdict, findings| ProcessorSummary {
        processor: id(processor),
        processor_version: "1".to_owned(),
        outcome: Outcome::Done,
        verdict,
        findings,
        finished_at: at(1),
    };
    Done {
        event: event_id(),
        object: object(),
        plan: plan(),
        state: FinalState::Done,
        verdict: Verdict::Review,
        sealed: Some(sealed()),
        results: vec![
            summary("encrypt", None, 0),
            summary("validate", Some(Verdict::Review), 1),
        ],
    }
}

pub(super) fn selector() -> Selector {
    Selector {
        object: None,
        key: Some(id("reports/2026 Q1.pdf")),
        bucket: Some(id("inbox")),
    }
}

pub(super) fn retrieve() -> RetrieveRequest {
    RetrieveRequest {
        id: Some(id("my-request-1")),
        select: selector(),
        start: Some(0),
        end: Some(1024),
        expires_s: Some(900),
    }
}

pub(super) fn delete() -> DeleteRequest {
    DeleteRequest {
        id: None,
        select: Selector {
            object: Some(object().id),
            ..Selector::default()
        },
    }
}

pub(super) fn release() -> ReleaseRequest {
    ReleaseRequest {
        id: None,
        select: selector(),
        reason: "test file of our own scanner, ticket 4711".to_owned(),
    }
}

pub(super) fn destroy() -> DestroyRequest {
    DestroyRequest {
        id: None,
        select: selector(),
        reason: "malware, confirmed".to_owned(),
    }
}

pub(super) fn accepted() -> Accepted {
    Accepted {
        accepted: true,
        id: id("my-request-1"),
    }
}

pub(super) fn command() -> Command {
    Command {
        id: id("my-request-1"),
        tenant: id("default"),
        verb: id("retrieve"),
        body: serde_json::to_value(retrieve()).expect("plain data"),
        accepted_at: at(60),
    }
}

pub(super) fn command_result() -> CommandResult {
    let values = BTreeMap::from([
        (
            "url".to_owned(),
            json!("http://127.0.0.1:9000/outbox/default/1767226560/my-request-1/2026%20Q1.pdf?X-Amz-Expires=900"),
        ),
        ("expires_at".to_owned(), json!(at(960).to_string())),
        ("size".to_owned(), json!(1024)),
    ]);
    CommandResult {
        id: id("my-request-1"),
        tenant: id("default"),
        verb: id("retrieve"),
        outcome: Outcome::Done,
        result: Some(CommandOutcome {
            object: Some(object().id),
            values,
        }),
        error: None,
        finished_at: at(61),
    }
}

pub(super) fn error() -> WireError {
    WireError {
        code: ErrorCode::NotFound,
        message: "there is no object with this key; `objects` lists the keys there are".to_owned(),
        details: BTreeMap::from([("key".to_owned(), "reports/2027.pdf".to_owned())]),
        time: at(60),
        request_id: id("7f9c24e8"),
    }
}

fn view() -> ObjectView {
    let object = object();
    ObjectView {
        id: object.id,
        source: object.source,
        bucket: object.bucket,
        key: object.key,
        version: object.version,
        etag: object.etag,
        size: object.size,
        last_modified: object.last_modified,
        content_type: object.content_type,
        detected_type: Some("application/pdf".to_owned()),
        state: ObjectState::Done,
        verdict: Some(Verdict::Review),
        sealed: Some(sealed()),
        event: event_id(),
        plan: plan(),
        finished_at: Some(at(1)),
        deleted_at: None,
        decisions: vec![Decision {
            at: at(90),
            kind: DecisionKind::Release,
            command: id("my-request-2"),
            reason: release().reason,
        }],
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    }
}

pub(super) fn objects_query() -> ObjectsQuery {
    ObjectsQuery {
        state: Some(ObjectState::Done),
        prefix: Some("reports/".to_owned()),
        bucket: Some(id("inbox")),
        limit: Some(100),
        cursor: None,
    }
}

pub(super) fn objects_answer() -> ObjectsAnswer {
    ObjectsAnswer {
        objects: vec![view()],
        next: Some("MTc2NzIyNTYwMDAwMA".to_owned()),
    }
}

pub(super) fn object_answer() -> ObjectAnswer {
    let step = |seconds, kind| Step {
        at: at(seconds),
        kind,
        processor: None,
        outcome: None,
        verdict: None,
        findings: None,
        state: None,
        error: None,
        reason: None,
    };
    let finished = Step {
        processor: Some(id("validate")),
        outcome: Some(Outcome::Done),
        verdict: Some(Verdict::Review),
        findings: Some(1),
        ..step(1, StepKind::Finished)
    };
    let last = Step {
        state: Some(ObjectState::Done),
        verdict: Some(Verdict::Review),
        ..step(1, StepKind::Final)
    };
    ObjectAnswer {
        object: view(),
        timeline: vec![step(0, StepKind::Accepted), finished, last],
    }
}

pub(super) fn results_answer() -> ResultsAnswer {
    let result = result();
    ResultsAnswer {
        object: object().id,
        results: vec![ResultView {
            processor: result.processor,
            processor_version: result.processor_version,
            outcome: result.outcome,
            verdict: result.verdict,
            findings: result.findings,
            findings_total: 1,
            artefacts: result.artefacts,
            details: result.details,
            sealed: None,
            error: None,
            started_at: result.started_at,
            finished_at: result.finished_at,
        }],
    }
}

pub(super) fn command_query() -> CommandQuery {
    CommandQuery { id: id("my-request-1") }
}

pub(super) fn command_answer() -> CommandAnswer {
    CommandAnswer {
        id: id("my-request-1"),
        verb: id("retrieve"),
        outcome: Outcome::Done,
        object: Some(object().id),
        values: BTreeMap::from([("size".to_owned(), json!(1024))]),
        error: None,
        finished_at: at(61),
    }
}

fn versions() -> BTreeMap<String, String> {
    BTreeMap::from([("signatures".to_owned(), "2".to_owned())])
}

pub(super) fn statement() -> Statement {
    let object = object();
    let document = Document {
        name: object.key.to_string(),
        bucket: Some(object.bucket),
        object: Some(object.id),
        state: Some(ObjectState::Done),
        size: Some(object.size),
        sha256: Some(id("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")),
        verdict: Some(Verdict::Review),
        risk: Some(40),
        findings: 1,
        rules: [finding().rule].into(),
        versions: Some(0),
        checked_at: Some(at(1)),
    };
    let mut counts = Counts::default();
    counts.add(document.verdict);
    Statement::new(Bom {
        made_at: at(60),
        made_by: Maker {
            program: "cofferdam".to_owned(),
            version: "0.1.0".to_owned(),
            key: id("00112233445566778899aabbccddeeff"),
            tenant: Some(object.tenant),
        },
        batch: Batch {
            prefix: Some("reports/".to_owned()),
            ..Batch::all(Source::Catalog)
        },
        counts,
        versions: vec![versions()],
        documents: vec![document],
        split: None,
    })
}

pub(super) fn envelope() -> Envelope {
    // The form only: these are no signatures.
    let signature = |half: &str, length| {
        let keyid = format!("00112233445566778899aabbccddeeff/{half}");
        dsse::Signature::new(keyid, &vec![0; length])
    };
    Envelope::new(
        dsse::IN_TOTO,
        b"{}",
        vec![signature("ed25519", 64), signature("ml-dsa-65", 64)],
    )
}

pub(super) fn scan_line() -> ScanLine {
    ScanLine {
        path: "reports/2026 Q1.pdf".to_owned(),
        detected_type: Some("pdf".to_owned()),
        verdict: Verdict::Review,
        risk: 40,
        size: Some(4096),
        sha256: Some(id("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")),
        checked: vec!["signatures".to_owned(), "size".to_owned()],
        not_checked: vec!["phi/faces".to_owned()],
        findings: vec![finding()],
        scores: BTreeMap::from([("injection".to_owned(), 0.25)]),
        facts: BTreeMap::from([("media_type".to_owned(), json!("application/pdf"))]),
        versions: versions(),
    }
}
