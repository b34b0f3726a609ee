//! The pump: ledger rows become messages.
//!
//! It reads unpublished rows in their order, publishes them pipelined, and marks each once the broker has acknowledged it. A broker that is full or
//! away is waited for; the rows stay. A row that can never be published (its bucket is no longer configured, its tenant does not exist) is parked and
//! reported, so that it neither blocks the others nor disappears.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_bucket::{BucketRecord, Ledger, LedgerKind, LedgerRow};
use cofferdam_schemas::{Command, EventId, ObjectEvent, ObjectId};
use cofferdam_seams::crash::{self, Point, When};
use futures::{StreamExt, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::error::IngestError;
use crate::metrics;
use crate::normalise::{Normaliser, needs_work};
use crate::publish::{Publisher, Trouble};
use crate::tenants::Refusal;

/// Rows read at a time.
const PAGE: usize = 512;
/// Messages on their way at a time: within async-nats's and the server's comfort, and enough to hide a fsync.
const IN_FLIGHT: usize = 128;
/// Rows the broker refuses, and whatever a lost wake-up left behind, are looked at again after this time.
const RESCAN: Duration = Duration::from_secs(30);
/// The shortest and the longest wait for a broker that takes nothing.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a ledger row wants published.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    /// An object event.
    Event(Box<ObjectEvent>),
    /// A command.
    Command(Box<Command>),
}

/// A row that cannot be published, now or later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// The configuration does not take this object.
    #[error("object is refused")]
    Refused(#[source] Refusal),
    /// The row's payload is not what its kind says.
    #[error("ledger row cannot be read")]
    Damaged(#[source] serde_json::Error),
}

impl Outgoing {
    /// Reads a row.
    pub(crate) fn of(row: &LedgerRow, normaliser: &Normaliser) -> Result<Self, Unfit> {
        let payload = row.payload.clone();
        match row.kind {
            LedgerKind::Upload => {
                let record: BucketRecord = serde_json::from_value(payload).map_err(Unfit::Damaged)?;
                normaliser
                    .record(&record)
                    .map(|event| Outgoing::Event(Box::new(event)))
                    .map_err(Unfit::Refused)
            }
            LedgerKind::Foreign => serde_json::from_value(payload)
                .map(Outgoing::Event)
                .map_err(Unfit::Damaged),
            LedgerKind::Command => serde_json::from_value(payload)
                .map(Outgoing::Command)
                .map_err(Unfit::Damaged),
        }
    }

    /// The row's subject id.
    pub(crate) fn subject(&self) -> String {
        match self {
            Outgoing::Event(event) if needs_work(event.verb) => object_subject(&event.object.id),
            Outgoing::Event(event) => event_subject(&event.id),
            Outgoing::Command(command) => command_subject(command.tenant.as_str(), command.id.as_str()),
        }
    }

    /// Whether nothing more will come of it once it is published.
    pub(crate) fn final_when_published(&self) -> bool {
        matches!(self, Outgoing::Event(event) if !needs_work(event.verb))
    }

    pub(crate) async fn publish(&self, publisher: &dyn Publisher, redrive: u32) -> Result<(), Trouble> {
        match self {
            Outgoing::Event(event) => publisher.event(event, redrive).await,
            Outgoing::Command(command) => publisher.command(command, redrive).await,
        }
    }
}

/// The subject id of a row that waits for an object's final state.
pub(crate) fn object_subject(object: &ObjectId) -> String {
    object.to_string()
}

/// The subject id of a row that only records an event. Apart from objects, because a removal may concern an object that is still in flight.
fn event_subject(event: &EventId) -> String {
    format!("event:{event}")
}

/// The subject id of a command's row.
pub(crate) fn command_subject(tenant: &str, id: &str) -> String {
    format!("{tenant}/{id}")
}

/// Publishes the ledger until `stop`. Ends with an error only when the ledger itself fails for good.
pub async fn run_pump(
    ledger: Ledger,
    publisher: Arc<dyn Publisher>,
    normaliser: Arc<Normaliser>,
    stop: CancellationToken,
) -> Result<(), IngestError> {
    let pump = Pump {
        ledger,
        publisher,
        normaliser,
    };
    let mut news = pump.ledger.notified();
    let mut patience = PATIENCE.0;
    while !stop.is_cancelled() {
        news.mark_unchanged();
        let clear = match pump.round(&stop).await {
            Ok(Round::Clear) => true,
            Ok(Round::Busy(trouble)) => {
                warn!(
                    error = error_text(&trouble),
                    wait_ms = patience.as_millis() as u64,
                    "broker takes nothing now, rows wait"
                );
                false
            }
            Err(fault) => {
                error!(error = error_text(&fault), "ledger cannot be pumped, trying again");
                false
            }
        };
        let wait = if clear { RESCAN } else { patience };
        patience = if clear {
            PATIENCE.0
        } else {
            (patience * 2).min(PATIENCE.1)
        };
        tokio::select! {
            () = stop.cancelled() => {}
            // While the broker is away, news do not make the pump spin.
            changed = news.changed(), if clear => if changed.is_err() { sleep(RESCAN).await },
            () = sleep(wait) => {}
        }
    }
    Ok(())
}

struct Pump {
    ledger: Ledger,
    publisher: Arc<dyn Publisher>,
    normaliser: Arc<Normaliser>,
}

/// How a walk over the unpublished rows ended.
#[derive(Debug)]
enum Round {
    /// At their end.
    Clear,
    /// The broker takes nothing now.
    Busy(Trouble),
}

/// What became of one row.
enum Fate {
    Published { subject: String, done: bool },
    Unfit(Unfit),
    Trouble(Trouble),
}

impl Pump {
    async fn round(&self, stop: &CancellationToken) -> Result<Round, IngestError> {
        let mut after = 0;
        while !stop.is_cancelled() {
            let rows = self
                .ledger
                .unpublished(after, PAGE)
                .await
                .map_err(IngestError::Ledger)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            if let Some(trouble) = self.page(rows).await? {
                return Ok(Round::Busy(trouble));
            }
        }
        Ok(Round::Clear)
    }

    /// One page of rows. `Some` when the broker takes nothing now.
    async fn page(&self, rows: Vec<LedgerRow>) -> Result<Option<Trouble>, IngestError> {
        let sending = rows
            .into_iter()
            .map(|row| async move { (row.seq, row.kind, self.send(&row).await) });
        // Marked as the acknowledgements come, not at the page's end: the final state of the first may be there before the last is published.
        let mut acks = stream::iter(sending).buffered(IN_FLIGHT).ready_chunks(IN_FLIGHT);
        let mut busy = None;
        while let Some(chunk) = acks.next().await {
            busy = self.settle(chunk).await?.or(busy);
        }
        Ok(busy)
    }

    async fn send(&self, row: &LedgerRow) -> Fate {
        let outgoing = match Outgoing::of(row, &self.normaliser) {
            Ok(outgoing) => outgoing,
            Err(unfit) => return Fate::Unfit(unfit),
        };
        match outgoing.publish(self.publisher.as_ref(), row.redrives).await {
            Ok(()) => {
                if let (Outgoing::Event(event), LedgerKind::Upload) = (&outgoing, row.kind) {
                    metrics::notification(event.object.source.as_str(), event.verb.as_str());
                }
                Fate::Published {
                    subject: outgoing.subject(),
                    done: outgoing.final_when_published(),
                }
            }
            Err(trouble) => Fate::Trouble(trouble),
        }
    }

    async fn settle(&self, chunk: Vec<(i64, LedgerKind, Fate)>) -> Result<Option<Trouble>, IngestError> {
        let (mut marks, mut done, mut parked, mut busy) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (seq, kind, fate) in chunk {
            match fate {
                Fate::Published { subject, done: over } => {
                    if over {
                        done.push((kind, subject.clone()));
                    }
                    marks.push((seq, Some(subject)));
                }
                Fate::Unfit(unfit) => {
                    error!(
                        seq,
                        error = error_text(&unfit),
                        "ledger row cannot be published and is parked"
                    );
                    metrics::notification(self.normaliser.embedded().as_str(), "refused");
                    let subject = format!("unfit:{seq}");
                    marks.push((seq, Some(subject.clone())));
                    parked.push((kind, subject));
                }
                Fate::Trouble(trouble) if trouble.passes() => busy = Some(trouble),
                Fate::Trouble(trouble) => error!(
                    seq,
                    error = error_text(&trouble),
                    "broker refuses a ledger row, it stays and is tried again"
                ),
            }
        }
        if !marks.is_empty() {
            crash::point(Point::LedgerMarked, When::Before);
            self.ledger.mark_published(marks).await.map_err(IngestError::Ledger)?;
            crash::point(Point::LedgerMarked, When::After);
        }
        for (kind, subjects) in by_kind(done) {
            self.ledger.close(kind, subjects).await.map_err(IngestError::Ledger)?;
        }
        for (kind, subjects) in by_kind(parked) {
            self.ledger.park(kind, subjects).await.map_err(IngestError::Ledger)?;
        }
        Ok(busy)
    }
}

/// Groups subject ids by kind.
pub(crate) fn by_kind(rows: Vec<(LedgerKind, String)>) -> Vec<(LedgerKind, Vec<String>)> {
    let mut groups: Vec<(LedgerKind, Vec<String>)> = Vec::new();
    for (kind, subject) in rows {
        match groups.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, subjects)) => subjects.push(subject),
            None => groups.push((kind, vec![subject])),
        }
    }
    groups
}

/// An error and its causes in one line.
pub(crate) fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
