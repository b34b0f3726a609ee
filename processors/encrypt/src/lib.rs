//! Seals documents, opens them again, and keeps the keys.
//!
//! [`Encrypt`] is the processor: it seals a landing document for its tenant and for the tenant's recovery key, writes
//! the sealed object to the vault, reads it back, opens it, and only then says that it is sealed. Its commands are
//! `retrieve`, which opens a sealed object into the outbox, and `delete`.
//!
//! [`keys`] holds the key ring. [`crypto`] is the sealing and opening itself, over the format of `cofferdam-envelope`;
//! nothing outside it and the modules it exports touches the format's bytes.

mod batch;
mod composite;
pub mod crypto;
mod derive;
mod error;
mod escrow;
pub mod hpke;
mod key;
mod merkle;
mod metadata;
mod open;
mod payload;
mod seal;
mod traits;
mod wipe;
mod workers;

mod commands;
mod config;
mod delete;
pub mod keys;
mod opening;
mod outbox;
mod processor;
mod pump;
mod quarantine;
mod retrieve;
mod signing;
pub mod statement;
mod sums;
mod sweep;

#[cfg(test)]
mod tests;

pub use config::{Config, KeysConfig, KeysPlan, Plan};
pub use processor::{Encrypt, VERBS, prepare};
pub use signing::Signatures;
