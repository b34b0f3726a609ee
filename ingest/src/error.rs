//! How this crate fails.

use std::path::PathBuf;

use cofferdam_bucket::BucketError;

use crate::redrive::FinalsError;

/// Why a part of ingest stopped, or could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The ledger does not take or give rows. Nothing was accepted that is not in it.
    #[error("ledger does not answer")]
    Ledger(#[source] BucketError),
    /// The store of final states does not answer.
    #[error("store of final states does not answer")]
    Finals(#[source] FinalsError),
    /// The sealed copy of a quarantined object could not be moved out of the vault.
    #[error("a quarantined object cannot be isolated")]
    Isolate {
        /// What the store said.
        #[source]
        source: cofferdam_seams::ObjectError,
    },
    /// The store that a document came from does not answer, and there is no ledger that would remember to delete it later.
    #[error("a plaintext cannot be deleted now")]
    Retire {
        /// What the store said.
        #[source]
        source: cofferdam_seams::ObjectError,
    },
    /// The broker refuses a subscription.
    #[error("commands cannot be received")]
    Subscribe(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The inbox folder cannot be read or created.
    #[error("inbox folder {path} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// A record cannot be written as JSON: our fault.
    #[error("record has no JSON form")]
    Encode(#[source] serde_json::Error),
}
