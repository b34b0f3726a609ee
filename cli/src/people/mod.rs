//! The people's commands. Each reads what it needs from a running instance and decides nothing.

pub mod dlq;
pub mod follow;
pub mod get;
pub mod health;
pub mod keys;
pub mod ls;
pub mod put;
pub mod quarantine;
pub mod rm;
pub mod status;
pub mod watch;
