//! What tokens weigh, remembered: texts repeat their words, and the n-grams within a token depend on nothing beside it.
//!
//! What is kept is exact, so a remembered token weighs what it would weigh if it was read again (tested); a token that falls on the
//! place of another takes it.

use super::counts::Lanes;
use super::grams::{Rolling, WORD_SEED, finish, row, step};
use super::letters::ASCII;
use crate::eight::{EACH, HIGH, eight};
use crate::injection::keywords::Keywords;
use crate::injection::language::Language;
use crate::injection::lexicon::Lexicon;
use crate::injection::normalise::Effect;

/// Longest token that is counted at once. Shorter than what is left of a chunk wherever a token may begin.
pub(super) const LONGEST: usize = 192;
/// Longest token that is remembered.
const KEPT: usize = 15;
const PLACE_BITS: u32 = 14;

/// The highest bit of the first byte that is no ASCII sign, and of some after it.
#[inline]
fn ends(eight: u64) -> u64 {
    (eight.wrapping_sub(EACH * 0x21) & !eight | eight) & HIGH
}

/// A token of ASCII signs as it stands in a text, with white space after it.
pub struct Token<'t> {
    pub(super) bytes: &'t [u8],
    /// Its bytes, the first one lowest; of a longer one than is remembered nothing.
    key: u128,
    /// The white space after it.
    pub(super) next: u8,
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
        let (length, key) = if end != 0 {
            let length = end.trailing_zeros() as usize / 8;
            (length, u128::from(first & ((1 << (8 * length)) - 1)))
        } else {
            let second = eight(rest, 8);
            let end = ends(second);
            if end == 0 {
                return Self::long(rest);
            }
            let length = end.trailing_zeros() as usize / 8;
            let second = second & ((1 << (8 * length)) - 1);
            (8 + length, u128::from(first) | u128::from(second) << 64)
        };
        let next = *rest.get(length)?;
        (length > 0 && matches!(next, b' ' | b'\n')).then(|| Self {
            bytes: &rest[..length],
            key,
            next,
        })
    }

    /// A token too long to be remembered.
    #[inline(never)]
    fn long(rest: &'t [u8]) -> Option<Self> {
        let length = rest
            .iter()
            .take(LONGEST + 1)
            .position(|byte| !byte.is_ascii_graphic())?;
        let (bytes, next) = (&rest[..length], rest[length]);
        matches!(next, b' ' | b'\n').then_some(Self { bytes, key: 0, next })
    }

    /// Its length.
    #[inline]
    pub(in crate::injection) fn len(&self) -> u32 {
        // at most LONGEST
        self.bytes.len() as u32
    }

    /// Whether symbols repeat where it joins on to `recent`, the last eight before it, its white space included.
    #[inline]
    pub(super) fn joins(&self, recent: u64) -> bool {
        let before = |n: u32| (recent >> (8 * (n - 1))) as u8;
        let first = ASCII[usize::from(self.bytes[0] & 127)].folded;
        // White space stands before it, and none in it. So what repeats from there into it does so from its first symbol on, and words are as long as
        // the period.
        let four = first == before(4) && (before(1) == before(5) || self.bytes.len() == 3 && self.next == before(1));
        let three = first == before(3) && before(1) == before(4);
        (four || three || before(1) > b' ') && self.joins_exactly(recent)
    }

    #[inline(never)]
    fn joins_exactly(&self, mut recent: u64) -> bool {
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
    /// Letters, digits and signs of one that is a word with signs around it at most, or signs alone.
    pub(super) lanes: Lanes,
    /// Hash of its word, if it is one.
    pub(super) word: u64,
    /// Its last eight symbols, the last one lowest.
    tail: u64,
    /// Weight of its character n-grams, borders included.
    pub(super) weight: i32,
    /// What the symbols from the third on cost.
    cost: u16,
    /// Classes of its word.
    pub(super) classes: u16,
    /// Classes of its first two symbols; of a single one the second is 0.
    first: [u8; 2],
    /// Classes of its last two.
    last: [u8; 2],
    /// Weight of its word.
    pub(super) single: i8,
    /// Letters and digits of its word: none when it is no single one, or its capitals are some inside.
    pub(super) letters: u8,
    form: u8,
    /// Whether a keyword of the rules may be found at it, and what it is to the survey.
    pub(in crate::injection) seen: Seen,
}

/// It is more than a word with signs around it.
const MIXED: u8 = 1;
/// A sentence begins at its word, or after it when it has none …
const BEGINS: u8 = 2;
/// … and after its word.
const ENDS: u8 = 4;
/// Its symbols repeat.
const REPEATS: u8 = 8;

impl Known {
    /// It has to be read sign by sign.
    #[inline]
    pub(super) fn mixed(&self) -> bool {
        self.form & MIXED != 0
    }

    /// A sentence begins at its word, or after it when it has none.
    #[inline]
    pub(super) fn begins(&self) -> bool {
        self.form & BEGINS != 0
    }

    /// A sentence ends with it.
    #[inline]
    pub(super) fn ends(&self) -> bool {
        self.form & ENDS != 0
    }

    /// Its symbols repeat, whatever stands before it.
    #[inline]
    pub(super) fn repeats(&self) -> bool {
        self.form & REPEATS != 0
    }

    /// The last eight symbols after it, when `recent` were those before and it has `length`.
    #[inline]
    pub(super) fn recent(&self, recent: u64, length: u32) -> u64 {
        recent.checked_shl(8 * length).unwrap_or(0) | self.tail
    }

    /// What its symbols cost after `a` and `b`.
    #[inline]
    pub(super) fn price(&self, language: &Language, (a, b): (u8, u8)) -> u32 {
        let [first, second] = self.first;
        let rest = if second == 0 {
            0
        } else {
            language.cost(b, first, second)
        };
        u32::from(self.cost) + u32::from(language.cost(a, b, first)) + u32::from(rest)
    }

    /// The last two classes of symbols after it, when `b` was the one before.
    #[inline]
    pub(super) fn last(&self, b: u8) -> (u8, u8) {
        let [before, last] = self.last;
        (if before == 0 { b } else { before }, last)
    }
}

/// What is seen of a token beside its features, in a byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::injection) struct Seen(u8);

impl Seen {
    /// Of words that are of no keyword and hide nothing.
    pub(in crate::injection) const ORDINARY: Self = Self::new(false, Effect::Words);

    const KEYWORD: u8 = 0x80;

    const fn new(keyword: bool, effect: Effect) -> Self {
        Self(effect as u8 | if keyword { Self::KEYWORD } else { 0 })
    }

    /// A keyword of the rules may be found at it.
    pub(in crate::injection) fn keyword(self) -> bool {
        self.0 & Self::KEYWORD != 0
    }

    /// What it is to the survey.
    pub(in crate::injection) fn effect(self) -> Effect {
        Effect::ALL[usize::from(self.0 & !Self::KEYWORD)]
    }
}

/// What is told of a token apart from the weights.
#[derive(Clone, Copy)]
pub struct Lore<'a> {
    pub(in crate::injection) language: &'a Language,
    pub(in crate::injection) lexicon: &'a Lexicon,
    pub(in crate::injection) keywords: &'a Keywords,
}

/// A remembered token, a line of the cache.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Slot {
    key: u128,
    known: Known,
}
const _: () = assert!(size_of::<Slot>() == 64);

/// Two tokens of one place: one that is frequent is not driven out by every other.
type Place = [Slot; 2];

/// Remembered tokens of one model, 2 MiB.
pub struct Memo {
    places: Box<[Place]>,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            places: vec![Place::default(); 1 << PLACE_BITS].into_boxed_slice(),
        }
    }
}

impl Memo {
    /// What is known of `token`; `weigh` gives the weight of a row.
    #[inline]
    pub(crate) fn know(&mut self, token: &Token<'_>, lore: Lore<'_>, weigh: impl Fn(u32) -> i32) -> Known {
        if token.bytes.len() > KEPT {
            return learn(token, lore, weigh);
        }
        let mixed = (token.key as u64 ^ ((token.key >> 64) as u64).rotate_left(29)).wrapping_mul(WORD_SEED);
        // Panic safety: there are `1 << PLACE_BITS` places.
        let [first, second] = &mut self.places[(mixed >> (64 - PLACE_BITS)) as usize];
        if first.key == token.key {
            return first.known;
        }
        if second.key == token.key {
            return second.known;
        }
        *second = *first;
        *first = Slot {
            key: token.key,
            known: learn(token, lore, weigh),
        };
        first.known
    }
}

#[inline(never)]
fn learn(token: &Token<'_>, lore: Lore<'_>, weigh: impl Fn(u32) -> i32) -> Known {
    let mut known = Known {
        seen: Seen::new(
            token.bytes.len() > KEPT || lore.keywords.may_be_at(token.bytes),
            Effect::of(token.bytes),
        ),
        ..Known::default()
    };
    let mut rolling = Rolling::default();
    rolling.begin();
    for (at, byte) in token.bytes.iter().enumerate() {
        let ascii = ASCII[usize::from(byte & 127)];
        rolling.push(u64::from(ascii.folded), false, |row| known.weight += weigh(row));
        let [a, b] = known.last;
        if at >= 2 {
            // at most 190 costs of a byte each
            known.cost += u16::from(lore.language.cost(a, b, ascii.symbol));
        } else {
            known.first[at] = ascii.symbol;
        }
        known.last = [b, ascii.symbol];
        known.tail = (known.tail << 8) | u64::from(ascii.folded);
        if at >= 7 && again(known.tail) {
            known.form |= REPEATS;
        }
    }
    rolling.push(u64::from(b' '), false, |row| known.weight += weigh(row));
    let sign = |byte: &u8| !byte.is_ascii_alphanumeric();
    let start = token.bytes.iter().take_while(|byte| sign(byte)).count();
    let end = token.bytes.iter().rposition(|byte| !sign(byte));
    let end = end.map_or(start, |last| last + 1);
    let word = &token.bytes[start..end];
    let capitals = word.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let one_case =
        capitals == 0 || capitals == 1 && word[0].is_ascii_uppercase() || !word.iter().any(u8::is_ascii_lowercase);
    if word.iter().any(sign) || !one_case {
        known.form |= MIXED;
        return known;
    }
    for (signs, form) in [(&token.bytes[..start], BEGINS), (&token.bytes[end..], ENDS)] {
        if known.lanes.signs(signs) {
            known.form |= form;
        }
    }
    if !word.is_empty() {
        known.lanes.word(word);
        // no longer than a token
        known.letters = word.len() as u8;
        known.word = finish(word.iter().fold(WORD_SEED, |hash, byte| step(hash, fold(*byte))));
        // a row of the table is a byte
        known.single = weigh(row(known.word ^ 1)) as i8;
        known.classes = lore.lexicon.classes(known.word);
    }
    known
}
