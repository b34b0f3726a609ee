//! Where the keywords of a pack stand in a text: every occurrence of every one, in any case of ASCII letters.
//!
//! Of each keyword the rarest four bytes are looked for, through a table of bits that stays in the first cache: an automaton of
//! all keywords takes megabytes, and waits for them. They lie within one of its words, a space before or after it included: so whether a word is of
//! none of the keywords can be said once, and remembered.

use std::ops::Range;

/// Bits of a table, as words of 64.
const WORDS: usize = 1 << 10;

/// Bits that are set before bytes are compared: letters lose their case, and signs that become one another are told apart later.
const FOLD: u64 = 0x2020_2020_2020_2020;

/// Words that are in nearly every text, the most frequent ones first: a keyword is not looked for by one of these when it has another.
const COMMON: &str = "the of and to a in is you for it that on with are be as this by have from or your i an not at but if all can will what do when \
                      my was we has which their they there our more one would its no been only may other some time new any how about them so up \
                      out just like use well were than then such who most plan work";

/// How often letters are: the most frequent ones last.
const FREQUENT: &[u8] = b"zqxjkvbpygfwmucldrhsnioate";

/// A keyword by the bytes that are looked for.
struct Anchored {
    /// The bytes, folded by [`FOLD`], the first one lowest; of short keywords two, the other half being zero.
    anchor: u32,
    /// Bytes from the start of the keyword to the end of these.
    offset: usize,
    keyword: Box<[u8]>,
    /// Of the keyword, what lies between its spaces around the anchor, these included.
    word: Range<usize>,
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

    /// The keywords with this anchor.
    fn near(&self, slot: usize, anchor: u32) -> impl Iterator<Item = &Anchored> {
        let near = &self.keywords[self.first[slot >> 6]..self.first[(slot >> 6) + 1]];
        near.iter().filter(move |one| one.anchor == anchor)
    }

    /// The keywords with this anchor that stand where it ends at `end`.
    fn verify(&self, slot: usize, anchor: u32, text: &[u8], end: usize, each: &mut impl FnMut(usize, Range<usize>)) {
        for one in self.near(slot, anchor) {
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
    /// One of them has its anchor between two words.
    between: bool,
}

/// How much a byte tells: the rarer it is, the more.
fn tells(byte: u8) -> usize {
    match FREQUENT.iter().position(|other| *other == byte) {
        Some(place) => FREQUENT.len() - place,
        None if parts(byte) => 2,
        None if matches!(byte, b'.' | b',' | b'-' | b':' | b'\'' | b'"') => 6,
        None if byte.is_ascii_digit() => 12,
        None => 20,
    }
}

/// How much some bytes tell.
fn all_tell(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| tells(*byte)).sum()
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

/// Whether a byte parts words: no token has it.
fn parts(byte: u8) -> bool {
    byte <= b' '
}

/// The bytes of a keyword that are looked for, by a width of 4 or 2: in one word, or with a space beside it.
fn anchor(keyword: &[u8], width: usize) -> Option<usize> {
    let windows = keyword.windows(width).enumerate();
    let within = windows.filter(|(_, window)| {
        let inner = &window[1..width - 1];
        let ends = [window[0], window[width - 1]];
        !inner.iter().any(|byte| parts(*byte))
            && ends.iter().all(|byte| !parts(*byte) || *byte == b' ')
            && window.iter().any(|byte| !parts(*byte))
    });
    let rarest = within.max_by_key(|(at, window)| {
        let word = &keyword[word(keyword, *at, at + width)];
        let common = COMMON
            .split_whitespace()
            .position(|common| common.as_bytes() == word.trim_ascii());
        // the rarest of these tells as much as two frequent letters
        (
            common.map_or_else(|| all_tell(word), |place| place / 8),
            all_tell(window),
        )
    });
    rarest.map(|(at, _)| at)
}

/// The word of a keyword that has the bytes from `start` to `end`, and the spaces beside it.
fn word(keyword: &[u8], start: usize, end: usize) -> Range<usize> {
    let inside = start + usize::from(parts(keyword[start]))..end - usize::from(parts(keyword[end - 1]));
    let first = keyword[..inside.start].iter().rposition(|byte| parts(*byte));
    let last = keyword[inside.end..].iter().position(|byte| parts(*byte));
    let first = first.map_or(0, |at| at + usize::from(keyword[at] != b' '));
    let last = last.map_or(keyword.len(), |at| {
        inside.end + at + usize::from(keyword[inside.end + at] == b' ')
    });
    first..last
}

impl Keywords {
    /// Of at least two bytes each; shorter ones are never found.
    pub(super) fn new(keywords: impl IntoIterator<Item = String>) -> Self {
        let (mut long, mut short, mut between) = (Vec::new(), Vec::new(), false);
        for (index, keyword) in keywords.into_iter().enumerate() {
            let keyword = keyword.to_ascii_lowercase().into_bytes();
            let in_word = [4, 2]
                .into_iter()
                .find_map(|width| Some((width, anchor(&keyword, width)?)));
            between |= in_word.is_none();
            let Some((width, at)) = in_word.or((keyword.len() >= 2).then_some((2, 0))) else {
                continue;
            };
            let anchored = Anchored {
                anchor: packed(&keyword[at..at + width]),
                offset: at + width,
                word: word(&keyword, at, at + width),
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
            between,
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

    /// Whether a keyword may be found where only white space stands.
    pub(super) fn may_be_between(&self) -> bool {
        self.between
    }

    /// Whether a keyword may be found where a token stands, or the first white space after it. It is all there is between white space.
    pub(super) fn may_be_at(&self, token: &[u8]) -> bool {
        if self.between {
            return true;
        }
        let mut padded = vec![b' '];
        padded.extend_from_slice(token);
        padded.push(b' ');
        let of = |one: &Anchored, end: usize| {
            // where the keyword begins; its word does not before the token does
            let start = (end + one.word.start).checked_sub(one.offset);
            let there = start.and_then(|start| padded.get(start..start + one.word.len()));
            there.is_some_and(|there| there.eq_ignore_ascii_case(&one.keyword[one.word.clone()]))
        };
        (1..padded.len()).any(|at| {
            let last = packed(&padded[at.saturating_sub(3)..=at]) << (8 * 3_usize.saturating_sub(at));
            let half = last >> 16;
            self.long.near(slot(last), last).any(|one| of(one, at + 1))
                || self.short.near(half as usize, half).any(|one| of(one, at + 1))
        })
    }

    /// Calls `each` with the index and the bytes of every keyword whose anchor ends in `part` of the text, in order of the anchors.
    #[inline]
    pub(super) fn find(&self, text: &[u8], part: Range<usize>, each: &mut impl FnMut(usize, Range<usize>)) {
        let mut at = part.start;
        // Few places have a keyword: four of them are looked at before the first branch.
        while at < part.end {
            let eight = at.checked_sub(3).and_then(|from| text[from..].first_chunk());
            let Some(eight) = eight else {
                self.single(text, at, each);
                at += 1;
                continue;
            };
            let eight = u64::from_le_bytes(*eight) | FOLD;
            let places = (part.end - at).min(4);
            let last = |place: usize| (eight >> (8 * place)) as u32;
            let all = (0..4).fold(0, |all, place| all | self.hits(last(place)) << (2 * place));
            if all & ((1 << (2 * places)) - 1) != 0 {
                for place in 0..places {
                    self.verify(all >> (2 * place), last(place), text, at + 1 + place, each);
                }
            }
            at += places;
        }
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

    fn all(keywords: &[&str]) -> Keywords {
        Keywords::new(keywords.iter().map(|word| (*word).to_owned()))
    }

    fn found(keywords: &[&str], text: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut each = |index, span: Range<usize>| found.push((index, span.start));
        all(keywords).find(text.as_bytes(), 0..text.len(), &mut each);
        found.sort_unstable();
        found
    }

    const KEYWORDS: [&str; 12] = [
        "ab", "aba", "abab", "bé", "babé", "é b", "aab ba", "a b", " ab", "ab a", "b\nab", "baba a",
    ];

    proptest! {
        #[test]
        fn every_occurrence_is_found(text in "[abAé](){0,40}|(ab|ba|aé|bab|aab|éb| |\n){0,30}") {
            let mut expected = Vec::new();
            for (index, keyword) in KEYWORDS.iter().enumerate() {
                let lower = text.to_ascii_lowercase();
                let there = |at: &usize| lower.as_bytes()[*at..].starts_with(keyword.as_bytes());
                expected.extend((0..text.len()).filter(there).map(|at| (index, at)));
            }
            expected.sort_unstable();
            prop_assert_eq!(found(&KEYWORDS, &text), expected);
        }

        #[test]
        fn a_keyword_is_found_where_its_word_is(text in "(ab|ba|Ab|bab|aab|b|a|a|,| | |\n|\t){0,30}") {
            let keywords = all(&KEYWORDS);
            let (bytes, mut at) = (text.as_bytes(), 0);
            for token in bytes.split_inclusive(|byte| parts(*byte)) {
                let word = token.strip_suffix(b" ").or(token.strip_suffix(b"\n"));
                let mut found = 0;
                keywords.find(bytes, at..at + token.len(), &mut |_, _| found += 1);
                if let Some(word) = word.filter(|word| !word.is_empty()) {
                    prop_assert!(found == 0 || keywords.may_be_at(word), "{word:?}");
                }
                at += token.len();
            }
        }
    }

    #[test]
    fn a_word_that_is_of_no_keyword_is_known() {
        let keywords = all(&["free from rules", "acting as", "ignor", "---", "maintenance mode"]);
        for (word, may) in [
            ("from", false),
            ("rules", true),
            ("rulers", false),
            ("acting", true),
            ("reacting", true),
            ("acting,", false),
            ("Ignoring", true),
            ("a---", true),
            ("--", false),
            ("maintenance", true),
            ("mode", false),
        ] {
            assert_eq!(keywords.may_be_at(word.as_bytes()), may, "{word}");
        }
        assert!(all(&["  "]).may_be_at(b"anything"));
        assert_eq!(found(&["  ", "\t\n"], "a  b\t\n"), [(0, 1), (1, 4)]);
    }
}
