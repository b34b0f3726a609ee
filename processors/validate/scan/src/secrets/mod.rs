//! Credentials in text.
//!
//! What is looked for stands in rule packs ([`PackSource`]): the public gitleaks rules as they are, and a pack of our own in the same
//! format with a few more keys, described at the head of `rules/secrets.toml`. A scan makes one pass for keywords; a rule is tried
//! only beside one of its keywords, and only if a cheap look at the bytes there says that it could match. So the cost is that of the
//! keyword pass wherever there is nothing to find.
//!
//! A finding names a place, never a value. What a person may see of the value is [`mask`], what a machine may compare is
//! [`fingerprint`].

mod allow;
mod assign;
mod base;
mod candidate;
mod cursor;
mod decode;
mod engine;
pub mod eval;
mod example;
mod gate;
mod key;
mod markup;
mod mask;
mod pack;
mod read;
mod rule;
mod search;
mod sql;
mod url;
mod value;
mod words;

pub use decode::{Chain, DecodeLimits, DecodedRun, DecodedRuns, Encoding, decoded_runs};
pub use engine::{Decoded, Reached};
pub use mask::{fingerprint, mask};
pub use pack::{PackError, PackSource, Packs, Refusal, gitleaks, own};
