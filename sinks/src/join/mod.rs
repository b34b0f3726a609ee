//! The joiner: one `done` for each object version, when the last required result is in.
//!
//! Open objects are kept in memory, and their results stay unacknowledged. Most objects are complete within a moment and cost one message: `done`,
//! which only the first on its subject can be. An object that stays open for two seconds is *spilled*: what is in so far is merged into its state message
//! on `JOIN`, under the sequence that was read, and its results are acknowledged. So a crash costs two seconds: what was not acknowledged is delivered
//! again, what was acknowledged is in the state or in `done`. A result for an object that is not in memory needs no read before its own two
//! seconds are over, unless this process remembers having spilled the object.
//!
//! Dead results complete nothing: their object is spilled and waits for the replay. Several joiners may run: two that hold parts of one object
//! meet when they spill, because state and `done` share one domain of expected sequences.

mod core;
mod journal;
mod spill;
mod state;
mod worker;

pub use self::core::{Core, Key, Limits, Settled, Work};
pub use journal::{Journal, JournalError, Last};
pub use spill::{Spilled, spill};
pub use state::{Kept, State, StateError};
pub use worker::run_join;
