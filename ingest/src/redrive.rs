//! The re-drive: whatever was accepted and is not final after its time is published again.
//!
//! At the start everything the last process left behind goes out at once; afterwards a row waits ten minutes, and twice as long after every re-drive.
//! The ids are those of the first time, so whatever was done already is found and reused; only the broker's message id differs, so that its window does
//! not swallow what a power cut took. Before anything is published the store of final states is asked: an object that is final is only retired and closed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cofferdam_bucket::{Ledger, LedgerRow};
use cofferdam_schemas::{CommandId, ObjectId, TenantName, Timestamp};
use cofferdam_seams::Clock;
use futures::{StreamExt, stream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error::IngestError;
use crate::finalise::{Final, Finaliser};
use crate::metrics;
use crate::normalise::Normaliser;
use crate::publish::{Publisher, Trouble};
use crate::pump::{Outgoing, error_text};

/// Knows which objects and commands are final: the sink's store.
#[async_trait]
pub trait Finals: Send + Sync + 'static {
    /// The final state of an object version, or `None` while it has none.
    async fn object(&self, tenant: &TenantName, object: &ObjectId) -> Result<Option<Final>, FinalsError>;
    /// Whether a command has its result.
    async fn command(&self, tenant: &TenantName, command: &CommandId) -> Result<bool, FinalsError>;
}

/// The store of final states does not answer.
#[derive(Debug, thiserror::Error)]
#[error("final states cannot be read")]
pub struct FinalsError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// How patient the re-drive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedriveSettings {
    /// How often it looks. One minute.
    pub every: Duration,
    /// A published row is looked at when it is older than this (one minute); if it is final it is closed.
    pub check_after: Duration,
    /// One that is not final is published again when it is older than this (ten minutes), doubled with every re-drive, up to a day.
    pub overdue_after: Duration,
    /// Most rows a look takes up.
    pub batch: usize,
}

impl Default for RedriveSettings {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            every: minutes(1),
            check_after: minutes(1),
            overdue_after: minutes(10),
            batch: 10_000,
        }
    }
}

/// The longest a row waits between two re-drives.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows worked on at a time.
const AT_ONCE: usize = 64;

/// Whether a row that was published (again) `age` ago and has been re-driven `redrives` times is to be published again.
fn is_due(age: Duration, redrives: u32, first: Duration) -> bool {
    let doubled = first.saturating_mul(1u32.checked_shl(redrives).unwrap_or(u32::MAX));
    age >= doubled.min(LONGEST.max(first))
}

/// Set in the environment, this keeps the re-drive from running: what a power cut took from the broker then stays lost, which is what the test of power cuts must
/// be able to show. For that test and nothing else.
const OFF: &str = "COFFERDAM_TEST_REDRIVE_OFF";

/// Runs the re-drive until `stop`: at once for what an earlier process left, then by the clock. It also retires plaintexts whose time has come and
/// reports the ledger's depth.
#[allow(clippy::too_many_arguments)]
pub async fn run_redrive(
    ledger: Ledger,
    publisher: Arc<dyn Publisher>,
    normaliser: Arc<Normaliser>,
    finals: Arc<dyn Finals>,
    finaliser: Arc<Finaliser>,
    clock: Arc<dyn Clock>,
    settings: RedriveSettings,
    stop: CancellationToken,
) -> Result<(), IngestError> {
    if std::env::var_os(OFF).is_some() {
        warn!(
            variable = OFF,
            "re-drive is switched off: a power cut will lose what was accepted"
        );
        stop.cancelled().await;
        return Ok(());
    }
    let redrive = Redrive {
        ledger,
        publisher,
        normaliser,
        finals,
        finaliser,
        clock,
        settings,
    };
    let started = redrive.clock.now();
    let mut inherited = true;
    while !stop.is_cancelled() {
        let swept = if inherited {
            redrive.inherit(started, &stop).await
        } else {
            redrive.sweep().await
        };
        let wait = match swept {
            Ok(Swept {
                trouble: None,
                redriven,
                closed,
            }) => {
                if redriven + closed > 0 {
                    info!(redriven, closed, at_start = inherited, "ledger rows taken up again");
                }
                inherited = false;
                settings.every
            }
            Ok(Swept {
                trouble: Some(trouble), ..
            }) => {
                warn!(error = error_text(&trouble), "broker takes no re-drive now");
                settings.every.min(Duration::from_secs(5))
            }
            Err(fault) => {
                error!(
                    error = error_text(&fault),
                    "ledger rows cannot be taken up again, trying later"
                );
                settings.every.min(Duration::from_secs(5))
            }
        };
        if let Err(fault) = redrive.housekeeping().await {
            error!(error = error_text(&fault), "deferred plaintexts cannot be retired now");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
    Ok(())
}

struct Redrive {
    ledger: Ledger,
    publisher: Arc<dyn Publisher>,
    normaliser: Arc<Normaliser>,
    finals: Arc<dyn Finals>,
    finaliser: Arc<Finaliser>,
    clock: Arc<dyn Clock>,
    settings: RedriveSettings,
}

/// What a look did.
#[derive(Debug, Default)]
struct Swept {
    redriven: u64,
    closed: u64,
    /// The broker took no more.
    trouble: Option<Trouble>,
}

/// What became of one row.
enum Fate {
    Closed,
    Redriven,
    Waits,
    Trouble(Trouble),
}

impl Redrive {
    /// Everything that was published before this process started. Each row is closed or gets a new publishing time, so that the pages end.
    async fn inherit(&self, started: Timestamp, stop: &CancellationToken) -> Result<Swept, IngestError> {
        let (mut all, mut seen) = (Swept::default(), HashSet::new());
        while !stop.is_cancelled() {
            let mut rows = self
                .ledger
                .overdue(started, self.settings.batch.min(1_000))
                .await
                .map_err(IngestError::Ledger)?;
            // Each once: a row the broker refuses, or a clock that was set back, must not make this endless.
            rows.retain(|row| seen.insert(row.seq));
            if rows.is_empty() {
                break;
            }
            let page = self.rows(rows, true).await?;
            all.redriven += page.redriven;
            all.closed += page.closed;
            if page.trouble.is_some() {
                all.trouble = page.trouble;
                break;
            }
        }
        Ok(all)
    }

    async fn sweep(&self) -> Result<Swept, IngestError> {
        let check_ms = i64::try_from(self.settings.check_after.as_millis()).unwrap_or(i64::MAX);
        let before = self.clock.now().plus_millis(-check_ms);
        let rows = self
            .ledger
            .overdue(before, self.settings.batch)
            .await
            .map_err(IngestError::Ledger)?;
        self.rows(rows, false).await
    }

    async fn rows(&self, rows: Vec<LedgerRow>, at_once: bool) -> Result<Swept, IngestError> {
        let work = rows.into_iter().map(|row| async move { self.row(&row, at_once).await });
        let mut fates = stream::iter(work).buffered(AT_ONCE);
        let mut swept = Swept::default();
        while let Some(fate) = fates.next().await {
            match fate? {
                Fate::Closed => swept.closed += 1,
                Fate::Redriven => swept.redriven += 1,
                Fate::Waits => {}
                // No use in offering the rest now.
                Fate::Trouble(trouble) if trouble.passes() => {
                    swept.trouble = Some(trouble);
                    break;
                }
                Fate::Trouble(trouble) => error!(error = error_text(&trouble), "broker refuses a re-drive"),
            }
        }
        Ok(swept)
    }

    async fn row(&self, row: &LedgerRow, at_once: bool) -> Result<Fate, IngestError> {
        let outgoing = match Outgoing::of(row, &self.normaliser) {
            Ok(outgoing) => outgoing,
            Err(unfit) => {
                error!(
                    seq = row.seq,
                    error = error_text(&unfit),
                    "ledger row cannot be published any more and is parked"
                );
                let Some(subject) = row.subject_id.clone() else {
                    return Ok(Fate::Waits);
                };
                self.ledger
                    .park(row.kind, vec![subject])
                    .await
                    .map_err(IngestError::Ledger)?;
                return Ok(Fate::Closed);
            }
        };
        if self.close_if_final(row, &outgoing).await? {
            return Ok(Fate::Closed);
        }
        let published = row.published_at.unwrap_or(row.accepted_at);
        let age = self.clock.now().unix_millis().saturating_sub(published.unix_millis());
        let ahead = i64::try_from(Ledger::AHEAD.as_millis()).unwrap_or(i64::MAX);
        let other_clock = age < -ahead;
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        if !at_once && !other_clock && !is_due(age, row.redrives, self.settings.overdue_after) {
            return Ok(Fate::Waits);
        }
        // Counted before it is published: a number that was used for nothing does no harm, one that is used twice would.
        let number = self.ledger.mark_redriven(row.seq).await.map_err(IngestError::Ledger)?;
        if let Err(trouble) = outgoing.publish(self.publisher.as_ref(), number).await {
            return Ok(Fate::Trouble(trouble));
        }
        metrics::redriven(match &outgoing {
            Outgoing::Event(_) => "event",
            Outgoing::Command(_) => "command",
        });
        Ok(Fate::Redriven)
    }

    async fn close_if_final(&self, row: &LedgerRow, outgoing: &Outgoing) -> Result<bool, IngestError> {
        match outgoing {
            Outgoing::Event(event) if !outgoing.final_when_published() => {
                let last = self
                    .finals
                    .object(&event.object.tenant, &event.object.id)
                    .await
                    .map_err(IngestError::Finals)?;
                let Some(last) = last else { return Ok(false) };
                self.finaliser.finish(&[last]).await?;
            }
            Outgoing::Event(_) => self
                .ledger
                .close(row.kind, vec![outgoing.subject()])
                .await
                .map_err(IngestError::Ledger)?,
            Outgoing::Command(command) => {
                if !self
                    .finals
                    .command(&command.tenant, &command.id)
                    .await
                    .map_err(IngestError::Finals)?
                {
                    return Ok(false);
                }
                self.ledger
                    .close(row.kind, vec![outgoing.subject()])
                    .await
                    .map_err(IngestError::Ledger)?;
            }
        }
        Ok(true)
    }

    async fn housekeeping(&self) -> Result<(), IngestError> {
        while self.finaliser.retire_due(&self.normaliser, 256).await? == 256 {}
        let depth = self.ledger.depth().await.map_err(IngestError::Ledger)?;
        let oldest = depth
            .oldest
            .map_or(0, |at| self.clock.now().unix_millis().saturating_sub(at.unix_millis()));
        metrics::outbox(depth.open, oldest.max(0) as f64 / 1000.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
