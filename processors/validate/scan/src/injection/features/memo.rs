//! What tokens weigh, remembered: texts repeat their words, and the n-grams within a token depend on nothing beside it.
//!
//! What is kept is exact, so a remembered token weighs what it would weigh if it was read again (tested); a token that falls on the
//! place of another takes it.

use super::grams::{Rolling, WORD_SEED, finish, row, step};
use super::letters::{ASCII, Class};
use crate::injection::language::Language;
use crate::injection::lexicon::Lexicon;

/// Longest token that is counted at once. Shorter than what is left of a chunk wherever a token may begin.
pub(super) const LONGEST: usize = 192;
/// Longest token that is remembered.
const KEPT: usize = 15;
const SLOT_BITS: u32 = 14;

/// One of each byte of a word of eight.
const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each.
const HIGH: u64 = EACH << 7;

/// The highest bit of each byte that is `from` to `to`, all being ASCII.
#[inline]
fn within(eight: u64, from: u8, to: u8) -> u64 {
    let least = eight + EACH * u64::from(0x80 - from);
    let beyond = eight + EACH * u64::from(0x7f - to);
    (least ^ beyond) & HIGH
}

/// The highest bit of the first byte that is no ASCII sign, and of some after it.
#[inline]
fn ends(eight: u64) -> u64 {
    (eight.wrapping_sub(EACH * 0x21) & !eight | eight) & HIGH
}

/// Eight bytes, the first one lowest; zeros behind the end of the text.
#[inline]
fn eight(rest: &[u8], at: usize) -> u64 {
    match rest.get(at..).and_then(<[u8]>::first_chunk) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => (0..8).rev().fold(0, |all, back| {
            (all << 8) | u64::from(rest.get(at + back).copied().unwrap_or(0))
        }),
    }
}

/// Eight signs: folded as [`ASCII`] folds them, and which are letters and capitals.
#[inline]
fn folded(signs: u64) -> (u64, u64, u64) {
    let upper = within(signs, b'A', b'Z');
    let letters = upper | within(signs, b'a', b'z');
    let digits = within(signs, b'0', b'9');
    ((signs | (upper >> 2)) & !((digits >> 7) * 0x0f), letters, upper)
}

/// A token of ASCII signs as it stands in a text, with white space after it.
pub struct Token<'t> {
    pub(super) bytes: &'t [u8],
    /// Its folded bytes, the first one lowest; of a longer one than is remembered nothing.
    key: u128,
    /// The white space after it.
    pub(super) next: u8,
    /// Its letters, when it is a word, perhaps with a comma or full stop, whose capitals are none, the first or all.
    pub(super) word: Option<Letters>,
}

/// Letters of a word.
#[derive(Clone, Copy)]
pub(super) struct Letters {
    pub(super) all: u32,
    pub(super) upper: u32,
    /// The comma or full stop after them.
    pub(super) mark: Option<u8>,
}

/// Whether the last eight symbols, a byte each, repeat with a period of one to four: rules, filler, noise. What is said again counts once.
#[inline]
pub(super) fn again(recent: u64) -> bool {
    (recent >> 32) == (recent & 0xffff_ffff) || (recent ^ (recent >> 24)) & 0xff_ffff_ffff == 0
}

impl<'t> Token<'t> {
    /// The token at the start of `rest`.
    #[inline]
    pub(super) fn at(rest: &'t [u8]) -> Option<Self> {
        let first = eight(rest, 0);
        let end = ends(first);
        let (length, signs) = if end != 0 {
            let length = end.trailing_zeros() as usize / 8;
            (length, [first & ((1 << (8 * length)) - 1), 0])
        } else {
            let second = eight(rest, 8);
            let end = ends(second);
            if end == 0 {
                return Self::long(rest);
            }
            let length = end.trailing_zeros() as usize / 8;
            (8 + length, [first, second & ((1 << (8 * length)) - 1)])
        };
        let next = *rest.get(length)?;
        if length == 0 || !matches!(next, b' ' | b'\n') {
            return None;
        }
        let (low, letters, upper) = folded(signs[0]);
        let (mut key, mut all, mut capitals) = (u128::from(low), letters.count_ones(), upper.count_ones());
        if length > 8 {
            let (high, letters, upper) = folded(signs[1]);
            key |= u128::from(high) << 64;
            all += letters.count_ones();
            capitals += upper.count_ones();
        }
        let ordinary = capitals == 0 || capitals == all || (capitals == 1 && upper & 0x80 != 0);
        let mark = Some(rest[length - 1]).filter(|last| matches!(last, b',' | b'.'));
        let wordlike = all > 0 && all as usize + usize::from(mark.is_some()) == length;
        Some(Self {
            bytes: &rest[..length],
            key,
            next,
            word: (wordlike && ordinary).then_some(Letters {
                all,
                upper: capitals,
                mark,
            }),
        })
    }

    /// A token too long to be remembered.
    #[inline(never)]
    fn long(rest: &'t [u8]) -> Option<Self> {
        let length = rest
            .iter()
            .take(LONGEST + 1)
            .position(|byte| !byte.is_ascii_graphic())?;
        let next = rest[length];
        matches!(next, b' ' | b'\n').then(|| Self {
            bytes: &rest[..length],
            key: 0,
            next,
            word: None,
        })
    }

    /// Its length.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        // at most LONGEST
        self.bytes.len() as u32
    }

    /// The last eight symbols after it, when `recent` were those before.
    #[inline]
    pub(super) fn recent(&self, recent: u64) -> u64 {
        let length = self.bytes.len();
        match length {
            0 => recent,
            1..8 => (recent << (8 * length)) | ((self.key as u64).swap_bytes() >> (64 - 8 * length)),
            8..=KEPT => ((self.key >> (8 * (length - 8))) as u64).swap_bytes(),
            _ => self.bytes[length - 8..]
                .iter()
                .fold(0, |all, byte| (all << 8) | fold(*byte)),
        }
    }

    /// Whether symbols repeat in it or up to it, its white space included.
    #[inline]
    pub(super) fn repeats(&self, recent: u64) -> bool {
        // Four neighbours at least are then as the symbols three or four before them: one symbol of four tells.
        let same = |a: u64, b: u64| (a ^ b) & 0xff == 0;
        let at = |at: usize| (self.key >> (8 * at)) as u64;
        let alike = |place: usize| same(at(place), at(place - 3)) || same(at(place), at(place - 4));
        let length = self.bytes.len();
        let may = length > KEPT
            || same(at(0), recent >> 16)
            || same(at(0), recent >> 24)
            || (length > 4 && alike(4))
            || (length > 8 && alike(8))
            || (length > 12 && alike(12));
        may && self.repeats_exactly(recent)
    }

    #[inline(never)]
    fn repeats_exactly(&self, mut recent: u64) -> bool {
        let folded = self.bytes.iter().map(|byte| fold(*byte));
        folded.chain([u64::from(self.next)]).any(|symbol| {
            recent = (recent << 8) | symbol;
            again(recent)
        })
    }

    /// The classes of its symbols.
    #[inline]
    pub(super) fn symbols(&self) -> impl Iterator<Item = u8> + '_ {
        self.bytes.iter().map(|byte| symbol(*byte))
    }

    /// The last two symbol classes after it, when `b` was the one before.
    #[inline]
    pub(super) fn last(&self, b: u8) -> (u8, u8) {
        match self.bytes {
            [.., before, last] => (symbol(*before), symbol(*last)),
            [last] => (b, symbol(*last)),
            [] => (b, b),
        }
    }

    /// Its character n-grams, both borders included: one more with each of the first symbols, four with each after.
    #[inline]
    pub(super) fn grams(&self) -> u32 {
        let length = self.len();
        4 * length - 2 + u32::from(length == 1)
    }
}

#[inline]
fn symbol(byte: u8) -> u8 {
    ASCII[usize::from(byte & 127)].symbol
}

#[inline]
fn fold(byte: u8) -> u64 {
    u64::from(ASCII[usize::from(byte & 127)].folded)
}

/// What is known of a token.
#[derive(Clone, Copy, Default)]
pub struct Known {
    /// Hash of its word, if it is one.
    pub(super) word: u64,
    /// Weight of its character n-grams, borders included.
    pub(super) weight: i32,
    /// Weight of its word.
    pub(super) single: i32,
    /// What the symbols from the third on cost.
    cost: u16,
    /// Classes of its word.
    pub(super) classes: u16,
}

impl Known {
    /// What the symbols of its `token` cost after `a` and `b`.
    #[inline]
    pub(super) fn price(&self, token: &Token<'_>, language: &Language, (a, b): (u8, u8)) -> u32 {
        let first = symbol(token.bytes[0]);
        let mut price = u32::from(self.cost) + u32::from(language.cost(a, b, first));
        if let Some(second) = token.bytes.get(1) {
            price += u32::from(language.cost(b, first, symbol(*second)));
        }
        price
    }
}

/// A remembered token: half a line of the cache.
#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Slot {
    key: u128,
    word: u64,
    weight: i16,
    single: i16,
    cost: u16,
    classes: u16,
}

impl Slot {
    fn new(key: u128, known: Known) -> Self {
        Self {
            key,
            word: known.word,
            // at most 58 n-grams of a byte each
            weight: known.weight as i16,
            // one of them
            single: known.single as i16,
            cost: known.cost,
            classes: known.classes,
        }
    }

    #[inline]
    fn known(&self) -> Known {
        Known {
            word: self.word,
            weight: self.weight.into(),
            single: self.single.into(),
            cost: self.cost,
            classes: self.classes,
        }
    }
}

/// Remembered tokens of one model, 512 KiB.
pub struct Memo {
    slots: Box<[Slot]>,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); 1 << SLOT_BITS].into_boxed_slice(),
        }
    }
}

impl Memo {
    /// What is known of `token`; `weigh` gives the weight of a row.
    #[inline]
    pub(crate) fn know(
        &mut self,
        token: &Token<'_>,
        (language, lexicon): (&Language, &Lexicon),
        weigh: impl Fn(u32) -> i32,
    ) -> Known {
        if token.bytes.len() > KEPT {
            return learn(token, language, lexicon, weigh);
        }
        let mixed = (token.key as u64 ^ ((token.key >> 64) as u64).rotate_left(29)).wrapping_mul(WORD_SEED);
        // Panic safety: there are `1 << SLOT_BITS` slots.
        let slot = &mut self.slots[(mixed >> (64 - SLOT_BITS)) as usize];
        if slot.key != token.key {
            *slot = Slot::new(token.key, learn(token, language, lexicon, weigh));
        }
        slot.known()
    }
}

#[inline(never)]
fn learn(token: &Token<'_>, language: &Language, lexicon: &Lexicon, weigh: impl Fn(u32) -> i32) -> Known {
    let mut known = Known::default();
    let mut rolling = Rolling::default();
    rolling.begin();
    let (mut a, mut b) = (0, 0);
    for (at, byte) in token.bytes.iter().enumerate() {
        let ascii = ASCII[usize::from(byte & 127)];
        rolling.push(u64::from(ascii.folded), false, |row| known.weight += weigh(row));
        if at >= 2 {
            // at most 190 costs of a byte each
            known.cost += u16::from(language.cost(a, b, ascii.symbol));
        }
        (a, b) = (b, ascii.symbol);
    }
    rolling.push(u64::from(b' '), false, |row| known.weight += weigh(row));
    // Another spelling may be a word where this one, with capitals inside, is none.
    let letters = match token.bytes {
        [letters @ .., b',' | b'.'] => letters,
        letters => letters,
    };
    let letter = |byte: &u8| matches!(ASCII[usize::from(byte & 127)].class, Class::Lower | Class::Upper);
    if letters.iter().all(letter) {
        known.word = finish(letters.iter().fold(WORD_SEED, |hash, byte| step(hash, fold(*byte))));
        known.single = weigh(row(known.word ^ 1));
        known.classes = lexicon.classes(known.word);
    }
    known
}
