//! Notifications of foreign stores: `raw.s3.<source>` becomes object events.
//!
//! The notification is a hint. For every object it names, HEAD in the foreign store says size, entity tag, version and time, and the ids are made of
//! these; so a notification that comes twice, late, or in another dialect gives the same event. What HEAD does not find is counted and forgotten.
//!
//! With a ledger, accepting means committing the event to it (the pump publishes it); without one, publishing it. Only then is the message
//! acknowledged. A body nobody can read goes to the dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_bucket::{Ledger, LedgerKind};
use cofferdam_nats::worker::{Delivery, Failure, Single};
use cofferdam_schemas::{ErrorCode, ObjectEvent, SourceName, Timestamp, Verb};
use cofferdam_seams::{Locator, ObjectError, ObjectStore};
use futures::{StreamExt, stream};
use tracing::{debug, warn};

use crate::dialect::{self, Dialect, KeyEncoding, Notification, ObjectNotice};
use crate::error::IngestError;
use crate::metrics;
use crate::normalise::{Normaliser, needs_work};
use crate::publish::{Publisher, Trouble};
use crate::pump::{Outgoing, error_text};
use crate::tenants::Refusal;

/// Objects of one body that are looked up at a time.
const LOOKUPS: usize = 8;

/// A foreign store that announces its objects on `raw.s3.<source>`.
#[derive(Clone)]
pub struct RawSource {
    /// How it speaks.
    pub dialect: Dialect,
    /// How it writes keys, where that differs from its dialect.
    pub key_encoding: Option<KeyEncoding>,
    /// Where its objects are.
    pub store: Arc<dyn ObjectStore>,
}

/// Turns deliveries of the RAW stream into events.
pub struct RawNormaliser {
    sources: BTreeMap<SourceName, RawSource>,
    normaliser: Arc<Normaliser>,
    publisher: Arc<dyn Publisher>,
    ledger: Option<Ledger>,
}

/// Why a body was not (wholly) taken in.
#[derive(Debug)]
pub(crate) enum RawFailure {
    /// It may pass.
    Retry(String),
    /// It will not; the message goes to the dead letters.
    Reject(ErrorCode, &'static str, String),
}

impl RawNormaliser {
    /// `ledger` where this process has one; then [`crate::run_pump`] has to run beside this.
    pub fn new(
        sources: BTreeMap<SourceName, RawSource>,
        normaliser: Arc<Normaliser>,
        publisher: Arc<dyn Publisher>,
        ledger: Option<Ledger>,
    ) -> Self {
        Self {
            sources,
            normaliser,
            publisher,
            ledger,
        }
    }

    /// Takes in one body. Everything that can be taken is, before an error about the rest is returned; repeating it does no harm.
    pub(crate) async fn take(&self, source: &str, body: &[u8], stored_at: Timestamp) -> Result<(), RawFailure> {
        let known = SourceName::new(source)
            .ok()
            .and_then(|name| self.sources.get_key_value(&name));
        let Some((name, settings)) = known else {
            metrics::notification("unknown", "unknown-source");
            let reason = format!(
                "there is no source {:?} in the configuration",
                source.chars().take(80).collect::<String>()
            );
            return Err(RawFailure::Reject(ErrorCode::InvalidRequest, "unknown-source", reason));
        };
        let notifications = dialect::parse_with(settings.dialect, settings.key_encoding, body).map_err(|fault| {
            metrics::notification(name.as_str(), "unreadable");
            RawFailure::Reject(ErrorCode::InvalidRequest, "undecodable", error_text(&fault))
        })?;
        let work = notifications
            .into_iter()
            .map(|notification| self.one(name, settings, notification, stored_at));
        let mut failures: Vec<RawFailure> = stream::iter(work)
            .buffered(LOOKUPS)
            .filter_map(|result| async { result.err() })
            .collect()
            .await;
        // Retrying first: a body is dead-lettered only when nothing of it can be saved by waiting.
        match failures
            .iter()
            .position(|failure| matches!(failure, RawFailure::Retry(_)))
            .or((!failures.is_empty()).then_some(0))
        {
            Some(worst) => Err(failures.swap_remove(worst)),
            None => Ok(()),
        }
    }

    async fn one(
        &self,
        name: &SourceName,
        source: &RawSource,
        notification: Notification,
        stored_at: Timestamp,
    ) -> Result<(), RawFailure> {
        let count = |kind| metrics::notification(name.as_str(), kind);
        let notice = match notification {
            Notification::Object(notice) => notice,
            Notification::Ignored(ignored) => {
                debug!(source = %name, event = ignored.event, why = ignored.why.as_str(), "notification asks for nothing");
                count(ignored.why.as_str());
                return Ok(());
            }
            Notification::Unreadable(fault) => {
                count("unreadable");
                return Err(RawFailure::Reject(
                    ErrorCode::InvalidRequest,
                    "undecodable",
                    error_text(&fault),
                ));
            }
        };
        // Before HEAD, so that a bucket that is not ours to read is never asked.
        if let Err(refusal) = self.normaliser.tenants().tenant(name, &notice.bucket, &notice.key) {
            return refused(name, refusal);
        }
        let event = match self.look_up(name, source, &notice, stored_at).await? {
            Some(Ok(event)) => event,
            Some(Err(refusal)) => return refused(name, refusal),
            None => {
                count("gone");
                return Ok(());
            }
        };
        self.accept(&event).await?;
        count(event.verb.as_str());
        Ok(())
    }

    /// What the foreign store says about it now; `None` when it is gone.
    async fn look_up(
        &self,
        name: &SourceName,
        source: &RawSource,
        notice: &ObjectNotice,
        stored_at: Timestamp,
    ) -> Result<Option<Result<ObjectEvent, Refusal>>, RawFailure> {
        if notice.verb == Verb::Del {
            return Ok(Some(self.normaliser.removed(name, notice, stored_at)));
        }
        let mut at = Locator::new(notice.bucket.clone(), notice.key.clone());
        at.version = notice.version.clone();
        match source.store.head(&at).await {
            Ok(meta) => Ok(Some(self.normaliser.present(name, notice, meta))),
            Err(ObjectError::NotFound { .. } | ObjectError::PreconditionFailed { .. }) => Ok(None),
            Err(fault @ ObjectError::InvalidRequest { .. }) => Err(RawFailure::Reject(
                ErrorCode::InvalidRequest,
                "head-refused",
                error_text(&fault),
            )),
            // Refused access too: whoever mends the credentials should not find that the notifications are gone.
            Err(fault) => {
                warn!(source = %name, error = error_text(&fault), "foreign store cannot be asked about an object");
                Err(RawFailure::Retry(error_text(&fault)))
            }
        }
    }

    async fn accept(&self, event: &ObjectEvent) -> Result<(), RawFailure> {
        match &self.ledger {
            Some(ledger) if needs_work(event.verb) => {
                let payload =
                    serde_json::to_value(event).map_err(|e| RawFailure::Retry(error_text(&IngestError::Encode(e))))?;
                let subject = Outgoing::Event(Box::new(event.clone())).subject();
                let accepted = ledger.accept(LedgerKind::Foreign, subject, payload).await;
                accepted
                    .map(drop)
                    .map_err(|e| RawFailure::Retry(error_text(&IngestError::Ledger(e))))
            }
            _ => self.publisher.event(event, 0).await.map_err(|trouble| match trouble {
                trouble @ (Trouble::Backpressure(_) | Trouble::Unavailable(_)) => {
                    RawFailure::Retry(error_text(&trouble))
                }
                trouble @ Trouble::Refused(_) => {
                    RawFailure::Reject(ErrorCode::Internal, "publish-refused", error_text(&trouble))
                }
            }),
        }
    }
}

/// Silence on purpose is counted; an object that somebody put under a tenant that does not exist is somebody's mistake, and waits as a dead letter.
fn refused(name: &SourceName, refusal: Refusal) -> Result<(), RawFailure> {
    metrics::notification(name.as_str(), refusal.kind());
    match refusal {
        Refusal::OwnOutput { .. } | Refusal::NotLanding { .. } => {
            debug!(source = %name, error = %refusal, "notification is not for us");
            Ok(())
        }
        Refusal::UnknownTenant { .. } => {
            warn!(source = %name, error = %refusal, "object belongs to nobody");
            Err(RawFailure::Reject(
                ErrorCode::Forbidden,
                "unknown-tenant",
                refusal.to_string(),
            ))
        }
    }
}

#[async_trait]
impl Single for RawNormaliser {
    async fn handle(&self, delivery: &Delivery) -> Result<(), Failure> {
        let source = delivery.subject.strip_prefix("raw.s3.").unwrap_or(&delivery.subject);
        self.take(source, &delivery.body, delivery.stored_at)
            .await
            .map_err(|failure| match failure {
                RawFailure::Retry(reason) => Failure::Retry { reason },
                RawFailure::Reject(code, class, reason) => Failure::Reject {
                    class: class.into(),
                    code,
                    reason,
                },
            })
    }
}

#[cfg(test)]
mod tests;
