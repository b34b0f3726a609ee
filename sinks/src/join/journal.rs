//! What the joiner needs of the `JOIN` stream.

use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_nats::{Bus, JoinRecord, NatsError, PublishError, StateWritten};
use cofferdam_schemas::Done;
use cofferdam_seams::crash::{self, Point, When};

use super::core::Key;
use super::state::StateError;

/// The last thing `JOIN` has about an object version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// Nothing.
    Nothing,
    /// Its state.
    State {
        /// What the next state must expect.
        sequence: u64,
        /// As it was written.
        body: Bytes,
    },
    /// It is final.
    Done,
}

/// Why `JOIN` was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading failed.
    #[error("last message is not read")]
    Read(#[source] NatsError),
    /// Writing failed, or nobody knows whether it did.
    #[error("message is not written")]
    Write(#[source] PublishError),
    /// The stored state cannot be read: a newer version wrote it, or it is damaged.
    #[error(transparent)]
    State(#[from] StateError),
    /// Others wrote in between, again and again.
    #[error("state of the object is contended")]
    Contended,
}

/// The two messages of an object version. All calls may be repeated.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// The last of the two, from the stream's leader.
    async fn last(&self, key: &Key) -> Result<Last, JournalError>;
    /// Writes a state if the last message is still at `expected` (0: there is none). `false` if not.
    async fn write(&self, key: &Key, body: Bytes, expected: u64) -> Result<bool, JournalError>;
    /// Publishes `done` unless one is there; both are success.
    async fn finish(&self, done: &Done) -> Result<(), JournalError>;
}

#[async_trait]
impl Journal for Bus {
    async fn last(&self, (tenant, object): &Key) -> Result<Last, JournalError> {
        Ok(
            match self.join_record(tenant, object).await.map_err(JournalError::Read)? {
                JoinRecord::Nothing => Last::Nothing,
                JoinRecord::State { sequence, body } => Last::State { sequence, body },
                JoinRecord::Done => Last::Done,
            },
        )
    }

    async fn write(&self, (tenant, object): &Key, body: Bytes, expected: u64) -> Result<bool, JournalError> {
        crash::point(Point::JoinSpilled, When::Before);
        match self
            .write_join_state(tenant, object, body, expected)
            .await
            .map_err(JournalError::Write)?
        {
            StateWritten::At(_) => {
                crash::point(Point::JoinSpilled, When::After);
                Ok(true)
            }
            StateWritten::Conflict => Ok(false),
        }
    }

    async fn finish(&self, done: &Done) -> Result<(), JournalError> {
        // New or already there: there is one, and that is what counts.
        crash::point(Point::DonePublished, When::Before);
        self.publish_done(done).await.map_err(JournalError::Write)?;
        crash::point(Point::DonePublished, When::After);
        Ok(())
    }
}
