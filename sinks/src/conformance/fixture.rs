//! Objects and messages to test with.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_schemas::{
    BucketName, Checksums, CommandId, CommandOutcome, CommandResult, Done, ETag, ErrorCode, Finding, KeyId, Lane,
    ObjectEvent, ObjectKey, ObjectRef, Origin, Outcome, Plan, ProcessorName, RequestId, ResultEvent, SealedCopy,
    Severity, SourceName, TenantName, Timestamp, Verb, Verdict, WireError,
};

use crate::store::Stamped;

/// 2024-01-02T03:04:05.678Z.
pub const T0: i64 = 1_704_164_645_678;

/// A tenant nobody else has.
pub fn tenant() -> TenantName {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    TenantName::new(format!("t{:x}-{:x}", now, NEXT.fetch_add(1, Ordering::Relaxed))).unwrap()
}

/// A time so many milliseconds after [`T0`].
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(T0 + millis)
}

/// A write timestamp so many milliseconds after [`T0`].
pub fn us(millis: i64) -> u64 {
    u64::try_from((T0 + millis) * 1000).unwrap()
}

/// A processor's name.
pub fn name(text: &str) -> ProcessorName {
    ProcessorName::new(text).unwrap()
}

/// One version of a key, written so many milliseconds after [`T0`].
pub fn object(tenant: &TenantName, bucket: &str, key: &str, millis: i64) -> ObjectRef {
    let origin = Origin {
        tenant: tenant.clone(),
        source: SourceName::new("inbox").unwrap(),
        bucket: BucketName::new(bucket).unwrap(),
        key: ObjectKey::new(key).unwrap(),
        version: None,
        etag: ETag::new(format!("etag-{millis}")).unwrap(),
        last_modified: at(millis),
    };
    ObjectRef {
        id: origin.object_id(),
        tenant: origin.tenant,
        source: origin.source,
        bucket: origin.bucket,
        key: origin.key,
        version: None,
        etag: origin.etag,
        size: 4096,
        last_modified: origin.last_modified,
        content_type: Some("text/plain; charset=utf-8".into()),
        checksums: Checksums {
            md5: Some("0".repeat(32)),
            ..Checksums::default()
        },
    }
}

/// The plan of all test objects: `encrypt` and `validate`.
pub fn plan() -> Plan {
    Plan::new([name("encrypt"), name("validate")], "v1")
}

/// The event that a version was written.
pub fn event(object: &ObjectRef) -> ObjectEvent {
    ObjectEvent {
        id: object.event_id(Verb::Put),
        verb: Verb::Put,
        lane: Lane::Hi,
        object: object.clone(),
        plan: plan(),
    }
}

/// A sealed copy.
pub fn sealed(object: &ObjectRef) -> SealedCopy {
    SealedCopy {
        bucket: BucketName::new("vault").unwrap(),
        key: ObjectKey::new(format!("{}/{}.sealed", object.tenant, object.id)).unwrap(),
        size: 5000,
        plaintext_size: object.size,
        plaintext_sha256: "ab".repeat(32),
        suite: "0x0001".into(),
        header: "cd".repeat(32),
        payload_root: "ef".repeat(32),
        recipients: vec![KeyId([1; 16]), KeyId([2; 16])],
        signer: KeyId([3; 16]),
        opened_at: at(50),
    }
}

/// A finding.
pub fn finding(rule: &str) -> Finding {
    Finding {
        category: "type".into(),
        ..Finding::new(rule, Severity::Low, 0.5, "declared type differs from the type found")
    }
}

/// A processor's result: `encrypt` has a sealed copy, `validate` a verdict, a finding and the detected type.
pub fn result(object: &ObjectRef, processor: &str, outcome: Outcome) -> ResultEvent {
    let (event, name) = (object.event_id(Verb::Put), name(processor));
    let mut result = ResultEvent {
        id: ResultEvent::result_id(&event, &name, "1", outcome),
        event,
        processor: name,
        processor_version: "1".into(),
        outcome,
        object: object.clone(),
        plan: plan(),
        verdict: None,
        findings: vec![],
        sealed: None,
        artefacts: vec![],
        details: BTreeMap::new(),
        error: None,
        started_at: at(100),
        finished_at: at(200),
    };
    match outcome {
        Outcome::Dead => result.error = Some(error()),
        Outcome::Superseded => {}
        Outcome::Done if processor == "encrypt" => result.sealed = Some(sealed(object)),
        Outcome::Done => {
            result.verdict = Some(Verdict::Pass);
            result.findings = vec![finding("type/mismatch")];
            result.details.insert("detected_type".into(), "application/pdf".into());
        }
    }
    result
}

/// An error.
pub fn error() -> WireError {
    WireError {
        code: ErrorCode::Damaged,
        message: "stored bytes are damaged".into(),
        details: BTreeMap::from([("limit".into(), "5".into())]),
        time: at(200),
        request_id: RequestId::new("r-1").unwrap(),
    }
}

/// The final state both processors' results give.
pub fn done(object: &ObjectRef) -> Done {
    Done::conclude(&[
        result(object, "encrypt", Outcome::Done),
        result(object, "validate", Outcome::Done),
    ])
    .unwrap()
}

/// A retrieve command's result, with a link.
pub fn command_result(tenant: &TenantName, id: &str, object: &ObjectRef) -> CommandResult {
    let link = "http://127.0.0.1:9000/outbox/x?X-Amz-Signature=00ff";
    CommandResult {
        id: CommandId::new(id).unwrap(),
        tenant: tenant.clone(),
        verb: name("retrieve"),
        outcome: Outcome::Done,
        result: Some(CommandOutcome {
            object: Some(object.id),
            values: BTreeMap::from([
                ("url".into(), link.into()),
                (
                    "also".into(),
                    serde_json::json!({"url": link, "list": [link, "kept"], "size": 1}),
                ),
                ("size".into(), 4096.into()),
                ("sha256".into(), "ab".repeat(32).into()),
            ]),
        }),
        error: None,
        finished_at: at(900),
    }
}

/// A value stored so many milliseconds after [`T0`], with a trace.
pub fn stamped<T>(value: T, millis: i64) -> Stamped<T> {
    Stamped {
        value,
        written_at: us(millis),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
    }
}
