//! The streams.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy, Republish, RetentionPolicy, StorageType};

use super::{ADV, CMD, DLQ, EVT, JOB, JOIN, RAW, RES, TopologySettings};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The deduplication window of busy streams. The server keeps each id in memory (0.2 KB, measured) and reads the window
/// again at every start: a thousand documents a second with five results each are 140 MB in two minutes and would be
/// 2 GB in half an hour. It is longer than any publish is repeated; what comes later has the same effect again.
const WINDOW: u64 = 2 * MINUTE;

/// One stream.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    /// Its name.
    pub name: &'static str,
    /// Its settings, as JetStream takes them.
    pub config: Config,
}

/// How large streams may become.
pub struct StreamLimits;

impl StreamLimits {
    /// Bytes by stream for one machine, 2.2 GiB in all. A document leaves about 5 KiB in `EVT`, `RES` and `JOIN`
    /// together.
    pub const EMBEDDED: [(&'static str, i64); 8] = [
        (RAW, 128 << 20),
        (EVT, 512 << 20),
        (CMD, 128 << 20),
        (RES, 768 << 20),
        (JOIN, 384 << 20),
        (DLQ, 256 << 20),
        (ADV, 32 << 20),
        (JOB, 8 << 20),
    ];

    /// [`Self::EMBEDDED`], halved or doubled as a whole (down to a sixteenth, up to eightfold) until it takes at most
    /// three quarters of the server's `max_file_store`, which is told in bytes. Powers of two, so that a disk that is
    /// a little fuller at the next start changes nothing.
    pub fn within(max_file_store: u64) -> BTreeMap<String, i64> {
        let total: i64 = Self::EMBEDDED.iter().map(|(_, bytes)| bytes).sum();
        let room = i64::try_from(max_file_store / 4 * 3).unwrap_or(i64::MAX);
        let fits = |sixteenths: &i64| total / 16 * sixteenths <= room;
        let sixteenths = [128, 64, 32, 16, 8, 4, 2, 1].into_iter().find(fits).unwrap_or(1);
        Self::EMBEDDED
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes / 16 * sixteenths))
            .collect()
    }
}

/// The age and window of one stream, in seconds, and which end gives way when it is full.
struct Shape {
    name: &'static str,
    purpose: &'static str,
    subjects: &'static [&'static str],
    discard: DiscardPolicy,
    max_age_s: u64,
    duplicates_s: u64,
}

const SHAPES: [Shape; 8] = [
    Shape {
        name: RAW,
        purpose: "notifications of foreign stores, untouched",
        subjects: &["raw.s3.>"],
        discard: DiscardPolicy::New,
        max_age_s: 72 * HOUR,
        duplicates_s: 10 * MINUTE,
    },
    Shape {
        name: EVT,
        purpose: "canonical object events",
        subjects: &["evt.v1.>"],
        discard: DiscardPolicy::New,
        max_age_s: 7 * DAY,
        duplicates_s: WINDOW,
    },
    Shape {
        name: CMD,
        purpose: "accepted commands",
        subjects: &["cmd.v1.>"],
        discard: DiscardPolicy::New,
        max_age_s: 72 * HOUR,
        duplicates_s: 2 * HOUR,
    },
    Shape {
        name: RES,
        purpose: "results of processors and commands",
        subjects: &["res.v1.>"],
        discard: DiscardPolicy::New,
        max_age_s: 7 * DAY,
        duplicates_s: WINDOW,
    },
    Shape {
        name: JOIN,
        purpose: "completion of object versions",
        subjects: &["join.v1.state.>", "join.v1.done.>"],
        discard: DiscardPolicy::New,
        // As long as a dead letter may wait: the state of its object is needed when it is replayed. The trimmer removes
        // what is finished long before.
        max_age_s: 90 * DAY,
        duplicates_s: WINDOW,
    },
    Shape {
        name: DLQ,
        purpose: "full copies of messages that were given up",
        subjects: &["dlq.v1.>"],
        discard: DiscardPolicy::Old,
        max_age_s: 90 * DAY,
        duplicates_s: 24 * HOUR,
    },
    Shape {
        name: ADV,
        purpose: "advisories about messages that were given up",
        subjects: &[
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
            "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.>",
        ],
        discard: DiscardPolicy::Old,
        max_age_s: 14 * DAY,
        duplicates_s: 2 * MINUTE,
    },
    Shape {
        name: JOB,
        purpose: "scheduled work",
        subjects: &["job.v1.sched.>", "job.v1.run.>"],
        discard: DiscardPolicy::Old,
        max_age_s: 7 * DAY,
        duplicates_s: 2 * MINUTE,
    },
];

pub(super) fn all(settings: &TopologySettings) -> Vec<StreamSpec> {
    SHAPES
        .iter()
        .map(|shape| StreamSpec {
            name: shape.name,
            config: config(shape, settings),
        })
        .collect()
}

fn config(shape: &Shape, settings: &TopologySettings) -> Config {
    let embedded = StreamLimits::EMBEDDED
        .iter()
        .find(|(name, _)| *name == shape.name)
        .map(|(_, bytes)| *bytes);
    let max_bytes = settings.max_bytes.get(shape.name).copied().or(embedded).unwrap_or(-1);
    let mut config = Config {
        name: shape.name.to_owned(),
        description: Some(shape.purpose.to_owned()),
        subjects: shape.subjects.iter().map(|&s| s.to_owned()).collect(),
        retention: RetentionPolicy::Limits,
        discard: shape.discard,
        max_age: Duration::from_secs(shape.max_age_s),
        duplicate_window: Duration::from_secs(shape.duplicates_s),
        max_bytes,
        // The server writes "no limit" as -1 and would report 0 as drift.
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        // The query service and the operator's commands read single messages; any replica may answer.
        allow_direct: true,
        compression: Some(Compression::None),
        ..Config::default()
    };
    match shape.name {
        RAW => {
            config.max_message_size = 256 << 10;
            config.compression = Some(Compression::S2);
        }
        EVT => {
            config.compression = Some(Compression::S2);
            config.republish = Some(republish(
                "evt.v1.*.*.*.>",
                "live.v1.{{wildcard(2)}}.event.{{wildcard(3)}}.>",
            ));
        }
        RES => {
            config.compression = Some(Compression::S2);
            config.republish = Some(republish(
                "res.v1.*.*.*.>",
                "live.v1.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.>",
            ));
        }
        JOIN => {
            config.max_messages_per_subject = 1;
            config.allow_message_ttl = true;
            config.republish = Some(republish("join.v1.done.*.>", "live.v1.{{wildcard(1)}}.done.>"));
        }
        CMD => config.allow_message_ttl = true,
        JOB => {
            config.allow_message_schedules = true;
            config.allow_message_ttl = true;
        }
        // `DLQ` does not deny deletes: an entry that was replayed is removed, so that its depth is what still waits for
        // a person.
        _ => {}
    }
    config
}

/// The server takes a transform here only when both sides end in `>`.
fn republish(source: &str, destination: &str) -> Republish {
    Republish {
        source: source.to_owned(),
        destination: destination.to_owned(),
        headers_only: false,
    }
}
