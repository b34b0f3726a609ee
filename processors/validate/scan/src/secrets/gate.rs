//! Cheap looks that say a regex cannot match beside a keyword.
//!
//! Keywords such as `ey` or `key` stand in every third line of prose. What saves the regex there is derived from the pattern itself:
//! that it begins with the keyword at the beginning of a word and goes on without a space for so many bytes, or that it is one of the
//! many `name = value` patterns and nothing like `= value` follows. A gate may let too much through, never too little.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::rule::dialect;

/// The middle part that all of gitleaks' `name = value` patterns share.
const INFIX: &str = r#"(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"#;

/// What must hold at a keyword before the pattern is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing.
    Open,
    /// The match begins at the keyword: so many bytes without a space from there, and (if `word`) no word character before.
    Start { solid: usize, word: bool },
    /// A separator and then a value of so many bytes out of a set.
    Assign { value: usize, set: Bytes },
}

/// What holds for all matches of a pattern.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Longest match, if there is one.
    pub longest: Option<usize>,
    /// A match can go over the end of a line.
    pub lines: bool,
    /// A match begins with so many bytes that are not white space.
    pub solid: usize,
    /// A match begins at a word boundary.
    pub word: bool,
    /// The sets of bytes a match can begin with, by alternative; empty when there are too many.
    leads: Vec<Vec<Set>>,
    value: Option<(usize, Bytes)>,
    head: String,
    text: String,
}

type Set = [bool; 256];

/// A set of bytes, one bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes([u64; 4]);

impl Bytes {
    fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

impl Shape {
    /// Looks at the pattern; a pattern that does not parse has no shape.
    pub fn of(pattern: &str) -> Self {
        let Ok(hir) = regex_automata::util::syntax::parse_with(pattern, &dialect(pattern)) else {
            return Self::default();
        };
        let mut leads = Leads {
            done: Vec::new(),
            open: vec![Vec::new()],
        };
        leads.walk(&hir);
        leads.done.append(&mut leads.open);
        let (head, value) = match pattern.split_once(INFIX) {
            Some((head, tail)) => {
                // The flags stood in the head: without regard to case more can match, never less.
                let tail = format!("(?i){tail}");
                let tail = regex_automata::util::syntax::parse_with(&tail, &dialect(&tail)).ok();
                (head.to_ascii_lowercase(), tail.and_then(|hir| shortest_value(&hir)))
            }
            None => (String::new(), None),
        };
        Self {
            longest: hir.properties().maximum_len(),
            lines: has(&hir, |byte| byte == b'\n'),
            solid: solid(&hir).0,
            word: starts_word(&hir),
            leads: leads.done,
            value,
            head,
            text: pattern.to_ascii_lowercase(),
        }
    }

    /// Whether every match begins with one of the keywords (which are in lower case).
    pub fn starts_with_any(&self, keywords: &[String]) -> bool {
        !self.leads.is_empty()
            && self
                .leads
                .iter()
                .all(|lead| keywords.iter().any(|keyword| begins(lead, keyword)))
    }

    /// Whether the keyword is part of what the pattern matches, as far as its text shows.
    pub fn holds(&self, keyword: &str) -> bool {
        self.text.contains(keyword) || self.leads.iter().any(|lead| begins(lead, keyword))
    }

    /// The gate for one of the keywords; `anchored` as [`Self::starts_with_any`] says.
    pub fn gate(&self, keyword: &str, anchored: bool) -> Gate {
        if anchored {
            return Gate::Start {
                solid: self.solid,
                word: self.word,
            };
        }
        match self.value {
            Some((value, set)) if self.head.contains(keyword) => Gate::Assign { value, set },
            _ => Gate::Open,
        }
    }
}

fn begins(lead: &[Set], keyword: &str) -> bool {
    lead.len() >= keyword.len()
        && keyword.bytes().zip(lead).all(|(byte, set)| {
            let (lower, upper) = (usize::from(byte), usize::from(byte.to_ascii_uppercase()));
            // Nothing but the keyword's letter, or the keyword would not be at every match.
            (set[lower] || set[upper]) && set.iter().enumerate().all(|(i, on)| !on || i == lower || i == upper)
        })
}

/// The first capture's shortest length and all its bytes: what stands after the separator.
fn shortest_value(hir: &Hir) -> Option<(usize, Bytes)> {
    match hir.kind() {
        HirKind::Capture(_) => {
            let mut set = Bytes([0; 4]);
            for byte in 0..=255_u8 {
                if holds(hir, byte) {
                    set.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
                }
            }
            Some((hir.properties().minimum_len()?, set))
        }
        HirKind::Concat(parts) => parts.first().and_then(shortest_value),
        _ => None,
    }
}

fn space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn class_bytes(class: &Class) -> Set {
    let mut set = [false; 256];
    match class {
        Class::Bytes(class) => {
            for range in class.ranges() {
                (range.start()..=range.end()).for_each(|byte| set[usize::from(byte)] = true);
            }
        }
        Class::Unicode(class) => {
            for range in class.ranges() {
                for c in range.start()..=range.end().min('\u{7f}') {
                    set[c as usize] = true;
                }
                if range.end() > '\u{7f}' {
                    set[0x80..].fill(true);
                }
            }
        }
    }
    set
}

fn holds(hir: &Hir, byte: u8) -> bool {
    has(hir, |other| other == byte)
}

/// Whether a byte for which `test` holds can be in a match.
fn has(hir: &Hir, test: impl Fn(u8) -> bool + Copy) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.iter().any(|&byte| test(byte)),
        HirKind::Class(class) => class_bytes(class)
            .iter()
            .zip(0_u8..=255)
            .any(|(on, byte)| *on && test(byte)),
        HirKind::Repetition(repetition) => has(&repetition.sub, test),
        HirKind::Capture(capture) => has(&capture.sub, test),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(|part| has(part, test)),
    }
}

/// How many bytes without white space every match begins with, and whether all of it is free of white space.
fn solid(hir: &Hir) -> (usize, bool) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (0, true),
        HirKind::Literal(literal) => {
            let length = literal.0.iter().take_while(|byte| !space(**byte)).count();
            (length, length == literal.0.len())
        }
        HirKind::Class(_) => match has(hir, space) {
            true => (0, false),
            false => (1, true),
        },
        HirKind::Repetition(repetition) => match solid(&repetition.sub) {
            (length, true) => (length.saturating_mul(repetition.min as usize), true),
            (length, false) => (if repetition.min > 0 { length } else { 0 }, false),
        },
        HirKind::Capture(capture) => solid(&capture.sub),
        HirKind::Concat(parts) => {
            let mut total = 0_usize;
            for part in parts {
                let (length, whole) = solid(part);
                total = total.saturating_add(length);
                if !whole {
                    return (total, false);
                }
            }
            (total, true)
        }
        HirKind::Alternation(parts) => parts
            .iter()
            .map(solid)
            .reduce(|one, other| (one.0.min(other.0), one.1 && other.1))
            .unwrap_or((0, true)),
    }
}

fn starts_word(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Look(look) => matches!(look, Look::WordAscii | Look::WordUnicode),
        HirKind::Capture(capture) => starts_word(&capture.sub),
        HirKind::Concat(parts) => parts.first().is_some_and(starts_word),
        _ => false,
    }
}

/// The bytes that matches begin with, alternative by alternative.
struct Leads {
    done: Vec<Vec<Set>>,
    open: Vec<Vec<Set>>,
}

const LEAD: usize = 16;
const LEADS: usize = 64;

impl Leads {
    fn push(&mut self, set: Set) {
        for mut lead in std::mem::take(&mut self.open) {
            lead.push(set);
            if lead.len() < LEAD {
                self.open.push(lead)
            } else {
                self.done.push(lead)
            }
        }
    }

    fn close(&mut self) {
        self.done.append(&mut self.open);
    }

    fn walk(&mut self, hir: &Hir) {
        if self.open.is_empty() {
            return;
        }
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                for &byte in &literal.0 {
                    let mut set = [false; 256];
                    set[usize::from(byte)] = true;
                    self.push(set);
                }
            }
            HirKind::Class(class) => self.push(class_bytes(class)),
            HirKind::Repetition(repetition) => {
                for _ in 0..repetition.min.min(LEAD as u32) {
                    self.walk(&repetition.sub);
                }
                if repetition.max != Some(repetition.min) {
                    self.close();
                }
            }
            HirKind::Capture(capture) => self.walk(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.walk(part)),
            HirKind::Alternation(parts) => {
                let start = std::mem::take(&mut self.open);
                let mut after = Vec::new();
                for part in parts {
                    self.open.clone_from(&start);
                    self.walk(part);
                    after.append(&mut self.open);
                }
                self.open = after;
                if self.open.len() + self.done.len() > LEADS {
                    // Too many: as if nothing were known.
                    self.done = vec![Vec::new()];
                    self.open.clear();
                }
            }
        }
    }
}

impl Gate {
    /// Whether the pattern is worth trying at the keyword `start..end`.
    pub fn passes(self, text: &[u8], start: usize, end: usize) -> bool {
        match self {
            Gate::Open => true,
            Gate::Start { solid, word } => {
                let cut = word && start > 0 && is_word(text[start - 1]) && is_word(text[start]);
                !cut && text.len() - start >= solid && !text[start..start + solid].iter().any(|byte| space(*byte))
            }
            Gate::Assign { value, set } => assigned(text, end, value, set),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Follows [`INFIX`] and counts what stands after it.
fn assigned(text: &[u8], end: usize, value: usize, set: Bytes) -> bool {
    let skip = |at: usize, most: usize, test: fn(u8) -> bool| {
        let rest = text.get(at..).unwrap_or_default();
        at + rest.iter().take(most).take_while(|byte| test(**byte)).count()
    };
    let at = skip(end, 20, |byte| {
        is_word(byte) || matches!(byte, b' ' | b'\t' | b'.' | b'-')
    });
    let at = skip(at, 3, |byte| space(byte) || matches!(byte, b'\'' | b'"'));
    let after = skip(at, 4, |byte| matches!(byte, b'=' | b'>' | b':' | b'|' | b'?' | b','));
    if after == at {
        return false;
    }
    let at = skip(after, 5, |byte| {
        space(byte) || matches!(byte, b'`' | b'\'' | b'"' | b'=')
    });
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take(value).take_while(|byte| set.has(**byte)).count() >= value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let jwt = Shape::of(r"\b(ey[a-zA-Z0-9]{17,}\.ey[a-z]{17,}\.x)(?:\s|$)");
        assert!(jwt.starts_with_any(&words(&["ey"])) && jwt.word);
        assert_eq!(jwt.solid, 41);
        let aws = Shape::of(r"\b((?:A3T[A-Z0-9]|AKIA|ASIA)[A-Z2-7]{16})\b");
        assert!(aws.starts_with_any(&words(&["a3t", "akia", "asia"])));
        assert!(!aws.starts_with_any(&words(&["akia"])));
        assert_eq!(aws.solid, 20);
        assert!(!Shape::of("(?:key)?secret").starts_with_any(&words(&["key"])));
        assert!(Shape::of("(?i)sgp_x").starts_with_any(&words(&["sgp_"])));
        assert!(Shape::of(r"a[\s\S]b").lines && !Shape::of("a.b").lines);
    }

    #[test]
    fn assignment_gate() {
        let pattern = format!(r"(?i)[\w.-]{{0,50}}?(?:adafruit){INFIX}([a-z0-9_-]{{32}})(?:\s|$)");
        let gate = Shape::of(&pattern).gate("adafruit", false);
        assert!(matches!(gate, Gate::Assign { value: 32, set } if set.has(b'a') && set.has(b'Z') && !set.has(b'.')));
        let check = |text: &str, expected: bool| {
            assert_eq!(gate.passes(text.as_bytes(), 0, 8), expected, "{text}");
        };
        check("adafruit is a shop, and a good one", false);
        check(&format!("adafruit_key = \"{}\"", "a".repeat(32)), true);
        check(&format!("adafruit := {}", "a".repeat(31)), false);
        check("adafruit", false);
    }
}
