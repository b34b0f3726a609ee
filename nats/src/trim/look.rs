//! Finding out how far everybody is with a stream.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use cofferdam_schemas::Timestamp;
use cofferdam_seams::{Clock, SystemClock};
use serde::Deserialize;

use super::TrimSettings;
use super::floor::{Facts, Fence};
use crate::bus::Bus;
use crate::dlq;
use crate::error::NatsError;
use crate::subject::Join;
use crate::topology::{ADV, ConsumerSpec, DLQ_WRITER, JOIN, Topology};

/// Messages of `DLQ` or `ADV` read for one stream in one look.
const MOST_READ: usize = 500;
/// Looks whose floors are remembered until they have stood long enough.
const MOST_LOOKS: usize = 64;

/// One stream, and what is remembered of it from look to look.
pub(super) struct Looker {
    pub(super) stream: &'static str,
    /// The only messages that are removed; `None` is all.
    pub(super) only: Option<&'static str>,
    /// Those that stay.
    pub(super) stays: Option<&'static str>,
    pub(super) fill: f64,
    consumers: Vec<ConsumerSpec>,
    floors: VecDeque<(Instant, u64)>,
    letters: Letters,
    held_by: Option<Fence>,
    warned: bool,
}

impl Looker {
    pub(super) fn new(stream: &'static str, topology: &Topology) -> Self {
        let joins = stream == JOIN;
        Self {
            stream,
            only: joins.then_some(Join::ALL_DONE),
            stays: joins.then_some(Join::ALL_STATES),
            fill: 0.0,
            consumers: topology
                .consumers
                .iter()
                .filter(|c| c.stream == stream)
                .cloned()
                .collect(),
            floors: VecDeque::new(),
            letters: Letters::default(),
            held_by: None,
            warned: false,
        }
    }

    /// What there is to know, or `None` when the stream is below the start mark.
    pub(super) async fn look(&mut self, bus: &Bus, settings: &TrimSettings) -> Result<Option<Facts>, NatsError> {
        // Before the consumers: what arrives meanwhile is not looked at.
        let state = bus.stream_state(self.stream).await?;
        let by_bytes = share(state.bytes, u64::try_from(state.max_bytes).unwrap_or(0));
        let by_number = share(state.messages, settings.most.get(self.stream).copied().unwrap_or(0));
        self.fill = by_bytes.max(by_number);
        bus.metrics().filled(self.stream, by_bytes);
        if self.fill < settings.start {
            self.floors.clear();
            return Ok(None);
        }
        let all = self.only.unwrap_or(">");
        let Some(first) = bus.first_from(self.stream, state.first_seq, all).await? else {
            return Ok(None);
        };
        let mut consumers = Vec::with_capacity(self.consumers.len());
        for consumer in &self.consumers {
            let floor = needed_until(bus, consumer, state.last_seq).await?;
            consumers.push((consumer.name.clone(), floor));
        }
        let lowest = consumers
            .iter()
            .map(|(_, floor)| *floor)
            .min()
            .unwrap_or(state.last_seq);
        let kept = if self.only.is_some() {
            settings.done_kept
        } else {
            Duration::ZERO
        };
        Ok(Some(Facts {
            first: first.seq,
            last: state.last_seq,
            fill: self.fill,
            consumers,
            before: self.before(lowest, settings.settle),
            uncopied: uncopied(bus, self.stream, state.first_seq).await?,
            young: self.since(bus, kept, state.last_seq).await?,
            letter: self.letters.oldest(bus, self.stream, state.first_seq).await?,
            replay: self.since(bus, settings.replay, state.last_seq).await?,
        }))
    }

    /// The floor that has stood for long enough; remembers the new one.
    fn before(&mut self, lowest: u64, settle: Duration) -> Option<u64> {
        let now = Instant::now();
        while self
            .floors
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= settle)
        {
            self.floors.pop_front();
        }
        let stood = self.floors.front().filter(|(at, _)| now.duration_since(*at) >= settle);
        let before = stood.map(|(_, floor)| *floor);
        if self.floors.len() == MOST_LOOKS {
            self.floors.pop_back();
        }
        self.floors.push_back((now, lowest));
        before
    }

    /// The first message that was stored within this time.
    async fn since(&self, bus: &Bus, time: Duration, last: u64) -> Result<u64, NatsError> {
        if time.is_zero() {
            return Ok(last + 1);
        }
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let from = SystemClock.now().unix_millis().saturating_sub(millis).max(0);
        let first = bus
            .first_since(self.stream, Timestamp::from_unix_millis(from), self.only.unwrap_or(">"))
            .await?;
        Ok(first.map_or(last + 1, |message| message.seq))
    }

    /// Metrics and log about what stands in the way.
    pub(super) fn note(&mut self, bus: &Bus, held_by: Option<&Fence>, pressed: bool) {
        let metrics = bus.metrics();
        if self.held_by.as_ref() != held_by {
            if let Some(old) = &self.held_by {
                metrics.trim_held(self.stream, old.label(), false);
            }
            if let Some(new) = held_by {
                metrics.trim_held(self.stream, new.label(), true);
            }
            self.held_by = held_by.cloned();
            self.warned = false;
        }
        match held_by {
            // It stands for a moment after every start, and is no news.
            None | Some(Fence::Settling) => {}
            Some(fence) if pressed && !self.warned => {
                self.warned = true;
                tracing::warn!(
                    stream = self.stream,
                    fill = self.fill,
                    held_by = fence.label(),
                    "stream is filling up and cannot be trimmed"
                );
            }
            Some(_) => {}
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Up to where a consumer needs nothing any more: the message before the first behind its ack floor that it takes.
async fn needed_until(bus: &Bus, spec: &ConsumerSpec, last: u64) -> Result<u64, NatsError> {
    let info = bus.consumer_info(spec.stream, &spec.name).await?;
    let from = info.ack_floor.stream_sequence + 1;
    let mut until = last;
    for filter in spec.filters() {
        if let Some(message) = bus.first_from(spec.stream, from, &filter).await? {
            until = until.min(message.seq - 1);
        }
    }
    Ok(until)
}

/// An advisory about one message.
#[derive(Deserialize)]
struct Advisory {
    #[serde(default)]
    stream_seq: u64,
}

/// The oldest message of a stream that the broker gave up and the dead-letter writer has not dealt with. With more
/// advisories than can be read, all of the stream.
async fn uncopied(bus: &Bus, stream: &str, first: u64) -> Result<Option<u64>, NatsError> {
    let info = bus.consumer_info(ADV, DLQ_WRITER).await?;
    let mut oldest: Option<u64> = None;
    for kind in ["MAX_DELIVERIES", "MSG_TERMINATED"] {
        let filter = format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}.>");
        let mut from = info.ack_floor.stream_sequence + 1;
        for read in 0.. {
            let Some(message) = bus.first_from(ADV, from, &filter).await? else {
                break;
            };
            from = message.seq + 1;
            let about = serde_json::from_slice::<Advisory>(&message.body).map_or(0, |advisory| advisory.stream_seq);
            oldest = Some(oldest.map_or(about, |oldest| oldest.min(about)));
            if read >= MOST_READ {
                return Ok(Some(first));
            }
        }
    }
    Ok(oldest)
}

/// The dead letters of a stream, read once each.
#[derive(Default)]
struct Letters {
    /// The next sequence of `DLQ` to read.
    next: u64,
    /// Sequence in the stream, sequence in `DLQ`.
    known: BTreeSet<(u64, u64)>,
}

impl Letters {
    /// The oldest message that has a letter. While not all letters have been read, the first of the stream.
    async fn oldest(&mut self, bus: &Bus, stream: &str, first: u64) -> Result<Option<u64>, NatsError> {
        let filter = format!("dlq.v1.*.{stream}.*.*");
        for read in 0.. {
            let Some((letter, about)) = dlq::place(bus, self.next.max(1), &filter).await? else {
                break;
            };
            self.next = letter + 1;
            // One that tells no sequence was written by somebody else.
            self.known.extend(about.map(|about| (about, letter)));
            if read >= MOST_READ {
                return Ok(Some(first));
            }
        }
        // Letters are removed when they are replayed; only the oldest matters.
        while let Some((about, letter)) = self.known.first().copied() {
            let there = dlq::place(bus, letter, &filter)
                .await?
                .is_some_and(|(at, _)| at == letter);
            // What is not in the stream any more cannot be kept.
            if there && about >= first {
                return Ok(Some(about));
            }
            self.known.pop_first();
        }
        Ok(None)
    }
}
