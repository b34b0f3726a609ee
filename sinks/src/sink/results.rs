//! Results of processors and commands into rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cofferdam_nats::worker::{Acks, Batch, Delivery, Failure};
use cofferdam_schemas::{CommandResult, Outcome, ResultEvent};
use cofferdam_seams::crash::{self, Point, When};

use super::read::{read, refuse};
use super::writer::Writer;
use crate::hooks::FinalHook;

/// How often the store's housekeeping runs.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// The consumer of `RES`.
pub struct ResultSink {
    writer: Writer,
    hooks: Vec<Arc<dyn FinalHook>>,
    kept_house: Instant,
}

impl ResultSink {
    /// Writes through `writer`, then calls hooks for commands and for dead results.
    pub fn new(writer: Writer, hooks: Vec<Arc<dyn FinalHook>>) -> Self {
        Self {
            writer,
            hooks,
            kept_house: Instant::now(),
        }
    }

    async fn after<T: Clone>(&self, acks: &Acks, items: Vec<(T, &Delivery)>, through: Vec<bool>) {
        for ((_, delivery), through) in items.iter().zip(through) {
            if through {
                acks.ack(*delivery).await;
            } else {
                acks.retry(*delivery).await;
            }
        }
    }
}

/// The crash point of a batch that has something of this kind.
fn mark<T>(batch: &[T], point: Point, when: When) {
    if !batch.is_empty() {
        crash::point(point, when);
    }
}

#[async_trait]
impl Batch for ResultSink {
    async fn handle(&mut self, batch: Vec<Delivery>, acks: &Acks) -> Result<(), Failure> {
        let (mut results, mut commands) = (Vec::with_capacity(batch.len()), Vec::new());
        let (mut quiet, mut dead, mut commanded) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        for delivery in &batch {
            if delivery.event_type() == Some(CommandResult::TYPE) {
                match read::<CommandResult>(delivery, &[CommandResult::TYPE], |result| &result.tenant) {
                    Ok(result) => {
                        commanded.push((result.value.clone(), delivery));
                        commands.push(result);
                    }
                    Err(failure) => refuse(acks, delivery, failure).await,
                }
                continue;
            }
            match read::<ResultEvent>(delivery, &[ResultEvent::TYPE], |result| &result.object.tenant) {
                Ok(result) => {
                    if result.value.outcome == Outcome::Dead {
                        dead.push((result.value.clone(), delivery));
                    } else {
                        quiet.push(delivery);
                    }
                    results.push(result);
                }
                Err(failure) => refuse(acks, delivery, failure).await,
            }
        }
        let store = &self.writer.store;
        mark(&results, Point::ResultsCommitted, When::Before);
        if !self
            .writer
            .persist("results", results.len(), || store.put_results(&results))
            .await
        {
            return Ok(());
        }
        mark(&results, Point::ResultsCommitted, When::After);
        acks.ack_all(quiet).await;
        let values: Vec<ResultEvent> = dead.iter().map(|(result, _)| result.clone()).collect();
        let through = self
            .writer
            .hook(
                &self.hooks,
                &values,
                |hook, dead| async move { hook.on_dead(&dead).await },
            )
            .await;
        self.after(acks, dead, through).await;

        mark(&commands, Point::CommandCommitted, When::Before);
        if !self
            .writer
            .persist("commands", commands.len(), || store.put_command_results(&commands))
            .await
        {
            return Ok(());
        }
        mark(&commands, Point::CommandCommitted, When::After);
        let values: Vec<CommandResult> = commanded.iter().map(|(result, _)| result.clone()).collect();
        let through = self
            .writer
            .hook(&self.hooks, &values, |hook, results| async move {
                hook.on_commands(&results).await
            })
            .await;
        self.after(acks, commanded, through).await;
        Ok(())
    }

    async fn tick(&mut self, _acks: &Acks) -> Result<(), Failure> {
        if self.kept_house.elapsed() >= HOUSEKEEPING {
            self.kept_house = Instant::now();
            if let Err(error) = self.writer.store.maintain().await {
                tracing::warn!(%error, "housekeeping failed, it is tried again in an hour");
            }
        }
        Ok(())
    }
}
