//! What is looked at while the document streams by, once.
//!
//! A [`Scanner`] is fed every chunk in order and reports at the end. It keeps only what it needs across chunks, so that memory stays
//! bounded whatever the document's size. The full processor (text extraction, personal data, secrets) adds scanners here; what
//! findings lead to is the policy's, in `core.rs`.

mod integrity;
mod signature;

use std::collections::BTreeMap;

use cofferdam_schemas::{Finding, Severity};

pub use integrity::{Claims, Integrity};
pub use signature::{SignatureScanner, Signatures};

/// Whether a scanner saw all of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It did.
    Whole,
    /// The limit on bytes was reached first.
    Limit,
}

/// What one scanner has to say.
#[derive(Debug, Default)]
pub struct Report {
    /// What it found.
    pub findings: Vec<Finding>,
    /// Values for the result's details.
    pub details: BTreeMap<String, serde_json::Value>,
    /// What it checked, for `checked` in the details.
    pub checked: Vec<String>,
    /// What it could not check, for `not_checked`.
    pub not_checked: Vec<String>,
}

/// Looks at a document chunk by chunk. Chunks come in order, without gaps, in any size.
pub trait Scanner: Send {
    /// The next bytes.
    fn feed(&mut self, chunk: &[u8]);
    /// There are no more.
    fn finish(self: Box<Self>, end: End) -> Report;
}

/// A finding without a place.
pub(crate) fn finding(rule: &str, severity: Severity, confidence: f32, message: String) -> Finding {
    Finding::new(rule, severity, confidence, message)
}
