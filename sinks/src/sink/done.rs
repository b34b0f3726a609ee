//! Final states into rows, and what follows them.
//!
//! A final row is written only after the rows of the results it sums up. Those come over another consumer, usually a moment earlier; but were the final row
//! durable without them, a power cut that takes the results from the broker as well would lose them for good: the ledger asks for the final row only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cofferdam_nats::worker::{Acks, Batch, Delivery, Failure};
use cofferdam_schemas::Done;
use cofferdam_seams::Clock;
use cofferdam_seams::crash::{self, Point, When};

use super::read::{read, refuse};
use super::writer::Writer;
use crate::hooks::FinalHook;
use crate::store::Stamped;

/// How long a batch waits for the results of its objects; what has none by then comes again.
const PATIENCE: Duration = Duration::from_secs(2);
/// From this delivery on it is written without: its results are dead letters, or lost with a re-drive on its way.
const WITHOUT: u64 = 8;

/// The consumer of `done` events: row, then hooks, then acknowledgement.
pub struct DoneSink {
    writer: Writer,
    hooks: Vec<Arc<dyn FinalHook>>,
    clock: Arc<dyn Clock>,
}

impl DoneSink {
    /// Writes through `writer`, then calls hooks. The clock is for the end-to-end time.
    pub fn new(writer: Writer, hooks: Vec<Arc<dyn FinalHook>>, clock: Arc<dyn Clock>) -> Self {
        Self { writer, hooks, clock }
    }

    /// Waits for the rows of results; gives which of the objects have them.
    async fn ready(&self, done: &[(Stamped<Done>, &Delivery)]) -> Vec<bool> {
        let store = &self.writer.store;
        let until = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(2);
        let mut ready = vec![false; done.len()];
        loop {
            for ((one, _), ready) in done.iter().zip(&mut ready) {
                // A store that does not answer has its own patience when the row is written.
                *ready = *ready || store.has_results(&one.value).await.unwrap_or(false);
            }
            if ready.iter().all(|ready| *ready) || Instant::now() + pause > until {
                return ready;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

#[async_trait]
impl Batch for DoneSink {
    async fn handle(&mut self, batch: Vec<Delivery>, acks: &Acks) -> Result<(), Failure> {
        let mut read_well = Vec::with_capacity(batch.len());
        for delivery in &batch {
            match read::<Done>(delivery, &[Done::TYPE], |done| &done.object.tenant) {
                Ok(one) => read_well.push((one, delivery)),
                Err(failure) => refuse(acks, delivery, failure).await,
            }
        }
        let ready = self.ready(&read_well).await;
        let (mut done, mut taken) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for ((one, delivery), ready) in read_well.into_iter().zip(ready) {
            if ready || delivery.delivered >= WITHOUT {
                done.push(one);
                taken.push(delivery);
            } else {
                tracing::info!(object = %one.value.object.id, "results have no rows yet, the final state comes again");
                acks.retry(delivery).await;
            }
        }
        let store = &self.writer.store;
        crash::point(Point::SinkCommitted, When::Before);
        if !self
            .writer
            .persist("final", done.len(), || store.put_final(&done))
            .await
        {
            return Ok(());
        }
        crash::point(Point::SinkCommitted, When::After);
        let now = self.clock.now().unix_millis();
        for (one, delivery) in done.iter().zip(&taken) {
            // A redelivery was measured before.
            if delivery.delivered == 1 {
                self.writer.metrics.finished(
                    one.value.state.as_str(),
                    now.saturating_sub(one.value.object.last_modified.unix_millis()),
                );
            }
        }
        let values: Vec<Done> = done.into_iter().map(|one| one.value).collect();
        let through = self
            .writer
            .hook(
                &self.hooks,
                &values,
                |hook, done| async move { hook.on_final(&done).await },
            )
            .await;
        for (delivery, through) in taken.into_iter().zip(through) {
            if through {
                acks.ack(delivery).await;
            } else {
                acks.retry(delivery).await;
            }
        }
        Ok(())
    }
}
