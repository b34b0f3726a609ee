//! Context words around a place, as hotword rules have them: the nearest counts most.

use std::cell::OnceCell;
use std::ops::{Deref, Range};

use super::kind::Kind;
use super::lexicon::{Key, LONGEST, Lexicon, flag};

/// Bytes looked at before a place.
const BEFORE: usize = 72;
/// Bytes looked at after it.
const AFTER: usize = 28;
/// Words looked at before a place.
const WORDS: usize = 9;

/// The distance in words to the nearest context word of each recognizer; [`Context::FAR`] without one.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// Distance times four, less for longer phrases: of two phrases that end at the same word the longer says more.
    rank: [u8; 64],
    /// Which have one.
    pub seen: u64,
}

impl Context {
    /// There is none.
    pub const FAR: u8 = u8::MAX;

    fn none() -> Self {
        Self {
            rank: [Self::FAR; 64],
            seen: 0,
        }
    }

    fn add(&mut self, mut cues: u64, distance: u8, words: usize) {
        self.seen |= cues;
        let rank = distance * 4 + (LONGEST - words.clamp(1, LONGEST)) as u8;
        while cues != 0 {
            let bit = cues.trailing_zeros() as usize;
            self.rank[bit] = self.rank[bit].min(rank);
            cues &= cues - 1;
        }
    }

    /// Words between the place and the nearest context word of `kind`.
    pub fn distance(&self, kind: Kind) -> u8 {
        match self.rank[kind as usize] {
            Self::FAR => Self::FAR,
            rank => rank / 4,
        }
    }

    /// Whether a context word of `kind` is near.
    pub fn has(&self, kind: Kind) -> bool {
        self.seen & kind.bit() != 0
    }

    /// Of the recognizers for which a context word suffices, the one whose word is nearest, with its distance.
    pub fn nearest(&self, of: impl Fn(Kind) -> bool) -> Option<(Kind, u8)> {
        let mut left = self.seen;
        std::iter::from_fn(|| {
            let kind = Kind::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*kind)
        })
        .filter(|kind| of(*kind))
        .min_by_key(|kind| self.rank[*kind as usize])
        .map(|kind| (kind, self.distance(kind)))
    }
}

/// The largest character boundary that is not above `at`.
pub fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Words of a label such as `patientName`, `dob_date`, `address.zip`.
pub fn label_words(label: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for letter in label.chars().take(256) {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && lower) {
            words.push(String::new());
        }
        lower = letter.is_lowercase() || letter.is_ascii_digit();
        if letter.is_alphanumeric() {
            words
                .last_mut()
                .into_iter()
                .for_each(|word| word.extend(letter.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The recognizers a label is a context word of. The last words of a path count as well as the first.
pub fn label_cues(lexicon: &Lexicon, label: &str) -> u64 {
    let words = label_words(label);
    let mut cues = 0;
    for start in 0..words.len() {
        let mut key = Key::default();
        for word in words[start..].iter().take(LONGEST) {
            key = key.word(word);
            cues |= lexicon.at(key).cues;
        }
    }
    cues
}

/// The context of a place, looked for when it is first asked for: most numbers are nothing with any context.
pub struct Lazy<'a> {
    text: &'a str,
    lexicon: &'a Lexicon,
    place: Range<usize>,
    label: u64,
    context: OnceCell<Context>,
}

impl<'a> Lazy<'a> {
    /// Of what [`around`] takes.
    pub fn new(text: &'a str, lexicon: &'a Lexicon, start: usize, end: usize, label: u64) -> Self {
        Self {
            text,
            lexicon,
            place: start..end,
            label,
            context: OnceCell::new(),
        }
    }
}

impl Deref for Lazy<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        self.context
            .get_or_init(|| around(self.text, self.lexicon, self.place.start, self.place.end, self.label))
    }
}

/// Looks around `start..end`. `label` are the cues of the column or field.
pub fn around(text: &str, lexicon: &Lexicon, start: usize, end: usize, label: u64) -> Context {
    let bytes = text.as_bytes();
    let mut context = Context::none();
    context.add(label, 2, 1);
    let low = floor(text, start.saturating_sub(BEFORE));
    // Nearest last in the text, so words are collected backwards, by bytes: this is done for every number.
    let mut words: [&str; WORDS] = [""; WORDS];
    let mut count = 0;
    let mut at = start;
    while count < WORDS {
        let gap_end = at;
        let mut end = at;
        while end > low && !in_word(bytes, end - 1) {
            end -= 1;
        }
        at = end;
        while at > low && in_word(bytes, at - 1) {
            at -= 1;
        }
        // "no. 7" and "Rec. 7" go on, "the clinic. 7" does not.
        if at == end || count > 0 && end - at > 3 && ends_sentence(&bytes[end..gap_end]) {
            break;
        }
        let Some(word) = text.get(at..end) else { break };
        words[count] = word;
        count += 1;
    }
    for index in 0..count {
        let mut key = Key::default();
        // The phrase that begins at this word and runs towards the place; most words begin none.
        for length in 0..LONGEST.min(index + 1) {
            key = key.word(words[index - length]);
            let entry = lexicon.at(key);
            context.add(entry.cues, (index - length) as u8, length + 1);
            if length == 0 && entry.flags & flag::PART == 0 {
                break;
            }
        }
    }
    let (next, count) = words_after(&text[end..floor(text, end + AFTER)]);
    let next = &next[..count];
    for index in 0..next.len() {
        let mut key = Key::default();
        for (length, word) in next[index..].iter().enumerate() {
            key = key.word(word);
            let entry = lexicon.at(key);
            // What follows weighs less than what precedes.
            context.add(entry.cues, (4 + index) as u8, length + 1);
            if length == 0 && entry.flags & flag::PART == 0 {
                break;
            }
        }
    }
    context
}

/// The first words of a text, up to the end of the line, sentence or clause, and how many they are.
fn words_after(text: &str) -> ([&str; 3], usize) {
    let (mut words, mut count, mut from) = ([""; 3], 0, 0);
    for (at, letter) in text.char_indices() {
        if letter.is_alphanumeric() {
            continue;
        }
        if at > from {
            words[count] = &text[from..at];
            count += 1;
        }
        from = at + letter.len_utf8();
        if count == words.len() || matches!(letter, '\n' | ';' | '.' | ',') {
            return (words, count);
        }
    }
    if from < text.len() {
        words[count] = &text[from..];
        count += 1;
    }
    (words, count)
}

/// Whether a byte belongs to a word; the typographic apostrophe does not.
fn in_word(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        byte if byte.is_ascii() => byte.is_ascii_alphanumeric(),
        0x80..=0xBF => !(bytes[..at].ends_with(b"\xE2\x80") || bytes[..at].ends_with(b"\xE2") && bytes[at] == 0x80),
        0xE2 => bytes.get(at + 1) != Some(&0x80),
        _ => true,
    }
}

/// Whether what stands between two words ends a sentence, a field or a table cell.
fn ends_sentence(between: &[u8]) -> bool {
    between.windows(2).any(|pair| pair == b"\n\n" || pair == b". ")
        || between.contains(&b'?')
        || between.contains(&b'!')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_after_are_those_of_the_clause(text in "[ab 1é漢’;.,\n-]{0,28}") {
            let line = text.split(['\n', ';', '.', ',']).next().unwrap();
            let expected: Vec<&str> = line
                .split(|letter: char| !letter.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .take(3)
                .collect();
            let (words, count) = words_after(&text);
            prop_assert_eq!(&words[..count], expected);
        }
    }
}
