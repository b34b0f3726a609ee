//! What this crate needs of the broker, and what it makes of its refusals.

use async_trait::async_trait;
use cofferdam_nats::{Bus, PublishError};
use cofferdam_schemas::{Command, ErrorCode, ObjectEvent};
use cofferdam_seams::crash::{self, Point, When};

/// Publishes events and commands. `Ok` means: stored by the broker, or there already under the same id.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Publishes an object event; `redrive` is 0 the first time, then counts re-drives.
    async fn event(&self, event: &ObjectEvent, redrive: u32) -> Result<(), Trouble>;
    /// Publishes a command.
    async fn command(&self, command: &Command, redrive: u32) -> Result<(), Trouble>;
}

/// Why nothing was published. The two that pass are waited for; nothing is lost meanwhile, because the ledger (or the RAW stream) still has it.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The stream or the server's disk is full.
    #[error("broker takes no more messages now")]
    Backpressure(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It does not answer, or not in time. The message may have been stored: publish again with the same id.
    #[error("broker does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refuses this message, and would again.
    #[error("broker refuses the message")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Trouble {
    /// Whether waiting helps.
    pub fn passes(&self) -> bool {
        match self {
            Trouble::Backpressure(_) | Trouble::Unavailable(_) => true,
            Trouble::Refused(_) => false,
        }
    }

    /// The code clients see.
    pub fn code(&self) -> ErrorCode {
        match self {
            Trouble::Backpressure(_) => ErrorCode::Backpressure,
            Trouble::Unavailable(_) => ErrorCode::Unavailable,
            Trouble::Refused(_) => ErrorCode::Internal,
        }
    }
}

impl From<PublishError> for Trouble {
    fn from(error: PublishError) -> Self {
        match &error {
            PublishError::Backpressure { .. } => Trouble::Backpressure(error.into()),
            PublishError::Unavailable { .. } => Trouble::Unavailable(error.into()),
            PublishError::TooLarge { .. } | PublishError::Rejected { .. } => Trouble::Refused(error.into()),
        }
    }
}

#[async_trait]
impl Publisher for Bus {
    async fn event(&self, event: &ObjectEvent, redrive: u32) -> Result<(), Trouble> {
        crash::point(Point::EventPublished, When::Before);
        self.publish_event(event, redrive).await?;
        crash::point(Point::EventPublished, When::After);
        Ok(())
    }
    async fn command(&self, command: &Command, redrive: u32) -> Result<(), Trouble> {
        crash::point(Point::CommandPublished, When::Before);
        self.publish_command(command, redrive).await?;
        crash::point(Point::CommandPublished, When::After);
        Ok(())
    }
}
