//! Passages whose letters are shifted (rot13 and other Caesar shifts) or written backwards.

use super::READS;
use super::evidence::{Evidence, Step};
use crate::injection::language::Language;
use crate::mapped::{Builder, Mapped};

/// Longest passage decided on at once.
const PASSAGE: usize = 512;
/// Fewest letters of a passage.
const LETTERS: usize = 12;
/// Fewest different ones.
const KINDS: u32 = 6;
/// A passage cheaper than this (bits a character) is language as it is.
const GOOD: f32 = 4.0;
/// Bits a character a passage must gain.
const GAIN: f32 = 0.9;

fn shift(c: char, by: u8) -> char {
    match c {
        'a'..='z' => char::from((c as u8 - b'a' + by) % 26 + b'a'),
        'A'..='Z' => char::from((c as u8 - b'A' + by) % 26 + b'A'),
        _ => c,
    }
}

/// Turns passages that read as language once shifted or reversed.
pub(super) fn turn(input: &Mapped, language: &Language, evidence: &mut Evidence) -> Option<Mapped> {
    let text = input.text.as_str();
    let mut builder = Builder::new(input);
    let mut start = 0;
    while start < text.len() {
        let border =
            |(_, c): &(usize, char)| matches!(c, '\n' | '"' | '\'' | ':' | '`' | '“' | '”' | '<' | '>' | '{' | '}');
        let mut end = text.len();
        for (at, c) in text[start..].char_indices() {
            if at > 0
                && (border(&(at, c)) && !inner_apostrophe(text, start + at)
                    || at >= PASSAGE && c == ' '
                    || at >= 2 * PASSAGE)
            {
                end = start + at;
                break;
            }
        }
        let passage = &text[start..end];
        if is_writing(passage) {
            let plain = language.mean(passage.chars());
            if plain > GOOD {
                let (mut best, mut by) = (f32::MAX, 0);
                for candidate in 1..26 {
                    let cost = language.mean(passage.chars().map(|c| shift(c, candidate)));
                    if cost < best {
                        (best, by) = (cost, candidate);
                    }
                }
                let backwards = language.mean(passage.chars().rev());
                let (cost, step) = if backwards < best {
                    (backwards, Step::Reversed)
                } else {
                    (best, Step::Caesar)
                };
                // Language read backwards keeps many of its pairs, so less is gained.
                let gain = if step == Step::Reversed { GAIN / 2.0 } else { GAIN };
                if cost + gain < plain && cost < READS {
                    let turned: String = match step {
                        Step::Reversed => passage.chars().rev().collect(),
                        _ => passage.chars().map(|c| shift(c, by)).collect(),
                    };
                    evidence.note(step, input.origin(start..end));
                    builder.replace(start..end, &turned);
                }
            }
        }
        start = end;
    }
    builder.finish()
}

/// Whether a passage is mostly letters, and of several kinds: digests, numbers and formulas are no language, and read better when turned by chance only.
fn is_writing(passage: &str) -> bool {
    let signs = passage.chars().filter(|c| !c.is_whitespace()).count();
    let (mut count, mut kinds) = (0, 0u32);
    for letter in passage.bytes().filter(u8::is_ascii_alphabetic) {
        count += 1;
        kinds |= 1 << ((letter | 0x20) - b'a');
    }
    count >= LETTERS && count * 10 >= signs * 7 && kinds.count_ones() >= KINDS
}

/// `can't`: no border.
fn inner_apostrophe(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    bytes[at] == b'\''
        && at > 0
        && bytes[at - 1].is_ascii_alphabetic()
        && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
}
