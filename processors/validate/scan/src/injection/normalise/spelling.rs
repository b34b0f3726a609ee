//! Letters standing alone, and digits in the place of letters.

use super::READS;
use super::evidence::{Evidence, Step};
use super::survey::ALONE;
use crate::injection::language::Language;
use crate::mapped::{Builder, Mapped};

/// Most characters between two letters that still belong to one run; with two or more a new word begins.
const GAP: usize = 6;
/// Joined letters that cost more bits a character than this are a list or a sequence, not words.
const READABLE: f32 = 4.4;

/// Joins runs of single letters: `i g n o r e   t h i s` becomes `ignore this`.
pub(super) fn join(input: &Mapped, language: &Language, evidence: &mut Evidence) -> Option<Mapped> {
    let text = input.text.as_str();
    let mut builder = Builder::new(input);
    let mut chars = text.char_indices().peekable();
    let mut before_letter = false;
    while let Some((start, c)) = chars.next() {
        let alone = |c: char, next: Option<&(usize, char)>| {
            c.is_alphanumeric() && next.is_none_or(|(_, next)| !next.is_alphanumeric())
        };
        if before_letter || !alone(c, chars.peek()) {
            before_letter = c.is_alphanumeric();
            continue;
        }
        // A run begins here. Every character it takes is taken once.
        let mut joined = String::from(c);
        let (mut letters, mut tight) = (u32::from(c.is_alphabetic()), 0u32);
        let mut separator = String::new();
        let mut end = start + c.len_utf8();
        before_letter = false;
        loop {
            let mut gap = String::new();
            let mut length = 0;
            while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_alphanumeric()) {
                length += 1;
                if length > GAP {
                    break;
                }
                gap.push(c);
            }
            let Some(&(at, c)) = chars.peek() else { break };
            if length == 0 || length > GAP {
                break;
            }
            chars.next();
            if !alone(c, chars.peek()) {
                before_letter = true;
                break;
            }
            if length == 1 {
                tight += 1;
                separator = gap;
            } else {
                // punctuation stays, what only separates letters goes
                joined.extend(gap.chars().filter(|c| !c.is_whitespace() && !separator.contains(*c)));
                joined.push(' ');
            }
            joined.push(c);
            letters += u32::from(c.is_alphabetic());
            end = at + c.len_utf8();
        }
        if letters + 1 > ALONE && tight * 2 > letters && !alphabet(&joined) && language.mean(joined.chars()) < READABLE
        {
            evidence.note(Step::Spaced, input.origin(start..end));
            builder.replace(start..end, &joined);
        }
    }
    builder.finish()
}

/// `ABCDEF`: half of the letters follow the one before in the alphabet.
fn alphabet(joined: &str) -> bool {
    let chars: Vec<u32> = joined.chars().map(u32::from).collect();
    chars.windows(2).filter(|two| two[1] == two[0] + 1).count() * 2 >= chars.len() - 1
}

fn letter_for(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        '9' => 'g',
        _ => return None,
    })
}

/// Bytes looked at together.
const BLOCK: usize = 1024;
/// Words with digits for letters that make a block suspicious.
const LEAST: usize = 3;
/// One of so many words has to be one, too.
const SHARE: usize = 5;
/// Bits a character by which the block must read better afterwards.
const GAIN: f32 = 0.25;

struct Token {
    start: usize,
    end: usize,
    leet: bool,
    fits: bool,
}

fn tokens(text: &str, offset: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    for piece in text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '@' | '$' | '!'))) {
        let core = piece.trim_end_matches('!');
        if !core.is_empty() {
            let (mut letters, mut subs, mut length, mut trailing) = (0, 0, 0, 0);
            for c in core.chars() {
                letters += usize::from(c.is_alphabetic());
                subs += usize::from(letter_for(c).is_some());
                length += 1;
                trailing = if c.is_ascii_digit() { trailing + 1 } else { 0 };
            }
            let fits = letters + subs == length;
            tokens.push(Token {
                start: offset + at,
                end: offset + at + core.len(),
                // `utf8`, `sha256` and `mp3` only end in digits
                leet: fits && letters > 0 && subs > trailing.min(subs) && length >= 3,
                fits: fits && (letters > 0 || length <= 3),
            });
        }
        at += piece.len() + text[at + piece.len()..].chars().next().map_or(0, char::len_utf8);
    }
    tokens
}

/// Whether so many words of a block may have digits for letters: each has a digit before a letter, or a sign for one.
fn may(block: &[u8]) -> bool {
    let pairs = || block.iter().zip(block.iter().skip(1));
    let letter = |byte: &u8| byte.is_ascii_alphabetic() | !byte.is_ascii();
    let signs = block.iter().map(|byte| u16::from(matches!(byte, b'@' | b'$' | b'!')));
    let mixed = pairs().map(|(one, next)| u16::from(one.is_ascii_digit() & letter(next)));
    // where words begin, but that a sign may join two
    let begun = pairs()
        .map(|(one, next)| u16::from(one.is_ascii() & !one.is_ascii_alphanumeric() & next.is_ascii_alphanumeric()));
    let (signs, mixed, words) = (signs.sum::<u16>(), mixed.sum::<u16>(), begun.sum::<u16>());
    let leet = usize::from(signs + mixed);
    leet >= LEAST && leet * SHARE >= usize::from(words.saturating_sub(signs))
}

/// Reads digits as letters in blocks where several words need it and the block reads better for it.
pub(super) fn unleet(input: &Mapped, language: &Language, evidence: &mut Evidence) -> Option<Mapped> {
    let text = input.text.as_str();
    let mut builder = Builder::new(input);
    let mut start = 0;
    while start < text.len() {
        let mut end = (start + BLOCK).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let block = &text[start..end];
        let tokens = if may(block.as_bytes()) {
            tokens(block, start)
        } else {
            Vec::new()
        };
        let leet = tokens.iter().filter(|token| token.leet).count();
        if leet >= LEAST && leet * SHARE >= tokens.len() {
            let read = |token: &Token| -> String {
                text[token.start..token.end]
                    .chars()
                    .map(|c| letter_for(c).unwrap_or(c))
                    .collect()
            };
            let plain: String = tokens
                .iter()
                .filter(|t| t.leet)
                .flat_map(|t| [text[t.start..t.end].to_owned(), " ".into()])
                .collect();
            let decoded: String = tokens
                .iter()
                .filter(|t| t.leet)
                .flat_map(|t| [read(t), " ".into()])
                .collect();
            let cost = language.mean(decoded.chars());
            // Base64 has as many digits, and is no language without them
            if cost < READS && cost + GAIN < language.mean(plain.chars()) {
                for token in tokens.iter().filter(|token| token.fits) {
                    if token.leet {
                        evidence.note(Step::Leet, input.origin(token.start..token.end));
                    }
                    let decoded = read(token);
                    if decoded != text[token.start..token.end] {
                        builder.replace(token.start..token.end, &decoded);
                    }
                }
            }
        }
        start = end;
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_block_with_such_words_is_passed_over(text in "([a-e0-9@$!\u{e9}\u{2014}.-]{0,6} ?){0,30}") {
            let tokens = tokens(&text, 0);
            let leet = tokens.iter().filter(|token| token.leet).count();
            prop_assert!(leet < LEAST || leet * SHARE < tokens.len() || may(text.as_bytes()));
        }
    }
}
