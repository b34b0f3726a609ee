//! What can go wrong here.

use cofferdam_processor::ProcessError;
use cofferdam_schemas::ErrorCode;

/// Why a document's words are not counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordCountError {
    /// It is larger than the operator allows.
    #[error("document of {size} bytes is above the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// `processors.word-count.max_bytes`.
        limit: u64,
    },
}

impl From<WordCountError> for ProcessError {
    /// An exhaustive match: a new error does not compile until somebody says what the shell is to do about it.
    fn from(error: WordCountError) -> Self {
        let code = match error {
            WordCountError::TooLarge { .. } => ErrorCode::LimitExceeded,
        };
        ProcessError::reject(code, error.to_string())
    }
}
