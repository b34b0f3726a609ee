//! The trimmer: removes from the streams what nobody needs any more.
//!
//! Every stream keeps by limits and refuses what does not fit, so that nothing is dropped silently; something has to
//! make room. Each round looks at the streams `RAW`, `EVT`, `CMD`, `RES` and `JOIN`; for one that is fuller than the
//! start mark it finds out how far everybody is, and [`floor`] decides how far it is cut. `DLQ`, `ADV` and `JOB` discard
//! their oldest by themselves.
//!
//! * A consumer's ack floor alone is no proof: for a filter that nothing matched it stays at zero, and its count of what
//!   is pending may be zero for a moment after a restart. So the stream is asked for the first message behind the floor
//!   that the consumer's filters take.
//! * A floor jumps past messages that used up their deliveries. The broker's advisory about each is in `ADV` until the
//!   dead-letter writer has copied the body; until then the body stays. That the advisory is there is sure only a moment
//!   after the jump, so a floor counts once it has stood from one look to the next.
//! * The joiner acknowledges a result once its object is done or spilled, so its floor keeps what open objects need in
//!   `RES`. In `JOIN` only `done` messages are cut; the states of open objects stay. A state whose object is final is
//!   removed by the sweep.
//! * `done` messages are many small subjects, and each costs the server memory and start-up time, so `JOIN` is also kept
//!   short by number. A second `done` after the first is gone is prevented by [`Finality`](crate::Finality), see
//!   [`DONE_KEPT`].

mod floor;
mod look;
mod sweep;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use floor::{Cut, Facts, Fence, Marks, floor};

use crate::bus::Bus;
use crate::error::{NatsError, chain};
use crate::topology::{CMD, EVT, JOIN, RAW, RES, Topology};
use look::Looker;

/// A `done` stays at least this long. Who publishes one for an object that is younger than half of it need not ask
/// whether an earlier `done` has been removed: none can have been. (The other half is for clocks and for what is under
/// way.)
pub const DONE_KEPT: Duration = Duration::from_secs(120);

/// The streams that are trimmed.
pub const STREAMS: [&str; 5] = [RAW, EVT, CMD, RES, JOIN];

/// When, and down to what.
#[derive(Debug, Clone)]
pub struct TrimSettings {
    /// How often it looks. 30 s; ten times as often while a stream is above the start mark.
    pub every: Duration,
    /// From this share of a stream's limit on, what nobody needs is removed. 0.5.
    pub start: f64,
    /// From this share on, the replay time and messages with a dead letter yield. 0.85.
    pub pressure: f64,
    /// How long messages stay for people who want to read them again. 1 h.
    pub replay: Duration,
    /// How long a floor must have stood before it counts. 2 s.
    pub settle: Duration,
    /// How long a `done` stays at least: [`DONE_KEPT`]. Only tests have reasons to shorten it.
    pub done_kept: Duration,
    /// Numbers of messages that count as full, by stream. `JOIN`: 100,000, which cost the server about 50 MB.
    pub most: BTreeMap<String, u64>,
}

impl Default for TrimSettings {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(30),
            start: 0.5,
            pressure: 0.85,
            replay: Duration::from_secs(3600),
            settle: Duration::from_secs(2),
            done_kept: DONE_KEPT,
            most: BTreeMap::from([(JOIN.to_owned(), 100_000)]),
        }
    }
}

impl TrimSettings {
    fn marks(&self) -> Marks {
        Marks {
            start: self.start,
            pressure: self.pressure,
        }
    }
}

/// What one round did to one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Trimmed {
    /// The stream.
    pub stream: &'static str,
    /// How full it was.
    pub fill: f64,
    /// How many messages went.
    pub removed: u64,
    /// What stands in the way of more.
    pub held_by: Option<Fence>,
}

/// Looks and cuts. [`run_trim`] is the loop around it.
pub struct Trimmer {
    bus: Bus,
    settings: TrimSettings,
    lookers: Vec<Looker>,
    sweep: sweep::Sweep,
    rounds: u64,
}

/// A sweep over states takes place every so many rounds.
const SWEEP_EVERY: u64 = 10;
/// Messages a filtered purge removes at a time: it takes them out one by one while publishers wait, about 10 µs each.
const CHUNK: u64 = 20_000;

impl Trimmer {
    /// A trimmer of the streams the topology has. The bus's role is `trim`.
    pub fn new(bus: Bus, topology: &Topology, settings: TrimSettings) -> Self {
        Self {
            lookers: STREAMS.iter().map(|stream| Looker::new(stream, topology)).collect(),
            sweep: sweep::Sweep::default(),
            rounds: 0,
            bus,
            settings,
        }
    }

    /// One round. A stream that cannot be looked at is logged and left alone.
    pub async fn round(&mut self) -> Vec<Trimmed> {
        let mut all = Vec::with_capacity(self.lookers.len());
        for looker in &mut self.lookers {
            match trim(&self.bus, looker, &self.settings).await {
                Ok(trimmed) => all.push(trimmed),
                Err(error) => {
                    tracing::warn!(stream = looker.stream, error = chain(&error), "stream is not trimmed");
                }
            }
        }
        if self.rounds.is_multiple_of(SWEEP_EVERY) {
            self.sweep().await;
        }
        self.rounds += 1;
        all
    }

    /// Removes states of objects that are final, a number of them at a time; returns how many.
    pub async fn sweep(&mut self) -> u64 {
        match self.sweep.run(&self.bus).await {
            Ok(removed) => removed,
            Err(error) => {
                tracing::warn!(error = chain(&error), "states of finished objects are not removed");
                0
            }
        }
    }
}

async fn trim(bus: &Bus, looker: &mut Looker, settings: &TrimSettings) -> Result<Trimmed, NatsError> {
    let facts = looker.look(bus, settings).await?;
    let cut = facts
        .as_ref()
        .map(|facts| floor(facts, settings.marks()))
        .unwrap_or_default();
    let mut removed = 0;
    if let (Some(through), Some(facts)) = (cut.through, &facts) {
        removed = remove(bus, looker, facts.first, through).await?;
        bus.metrics().trimmed(looker.stream, removed);
        tracing::info!(stream = looker.stream, through, removed, "stream is trimmed");
    }
    let fill = looker.fill;
    looker.note(bus, cut.held_by.as_ref(), fill >= settings.pressure);
    Ok(Trimmed {
        stream: looker.stream,
        fill,
        removed,
        held_by: cut.held_by,
    })
}

/// Removes messages up to and including a sequence.
async fn remove(bus: &Bus, looker: &Looker, first: u64, through: u64) -> Result<u64, NatsError> {
    let Some(filter) = looker.only else {
        return bus.purge(looker.stream, None, through + 1).await;
    };
    // Without a filter it is quick. Up to the first message that must stay, no filter is needed.
    let stays = match looker.stays {
        Some(stays) => bus
            .first_from(looker.stream, 1, stays)
            .await?
            .map(|message| message.seq),
        None => None,
    };
    let free = stays.unwrap_or(u64::MAX).saturating_sub(1).min(through);
    let mut removed = if free >= first {
        bus.purge(looker.stream, None, free + 1).await?
    } else {
        0
    };
    let mut at = first.max(free + 1);
    while at <= through {
        at = at.saturating_add(CHUNK).min(through + 1);
        removed += bus.purge(looker.stream, Some(filter), at).await?;
    }
    Ok(removed)
}

/// Trims until it is stopped. Several may run: what one removed, the other finds gone.
pub async fn run_trim(
    bus: Bus,
    topology: Topology,
    settings: TrimSettings,
    stop: CancellationToken,
) -> Result<(), NatsError> {
    let (calm, start) = (settings.every, settings.start);
    let mut trimmer = Trimmer::new(bus, &topology, settings);
    let mut wait = Duration::from_secs(1).min(calm);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        let trimmed = trimmer.round().await;
        let full = trimmed.iter().any(|stream| stream.fill >= start);
        wait = if full { calm / 10 } else { calm };
    }
}
