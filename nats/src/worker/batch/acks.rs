//! What a batch handler acknowledges with, and the register of what it holds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_nats::subject::Subject;
use cofferdam_schemas::ErrorCode;

use crate::error::chain;
use crate::worker::delivery::{Delivery, Stub, Ticket};
use crate::worker::pull::Puller;
use crate::worker::settle::Settler;

/// Acknowledges deliveries. Acks are sent plainly and pipelined: none waits for the broker's answer, and one that gets
/// lost is a redelivery.
pub struct Acks {
    /// `None` in tests of handlers.
    settler: Option<Settler>,
    consumer: String,
    delays: Vec<Duration>,
    held: Mutex<Held>,
}

type Key = (u64, u64);

#[derive(Default)]
struct Held {
    entries: HashMap<Key, Entry>,
    /// Sequences that were acknowledged, in tests of handlers.
    acked: Vec<u64>,
}

/// One delivery that is neither acknowledged nor given back.
struct Entry {
    /// Whether anybody still has it.
    stub: Weak<Stub>,
    reply: Option<Subject>,
    arrived: Instant,
    touched: Instant,
}

impl Acks {
    pub(super) fn new(settler: Settler, consumer: &str, delays: Vec<Duration>) -> Self {
        Self {
            settler: Some(settler),
            consumer: consumer.to_owned(),
            delays,
            held: Mutex::default(),
        }
    }

    /// One without a broker, for tests of handlers: see [`Acks::acked`].
    pub fn detached() -> Self {
        Self {
            settler: None,
            consumer: "detached".to_owned(),
            delays: Vec::new(),
            held: Mutex::default(),
        }
    }

    /// The sequences acknowledged so far, in order; only of a detached one.
    pub fn acked(&self) -> Vec<u64> {
        self.with(|held| held.acked.clone())
    }

    /// Acknowledges a delivery, or the ticket of one, whose effects are durable.
    pub async fn ack(&self, delivery: &impl AsRef<Ticket>) {
        let ticket = delivery.as_ref();
        if let Some(settler) = &self.settler {
            settler.ack(ticket).await;
            self.settled(ticket, "done");
        } else {
            self.with(|held| held.acked.push(ticket.stream_seq()));
        }
    }

    /// Acknowledges several.
    pub async fn ack_all<'a, T: AsRef<Ticket> + 'a>(&self, deliveries: impl IntoIterator<Item = &'a T>) {
        for delivery in deliveries {
            self.ack(delivery).await;
        }
    }

    /// Dead-letters one delivery: full copy in `DLQ`, then terminated. If the copy cannot be stored, the message comes
    /// again.
    pub async fn reject(&self, delivery: &Delivery, class: &str, code: ErrorCode, reason: &str) {
        let ticket = delivery.as_ref();
        let Some(settler) = &self.settler else { return };
        tracing::error!(
            consumer = self.consumer,
            sequence = delivery.stream_seq,
            class,
            reason,
            "message is given up"
        );
        match settler.copy(delivery, class, code, reason).await {
            Ok(_) => {
                settler.terminate(ticket, class, code).await;
                self.settled(ticket, "dead");
            }
            Err(error) => {
                tracing::error!(
                    consumer = self.consumer,
                    error = chain(&error),
                    "dead letter cannot be stored, the message comes again"
                );
                settler.retry(ticket, self.delay(delivery.delivered)).await;
                self.settled(ticket, "retry");
            }
        }
    }

    /// Gives one delivery back, to be delivered again after the delay of its attempt.
    pub async fn retry(&self, delivery: &impl AsRef<Ticket>) {
        let ticket = delivery.as_ref();
        if let Some(settler) = &self.settler {
            settler.retry(ticket, self.delay(ticket.stub().delivered)).await;
            self.settled(ticket, "retry");
        }
    }

    /// Deliveries that are held.
    pub fn held(&self) -> usize {
        self.with(|held| held.entries.len())
    }

    pub(super) fn release_rest(&self, puller: Puller) {
        if let Some(settler) = &self.settler {
            settler.release_rest(puller);
        }
    }

    pub(super) async fn release(&self, delivery: &Delivery) {
        if let Some(settler) = &self.settler {
            settler.release(delivery.as_ref()).await;
        }
    }

    pub(super) fn hold(&self, delivery: &Delivery) {
        let ticket = delivery.as_ref();
        let now = Instant::now();
        let entry = Entry {
            stub: ticket.watch(),
            reply: ticket.stub().reply.clone(),
            arrived: now,
            touched: now,
        };
        self.with(|held| held.entries.insert(key(ticket), entry));
    }

    /// Tells the broker that everything is still being worked on that was not told so for a third of the ack wait.
    pub(super) async fn keep_alive(&self) {
        let Some(settler) = &self.settler else { return };
        let due = settler.progress_every().mul_f64(0.9);
        let now = Instant::now();
        let stale: Vec<Ticket> = self.with(|held| {
            let stale = held
                .entries
                .iter_mut()
                .filter(|(_, e)| e.stub.strong_count() > 0 && now.duration_since(e.touched) >= due);
            stale
                .map(|(key, entry)| {
                    entry.touched = now;
                    Ticket::remnant(key.0, key.1, entry.reply.clone())
                })
                .collect()
        });
        for ticket in stale {
            settler.progress(&ticket).await;
        }
    }

    /// Gives back what was dropped without an acknowledgement: soon, or after the delay of its attempt.
    pub(super) async fn give_back_dropped(&self, soon: bool) {
        let dropped = self.take(|entry| entry.stub.strong_count() == 0);
        self.give_back(dropped, soon).await;
    }

    /// Gives everything back at once: somebody else is to have it.
    pub(super) async fn give_back_all(&self) {
        let all = self.take(|_| true);
        self.give_back(all, true).await;
    }

    async fn give_back(&self, tickets: Vec<(Ticket, Duration)>, soon: bool) {
        let Some(settler) = &self.settler else { return };
        for (ticket, worked) in tickets {
            let outcome = if soon {
                settler.release(&ticket).await;
                "released"
            } else {
                settler.retry(&ticket, self.delay(ticket.stub().delivered)).await;
                "retry"
            };
            settler.bus.metrics().settled(&self.consumer, outcome, worked);
        }
    }

    fn take(&self, which: impl Fn(&Entry) -> bool) -> Vec<(Ticket, Duration)> {
        self.with(|held| {
            let taken = held.entries.extract_if(|_, entry| which(entry));
            taken
                .map(|(key, entry)| (Ticket::remnant(key.0, key.1, entry.reply), entry.arrived.elapsed()))
                .collect()
        })
    }

    fn settled(&self, ticket: &Ticket, outcome: &'static str) {
        let entry = self.with(|held| held.entries.remove(&key(ticket)));
        if let (Some(entry), Some(settler)) = (entry, &self.settler) {
            settler
                .bus
                .metrics()
                .settled(&self.consumer, outcome, entry.arrived.elapsed());
        }
    }

    fn delay(&self, delivered: u64) -> Duration {
        let at = usize::try_from(delivered.saturating_sub(1)).unwrap_or(usize::MAX);
        self.delays
            .get(at)
            .or(self.delays.last())
            .copied()
            .unwrap_or(Duration::from_secs(5))
            .max(Duration::from_millis(10))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        act(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key(ticket: &Ticket) -> Key {
    (ticket.stub().sequence, ticket.stub().delivered)
}
