//! How work fails.

use std::fmt;

use cofferdam_schemas::ErrorCode;
use cofferdam_seams::ObjectError;

use crate::catalog::CatalogError;

/// What the shell does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// It may pass: try again later, up to the delivery limit.
    Retry,
    /// It will not pass: dead-letter the message with its reason.
    Reject,
    /// The document is gone or replaced: an outcome, not a failure.
    Superseded,
    /// Our fault or our configuration's: stop the worker, leave the message.
    Halt,
}

/// Why a document was not processed. A variant is something the shell treats differently.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The landing store.
    #[error("reading the document failed")]
    Document(#[source] ObjectError),
    /// A store that takes our effects.
    #[error("writing to {place} failed")]
    Store {
        /// Which, for example `vault`.
        place: &'static str,
        /// What failed.
        #[source]
        source: ObjectError,
    },
    /// The document itself makes this impossible, for good.
    #[error("document cannot be processed: {reason}")]
    Unprocessable {
        /// For a person; no content of the document.
        reason: String,
        /// The wire code it gets.
        code: ErrorCode,
    },
    /// Something we depend on (a key service, the catalog) does not answer.
    #[error("{what} does not answer")]
    Dependency {
        /// Which.
        what: &'static str,
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The configuration or an invariant of ours is broken.
    #[error("internal fault: {reason}")]
    Internal {
        /// For whoever runs it.
        reason: String,
    },
    /// The service is stopping.
    #[error("stopped before the work was finished")]
    Cancelled,
}

impl ProcessError {
    /// A document that cannot be processed for good.
    pub fn reject(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self::Unprocessable {
            reason: reason.into(),
            code,
        }
    }

    /// What the shell does about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Document(source) => match source {
                ObjectError::NotFound { .. } | ObjectError::PreconditionFailed { .. } => ErrorClass::Superseded,
                ObjectError::InvalidRange { .. } | ObjectError::TooLarge { .. } | ObjectError::Corrupt { .. } => {
                    ErrorClass::Reject
                }
                ObjectError::InvalidRequest { .. } => ErrorClass::Reject,
                ObjectError::AccessDenied { .. } | ObjectError::Full { .. } | ObjectError::Unavailable { .. } => {
                    ErrorClass::Retry
                }
            },
            Self::Store { .. } | Self::Dependency { .. } | Self::Cancelled => ErrorClass::Retry,
            Self::Unprocessable { .. } => ErrorClass::Reject,
            Self::Internal { .. } => ErrorClass::Halt,
        }
    }

    /// The code users see.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Document(ObjectError::NotFound { .. } | ObjectError::PreconditionFailed { .. }) => {
                ErrorCode::NotFound
            }
            Self::Document(ObjectError::Corrupt { .. }) => ErrorCode::Damaged,
            Self::Document(ObjectError::TooLarge { .. }) => ErrorCode::LimitExceeded,
            Self::Document(_) | Self::Dependency { .. } | Self::Cancelled => ErrorCode::Unavailable,
            Self::Store {
                source: ObjectError::Full { .. },
                ..
            } => ErrorCode::Backpressure,
            Self::Store { .. } => ErrorCode::Unavailable,
            Self::Unprocessable { code, .. } => *code,
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }
}

impl From<CatalogError> for ProcessError {
    fn from(source: CatalogError) -> Self {
        Self::Dependency {
            what: "catalog",
            source: Box::new(source),
        }
    }
}

/// One problem in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key, for example `processors.encrypt.keys.file`.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Every problem in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { "; " };
            write!(f, "{gap}{}: {}", problem.key, problem.message)?;
        }
        Ok(())
    }
}
impl std::error::Error for ConfigErrors {}

/// A processor does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its configuration is wrong.
    #[error("configuration is not valid")]
    Config(#[source] ConfigErrors),
    /// Something it needs is missing or refuses; the text says what to do next.
    #[error("{what}")]
    Missing {
        /// What, where, and what to do next.
        what: String,
        /// What failed.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
