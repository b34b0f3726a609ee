//! YARA rules, behind the feature `yara`.
//!
//! The rules are compiled once, by the parent, at its start; each child process is handed what came out and does the scanning. Conditions run in an
//! interpreter of byte code (wasmtime's Pulley), so that no memory of a child has to be executable. Without the feature no rules can be loaded,
//! and a configuration that names some is refused.

mod error;
pub use error::YaraError;

#[cfg(feature = "yara")]
mod rules;
#[cfg(feature = "yara")]
mod scan;
#[cfg(feature = "yara")]
mod sources;
#[cfg(feature = "yara")]
pub use {rules::Yara, scan::YaraScan};

#[cfg(not(feature = "yara"))]
mod absent;
#[cfg(not(feature = "yara"))]
pub use absent::{Yara, YaraScan};

use cofferdam_schemas::Finding;

/// Bytes of a document, or of something inside it, that rules look at.
pub const MOST: u64 = 1 << 30;

/// What rules say of one run of bytes.
#[derive(Debug, Default)]
pub struct Found {
    /// What was found, without the path inside a container.
    pub findings: Vec<Finding>,
    /// What was not checked, and why.
    pub not_checked: Vec<&'static str>,
    /// Bytes beyond [`MOST`].
    pub beyond: u64,
}
