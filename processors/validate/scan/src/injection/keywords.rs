//! Where the keywords of a pack stand in a text: every occurrence of every one, in any case of ASCII letters.
//!
//! Of each keyword the rarest four bytes are looked for, through a table of bits that stays in the first cache: an automaton of
//! all keywords takes megabytes, and waits for them.

use std::ops::Range;

/// Bits of a table, as words of 64.
const WORDS: usize = 1 << 10;

/// Bits that are set before bytes are compared: letters lose their case, and signs that become one another are told apart later.
const FOLD: u64 = 0x2020_2020_2020_2020;

/// How often letters are: the most frequent ones last.
const FREQUENT: &[u8] = b"zqxjkvbpygfwmucldrhsnioate ";

/// A keyword by the bytes that are looked for.
struct Anchored {
    /// The bytes, folded by [`FOLD`], the first one lowest; of short keywords two, the other half being zero.
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

/// At most four bytes as an anchor.
fn packed(bytes: &[u8]) -> u32 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |all, byte| (all << 8) | u32::from(*byte | FOLD as u8))
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

    /// Which of the tables may have a keyword whose anchor ends where `last` are the last four bytes, folded.
    #[inline]
    fn hits(&self, last: u32) -> u32 {
        u32::from(self.long.may(slot(last))) | u32::from(self.short.may((last >> 16) as usize)) << 1
    }

    #[inline]
    fn verify(&self, hits: u32, last: u32, text: &[u8], end: usize, each: &mut impl FnMut(usize, Range<usize>)) {
        if hits & 1 != 0 {
            self.long.verify(slot(last), last, text, end, each);
        }
        if hits & 2 != 0 {
            let last = last >> 16;
            self.short.verify(last as usize, last, text, end, each);
        }
    }

    /// Calls `each` with the index and the bytes of every occurrence, in order of the bytes that were looked for.
    #[inline]
    pub(super) fn find(&self, text: &str, mut each: impl FnMut(usize, Range<usize>)) {
        let bytes = text.as_bytes();
        let first = bytes.len().min(3);
        (0..first).for_each(|at| self.single(bytes, at, &mut each));
        let mut at = first;
        // Few places have a keyword: four of them are looked at before the first branch.
        while let Some(eight) = bytes[at - first..].first_chunk() {
            let eight = u64::from_le_bytes(*eight) | FOLD;
            let last = |place: usize| (eight >> (8 * place)) as u32;
            let all = (0..4).fold(0, |all, place| all | self.hits(last(place)) << (2 * place));
            if all != 0 {
                for place in 0..4 {
                    self.verify(all >> (2 * place), last(place), bytes, at + 1 + place, &mut each);
                }
            }
            at += 4;
        }
        (at..bytes.len()).for_each(|at| self.single(bytes, at, &mut each));
    }

    /// The keywords whose anchor ends with the byte at `at`.
    #[inline(never)]
    fn single(&self, text: &[u8], at: usize, each: &mut impl FnMut(usize, Range<usize>)) {
        let last = packed(&text[at.saturating_sub(3)..=at]) << (8 * 3_usize.saturating_sub(at));
        self.verify(self.hits(last), last, text, at + 1, each);
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
