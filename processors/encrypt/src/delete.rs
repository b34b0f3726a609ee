//! The command `delete`: an object is gone for its owner.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_processor::{Catalog, CommandHandler, CommandJob, ObjectRecord, ObjectState, ProcessError, Stores};
use cofferdam_schemas::{CommandOutcome, DeleteRequest, ErrorCode, WireError};
use cofferdam_seams::{Clock, Locator, ObjectError};
use serde_json::json;

use crate::commands::{Refusal, Stop, answer, check_selector, find, not_ready, read};
use crate::outbox;

/// Deletes an object that is not quarantined: marks it in the catalog first, so that nothing is given out any more whatever happens next, then
/// removes the sealed copy, the landing copy if it is still there, and copies in the outbox. Every step may be
/// repeated.
pub(crate) struct Delete {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl CommandHandler for Delete {
    fn verb(&self) -> &'static str {
        "delete"
    }

    fn check(&self, body: &serde_json::Value) -> Result<(), String> {
        check_selector(&read::<DeleteRequest>(body)?.select)
    }

    async fn handle(&self, job: &CommandJob) -> Result<Result<CommandOutcome, WireError>, ProcessError> {
        answer(self.delete(job), job, self.clock.as_ref()).await
    }
}

impl Delete {
    async fn delete(&self, job: &CommandJob) -> Result<CommandOutcome, Stop> {
        let request: DeleteRequest =
            read(&job.command.body).map_err(|text| Refusal::new(ErrorCode::InvalidRequest, text))?;
        let record = find(&self.catalog, job, &request.select).await?;
        match record.state {
            ObjectState::Open | ObjectState::Dead => return Err(not_ready(&record).into()),
            ObjectState::Quarantined => {
                let id = record.object.id;
                let message = format!(
                    "object {id} is quarantined: `cofferdam quarantine destroy {id} --reason …` deletes it and keeps the reason"
                );
                return Err(Refusal::new(ErrorCode::Quarantined, message).with("object", id).into());
            }
            // Deleted as well: a repeated command finishes what the first may have left.
            ObjectState::Done | ObjectState::Released | ObjectState::Superseded | ObjectState::Deleted => {}
        }
        self.remove(job, &record).await
    }

    /// Deletes an object in every place. May be repeated.
    pub(crate) async fn remove(&self, job: &CommandJob, record: &ObjectRecord) -> Result<CommandOutcome, Stop> {
        let object = &record.object;
        self.catalog
            .mark_deleted(&job.command.tenant, &object.id, self.clock.now())
            .await?;
        if let Some(sealed) = &record.sealed {
            // A quarantined one may be in either place, or on its way between them.
            for (place, bucket) in [
                ("vault", &sealed.bucket),
                ("quarantine", &self.stores.quarantine.bucket),
            ] {
                let at = Locator::new(bucket.clone(), sealed.key.clone());
                let deleted = self.stores.vault.store.delete(&at).await;
                deleted.map_err(|source| ProcessError::Store { place, source })?;
            }
        }
        self.delete_landing(record)
            .await
            .map_err(|source| ProcessError::Store {
                place: "landing",
                source,
            })?;
        let name = outbox::file_name(&object.key);
        let copies = outbox::delete_copies(&self.stores.outbox, &job.command.tenant, &object.id, &name)
            .await
            .map_err(|source| ProcessError::Store {
                place: "outbox",
                source,
            })?;
        let values = BTreeMap::from([
            ("object".to_owned(), json!(object.id)),
            ("key".to_owned(), json!(object.key)),
            ("outbox_copies".to_owned(), json!(copies)),
        ]);
        Ok(CommandOutcome {
            object: Some(object.id),
            values,
        })
    }

    /// Removes the landing copy, but only this version of it: under the same key there may be a newer document by now.
    async fn delete_landing(&self, record: &ObjectRecord) -> Result<(), ObjectError> {
        let Some(store) = self.stores.landing.get(&record.object.source) else {
            tracing::warn!(source = %record.object.source, object = %record.object.id, "source is not configured: its landing copy, if any, stays");
            return Ok(());
        };
        let at = Locator::from(&record.object);
        match store.head(&at).await {
            Ok(_) => store.delete(&at).await,
            Err(ObjectError::NotFound { .. } | ObjectError::PreconditionFailed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
