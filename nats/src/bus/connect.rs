//! Connecting, and what the connection reports while it lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::ContextBuilder;
use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerError};
use secrecy::ExposeSecret;

use super::{ANSWER_WAIT, Bus, Inner, Login, PUBLISH_DEADLINE, Watch};
use crate::error::NatsError;
use crate::metrics::Metrics;

/// The oldest server that works: deduplication of batches and per-message expiry.
const LEAST: (u64, u64, u64) = (2, 12, 1);
const LEAST_TEXT: &str = "2.12.1";
/// Older ones work, but cannot afford to be durable on three nodes.
const RECOMMENDED: (u64, u64, u64) = (2, 15, 0);
/// How long the first connection is tried: a server that is being started beside us takes a moment.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);
/// Publishes that may wait for their acknowledgement at once. Times the duration of one fsync this must stay well below
/// [`ANSWER_WAIT`].
const MOST_UNACKNOWLEDGED: usize = 256;

impl Bus {
    /// Connects, trying for up to 30 seconds. Wrong credentials and a server that is too old fail at once.
    pub async fn connect(login: Login) -> Result<Self, NatsError> {
        Self::connect_within(login, CONNECT_DEADLINE).await
    }

    /// As [`Bus::connect`] with another time to try.
    pub async fn connect_within(login: Login, deadline: Duration) -> Result<Self, NatsError> {
        let watch = Arc::new(Watch::new());
        let metrics = Arc::new(Metrics::new());
        let options = options(&login, watch.clone(), metrics.clone());
        let started = Instant::now();
        let mut pause = Duration::from_millis(50);
        let client = loop {
            let error = match options.clone().connect(&login.url).await {
                Ok(client) => break client,
                Err(error) => error,
            };
            let may_pass = match error.kind() {
                ConnectErrorKind::Dns
                | ConnectErrorKind::TimedOut
                | ConnectErrorKind::Io
                | ConnectErrorKind::MaxReconnects => true,
                ConnectErrorKind::ServerParse
                | ConnectErrorKind::Authentication
                | ConnectErrorKind::AuthorizationViolation
                | ConnectErrorKind::Tls => false,
            };
            if !may_pass || started.elapsed() + pause > deadline {
                return Err(NatsError::Connect {
                    url: login.url,
                    role: login.role,
                    source: Box::new(error),
                });
            }
            tracing::debug!(url = login.url, role = login.role, error = %error, "not connected yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        };
        check_version(&login.url, &client.server_info().version)?;
        let jetstream = ContextBuilder::new()
            .timeout(ANSWER_WAIT)
            .ack_timeout(ANSWER_WAIT)
            .max_ack_inflight(MOST_UNACKNOWLEDGED)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let inner = Inner {
            client,
            jetstream,
            role: login.role,
            url: login.url,
            metrics,
            watch,
        };
        Ok(Self {
            inner: Arc::new(inner),
            publish_deadline: PUBLISH_DEADLINE,
            finality: None,
        })
    }
}

fn options(login: &Login, watch: Arc<Watch>, metrics: Arc<Metrics>) -> ConnectOptions {
    let role = login.role.clone();
    ConnectOptions::with_user_and_password(login.user.clone(), login.password.expose_secret().to_owned())
        .name(&login.role)
        .custom_inbox_prefix(format!("_INBOX_{}", login.role))
        .connection_timeout(Duration::from_secs(5))
        .request_timeout(Some(Duration::from_secs(10)))
        .ping_interval(Duration::from_secs(20))
        .reconnect_delay_callback(|attempts| {
            let doubled = 50 * 2u64.saturating_pow(u32::try_from(attempts).unwrap_or(u32::MAX).min(6));
            Duration::from_millis(doubled.min(2000)).mul_f64(rand::random_range(0.8..1.2))
        })
        .event_callback(move |event| {
            report(&role, &event, &watch, &metrics);
            std::future::ready(())
        })
}

/// What the connection went through, as a log line, a count, and for those who wait for it.
fn report(role: &str, event: &Event, watch: &Watch, metrics: &Metrics) {
    let name = match event {
        Event::Connected => {
            tracing::debug!(role, "connected to nats");
            "connected"
        }
        Event::Disconnected => {
            tracing::warn!(role, "connection to nats is lost, reconnecting");
            watch.losses.send_modify(|n| *n += 1);
            "disconnected"
        }
        Event::LameDuckMode => {
            tracing::info!(role, "nats-server is shutting down");
            "lame-duck"
        }
        Event::Draining => "draining",
        Event::Closed => {
            watch.closed.send_replace(true);
            "closed"
        }
        Event::SlowConsumer(subscription) => {
            tracing::warn!(
                role,
                subscription,
                "messages were dropped, a subscription is not read fast enough"
            );
            "slow-consumer"
        }
        Event::ServerError(ServerError::Other(text)) if text.to_ascii_lowercase().contains("permissions violation") => {
            tracing::error!(role, violation = text, "role lacks a permission");
            watch.note_violation(text.clone());
            "permission-violation"
        }
        Event::ServerError(error) => {
            tracing::warn!(role, error = %error, "nats-server reports an error");
            "server-error"
        }
        Event::ClientError(error) => {
            tracing::warn!(role, error = %error, "nats client reports an error");
            "client-error"
        }
    };
    metrics.connection(role, name);
}

fn check_version(url: &str, found: &str) -> Result<(), NatsError> {
    let version = parse_version(found);
    if version < LEAST {
        return Err(NatsError::ServerTooOld {
            url: url.to_owned(),
            found: found.to_owned(),
            least: LEAST_TEXT,
        });
    }
    if version < RECOMMENDED {
        tracing::warn!(
            url,
            version = found,
            "nats-server works but is slow when durable; 2.15.1 or later is recommended"
        );
    }
    Ok(())
}

/// `2.15.1`, `2.15.0-dev`: what follows the three numbers is ignored; what is no number counts as 0.
fn parse_version(text: &str) -> (u64, u64, u64) {
    let digits = |part: &str| {
        part.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap_or(0)
    };
    let mut parts = text.trim_start_matches('v').split('.').map(digits);
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        assert_eq!(parse_version("2.15.0-dev"), (2, 15, 0));
        assert_eq!(parse_version("v2.12.1"), (2, 12, 1));
        for (version, works) in [
            ("2.12.0", false),
            ("2.9.25", false),
            ("2.12.1", true),
            ("2.15.1", true),
            ("3.0.0", true),
            ("", false),
        ] {
            assert_eq!(check_version("nats://x", version).is_ok(), works, "{version}");
        }
        let error = check_version("nats://x", "2.11.9").unwrap_err();
        assert_eq!(
            error.to_string(),
            "nats-server 2.11.9 at nats://x is too old: at least 2.12.1 is needed, 2.15.1 recommended"
        );
    }
}
