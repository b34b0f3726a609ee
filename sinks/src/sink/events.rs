//! Object events into rows.

use async_trait::async_trait;
use cofferdam_nats::worker::{Acks, Batch, Delivery, Failure};
use cofferdam_schemas::{ObjectEvent, Verb};

use super::read::{read, refuse};
use super::writer::Writer;

/// The consumer of `EVT`.
pub struct EventSink {
    writer: Writer,
}

impl EventSink {
    /// Writes through `writer`.
    pub fn new(writer: Writer) -> Self {
        Self { writer }
    }
}

#[async_trait]
impl Batch for EventSink {
    async fn handle(&mut self, batch: Vec<Delivery>, acks: &Acks) -> Result<(), Failure> {
        let types = [Verb::Put, Verb::Del, Verb::Meta, Verb::Restore].map(Verb::event_type);
        let (mut events, mut taken) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for delivery in &batch {
            match read::<ObjectEvent>(delivery, &types, |event| &event.object.tenant) {
                Ok(event) => {
                    events.push(event);
                    taken.push(delivery);
                }
                Err(failure) => refuse(acks, delivery, failure).await,
            }
        }
        let store = &self.writer.store;
        if self
            .writer
            .persist("events", events.len(), || store.put_events(&events))
            .await
        {
            acks.ack_all(taken).await;
        }
        Ok(())
    }
}
