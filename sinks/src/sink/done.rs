//! Final states into rows, and what follows them.

use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_nats::worker::{Acks, Batch, Delivery, Failure};
use cofferdam_schemas::Done;
use cofferdam_seams::Clock;
use cofferdam_seams::crash::{self, Point, When};

use super::read::{read, refuse};
use super::writer::Writer;
use crate::hooks::FinalHook;

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
}

#[async_trait]
impl Batch for DoneSink {
    async fn handle(&mut self, batch: Vec<Delivery>, acks: &Acks) -> Result<(), Failure> {
        let (mut done, mut taken) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for delivery in &batch {
            match read::<Done>(delivery, &[Done::TYPE], |done| &done.object.tenant) {
                Ok(one) => {
                    done.push(one);
                    taken.push(delivery);
                }
                Err(failure) => refuse(acks, delivery, failure).await,
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
