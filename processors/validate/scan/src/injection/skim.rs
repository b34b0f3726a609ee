//! What is looked for beside the features: keywords of the rules, and signs that something is hidden.
//!
//! Most tokens are ordinary words that are of no keyword and hide nothing. That is remembered of each, so only the others are looked at, some at a
//! time, and read by the byte where they must be.

use std::ops::Range;

use super::features::Seen;
use super::keywords::Keywords;
use super::normalise::{Clues, Effect, Survey};
use super::rules::{Findings, Search};
use super::segments;

/// Longest text whose tokens are taken; a longer one is read by the byte.
pub(super) const LONGEST: usize = u32::MAX as usize;
/// Tokens that are looked at together.
const EVENTS: usize = 64;

/// A token that is no ordinary word, or does not follow the one before.
#[derive(Clone, Copy, Default)]
struct Event {
    /// Where the token before it and the white space after that end: all is ordinary from the event before to here.
    after: u32,
    at: u32,
    length: u8,
    seen: Seen,
}

/// A look at a text, from its start to its end.
pub(super) struct Skim<'a> {
    text: &'a str,
    keywords: &'a Keywords,
    search: Search<'a>,
    survey: Survey,
    segment: Range<usize>,
    clues: Vec<(Range<usize>, Clues)>,
    events: [Event; EVENTS],
    waiting: usize,
    /// Where the last token and the white space after it end.
    after: usize,
    /// Bytes that were looked at.
    done: usize,
}

impl<'a> Skim<'a> {
    pub(super) fn new(text: &'a str, keywords: &'a Keywords, search: Search<'a>) -> Self {
        Self {
            text,
            keywords,
            search,
            survey: Survey::default(),
            segment: 0..segments::end(text, 0),
            clues: Vec::new(),
            events: [Event::default(); EVENTS],
            waiting: 0,
            after: 0,
            done: 0,
        }
    }

    /// Takes a token of `length` bytes, 255 at most, that begins at `at`, and the white space after it. Tokens come in their order, but not all of
    /// them.
    #[inline]
    pub(super) fn token(&mut self, at: usize, length: usize, seen: Seen) {
        // Panic safety: less than EVENTS are waiting.
        self.events[self.waiting] = Event {
            after: self.after as u32,
            at: at as u32,
            length: length as u8,
            seen,
        };
        self.waiting += usize::from(seen != Seen::ORDINARY) | usize::from(at != self.after);
        self.after = at + length + 1;
        if self.waiting == EVENTS {
            self.settle();
        }
    }

    /// Looks at the tokens that wait.
    #[inline(never)]
    fn settle(&mut self) {
        for event in 0..std::mem::take(&mut self.waiting) {
            let Event {
                after,
                at,
                length,
                seen,
            } = self.events[event];
            let (after, at, length) = (after as usize, at as usize, usize::from(length));
            self.pass_to(after, Effect::Words);
            self.pass_over(at);
            let end = at + length + 1;
            let parted = self.parted();
            if seen.keyword() || !parted {
                self.find(at..end);
            }
            if parted && seen.effect() != Effect::Read {
                self.survey.token(seen.effect(), length as u32);
                self.turn(end);
            } else {
                self.survey_to(end);
            }
        }
    }

    /// Whether a word may begin after what was looked at.
    fn parted(&self) -> bool {
        self.done == self.segment.start || self.text.as_bytes()[self.done - 1] <= b' '
    }

    /// Passes over what is between tokens.
    fn pass_over(&mut self, end: usize) {
        let between = &self.text.as_bytes()[self.done..end];
        let plain = !self.keywords.may_be_between();
        if plain && self.parted() && between.iter().all(|byte| *byte <= b' ') {
            self.pass_to(end, Effect::Signs);
        } else {
            self.find(self.done..end);
            self.survey_to(end);
        }
    }

    /// Passes over words of one effect, or white space.
    fn pass_to(&mut self, end: usize, effect: Effect) {
        while self.done < end {
            let stop = end.min(self.segment.end);
            self.survey.token(effect, (stop - self.done) as u32 - 1);
            self.turn(stop);
        }
    }

    /// Looks by the byte at what may hide something.
    fn survey_to(&mut self, end: usize) {
        while self.done < end {
            let stop = end.min(self.segment.end);
            let Range { start, end } = self.segment;
            self.survey
                .read(&self.text.as_bytes()[start..end], self.done - start..stop - start);
            self.turn(stop);
        }
    }

    fn find(&mut self, part: Range<usize>) {
        let (search, bytes) = (&mut self.search, self.text.as_bytes());
        let mut take = |keyword, span| search.take(keyword, span);
        self.keywords.find(bytes, part, &mut take);
    }

    /// After everything up to `done` was looked at.
    fn turn(&mut self, done: usize) {
        self.done = done;
        if done == self.segment.end {
            let next = done..segments::end(self.text, done);
            let segment = std::mem::replace(&mut self.segment, next);
            let clues = std::mem::take(&mut self.survey).finish(&self.text[segment.clone()]);
            self.clues.push((segment, clues));
        }
    }

    /// What the rules found, and the clues of each segment.
    pub(super) fn finish(mut self) -> (Findings, Vec<(Range<usize>, Clues)>) {
        self.settle();
        self.pass_to(self.after, Effect::Words);
        self.pass_over(self.text.len());
        (self.search.finish(), self.clues)
    }
}
