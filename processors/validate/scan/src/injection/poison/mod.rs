//! Poisoned training data: what single records show, and what only a batch shows.
//!
//! There is no public labelled corpus of poisoned training documents; this part is tested with poison planted in harmless
//! texts only, and real poison may look different. Read its findings as questions.

mod batch;
mod document;
pub mod minhash;
mod triggers;

pub use batch::{Batch, Limits, Outline, Record, Summary};
pub use document::{check, repetition};
