//! Names that occur twice in an object, found in bounded memory.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;

/// Names of an object up to which a list is searched rather than a table.
const FEW: usize = 24;

/// Remembers the names of the open objects as 64-bit hashes with a random key. Two different names are taken for one with a chance of
/// about n²/2⁶⁵ (3 in 10⁸ for a million names); the key keeps others from making them so on purpose, and all it would give them is a
/// finding.
#[derive(Debug)]
pub(super) struct Keys {
    hasher: RandomState,
    hashes: Vec<u64>,
    frames: Vec<Frame>,
    /// Hashes in tables.
    tabled: usize,
    limit: usize,
}

#[derive(Debug)]
struct Frame {
    begin: usize,
    table: Option<HashSet<u64, Plain>>,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    New,
    Twice,
    /// The memory is full, so this one is not remembered.
    Full,
}

/// The hashes are hashes already.
#[derive(Debug, Default, Clone, Copy)]
struct Plain(u64);

impl std::hash::Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl BuildHasher for Plain {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Keys {
    pub fn new(limit: usize) -> Self {
        Self {
            hasher: RandomState::default(),
            hashes: Vec::new(),
            frames: Vec::new(),
            tabled: 0,
            limit,
        }
    }

    pub fn clear(&mut self) {
        self.hashes.clear();
        self.frames.clear();
        self.tabled = 0;
    }

    pub fn enter(&mut self) {
        self.frames.push(Frame {
            begin: self.hashes.len(),
            table: None,
        });
    }

    pub fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.hashes.truncate(frame.begin);
            self.tabled -= frame.table.map_or(0, |table| table.len());
        }
    }

    /// Takes a name of the innermost open object.
    pub fn add(&mut self, name: &str) -> Seen {
        let hash = self.hasher.hash_one(name.as_bytes());
        let Some(frame) = self.frames.last_mut() else {
            return Seen::New;
        };
        let full = self.hashes.len() + self.tabled >= self.limit;
        if let Some(table) = &mut frame.table {
            if table.contains(&hash) {
                return Seen::Twice;
            }
            if full {
                return Seen::Full;
            }
            table.insert(hash);
            self.tabled += 1;
            return Seen::New;
        }
        let few = &self.hashes[frame.begin..];
        if few.contains(&hash) {
            return Seen::Twice;
        }
        if full {
            return Seen::Full;
        }
        if few.len() < FEW {
            self.hashes.push(hash);
            return Seen::New;
        }
        let mut table: HashSet<u64, Plain> = few.iter().copied().collect();
        table.insert(hash);
        self.hashes.truncate(frame.begin);
        self.tabled += table.len();
        frame.table = Some(table);
        Seen::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_has_its_own() {
        let mut keys = Keys::new(1000);
        keys.enter();
        for number in 0..100 {
            assert_eq!(keys.add(&number.to_string()), Seen::New);
            keys.enter();
            assert_eq!(keys.add("5"), Seen::New);
            assert_eq!(keys.add("5"), Seen::Twice);
            keys.leave();
        }
        for number in 0..100 {
            assert_eq!(keys.add(&number.to_string()), Seen::Twice);
        }
        keys.leave();
        assert_eq!((keys.tabled, keys.hashes.len()), (0, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut keys = Keys::new(50);
        keys.enter();
        let seen: Vec<Seen> = (0..60).map(|number| keys.add(&number.to_string())).collect();
        assert_eq!(seen.iter().filter(|seen| **seen == Seen::Full).count(), 10);
        assert_eq!(keys.add("3"), Seen::Twice);
    }
}
