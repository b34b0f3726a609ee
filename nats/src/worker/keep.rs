//! Keeping messages alive while they are worked on or wait for it: one task a worker, so that neither a handler that blocks its thread nor the number of
//! messages makes a difference.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::delivery::Ticket;
use super::settle::Settler;

/// A message and one of its deliveries.
type Key = (u64, u64);

/// The messages a worker holds.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<Key, Entry>>);

struct Entry {
    ticket: Ticket,
    /// When it arrived, or progress was last reported.
    touched: Instant,
}

/// A message is held until this is dropped.
pub(super) struct Hold<'a>(&'a Held, Key);

impl Held {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Key, Entry>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn hold(&self, ticket: &Ticket) -> Hold<'_> {
        let key = (ticket.stream_seq(), ticket.stub().delivered);
        let entry = Entry {
            ticket: ticket.clone(),
            touched: Instant::now(),
        };
        self.with(|held| held.insert(key, entry));
        Hold(self, key)
    }

    /// Those that nothing was reported of for so long; from now on it was.
    fn due(&self, after: Duration) -> Vec<(Key, Ticket)> {
        let now = Instant::now();
        self.with(|held| {
            let due = held
                .iter_mut()
                .filter(|(_, entry)| now.saturating_duration_since(entry.touched) >= after);
            due.map(|(key, entry)| {
                entry.touched = now;
                (*key, entry.ticket.clone())
            })
            .collect()
        })
    }

    /// Reports progress of each, at least every [`Settler::progress_every`]. Never ends.
    pub(super) async fn keep(&self, settler: &Settler) {
        let every = settler.progress_every();
        // A message that is not due at one look must not be late at the next.
        let mut looks = tokio::time::interval(every / 4);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            for (key, ticket) in self.due(every.mul_f64(0.7)) {
                // Settled in the meantime: progress after that would undo the delay of one that was given back.
                if self.with(|held| held.contains_key(&key)) {
                    settler.progress(&ticket).await;
                }
            }
        }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.with(|held| held.remove(&self.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_and_silent_is_due() {
        let held = Held::default();
        let ticket = |sequence| Ticket::remnant(sequence, 1, None);
        let first = held.hold(&ticket(1));
        let _second = held.hold(&ticket(2));
        let due = |after| {
            let mut sequences: Vec<_> = held.due(after).iter().map(|(key, _)| key.0).collect();
            sequences.sort_unstable();
            sequences
        };
        assert_eq!(due(Duration::from_secs(60)), [0; 0]);
        assert_eq!(due(Duration::ZERO), [1, 2]);
        drop(first);
        assert_eq!(due(Duration::ZERO), [2]);
    }
}
