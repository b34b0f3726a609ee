//! After the final state is durable: the plaintext is retired and the ledger row closed.
//!
//! The one rule (I4): the landing copy is deleted only when the `done` event names a sealed copy that was read back and opened and holds as many bytes
//! (and the same SHA-256, where the store claims one). Everything else keeps it. Of a quarantined object the sealed copy is moved first, out of its tenant's reach, and
//! the plaintext goes whatever the policy. The ledger row is closed after the deletion, so that a crash between
//! the two repeats the deletion, which does no harm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_bucket::{Ledger, LedgerKind, LedgerRow};
use cofferdam_schemas::{CommandResult, Done, FinalState, ObjectRef, ResultEvent, SealedCopy, SourceName, Timestamp};
use cofferdam_seams::crash::{self, Point, When};
use cofferdam_seams::{Clock, Locator, ObjectError, ObjectStore, Place, quarantine};
use futures::{StreamExt, stream};
use tracing::{info, warn};

use crate::error::IngestError;
use crate::metrics;
use crate::normalise::Normaliser;
use crate::pump::{Outgoing, by_kind, command_subject, error_text, object_subject};

/// Deletions at a time.
const RETIRING: usize = 16;
/// A deletion that failed is tried again after this time.
const AGAIN_MS: i64 = 60_000;

/// When the plaintext in the landing bucket goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetirePolicy {
    /// As soon as the object is done and its sealed copy was opened.
    UntilDone,
    /// Never.
    Keep,
    /// So long after the sealed copy was opened.
    After(Duration),
}

/// The final state of an object version, as far as retiring needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Final {
    /// The object version.
    pub object: ObjectRef,
    /// How it ended.
    pub state: FinalState,
    /// Its sealed copy.
    pub sealed: Option<SealedCopy>,
}

impl From<&Done> for Final {
    fn from(done: &Done) -> Self {
        Self {
            object: done.object.clone(),
            state: done.state,
            sealed: done.sealed.clone(),
        }
    }
}

/// What is to become of a plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retire {
    Now,
    At(Timestamp),
    /// It stays; the word is the metric's label.
    Never(&'static str),
}

/// The decision, pure. Whatever is not clearly allowed keeps the plaintext.
fn decide(policy: RetirePolicy, last: &Final) -> Retire {
    match last.state {
        FinalState::Superseded => return Retire::Never("superseded"),
        FinalState::Done | FinalState::Quarantined => {}
    }
    let Some(sealed) = &last.sealed else {
        return Retire::Never("unsealed");
    };
    let same_hash = last
        .object
        .checksums
        .sha256
        .as_ref()
        .is_none_or(|sha256| *sha256 == sealed.plaintext_sha256);
    if sealed.opened_at.unix_millis() <= 0 || sealed.plaintext_size != last.object.size || !same_hash {
        return Retire::Never("unproven");
    }
    match policy {
        // What was found dangerous does not lie about in the open.
        _ if last.state == FinalState::Quarantined => Retire::Now,
        RetirePolicy::UntilDone => Retire::Now,
        RetirePolicy::Keep => Retire::Never("kept"),
        RetirePolicy::After(time) => Retire::At(
            sealed
                .opened_at
                .plus_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
        ),
    }
}

/// Where sealed copies are, and where those of quarantined objects go.
#[derive(Clone)]
pub struct Isolation {
    /// The vault.
    pub vault: Place,
    /// The quarantine.
    pub quarantine: Place,
}

/// Isolates what is quarantined, retires plaintexts and closes ledger rows.
pub struct Finaliser {
    ledger: Option<Ledger>,
    stores: BTreeMap<SourceName, Arc<dyn ObjectStore>>,
    embedded: SourceName,
    isolation: Isolation,
    policy: RetirePolicy,
    clock: Arc<dyn Clock>,
}

/// A ledger row: its kind and subject id.
type Row = (LedgerKind, String);

/// What became of one plaintext, and so of its row.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The row can go; the label says why.
    Over(&'static str),
    /// The row stays until then.
    Later(&'static str, Timestamp),
}

impl Finaliser {
    /// `stores` has the landing store of every source, the embedded bucket's (`embedded`) among them. Without a ledger, [`RetirePolicy::After`] cannot
    /// be remembered and keeps the plaintext.
    pub fn new(
        ledger: Option<Ledger>,
        stores: BTreeMap<SourceName, Arc<dyn ObjectStore>>,
        embedded: SourceName,
        isolation: Isolation,
        policy: RetirePolicy,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            ledger,
            stores,
            embedded,
            isolation,
            policy,
            clock,
        }
    }

    /// Final states are durable: isolate, retire, then close the rows. An error means that a store or the ledger did not take it; call again.
    pub async fn on_final(&self, done: &[Done]) -> Result<(), IngestError> {
        let finals: Vec<Final> = done.iter().map(Final::from).collect();
        self.finish(&finals).await
    }

    /// As [`Self::on_final`], from what the store of final states remembers.
    pub async fn finish(&self, finals: &[Final]) -> Result<(), IngestError> {
        let (over, later) = self.settle_all(finals.to_vec()).await?;
        let Some(ledger) = &self.ledger else { return Ok(()) };
        for (kind, subjects) in by_kind(over) {
            crash::point(Point::LedgerClosed, When::Before);
            ledger.close(kind, subjects).await.map_err(IngestError::Ledger)?;
            crash::point(Point::LedgerClosed, When::After);
        }
        for ((kind, subject), until) in later {
            ledger
                .defer(kind, vec![subject], until)
                .await
                .map_err(IngestError::Ledger)?;
        }
        Ok(())
    }

    /// Retires what may be retired; returns the rows that can go, and those that stay until a time.
    async fn settle_all(&self, finals: Vec<Final>) -> Result<(Vec<Row>, Vec<(Row, Timestamp)>), IngestError> {
        let now = self.clock.now();
        let work = finals.into_iter().map(|last| async move {
            let row = (self.kind(&last.object.source), object_subject(&last.object.id));
            self.isolate(&last).await?;
            Ok((row, self.settle(&last, now).await?))
        });
        let settled: Vec<Result<_, IngestError>> = stream::iter(work).buffer_unordered(RETIRING).collect().await;
        let (mut over, mut later) = (Vec::new(), Vec::new());
        for settled in settled {
            let (row, outcome) = settled?;
            match outcome {
                Outcome::Over(label) => {
                    metrics::retired(label);
                    over.push(row);
                }
                Outcome::Later(label, until) => {
                    metrics::retired(label);
                    later.push((row, until));
                }
            }
        }
        Ok((over, later))
    }

    /// Moves the sealed copy of a quarantined object to where its tenant's credentials and the lifecycle of the vault do not reach.
    async fn isolate(&self, last: &Final) -> Result<(), IngestError> {
        let (FinalState::Quarantined, Some(sealed)) = (last.state, &last.sealed) else {
            return Ok(());
        };
        let Isolation {
            vault,
            quarantine: held,
        } = &self.isolation;
        match quarantine::isolate(vault, held, &sealed.key).await {
            Ok(moved) => {
                if moved {
                    info!(object = %last.object.id, tenant = %last.object.tenant, "quarantined object isolated");
                }
                Ok(())
            }
            // Destroyed meanwhile; or lost, which whoever retrieves it is told.
            Err(ObjectError::NotFound { .. }) => {
                warn!(object = %last.object.id, "the sealed copy of a quarantined object is neither in the vault nor in quarantine");
                Ok(())
            }
            Err(source) => Err(IngestError::Isolate { source }),
        }
    }

    /// Commands have their results: their rows go, whether they were done or refused.
    pub async fn on_commands(&self, results: &[CommandResult]) -> Result<(), IngestError> {
        let subjects: Vec<_> = results
            .iter()
            .map(|r| command_subject(r.tenant.as_str(), r.id.as_str()))
            .collect();
        match &self.ledger {
            Some(ledger) if !subjects.is_empty() => {
                crash::point(Point::CommandClosed, When::Before);
                let closed = ledger.close(LedgerKind::Command, subjects).await;
                closed
                    .inspect(|()| crash::point(Point::CommandClosed, When::After))
                    .map_err(IngestError::Ledger)
            }
            _ => Ok(()),
        }
    }

    /// A required processor gave up: the row is kept but not re-driven. A replay of the dead letter finishes it.
    pub async fn on_dead(&self, results: &[ResultEvent]) -> Result<(), IngestError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let required = results.iter().filter(|r| r.plan.required.contains(&r.processor));
        let rows = required
            .map(|r| (self.kind(&r.object.source), object_subject(&r.object.id)))
            .collect();
        for (kind, subjects) in by_kind(rows) {
            ledger.park(kind, subjects).await.map_err(IngestError::Ledger)?;
        }
        Ok(())
    }

    /// Retires what is due by [`RetirePolicy::After`] or failed before, up to `limit` rows. Returns how many rows were looked at.
    pub(crate) async fn retire_due(&self, normaliser: &Normaliser, limit: usize) -> Result<usize, IngestError> {
        let Some(ledger) = &self.ledger else { return Ok(0) };
        let now = self.clock.now();
        let rows = ledger.deferred(now, limit).await.map_err(IngestError::Ledger)?;
        let count = rows.len();
        for row in rows {
            self.retire_row(ledger, normaliser, &row, now).await?;
        }
        Ok(count)
    }

    async fn retire_row(
        &self,
        ledger: &Ledger,
        normaliser: &Normaliser,
        row: &LedgerRow,
        now: Timestamp,
    ) -> Result<(), IngestError> {
        let outgoing = match Outgoing::of(row, normaliser) {
            Ok(outgoing) => outgoing,
            Err(unfit) => {
                // The configuration changed: nobody can say where the plaintext is. It stays, and so does the row, for a person.
                warn!(
                    seq = row.seq,
                    error = error_text(&unfit),
                    "deferred plaintext cannot be found any more, it stays"
                );
                let Some(subject) = row.subject_id.clone() else {
                    return Ok(());
                };
                return ledger.park(row.kind, vec![subject]).await.map_err(IngestError::Ledger);
            }
        };
        let subject = outgoing.subject();
        let outcome = match &outgoing {
            // It was found worthy when it was deferred; only the deletion is left.
            Outgoing::Event(event) => self.delete(&event.object, now).await?,
            Outgoing::Command(_) => Outcome::Over("command"),
        };
        match outcome {
            Outcome::Over(label) => {
                metrics::retired(label);
                ledger.close(row.kind, vec![subject]).await.map_err(IngestError::Ledger)
            }
            Outcome::Later(label, until) => {
                metrics::retired(label);
                ledger
                    .defer(row.kind, vec![subject], until)
                    .await
                    .map_err(IngestError::Ledger)
            }
        }
    }

    async fn settle(&self, last: &Final, now: Timestamp) -> Result<Outcome, IngestError> {
        Ok(match decide(self.policy, last) {
            Retire::Never(label) => {
                if label == "unproven" {
                    warn!(object = %last.object.id, "sealed copy does not prove to be this object, plaintext stays");
                }
                Outcome::Over(label)
            }
            Retire::At(when) if when > now => match self.ledger {
                Some(_) => Outcome::Later("deferred", when),
                None => Outcome::Over("kept"),
            },
            Retire::Now | Retire::At(_) => return self.delete(&last.object, now).await,
        })
    }

    /// Deletes exactly this version. The ledger remembers what failed; without one, what may go well the next time is an error, so that the message comes
    /// again, and what a store refuses stays.
    async fn delete(&self, object: &ObjectRef, now: Timestamp) -> Result<Outcome, IngestError> {
        let Some(store) = self.stores.get(&object.source) else {
            warn!(object = %object.id, source = %object.source, "source is not configured any more, plaintext stays");
            return Ok(Outcome::Over("no-source"));
        };
        match remove(store.as_ref(), object).await {
            Ok(label) => {
                info!(object = %object.id, outcome = label, "plaintext retired");
                Ok(Outcome::Over(label))
            }
            Err(fault) => {
                warn!(object = %object.id, error = error_text(&fault), "plaintext could not be retired");
                match (&self.ledger, fault) {
                    (Some(_), _) => Ok(Outcome::Later("failed", now.plus_millis(AGAIN_MS))),
                    (None, source @ ObjectError::Unavailable { .. }) => {
                        metrics::retired("failed");
                        Err(IngestError::Retire { source })
                    }
                    (None, _) => Ok(Outcome::Over("failed")),
                }
            }
        }
    }

    fn kind(&self, source: &SourceName) -> LedgerKind {
        if *source == self.embedded {
            LedgerKind::Upload
        } else {
            LedgerKind::Foreign
        }
    }
}

/// Deletes a version under the precondition that it is still that version. Where the store has no version ids, HEAD tells first whether it was
/// replaced: the entity tag alone cannot (A, B, A again has the tag of the first A), its time can.
async fn remove(store: &dyn ObjectStore, object: &ObjectRef) -> Result<&'static str, ObjectError> {
    let at = Locator::from(object);
    let result = async {
        if object.version.is_none() && store.head(&at).await?.last_modified != object.last_modified {
            return Ok("replaced");
        }
        crash::point(Point::PlaintextRetired, When::Before);
        store.delete(&at).await?;
        crash::point(Point::PlaintextRetired, When::After);
        Ok("retired")
    };
    match result.await {
        Err(ObjectError::NotFound { .. }) => Ok("gone"),
        Err(ObjectError::PreconditionFailed { .. }) => Ok("replaced"),
        other => other,
    }
}

#[cfg(test)]
mod tests;
