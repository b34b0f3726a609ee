//! The sealed envelope: its byte layout, read and written with limits. No cryptography.
//!
//! `SPEC.md` beside this crate is the format; the words used there are the names used here. A sealed object is
//!
//! ```text
//! PREFIX(20) ‖ CORE ‖ RECIPIENTS ‖ SIGNATURE BLOCK ‖ PAYLOAD
//! ```
//!
//! and everything before the payload is its *head*. This crate turns head bytes into values and back, does the arithmetic of the
//! payload's chunks, and writes the byte strings (labels) that keys, stanzas and signatures are bound to. It computes no hash, opens
//! nothing and decides nothing about trust.
//!
//! Every value has exactly one encoding: what parses is written again as the same bytes. No length field makes a parser allocate: it
//! is compared with its limit and with the bytes that are there first.

mod core;
mod error;
mod extension;
pub mod geometry;
mod head;
mod inclusion;
pub mod label;
mod prefix;
mod read;
mod recipients;
mod registry;
mod signature;

pub use crate::core::{CORE_FIXED_LEN, CORE_MAX_LEN, Core, Flags};
pub use crate::error::EnvelopeError;
pub use crate::extension::{ContextEntry, Extension, ExtensionKind, decode_context, encode_context};
pub use crate::head::{HEAD_MAX_LEN, Head};
pub use crate::inclusion::{BATCH_MAX, Inclusion, NODE_LEN, PATH_MAX};
pub use crate::prefix::{MAGIC, MAGIC_NAME, MAJOR_VERSION, PREFIX_LEN, Prefix};
pub use crate::recipients::{MAC_LEN, RECIPIENTS_MAX_LEN, RECIPIENTS_VERSION, Recipients, Role, STANZAS_MAX, Stanza};
pub use crate::registry::{SignatureAlg, StanzaAlg, Suite};
pub use crate::signature::{SIGNATURE_BLOCK_FIXED_LEN, SIGNATURE_BLOCK_MAX_LEN, SignatureBlock};
