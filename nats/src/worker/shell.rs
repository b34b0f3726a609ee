//! The shell for messages that are worked on one by one.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Message;
use async_trait::async_trait;
use cofferdam_schemas::ErrorCode;
use cofferdam_seams::crash::{self, Point, When};
use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::decide::{Disposition, Ended, Fault, Policy, decide};
use super::delivery::Delivery;
use super::keep::Held;
use super::pull::{Lost, Puller};
use super::settle::Settler;
use super::{RETRY_DELAYS, WorkerError, WorkerSettings};
use crate::bus::Bus;
use crate::error::{NatsError, PublishError, chain};

/// What is done with one message.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Works on it. Effects and results are durable when this returns `Ok`. `cancelled` fires when the worker will not
    /// wait any longer.
    async fn handle(&self, delivery: &Delivery, cancelled: CancellationToken) -> Result<(), Fault>;

    /// Tells those who wait for a result that there will be none, after the dead letter is stored.
    async fn dead(&self, _delivery: &Delivery, _code: ErrorCode, _reason: &str) -> Result<(), PublishError> {
        Ok(())
    }
}

/// What a consumer says about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) ack_wait: Duration,
    pub(crate) max_deliver: Option<u64>,
}

/// Reads a consumer's terms; a broker that is still starting gets 15 seconds.
pub(crate) async fn terms(
    bus: &Bus,
    stream: &str,
    consumer: &str,
    stop: &CancellationToken,
) -> Result<Option<Terms>, WorkerError> {
    let started = Instant::now();
    loop {
        let error = match bus.consumer_info(stream, consumer).await {
            Ok(info) => {
                let max_deliver = u64::try_from(info.config.max_deliver).ok().filter(|most| *most > 0);
                return Ok(Some(Terms {
                    ack_wait: info.config.ack_wait,
                    max_deliver,
                }));
            }
            Err(error) => error,
        };
        let may_pass = matches!(
            error,
            NatsError::NoAnswer { .. } | NatsError::Missing { .. } | NatsError::Refused { .. }
        );
        if !may_pass || started.elapsed() > Duration::from_secs(15) {
            return Err(WorkerError::Start {
                consumer: consumer.to_owned(),
                source: error,
            });
        }
        tracing::debug!(stream, consumer, error = chain(&error), "consumer is not there yet");
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// 100 ms doubling to 5 s, with jitter, until something comes through again.
pub(crate) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);

    pub(crate) fn new() -> Self {
        Self(Self::FIRST)
    }
    pub(crate) fn reset(&mut self) {
        self.0 = Self::FIRST;
    }
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(rand::random_range(0.5..1.0));
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        pause
    }
}

/// What every task of one worker shares.
struct Shell {
    bus: Bus,
    stream: String,
    consumer: String,
    handler: Arc<dyn Handler>,
    settler: Settler,
    terms: Terms,
    delays: Vec<Duration>,
    permits: Semaphore,
    /// No new work.
    stop: CancellationToken,
    /// Work should end.
    cancelled: CancellationToken,
    /// Work is given up.
    give_up: CancellationToken,
    panics: Mutex<HashMap<u64, u32>>,
    held: Held,
}

/// A message that stops the worker.
struct Halt {
    sequence: u64,
    reason: String,
}

pub(crate) async fn run(
    bus: Bus,
    stream: &str,
    consumer: &str,
    handler: Arc<dyn Handler>,
    settings: WorkerSettings,
) -> Result<(), WorkerError> {
    let Some(terms) = terms(&bus, stream, consumer, &settings.stop).await? else {
        return Ok(());
    };
    let concurrency = settings.concurrency.max(1);
    let shell = Arc::new(Shell {
        settler: Settler {
            bus: bus.clone(),
            ack_wait: terms.ack_wait,
        },
        bus,
        stream: stream.to_owned(),
        consumer: consumer.to_owned(),
        handler,
        terms,
        delays: if settings.delays.is_empty() {
            RETRY_DELAYS.to_vec()
        } else {
            settings.delays
        },
        permits: Semaphore::new(concurrency),
        // A halt stops this worker, not everything that shares the caller's token.
        stop: settings.stop.child_token(),
        cancelled: CancellationToken::new(),
        give_up: CancellationToken::new(),
        panics: Mutex::new(HashMap::new()),
        held: Held::default(),
    });
    // A task of its own: what a handler does with its thread is no reason to be late.
    let keeping = tokio::spawn({
        let shell = shell.clone();
        async move { shell.held.keep(&shell.settler).await }
    });
    let _keeping = AbortOnDropHandle::new(keeping);
    tracing::info!(stream, consumer, concurrency, "worker started");
    let mut tasks = JoinSet::new();
    let mut halt = shell.pull(&mut tasks, concurrency * 2).await;
    shell.stop.cancel();
    let grace = tokio::time::sleep(settings.grace);
    tokio::pin!(grace);
    while !tasks.is_empty() {
        tokio::select! {
            Some(ended) = tasks.join_next() => note(ended, &mut halt),
            () = &mut grace, if !shell.cancelled.is_cancelled() => {
                tracing::warn!(consumer, left = tasks.len(), "work is not finished within the grace period, cancelling it");
                shell.cancelled.cancel();
                let give_up = shell.give_up.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    give_up.cancel();
                });
            }
        }
    }
    tracing::info!(stream, consumer, "worker stopped");
    match halt {
        None => Ok(()),
        Some(Halt { sequence, reason }) => Err(WorkerError::Halted {
            consumer: consumer.to_owned(),
            sequence,
            reason,
        }),
    }
}

fn note(ended: Result<Option<Halt>, tokio::task::JoinError>, halt: &mut Option<Halt>) {
    match ended {
        Ok(None) => {}
        Ok(Some(cause)) => {
            halt.get_or_insert(cause);
        }
        // The task only settles; what it runs is caught inside.
        Err(error) => {
            tracing::error!(error = %error, "a delivery's task ended unexpectedly; the message is delivered again")
        }
    }
}

impl Shell {
    /// Pulls until told to stop, or until a message halts the worker.
    async fn pull(self: &Arc<Self>, tasks: &mut JoinSet<Option<Halt>>, limit: usize) -> Option<Halt> {
        let mut halt = None;
        let mut backoff = Backoff::new();
        loop {
            let opened = tokio::select! {
                () = self.stop.cancelled() => return halt,
                opened = Puller::open(&self.bus, &self.stream, &self.consumer) => opened,
            };
            let lost = match opened {
                Ok(puller) => match self.drive(puller, tasks, limit, &mut backoff, &mut halt).await {
                    Some(lost) => lost,
                    None => return halt,
                },
                Err(lost) => lost,
            };
            let pause = backoff.next();
            self.bus.metrics().pull_lost(&self.consumer, lost.as_str());
            tracing::warn!(consumer = self.consumer, cause = %lost, ?pause, "pull is lost, opening another");
            tokio::select! {
                () = self.stop.cancelled() => return halt,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes messages from one pull; `None` when the worker is to stop.
    async fn drive(
        self: &Arc<Self>,
        mut puller: Puller,
        tasks: &mut JoinSet<Option<Halt>>,
        limit: usize,
        backoff: &mut Backoff,
        halt: &mut Option<Halt>,
    ) -> Option<Lost> {
        loop {
            if let Err(lost) = puller.keep_asking(limit.saturating_sub(tasks.len()), limit).await {
                return Some(lost);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(ended) = tasks.join_next() => {
                    note(ended, halt);
                    if halt.is_some() {
                        break;
                    }
                }
                next = puller.next() => match next {
                    Ok(Some(message)) => {
                        backoff.reset();
                        self.take(message, tasks);
                    }
                    Ok(None) => {}
                    Err(lost) => {
                        self.settler.release_rest(puller);
                        return Some(lost);
                    }
                },
            }
        }
        for message in puller.close().await {
            if let Some(delivery) = Delivery::from_message(&self.bus, message) {
                self.settler.release(&delivery.ticket()).await;
            }
        }
        None
    }

    fn take(self: &Arc<Self>, message: Message, tasks: &mut JoinSet<Option<Halt>>) {
        match Delivery::from_message(&self.bus, message) {
            Some(delivery) => {
                let shell = self.clone();
                tasks.spawn(async move { shell.process(Arc::new(delivery)).await });
            }
            None => tracing::warn!(
                consumer = self.consumer,
                "something that is no delivery arrived, ignored"
            ),
        }
    }

    /// One delivery from arrival to settlement.
    async fn process(&self, delivery: Arc<Delivery>) -> Option<Halt> {
        let span = delivery.span().clone();
        self.bus.metrics().delivered(&self.consumer, delivery.delivered);
        let (ended, worked) = self.work(&delivery).instrument(span.clone()).await;
        let policy = Policy {
            max_deliver: self.terms.max_deliver,
            delays: self.delays.clone(),
            stopping: self.stop.is_cancelled(),
        };
        let disposition = decide(&ended, delivery.delivered, &policy);
        span.record("outcome", disposition.as_str());
        self.bus.metrics().settled(&self.consumer, disposition.as_str(), worked);
        self.settle(&delivery, disposition, worked).instrument(span).await
    }

    /// Waits for a permit and runs the handler, keeping the message alive.
    async fn work(&self, delivery: &Arc<Delivery>) -> (Ended, Duration) {
        let _hold = self.held.hold(delivery.as_ref().as_ref());
        if self.stop.is_cancelled() {
            return (Ended::Abandoned, Duration::ZERO);
        }
        let _permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => tokio::select! {
                biased;
                () = self.stop.cancelled() => return (Ended::Abandoned, Duration::ZERO),
                permit = self.permits.acquire() => match permit {
                    Ok(permit) => permit,
                    // It is never closed.
                    Err(_) => return (Ended::Abandoned, Duration::ZERO),
                },
            },
        };
        let _working = Working::start(&self.bus, &self.consumer);
        let started = Instant::now();
        // A panic ends the handling of this message and not the worker. Nothing of the handler's is used afterwards but what its own next call looks at.
        let handled = AssertUnwindSafe(self.handler.handle(delivery, self.cancelled.clone())).catch_unwind();
        let ended = tokio::select! {
            biased;
            handled = handled => match handled {
                Ok(Ok(())) => Ended::Done,
                Ok(Err(fault)) => Ended::Failed(fault),
                Err(_) => Ended::Panicked {
                    times: self.panicked(delivery.stream_seq),
                },
            },
            () = self.give_up.cancelled() => Ended::Abandoned,
        };
        (ended, started.elapsed())
    }

    fn panicked(&self, sequence: u64) -> u32 {
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        if panics.len() > 10_000 {
            panics.clear();
        }
        let times = panics.entry(sequence).or_insert(0);
        *times += 1;
        *times
    }

    async fn settle(&self, delivery: &Delivery, disposition: Disposition, worked: Duration) -> Option<Halt> {
        let ticket = delivery.ticket();
        if matches!(disposition, Disposition::Ack | Disposition::Bury { .. }) {
            self.panics
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&delivery.stream_seq);
        }
        match disposition {
            Disposition::Ack => {
                crash::point(Point::InputAcked, When::Before);
                if worked > self.settler.ack_wait / 2 {
                    self.settler.confirmed_ack(&ticket).await;
                } else {
                    self.settler.ack(&ticket).await;
                }
                crash::point(Point::InputAcked, When::After);
            }
            Disposition::Retry { delay, reason } => {
                tracing::warn!(reason, ?delay, "work failed, the message is delivered again");
                self.settler.retry(&ticket, delay).await;
            }
            Disposition::Release => self.settler.release(&ticket).await,
            Disposition::Bury { class, code, reason } => {
                tracing::error!(class, reason, "message is given up");
                if let Err(error) = self.bury(delivery, &class, code, &reason).await {
                    // Not terminated without its copy. At the limit the broker's advisory brings it to the dead-letter
                    // writer.
                    tracing::error!(error = chain(&error), "dead letter cannot be stored, the message stays");
                    self.settler
                        .retry(&ticket, self.delays.first().copied().unwrap_or(RETRY_DELAYS[0]))
                        .await;
                    return None;
                }
                self.settler.terminate(&ticket, &class, code).await;
            }
            Disposition::Halt { reason } => {
                tracing::error!(reason, "worker halts, the message stays");
                return Some(Halt {
                    sequence: delivery.stream_seq,
                    reason,
                });
            }
        }
        None
    }

    /// The copy first, then the news, then the end: each step finds what an earlier attempt left.
    async fn bury(&self, delivery: &Delivery, class: &str, code: ErrorCode, reason: &str) -> Result<(), PublishError> {
        let ticket = delivery.ticket();
        let burial = async {
            self.settler.copy(delivery, class, code, reason).await?;
            self.handler.dead(delivery, code, reason).await
        };
        tokio::pin!(burial);
        let mut ticks = tokio::time::interval(self.settler.progress_every());
        loop {
            tokio::select! {
                done = &mut burial => return done,
                _ = ticks.tick() => self.settler.progress(&ticket).await,
            }
        }
    }
}

/// Counts one delivery as being worked on until dropped.
struct Working<'a>(&'a Bus, &'a str);

impl<'a> Working<'a> {
    fn start(bus: &'a Bus, consumer: &'a str) -> Self {
        bus.metrics().working(consumer, 1);
        Self(bus, consumer)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.metrics().working(self.1, -1);
    }
}
