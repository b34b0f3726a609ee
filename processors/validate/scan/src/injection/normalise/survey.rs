//! Which steps of the normaliser are worth trying.

use std::ops::Range;

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

/// What a short token of ASCII signs is to the survey, white space after it included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Effect {
    /// It has to be read.
    #[default]
    Read = 0,
    /// Words of three letters and more, or digits that are no group of two or eight: nothing that is spaced or grouped goes on.
    Words = 1,
    /// Two letters or digits.
    Two = 2,
    /// One letter.
    One = 3,
    /// Signs alone.
    Signs = 4,
}

impl Effect {
    /// By their numbers.
    pub const ALL: [Self; 5] = [Self::Read, Self::Words, Self::Two, Self::One, Self::Signs];

    /// Of the bytes of a token shorter than a run of Base64 that is opened.
    pub fn of(token: &[u8]) -> Self {
        let told = |byte: &u8| byte.is_ascii_alphanumeric();
        let class = |byte: &u8| CLASSES[usize::from(*byte)];
        let words = token.split(|byte| !told(byte)).filter(|word| !word.is_empty());
        let letters = |word: &[u8]| word.iter().all(u8::is_ascii_alphabetic);
        let digits = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
        let ends = |word: &[u8]| (letters(word) && word.len() >= 3) || (digits(word) && !matches!(word.len(), 2 | 8));
        match token {
            _ if token.len() >= RUN || token.iter().any(|byte| class(byte) & (ESCAPE | SIGN | BEYOND) != 0) => {
                Self::Read
            }
            [one] if one.is_ascii_alphabetic() => Self::One,
            [one, two] if letters(&[*one, *two]) || digits(&[*one, *two]) => Self::Two,
            _ if words.clone().next().is_none() => Self::Signs,
            _ if words.clone().all(ends) => Self::Words,
            _ => Self::Read,
        }
    }
}

/// What a text may hide, found out piece by piece.
#[derive(Default)]
pub struct Survey {
    clues: Clues,
    run: usize,
    run_mixed: u8,
    plain: u32,
    subs: u32,
    sub_before_letter: bool,
    single: u32,
    gap: u32,
    leet_words: u32,
    /// Blocks whose words with digits were counted.
    blocks: usize,
    escapes: u32,
    binary: u32,
    high: bool,
}

impl Survey {
    /// Takes a token of `length` bytes and the white space after it. It begins the text, or white space stands before it.
    #[inline]
    pub fn token(&mut self, effect: Effect, length: u32) {
        let (one, signs) = (effect == Effect::One, effect == Effect::Signs);
        // words are told apart from what stands around them only where that matters: a gap is one between single letters
        self.gap = if signs { self.gap.saturating_add(length + 1) } else { 0 };
        let parted = !(one || signs && self.gap <= 6);
        self.single = if parted { 0 } else { self.single + u32::from(one) };
        self.binary = match effect {
            Effect::Two => self.binary + 1,
            Effect::One | Effect::Signs => self.binary,
            _ => 0,
        };
        self.clues.spaced |= self.single >= ALONE;
        self.clues.encoded |= self.binary >= GROUPS;
    }

    /// Counts the words with digits of each block for itself: before anything of `block` is read.
    fn turn(&mut self, block: usize) {
        if block > self.blocks {
            self.clues.leet |= self.leet_words >= 2;
            self.leet_words = 0;
            self.blocks = block;
        }
    }

    /// Reads the bytes `part` of `text`; all before were taken.
    pub fn read(&mut self, text: &[u8], part: Range<usize>) {
        let mut at = part.start;
        while at < part.end {
            let block = at / BLOCK;
            self.turn(block);
            let end = part.end.min((block + 1) * BLOCK);
            self.block(&text[..end], at);
            at = end;
        }
    }

    fn block(&mut self, text: &[u8], mut at: usize) {
        while at < text.len() {
            let (length, cases) = letters(&text[at..]);
            if length > 0 {
                self.run += length;
                self.run_mixed |= cases;
                self.plain += length as u32;
                self.sub_before_letter |= self.subs > 0;
                at += length;
                if length == 8 || at == text.len() {
                    continue;
                }
            }
            let byte = text[at];
            at += 1;
            let class = CLASSES[usize::from(byte)];
            if class & BASE64 != 0 {
                self.run += 1;
                self.run_mixed |= if class & DIGIT != 0 {
                    1
                } else if byte & 0x20 == 0 {
                    2
                } else {
                    4
                };
            } else {
                if self.run >= RUN && self.run_mixed.count_ones() > 1 && !self.clues.encoded {
                    self.clues.encoded = opens(&text[..at - 1], self.run);
                }
                (self.run, self.run_mixed) = (0, 0);
            }
            if class & (DIGIT | SIGN | BEYOND) != 0 {
                if class & BEYOND != 0 {
                    self.high = true;
                    self.plain += 2;
                } else {
                    self.subs += 1;
                }
            } else {
                self.word();
                self.escapes += u32::from(class & ESCAPE != 0);
            }
        }
    }

    /// Takes a sign that ends a word, if there is one.
    fn word(&mut self) {
        let (plain, subs) = (self.plain, self.subs);
        let length = plain + subs;
        if length == 1 && plain == 1 {
            self.single += 1;
            self.clues.spaced |= self.single >= ALONE;
            self.gap = 0;
        } else if length > 0 {
            self.single = 0;
            if plain > 0 && subs > 0 && length >= 3 && self.sub_before_letter {
                self.leet_words += 1;
            }
            if length == 8 && plain == 0 || length == 2 {
                self.binary += 1;
                self.clues.encoded |= self.binary >= GROUPS;
            } else {
                self.binary = 0;
            }
        } else {
            self.gap += 1;
            if self.gap > 6 {
                self.single = 0;
            }
        }
        (self.plain, self.subs, self.sub_before_letter) = (0, 0, false);
    }

    /// After all of `text` was taken.
    pub fn finish(mut self, text: &str) -> Clues {
        let bytes = text.as_bytes();
        self.turn(bytes.len() / BLOCK);
        let mut clues = self.clues;
        if self.run >= RUN && self.run_mixed.count_ones() > 1 && !clues.encoded {
            clues.encoded = opens(bytes, self.run);
        }
        if self.plain > 0 && self.subs > 0 {
            self.leet_words += 1;
        }
        clues.spaced |= self.plain == 1 && self.single + 1 >= ALONE;
        clues.leet |= self.leet_words >= 2;
        clues.encoded |= self.escapes >= 4 || self.binary + 1 >= GROUPS;
        clues.cipher = bytes.chunks(BLOCK).any(shifted);
        if self.high {
            clues.characters = text.chars().any(notable);
        }
        clues
    }
}

/// What the text may hide. Two passes over the bytes, and a third over what may be Base64.
pub fn survey(text: &str) -> Clues {
    let mut survey = Survey::default();
    survey.read(text.as_bytes(), 0..text.len());
    survey.finish(text)
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
