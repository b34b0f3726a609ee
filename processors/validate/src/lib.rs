//! `validate`: what a document is, whether it is whole, and whether it holds something dangerous.
//!
//! The document is read once, as a stream, with memory that does not depend on its size. Size and checksums are recomputed and compared with what
//! the store claims, byte signatures are looked for wherever chunks happen to be cut, and the type is told from the content and compared with the
//! name and the declared type. Text goes through the engines of `cofferdam-scan` in windows: structure, personal data, secrets, prompt
//! injection. What has an inside is opened in a child process (`cofferdam-inside`), where its members go through the same engines.
//!
//! A limit that is reached is the verdict `incomplete`, with the limit and the number of bytes not looked at in the details. What was
//! checked and what was not stands there too: a `pass` says only what `checked` lists.

mod cache;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod child;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod config;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod core;
mod error;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod kind;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod look;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod scan;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

mod files;
mod processor;
mod rulebook;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod yara;

pub use crate::core::risk;
pub use child::{ChildError, Children, child_main};
pub use cofferdam_scan::hit::Hit;
pub use cofferdam_scan::injection::poison::{Batch, Limits as BatchLimits, Outline};
pub use config::{CategoryConfig, Config, Plan, Policy, TenantConfig, Threshold};
pub use error::ValidateError;
pub use files::{FileError, Files};
pub use kind::PAGES;
pub use look::{EngineError, Engines, Packs, RuleInfo};
pub use processor::Validate;
pub use yara::YaraError;
