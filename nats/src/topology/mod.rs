//! The streams and consumers there are, as data.
//!
//! [`Topology::new`] is the one table; [`crate::provision()`] makes a broker agree with it, the accounts derive
//! permissions from it, and the workers find their consumer in it by name. Retention is `limits` everywhere: only there
//! does the deduplication window survive a full restart of the server, and only there can a message be read again by
//! sequence after it was acknowledged.

mod consumers;
mod streams;

pub use consumers::{ConsumerSpec, Owner};
pub use streams::{StreamLimits, StreamSpec};

use std::collections::BTreeMap;
use std::time::Duration;

use cofferdam_schemas::{Lane, ProcessorName};

/// Notifications of foreign stores, untouched.
pub const RAW: &str = "RAW";
/// Canonical object events.
pub const EVT: &str = "EVT";
/// Accepted commands.
pub const CMD: &str = "CMD";
/// Results of processors and commands.
pub const RES: &str = "RES";
/// Completion: what is in so far, and what is finished.
pub const JOIN: &str = "JOIN";
/// Messages that were given up, as full copies.
pub const DLQ: &str = "DLQ";
/// The broker's own advisories about messages it gave up, made durable.
pub const ADV: &str = "ADV";
/// Scheduled work.
pub const JOB: &str = "JOB";

/// The consumer of the normaliser, on `RAW`.
pub const NORMALISE: &str = "normalise";
/// The consumer of the joiner, on `RES`.
pub const JOINER: &str = "join";
/// The consumer of the dead-letter writer, on `ADV`.
pub const DLQ_WRITER: &str = "dlq-writer";

/// The consumer of a processor in one lane, on `EVT`.
pub fn processor_consumer(processor: &ProcessorName, lane: Lane) -> String {
    format!("{processor}-{lane}")
}
/// The consumer of a command's verb, on `CMD`.
pub fn command_consumer(verb: &str) -> String {
    format!("cmd-{verb}")
}
/// A sink's consumer of object events, on `EVT`.
pub fn sink_events_consumer(sink: &str) -> String {
    format!("sink-{sink}-events")
}
/// A sink's consumer of results, on `RES`.
pub fn sink_results_consumer(sink: &str) -> String {
    format!("sink-{sink}")
}
/// A sink's consumer of finished objects, on `JOIN`.
pub fn sink_done_consumer(sink: &str) -> String {
    format!("done-{sink}")
}

/// What the table depends on.
#[derive(Debug, Clone)]
pub struct TopologySettings {
    /// The processors that run: two consumers each.
    pub processors: Vec<ProcessorName>,
    /// The verbs of commands: one consumer each.
    pub verbs: Vec<ProcessorName>,
    /// The sinks, for example `sqlite`: three consumers each.
    pub sinks: Vec<String>,
    /// Copies of each stream and consumer: 1 embedded, 3 in a cluster.
    pub replicas: usize,
    /// Size limits in bytes by stream name, in place of [`StreamLimits::EMBEDDED`]. The server reserves them at once,
    /// so their sum must fit into its `max_file_store`.
    pub max_bytes: BTreeMap<String, i64>,
    /// Messages a processor's consumer hands out, over all replicas of the processor, before one comes back: at least
    /// replicas × 2 × concurrency.
    pub processor_max_ack_pending: i64,
    /// How long a processor may be silent before the broker gives the message to another. The shell sends progress
    /// three times within it.
    pub processor_ack_wait: Duration,
    /// How often a processor's message is delivered before it is given up.
    pub processor_max_deliver: i64,
}

impl Default for TopologySettings {
    fn default() -> Self {
        Self {
            processors: Vec::new(),
            verbs: Vec::new(),
            sinks: Vec::new(),
            replicas: 1,
            max_bytes: BTreeMap::new(),
            processor_max_ack_pending: 256,
            processor_ack_wait: Duration::from_secs(60),
            processor_max_deliver: 6,
        }
    }
}

/// The table.
#[derive(Debug, Clone)]
pub struct Topology {
    /// Every stream.
    pub streams: Vec<StreamSpec>,
    /// Every consumer. All of them exist before the first publish.
    pub consumers: Vec<ConsumerSpec>,
}

impl Topology {
    /// The table for these settings. Consumers are sorted by stream and name, without repeats.
    pub fn new(settings: &TopologySettings) -> Self {
        let mut consumers = consumers::all(settings);
        consumers.sort_by(|a, b| (a.stream, &a.name).cmp(&(b.stream, &b.name)));
        consumers.dedup_by(|a, b| a.stream == b.stream && a.name == b.name);
        Self {
            streams: streams::all(settings),
            consumers,
        }
    }

    /// A stream by name.
    pub fn stream(&self, name: &str) -> Option<&StreamSpec> {
        self.streams.iter().find(|s| s.name == name)
    }

    /// A consumer by stream and name.
    pub fn consumer(&self, stream: &str, name: &str) -> Option<&ConsumerSpec> {
        self.consumers.iter().find(|c| c.stream == stream && c.name == name)
    }

    /// The consumers of one service.
    pub fn consumers_of(&self, owner: &Owner) -> impl Iterator<Item = &ConsumerSpec> {
        self.consumers.iter().filter(move |c| c.owner == *owner)
    }
}

#[cfg(test)]
mod tests;
