//! Which objects are open, and what is due: values in, values out. No I/O, no clock of its own.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;

use cofferdam_schemas::{Done, ObjectId, ResultEvent, TenantName};

use super::state::State;

/// An object version.
pub type Key = (TenantName, ObjectId);

/// How much is kept, and for how long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long an object may be open, in milliseconds, before it is spilled.
    pub open_ms: i64,
    /// How many unacknowledged results are held. Beyond it the oldest objects are spilled early.
    pub held: usize,
    /// How many finished, and how many spilled objects are remembered.
    pub remembered: usize,
}

impl Default for Limits {
    /// Two seconds; 4,000 results, below what the consumer hands out; 65,536 objects of either kind, about 6 MB.
    fn default() -> Self {
        Self {
            open_ms: 2000,
            held: 4000,
            remembered: 65_536,
        }
    }
}

/// Something to be done about an object, which the caller then reports with [`Core::settle`].
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// It is complete: publish this.
    Finish(Box<Done>),
    /// It was open too long: merge this into its state on `JOIN`.
    Spill(State),
}

/// How work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The `done` is there, by us or by another.
    Final,
    /// All we hold is in the state.
    Spilled,
    /// Neither is certain: try again.
    Failed,
}

struct Open<T> {
    state: State,
    /// By sequence, so that a redelivered result replaces its ticket.
    tickets: BTreeMap<u64, T>,
    since: i64,
    not_before: i64,
    failures: u32,
}

/// Open objects. `T` is what acknowledges a result.
pub struct Core<T> {
    limits: Limits,
    open: HashMap<Key, Open<T>>,
    held: usize,
    complete: HashSet<Key>,
    finished: Recent<Key>,
    spilled: Recent<Key>,
}

impl<T> Core<T> {
    /// Nothing is open.
    pub fn new(limits: Limits) -> Self {
        let remembered = limits.remembered;
        Self {
            limits,
            open: HashMap::new(),
            held: 0,
            complete: HashSet::new(),
            finished: Recent::new(remembered),
            spilled: Recent::new(remembered),
        }
    }

    /// How many objects are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// How many results are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether more results are held than should be.
    pub fn is_full(&self) -> bool {
        self.held > self.limits.held
    }

    /// Takes a result. Gives the ticket back if it can be acknowledged at once because the object is known to be final. `again` is for results of an
    /// object that was published again: that happens when a `done` may have been lost, so memory is no proof.
    pub fn offer(&mut self, sequence: u64, ticket: T, result: &ResultEvent, again: bool, now: i64) -> Option<T> {
        let key = (result.object.tenant.clone(), result.object.id);
        if !again && self.finished.contains(&key) {
            return Some(ticket);
        }
        // What was spilled before is looked at without delay: this may be the result it waits for.
        let since = if self.spilled.contains(&key) {
            now.saturating_sub(self.limits.open_ms)
        } else {
            now
        };
        let open = self.open.entry(key.clone()).or_insert_with(|| Open {
            state: State::default(),
            tickets: BTreeMap::new(),
            since,
            not_before: i64::MIN,
            failures: 0,
        });
        open.state.add(result);
        if open.tickets.insert(sequence, ticket).is_none() {
            self.held += 1;
        }
        if open.state.conclude().is_some() {
            self.complete.insert(key);
        }
        None
    }

    /// Complete objects. Each must be settled.
    pub fn finished(&mut self, now: i64) -> Vec<(Key, Work)> {
        let due = |key: &&Key| self.open.get(*key).is_some_and(|open| open.not_before <= now);
        let keys: Vec<Key> = self.complete.iter().filter(due).cloned().collect();
        let work = |key: Key| {
            let done = self.open.get(&key)?.state.conclude()?;
            Some((key, Work::Finish(Box::new(done))))
        };
        keys.into_iter().filter_map(work).collect()
    }

    /// Objects that were open too long, and the oldest if too many results are held. Each must be settled.
    pub fn overdue(&mut self, now: i64) -> Vec<(Key, Work)> {
        // A clock that was set back must not keep objects open for as long.
        for open in self.open.values_mut() {
            open.since = open.since.min(now);
            if open.not_before.saturating_sub(now) > LONGEST_PAUSE {
                open.not_before = now;
            }
        }
        let mut waiting: Vec<(i64, &Key)> = self
            .open
            .iter()
            .filter(|(key, open)| !self.complete.contains(*key) && open.not_before <= now)
            .map(|(key, open)| (open.since, key))
            .collect();
        waiting.sort();
        let mut excess = if self.is_full() {
            self.held - self.limits.held / 4 * 3
        } else {
            0
        };
        let mut work = Vec::new();
        for (since, key) in waiting {
            let Some(open) = self.open.get(key) else { continue };
            let late = now.saturating_sub(since) >= self.limits.open_ms;
            if !late && excess == 0 {
                break;
            }
            excess = excess.saturating_sub(open.tickets.len());
            work.push((key.clone(), Work::Spill(open.state.clone())));
        }
        work
    }

    /// Takes note of how work ended, and gives back the tickets that can be acknowledged now.
    pub fn settle(&mut self, key: &Key, how: Settled, now: i64) -> Vec<T> {
        match how {
            Settled::Failed => {
                if let Some(open) = self.open.get_mut(key) {
                    open.failures = open.failures.saturating_add(1);
                    open.not_before = now.saturating_add(pause(open.failures));
                }
                return Vec::new();
            }
            Settled::Final => {
                self.spilled.remove(key);
                self.finished.insert(key.clone());
            }
            Settled::Spilled => self.spilled.insert(key.clone()),
        }
        self.complete.remove(key);
        let Some(open) = self.open.remove(key) else {
            return Vec::new();
        };
        self.held -= open.tickets.len();
        open.tickets.into_values().collect()
    }
}

const LONGEST_PAUSE: i64 = 5000;

/// Milliseconds until work that failed is tried again.
fn pause(failures: u32) -> i64 {
    (50_i64 << failures.min(10)).min(LONGEST_PAUSE)
}

/// A set that forgets its oldest members.
struct Recent<K> {
    most: usize,
    members: HashMap<K, u64>,
    order: VecDeque<(K, u64)>,
    next: u64,
}

impl<K: Clone + Eq + Hash> Recent<K> {
    fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            members: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
        }
    }

    fn contains(&self, key: &K) -> bool {
        self.members.contains_key(key)
    }

    fn insert(&mut self, key: K) {
        self.next += 1;
        self.members.insert(key.clone(), self.next);
        self.order.push_back((key, self.next));
        // Entries of members that were removed or inserted again are only skipped, so the queue has its own bound.
        while self.members.len() > self.most || self.order.len() > self.most.saturating_mul(2) {
            let Some((key, number)) = self.order.pop_front() else {
                break;
            };
            if self.members.get(&key) == Some(&number) {
                self.members.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &K) {
        self.members.remove(key);
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
