//! Pulling: asking a consumer for so many messages as there is room for, and noticing when nothing comes any more.
//!
//! The client's own message stream asks ahead of what is taken from it, and messages that wait in its buffer are not
//! kept alive: with long work they would be redelivered until their deliveries are used up, without anybody having
//! looked at them. So the requests are made here: never for more than there is room for, and what arrives is taken at
//! once.
//!
//! A pull that is lost (connection, missed heartbeats, any status that is not a timeout) is an event for the caller,
//! who opens another. What was on its way is delivered again by the broker.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bus::Bus;

/// How long a request waits at the server.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often an idle server says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Two missed ones, and some slack.
const SILENCE: Duration = Duration::from_secs(11);

/// Why a pull is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("connection was lost")]
    Connection,
    #[error("server is silent")]
    Silence,
    #[error("subscription ended")]
    Ended,
    #[error("no such consumer, or jetstream is not up")]
    NoResponders,
    #[error("server ended it with status {0}: {1}")]
    Status(u16, String),
    #[error("client failed: {0}")]
    Client(String),
}

impl Lost {
    /// The word in metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Lost::Connection => "connection",
            Lost::Silence => "silence",
            Lost::Ended => "ended",
            Lost::NoResponders => "no-responders",
            Lost::Status(..) => "status",
            Lost::Client(_) => "client",
        }
    }
}

pub(crate) struct Puller {
    bus: Bus,
    subject: String,
    inbox: String,
    subscription: Subscriber,
    losses: watch::Receiver<u64>,
    /// Messages asked for and not arrived.
    outstanding: usize,
    /// When each request is over at the latest, oldest first.
    expiries: VecDeque<Instant>,
    heard: Instant,
}

impl Puller {
    /// Subscribes; waits for a connection if there is none.
    pub(crate) async fn open(bus: &Bus, stream: &str, consumer: &str) -> Result<Self, Lost> {
        while !bus.is_connected() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut losses = bus.losses();
        losses.mark_unchanged();
        let inbox = bus.client().new_inbox();
        let subscription = bus
            .client()
            .subscribe(inbox.clone())
            .await
            .map_err(|e| Lost::Client(e.to_string()))?;
        Ok(Self {
            bus: bus.clone(),
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            inbox,
            subscription,
            losses,
            outstanding: 0,
            expiries: VecDeque::new(),
            heard: Instant::now(),
        })
    }

    /// Asks for more when at least half of the room (or nothing) is asked for.
    pub(crate) async fn keep_asking(&mut self, room: usize, limit: usize) -> Result<(), Lost> {
        let free = room.saturating_sub(self.outstanding);
        if free == 0 || (self.outstanding > 0 && free < limit.div_ceil(2)) {
            return Ok(());
        }
        if self.outstanding == 0 {
            // Nothing was asked for, so nothing was said.
            self.heard = Instant::now();
        }
        let request = serde_json::json!({
            "batch": free,
            "expires": EXPIRES.as_nanos() as u64,
            "idle_heartbeat": HEARTBEAT.as_nanos() as u64,
        });
        let sent = self
            .bus
            .client()
            .publish_with_reply(self.subject.clone(), self.inbox.clone(), request.to_string().into())
            .await;
        sent.map_err(|e| Lost::Client(e.to_string()))?;
        self.outstanding += free;
        self.expiries.push_back(Instant::now() + EXPIRES + HEARTBEAT);
        Ok(())
    }

    /// Forgives silence while the caller was not listening.
    pub(crate) fn resume(&mut self) {
        self.heard = Instant::now();
    }

    /// The next message; `None` when a request is over, so that the caller asks again. Nothing is lost when the future
    /// is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Lost> {
        loop {
            let silent = match self.expiries.front() {
                Some(expiry) if self.outstanding > 0 => {
                    (self.heard + SILENCE).min((*expiry).max(self.heard + HEARTBEAT))
                }
                // Nothing is asked for: nothing is missed.
                _ => Instant::now() + Duration::from_secs(3600),
            };
            let message = tokio::select! {
                biased;
                message = self.subscription.next() => message.ok_or(Lost::Ended)?,
                _ = self.losses.changed() => return Err(Lost::Connection),
                () = tokio::time::sleep_until(silent) => return Err(Lost::Silence),
            };
            self.heard = Instant::now();
            match message.status.unwrap_or(StatusCode::OK) {
                StatusCode::OK => {
                    self.outstanding = self.outstanding.saturating_sub(1);
                    if self.outstanding == 0 {
                        self.expiries.clear();
                    }
                    return Ok(Some(message));
                }
                StatusCode::IDLE_HEARTBEAT => {}
                // One request is over; the rest of what it asked for will not come.
                StatusCode::TIMEOUT | StatusCode::NOT_FOUND => {
                    let rest = message
                        .headers
                        .as_ref()
                        .and_then(|h| h.get("Nats-Pending-Messages")?.as_str().parse().ok());
                    self.outstanding = self.outstanding.saturating_sub(rest.unwrap_or(self.outstanding));
                    self.expiries.pop_front();
                    if self.outstanding == 0 || self.expiries.is_empty() {
                        self.outstanding = 0;
                        self.expiries.clear();
                    }
                    return Ok(None);
                }
                StatusCode::NO_RESPONDERS => return Err(Lost::NoResponders),
                status => {
                    return Err(Lost::Status(
                        status.as_u16(),
                        message.description.unwrap_or_default().to_string(),
                    ));
                }
            }
        }
    }

    /// Ends the subscription; what had arrived already or still does comes back, to be released.
    pub(crate) async fn close(mut self) -> Vec<Message> {
        let drain = async {
            if self.subscription.drain().await.is_err() {
                return Vec::new();
            }
            let mut rest = Vec::new();
            while let Some(message) = self.subscription.next().await {
                if message.status.is_none_or(|status| status == StatusCode::OK) {
                    rest.push(message);
                }
            }
            rest
        };
        tokio::time::timeout(Duration::from_millis(500), drain)
            .await
            .unwrap_or_default()
    }
}
