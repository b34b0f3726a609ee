//! What the tagger makes of words, remembered: texts repeat their words, and many features depend on a word alone.
//!
//! What is kept is exact (tested). A word that falls on the place of another takes it, so the room is bounded and a
//! text that is made to collide costs what it would cost without.

use super::features::{BESIDE, EDGE, Gap, Seen, Told, beside, see};
use super::lexicon::Lexicon;
use super::table::{Table, add};
use super::tagger::ROW;
use crate::eight::few;

/// Words that are remembered: a power of two, some 400 KB.
const PLACES: usize = 1 << 11;
/// Longest word that is remembered, in bytes: what fits into a key beside its length.
const LONGEST: usize = 15;

/// The bytes of a word, its length, and what stands before it. That of no word is 0.
type Key = [u64; 2];

/// A word, and the sums of weights that depend on it alone.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
// Whole lines of the cache.
#[repr(align(64))]
pub struct Word {
    key: Key,
    pub seen: Seen,
    /// Of the features of its own token, if nothing is told of it.
    pub own: [i16; ROW],
    /// Of the tokens around it, see [`super::features::PLACES`].
    pub beside: [[i8; ROW]; BESIDE],
}

impl Word {
    /// Read anew.
    pub fn new(word: &str, gap: Gap, lexicon: &Lexicon, table: &Table) -> Self {
        let (seen, features) = see(word, gap, lexicon);
        let mut own = [0; ROW];
        for feature in features.into_iter().chain(Told::NOTHING.features(&seen)) {
            add(&mut own, table.row(feature));
        }
        Self {
            key: [0; 2],
            seen,
            own,
            beside: beside(&seen).map(|feature| *table.row(feature)),
        }
    }

    /// What stands before the first and after the last word.
    pub fn edge(table: &Table) -> [[i8; ROW]; BESIDE] {
        beside(&EDGE).map(|feature| *table.row(feature))
    }

    /// Adds what the word at a place weighs to the sums of the tokens around it. `sums` begin [`Self::REACH`] tokens
    /// before it.
    #[inline]
    pub fn spread(beside: &[[i8; ROW]; BESIDE], sums: &mut [[i16; ROW]]) {
        for (row, offset) in beside.iter().zip(super::features::PLACES) {
            add(&mut sums[Self::REACH.wrapping_add_signed(offset)], row);
        }
    }

    /// Tokens that a word reaches on either side.
    pub const REACH: usize = 3;
}

/// Remembered words, all of one tagger and one lexicon.
#[derive(Default)]
pub struct Words {
    /// Empty until the first word is read.
    kept: Vec<Word>,
}

impl Words {
    /// A word. `long` is room for one that is too long to be remembered.
    pub fn word<'a>(
        &'a mut self,
        word: &str,
        gap: Gap,
        lexicon: &Lexicon,
        table: &Table,
        long: &'a mut Word,
    ) -> &'a Word {
        let Some(key) = key(word, gap) else {
            *long = Word::new(word, gap, lexicon, table);
            return long;
        };
        if self.kept.is_empty() {
            self.kept = vec![Word::default(); PLACES];
        }
        let mixed = (key[0] ^ key[1].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.kept[(mixed >> 48) as usize % PLACES];
        if place.key != key {
            *place = Word {
                key,
                ..Word::new(word, gap, lexicon, table)
            };
        }
        place
    }
}

/// The key of a word; none if it is too long, or empty.
#[inline]
fn key(word: &str, gap: Gap) -> Option<Key> {
    let length = word.len();
    if !(1..=LONGEST).contains(&length) {
        return None;
    }
    let (first, last) = match word.as_bytes().split_first_chunk::<8>() {
        Some((first, rest)) => (u64::from_le_bytes(*first), few(rest)),
        None => (few(word.as_bytes()), 0),
    };
    let rest = (length as u64) << 2 | u64::from(gap.spaced) << 1 | u64::from(gap.broken);
    Some([first, last | rest << 56])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::phi::tagger::BUILT_IN;
    use crate::phi::tests::PHI;

    proptest! {
        #[test]
        fn keys_tell_words_apart(left in "[ab\\x00é]{1,15}", right in "[ab\\x00é]{1,15}", gaps: [bool; 4]) {
            let [left_gap, right_gap] = [0, 2].map(|at| Gap { spaced: gaps[at], broken: gaps[at + 1] });
            if let (Some(a), Some(b)) = (key(&left, left_gap), key(&right, right_gap)) {
                prop_assert_eq!(a == b, left == right && left_gap == right_gap);
                prop_assert_ne!(a, [0; 2]);
            }
        }
    }

    #[test]
    fn what_is_remembered_is_what_is_read() {
        let tagger = crate::phi::Tagger::read(BUILT_IN).unwrap();
        let (mut words, mut long) = (Words::default(), Word::default());
        let list: Vec<String> = (0..4_000)
            .map(|number| match number % 5 {
                0 => format!("Word{number}"),
                1 => format!("Smith{}", number % 100),
                2 => format!("a-very-long-word-{number}"),
                3 => "Anna".to_owned(),
                _ => format!("é{}", number / 7),
            })
            .collect();
        for word in list.iter().chain(&list) {
            for (spaced, broken) in [(false, false), (true, false), (true, true)] {
                let gap = Gap { spaced, broken };
                let fresh = Word::new(word, gap, PHI.lexicon(), tagger.table());
                let kept = words.word(word, gap, PHI.lexicon(), tagger.table(), &mut long);
                assert_eq!(
                    (kept.seen, kept.own, kept.beside),
                    (fresh.seen, fresh.own, fresh.beside),
                    "{word}"
                );
            }
        }
    }
}
