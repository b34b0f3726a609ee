//! The one pass over all bytes. It keeps what may matter: capital words, chunks with digits, `@`, `://`, dots inside words.
//!
//! Ordinary lower-case text is only stepped over, and that is what makes the rest affordable.

use super::lexicon::{Entry, Lexicon};
use crate::eight::{HIGH, within};

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A word that begins with a capital.
    Word(Entry),
    /// A run of digits, with the letters, digits and joined groups that follow it.
    Number,
    /// `@`.
    At,
    /// `://`.
    Scheme,
    /// A dot between a letter or digit and a letter.
    Dot,
}

/// A place worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// What it is.
    pub what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Other,
    Lower,
    Upper,
    High,
    Digit,
    Mark,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            b'@' | b':' | b'.' => Class::Mark,
            0x80.. => Class::High,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Length of a non-ASCII character at `at` that is punctuation or space and so ends a word; 0 if there is none.
/// General punctuation (U+2000 to U+203F), no-break space and Latin-1 signs, CJK punctuation.
pub fn gap(bytes: &[u8], at: usize) -> usize {
    match (bytes[at], bytes.get(at + 1)) {
        (0xE2, Some(0x80)) | (0xE3, Some(0x80)) => 3,
        (0xC2, _) => 2,
        _ => 0,
    }
}

/// Where the first byte at or after `at` stands that `wanted` marks in a block, or the last few bytes begin, which fill
/// no block.
#[inline]
fn find(bytes: &[u8], mut at: usize, wanted: impl Fn(u64) -> u64) -> usize {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let marks = wanted(u64::from_le_bytes(*block));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at
}

/// End of the word that begins at `at`.
pub fn word_end(bytes: &[u8], at: usize) -> usize {
    // Most words are of ASCII letters and end in the first block or the second.
    let mut at = find(bytes, at, |block| {
        !within(block | 0x2020_2020_2020_2020, b'a', b'z') & HIGH | block & HIGH
    });
    while at < bytes.len() {
        match CLASSES[bytes[at] as usize] {
            Class::Lower | Class::Upper => at += 1,
            Class::High if gap(bytes, at) == 0 => at += 1,
            _ => break,
        }
    }
    at
}

/// Whether the character at `at` is a capital letter.
pub fn is_capital(text: &str, at: usize) -> bool {
    match text.as_bytes().get(at) {
        Some(byte) if byte.is_ascii() => byte.is_ascii_uppercase(),
        Some(_) => text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .is_some_and(char::is_uppercase),
        None => false,
    }
}

/// End of a chunk: letters and digits, and `-./:_` where a letter or digit follows.
pub fn chunk_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            byte if byte.is_ascii_alphanumeric() => at += 1,
            b'-' | b'.' | b'/' | b':' | b'_' if bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => at += 2,
            _ => break,
        }
    }
    at
}

/// The bytes of a block that need a look: capitals and `@`, digits and the marks `.`, `:`, and with them `/`, which is
/// cheaper to look at than to tell apart; and all that is not ASCII.
#[inline]
fn telling(block: u64) -> u64 {
    within(block, b'.', b':') | within(block, b'@', b'Z') | block & HIGH
}

/// Collects the events of a text, in order.
pub fn events(text: &str, lexicon: &Lexicon, out: &mut Vec<Event>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = find(bytes, at, telling);
        let Some(first) = bytes.get(at) else { break };
        let start = at;
        match CLASSES[*first as usize] {
            Class::Lower | Class::Other => at += 1,
            // A capital or an accented letter inside a word that began before.
            Class::Upper | Class::High
                if at > 0 && CLASSES[bytes[at - 1] as usize] == Class::Lower && gap(bytes, at) == 0 =>
            {
                at = word_end(bytes, at);
            }
            class @ (Class::Upper | Class::High) => {
                if class == Class::High && gap(bytes, at) > 0 {
                    at += gap(bytes, at);
                    continue;
                }
                at = word_end(bytes, at);
                if is_capital(text, start) {
                    let entry = lexicon.word(&text[start..at]);
                    out.push(Event {
                        start,
                        end: at,
                        what: What::Word(entry),
                    });
                }
            }
            Class::Digit => {
                at = chunk_end(bytes, at);
                out.push(Event {
                    start,
                    end: at,
                    what: What::Number,
                });
            }
            Class::Mark => {
                at += 1;
                let what = match bytes[start] {
                    b'@' => Some(What::At),
                    b':' if bytes[at..].starts_with(b"//") => Some(What::Scheme),
                    b'.' if start > 0
                        && bytes[start - 1].is_ascii_alphanumeric()
                        && bytes.get(at).is_some_and(u8::is_ascii_alphabetic) =>
                    {
                        Some(What::Dot)
                    }
                    _ => None,
                };
                out.extend(what.map(|what| Event { start, end: at, what }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_tells_what_the_table_tells() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut block = [b'a'; 8];
                block[place] = byte;
                let plain = matches!(CLASSES[byte as usize], Class::Lower | Class::Other) && byte != b'/';
                let marks = if plain { 0 } else { 0x80 << (8 * place) };
                assert_eq!(telling(u64::from_le_bytes(block)), marks, "{byte} {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_word_ends_where_its_letters_end(text in "[a-zA-Z]{0,20}[ a-zA-Z@\\[`{0-9éÅ漢’\u{a0}]{0,20}", skip in 0usize..4) {
            let bytes = text.as_bytes();
            let mut end = skip.min(bytes.len());
            while end < bytes.len() && (bytes[end].is_ascii_alphabetic() || bytes[end] >= 0x80 && gap(bytes, end) == 0) {
                end += 1;
            }
            prop_assert_eq!(word_end(bytes, skip.min(bytes.len())), end);
        }
    }
}
