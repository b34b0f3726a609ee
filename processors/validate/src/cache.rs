//! The verdict cache: what was concluded about bytes is remembered, so that the same bytes under the same rules are scanned once.
//!
//! Nothing is ever taken from it on trust: whoever finds an entry by a claimed hash reads the document all the same and compares, which costs a
//! hundredth of a scan. It lives in memory and holds what results hold, so no value found.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};

use cofferdam_processor::Conclusion;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use sha2::{Digest, Sha256};

/// Bytes of all entries, in their JSON form.
const MOST_BYTES: usize = 64 << 20;
/// Bytes of one entry; larger ones are not kept.
const ENTRY_BYTES: usize = 256 << 10;
/// `cofferdam_validate_cache_total{outcome}`: `hit`, `miss`, or `changed` (the bytes are not those of the claimed hash).
const LOOKUPS: &str = "cofferdam_validate_cache";

/// What decides a conclusion, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// From everything that bears on the conclusion. The parts are kept apart by their lengths.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// See the module.
pub struct Cache {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, Key>,
    now: u64,
    bytes: usize,
}

struct Entry {
    conclusion: Conclusion,
    used: u64,
    bytes: usize,
}

impl Cache {
    /// For so many conclusions; none with 0.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
        }
    }

    /// What was concluded.
    pub fn get(&self, key: &Key) -> Option<Conclusion> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *kept;
        let found = kept.entries.get_mut(key)?;
        kept.order.remove(&found.used);
        kept.now += 1;
        found.used = kept.now;
        kept.order.insert(kept.now, *key);
        Some(found.conclusion.clone())
    }

    /// Remembers a conclusion. What has not been used for longest goes when there is no room.
    pub fn put(&self, key: Key, conclusion: &Conclusion) {
        if self.most == 0 {
            return;
        }
        let size = |value: Result<Vec<u8>, serde_json::Error>| value.map_or(usize::MAX / 4, |json| json.len());
        let bytes = size(serde_json::to_vec(&conclusion.findings)) + size(serde_json::to_vec(&conclusion.details));
        if bytes > ENTRY_BYTES {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *kept;
        kept.now += 1;
        let entry = Entry {
            conclusion: conclusion.clone(),
            used: kept.now,
            bytes,
        };
        if let Some(before) = kept.entries.insert(key, entry) {
            kept.order.remove(&before.used);
            kept.bytes -= before.bytes;
        }
        kept.order.insert(kept.now, key);
        kept.bytes += bytes;
        while kept.entries.len() > self.most || kept.bytes > MOST_BYTES {
            let Some((_, oldest)) = kept.order.pop_first() else {
                break;
            };
            if let Some(gone) = kept.entries.remove(&oldest) {
                kept.bytes -= gone.bytes;
            }
        }
    }
}

#[cfg(test)]
impl Cache {
    pub(crate) fn len(&self) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entries.len()
    }
}

/// Counts a look into the cache.
pub fn looked(outcome: &'static str) {
    static COUNTER: OnceLock<Counter<u64>> = OnceLock::new();
    let counter = COUNTER.get_or_init(|| {
        opentelemetry::global::meter("cofferdam")
            .u64_counter(LOOKUPS)
            .with_description("Looks for an earlier conclusion about the same bytes.")
            .build()
    });
    counter.add(1, &[KeyValue::new("outcome", outcome)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclusion(n: usize) -> Conclusion {
        Conclusion {
            details: [("n".to_owned(), n.into())].into(),
            ..Conclusion::default()
        }
    }

    fn key(n: usize) -> Key {
        Key::of(&[&n.to_le_bytes()])
    }

    #[test]
    fn what_was_not_used_goes_first() {
        let cache = Cache::new(3);
        (0..3).for_each(|n| cache.put(key(n), &conclusion(n)));
        assert_eq!(cache.get(&key(0)), Some(conclusion(0)));
        cache.put(key(3), &conclusion(3));
        cache.put(key(3), &conclusion(30));
        let left: Vec<_> = (0..4)
            .map(|n| cache.get(&key(n)).map(|c| c.details["n"].clone()))
            .collect();
        assert_eq!(left, [Some(0.into()), None, Some(2.into()), Some(30.into())]);
    }

    #[test]
    fn room_is_limited() {
        let large = Conclusion {
            details: [("x".to_owned(), "x".repeat(200 << 10).into())].into(),
            ..Conclusion::default()
        };
        let cache = Cache::new(10_000);
        (0..400).for_each(|n| cache.put(key(n), &large));
        let kept = cache.kept.lock().unwrap();
        assert!(kept.bytes <= MOST_BYTES && kept.entries.len() > 300, "{}", kept.bytes);
        assert_eq!(kept.entries.len(), kept.order.len());
        drop(kept);
        let huge = Conclusion {
            details: [("x".to_owned(), "x".repeat(300 << 10).into())].into(),
            ..Conclusion::default()
        };
        cache.put(key(1000), &huge);
        assert_eq!(cache.get(&key(1000)), None);
        let none = Cache::new(0);
        none.put(key(0), &conclusion(0));
        assert_eq!(none.get(&key(0)), None);
    }

    #[test]
    fn parts_are_apart() {
        assert_ne!(Key::of(&[b"ab", b"c"]), Key::of(&[b"a", b"bc"]));
    }
}
