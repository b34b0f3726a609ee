//! Whether a line speaks of what stands around it. What was put into a document often does not.

use std::ops::Range;

use memchr::memmem;

use super::grams::word_hash;
use crate::injection::lexicon::Lexicon;

/// Bytes looked at before and behind the line.
const AROUND: usize = 2048;
/// Letters from which a word can say what a line is about, and of which it is known again.
const LETTERS: usize = 5;
const STEM: usize = 6;
/// Words of a line that are looked for.
const WORDS: usize = 12;

/// Words of any subject, in order.
#[rustfmt::skip]
const COMMON: [&str; 60] = [
    "about", "above", "after", "again", "along", "among", "around", "based", "because", "before", "being",
    "below", "between", "could", "doing", "during", "every", "first", "following", "further", "great",
    "having", "itself", "large", "least", "little", "making", "other", "others", "people", "place", "please",
    "possible", "really", "right", "second", "several", "simple", "since", "small", "still", "their", "there",
    "therefore", "these", "thing", "things", "those", "three", "through", "today", "under", "until", "using",
    "within", "without", "words", "world", "would", "years",
];

/// How the words of a line that have a subject stand to the text around it.
pub(super) enum Kin {
    /// There are none.
    Silent,
    /// None of them occurs there.
    Foreign,
    /// Some do.
    Partly,
    /// At least half of them do.
    Near,
}

/// Looks for the words of `line` in `text` around it.
pub(super) fn kin(text: &str, line: Range<usize>, lexicon: &Lexicon) -> Kin {
    let before = &text[text.floor_char_boundary(line.start.saturating_sub(AROUND))..line.start];
    let after = &text[line.end..text.floor_char_boundary((line.end + AROUND).min(text.len()))];
    let around = [before.to_ascii_lowercase(), after.to_ascii_lowercase()];
    let (mut all, mut found) = (0, 0);
    let letters = text[line].split(|c: char| !c.is_alphabetic());
    for word in letters.filter(|word| word.len() >= LETTERS).take(2 * WORDS) {
        let word = word.to_ascii_lowercase();
        if COMMON.binary_search(&word.as_str()).is_ok() || lexicon.classes(word_hash(&word)) != 0 {
            continue;
        }
        let stem = &word.as_bytes()[..word.floor_char_boundary(STEM.min(word.len()))];
        let finder = memmem::Finder::new(stem);
        let begins = |text: &str| {
            let mut places = finder.find_iter(text.as_bytes());
            places.any(|at| at == 0 || !text.as_bytes()[at - 1].is_ascii_alphabetic())
        };
        all += 1;
        found += usize::from(around.iter().any(|text| begins(text)));
        if all == WORDS {
            break;
        }
    }
    match (all, found) {
        (0, _) => Kin::Silent,
        (_, 0) => Kin::Foreign,
        _ if found * 2 >= all => Kin::Near,
        _ => Kin::Partly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_are_in_order() {
        assert!(COMMON.is_sorted());
    }
}
