//! Which steps of the normaliser are worth trying.

use super::encoded::may_hold;
use crate::eight::{HIGH, eight, within};

/// What the survey saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clues {
    /// Characters that are invisible, compatibility forms or possible look-alikes.
    pub characters: bool,
    /// Long runs of Base64, hexadecimal or binary digits, or escapes.
    pub encoded: bool,
    /// Letters standing alone.
    pub spaced: bool,
    /// Digits inside words.
    pub leet: bool,
    /// Letters in other proportions than any language with this alphabet has, or a word that says so.
    pub cipher: bool,
}

impl Clues {
    /// No step is worth trying.
    pub fn none(self) -> bool {
        self == Self::default()
    }

    /// The clues of both.
    pub fn or(self, other: Self) -> Self {
        Self {
            characters: self.characters || other.characters,
            encoded: self.encoded || other.encoded,
            spaced: self.spaced || other.spaced,
            leet: self.leet || other.leet,
            cipher: self.cipher || other.cipher,
        }
    }
}

const DIGIT: u8 = 1;
const BASE64: u8 = 2;
const ESCAPE: u8 = 4;
const SIGN: u8 = 8;
const BEYOND: u8 = 16;

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        table[b] = if c.is_ascii_digit() {
            DIGIT | BASE64
        } else if c.is_ascii_alphabetic() || matches!(c, b'+' | b'/' | b'-' | b'_') {
            BASE64
        } else if matches!(c, b'\\' | b'%' | b'&') {
            ESCAPE
        } else if matches!(c, b'@' | b'$') {
            SIGN
        } else if c >= 0x80 {
            BEYOND
        } else {
            0
        };
        b += 1;
    }
    table
}
static CLASSES: [u8; 256] = classes();

/// Bytes over which letters are counted.
const BLOCK: usize = 1024;
/// Shortest Base64 or hexadecimal run that is opened.
pub(super) const RUN: usize = 16;
/// Groups of two or eight digits, in a row, that are opened: fewer are no word.
const GROUPS: u32 = 6;
/// Letters standing alone, in a row, that are joined.
pub(super) const ALONE: u32 = 5;

/// Logarithms of letter frequencies (English, in 1/16 of a nat above the mean of the alphabet); the sums for two
/// shifts of one block tell which reads more like language. German, French, Spanish and Italian keep shift 0.
static FREQUENCY: [i64; 26] = [
    20, -8, 8, 10, 28, 4, 2, 14, 18, -32, -14, 9, 6, 18, 19, 3, -38, 16, 17, 23, 8, -10, 5, -34, 4, -40,
];

/// What a byte adds to the sum of a block: one letter in the upper half, its frequency in the lower.
static LETTERS: [i64; 256] = {
    let mut table = [0; 256];
    let mut letter = 0;
    while letter < 26 {
        let worth = (1 << 32) + FREQUENCY[letter];
        table[b'a' as usize + letter] = worth;
        table[b'A' as usize + letter] = worth;
        letter += 1;
    }
    table
};

/// Whether the letters of a block read better as other letters.
fn shifted(block: &[u8]) -> bool {
    // in four sums: each addition would wait for the one before
    let mut sums = [0; 4];
    let (fours, rest) = block.as_chunks::<4>();
    for four in fours {
        for (sum, byte) in sums.iter_mut().zip(four) {
            *sum += LETTERS[usize::from(*byte)];
        }
    }
    let rest: i64 = rest.iter().map(|byte| LETTERS[usize::from(*byte)]).sum();
    let sum = sums.iter().sum::<i64>() + rest;
    // The lower half has a sign; a block is too short for it to overflow.
    let plain = i64::from(sum as i32);
    let total = (sum - plain) >> 32;
    // Ordinary prose reaches about 12 a letter; only poor blocks are compared with their shifts.
    total >= 24 && plain < 9 * total && turned(block, plain + 6 * total)
}

/// Whether one of the shifts is worth more than `least`.
#[inline(never)]
fn turned(block: &[u8], least: i64) -> bool {
    let mut histogram = [0; 26];
    for letter in block.iter().filter(|byte| byte.is_ascii_alphabetic()) {
        histogram[usize::from((letter | 0x20) - b'a')] += 1;
    }
    let at = |shift: usize| -> i64 {
        let frequencies = FREQUENCY.iter().cycle().skip(shift);
        histogram
            .iter()
            .zip(frequencies)
            .map(|(letters, worth)| letters * worth)
            .sum()
    };
    (1..26).any(|shift| at(shift) > least)
}

/// How many letters `rest` begins with, up to eight, and their cases: 2 for capitals, 4 for others.
#[inline]
fn letters(rest: &[u8]) -> (usize, u8) {
    let eight = eight(rest, 0);
    let upper = within(eight, b'A', b'Z') & !eight;
    let lower = within(eight, b'a', b'z') & !eight;
    let length = (!(upper | lower) & HIGH).trailing_zeros() / 8;
    let word = u64::MAX.checked_shr(64 - 8 * length).unwrap_or(0);
    let cases = u8::from(upper & word != 0) << 1 | u8::from(lower & word != 0) << 2;
    (length as usize, cases)
}

/// Whether the last `run` bytes may be opened. What follows an escape may begin later, so it may be anything.
fn opens(bytes: &[u8], run: usize) -> bool {
    let (before, run) = bytes.split_at(bytes.len() - run);
    before
        .last()
        .is_some_and(|byte| CLASSES[usize::from(*byte)] & ESCAPE != 0)
        || may_hold(run)
}

/// What the text may hide. Two passes over the bytes, and a third over what may be Base64.
pub fn survey(text: &str) -> Clues {
    let mut clues = Clues::default();
    let (mut run, mut run_mixed) = (0usize, 0u8);
    let (mut plain, mut subs, mut sub_before_letter) = (0u32, 0u32, false);
    let mut single = 0u32;
    let mut gap = 0u32;
    let mut leet_words = 0u32;
    let mut escapes = 0u32;
    let mut binary = 0u32;
    let mut high = false;

    let bytes = text.as_bytes();
    for start in (0..bytes.len()).step_by(BLOCK) {
        let block = &bytes[start..bytes.len().min(start + BLOCK)];
        let mut at = 0;
        while at < block.len() {
            let (length, cases) = letters(&block[at..]);
            if length > 0 {
                run += length;
                run_mixed |= cases;
                plain += length as u32;
                sub_before_letter |= subs > 0;
                at += length;
                if length == 8 || at == block.len() {
                    continue;
                }
            }
            let byte = block[at];
            at += 1;
            let class = CLASSES[usize::from(byte)];
            if class & BASE64 != 0 {
                run += 1;
                run_mixed |= if class & DIGIT != 0 {
                    1
                } else if byte & 0x20 == 0 {
                    2
                } else {
                    4
                };
            } else {
                if run >= RUN && run_mixed.count_ones() > 1 && !clues.encoded {
                    clues.encoded = opens(&bytes[..start + at - 1], run);
                }
                (run, run_mixed) = (0, 0);
            }
            if class & (DIGIT | SIGN | BEYOND) != 0 {
                if class & BEYOND != 0 {
                    high = true;
                    plain += 2;
                } else {
                    subs += 1;
                }
            } else {
                let length = plain + subs;
                if length == 1 && plain == 1 {
                    single += 1;
                    clues.spaced |= single >= ALONE;
                    gap = 0;
                } else if length > 0 {
                    single = 0;
                    if plain > 0 && subs > 0 && length >= 3 && sub_before_letter {
                        leet_words += 1;
                    }
                    if length == 8 && plain == 0 || length == 2 {
                        binary += 1;
                        clues.encoded |= binary >= GROUPS;
                    } else {
                        binary = 0;
                    }
                } else {
                    gap += 1;
                    if gap > 6 {
                        single = 0;
                    }
                }
                (plain, subs, sub_before_letter) = (0, 0, false);
                escapes += u32::from(class & ESCAPE != 0);
            }
        }
        clues.cipher |= shifted(block);
        if block.len() == BLOCK {
            clues.leet |= leet_words >= 2;
            leet_words = 0;
        }
    }
    if run >= RUN && run_mixed.count_ones() > 1 && !clues.encoded {
        clues.encoded = opens(bytes, run);
    }
    if plain > 0 && subs > 0 {
        leet_words += 1;
    }
    clues.spaced |= plain == 1 && single + 1 >= ALONE;
    clues.leet |= leet_words >= 2;
    clues.encoded |= escapes >= 4 || binary + 1 >= GROUPS;
    if high {
        clues.characters = text.chars().any(notable);
    }
    clues
}

/// Worth the characters step: everything beyond letters with accents, common punctuation and the plain text of
/// scripts without Latin look-alikes.
fn notable(c: char) -> bool {
    match c as u32 {
        0..=0xac | 0xae..=0x17f => false,
        0xad => true,
        0x250..=0x2af | 0x300..=0x3ff => true,
        // Cyrillic, Armenian, Cherokee: look-alikes
        0x400..=0x58f | 0x13a0..=0x13ff => true,
        0x590..=0x115e | 0x1200..=0x139f => false,
        0x2010..=0x2027 | 0x2030..=0x205e | 0x20a0..=0x20cf => false,
        0x2190..=0x245f | 0x2500..=0x2bff => false,
        0x3001..=0x3163 | 0x3165..=0xd7ff => false,
        0x1f300..=0x1faff | 0x20000..=0x3ffff => false,
        _ => true,
    }
}
