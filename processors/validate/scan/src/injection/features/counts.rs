//! What is counted, and how counts become features.

use super::letters::{ASCII, Class};

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(super) enum C { $($name),*, LEN }
        /// Number of counters in [`Counts`].
        pub const COUNTERS: usize = C::LEN as usize;
    };
}
counters!(
    Chars,
    Letters,
    Upper,
    Digits,
    Spaces,
    Lines,
    Punct,
    Foreign,
    Symbols,
    Words,
    LongWords,
    CapsWords,
    CaseJumps,
    Glued,
    Quotes,
    Ticks,
    Markup,
    Code,
    Ask,
    Shout,
    Colons,
    Slashes,
    Starts,
    TaskStarts,
    TaskLines,
    Override,
    Task,
    Second,
    First,
    Authority,
    Secret,
    Manual,
    Modal,
    Persona,
    Question,
    Freedom,
    Subject,
    Cost,
    CostOf,
    SecretAsk,
    StartsYou,
    AskLines,
    StrayLines,
    LateLines,
    YourAnswer,
    Harm,
    Shouted,
    ForeignLines,
    KinLines,
    PartLines,
    Coded,
);

/// Rule categories that are features of their own.
pub const CATEGORIES: usize = 12;

/// What was counted in a chunk or in a window; sums, and the worst stretch as a maximum.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    pub(super) sums: [f32; COUNTERS],
    rules: [f32; CATEGORIES],
    pub(super) worst: f32,
    /// n-grams seen.
    pub grams: f32,
    /// Sum of their weights (scoring only).
    pub weight: f32,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            sums: [0.0; COUNTERS],
            rules: [0.0; CATEGORIES],
            worst: 0.0,
            grams: 0.0,
            weight: 0.0,
        }
    }
}

impl Counts {
    /// Whether there is enough to judge: eight letters or so that do not only repeat (a rule of dashes or a run of one letter has
    /// less), and, where no white space parts words, mostly letters (keys, addresses and test patterns have fewer). What is encoded is judged
    /// by what it holds.
    pub fn speaks(&self) -> bool {
        let get = |c: C| self.sums[c as usize];
        let parted = get(C::Spaces) + get(C::Lines) > 0.0;
        let written = get(C::Letters) + get(C::Digits);
        self.grams >= 30.0 && (parted || get(C::Letters) * 4.0 >= get(C::Chars) * 3.0) && get(C::Coded) * 2.0 < written
    }

    /// Adds a neighbour.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
        for (sum, more) in self.rules.iter_mut().zip(&other.rules) {
            *sum += more;
        }
        self.worst = self.worst.max(other.worst);
        self.grams += other.grams;
        self.weight += other.weight;
    }

    /// Takes a neighbour back. Sums stay exact: they are of whole numbers and sixteenths, far below 2^20.
    pub fn take(&mut self, other: &Self) {
        for (sum, less) in self.sums.iter_mut().zip(&other.sums) {
            *sum -= less;
        }
        for (sum, less) in self.rules.iter_mut().zip(&other.rules) {
            *sum -= less;
        }
        self.grams -= other.grams;
        self.weight -= other.weight;
    }

    /// The worst stretch of this and others.
    pub fn worst_of<'a>(&mut self, all: impl Iterator<Item = &'a Self>) {
        self.worst = all.map(|counts| counts.worst).fold(0.0, f32::max);
    }

    /// Notes one rule hit or one normaliser step of a category below [`CATEGORIES`].
    pub fn rule(&mut self, category: u8) {
        if let Some(count) = self.rules.get_mut(usize::from(category)) {
            *count += 1.0;
        }
    }
}

/// Number of values [`dense`] gives.
pub const DENSE: usize = 69;

/// What is rare, as a saturating count.
fn few(count: f32) -> f32 {
    (count * 0.5).min(1.5)
}

/// Hits of rules. Dear to ignore: a rule holds in sources that no n-gram has seen.
fn hits(count: f32) -> f32 {
    count.min(2.0) * 1.5
}

/// Counts as features of about the same size. Rates are a character's or a word's share; what is rare is a
/// saturating count.
pub fn dense(counts: &Counts) -> [f32; DENSE] {
    let get = |c: C| counts.sums[c as usize];
    let chars = get(C::Chars).max(1.0);
    let words = get(C::Words).max(1.0);
    let starts = get(C::Starts).max(1.0);
    // one division for all rates: a text has thousands of windows
    let (char_share, word_share) = (1.0 / chars, 1.0 / words);
    let per_char = |c: C, scale: f32| (get(c) * (scale * char_share)).min(3.0);
    let per_word = |c: C, scale: f32| (get(c) * (scale * word_share)).min(3.0);
    let few = |c: C| few(get(c));
    let cost = get(C::Cost) / get(C::CostOf).max(1.0);
    let mut out = [0.0; DENSE];
    let values = [
        chars.ln() / 4.0 - 1.2,
        per_char(C::Letters, 1.0),
        per_char(C::Upper, 8.0),
        per_char(C::Digits, 8.0),
        per_char(C::Spaces, 5.0),
        per_char(C::Lines, 30.0),
        per_char(C::Punct, 8.0),
        per_char(C::Foreign, 1.5),
        per_char(C::Symbols, 15.0),
        per_word(C::LongWords, 8.0),
        per_word(C::CapsWords, 6.0),
        per_word(C::CaseJumps, 6.0),
        per_word(C::Glued, 6.0),
        per_char(C::Quotes, 40.0),
        per_char(C::Ticks, 40.0),
        per_char(C::Markup, 20.0),
        per_char(C::Code, 15.0),
        few(C::Ask),
        few(C::Shout),
        per_char(C::Colons, 40.0),
        few(C::Slashes),
        (get(C::TaskStarts) / starts).min(1.0),
        few(C::TaskStarts),
        few(C::TaskLines),
        few(C::Override),
        per_word(C::Override, 10.0),
        per_word(C::Task, 10.0),
        per_word(C::Second, 8.0),
        few(C::Second),
        per_word(C::First, 8.0),
        few(C::Authority),
        per_word(C::Authority, 10.0),
        few(C::Secret),
        few(C::SecretAsk),
        per_word(C::Manual, 6.0),
        per_word(C::Modal, 12.0),
        few(C::Persona),
        per_word(C::Persona, 10.0),
        per_word(C::Question, 6.0),
        few(C::Freedom),
        per_word(C::Freedom, 15.0),
        per_word(C::Subject, 15.0),
        (cost - 3.5).clamp(-1.0, 3.0),
        (counts.worst - 4.0).clamp(-1.0, 3.0),
        ((counts.worst - cost) / 2.0).clamp(-0.5, 1.5),
        (get(C::StartsYou) / starts).min(1.0),
        few(C::AskLines),
        few(C::StrayLines),
        few(C::LateLines),
        few(C::YourAnswer),
        few(C::Shouted),
        few(C::ForeignLines),
        few(C::KinLines),
        few(C::PartLines),
        few(C::Harm),
        per_word(C::Harm, 12.0),
        (few(C::Persona) + few(C::Modal)).min(few(C::Harm)),
    ];
    out[..values.len()].copy_from_slice(&values);
    for (slot, count) in out[values.len()..].iter_mut().zip(&counts.rules) {
        *slot = hits(*count);
    }
    out
}

/// What says little alone and much beside another: a question is harmless, and so is the mention of a secret.
const EVENTS: [C; 18] = [
    C::TaskStarts,
    C::TaskLines,
    C::Override,
    C::Second,
    C::Authority,
    C::Secret,
    C::SecretAsk,
    C::Persona,
    C::Freedom,
    C::AskLines,
    C::StrayLines,
    C::LateLines,
    C::YourAnswer,
    C::Shouted,
    C::ForeignLines,
    C::KinLines,
    C::PartLines,
    C::Harm,
];

/// Events and rules.
const PAIRED: usize = EVENTS.len() + CATEGORIES;
/// Pairs of two of them.
pub const PAIRS: usize = PAIRED * (PAIRED - 1) / 2;
/// How cheap a pair is against a single feature.
const PAIR: f32 = 0.3;

/// Calls `out` with the place of each pair of events or rules that is there, below [`PAIRS`], and its product: of the size that [`dense`] has them in.
#[inline]
pub fn pairs(counts: &Counts, mut out: impl FnMut(usize, f32)) {
    let events = EVENTS.iter().map(|counter| few(counts.sums[*counter as usize]));
    let values = events.chain(counts.rules.iter().map(|count| hits(*count)));
    // most are not there
    let mut there = [(0, 0.0); PAIRED];
    let present = values.enumerate().filter(|(_, value)| *value > 0.0);
    for (n, (event, value)) in present.enumerate() {
        let root = (PAIR * value).sqrt();
        let row = event * event.saturating_sub(1) / 2;
        // Panic safety: there are PAIRED values.
        for (other, its) in &there[..n] {
            out(row + other, root * its);
        }
        there[n] = (event, root);
    }
}

/// What is counted of remembered tokens.
const LANES: [C; 12] = [
    C::Letters,
    C::Upper,
    C::Digits,
    C::Punct,
    C::Ask,
    C::Shout,
    C::Colons,
    C::Quotes,
    C::Ticks,
    C::Markup,
    C::Code,
    C::Slashes,
];
/// Bits of each: a chunk has fewer signs than they hold.
const LANE: usize = 10;
const LETTERS: usize = lane(C::Letters);
const UPPER: usize = lane(C::Upper);
const DIGITS: usize = lane(C::Digits);

/// The place of a counter that is one of [`LANES`].
const fn lane(counter: C) -> usize {
    let mut at = 0;
    while LANES[at] as usize != counter as usize {
        at += 1;
    }
    at
}

/// Counts of [`LANES`] side by side, so that those of a token are added at once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lanes(u128);

impl std::ops::AddAssign for Lanes {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Lanes {
    fn count(&mut self, counter: C, times: usize) {
        // Panic safety: what is counted of a token is one of the lanes.
        self.0 += (times as u128) << (LANE * lane(counter));
    }

    #[inline]
    fn get(self, lane: usize) -> u32 {
        (self.0 >> (LANE * lane)) as u32 & ((1 << LANE) - 1)
    }

    /// Capitals.
    #[inline]
    pub(super) fn upper(self) -> u32 {
        self.get(UPPER)
    }

    /// Digits.
    #[inline]
    pub(super) fn digits(self) -> u32 {
        self.get(DIGITS)
    }

    /// Counts letters and digits.
    pub(super) fn word(&mut self, word: &[u8]) {
        let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
        self.count(C::Digits, digits);
        self.count(C::Letters, word.len() - digits);
        self.count(C::Upper, word.iter().filter(|byte| byte.is_ascii_uppercase()).count());
    }

    /// Counts signs that stand on one side of a word or alone. Whether a sentence begins after one of them.
    pub(super) fn signs(&mut self, signs: &[u8]) -> bool {
        let (mut before, mut begins) = (Class::Blank, false);
        for byte in signs {
            let class = ASCII[usize::from(byte & 127)].class;
            class
                .counter(before)
                .into_iter()
                .for_each(|counter| self.count(counter, 1));
            if byte.is_ascii_punctuation() {
                self.count(C::Punct, 1);
            }
            begins |= class.begins();
            before = class;
        }
        begins
    }
}

/// What is counted at every character, as integers in registers.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) chars: u32,
    pub(super) lower: u32,
    pub(super) upper: u32,
    pub(super) digits: u32,
    pub(super) foreign: u32,
    pub(super) spaces: u32,
    pub(super) words: u32,
    pub(super) grams: u32,
    pub(super) cost: u32,
    pub(super) costed: u32,
    /// Of remembered tokens; it is not in the others.
    pub(super) lanes: Lanes,
}

impl Tally {
    /// Whether there is a letter in lower case.
    pub(super) fn has_lower(&self) -> bool {
        self.lower > 0 || self.lanes.get(LETTERS) > self.lanes.upper()
    }

    /// Moves everything to the counts of the chunk.
    pub(super) fn settle(&mut self, counts: &mut Counts) {
        let Self {
            chars,
            lower,
            upper,
            digits,
            foreign,
            spaces,
            words,
            grams,
            cost,
            costed,
            lanes,
        } = std::mem::take(self);
        for (counter, n) in [
            (C::Chars, chars),
            (C::Letters, lower + upper + foreign),
            (C::Upper, upper),
            (C::Digits, digits),
            (C::Foreign, foreign),
            (C::Spaces, spaces),
            (C::Words, words),
            (C::CostOf, costed),
        ] {
            counts.sums[counter as usize] = n as f32;
        }
        for (lane, counter) in LANES.iter().enumerate() {
            counts.sums[*counter as usize] += lanes.get(lane) as f32;
        }
        counts.sums[C::Cost as usize] = cost as f32 / 16.0;
        counts.grams = grams as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_place_of_its_own_and_only_what_is_there_is_paired() {
        let mut counts = Counts::default();
        let listed = |counts: &Counts| {
            let mut all = Vec::new();
            pairs(counts, |place, product| all.push((place, product)));
            all
        };
        assert_eq!(listed(&counts), []);
        counts.sums[C::Override as usize] = 1.0;
        assert_eq!(listed(&counts), []);
        counts.rule(0);
        counts.sums[C::Harm as usize] = 100.0;
        let products: Vec<f32> = listed(&counts).iter().map(|(_, product)| *product).collect();
        // 0.5 and 1.5, 1.5 of the rule
        let (near, far) = (PAIR * (0.5f32 * 1.5).sqrt(), PAIR * 1.5);
        assert_eq!(products.len(), 3);
        assert!(
            products
                .iter()
                .zip([near, near, far])
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );

        EVENTS.iter().for_each(|event| counts.sums[*event as usize] = 2.0);
        (0..CATEGORIES as u8).for_each(|category| counts.rule(category));
        let places: Vec<usize> = listed(&counts).iter().map(|(place, _)| *place).collect();
        assert_eq!(places, (0..PAIRS).collect::<Vec<_>>());
    }
}
