//! What the tagger sees of a token: hashed features of the word, its neighbours, the gazetteers and the recognizers.

use super::context::floor;
use super::lexicon::{Entry, Hash, Lexicon};
use super::scan::Found;
use super::token::Token;

/// Features of one token.
pub const MOST: usize = 32;

/// One token, prepared.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Lower case, digits as 0.
    word: u64,
    shape: u64,
    prefix: u64,
    suffix: u64,
    entry: Entry,
    /// What a recognizer says: coarse label, confidence in four steps, begins or goes on.
    found: u64,
}

fn mix(template: u64, left: u64, right: u64) -> u32 {
    let mut value =
        template.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ left.rotate_left(17) ^ right.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (value ^ (value >> 29)) as u32
}

fn see(text: &str, token: &Token, lexicon: &Lexicon) -> Seen {
    let word = &text[token.span.clone()];
    let word = &word[..floor(word, 64)];
    let (mut lower, mut shape) = (Hash::default(), Hash::default());
    let mut last = 0;
    if word.is_ascii() {
        for letter in word.bytes() {
            let (class, normal) = match letter {
                b'0'..=b'9' => (b'0', b'0'),
                b'A'..=b'Z' => (b'X', letter),
                b'a'..=b'z' => (b'x', letter),
                _ => (b'.', letter),
            };
            // As below: the second byte of a letter is 0.
            lower = lower.byte(normal.to_ascii_lowercase()).byte(0);
            if class != last || class == b'0' {
                shape = shape.byte(class);
            }
            last = class;
        }
        let bytes = word.len();
        return Seen {
            word: lower.0,
            shape: shape.0 ^ u64::from(token.spaced),
            prefix: Hash::default().word(&word[..bytes.min(3)]).0,
            suffix: Hash::default().word(&word[bytes.saturating_sub(3)..]).0,
            entry: lexicon.word(word),
            found: 0,
        };
    }
    for letter in word.chars() {
        let (class, normal) = match letter {
            '0'..='9' => (b'0', '0'),
            _ if letter.is_uppercase() => (b'X', letter),
            _ if letter.is_alphabetic() => (b'x', letter),
            _ => (b'.', letter),
        };
        for small in normal.to_lowercase() {
            lower = lower.byte(small as u8).byte((small as u32 >> 8) as u8);
        }
        // Digits are counted, letters are not.
        if class != last || class == b'0' {
            shape = shape.byte(class);
        }
        last = class;
    }
    let part = |range: &str| Hash::default().word(range).0;
    let chars = word.char_indices();
    let third = chars.clone().nth(3).map_or(word.len(), |(at, _)| at);
    let tail = chars.rev().nth(2).map_or(0, |(at, _)| at);
    Seen {
        word: lower.0,
        shape: shape.0 ^ u64::from(token.spaced),
        prefix: part(&word[..third]),
        suffix: part(&word[tail..]),
        entry: lexicon.word(word),
        found: 0,
    }
}

/// The features of every token of a segment, one list after the other; `ends[i]` is where those of token `i` end.
pub fn features(
    text: &str,
    tokens: &[Token],
    found: &[Found],
    lexicon: &Lexicon,
    out: &mut Vec<u32>,
    ends: &mut Vec<usize>,
) {
    out.clear();
    ends.clear();
    let mut seen: Vec<Seen> = tokens.iter().map(|token| see(text, token, lexicon)).collect();
    mark(tokens, found, &mut seen);
    let edge = Seen {
        word: 1,
        shape: 1,
        prefix: 1,
        suffix: 1,
        ..Seen::default()
    };
    let at = |index: usize, offset: isize| {
        index
            .checked_add_signed(offset)
            .and_then(|index| seen.get(index))
            .unwrap_or(&edge)
    };
    for (index, token) in tokens.iter().enumerate() {
        let [third, second, before, here, after, next, beyond] =
            [-3, -2, -1, 0, 1, 2, 3].map(|offset| at(index, offset));
        let cues = (1..=4).fold(0, |cues, back| cues | at(index, -back).entry.cues);
        let near = u64::from(token.broken);
        out.extend([
            mix(1, here.word, 0),
            mix(2, here.shape, 0),
            mix(3, here.prefix, 0),
            mix(4, here.suffix, 0),
            mix(5, before.word, 0),
            mix(6, after.word, 0),
            mix(7, second.word, 0),
            mix(8, next.word, 0),
            mix(9, third.word, 0),
            mix(10, beyond.word, 0),
            mix(11, before.shape, here.shape),
            mix(12, here.shape, after.shape),
            mix(13, before.word, here.word),
            mix(14, here.word, after.word),
            mix(15, second.word, before.word),
            mix(16, u64::from(here.entry.flags), 0),
            mix(17, u64::from(before.entry.flags), u64::from(here.entry.flags)),
            mix(18, u64::from(here.entry.flags), u64::from(after.entry.flags)),
            mix(19, here.shape, u64::from(here.entry.flags)),
            mix(20, here.found, 0),
            mix(21, here.found, here.shape),
            mix(22, before.found, here.found),
            mix(23, here.found, after.found),
            mix(24, cues, here.shape),
            mix(25, before.shape, after.shape),
            mix(26, before.word, here.shape),
            mix(27, here.shape, after.word),
            mix(28, near, here.shape),
            mix(
                29,
                second.shape ^ before.shape.rotate_left(5),
                here.shape ^ after.shape.rotate_left(9),
            ),
            mix(
                30,
                u64::from(second.entry.flags),
                u64::from(before.entry.flags) ^ here.shape,
            ),
            mix(31, before.word, u64::from(here.entry.flags)),
            mix(32, 0, 0),
        ]);
        ends.push(out.len());
    }
}

/// Marks tokens with what recognizers found there, the surest first.
fn mark(tokens: &[Token], found: &[Found], seen: &mut [Seen]) {
    for find in found {
        let label = find.kind.coarse().as_bytes();
        let label = u64::from(label[0]) << 8 | u64::from(label[1]);
        let step = (find.confidence * 4.0).clamp(0.0, 3.0) as u64;
        let first = tokens.partition_point(|token| token.span.end <= find.span.start);
        for (offset, token) in tokens[first..]
            .iter()
            .take_while(|token| token.span.start < find.span.end)
            .enumerate()
        {
            let begins = u64::from(token.span.start <= find.span.start || offset == 0);
            let value = step << 32 | begins << 24 | label;
            let known = &mut seen[first + offset].found;
            if value >> 32 > *known >> 32 || *known == 0 {
                *known = value;
            }
        }
    }
}
