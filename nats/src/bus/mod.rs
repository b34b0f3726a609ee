//! One role's connection to the broker.

mod api;
mod check;
mod connect;
mod join;
mod publish;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use cofferdam_schemas::{ObjectId, TenantName};
use secrecy::SecretString;
use tokio::sync::watch;

pub(crate) use api::{NO_CONSUMER, NO_STREAM};
pub use check::Need;
pub use join::{JoinRecord, StateWritten};
pub use publish::{DonePublished, Published};
pub(crate) use publish::{Outgoing, REDRIVE, encode_header};

use crate::finality::{Finality, FinalityError};
use crate::metrics::Metrics;

/// How long one exchange with JetStream may take before it is tried again.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How long a publish is repeated before it is [`crate::PublishError::Unavailable`].
const PUBLISH_DEADLINE: Duration = Duration::from_secs(20);

/// Where to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Login {
    /// `nats://host:port`, `tls://…` or `ws://…`, without credentials.
    pub url: String,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// The role: the connection's name, the inbox `_INBOX_<role>`, and `/cofferdam/<role>` as the source of events.
    pub role: String,
}

/// One role's connection: cheap to clone, reconnects for ever by itself.
///
/// Publishing repeats a message under the same `Nats-Msg-Id` until the broker acknowledges it: an acknowledgement that
/// got lost is a duplicate, never a second message. At most 256 publishes wait for their acknowledgement at once; more
/// wait their turn.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
    publish_deadline: Duration,
    finality: Option<Arc<dyn Finality>>,
}

struct Inner {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    role: String,
    url: String,
    metrics: Arc<Metrics>,
    watch: Arc<Watch>,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("role", &self.inner.role)
            .field("url", &self.inner.url)
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// The client underneath, for request and reply and for people's commands. Streams and consumers are reached
    /// through this crate only.
    pub fn client(&self) -> &async_nats::Client {
        &self.inner.client
    }

    /// The role this connection has.
    pub fn role(&self) -> &str {
        &self.inner.role
    }

    /// The same connection with another time after which a publish gives up (20 s otherwise).
    pub fn with_publish_deadline(&self, deadline: Duration) -> Self {
        Self {
            publish_deadline: deadline,
            ..self.clone()
        }
    }

    /// The same connection, for the joiner and the trimmer, with somebody who knows which objects are final beyond what
    /// `JOIN` still has.
    pub fn with_finality(&self, finality: Arc<dyn Finality>) -> Self {
        Self {
            finality: Some(finality),
            ..self.clone()
        }
    }

    /// Whether an object version was made final by a `done` that may have been removed since.
    pub(crate) async fn finished_before(&self, tenant: &TenantName, object: &ObjectId) -> Result<bool, FinalityError> {
        match &self.finality {
            Some(finality) => finality.is_final(tenant, object).await,
            None => Ok(false),
        }
    }

    /// Whether the connection is up now.
    pub fn is_connected(&self) -> bool {
        // The client's own state does not change when it is closed.
        self.inner.client.connection_state() == async_nats::connection::State::Connected
            && !*self.inner.watch.closed.borrow()
    }

    /// The last thing the server said this role may not do, if it said so since `after`.
    pub fn violation_since(&self, after: Instant) -> Option<String> {
        self.inner.watch.violations(after, |_| true).pop()
    }

    /// Sends what is still buffered, lets subscriptions finish, and closes. Waits 5 s at most.
    pub async fn close(&self) {
        let work = async {
            if self.is_connected() && self.inner.client.flush().await.is_err() {
                tracing::debug!(role = self.inner.role, "connection was closed already");
            }
            if self.inner.client.drain().await.is_ok() {
                let mut closed = self.inner.watch.closed.subscribe();
                // The sender lives as long as the connection's callback, so this ends in any case.
                let _ = closed.wait_for(|closed| *closed).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(5), work).await.is_err() {
            tracing::warn!(role = self.inner.role, "connection did not close in time");
        }
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.inner.jetstream
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Changes whenever the connection is lost: pulls that were waiting at the server are gone then.
    pub(crate) fn losses(&self) -> watch::Receiver<u64> {
        self.inner.watch.losses.subscribe()
    }
}

/// What the connection reported by itself.
struct Watch {
    losses: watch::Sender<u64>,
    closed: watch::Sender<bool>,
    violations: Mutex<VecDeque<(Instant, String)>>,
    /// How many there were.
    violated: watch::Sender<u64>,
}

impl Watch {
    fn new() -> Self {
        Self {
            losses: watch::Sender::new(0),
            closed: watch::Sender::new(false),
            violations: Mutex::new(VecDeque::new()),
            violated: watch::Sender::new(0),
        }
    }

    fn note_violation(&self, text: String) {
        {
            let mut all = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() == 64 {
                all.pop_front();
            }
            all.push_back((Instant::now(), text));
        }
        self.violated.send_modify(|n| *n += 1);
    }

    /// Waits for a violation that names a subject. The call that violates gets no answer; this is its answer.
    async fn violation(&self, after: Instant, subject: &str) -> String {
        let mut violated = self.violated.subscribe();
        loop {
            violated.mark_unchanged();
            if let Some(text) = self.violations(after, |text| text.contains(subject)).pop() {
                return text;
            }
            if violated.changed().await.is_err() {
                // Cannot be: the sender is in `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    fn violations(&self, after: Instant, concerns: impl Fn(&str) -> bool) -> Vec<String> {
        let all = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|(at, text)| *at >= after && concerns(text))
            .map(|(_, text)| text.clone())
            .collect()
    }
}
