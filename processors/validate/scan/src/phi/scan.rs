//! One scan of one text: the recognizers over the events of the pass.

use std::ops::Range;

use super::context::{self, Context};
use super::kind::Kind;
use super::lexicon::Lexicon;
use super::pass::{Event, What};

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A recognizer.
    Rule,
    /// The tagger.
    Tagger,
    /// Both.
    Both,
}

/// Something found, before overlaps are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Where, in bytes.
    pub span: Range<usize>,
    /// 0 to 1.
    pub confidence: f32,
    /// Who says so.
    pub source: Source,
}

/// The recognizers at work on one text.
pub struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) lexicon: &'a Lexicon,
    /// Recognizers that the packs have, a bit each.
    pub(super) enabled: u64,
    /// Recognizers the label of the text is a context word of.
    pub(super) label: u64,
    pub(super) found: Vec<Found>,
    /// Numbers before this byte were looked at.
    pub(super) done: usize,
}

impl<'a> Scan<'a> {
    /// Of a text.
    pub fn new(text: &'a str, lexicon: &'a Lexicon, enabled: u64, label: u64) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            lexicon,
            enabled,
            label,
            found: Vec::new(),
            done: 0,
        }
    }

    /// Looks at every event.
    pub fn run(mut self, events: &[Event]) -> Vec<Found> {
        let mut words = 0..0;
        for (index, event) in events.iter().enumerate() {
            match event.what {
                What::Word(_) if index >= words.end => {
                    words = self.run_of_words(events, index);
                    self.names(&events[words.clone()]);
                    self.places(&events[words.clone()]);
                }
                What::Word(_) => {}
                What::Number => self.number(event.start),
                What::At => self.email(event.start),
                What::Scheme => self.url(event.start),
                What::Dot => self.domain(event.start),
            }
        }
        self.found
    }

    /// Adds a find, unless the packs are without its rule.
    pub(super) fn add(&mut self, kind: Kind, span: Range<usize>, confidence: f32) {
        if self.enabled & kind.bit() != 0 && !span.is_empty() {
            self.found.push(Found {
                kind,
                span,
                confidence,
                source: Source::Rule,
            });
        }
    }

    pub(super) fn context(&self, start: usize, end: usize) -> Context {
        context::around(self.text, self.lexicon, start, end, self.label)
    }

    /// The byte at a place; 0 outside.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The word that ends at `end`, after at most three spaces, commas, dots or dashes (a line break only if `lines`).
    pub(super) fn word_before(&self, end: usize) -> Option<Range<usize>> {
        let mut to = end;
        while to > 0 && end - to < 3 && matches!(self.bytes[to - 1], b' ' | b',' | b'.' | b'-' | b'/') {
            to -= 1;
        }
        let mut from = to;
        while from > 0 && to - from < 48 && (self.bytes[from - 1].is_ascii_alphabetic() || self.bytes[from - 1] >= 0x80)
        {
            from -= 1;
        }
        let from = (from..=to).find(|at| self.text.is_char_boundary(*at))?;
        (from < to && self.text.is_char_boundary(to)).then_some(from..to)
    }

    /// The word that begins at `start`, after at most three spaces, commas, dots or dashes.
    pub(super) fn word_after(&self, start: usize) -> Option<Range<usize>> {
        let mut from = start;
        while from - start < 3 && matches!(self.byte(from), b' ' | b',' | b'.' | b'-' | b'/') {
            from += 1;
        }
        let to = super::pass::word_end(self.bytes, from);
        (from < to).then_some(from..to)
    }

    /// What is known of the word at a range.
    pub(super) fn flags(&self, range: &Range<usize>) -> u32 {
        self.lexicon.word(&self.text[range.clone()]).flags
    }
}
