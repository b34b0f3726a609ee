//! The command gateway: a tenant's request on `cmdin.v1.<tenant>.<verb>` becomes a command on `CMD`, or a typed error at once.
//!
//! The tenant is the subject's, which the broker's account mapping inserted; a body cannot name another. "Accepted" is said only once the command is
//! committed to the ledger (or, without one, stored by the broker). The client's own id makes a repetition harmless: the same id with the same body
//! gets the same answer, with another body an error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_bucket::{Accept, BucketError, Ledger, LedgerKind};
use cofferdam_nats::Bus;
use cofferdam_nats::subject::{COMMAND_REQUESTS, CmdIn};
use cofferdam_processor::CommandHandler;
use cofferdam_schemas::{
    Accepted, Command, CommandId, ErrorCode, ProcessorName, RequestId, TenantName, Timestamp, WireError,
};
use cofferdam_seams::Clock;
use cofferdam_seams::crash::{self, Point, When};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use uuid::Uuid;

use crate::error::IngestError;
use crate::metrics;
use crate::publish::Publisher;
use crate::pump::{command_subject, error_text};

/// Replicas share the requests through this queue group.
const GROUP: &str = "gateway";
/// Requests answered at a time by this process.
const AT_ONCE: usize = 256;

/// Limits of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Longest body of a request, in bytes. 64 KiB.
    pub max_body: usize,
    /// Requests of one tenant that are answered at a time; more are told to come back. 64.
    pub max_per_tenant: usize,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            max_body: 64 * 1024,
            max_per_tenant: 64,
        }
    }
}

/// Decides on requests. Knows nothing of subscriptions.
pub struct Gateway {
    checks: BTreeMap<ProcessorName, Arc<dyn CommandHandler>>,
    tenants: BTreeMap<TenantName, Semaphore>,
    ledger: Option<Ledger>,
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    settings: GatewaySettings,
}

/// Why a request is refused: the code and a sentence that says what to do.
struct Refused {
    code: ErrorCode,
    message: String,
    details: Vec<(&'static str, String)>,
}

impl Refused {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }
}

impl Gateway {
    /// `checks` has the handler of every verb. With a ledger, [`crate::run_pump`] publishes what is accepted and has to run beside this.
    pub fn new(
        checks: BTreeMap<ProcessorName, Arc<dyn CommandHandler>>,
        tenants: impl IntoIterator<Item = TenantName>,
        ledger: Option<Ledger>,
        publisher: Arc<dyn Publisher>,
        clock: Arc<dyn Clock>,
        settings: GatewaySettings,
    ) -> Self {
        let tenants = tenants
            .into_iter()
            .map(|tenant| (tenant, Semaphore::new(settings.max_per_tenant)))
            .collect();
        Self {
            checks,
            tenants,
            ledger,
            publisher,
            clock,
            settings,
        }
    }

    /// Answers one request.
    pub async fn answer(&self, subject: &str, body: &[u8]) -> Result<Accepted, WireError> {
        let now = self.clock.now();
        let request = new_id();
        let result = self.accept(subject, body, now).await;
        let verb = self.label(subject);
        match result {
            Ok((command, again)) => {
                info!(tenant = %command.tenant, verb, command = %command.id, again, "command accepted");
                metrics::command(verb, if again { "repeated" } else { "accepted" });
                Ok(Accepted {
                    accepted: true,
                    id: command.id,
                })
            }
            Err(refused) => {
                let shown: String = subject.chars().take(120).collect();
                warn!(subject = shown, request, code = ?refused.code, reason = refused.message, "command refused");
                metrics::command(verb, "refused");
                let details = refused
                    .details
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                Err(WireError {
                    code: refused.code,
                    message: refused.message,
                    details,
                    time: now,
                    request_id: request_id(&request),
                })
            }
        }
    }

    /// The verb as a metric label: only verbs there are, so that clients cannot make labels.
    fn label(&self, subject: &str) -> &str {
        let verb = subject.rsplit('.').next().unwrap_or_default();
        self.checks
            .keys()
            .map(ProcessorName::as_str)
            .find(|name| *name == verb)
            .unwrap_or("unknown")
    }

    async fn accept(&self, subject: &str, body: &[u8], now: Timestamp) -> Result<(Command, bool), Refused> {
        let invalid = |message: String| Refused::new(ErrorCode::InvalidRequest, message);
        let asked: CmdIn = subject
            .parse()
            .map_err(|_| invalid("send commands to cmd.<verb>".into()))?;
        let Some(permits) = self.tenants.get(&asked.tenant) else {
            return Err(Refused::new(
                ErrorCode::Forbidden,
                "this tenant is not served here; ask the operator to configure it",
            ));
        };
        let known = ProcessorName::new(asked.verb.as_str())
            .ok()
            .and_then(|verb| self.checks.get_key_value(&verb));
        let Some((verb, handler)) = known else {
            let verbs: Vec<_> = self.checks.keys().map(ProcessorName::as_str).collect();
            let named: String = asked.verb.chars().take(40).collect();
            let message = format!("there is no command {named:?}; there is {}", verbs.join(", "));
            return Err(Refused::new(ErrorCode::UnknownCommand, message));
        };
        if body.len() > self.settings.max_body {
            let message = format!(
                "body has {} bytes, {} are allowed; a command names objects and carries none",
                body.len(),
                self.settings.max_body
            );
            return Err(
                Refused::new(ErrorCode::LimitExceeded, message).with("limit", self.settings.max_body.to_string())
            );
        }
        let Ok(_permit) = permits.try_acquire() else {
            return Err(Refused::new(
                ErrorCode::Backpressure,
                "too many commands of this tenant at a time; send it again in a second",
            ));
        };
        let body = read_body(body, &asked.tenant)?;
        let id = match body.get("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                Some(CommandId::new(text.as_str()).map_err(|e| invalid(format!("field id: {e}")))?)
            }
            Some(_) => {
                return Err(invalid(
                    "field id must be a text of 1 to 64 of A-Z, a-z, 0-9, _ and -; leave it out to get one".into(),
                ));
            }
        };
        handler.check(&body).map_err(|reason| {
            invalid(format!("body of {verb} cannot be used: {reason}")).with("verb", verb.as_str())
        })?;
        let id = match id {
            Some(id) => id,
            None => CommandId::new(new_id()).map_err(|e| Refused::new(ErrorCode::Internal, e.to_string()))?,
        };
        let command = Command {
            id,
            tenant: asked.tenant.clone(),
            verb: verb.clone(),
            body,
            accepted_at: now,
        };
        self.commit(command).await
    }

    /// Makes it durable. The flag says that it was so before.
    async fn commit(&self, command: Command) -> Result<(Command, bool), Refused> {
        let Some(ledger) = &self.ledger else {
            let published = self.publisher.command(&command, 0).await;
            return published.map(|()| (command, false)).map_err(|trouble| {
                warn!(error = error_text(&trouble), "command could not be published");
                Refused::new(
                    trouble.code(),
                    "the command could not be stored now; send it again with the same id",
                )
            });
        };
        let subject = command_subject(command.tenant.as_str(), command.id.as_str());
        let payload = serde_json::to_value(&command).map_err(|e| Refused::new(ErrorCode::Internal, e.to_string()))?;
        crash::point(Point::CommandAccepted, When::Before);
        match ledger
            .accept(LedgerKind::Command, subject.clone(), payload)
            .await
            .map_err(|e| not_stored(&e))?
        {
            Accept::New(_) => {
                crash::point(Point::CommandAccepted, When::After);
                Ok((command, false))
            }
            Accept::Exists(_) => {
                let row = ledger
                    .find(LedgerKind::Command, subject)
                    .await
                    .map_err(|e| not_stored(&e))?;
                let earlier: Option<Command> = row.and_then(|row| serde_json::from_value(row.payload).ok());
                match earlier {
                    // Its row went between the two calls: it is done, under this id.
                    None => Ok((command, true)),
                    Some(earlier) if earlier.verb == command.verb && earlier.body == command.body => {
                        Ok((earlier, true))
                    }
                    Some(_) => {
                        let message = "this id was used for another command; use a new id, or leave it out to get one";
                        Err(Refused::new(ErrorCode::InvalidRequest, message).with("id", command.id.as_str()))
                    }
                }
            }
        }
    }
}

/// A JSON object that names no other tenant.
fn read_body(body: &[u8], tenant: &TenantName) -> Result<Value, Refused> {
    // serde_json's words name a line and column, never the content.
    let body: Value = serde_json::from_slice(body).map_err(|e| {
        Refused::new(
            ErrorCode::InvalidRequest,
            format!("body is not JSON: {e}; send one JSON object"),
        )
    })?;
    let Value::Object(fields) = &body else {
        return Err(Refused::new(
            ErrorCode::InvalidRequest,
            "body is JSON but not an object; send one JSON object",
        ));
    };
    match fields.get("tenant") {
        Some(named) if named.as_str() != Some(tenant.as_str()) => Err(Refused::new(
            ErrorCode::Forbidden,
            "a command acts for the tenant whose credentials sent it; leave the field tenant out",
        )),
        _ => Ok(body),
    }
}

fn not_stored(error: &BucketError) -> Refused {
    warn!(
        error = error_text(error),
        "command could not be committed to the ledger"
    );
    let code = if matches!(error, BucketError::Full(_)) {
        ErrorCode::Backpressure
    } else {
        ErrorCode::Unavailable
    };
    Refused::new(
        code,
        "the command could not be stored now; send it again with the same id",
    )
}

/// Version 7, so that ids sort by time.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}

fn request_id(text: &str) -> RequestId {
    // Unwrap safety: a UUID's text is 36 printable characters.
    #[allow(clippy::expect_used)]
    RequestId::new(text).expect("valid")
}

/// Answers requests until `stop`, then finishes those it has begun. Ends with an error when the subscription cannot be made.
pub async fn run_gateway(bus: Bus, gateway: Arc<Gateway>, stop: CancellationToken) -> Result<(), IngestError> {
    let client = bus.client().clone();
    let tasks = TaskTracker::new();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut patience = Duration::from_millis(100);
    while !stop.is_cancelled() {
        let mut requests = client
            .queue_subscribe(COMMAND_REQUESTS, GROUP.into())
            .await
            .map_err(|e| IngestError::Subscribe(Box::new(e)))?;
        loop {
            let request = tokio::select! {
                () = stop.cancelled() => break,
                request = requests.next() => request,
            };
            let Some(request) = request else { break };
            patience = Duration::from_millis(100);
            // Never closed, so this only waits.
            let Ok(permit) = room.clone().acquire_owned().await else {
                break;
            };
            let (gateway, client) = (gateway.clone(), client.clone());
            tasks.spawn(async move {
                let _permit = permit;
                let answer = gateway.answer(&request.subject, &request.payload).await;
                let Some(reply) = request.reply else { return };
                let body = match &answer {
                    Ok(accepted) => serde_json::to_vec(accepted),
                    Err(error) => serde_json::to_vec(error),
                };
                let sent = match body {
                    Ok(body) => client.publish(reply, body.into()).await.map_err(|e| error_text(&e)),
                    Err(e) => Err(e.to_string()),
                };
                if let Err(fault) = sent {
                    warn!(error = fault, "answer to a command could not be sent");
                }
            });
        }
        if !stop.is_cancelled() {
            // The subscription ended (the connection was closed or drained under it): an event, not an end.
            warn!(
                wait_ms = patience.as_millis() as u64,
                "subscription to commands ended, subscribing again"
            );
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(patience) => {} }
            patience = (patience * 2).min(Duration::from_secs(5));
        } else if let Err(fault) = requests.unsubscribe().await {
            warn!(
                error = error_text(&fault),
                "subscription to commands could not be ended"
            );
        }
    }
    tasks.close();
    tasks.wait().await;
    Ok(())
}

#[cfg(test)]
mod tests;
