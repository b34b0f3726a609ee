//! Processors: an object event in, a result event out.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_processor::{AnyProcessor, Conclusion, ErrorClass, Job, ProcessError, Stores};
use cofferdam_schemas::{ErrorCode, Lane, ObjectEvent, Outcome, ResultEvent, Timestamp, Verb};
use cofferdam_seams::Clock;
use cofferdam_seams::crash::{self, Point, When};
use tokio_util::sync::CancellationToken;

use super::dead::dead_result;
use super::decide::Fault;
use super::delivery::Delivery;
use super::shell::{self, Handler};
use super::{Failure, WorkerError, WorkerSettings};
use crate::bus::{Bus, JoinRecord};
use crate::error::{PublishError, chain};
use crate::topology::{EVT, processor_consumer};

struct Shell {
    bus: Bus,
    processor: Arc<dyn AnyProcessor>,
    stores: Stores,
    clock: Arc<dyn Clock>,
}

/// Runs a processor on one lane until it is stopped. For each event the result is published, under an id that a
/// repeated delivery repeats, before the event is acknowledged. A document that is gone or replaced has the outcome
/// `superseded`; one that is given up has the outcome `dead`.
///
/// # Errors
/// [`WorkerError::Start`] when its consumer is not there, [`WorkerError::Halted`] when the processor says the fault is
/// ours.
pub async fn run_processor(
    bus: Bus,
    processor: Arc<dyn AnyProcessor>,
    stores: Stores,
    clock: Arc<dyn Clock>,
    lane: Lane,
    settings: WorkerSettings,
) -> Result<(), WorkerError> {
    let consumer = processor_consumer(processor.name(), lane);
    let handler = Shell {
        bus: bus.clone(),
        processor,
        stores,
        clock,
    };
    shell::run(bus, EVT, &consumer, Arc::new(handler), settings).await
}

/// The event of a delivery, if it is one this kind of consumer works on and its subject tells the same tenant.
pub(super) fn read_event(delivery: &Delivery) -> Result<ObjectEvent, Failure> {
    let event: ObjectEvent = delivery.decode_as(&[Verb::Put.event_type(), Verb::Restore.event_type()])?;
    if delivery.tenant().as_ref() != Some(&event.object.tenant) {
        return Err(delivery.off_schema("its body names another tenant than its subject"));
    }
    Ok(event)
}

/// What the shell does about a processor's error. `superseded` is no fault.
pub(super) fn fault(error: &ProcessError) -> Option<Fault> {
    let (code, reason) = (error.code(), chain(error as &(dyn Error + 'static)));
    Some(match error.class() {
        ErrorClass::Superseded => return None,
        ErrorClass::Retry => Fault::Retry { code, reason },
        ErrorClass::Reject => Fault::Reject {
            class: super::code_str(code).to_owned(),
            code,
            reason,
        },
        ErrorClass::Halt => Fault::Halt { reason },
    })
}

impl Shell {
    /// Whether the object version has its `done`: its landing copy may be gone because of that, and an event that comes again (the acknowledgement of the first was lost
    /// in a crash, or it was re-driven) must not have another result than the first time.
    async fn is_final(&self, event: &ObjectEvent) -> Result<bool, Failure> {
        let last = self.bus.join_record(&event.object.tenant, &event.object.id).await;
        match last {
            Ok(last) => Ok(matches!(last, JoinRecord::Done)),
            Err(error) => Err(Failure::Retry { reason: chain(&error) }),
        }
    }

    fn result(
        &self,
        event: ObjectEvent,
        outcome: Outcome,
        conclusion: Conclusion,
        started_at: Timestamp,
    ) -> ResultEvent {
        let (name, version) = (self.processor.name(), self.processor.version());
        ResultEvent {
            id: ResultEvent::result_id(&event.id, name, version, outcome),
            event: event.id,
            processor: name.clone(),
            processor_version: version.to_owned(),
            outcome,
            object: event.object,
            plan: event.plan,
            verdict: conclusion.verdict,
            findings: conclusion.findings,
            sealed: conclusion.sealed,
            artefacts: conclusion.artefacts,
            details: conclusion.details,
            error: None,
            started_at,
            finished_at: self.clock.now(),
        }
    }
}

#[async_trait]
impl Handler for Shell {
    async fn handle(&self, delivery: &Delivery, cancelled: CancellationToken) -> Result<(), Fault> {
        let event = read_event(delivery)?;
        let Some(document) = self.stores.document(&event.object) else {
            let reason = format!("source {} is not configured", event.object.source);
            return Err(Fault::Reject {
                class: "unknown-source".into(),
                code: ErrorCode::NotFound,
                reason,
            });
        };
        let job = Job {
            event: event.id.clone(),
            object: event.object.clone(),
            plan: event.plan.clone(),
            attempt: u32::try_from(delivery.delivered).unwrap_or(u32::MAX),
            cancelled,
        };
        let started_at = self.clock.now();
        let (outcome, conclusion) = match self.processor.process(&job, document).await {
            Ok(conclusion) => (Outcome::Done, conclusion),
            Err(error) => match fault(&error) {
                Some(fault) => return Err(fault),
                None if self.is_final(&event).await? => {
                    tracing::info!("document is final and its landing copy is gone: nothing to add");
                    return Ok(());
                }
                None => {
                    tracing::info!(error = chain(&error), "document is gone or replaced");
                    (Outcome::Superseded, Conclusion::default())
                }
            },
        };
        let result = self.result(event, outcome, conclusion, started_at);
        crash::point(Point::ResultPublished, When::Before);
        self.bus
            .publish_result(&result, delivery.redrive)
            .await
            .map_err(Failure::from)?;
        crash::point(Point::ResultPublished, When::After);
        Ok(())
    }

    async fn dead(&self, delivery: &Delivery, code: ErrorCode, reason: &str) -> Result<(), PublishError> {
        // Nobody waits for the result of what is no event.
        let Ok(event) = read_event(delivery) else { return Ok(()) };
        let (name, version) = (self.processor.name(), self.processor.version());
        let result = dead_result(&event, name, version, code, reason, self.clock.now());
        self.bus.publish_result(&result, delivery.redrive).await?;
        Ok(())
    }
}
