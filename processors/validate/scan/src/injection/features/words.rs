//! What is noted of each word, and of where it stands.

use super::counts::{C, Counts, Tally};
use super::grams::{row, step};
use super::{SHOUTED, Sink};
use crate::injection::lexicon;

/// Letters and digits in a row beyond which they may be Base64 or hexadecimal.
const CODED: u32 = 12;

/// A word as it is spelt.
#[derive(Default)]
pub(super) struct Word {
    pub(super) hash: u64,
    pub(super) length: u32,
    pub(super) upper: u32,
    pub(super) digits: u32,
    /// Of its length what was counted as coded in chunks before.
    pub(super) coded: u32,
    pub(super) case_jump: bool,
}

impl Word {
    /// Whether it is no word but Base64, of letters in either case and digits, or hexadecimal, of which a third are digits.
    fn is_coded(&self) -> bool {
        let cases = self.upper * 5 >= self.length && self.upper * 5 <= self.length * 4;
        self.length > CODED && self.digits > 0 && (cases || self.digits * 3 >= self.length)
    }

    /// Counts it, as far as it goes in this chunk, if it is coded.
    #[inline]
    pub(super) fn count_coded(&mut self, counts: &mut Counts) {
        if self.is_coded() {
            counts.sums[C::Coded as usize] += (self.length - self.coded) as f32;
            self.coded = self.length;
        }
    }
}

/// What is known of the words before.
pub(super) struct Words {
    /// A sentence begins.
    pub(super) start_pending: bool,
    /// A line begins.
    pub(super) line_pending: bool,
    /// The line began as a request or a question does.
    pub(super) line_asks: bool,
    asked: bool,
    yours: u8,
    caps: u32,
    ordered: bool,
    last: u64,
    last_two: u64,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            start_pending: true,
            line_pending: true,
            line_asks: false,
            asked: false,
            yours: 0,
            caps: 0,
            ordered: false,
            last: 0,
            last_two: 0,
        }
    }
}

impl Words {
    /// Notes `word`, its hash and classes; `single` is what the word itself weighs, if that is known. `end` is where it ends.
    #[allow(clippy::too_many_arguments, reason = "the pass keeps its counts in its own hands")]
    pub(super) fn note<S: Sink>(
        &mut self,
        word: &mut Word,
        (hash, classes): (u64, u16),
        single: Option<i32>,
        end: usize,
        counts: &mut Counts,
        tally: &mut Tally,
        sink: &mut S,
    ) {
        word.count_coded(counts);
        let mut count = |c: C| counts.sums[c as usize] += 1.0;
        tally.words += 1;
        if word.length > 14 {
            count(C::LongWords);
        }
        if word.length > 1 && word.upper == word.length {
            count(C::CapsWords);
            self.caps += 1;
            self.ordered |= classes & (lexicon::OVERRIDE | lexicon::TASK | lexicon::SECOND) != 0;
            if self.caps >= SHOUTED && self.ordered && tally.has_lower() {
                count(C::Shouted);
                self.ordered = false;
            }
        } else if word.length > 1 {
            (self.caps, self.ordered) = (0, false);
        }
        if word.case_jump && word.upper < word.length {
            count(C::CaseJumps);
        }
        if self.start_pending {
            count(C::Starts);
            self.asked = classes & (lexicon::QUESTION | lexicon::TASK) != 0;
            if self.line_pending {
                self.line_asks = self.asked;
            }
            if classes & lexicon::TASK != 0 {
                count(C::TaskStarts);
                if self.line_pending {
                    count(C::TaskLines);
                }
            }
            if classes & lexicon::SECOND != 0 {
                count(C::StartsYou);
            }
        }
        if classes != 0 {
            let mut rest = classes;
            while rest != 0 {
                if let Some(counter) = CLASS_COUNTERS[rest.trailing_zeros() as usize & 15] {
                    count(counter);
                }
                rest &= rest - 1;
            }
            if self.asked && classes & lexicon::SECRET != 0 {
                count(C::SecretAsk);
            }
            if self.yours > 0 && classes & lexicon::ANSWER != 0 {
                count(C::YourAnswer);
                self.line_asks = true;
            }
        }
        // "your", and one word between
        self.yours = if classes & lexicon::SECOND != 0 {
            2
        } else {
            self.yours.saturating_sub(1)
        };
        self.start_pending = false;
        self.line_pending = false;
        if hash != self.last {
            match single {
                Some(weight) => sink.add(weight),
                None => sink.gram(row(hash ^ 1), end),
            }
            tally.grams += 1;
            if self.last != 0 {
                sink.gram(row(step(self.last, hash)), end);
                tally.grams += 1;
                if self.last_two != 0 {
                    sink.gram(row(step(step(self.last_two, self.last), hash)), end);
                    tally.grams += 1;
                }
            }
        }
        self.last_two = self.last;
        self.last = hash;
    }
}

/// What is counted of the words of each class, by its bit.
static CLASS_COUNTERS: [Option<C>; 16] = {
    let mut table = [None; 16];
    let all = [
        (lexicon::OVERRIDE, C::Override),
        (lexicon::TASK, C::Task),
        (lexicon::SECOND, C::Second),
        (lexicon::FIRST, C::First),
        (lexicon::AUTHORITY, C::Authority),
        (lexicon::SECRET, C::Secret),
        (lexicon::MANUAL, C::Manual),
        (lexicon::MODAL, C::Modal),
        (lexicon::PERSONA, C::Persona),
        (lexicon::QUESTION, C::Question),
        (lexicon::FREEDOM, C::Freedom),
        (lexicon::SUBJECT, C::Subject),
        (lexicon::HARM, C::Harm),
    ];
    let mut at = 0;
    while at < all.len() {
        table[all[at].0.trailing_zeros() as usize] = Some(all[at].1);
        at += 1;
    }
    table
};
