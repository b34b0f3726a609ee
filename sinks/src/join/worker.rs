//! The joiner as a consumer.

use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_nats::topology::{JOINER, RES};
use cofferdam_nats::worker::{Acks, Batch, BatchSettings, Delivery, Failure, Ticket, WorkerError, run_batch};
use cofferdam_nats::{Bus, PublishError};
use cofferdam_schemas::{CommandResult, ResultEvent};
use cofferdam_seams::Clock;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::core::{Core, Key, Limits, Settled, Work};
use super::journal::{Journal, JournalError};
use super::spill::{Spilled, spill};
use crate::metrics::JoinMetrics;
use crate::sink::{read, refuse};

/// Publishes and spills at once.
const CONCURRENCY: usize = 64;

/// Runs the joiner until it is stopped. Several may run; see the module.
pub async fn run_join(bus: Bus, clock: Arc<dyn Clock>, stop: CancellationToken) -> Result<(), WorkerError> {
    let joiner = Joiner {
        core: Core::new(Limits::default()),
        journal: Arc::new(bus.clone()),
        clock,
        metrics: JoinMetrics::new(),
    };
    run_batch(
        bus,
        RES,
        JOINER,
        Box::new(joiner),
        BatchSettings {
            stop,
            ..BatchSettings::default()
        },
    )
    .await
}

struct Joiner {
    core: Core<Ticket>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    metrics: JoinMetrics,
}

impl Joiner {
    fn now(&self) -> i64 {
        self.clock.now().unix_millis()
    }

    /// Does work, and acknowledges what it settles. A configuration that forbids it halts the worker.
    async fn work(&mut self, work: Vec<(Key, Work)>, acks: &Acks) -> Result<(), Failure> {
        let journal = self.journal.clone();
        let mut ended = futures::stream::iter(work)
            .map(|(key, work)| {
                let journal = journal.clone();
                async move {
                    let how = one(&*journal, &key, work).await;
                    (key, how)
                }
            })
            .buffer_unordered(CONCURRENCY);
        let mut halt = None;
        while let Some((key, how)) = ended.next().await {
            let settled = match how {
                Ok(Settled::Final) => {
                    self.metrics.settled("done");
                    Settled::Final
                }
                Ok(settled) => {
                    self.metrics.settled("spilled");
                    settled
                }
                Err(error) => {
                    self.metrics.settled("failed");
                    tracing::warn!(tenant = %key.0, object = %key.1, error = chain(&error), "object is not joined, it is tried again");
                    if let JournalError::Write(PublishError::Rejected { reason, .. }) = &error {
                        halt = Some(reason.clone());
                    }
                    Settled::Failed
                }
            };
            let tickets = self.core.settle(&key, settled, self.clock.now().unix_millis());
            acks.ack_all(&tickets).await;
        }
        self.metrics.open(self.core.open());
        halt.map_or(Ok(()), |reason| Err(Failure::Halt { reason }))
    }
}

async fn one(journal: &dyn Journal, key: &Key, work: Work) -> Result<Settled, JournalError> {
    match work {
        Work::Finish(done) => journal.finish(&done).await.map(|()| Settled::Final),
        Work::Spill(state) => Ok(match spill(journal, key, &state, 10..50).await? {
            Spilled::Stored => Settled::Spilled,
            Spilled::Final => Settled::Final,
        }),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[async_trait]
impl Batch for Joiner {
    async fn handle(&mut self, batch: Vec<Delivery>, acks: &Acks) -> Result<(), Failure> {
        let now = self.now();
        for delivery in &batch {
            // Commands have results of their own, which complete nothing.
            if delivery.event_type() == Some(CommandResult::TYPE) {
                acks.ack(delivery).await;
                continue;
            }
            match read::<ResultEvent>(delivery, &[ResultEvent::TYPE], |result| &result.object.tenant) {
                Ok(result) => {
                    let known = self.core.offer(
                        delivery.stream_seq,
                        delivery.ticket(),
                        &result.value,
                        delivery.redrive > 0,
                        now,
                    );
                    if let Some(ticket) = known {
                        acks.ack(&ticket).await;
                    }
                }
                Err(failure) => refuse(acks, delivery, failure).await,
            }
        }
        drop(batch);
        let mut work = self.core.finished(now);
        if self.core.is_full() {
            work.extend(self.core.overdue(now));
        }
        self.work(work, acks).await
    }

    async fn tick(&mut self, acks: &Acks) -> Result<(), Failure> {
        let now = self.now();
        let mut work = self.core.finished(now);
        work.extend(self.core.overdue(now));
        self.work(work, acks).await
    }
}
