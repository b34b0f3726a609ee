//! Where the keywords of a pack stand in a text: every occurrence of every one, in any case of ASCII letters.
//!
//! Of each keyword the rarest four bytes are looked for, through a table of bits that stays in the first cache: an automaton of
//! all keywords takes megabytes, and waits for them.

use std::ops::Range;

/// Bits of a table, as words of 64.
const WORDS: usize = 1 << 10;

/// How often letters are: the most frequent ones last.
const FREQUENT: &[u8] = b"zqxjkvbpygfwmucldrhsnioate ";

/// A keyword by the bytes that are looked for.
struct Anchored {
    /// The bytes, folded, the last one lowest; two for short keywords.
    anchor: u32,
    /// Bytes from the start of the keyword to the end of these.
    offset: usize,
    keyword: Box<[u8]>,
    index: usize,
}

/// Keywords by the slots of their anchors.
struct Table {
    bits: Box<[u64; WORDS]>,
    /// Where the keywords of each word of `bits` begin.
    first: Vec<usize>,
    /// Sorted by their slots.
    keywords: Vec<Anchored>,
}

impl Table {
    fn new(mut keywords: Vec<Anchored>, slot: fn(u32) -> usize) -> Self {
        keywords.sort_by_key(|one| slot(one.anchor));
        let mut bits = Box::new([0; WORDS]);
        for one in &keywords {
            // a slot has 16 bits
            bits[slot(one.anchor) >> 6] |= 1 << (slot(one.anchor) & 63);
        }
        let first = (0..=WORDS).map(|word| keywords.partition_point(|one| slot(one.anchor) >> 6 < word));
        Self {
            bits,
            first: first.collect(),
            keywords,
        }
    }

    /// Whether a keyword may have an anchor with this slot.
    #[inline]
    fn may(&self, slot: usize) -> bool {
        // Panic safety: 16 bits, less the lowest six, are below WORDS.
        (self.bits[slot >> 6] >> (slot & 63)) & 1 != 0
    }

    /// The keywords with this anchor that stand where it ends at `end`.
    fn verify(&self, slot: usize, anchor: u32, text: &[u8], end: usize, each: &mut impl FnMut(usize, Range<usize>)) {
        let near = &self.keywords[self.first[slot >> 6]..self.first[(slot >> 6) + 1]];
        for one in near.iter().filter(|one| one.anchor == anchor) {
            let Some(start) = end.checked_sub(one.offset) else {
                continue;
            };
            let whole = start..start + one.keyword.len();
            let there = text.get(whole.clone());
            if there.is_some_and(|there| there.eq_ignore_ascii_case(&one.keyword)) {
                each(one.index, whole);
            }
        }
    }
}

/// Keywords and the tables that find them.
pub(super) struct Keywords {
    long: Table,
    short: Table,
}

fn rarity(byte: u8) -> usize {
    // signs and bytes beyond ASCII are rarer than any letter
    FREQUENT.iter().position(|other| *other == byte).unwrap_or(0)
}

fn packed(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |all, byte| (all << 8) | u32::from(*byte))
}

#[inline]
fn slot(anchor: u32) -> usize {
    (anchor.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

impl Keywords {
    /// Of at least two bytes each; shorter ones are never found.
    pub(super) fn new(keywords: impl IntoIterator<Item = String>) -> Self {
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for (index, keyword) in keywords.into_iter().enumerate() {
            let keyword = keyword.to_ascii_lowercase().into_bytes();
            let width = if keyword.len() < 4 { 2 } else { 4 };
            let windows = keyword.windows(width).enumerate();
            let rarest = windows.min_by_key(|(_, window)| window.iter().map(|byte| rarity(*byte)).sum::<usize>());
            let Some((at, window)) = rarest else { continue };
            let anchored = Anchored {
                anchor: packed(window),
                offset: at + width,
                keyword: keyword.into(),
                index,
            };
            if width == 4 {
                long.push(anchored);
            } else {
                short.push(anchored);
            }
        }
        Self {
            long: Table::new(long, slot),
            short: Table::new(short, |anchor| anchor as usize),
        }
    }

    /// Calls `each` with the index and the bytes of every occurrence, in order of the bytes that were looked for.
    #[inline]
    pub(super) fn find(&self, text: &str, mut each: impl FnMut(usize, Range<usize>)) {
        let bytes = text.as_bytes();
        let mut last = 0u32;
        for (at, byte) in bytes.iter().enumerate() {
            last = (last << 8) | u32::from(byte.to_ascii_lowercase());
            let (long, short) = (slot(last), (last & 0xffff) as usize);
            if self.long.may(long) {
                self.long.verify(long, last, bytes, at + 1, &mut each);
            }
            if self.short.may(short) {
                self.short.verify(short, last & 0xffff, bytes, at + 1, &mut each);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(keywords: &[&str], text: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let all = Keywords::new(keywords.iter().map(|word| (*word).to_owned()));
        all.find(text, |index, span| found.push((index, span.start)));
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn every_occurrence_is_found(text in "[abAé](){0,40}|(ab|ba|aé|bab|aab|éb| ){0,30}") {
            let keywords = ["ab", "aba", "abab", "bé", "babé", "é b", "aab ba"];
            let mut expected = Vec::new();
            for (index, keyword) in keywords.iter().enumerate() {
                let lower = text.to_ascii_lowercase();
                let there = |at: &usize| lower.as_bytes()[*at..].starts_with(keyword.as_bytes());
                expected.extend((0..text.len()).filter(there).map(|at| (index, at)));
            }
            expected.sort_unstable();
            prop_assert_eq!(found(&keywords, &text), expected);
        }
    }
}
