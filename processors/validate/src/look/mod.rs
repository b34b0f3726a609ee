//! Looking into documents: the engines together, over texts of any length and over what is inside containers.
//!
//! The engines (crates `cofferdam-scan` and `cofferdam-inside`) know nothing of each other and keep nothing. Here a text is cut in windows for
//! them, their hits become findings with a place, and what they find is kept within bounds.

mod document;
mod engines;
mod gather;
mod inside;
mod labels;
mod shelf;
mod structure;
mod text;

pub use document::{Look, Seen};
pub use engines::{EngineError, Engines, Packs, RuleInfo};
pub use gather::{Gather, Outcome};
pub use inside::{Answer, Request, answer};
pub use shelf::Shelf;
pub use structure::Structure;
pub use text::TextScan;

/// The engines that can be left out.
pub const ENGINES: [&str; 4] = ["phi", "injection", "secrets", "yara"];
