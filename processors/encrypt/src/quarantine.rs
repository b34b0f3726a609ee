//! The commands `release` and `destroy`: what becomes of a quarantined object. A person decides, and says why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cofferdam_processor::{Catalog, CommandHandler, CommandJob, ObjectRecord, ObjectState, ProcessError, Stores};
use cofferdam_schemas::query::{Decision, DecisionKind};
use cofferdam_schemas::{CommandOutcome, DestroyRequest, ErrorCode, ReleaseRequest, Selector, WireError};
use cofferdam_seams::{Clock, ObjectError, quarantine};
use serde_json::json;

use crate::commands::{Refusal, Stop, answer, check_selector, find, not_ready, read};
use crate::delete::Delete;

/// Characters of a reason.
const REASON_MOST: usize = 500;

fn check(select: &Selector, reason: &str) -> Result<(), String> {
    check_selector(select)?;
    let length = reason.trim().chars().count();
    if !(1..=REASON_MOST).contains(&length) {
        return Err(format!(
            "reason has {length} characters: say in 1 to {REASON_MOST} why, it is kept with the object"
        ));
    }
    if reason.chars().any(char::is_control) {
        return Err("reason has a control character: give one line of text".to_owned());
    }
    Ok(())
}

/// The decision a command stands for. Its time is that of the command's acceptance, so that a command delivered twice decides the same.
fn decision(job: &CommandJob, kind: DecisionKind, reason: &str) -> Decision {
    Decision {
        at: job.command.accepted_at,
        kind,
        command: job.command.id.clone(),
        reason: reason.trim().to_owned(),
    }
}

/// Whether this very command decided it, the last time it was delivered.
fn decided(record: &ObjectRecord, decision: &Decision) -> bool {
    let same = |known: &Decision| (known.kind, &known.command) == (decision.kind, &decision.command);
    record.decisions.iter().any(same)
}

fn not_quarantined(record: &ObjectRecord) -> Stop {
    let id = record.object.id;
    let state = record.state;
    let message = match state {
        ObjectState::Released => {
            format!(
                "object {id} was released before; `cofferdam status {id}` shows when and why, `cofferdam rm` deletes it"
            )
        }
        ObjectState::Open | ObjectState::Dead => return not_ready(record).into(),
        _ => format!("object {id} is {state}, not quarantined"),
    };
    let refusal = Refusal::new(ErrorCode::NotQuarantined, message).with("object", id);
    refusal.with("state", state.as_str()).into()
}

/// How long a command waits for the isolation of an object that was quarantined a moment ago.
const ISOLATION: Duration = Duration::from_secs(5);

/// Waits until the sealed copy of a quarantined object has been isolated, which follows its final row in a moment: what is decided before must not be
/// overtaken by it.
async fn isolated(stores: &Stores, record: &ObjectRecord) -> Result<(), Stop> {
    let Some(sealed) = &record.sealed else { return Ok(()) };
    let until = tokio::time::Instant::now() + ISOLATION;
    loop {
        match quarantine::is_marked(&stores.vault, &sealed.key).await {
            // Missing: whoever retrieves it is told.
            Ok(true) | Err(ObjectError::NotFound { .. }) => return Ok(()),
            Ok(false) if tokio::time::Instant::now() < until => tokio::time::sleep(Duration::from_millis(50)).await,
            Ok(false) => {
                let id = record.object.id;
                let message = format!("object {id} is still being isolated: send the command again");
                return Err(Refusal::new(ErrorCode::NotReady, message).with("object", id).into());
            }
            Err(source) => return Err(ProcessError::Store { place: "vault", source }.into()),
        }
    }
}

/// Lets a quarantined object be given out: the decision is durable first, then the sealed copy is brought back to the vault.
pub(crate) struct Release {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl CommandHandler for Release {
    fn verb(&self) -> &'static str {
        DecisionKind::Release.as_str()
    }

    fn check(&self, body: &serde_json::Value) -> Result<(), String> {
        let request: ReleaseRequest = read(body)?;
        check(&request.select, &request.reason)
    }

    async fn handle(&self, job: &CommandJob) -> Result<Result<CommandOutcome, WireError>, ProcessError> {
        answer(self.release(job), job, self.clock.as_ref()).await
    }
}

impl Release {
    async fn release(&self, job: &CommandJob) -> Result<CommandOutcome, Stop> {
        let invalid = |text| Refusal::new(ErrorCode::InvalidRequest, text);
        let request: ReleaseRequest = read(&job.command.body).map_err(invalid)?;
        check(&request.select, &request.reason).map_err(invalid)?;
        let record = find(&self.catalog, job, &request.select).await?;
        let decision = decision(job, DecisionKind::Release, &request.reason);
        match record.state {
            ObjectState::Quarantined => isolated(&self.stores, &record).await?,
            ObjectState::Released if decided(&record, &decision) => {}
            _ => return Err(not_quarantined(&record)),
        }
        let object = &record.object;
        self.catalog.decide(&job.command.tenant, &object.id, &decision).await?;
        if let Some(sealed) = &record.sealed {
            match quarantine::restore(&self.stores.quarantine, &self.stores.vault, &sealed.key).await {
                // In neither place: whoever retrieves it is told.
                Ok(_) | Err(ObjectError::NotFound { .. }) => {}
                Err(source) => {
                    let place = "quarantine";
                    return Err(ProcessError::Store { place, source }.into());
                }
            }
        }
        Ok(CommandOutcome {
            object: Some(object.id),
            values: BTreeMap::from([
                ("object".to_owned(), json!(object.id)),
                ("key".to_owned(), json!(object.key)),
                ("released_at".to_owned(), json!(decision.at)),
                ("reason".to_owned(), json!(decision.reason)),
            ]),
        })
    }
}

/// Deletes a quarantined object, and keeps why.
pub(crate) struct Destroy {
    pub(crate) delete: Arc<Delete>,
}

#[async_trait]
impl CommandHandler for Destroy {
    fn verb(&self) -> &'static str {
        DecisionKind::Destroy.as_str()
    }

    fn check(&self, body: &serde_json::Value) -> Result<(), String> {
        let request: DestroyRequest = read(body)?;
        check(&request.select, &request.reason)
    }

    async fn handle(&self, job: &CommandJob) -> Result<Result<CommandOutcome, WireError>, ProcessError> {
        answer(self.destroy(job), job, self.delete.clock.as_ref()).await
    }
}

impl Destroy {
    async fn destroy(&self, job: &CommandJob) -> Result<CommandOutcome, Stop> {
        let invalid = |text| Refusal::new(ErrorCode::InvalidRequest, text);
        let request: DestroyRequest = read(&job.command.body).map_err(invalid)?;
        check(&request.select, &request.reason).map_err(invalid)?;
        let catalog = &self.delete.catalog;
        let record = find(catalog, job, &request.select).await?;
        let decision = decision(job, DecisionKind::Destroy, &request.reason);
        match record.state {
            ObjectState::Quarantined => {
                isolated(&self.delete.stores, &record).await?;
                catalog
                    .decide(&job.command.tenant, &record.object.id, &decision)
                    .await?;
            }
            // Delivered again: what the first delivery may have left is finished.
            ObjectState::Deleted if decided(&record, &decision) => {}
            _ => return Err(not_quarantined(&record)),
        }
        let mut outcome = self.delete.remove(job, &record).await?;
        outcome.values.insert("reason".to_owned(), json!(decision.reason));
        Ok(outcome)
    }
}
