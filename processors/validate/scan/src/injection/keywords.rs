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

/// Keywords and the tables that find them.
pub(super) struct Keywords {
    /// Sorted by their anchors.
    long: Vec<Anchored>,
    short: Vec<Anchored>,
    long_bits: Box<[u64; WORDS]>,
    short_bits: Box<[u64; WORDS]>,
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
        let mut all = Self {
            long: Vec::new(),
            short: Vec::new(),
            long_bits: Box::new([0; WORDS]),
            short_bits: Box::new([0; WORDS]),
        };
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
            let (list, bits, slot) = if width == 4 {
                (&mut all.long, &mut all.long_bits, slot(anchored.anchor))
            } else {
                (&mut all.short, &mut all.short_bits, anchored.anchor as usize)
            };
            // a slot has 16 bits
            bits[slot >> 6] |= 1 << (slot & 63);
            list.push(anchored);
        }
        all.long.sort_by_key(|one| one.anchor);
        all.short.sort_by_key(|one| one.anchor);
        all
    }

    /// Calls `each` with the index and the bytes of every occurrence, in order of the bytes that were looked for.
    #[inline]
    pub(super) fn find(&self, text: &str, mut each: impl FnMut(usize, Range<usize>)) {
        let bytes = text.as_bytes();
        let mut last = 0u32;
        for (at, byte) in bytes.iter().enumerate() {
            last = (last << 8) | u32::from(byte.to_ascii_lowercase());
            let (long, short) = (slot(last), (last & 0xffff) as usize);
            // Panic safety: 16 bits, less the lowest six, are below WORDS.
            let (long, short) = (
                self.long_bits[long >> 6] >> (long & 63),
                self.short_bits[short >> 6] >> (short & 63),
            );
            if (long | short) & 1 != 0 {
                if long & 1 != 0 {
                    verify(&self.long, last, bytes, at + 1, &mut each);
                }
                if short & 1 != 0 {
                    verify(&self.short, last & 0xffff, bytes, at + 1, &mut each);
                }
            }
        }
    }
}

/// The keywords with this anchor that stand where it ends at `end`.
fn verify(list: &[Anchored], anchor: u32, text: &[u8], end: usize, each: &mut impl FnMut(usize, Range<usize>)) {
    let first = list.partition_point(|one| one.anchor < anchor);
    for one in list[first..].iter().take_while(|one| one.anchor == anchor) {
        let Some(start) = end.checked_sub(one.offset) else {
            continue;
        };
        let whole = start..start + one.keyword.len();
        if text
            .get(whole.clone())
            .is_some_and(|there| there.eq_ignore_ascii_case(&one.keyword))
        {
            each(one.index, whole);
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
