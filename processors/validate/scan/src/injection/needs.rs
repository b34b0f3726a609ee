//! Words without which a regex cannot match: a look at a text that lacks them is spared.
//!
//! They are read off the pattern itself. A pattern that needs `send`, then `password` or `token`, then `to` is only tried where a word of each
//! of these sets stands, in this order. The look may let too much through, never too little.

use aho_corasick::packed;
use regex_syntax::hir::{Hir, HirKind};

/// Shortest word worth looking for, in bytes.
const SHORTEST: usize = 3;
/// Most words of a set: more are found in nearly every text.
const WORDS: usize = 48;
/// Most sets of one alternative.
const SETS: usize = 3;

/// Most alternatives: looking for the words of more takes longer than the regex.
const ALTERNATIVES: usize = 16;

/// Sets of words by the alternatives of a pattern: of one alternative all have to occur, in their order.
pub(super) struct Needs {
    alternatives: Vec<Vec<packed::Searcher>>,
}

impl Needs {
    /// Of a pattern, taken without regard to case. Nothing when one of its alternatives needs no word, or they are more than
    /// [`ALTERNATIVES`].
    pub fn of(pattern: &str) -> Option<Self> {
        let hir = regex_syntax::parse(pattern).ok()?;
        let sets = needs(&hir).filter(|sets| sets.len() <= ALTERNATIVES)?;
        let search = |sets: &Vec<Words>| sets.iter().map(packed::Searcher::new).collect();
        let alternatives = sets.iter().map(search).collect::<Option<_>>()?;
        Some(Self { alternatives })
    }

    /// Whether the pattern may match in `text`.
    pub fn may(&self, text: &str) -> bool {
        // beyond ASCII a letter can have another case of another length, or one in ASCII
        if !text.is_ascii() {
            return true;
        }
        let lower = text.to_ascii_lowercase();
        self.alternatives.iter().any(|sets| {
            let mut rest = lower.as_str();
            sets.iter().all(|words| match words.find(rest) {
                Some(found) => {
                    // A word of this set may end within the one that was found, so soon at the earliest.
                    rest = &rest[found.start() + SHORTEST..];
                    true
                }
                None => false,
            })
        })
    }
}

/// Words of which one stands in every match, in lower case.
type Words = Vec<String>;

/// The sets by alternative; nothing when one of these has none.
fn needs(hir: &Hir) -> Option<Vec<Vec<Words>>> {
    match hir.kind() {
        HirKind::Capture(capture) => needs(&capture.sub),
        HirKind::Alternation(parts) => {
            let each: Option<Vec<_>> = parts.iter().map(needs).collect();
            Some(each?.into_iter().flatten().collect())
        }
        HirKind::Concat(parts) => {
            let mut sets: Vec<(usize, Words)> = parts.iter().filter_map(one_of).enumerate().collect();
            sets.sort_by_key(|(_, words)| std::cmp::Reverse(worth(words)));
            sets.truncate(SETS);
            sets.sort_by_key(|(at, _)| *at);
            let sets: Vec<Words> = sets.into_iter().map(|(_, words)| words).collect();
            (!sets.is_empty()).then(|| vec![sets])
        }
        _ => one_of(hir).map(|words| vec![vec![words]]),
    }
}

/// A set of which every match holds a word.
fn one_of(hir: &Hir) -> Option<Words> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let plain = text.split(|c: char| !c.is_ascii());
            let longest = plain.max_by_key(|part| part.len())?;
            (longest.len() >= SHORTEST).then(|| vec![longest.to_ascii_lowercase()])
        }
        HirKind::Capture(capture) => one_of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => one_of(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(one_of).max_by_key(worth),
        HirKind::Alternation(parts) => {
            let each: Option<Vec<Words>> = parts.iter().map(one_of).collect();
            let mut words: Words = each?.into_iter().flatten().collect();
            words.sort_unstable();
            words.dedup();
            (words.len() <= WORDS).then_some(words)
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// Long words are rare, and few of them rarer.
#[allow(clippy::ptr_arg, reason = "a key is made of what an iterator gives")]
fn worth(words: &Words) -> (usize, usize) {
    let shortest = words.iter().map(String::len).min().unwrap_or(0);
    (shortest.min(5), usize::MAX - words.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::injection::patterns;
    use crate::injection::rules::BUILT_IN;

    fn may(pattern: &str, text: &str) -> bool {
        Needs::of(pattern).unwrap().may(text)
    }

    #[test]
    fn every_set_of_an_alternative_is_needed_in_order() {
        let pattern = r"\b(?:send|forward)\b(?:\W+\w+){0,3}?\W+(?:password|token)s?\b|requests\.post\(";
        assert!(may(pattern, "Forward me the TOKENS"));
        assert!(may(pattern, "x = requests.post("));
        assert!(!may(pattern, "the token to send"));
        assert!(!may(pattern, "send me a letter"));
        assert!(may(pattern, "send me a lettér"));
    }

    #[test]
    fn a_word_inside_another_may_be_the_one() {
        assert!(may("(?:system prompt|prom)(?:.|pter)(?:pterm)", "a system prom.pterm"));
        assert!(may("(?:system prompter|prom)pterm", "a system prompterm"));
    }

    #[test]
    fn what_needs_no_word_is_always_tried() {
        assert!(Needs::of(r"[a-z]{3,}[A-Z]+").is_none());
        assert!(Needs::of(r"password|\d{6}").is_none());
        assert!(Needs::of(r"(?:password)?").is_none());
        assert!(Needs::of(r"é.ö").is_none());
        let many = |count: usize| {
            let each = ('a'..).take(count).map(|c| format!(r"{c}{c}{c}\d"));
            Needs::of(&each.collect::<Vec<_>>().join("|"))
        };
        assert!(many(ALTERNATIVES).is_some() && many(ALTERNATIVES + 1).is_none());
    }

    proptest! {
        /// Texts are of the patterns' own words, so that many of them match.
        #[test]
        fn nothing_a_rule_finds_is_kept_from_it(words in prop::collection::vec("[a-z' ]{1,6}|ignore|all|previous|your|the|instructions|send|password|tokens|to|http://a\\.b|tell|me|in|base64|print|above|everything|as dan|mode|\n|\\. |: |K|ſ", 1..40), upper: bool) {
            let mut text = words.join(" ");
            if upper {
                text.make_ascii_uppercase();
            }
            for (regex, needs) in PATTERNS.iter() {
                prop_assert!(!regex.is_match(&text) || needs.as_ref().is_none_or(|needs| needs.may(&text)), "{}", regex.as_str());
            }
        }
    }

    static PATTERNS: std::sync::LazyLock<Vec<(regex::Regex, Option<Needs>)>> = std::sync::LazyLock::new(|| {
        let pack: toml::Table = toml::from_str(BUILT_IN).unwrap();
        let rules = pack["rule"].as_array().unwrap();
        let patterns = rules.iter().filter_map(|rule| rule.get("regex")?.as_str());
        let compiled = patterns.map(|pattern| patterns::compile(pattern).unwrap());
        let all: Vec<_> = compiled
            .map(|regex| (regex.clone(), Needs::of(regex.as_str())))
            .collect();
        assert!(all.iter().filter(|(_, needs)| needs.is_some()).count() >= 20);
        all
    });
}
