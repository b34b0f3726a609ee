//! The table of roles: what each part of the system needs from the broker.

use cofferdam_schemas::ids::{Lane, ProcessorName, SourceName};

use crate::topology::{
    ADV, CMD, DLQ, DLQ_WRITER, EVT, JOB, JOIN, JOINER, NORMALISE, RAW, RES, command_consumer, processor_consumer,
    sink_done_consumer, sink_events_consumer, sink_results_consumer,
};
use crate::trim::STREAMS;

pub(super) const OPERATOR: &str = "operator";

/// What one role needs. Its permissions follow from this and from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleNeeds {
    /// The role; also its user and its inbox, `_INBOX_<role>.>`.
    pub role: String,
    /// Subjects it publishes to.
    pub publish: Vec<String>,
    /// Subjects it subscribes to, beside its inbox.
    pub subscribe: Vec<String>,
    /// Durable consumers it works for, as (stream, consumer): their configuration, the next messages, acks of both
    /// forms, and dead letters.
    pub consumers: Vec<(String, String)>,
    /// Streams it reads single messages of, by sequence or by last of a subject, and whose state it may see.
    pub reads: Vec<String>,
    /// Consumers whose state it may see, as (stream, consumer or `*`).
    pub watches: Vec<(String, String)>,
    /// Streams it removes messages from, and reads single messages of.
    pub trims: Vec<String>,
    /// Whether it answers requests: one reply to each request that reaches it.
    pub responds: bool,
}

impl RoleNeeds {
    /// A role that needs nothing yet.
    pub fn new(role: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            publish: Vec::new(),
            subscribe: Vec::new(),
            consumers: Vec::new(),
            reads: Vec::new(),
            watches: Vec::new(),
            trims: Vec::new(),
            responds: false,
        }
    }

    fn publishes(mut self, subjects: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.publish.extend(subjects.into_iter().map(Into::into));
        self
    }

    fn answers(mut self, subject: &str) -> Self {
        self.subscribe.push(subject.to_owned());
        self.responds = true;
        self
    }

    fn works(mut self, stream: &str, consumer: impl Into<String>) -> Self {
        self.consumers.push((stream.to_owned(), consumer.into()));
        self
    }

    fn looks_into(mut self, streams: impl IntoIterator<Item = &'static str>) -> Self {
        self.reads.extend(streams.into_iter().map(str::to_owned));
        self
    }

    fn watches(mut self, stream: &str, consumer: &str) -> Self {
        self.watches.push((stream.to_owned(), consumer.to_owned()));
        self
    }

    fn trims(mut self, stream: &str) -> Self {
        self.trims.push(stream.to_owned());
        self.watches(stream, "*")
    }

    /// Every subject it may publish to, the JetStream API's included.
    pub fn may_publish(&self) -> Vec<String> {
        let mut subjects = self.publish.clone();
        for (stream, consumer) in &self.consumers {
            subjects.push(format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}"));
            subjects.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"));
            subjects.push(format!("$JS.ACK.{stream}.{consumer}.>"));
            // The second form, which names domain and account first, is off by default from 2.14 and will be on one
            // day.
            subjects.push(format!("$JS.ACK.*.*.{stream}.{consumer}.>"));
            subjects.push(format!("dlq.v1.*.{stream}.{consumer}.>"));
        }
        for stream in &self.reads {
            subjects.push(format!("$JS.API.STREAM.INFO.{stream}"));
            subjects.push(format!("$JS.API.STREAM.MSG.GET.{stream}"));
            subjects.push(format!("$JS.API.DIRECT.GET.{stream}"));
            subjects.push(format!("$JS.API.DIRECT.GET.{stream}.>"));
        }
        for (stream, consumer) in &self.watches {
            subjects.push(format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}"));
        }
        for stream in &self.trims {
            subjects.push(format!("$JS.API.STREAM.INFO.{stream}"));
            subjects.push(format!("$JS.API.STREAM.MSG.GET.{stream}"));
            subjects.push(format!("$JS.API.STREAM.PURGE.{stream}"));
        }
        subjects
    }

    /// Every subject it may subscribe to.
    pub fn may_subscribe(&self) -> Vec<String> {
        let mut subjects = self.subscribe.clone();
        subjects.push(format!("_INBOX_{}.>", self.role));
        subjects
    }
}

/// The names that the table of roles depends on.
#[derive(Debug, Clone, Copy)]
pub struct RoleFacts<'a> {
    /// Processors: each takes `<name>-hi` and `<name>-bulk` from EVT.
    pub processors: &'a [ProcessorName],
    /// Commands: each takes `cmd-<verb>` from CMD.
    pub verbs: &'a [ProcessorName],
    /// Sinks: each takes `sink-<name>-events`, `sink-<name>` and `done-<name>`.
    pub sinks: &'a [String],
    /// Foreign stores that publish their notifications themselves.
    pub sources: &'a [SourceName],
}

/// The role, and user, that a foreign store publishes its notifications with.
pub fn source_role(source: &SourceName) -> String {
    format!("source_{source}")
}

/// The roles of one installation. A name that occurs twice is refused by [`super::Accounts::load_or_create`].
pub fn roles(facts: RoleFacts<'_>) -> Vec<RoleNeeds> {
    let mut roles = vec![
        // The only one that makes, changes and removes streams and consumers.
        RoleNeeds::new("provisioner").publishes(["$JS.API.>"]),
        RoleNeeds::new("ingest")
            .publishes(["evt.v1.>", "cmd.v1.>"])
            .works(RAW, NORMALISE),
        // What tenants write arrives here as they wrote it, and the client ends a connection on which it reads a header
        // or subject that is no text. So it has one of its own: work in hand does not depend on it.
        RoleNeeds::new("gateway").publishes(["cmd.v1.>"]).answers("cmdin.v1.>"),
        // Both kinds of JOIN messages; looks for the spilled state and for a `done` that is already there.
        RoleNeeds::new("join")
            .publishes(["join.v1.state.*.*", "join.v1.done.*.*"])
            .works(RES, JOINER)
            .looks_into([JOIN]),
        facts.sinks.iter().fold(RoleNeeds::new("sink"), |role, name| {
            role.works(EVT, sink_events_consumer(name))
                .works(RES, sink_results_consumer(name))
                .works(JOIN, sink_done_consumer(name))
        }),
        RoleNeeds::new("query").answers("q.v1.>"),
        // Copies the bodies of messages whose worker could not: reads where they lie, writes the dead letter and the
        // dead result.
        RoleNeeds::new("dlq")
            .publishes(["dlq.v1.>", "res.v1.*.*.dead.>"])
            .works(ADV, DLQ_WRITER)
            .looks_into([RAW, EVT, CMD, RES, JOIN, DLQ]),
        // Removes what everybody is done with; looks at the advisories and dead letters that stand in the way.
        STREAMS
            .iter()
            .fold(RoleNeeds::new("trim"), |role, stream| role.trims(stream))
            .watches(ADV, DLQ_WRITER)
            .looks_into([DLQ, ADV]),
        operator(),
    ];
    roles.extend(facts.processors.iter().map(|name| {
        Lane::ALL.iter().fold(
            // Looks for the `done` of a document that is gone.
            RoleNeeds::new(name.as_str())
                .publishes([format!("res.v1.*.{name}.>")])
                .looks_into([JOIN]),
            |role, lane| role.works(EVT, processor_consumer(name, *lane)),
        )
    }));
    roles.extend(facts.verbs.iter().map(|verb| {
        RoleNeeds::new(verb.as_str())
            .publishes([format!("res.v1.*.{verb}.>")])
            .works(CMD, command_consumer(verb.as_str()))
    }));
    roles.extend(facts.sources.iter().map(|source| {
        let mut role = RoleNeeds::new(source_role(source)).publishes([format!("raw.s3.{source}")]);
        // A foreign store has the stock inbox of its client library; it waits there for the publish ack.
        role.subscribe.push("_INBOX.>".to_owned());
        role
    }));
    roles
}

/// People: look at everything, read and replay dead letters, ask any tenant's queries. Changes no stream and no
/// durable consumer.
fn operator() -> RoleNeeds {
    let mut role = RoleNeeds::new(OPERATOR)
        .publishes([
            "$JS.API.INFO",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.LIST",
            "$JS.API.CONSUMER.NAMES.*",
            "$JS.API.CONSUMER.LIST.*",
            "$JS.API.CONSUMER.INFO.*.*",
            // Reading a long DLQ takes a consumer of one's own, which goes away by itself.
            "$JS.API.CONSUMER.CREATE.DLQ.>",
            "$JS.API.CONSUMER.DELETE.DLQ.*",
            "$JS.API.CONSUMER.MSG.NEXT.DLQ.*",
            "$JS.ACK.DLQ.>",
            // A letter that was replayed is removed.
            "$JS.API.STREAM.MSG.DELETE.DLQ",
            "$JS.ACK.*.*.DLQ.>",
            "q.v1.>",
        ])
        .looks_into([RAW, EVT, CMD, RES, JOIN, DLQ, ADV, JOB]);
    // A replay publishes the dead message to where it came from.
    role = role.publishes(["raw.s3.*", "evt.v1.>", "cmd.v1.>", "res.v1.>"]);
    role.subscribe.push("live.v1.>".to_owned());
    // The stock inbox, so that stock tools work with the operator's login.
    role.subscribe.push("_INBOX.>".to_owned());
    role
}
