//! Words and what is known of them: gazetteers and the context words of the packs, in one open-addressing table.

use crate::eight::{HIGH, few, lower};

/// What a word may be. A word may be several things.
#[allow(missing_docs, reason = "the names say it")]
pub mod flag {
    pub const FIRST: u32 = 1;
    pub const LAST: u32 = 1 << 1;
    pub const COUNTRY: u32 = 1 << 2;
    pub const STATE: u32 = 1 << 3;
    pub const STATE_CODE: u32 = 1 << 4;
    pub const CITY: u32 = 1 << 5;
    pub const FACILITY: u32 = 1 << 6;
    pub const HOSPITAL: u32 = 1 << 7;
    pub const STREET: u32 = 1 << 8;
    pub const NATION: u32 = 1 << 9;
    pub const TITLE: u32 = 1 << 10;
    pub const MONTH: u32 = 1 << 11;
    pub const WEEKDAY: u32 = 1 << 12;
    pub const KIN: u32 = 1 << 13;
    /// An ordinary word, a drug, or a disease named after somebody: alone it is not a name.
    pub const COMMON: u32 = 1 << 14;
    /// Begins an entry of several words.
    pub const PART: u32 = 1 << 15;
}

const FIRST_NAMES: &str = include_str!("../../rules/gazetteer/first_names.txt");
const SURNAMES: &str = include_str!("../../rules/gazetteer/surnames.txt");
const PLACES: &str = include_str!("../../rules/gazetteer/places.txt");
const WORDS: &str = include_str!("../../rules/gazetteer/words.txt");

/// Most words in an entry.
pub const LONGEST: usize = 4;

/// FNV-1a, 64 bits: what the tagger knows a word by. The file of its weights depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Hash(pub u64);

impl Default for Hash {
    fn default() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// One more byte.
    #[inline]
    pub fn byte(self, byte: u8) -> Self {
        Hash((self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// A word in lower case.
    #[inline]
    pub fn word(mut self, word: &str) -> Self {
        if word.is_ascii() {
            for &byte in word.as_bytes() {
                self = self.byte(byte.to_ascii_lowercase());
            }
            return self;
        }
        for lower in word.chars().flat_map(char::to_lowercase) {
            let mut bytes = [0; 4];
            for &byte in lower.encode_utf8(&mut bytes).as_bytes() {
                self = self.byte(byte);
            }
        }
        self
    }
}

/// The key of a word or a phrase in the table, whatever its case. Eight bytes are taken in at a time: a word is looked
/// up for every capital word and for the words around every number. No secret is needed, since the table is fixed at
/// load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Default for Key {
    /// That of nothing.
    fn default() -> Self {
        Key(0xcbf2_9ce4_8422_2325)
    }
}

impl Key {
    /// The phrase with one more word. An empty word counts as one.
    #[inline]
    pub fn word(self, word: &str) -> Self {
        let bytes = word.as_bytes();
        let mut key = self;
        let mut high = 0;
        let mut rest = bytes;
        while let Some((block, tail)) = rest.split_first_chunk::<8>() {
            let block = u64::from_le_bytes(*block);
            high |= block;
            key = key.block(lower(block));
            rest = tail;
        }
        let last = few(rest);
        if (high | last) & HIGH != 0 {
            return self.letters(word);
        }
        key.block(lower(last)).end(bytes.len())
    }

    /// The same for a word of any letters: the bytes of its lower case.
    #[cold]
    fn letters(self, word: &str) -> Self {
        let (mut key, mut block, mut length) = (self, 0, 0);
        for letter in word.chars().flat_map(char::to_lowercase) {
            let mut bytes = [0; 4];
            for &byte in letter.encode_utf8(&mut bytes).as_bytes() {
                block |= u64::from(byte) << (8 * (length % 8));
                length += 1;
                if length % 8 == 0 {
                    key = key.block(block);
                    block = 0;
                }
            }
        }
        key.block(block).end(length)
    }

    fn block(self, block: u64) -> Self {
        let product = u128::from(self.0 ^ block) * 0x9e37_79b9_7f4a_7c15;
        Key(product as u64 ^ (product >> 64) as u64)
    }

    fn end(self, length: usize) -> Self {
        Key((self.0 ^ length as u64)
            .wrapping_mul(0xff51_afd7_ed55_8ccd)
            .rotate_left(29))
    }
}

/// What is known of a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry {
    /// See [`flag`].
    pub flags: u32,
    /// Recognizers whose context this word is, a bit each.
    pub cues: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    entry: Entry,
}

/// The byte of a key that is looked at first; the place comes from other bits.
#[inline]
fn tag(key: u64) -> u8 {
    (key >> 56) as u8 | 1
}

/// The table.
pub struct Lexicon {
    slots: Vec<Slot>,
    /// A byte of the key in each slot, 0 where it is empty. Most words of a text are in none, and these bytes stay in
    /// the first cache.
    tags: Vec<u8>,
    mask: usize,
    used: usize,
}

impl Lexicon {
    /// The built-in gazetteers.
    pub fn built_in() -> Self {
        let mut lexicon = Self {
            slots: vec![Slot::default(); 1 << 15],
            tags: vec![0; 1 << 15],
            mask: (1 << 15) - 1,
            used: 0,
        };
        lexicon.add_file(FIRST_NAMES, flag::FIRST);
        lexicon.add_file(SURNAMES, flag::LAST);
        lexicon.add_file(PLACES, 0);
        lexicon.add_file(WORDS, 0);
        lexicon
    }

    fn add_file(&mut self, text: &str, mut flags: u32) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(section) = line.strip_prefix('[') {
                flags = match section.trim_end_matches(']') {
                    "country" => flag::COUNTRY,
                    "state" => flag::STATE,
                    "state-code" => flag::STATE_CODE,
                    "city" => flag::CITY,
                    "facility" => flag::FACILITY,
                    "hospital-word" => flag::HOSPITAL,
                    "street" => flag::STREET,
                    "nationality" => flag::NATION,
                    "title" => flag::TITLE,
                    "month" => flag::MONTH,
                    "weekday" => flag::WEEKDAY,
                    "kin" => flag::KIN,
                    _ => flag::COMMON,
                };
                continue;
            }
            for entry in line.split_whitespace() {
                self.add(&entry.replace('_', " "), Entry { flags, cues: 0 });
            }
        }
    }

    /// Adds to what is known of a word or a few words.
    pub fn add(&mut self, words: &str, entry: Entry) {
        // Words are split as the scanner splits them, so that "St. Louis" and "Winston-Salem" are found.
        let parts: Vec<&str> = words
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|part| !part.is_empty())
            .collect();
        let mut key = Key::default();
        for (index, part) in parts.iter().take(LONGEST).enumerate() {
            key = key.word(part);
            if index == 0 && parts.len() > 1 {
                self.insert(
                    key.0,
                    Entry {
                        flags: flag::PART,
                        cues: 0,
                    },
                );
            }
        }
        if !parts.is_empty() {
            self.insert(key.0, entry);
        }
    }

    fn insert(&mut self, key: u64, entry: Entry) {
        if self.used * 2 >= self.slots.len() {
            let old = std::mem::replace(&mut self.slots, vec![Slot::default(); (self.mask + 1) * 2]);
            self.mask = self.slots.len() - 1;
            self.tags = vec![0; self.slots.len()];
            self.used = 0;
            for slot in old.into_iter().filter(|slot| slot.key != 0) {
                self.insert(slot.key, slot.entry);
            }
        }
        let mut at = key as usize & self.mask;
        while self.slots[at].key != 0 && self.slots[at].key != key {
            at = (at + 1) & self.mask;
        }
        if self.slots[at].key == 0 {
            self.used += 1;
        }
        self.slots[at].key = key;
        self.tags[at] = tag(key);
        self.slots[at].entry.flags |= entry.flags;
        self.slots[at].entry.cues |= entry.cues;
    }

    /// What is known under this key.
    #[inline]
    pub fn at(&self, key: Key) -> Entry {
        let (mut at, wanted) = (key.0 as usize & self.mask, tag(key.0));
        loop {
            match self.tags[at] {
                0 => return Entry::default(),
                known if known == wanted && self.slots[at].key == key.0 => return self.slots[at].entry,
                _ => at = (at + 1) & self.mask,
            }
        }
    }

    /// What is known of a word, whatever its case.
    #[inline]
    pub fn word(&self, word: &str) -> Entry {
        self.at(Key::default().word(word))
    }

    /// What is known of words with one space between them.
    pub fn phrase(&self, words: &str) -> Entry {
        self.at(words.split(' ').fold(Key::default(), Key::word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        let lexicon = Lexicon::built_in();
        assert_ne!(lexicon.word("KRZYSZTOF").flags & flag::FIRST, 0);
        assert_ne!(lexicon.word("wójcik").flags & flag::LAST, 0);
        assert_ne!(lexicon.word("Lisinopril").flags & flag::COMMON, 0);
        assert_eq!(lexicon.word("qwertzuiop"), Entry::default());
        assert_eq!(
            lexicon.phrase("St Louis"),
            lexicon.at(Key::default().word("St").word("Louis"))
        );
        let st_louis = Key::default().word("St").word("Louis");
        assert_ne!(lexicon.at(st_louis).flags & flag::CITY, 0);
        assert_ne!(lexicon.word("st").flags & flag::PART, 0);
    }

    proptest! {
        #[test]
        fn a_key_is_that_of_the_lower_case(word in "[a-zA-Z\\[@`{\\-0-9]{0,40}|[a-zA-ZéÉßİKſ漢]{0,20}") {
            let small: String = word.chars().flat_map(char::to_lowercase).collect();
            let key = Key::default().word(&word);
            prop_assert_eq!(key, Key::default().word(&small));
            prop_assert_eq!(key, Key::default().letters(&word));
            // Neither where a phrase is cut nor what it is cut to is lost.
            let cut = small.chars().next().map_or(0, char::len_utf8);
            prop_assert_ne!(key, Key::default().word(&small[..cut]).word(&small[cut..]));
            prop_assert!(cut == 0 || key != Key::default().word(&small[cut..]));
        }
    }
}
