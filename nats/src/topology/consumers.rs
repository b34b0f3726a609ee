//! The consumers. All are durable, pull, with explicit acks, and without `backoff`, which would replace `ack_wait` by
//! its first element.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, pull};
use cofferdam_schemas::{Lane, ProcessorName};

use super::{
    ADV, CMD, DLQ_WRITER, EVT, JOIN, JOINER, NORMALISE, RAW, RES, TopologySettings, command_consumer,
    processor_consumer, sink_done_consumer, sink_events_consumer, sink_results_consumer,
};
use crate::subject::{Cmd, Evt, Join};

/// Which service pulls from a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The normaliser.
    Ingest,
    /// A processor.
    Processor(ProcessorName),
    /// Whoever answers a verb: the processor that declares it.
    Verb(ProcessorName),
    /// A sink.
    Sink(String),
    /// The joiner.
    Join,
    /// The dead-letter writer.
    Dlq,
}

/// One consumer.
#[derive(Debug, Clone)]
pub struct ConsumerSpec {
    /// The stream it reads.
    pub stream: &'static str,
    /// Its durable name.
    pub name: String,
    /// Who pulls from it.
    pub owner: Owner,
    /// Its settings, as JetStream takes them.
    pub config: pull::Config,
}

impl ConsumerSpec {
    /// The subjects it takes; `>` is all of its stream.
    pub fn filters(&self) -> Vec<String> {
        match self.config.filter_subject.as_str() {
            "" if self.config.filter_subjects.is_empty() => vec![">".to_owned()],
            "" => self.config.filter_subjects.clone(),
            one => vec![one.to_owned()],
        }
    }
}

/// No end to deliveries: a store that is down is not poison.
const FOREVER: i64 = -1;
/// The most the server's own limit allows (`max_ack_pending` in its configuration). The joiner keeps a message until
/// its object is done or spilled, two seconds at most, so this bounds it to 2,500 results a second with every object
/// slow, and far more otherwise.
const JOIN_PENDING: i64 = 5000;

pub(super) fn all(settings: &TopologySettings) -> Vec<ConsumerSpec> {
    let mut all = vec![
        spec(
            RAW,
            NORMALISE.into(),
            Owner::Ingest,
            vec!["raw.s3.>".into()],
            30,
            512,
            10,
        ),
        spec(
            RES,
            JOINER.into(),
            Owner::Join,
            vec!["res.v1.*.*.*.>".into()],
            30,
            JOIN_PENDING,
            FOREVER,
        ),
        spec(ADV, DLQ_WRITER.into(), Owner::Dlq, vec![], 30, 128, FOREVER),
    ];
    for processor in &settings.processors {
        for lane in Lane::ALL {
            let name = processor_consumer(processor, lane);
            let owner = Owner::Processor(processor.clone());
            let mut spec = spec(
                EVT,
                name,
                owner,
                Evt::work(lane),
                60,
                settings.processor_max_ack_pending,
                6,
            );
            spec.config.ack_wait = settings.processor_ack_wait;
            spec.config.max_deliver = settings.processor_max_deliver;
            all.push(spec);
        }
    }
    for verb in &settings.verbs {
        let name = command_consumer(verb.as_str());
        all.push(spec(
            CMD,
            name,
            Owner::Verb(verb.clone()),
            vec![Cmd::of_verb(verb)],
            60,
            256,
            5,
        ));
    }
    for sink in &settings.sinks {
        let owner = Owner::Sink(sink.clone());
        all.push(spec(
            EVT,
            sink_events_consumer(sink),
            owner.clone(),
            vec![Evt::ALL.into()],
            30,
            2000,
            FOREVER,
        ));
        all.push(spec(
            RES,
            sink_results_consumer(sink),
            owner.clone(),
            vec!["res.v1.>".into()],
            30,
            2000,
            FOREVER,
        ));
        all.push(spec(
            JOIN,
            sink_done_consumer(sink),
            owner,
            vec![Join::ALL_DONE.into()],
            30,
            2000,
            FOREVER,
        ));
    }
    for consumer in &mut all {
        consumer.config.num_replicas = settings.replicas;
    }
    all
}

fn spec(
    stream: &'static str,
    name: String,
    owner: Owner,
    mut filters: Vec<String>,
    ack_wait_s: u64,
    max_ack_pending: i64,
    max_deliver: i64,
) -> ConsumerSpec {
    let single = if filters.len() == 1 {
        filters.remove(0)
    } else {
        String::new()
    };
    let config = pull::Config {
        durable_name: Some(name.clone()),
        name: Some(name.clone()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        replay_policy: ReplayPolicy::Instant,
        ack_wait: Duration::from_secs(ack_wait_s),
        max_ack_pending,
        max_deliver,
        max_waiting: 512,
        filter_subject: single,
        filter_subjects: filters,
        ..pull::Config::default()
    };
    ConsumerSpec {
        stream,
        name,
        owner,
        config,
    }
}
