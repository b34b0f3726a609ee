//! Every captured message normalises to the truth in its manifest.
//!
//! The manifests know what our client did (operation, bucket, key, what the S3 reply said). The table below adds what each *kind of source* makes of an
//! operation; an operation or a source the table does not know fails the test, and so does a message no operation expects.

// Helpers of tests fail tests by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use cofferdam_ingest::dialect::{Dialect, Notification, ObjectNotice, Why, parse};
use cofferdam_schemas::Verb;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Manifest {
    meta: Meta,
    ops: Vec<Op>,
}

#[derive(Deserialize)]
struct Meta {
    listing_after: Vec<String>,
}

#[derive(Deserialize)]
struct Op {
    op: String,
    bucket: Option<String>,
    key: Option<Key>,
    result: Option<Reply>,
    error: Option<serde_json::Value>,
    messages: Vec<Message>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Key {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, Default)]
struct Reply {
    #[serde(rename = "ETag")]
    etag: Option<String>,
    #[serde(rename = "VersionId")]
    version: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    file: String,
    bytes: usize,
    sha256: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Versitygw,
    Minio,
    /// moto, directly or through SNS: the records are the same.
    Moto,
    MotoEventBridge,
}

/// What one message must say.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Event { verb: Verb, reason: &'static str },
    Ignored(Why),
}

fn event(verb: Verb, reason: &'static str) -> Expected {
    Expected::Event { verb, reason }
}

/// What a source makes of an operation, message by message.
fn expected(source: Source, op: &str) -> Vec<Expected> {
    use Source::{Minio, Moto, MotoEventBridge, Versitygw};
    let created = "Object Created:ObjectCreated";
    let tags = || event(Verb::Meta, "Object Tags Added:ObjectTagging");
    match (op, source) {
        ("startup", Versitygw) | ("notification-config", Moto) | ("versioning-on", Moto) => {
            vec![Expected::Ignored(Why::TestEvent)]
        }
        ("create-bucket" | "notification-config" | "versioning-on", _) => vec![],
        ("mp-create" | "mp-part1" | "mp-part2" | "mp-unicode-create" | "mp-unicode-part1" | "mp-unicode-part2", _) => {
            vec![]
        }
        ("mp-abort-create" | "mp-abort" | "put-ifnonematch-fails", _) => vec![],
        // Refused by the real stores; moto stored it and said so.
        ("put-badmd5", Versitygw | Minio) | ("put-slash-double", Minio) => vec![],
        (put, MotoEventBridge) if put.starts_with("put") || put.starts_with("v-put") => {
            vec![event(Verb::Put, created), tags()]
        }
        (put, _) if put.starts_with("put") || put.starts_with("v-put") => vec![event(Verb::Put, "ObjectCreated:Put")],
        ("mp-complete" | "mp-unicode-complete", Versitygw | Minio) => {
            vec![event(Verb::Put, "ObjectCreated:CompleteMultipartUpload")]
        }
        ("mp-complete" | "mp-unicode-complete", Moto) => {
            vec![
                event(Verb::Put, "ObjectCreated:Put"),
                event(Verb::Put, "ObjectCreated:CompleteMultipartUpload"),
            ]
        }
        ("mp-complete" | "mp-unicode-complete", MotoEventBridge) => {
            vec![event(Verb::Put, created), tags(), event(Verb::Put, created)]
        }
        ("copy" | "copy-special", MotoEventBridge) => vec![event(Verb::Put, created)],
        ("copy" | "copy-special", _) => vec![event(Verb::Put, "ObjectCreated:Copy")],
        ("tag", Versitygw) => vec![event(Verb::Meta, "ObjectTagging:Put")],
        ("untag", Versitygw) => vec![event(Verb::Meta, "ObjectTagging:Delete")],
        ("tag", Minio) => vec![event(Verb::Meta, "ObjectCreated:PutTagging")],
        ("untag", Minio) => vec![event(Verb::Meta, "ObjectCreated:DeleteTagging")],
        ("tag", MotoEventBridge) => vec![tags()],
        ("untag", MotoEventBridge) => vec![event(Verb::Meta, "Object Tags Deleted:ObjectTagging")],
        ("tag" | "untag", Moto) => vec![],
        ("delete" | "delete-special", MotoEventBridge) => vec![event(Verb::Del, "Object Deleted:ObjectRemoved")],
        ("delete" | "delete-special", _) => vec![event(Verb::Del, "ObjectRemoved:Delete")],
        // versitygw cannot be told from a real removal here; MinIO can.
        ("delete-missing", Versitygw) => vec![event(Verb::Del, "ObjectRemoved:Delete")],
        ("delete-missing", Minio) => vec![Expected::Ignored(Why::NothingChanged)],
        ("delete-missing", Moto | MotoEventBridge) => vec![],
        ("delete-objects", source) => {
            let reason = match source {
                Versitygw => "ObjectRemoved:DeleteObjects",
                Minio | Moto => "ObjectRemoved:Delete",
                MotoEventBridge => "Object Deleted:ObjectRemoved",
            };
            (0..3).map(|_| event(Verb::Del, reason)).collect()
        }
        ("v-delete" | "v-delete-version" | "v-delete-marker", Versitygw) => {
            vec![event(Verb::Del, "ObjectRemoved:Delete")]
        }
        ("v-delete" | "v-delete-marker", Minio) => vec![event(Verb::Del, "ObjectRemoved:DeleteMarkerCreated")],
        ("v-delete-version", Minio) => vec![event(Verb::Del, "ObjectRemoved:Delete")],
        ("v-delete" | "v-delete-version" | "v-delete-marker", Moto | MotoEventBridge) => vec![],
        other => panic!("the table does not know {other:?}"),
    }
}

/// The size of the object with this entity tag: MD5 of the bodies the capture used.
fn size_of(etag: &str) -> u64 {
    match etag {
        "b1946ac92492d2347c6235b4d2611184" => 6,
        "90f4dd73d11e55a3d19b4bd8e4ad1bdb" => 12,
        "b491de58ba84d5e12333a236add6ddb5" | "a45036644f5fa7a96a944b9dde60d547" => 9,
        "1b26352878b4ebb7a0cdc8ef486faf5a" | "40bc979fc51c312c66f13621c9c53e84" => 7,
        "d41d8cd98f00b204e9800998ecf8427e" => 0,
        "0aef005c52ac42ae9b022a950899c5a0-2" => 6 * 1024 * 1024,
        "5bbf5a52328e7439ae6e719dfe712200" => 4,
        "0e7e0fde2b79174e03e6cb79ed759ef7" => 8,
        other => panic!("no body with entity tag {other}"),
    }
}

struct Walk {
    source: Source,
    /// The entity tag of every object, as the S3 replies said last.
    etags: BTreeMap<(String, String), String>,
    sequencers: Vec<String>,
}

impl Walk {
    #[track_caller]
    fn notice(&mut self, op: &Op, notice: &ObjectNotice, reason: &str) {
        let name = op.op.as_str();
        let at = (notice.bucket.to_string(), notice.key.to_string());
        assert_eq!(Some(&at.0), op.bucket.as_ref(), "{name}");
        assert_eq!(notice.reason, reason, "{name}");
        let current = self.etags.get(&at).cloned();
        let removed = notice.verb == Verb::Del;
        let silent_etag = match self.source {
            Source::Versitygw => removed || notice.verb == Verb::Meta,
            Source::Minio => removed,
            Source::Moto | Source::MotoEventBridge => false,
        };
        let told = notice.etag.as_ref().map(ToString::to_string);
        assert_eq!(told, current.clone().filter(|_| !silent_etag), "{name}");

        let unknown_size = match self.source {
            // Right for a plain put only; a removal or tagging says 0.
            Source::Versitygw => notice.reason != "ObjectCreated:Put",
            Source::Minio => removed,
            Source::Moto | Source::MotoEventBridge => false,
        };
        let size = current.map(|etag| size_of(&etag)).filter(|_| !unknown_size);
        assert_eq!(notice.size, size, "{name}");

        let version = op.result.as_ref().and_then(|r| r.version.clone());
        let version = version.filter(|_| matches!(self.source, Source::Minio | Source::MotoEventBridge));
        assert_eq!(notice.version.as_ref().map(ToString::to_string), version, "{name}");

        let time = notice.event_time.map(|at| at.to_string()).unwrap_or_default();
        assert!(time.starts_with("2026-11-21T03:1"), "{name}: {time}");
        self.sequencers.extend(notice.sequencer.clone());
    }

    /// Applies what the S3 reply said before its messages are looked at.
    fn reply(&mut self, op: &Op) {
        let etag = op.result.as_ref().and_then(|r| r.etag.as_ref());
        let (Some(bucket), Some(Key::One(key)), Some(etag)) = (&op.bucket, &op.key, etag) else {
            return;
        };
        let bare = etag
            .strip_prefix('"')
            .and_then(|e| e.strip_suffix('"'))
            .expect("S3 replies quote");
        self.etags
            .insert((bucket.clone(), told_key(self.source, &op.op, key)), bare.to_owned());
    }
}

/// MinIO drops a leading slash before it does anything; its listing shows that this is the key it keeps.
fn told_key(source: Source, op: &str, key: &str) -> String {
    match (source, op) {
        (Source::Minio, "put-slash-lead") => key.trim_start_matches('/').to_owned(),
        _ => key.to_owned(),
    }
}

/// Walks one folder; returns how many messages it has.
fn check(folder: &str, source: Source, dialect: Dialect) -> usize {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/notifications")
        .join(folder);
    let manifest: Manifest = serde_json::from_slice(&fs::read(root.join("manifest.json")).unwrap()).unwrap();
    let mut walk = Walk {
        source,
        etags: BTreeMap::new(),
        sequencers: Vec::new(),
    };
    let mut files = BTreeSet::new();
    for op in &manifest.ops {
        let name = &op.op;
        walk.reply(op);
        if op.error.is_some() {
            assert!(op.messages.is_empty(), "{folder} {name}: refused, but announced");
        }
        let wanted = expected(source, name);
        assert_eq!(op.messages.len(), wanted.len(), "{folder} {name}: number of messages");
        let mut keys = Vec::new();
        for (message, wanted) in op.messages.iter().zip(wanted) {
            assert!(
                files.insert(message.file.clone()),
                "{} stands in two operations",
                message.file
            );
            let body = fs::read(root.join(&message.file)).unwrap();
            assert_eq!(body.len(), message.bytes, "{folder}/{}", message.file);
            assert_eq!(
                hex::encode(Sha256::digest(&body)),
                message.sha256,
                "{folder}/{} was edited",
                message.file
            );
            let read = parse(dialect, &body).unwrap();
            assert_eq!(
                parse(Dialect::Auto, &body).unwrap(),
                read,
                "{folder}/{}: recognised as something else",
                message.file
            );
            let [one] = read.as_slice() else {
                panic!("{folder}/{}: {} notifications", message.file, read.len())
            };
            match (one, wanted) {
                (Notification::Object(notice), Expected::Event { verb, reason }) => {
                    assert_eq!(notice.verb, verb, "{folder}/{}", message.file);
                    walk.notice(op, notice, reason);
                    keys.push(notice.key.to_string());
                }
                (Notification::Ignored(ignored), Expected::Ignored(why)) => {
                    assert_eq!(ignored.why, why, "{folder}/{}", message.file)
                }
                (found, wanted) => panic!("{folder}/{}: {found:?}, not {wanted:?}", message.file),
            }
        }
        match &op.key {
            Some(Key::One(key)) => assert!(
                keys.iter().all(|k| *k == told_key(source, name, key)),
                "{folder} {name}: {keys:?}"
            ),
            Some(Key::Many(all)) => {
                // The order is not promised, the set is.
                let sorted = |keys: &[String]| keys.iter().cloned().collect::<BTreeSet<_>>();
                assert_eq!(sorted(&keys), sorted(all), "{folder} {name}");
            }
            None => assert!(keys.is_empty(), "{folder} {name}: about no object, but {keys:?}"),
        }
    }
    let on_disk: BTreeSet<String> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "manifest.json" && !name.ends_with(".headers.json"))
        .collect();
    assert_eq!(
        files, on_disk,
        "{folder}: files without an operation, or the other way round"
    );
    sequencers(source, &walk.sequencers);
    if source == Source::Minio {
        assert!(
            manifest.meta.listing_after.contains(&"lead.txt".to_owned()),
            "the key MinIO keeps"
        );
    }
    files.len()
}

fn sequencers(source: Source, all: &[String]) {
    match source {
        // A counter in unpadded hex: not comparable as text, and useless across restarts.
        Source::Versitygw => {
            let numbers: Vec<u64> = all.iter().map(|s| u64::from_str_radix(s, 16).unwrap()).collect();
            assert_eq!(numbers, (1..=37).collect::<Vec<_>>());
        }
        Source::Minio => {
            // One message was ignored.
            assert_eq!(all.len(), 35);
            assert!(all.iter().all(|s| s.len() == 16 && u64::from_str_radix(s, 16).is_ok()));
        }
        Source::Moto => assert!(all.is_empty()),
        // One constant: nothing may be told apart by it.
        Source::MotoEventBridge => assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 1),
    }
}

#[test]
fn versitygw() {
    assert_eq!(check("versitygw", Source::Versitygw, Dialect::Versitygw), 38);
}

#[test]
fn minio() {
    assert_eq!(check("minio", Source::Minio, Dialect::Minio), 36);
}

#[test]
fn moto_sqs() {
    assert_eq!(check("moto-sqs", Source::Moto, Dialect::Aws), 36);
}

#[test]
fn moto_sns() {
    assert_eq!(check("moto-sns-sqs", Source::Moto, Dialect::Sns), 36);
}

#[test]
fn moto_eventbridge() {
    assert_eq!(
        check("moto-eventbridge-sqs", Source::MotoEventBridge, Dialect::EventBridge),
        61
    );
}
