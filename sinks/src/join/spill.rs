//! Read, merge, write.

use std::ops::Range;
use std::time::Duration;

use super::core::Key;
use super::journal::{Journal, JournalError, Last};
use super::state::State;

/// How often a write that found another's is tried again.
const ATTEMPTS: u32 = 20;

/// How a spill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spilled {
    /// All of it is in the stored state.
    Stored,
    /// The object is final: it was, or this was the missing part.
    Final,
}

/// Brings a state into `JOIN`. If the merge completes the plan, `done` is published instead. `jitter_ms` is how long to wait after another's write.
pub async fn spill(
    journal: &dyn Journal,
    key: &Key,
    state: &State,
    jitter_ms: Range<u64>,
) -> Result<Spilled, JournalError> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(rand::random_range(jitter_ms.clone()))).await;
        }
        let (expected, stored) = match journal.last(key).await? {
            Last::Done => return Ok(Spilled::Final),
            Last::Nothing => (0, None),
            Last::State { sequence, body } => (sequence, Some(State::from_json(&body)?)),
        };
        let mut merged = state.clone();
        if let Some(stored) = &stored {
            merged.merge(stored);
        }
        if let Some(done) = merged.conclude() {
            journal.finish(&done).await?;
            return Ok(Spilled::Final);
        }
        // All of it was there: by a write whose acknowledgement got lost, or by another joiner.
        if stored.as_ref() == Some(&merged) {
            return Ok(Spilled::Stored);
        }
        if journal.write(key, merged.to_json()?.into(), expected).await? {
            return Ok(Spilled::Stored);
        }
    }
    Err(JournalError::Contended)
}
