//! Small joints between parts that do not know each other.

use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_ingest::{Final, Finaliser, Finals, FinalsError};
use cofferdam_nats::{Finality, FinalityError};
use cofferdam_schemas::{CommandId, CommandResult, Done, FinalState, ObjectId, ObjectState, ResultEvent, TenantName};
use cofferdam_sinks::{FinalHook, HookError, Store};

/// What is durable in the store lets `ingest` retire landing copies and close ledger rows.
pub struct Closing(pub Arc<Finaliser>);

#[async_trait]
impl FinalHook for Closing {
    async fn on_final(&self, done: &[Done]) -> Result<(), HookError> {
        self.0
            .on_final(done)
            .await
            .map_err(|error| HookError::new("retiring or closing the ledger row", error))
    }
    async fn on_commands(&self, results: &[CommandResult]) -> Result<(), HookError> {
        self.0
            .on_commands(results)
            .await
            .map_err(|error| HookError::new("closing a command's ledger row", error))
    }
    async fn on_dead(&self, results: &[ResultEvent]) -> Result<(), HookError> {
        self.0
            .on_dead(results)
            .await
            .map_err(|error| HookError::new("parking a ledger row", error))
    }
}

/// Answers the joiner's and the trimmer's question from the store.
pub struct StoreFinality(pub Arc<dyn Store>);

#[async_trait]
impl Finality for StoreFinality {
    async fn is_final(&self, tenant: &TenantName, object: &ObjectId) -> Result<bool, FinalityError> {
        let known = self.0.is_final(tenant, object).await;
        known.map_err(|error| FinalityError(Box::new(error)))
    }
}

/// Answers the re-drive's question from the store.
pub struct StoreFinals(pub Arc<dyn Store>);

#[async_trait]
impl Finals for StoreFinals {
    async fn object(&self, tenant: &TenantName, object: &ObjectId) -> Result<Option<Final>, FinalsError> {
        let row = self
            .0
            .object(tenant, object)
            .await
            .map_err(|error| FinalsError(Box::new(error)))?;
        let Some(row) = row else { return Ok(None) };
        let state = match row.state {
            // What a person released is not isolated again.
            ObjectState::Done | ObjectState::Released => FinalState::Done,
            ObjectState::Quarantined => FinalState::Quarantined,
            ObjectState::Superseded => FinalState::Superseded,
            // Deleted is final for the ledger too: the plaintext must go with the rest.
            ObjectState::Deleted => FinalState::Done,
            ObjectState::Open | ObjectState::Dead => return Ok(None),
        };
        Ok(Some(Final {
            object: row.object,
            state,
            sealed: row.sealed,
        }))
    }
    async fn command(&self, tenant: &TenantName, command: &CommandId) -> Result<bool, FinalsError> {
        let row = self
            .0
            .command(tenant, command)
            .await
            .map_err(|error| FinalsError(Box::new(error)))?;
        Ok(row.is_some())
    }
}
