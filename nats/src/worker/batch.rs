//! The shell for messages that are worked on in batches: sinks and the joiner.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cofferdam_schemas::ErrorCode;
use futures::FutureExt;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

mod acks;

pub use acks::Acks;

use super::delivery::Delivery;
use super::pull::{Lost, Puller};
use super::settle::Settler;
use super::shell::{Backoff, terms};
use super::{Failure, RETRY_DELAYS, WorkerError};
use crate::bus::Bus;

/// How a batch worker works.
#[derive(Debug, Clone)]
pub struct BatchSettings {
    /// Messages in a batch at most. As many again are asked for ahead.
    pub max: usize,
    /// How long the first message of a batch waits for others.
    pub linger: Duration,
    /// How often [`Batch::tick`] is called.
    pub tick: Duration,
    /// Cancelled to stop: what is buffered is given back, a batch in progress is finished.
    pub stop: CancellationToken,
    /// How long a batch in progress may take after `stop`.
    pub grace: Duration,
    /// See [`super::RETRY_DELAYS`].
    pub delays: Vec<Duration>,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            max: 256,
            linger: Duration::from_millis(2),
            tick: Duration::from_millis(250),
            stop: CancellationToken::new(),
            grace: Duration::from_secs(8),
            delays: RETRY_DELAYS.to_vec(),
        }
    }
}

/// Handles messages in batches and acknowledges them itself, at once or later.
///
/// A delivery that is kept (or its [`super::Ticket`]) is kept alive at the broker until it is acknowledged. One that is
/// dropped without is given back and delivered again after a delay, so an error needs no bookkeeping: what was not
/// acknowledged comes again.
///
/// | answer | what happens |
/// |---|---|
/// | [`Failure::Retry`] | a pause that grows while it goes on; dropped deliveries come again |
/// | [`Failure::Reject`], or a panic | they come again one by one; what fails alone is dead-lettered (a panic: at its third) |
/// | [`Failure::Halt`] | the worker stops |
#[async_trait]
pub trait Batch: Send + 'static {
    /// Handles a batch, oldest first. Effects must be durable before a delivery is acknowledged.
    async fn handle(&mut self, batch: Vec<Delivery>, acks: &Acks) -> Result<(), Failure>;

    /// Called at every tick, between batches, for work that is due by time.
    async fn tick(&mut self, _acks: &Acks) -> Result<(), Failure> {
        Ok(())
    }

    /// Called once when the worker stops, after the last batch: the last chance to finish and acknowledge what was
    /// kept.
    async fn stop(&mut self, _acks: &Acks) -> Result<(), Failure> {
        Ok(())
    }
}

/// A call into the handler.
enum Call {
    Handle(Vec<Delivery>),
    Tick,
    Stop,
}

/// How it ended.
enum Called {
    Ok,
    Failed(Failure),
    Panicked,
}

struct Shell {
    bus: Bus,
    consumer: String,
    handler: Box<dyn Batch>,
    acks: Arc<Acks>,
    settings: BatchSettings,
    buffer: Vec<Delivery>,
    /// So many of the next deliveries are handled one by one.
    isolate: usize,
    failing: Backoff,
    resume_at: Option<Instant>,
    first_at: Option<Instant>,
    keep_alive: tokio::time::Interval,
    ticks: tokio::time::Interval,
}

/// Runs a batch handler on a consumer until it is stopped.
///
/// # Errors
/// [`WorkerError::Start`] when the consumer is not there, [`WorkerError::Halted`] when the handler answers
/// [`Failure::Halt`].
pub async fn run_batch(
    bus: Bus,
    stream: &str,
    consumer: &str,
    handler: Box<dyn Batch>,
    mut settings: BatchSettings,
) -> Result<(), WorkerError> {
    let Some(terms) = terms(&bus, stream, consumer, &settings.stop).await? else {
        return Ok(());
    };
    settings.max = settings.max.max(1);
    if settings.delays.is_empty() {
        settings.delays = RETRY_DELAYS.to_vec();
    }
    let settler = Settler {
        bus: bus.clone(),
        ack_wait: terms.ack_wait,
    };
    let interval = |every| {
        let mut interval = tokio::time::interval_at(Instant::now() + every, every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    let mut shell = Shell {
        consumer: consumer.to_owned(),
        handler,
        keep_alive: interval(settler.progress_every()),
        ticks: interval(settings.tick.max(Duration::from_millis(1))),
        acks: Arc::new(Acks::new(settler, consumer, settings.delays.clone())),
        bus,
        settings,
        buffer: Vec::new(),
        isolate: 0,
        failing: Backoff::new(),
        resume_at: None,
        first_at: None,
    };
    tracing::info!(stream, consumer, max = shell.settings.max, "batch worker started");
    let result = shell.pull(stream).await;
    let result = shell.finish(result).await;
    tracing::info!(stream, consumer, "batch worker stopped");
    result
}

impl Shell {
    async fn pull(&mut self, stream: &str) -> Result<(), WorkerError> {
        let mut backoff = Backoff::new();
        let stop = self.settings.stop.clone();
        loop {
            let consumer = self.consumer.clone();
            let opened = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                opened = Puller::open(&self.bus, stream, &consumer) => opened,
            };
            let lost = match opened {
                Ok(puller) => match self.drive(puller, &mut backoff).await? {
                    Some(lost) => lost,
                    None => return Ok(()),
                },
                Err(lost) => lost,
            };
            let pause = backoff.next();
            self.bus.metrics().pull_lost(&self.consumer, lost.as_str());
            tracing::warn!(consumer = self.consumer, cause = %lost, ?pause, "pull is lost, opening another");
            // What is buffered is delivered again as well; handling it twice is for nothing.
            self.buffer.clear();
            self.first_at = None;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            self.acks.give_back_dropped(true).await;
        }
    }

    /// Takes messages from one pull; `None` when the worker is to stop.
    async fn drive(&mut self, mut puller: Puller, backoff: &mut Backoff) -> Result<Option<Lost>, WorkerError> {
        let stop = self.settings.stop.clone();
        let limit = self.settings.max * 2;
        loop {
            if let Err(lost) = puller.keep_asking(limit.saturating_sub(self.buffer.len()), limit).await {
                return Ok(Some(lost));
            }
            let full = self.buffer.len() >= self.settings.max || (self.isolate > 0 && !self.buffer.is_empty());
            let due = self.first_at.map(|at| {
                if full {
                    Instant::now()
                } else {
                    at + self.settings.linger
                }
            });
            let due = due.map(|due| self.resume_at.map_or(due, |resume| due.max(resume)));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = self.keep_alive.tick() => self.acks.keep_alive().await,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.flush().await?;
                    puller.resume();
                }
                _ = self.ticks.tick() => {
                    self.call(Call::Tick).await?;
                    puller.resume();
                }
                next = puller.next(), if !full => match next {
                    Ok(Some(message)) => {
                        backoff.reset();
                        if let Some(delivery) = Delivery::from_message(&self.bus, message) {
                            self.bus.metrics().delivered(&self.consumer, delivery.delivered);
                            self.acks.hold(&delivery);
                            self.first_at.get_or_insert_with(Instant::now);
                            self.buffer.push(delivery);
                        }
                    }
                    Ok(None) => {}
                    Err(lost) => {
                        self.acks.release_rest(puller);
                        return Ok(Some(lost));
                    }
                },
            }
        }
        for message in puller.close().await {
            if let Some(delivery) = Delivery::from_message(&self.bus, message) {
                self.acks.release(&delivery).await;
            }
        }
        Ok(None)
    }

    async fn flush(&mut self) -> Result<(), WorkerError> {
        let most = if self.isolate > 0 { 1 } else { self.settings.max };
        let rest = self.buffer.split_off(self.buffer.len().min(most));
        let batch = std::mem::replace(&mut self.buffer, rest);
        self.first_at = if self.buffer.is_empty() {
            None
        } else {
            Some(Instant::now())
        };
        self.isolate = self.isolate.saturating_sub(batch.len());
        self.call(Call::Handle(batch)).await
    }

    /// Calls the handler, keeps alive what is held meanwhile, and deals with what it answers.
    async fn call(&mut self, call: Call) -> Result<(), WorkerError> {
        let batch = match &call {
            Call::Handle(batch) => batch.len(),
            Call::Tick | Call::Stop => 0,
        };
        // The one message of a batch of one may have to be buried, and the handler takes it.
        let alone = match &call {
            Call::Handle(batch) if batch.len() == 1 => batch.first().cloned(),
            _ => None,
        };
        let tried = match &call {
            Call::Handle(batch) => batch.iter().map(|d| d.delivered).max().unwrap_or(0),
            Call::Tick | Call::Stop => 0,
        };
        if batch > 0 {
            self.bus.metrics().batch(&self.consumer, batch);
        }
        let called = self.guarded(call).await;
        let failure = match called {
            Called::Ok => {
                if batch > 0 {
                    self.failing.reset();
                    self.resume_at = None;
                }
                drop(alone);
                self.acks.give_back_dropped(false).await;
                return Ok(());
            }
            Called::Failed(failure) => failure,
            Called::Panicked => match &alone {
                Some(delivery) if delivery.delivered < 3 => Failure::Retry {
                    reason: "handler panicked".into(),
                },
                _ => Failure::Reject {
                    class: "panic".into(),
                    code: ErrorCode::Internal,
                    reason: "handler panicked".into(),
                },
            },
        };
        match failure {
            Failure::Halt { reason } => {
                tracing::error!(
                    consumer = self.consumer,
                    reason,
                    "batch worker halts, its messages stay"
                );
                let sequence = alone.map_or(0, |delivery| delivery.stream_seq);
                return Err(WorkerError::Halted {
                    consumer: self.consumer.clone(),
                    sequence,
                    reason,
                });
            }
            Failure::Retry { reason } => {
                let pause = self.failing.next();
                tracing::warn!(
                    consumer = self.consumer,
                    messages = batch,
                    reason,
                    ?pause,
                    "batch failed, its messages come again"
                );
                self.resume_at = Some(Instant::now() + pause);
                // One message of many may be the cause: after its third delivery each gets its own try.
                if tried >= 3 && batch > 1 {
                    self.isolate = self.isolate.max(batch);
                }
                drop(alone);
                self.acks.give_back_dropped(false).await;
            }
            Failure::Reject { class, code, reason } => match alone {
                Some(delivery) => {
                    self.acks.reject(&delivery, &class, code, &reason).await;
                    drop(delivery);
                    self.acks.give_back_dropped(false).await;
                }
                None => {
                    tracing::warn!(
                        consumer = self.consumer,
                        messages = batch,
                        reason,
                        "a message of a batch is not acceptable, trying one by one"
                    );
                    self.isolate = self.isolate.max(batch);
                    self.acks.give_back_dropped(true).await;
                }
            },
        }
        Ok(())
    }

    async fn guarded(&mut self, call: Call) -> Called {
        let acks = self.acks.clone();
        let handler = &mut self.handler;
        let work = async {
            match call {
                Call::Handle(batch) => handler.handle(batch, &acks).await,
                Call::Tick => handler.tick(&acks).await,
                Call::Stop => handler.stop(&acks).await,
            }
        };
        // After a panic the handler is called again. Sinks keep nothing between calls but connections; the joiner's
        // memory is rebuilt from what comes again.
        let work = AssertUnwindSafe(work).catch_unwind();
        tokio::pin!(work);
        let ended = loop {
            tokio::select! {
                ended = &mut work => break ended,
                _ = self.keep_alive.tick() => self.acks.keep_alive().await,
            }
        };
        match ended {
            Ok(Ok(())) => Called::Ok,
            Ok(Err(failure)) => Called::Failed(failure),
            Err(_) => Called::Panicked,
        }
    }

    /// The handler's last call, within the grace period; then everything that is still held is given back.
    async fn finish(&mut self, result: Result<(), WorkerError>) -> Result<(), WorkerError> {
        self.buffer.clear();
        let grace = self.settings.grace;
        let result = if result.is_ok() {
            tokio::time::timeout(grace, self.call(Call::Stop))
                .await
                .unwrap_or_else(|_| {
                    tracing::warn!(
                        consumer = self.consumer,
                        "batch handler did not stop within the grace period"
                    );
                    Ok(())
                })
        } else {
            result
        };
        self.acks.give_back_all().await;
        result
    }
}
