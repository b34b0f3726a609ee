//! The engines as their users see them: packs, hostile texts, scores.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod engine;
mod formats;
mod fuzzed;
mod packs;
mod phi;
