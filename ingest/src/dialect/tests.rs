use proptest::prelude::*;
use serde_json::json;

use super::*;

fn record(source: &str, name: &str, object: Value) -> Value {
    json!({"Records": [one(source, name, object)]})
}

fn one(source: &str, name: &str, object: Value) -> Value {
    json!({
        "eventSource": source, "eventName": name, "eventTime": "2026-11-21T03:17:11.815Z",
        "s3": {"bucket": {"name": "docs-bkt"}, "object": object},
    })
}

#[track_caller]
fn notice(dialect: Dialect, body: &Value) -> ObjectNotice {
    match parse(dialect, body.to_string().as_bytes()).unwrap().as_slice() {
        [Notification::Object(notice)] => notice.clone(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn key(dialect: Dialect, written: &str) -> String {
    notice(dialect, &record("aws:s3", "ObjectCreated:Put", json!({"key": written})))
        .key
        .to_string()
}

#[test]
fn plus_is_a_space_before_percents_are_read() {
    assert_eq!(key(Dialect::Aws, "a+b%2Bc.txt"), "a b+c.txt");
    assert_eq!(key(Dialect::Aws, "pct%252Fx%2520y"), "pct%2Fx%20y");
    // Real S3 leaves slashes alone, MinIO does not.
    assert_eq!(key(Dialect::Aws, "x/y z%2Fw"), "x/y z/w");
    // Not an escape: left as it is.
    assert_eq!(key(Dialect::Aws, "100%25%zz"), "100%%zz");
    for plain in [Dialect::Versitygw, Dialect::Ceph] {
        assert_eq!(key(plain, "a+b%2Bc.txt"), "a+b%2Bc.txt");
    }
}

#[test]
fn a_source_may_differ_from_its_kind() {
    let body = record("ceph:s3", "ObjectCreated:Put", json!({"key": "a+b"})).to_string();
    let read = parse_with(Dialect::Ceph, Some(KeyEncoding::Form), body.as_bytes()).unwrap();
    assert!(matches!(&read[0], Notification::Object(n) if n.key.as_str() == "a b"));
}

#[test]
fn keys_are_never_normalised() {
    assert_ne!(key(Dialect::Minio, "caf%C3%A9"), key(Dialect::Minio, "cafe%CC%81"));
    assert_eq!(key(Dialect::Minio, "a%2F..%2F%2Fb"), "a/..//b");
}

#[test]
fn a_size_may_be_text() {
    let told = |size: Value| {
        notice(
            Dialect::Ceph,
            &record("ceph:s3", "ObjectCreated:Put", json!({"key": "k", "size": size})),
        )
        .size
    };
    assert_eq!(told(json!("1024")), Some(1024));
    assert_eq!(told(json!(1024)), Some(1024));
    for nonsense in [
        json!(-1),
        json!(1.5),
        json!("1k"),
        json!(null),
        json!([1]),
        json!("99999999999999999999"),
    ] {
        assert_eq!(told(nonsense), None);
    }
}

#[test]
fn a_missing_size_is_zero_only_where_that_is_known() {
    let body = record("x", "ObjectCreated:Put", json!({"key": "k"}));
    assert_eq!(notice(Dialect::Minio, &body).size, Some(0));
    assert_eq!(notice(Dialect::Aws, &body).size, None);
}

#[test]
fn versions_and_tags_of_every_spelling() {
    for unversioned in [json!(null), json!(""), json!("null"), json!(7)] {
        let body = record("x", "ObjectCreated:Put", json!({"key": "k", "versionId": unversioned}));
        assert_eq!(notice(Dialect::Aws, &body).version, None);
    }
    let body = record(
        "x",
        "ObjectCreated:Put",
        json!({"key": "k", "versionId": "v1", "eTag": "\"abc-2\""}),
    );
    let read = notice(Dialect::Aws, &body);
    assert_eq!(read.version.unwrap().as_str(), "v1");
    assert_eq!(read.etag.unwrap().as_str(), "abc-2");
    for nothing in [json!(""), json!("\"\""), json!(null)] {
        assert_eq!(
            notice(
                Dialect::Aws,
                &record("x", "ObjectCreated:Put", json!({"key": "k", "eTag": nothing}))
            )
            .etag,
            None
        );
    }
}

#[test]
fn names_mean_the_same_with_and_without_prefix() {
    let verb = |name: &str| notice(Dialect::Aws, &record("x", name, json!({"key": "k"}))).verb;
    for prefix in ["", "s3:"] {
        for (name, wanted) in [
            ("ObjectCreated:Post", Verb::Put),
            ("ObjectCreated:PutRetention", Verb::Meta),
            ("ObjectSynced:Create", Verb::Put),
            ("ObjectRemoved:DeleteMarkerCreated", Verb::Del),
            ("LifecycleExpiration:Delete", Verb::Del),
            ("ObjectLifecycle:Expiration:Current", Verb::Del),
            ("ObjectRestore:Completed", Verb::Restore),
            ("ObjectAcl:Put", Verb::Meta),
        ] {
            assert_eq!(verb(&format!("{prefix}{name}")), wanted, "{name}");
        }
    }
    for (name, why) in [
        ("s3:TestEvent", Why::TestEvent),
        ("ObjectCreated:UploadPart", Why::NothingChanged),
        ("ObjectAccessed:Get", Why::NothingChanged),
        ("ObjectRestore:Post", Why::NothingChanged),
        ("ObjectLifecycle:Expiration:AbortMultipartUpload", Why::NothingChanged),
        ("BucketRemoved:*", Why::NotAnObject),
        ("Replication:OperationFailedReplication", Why::NotAnObject),
        ("SomethingNew:Thing", Why::Unknown),
    ] {
        let read = parse(Dialect::Aws, record("x", name, json!({})).to_string().as_bytes()).unwrap();
        assert!(
            matches!(&read[..], [Notification::Ignored(ignored)] if ignored.why == why),
            "{name}: {read:?}"
        );
    }
}

#[test]
fn real_eventbridge_spells_its_fields_in_kebab_case() {
    let body = json!({
        "version": "0", "id": "1", "detail-type": "Object Deleted", "source": "aws.s3", "time": "2026-11-12T00:00:00Z",
        "detail": {
            "version": "0", "bucket": {"name": "docs-bkt"}, "reason": "DeleteObject", "deletion-type": "Delete Marker Created",
            "object": {"key": "a b+c%2F", "etag": "d41d8cd98f00b204e9800998ecf8427e", "version-id": "1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF", "sequencer": "617f0837b476e463"},
        },
    });
    let read = notice(Dialect::Auto, &body);
    assert_eq!(
        (read.verb, read.key.as_str(), read.reason.as_str()),
        (Verb::Del, "a b+c%2F", "Object Deleted:Delete Marker Created")
    );
    assert_eq!(read.etag.unwrap().as_str(), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(read.version.unwrap().as_str(), "1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF");
}

#[test]
fn every_record_of_a_body_is_read_and_a_bad_one_spoils_no_other() {
    let good = |key: &str| one("aws:s3", "ObjectCreated:Put", json!({"key": key}));
    let mut nameless = good("x");
    nameless["s3"]["bucket"] = json!({});
    let body = json!({"Records": [
        good("a"), nameless, good("b"), 7, good("%FF"), good(""), one("aws:s3", "ObjectCreated:Put", json!({"key": 1})), good("c"),
    ]});
    let read = parse(Dialect::Aws, body.to_string().as_bytes()).unwrap();
    let keys: Vec<_> = read
        .iter()
        .map(|n| match n {
            Notification::Object(notice) => notice.key.to_string(),
            Notification::Unreadable(fault) => fault.to_string(),
            Notification::Ignored(_) => "ignored".into(),
        })
        .collect();
    assert_eq!(
        keys,
        [
            "a",
            "record 1: field s3.bucket.name is missing or has the wrong type",
            "b",
            "record 3: field eventName is missing or has the wrong type",
            "record 4: object key is not UTF-8 once decoded",
            "record 5: object key is not valid: is empty: \"\"",
            "record 6: field s3.object.key is missing or has the wrong type",
            "c",
        ]
    );
}

#[test]
fn a_body_without_records_is_counted() {
    let read = parse(Dialect::Aws, br#"{"Records":[]}"#).unwrap();
    assert!(matches!(&read[..], [Notification::Ignored(ignored)] if ignored.why == Why::Empty));
}

#[track_caller]
fn refused(dialect: Dialect, body: &[u8], says: &str) {
    let error = parse(dialect, body).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn bodies_that_cannot_be_read_say_why() {
    refused(Dialect::Aws, b"", "not a JSON object");
    refused(Dialect::Aws, b"[]", "not a JSON object");
    refused(Dialect::Aws, b"{}", "not of dialect aws: there is no list of Records");
    refused(Dialect::Sns, br#"{"Type":"Notification"}"#, "there is no Message text");
    refused(
        Dialect::Sns,
        br#"{"Type":"SubscriptionConfirmation","Message":"{}"}"#,
        "confirm the subscription",
    );
    refused(Dialect::Sns, br#"{"Message":"hello"}"#, "not a JSON object");
    refused(
        Dialect::EventBridge,
        br#"{"detail-type":"Object Created","source":"aws.s3"}"#,
        "there is no detail",
    );
    refused(Dialect::Auto, b"{}", "name it in the source's configuration");
    let stranger = record("other:s3", "ObjectCreated:Put", json!({"key": "k"})).to_string();
    refused(Dialect::Auto, stranger.as_bytes(), "unknown eventSource");
    // Could be versitygw behind something: plain or encoded key? Nobody knows.
    let doubtful = record("aws:s3", "s3:ObjectCreated:Put", json!({"key": "k"})).to_string();
    refused(Dialect::Auto, doubtful.as_bytes(), "prefix S3 does not send");
    refused(
        Dialect::Aws,
        &vec![b' '; MAX_BODY + 1],
        "262145 bytes, 262144 are allowed",
    );
    let many = json!({"Records": vec![json!(0); MAX_RECORDS + 1]}).to_string();
    refused(Dialect::Aws, many.as_bytes(), "2001 records, 2000 are allowed");
    let deep = format!("{}{}", r#"{"a":"#.repeat(5_000), "1");
    refused(Dialect::Aws, deep.as_bytes(), "recursion limit");
}

#[test]
fn dialects_read_back_from_their_words() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.as_str().parse(), Ok(dialect));
        assert_eq!(
            serde_json::from_value::<Dialect>(json!(dialect.as_str())).unwrap(),
            dialect
        );
    }
    assert_eq!("rustfs".parse(), Ok(Dialect::Minio));
    assert_eq!(
        serde_json::from_value::<Dialect>(json!("rustfs")).unwrap(),
        Dialect::Minio
    );
    assert!("s3".parse::<Dialect>().unwrap_err().to_string().contains("versitygw"));
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

/// Any JSON, with the names that matter more often than chance would have them.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::sample::select(vec![
            "aws:s3",
            "minio:s3",
            "ceph:s3",
            "aws.s3",
            "s3:TestEvent",
            "ObjectCreated:Put",
            "%FF+%",
            "null",
            "docs-bkt"
        ])
        .prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "Records",
            "s3",
            "bucket",
            "object",
            "name",
            "key",
            "size",
            "eTag",
            "versionId",
            "sequencer",
            "eventName",
            "eventSource",
            "eventTime",
            "detail",
            "detail-type",
            "source",
            "Message",
            "TopicArn",
            "Type",
            "Event",
            "EventName",
            "userIdentity",
            "PrincipalId",
        ])
        .prop_map(String::from),
        ".{0,8}",
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What is kept of a body is never many times the body.
fn kept(read: &[Notification]) -> usize {
    let of = |notification: &Notification| match notification {
        Notification::Object(notice) => {
            notice.key.as_str().len() + notice.reason.len() + notice.sequencer.as_deref().map_or(0, str::len)
        }
        Notification::Ignored(ignored) => ignored.event.len(),
        Notification::Unreadable(fault) => fault.to_string().len(),
    };
    read.iter().map(of).sum()
}

/// Bodies as large as they may be, made to cost much.
#[test]
fn the_largest_bodies_cost_little() {
    let fill = |unit: &str, around: (&str, &str)| {
        let times = (MAX_BODY - around.0.len() - around.1.len()) / unit.len();
        format!("{}{}{}", around.0, unit.repeat(times), around.1).into_bytes()
    };
    let record = (
        r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"docs-bkt"},"object":{"key":""#,
        r#""}}}]}"#,
    );
    let bodies = [
        fill("{},", (r#"{"Records":["#, "{}]}")),
        fill("[", (r#"{"Records":"#, "")),
        fill(r#"{"a":"#, ("", "1")),
        fill(r#""k":1,"#, ("{", r#""Records":[]}"#)),
        fill("\\u0041", (r#"{"Records":[{"eventName":""#, r#""}]}"#)),
        fill("9", (r#"{"Records":["#, "]}")),
        fill("1e999,", (r#"{"Records":["#, "1]}")),
        fill("\\\"", (r#"{"TopicArn":1,"Message":""#, r#""}"#)),
        fill("%41", record),
        fill("+", record),
        fill("%", record),
        fill("é", record),
        fill("\u{feff}", ("", "")),
    ];
    for body in bodies {
        assert!(body.len() <= MAX_BODY && body.len() > MAX_BODY - 100);
        for dialect in Dialect::ALL {
            for encoding in [None, Some(KeyEncoding::Form), Some(KeyEncoding::Plain)] {
                let begun = std::time::Instant::now();
                let read = parse_with(dialect, encoding, &body);
                assert!(
                    begun.elapsed() < std::time::Duration::from_secs(2),
                    "{dialect} {:?}",
                    &body[..20]
                );
                if let Ok(read) = read {
                    assert!(read.len() <= MAX_RECORDS && kept(&read) <= 2 * body.len(), "{dialect}");
                }
            }
        }
    }
}

proptest! {
    /// Any bytes, in any dialect and encoding: an answer, of about the size of what was asked.
    #[test]
    fn any_bytes_give_an_answer_of_their_size(
        dialect in dialects(),
        encoding in prop::option::of(prop::sample::select(vec![KeyEncoding::Form, KeyEncoding::Plain])),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..2_000),
            any_json().prop_map(|json| json.to_string().into_bytes()),
            any_json().prop_map(|json| json!({"TopicArn": "t", "Message": json.to_string()}).to_string().into_bytes()),
        ],
    ) {
        match parse_with(dialect, encoding, &body) {
            // A record of two bytes may have an error of a line.
            Ok(read) => prop_assert!(!read.is_empty() && kept(&read) <= 200 + 50 * body.len()),
            Err(fault) => prop_assert!(fault.to_string().len() < 800),
        }
    }

    #[test]
    fn no_bytes_panic(dialect in dialects(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(dialect, &body);
    }

    #[test]
    fn no_json_panics(dialect in dialects(), body in any_json()) {
        let _ = parse(dialect, body.to_string().as_bytes());
    }

    #[test]
    fn a_mangled_message_never_panics(dialect in dialects(), cut in 0usize..700, flip in 0usize..700, with: u8) {
        let mut body = include_bytes!("../../fixtures/notifications/minio/02-put.json").to_vec();
        let at = flip % body.len();
        body[at] = with;
        body.truncate(cut.max(1));
        let _ = parse(dialect, &body);
    }

    /// Whatever a client called its object, the encoding dialects give it back.
    #[test]
    fn form_encoding_is_undone(key in "[^\u{0}]{1,100}") {
        let encoded: String = key.bytes().map(|byte| match byte {
            b' ' => "+".to_owned(),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        }).collect();
        let body = record("aws:s3", "ObjectCreated:Put", json!({"key": encoded}));
        let read = notice(Dialect::Aws, &body).key;
        prop_assert_eq!(read.as_str(), key.as_str());
    }

    #[test]
    fn plain_keys_are_untouched(key in "[^\u{0}]{1,100}") {
        let body = record("aws:s3", "s3:ObjectCreated:Put", json!({"key": key.clone()}));
        let read = notice(Dialect::Versitygw, &body).key;
        prop_assert_eq!(read.as_str(), key.as_str());
    }
}
