//! What tokens weigh, remembered: texts repeat their words, and the n-grams within a token depend on nothing beside it.
//!
//! What is kept is exact, so a remembered token weighs what it would weigh if it was read again (tested); a token that falls on the
//! place of another takes it.

use super::grams::{Rolling, WORD_SEED, finish, row, step};
use super::letters::ASCII;
use crate::eight::{EACH, HIGH, eight, within};
use crate::injection::keywords::Keywords;
use crate::injection::language::Language;
use crate::injection::lexicon::Lexicon;
use crate::injection::normalise::Effect;

/// Longest token that is counted at once. Shorter than what is left of a chunk wherever a token may begin.
pub(super) const LONGEST: usize = 192;
/// Longest token that is remembered.
const KEPT: usize = 15;
const LINE_BITS: u32 = 15;

/// The highest bit of the first byte that is no ASCII sign, and of some after it.
#[inline]
fn ends(eight: u64) -> u64 {
    (eight.wrapping_sub(EACH * 0x21) & !eight | eight) & HIGH
}

/// Eight signs folded as [`ASCII`] folds them, and which are digits, letters and capitals.
#[inline]
fn folded(signs: u64) -> (u64, [u64; 3]) {
    let upper = within(signs, b'A', b'Z');
    let letters = upper | within(signs, b'a', b'z');
    let digits = within(signs, b'0', b'9');
    (
        (signs | (upper >> 2)) & !((digits >> 7) * 0x0f),
        [digits, letters, upper],
    )
}

/// The highest bits of eight bytes, that of the first byte lowest.
#[inline]
fn bits(high: u64) -> u32 {
    ((high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

/// A token of ASCII signs as it stands in a text, with white space after it.
pub struct Token<'t> {
    pub(super) bytes: &'t [u8],
    /// Its folded bytes, the first one lowest; of a longer one than is remembered nothing.
    key: u128,
    /// The white space after it.
    pub(super) next: u8,
    /// Its word, when it has one and signs at most around it, and the capitals are none, the first or all.
    pub(super) word: Option<Letters>,
}

/// Letters and digits of a word.
#[derive(Clone, Copy)]
pub(super) struct Letters {
    /// Signs before it.
    pub(super) lead: u32,
    pub(super) all: u32,
    pub(super) upper: u32,
    pub(super) digits: u32,
}

impl Letters {
    /// Of a token of up to 16 signs: which of them are digits, letters and capitals, a bit each.
    #[inline]
    fn of(digits: u32, letters: u32, upper: u32) -> Option<Self> {
        let signs = digits | letters;
        let lead = signs.trailing_zeros() & 31;
        let all = (!(signs >> lead)).trailing_zeros();
        let one = signs != 0 && signs >> lead >> all == 0;
        let capitals = match upper {
            0 => Some(0),
            _ if upper == 1 << lead => Some(1),
            _ => (upper == letters).then(|| upper.count_ones()),
        };
        Some(Self {
            lead,
            all,
            upper: capitals.filter(|_| one)?,
            digits: if digits == 0 { 0 } else { digits.count_ones() },
        })
    }
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
        let (low, [digits, letters, upper]) = folded(signs[0]);
        let (mut key, mut classes) = (u128::from(low), [digits, letters, upper].map(bits));
        if length > 8 {
            let (high, more) = folded(signs[1]);
            key |= u128::from(high) << 64;
            for (class, more) in classes.iter_mut().zip(more) {
                *class |= bits(more) << 8;
            }
        }
        let [digits, letters, upper] = classes;
        Some(Self {
            bytes: &rest[..length],
            key,
            next,
            word: Letters::of(digits, letters, upper),
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
    pub(in crate::injection) fn len(&self) -> u32 {
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
        let length = self.bytes.len();
        if length > KEPT {
            return self.repeats_exactly(recent);
        }
        // Four neighbours at least are then as the symbols three or four before them, and two of these stand at a place that is looked at: before the
        // first symbol, or three, six and so on after that.
        let key = self.key | u128::from(self.next) << (8 * length);
        let (low, before) = (key as u64, recent.swap_bytes());
        let now = low << 8 | before >> 56;
        let (three, four) = (now ^ (low << 32 | before >> 32), now ^ (low << 40 | before >> 24));
        let two = |symbols: u64, bits: u32| symbols & (0xffff << bits) == 0;
        let in_first = |all: u64| two(all, 0) | ((length > 1) & (two(all, 24) | two(all, 48)));
        let mut may = in_first(three) | in_first(four);
        if length > 8 {
            let (three, four) = ((key ^ key << 24) >> 64, (key ^ key << 32) >> 64);
            let in_rest = |all: u64| two(all, 0) | ((length > 9) & two(all, 24)) | ((length > 12) & two(all, 48));
            may |= in_rest(three as u64) | in_rest(four as u64);
        }
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
    /// Whether a keyword of the rules may be found at it, and what it is to the survey.
    pub(in crate::injection) seen: Seen,
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
    single: i8,
    seen: Seen,
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
            single: known.single as i8,
            cost: known.cost,
            classes: known.classes,
            seen: known.seen,
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
            seen: self.seen,
        }
    }
}

/// Two tokens of one place, a line of the cache: one that is frequent is not driven out by every other.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line([Slot; 2]);
const _: () = assert!(size_of::<Line>() == 64);

/// Remembered tokens of one model, 2 MiB.
pub struct Memo {
    lines: Box<[Line]>,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            lines: vec![Line::default(); 1 << LINE_BITS].into_boxed_slice(),
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
        // Panic safety: there are `1 << LINE_BITS` lines.
        let Line([first, second]) = &mut self.lines[(mixed >> (64 - LINE_BITS)) as usize];
        if first.key == token.key {
            return first.known();
        }
        if second.key == token.key {
            return second.known();
        }
        *second = *first;
        *first = Slot::new(token.key, learn(token, lore, weigh));
        first.known()
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
    let (mut a, mut b) = (0, 0);
    for (at, byte) in token.bytes.iter().enumerate() {
        let ascii = ASCII[usize::from(byte & 127)];
        rolling.push(u64::from(ascii.folded), false, |row| known.weight += weigh(row));
        if at >= 2 {
            // at most 190 costs of a byte each
            known.cost += u16::from(lore.language.cost(a, b, ascii.symbol));
        }
        (a, b) = (b, ascii.symbol);
    }
    rolling.push(u64::from(b' '), false, |row| known.weight += weigh(row));
    // Another spelling may have a word where this one, with capitals inside, has none.
    let sign = |byte: &u8| !byte.is_ascii_alphanumeric();
    let start = token.bytes.iter().take_while(|byte| sign(byte)).count();
    let end = token
        .bytes
        .iter()
        .rposition(|byte| !sign(byte))
        .map_or(start, |last| last + 1);
    let letters = &token.bytes[start..end];
    if start < end && !letters.iter().any(sign) {
        known.word = finish(letters.iter().fold(WORD_SEED, |hash, byte| step(hash, fold(*byte))));
        known.single = weigh(row(known.word ^ 1));
        known.classes = lore.lexicon.classes(known.word);
    }
    known
}
