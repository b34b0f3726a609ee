//! Which n-grams weigh most. They are part of the document, so only their places are given.

use std::ops::Range;

use super::Injection;
use super::features::{Counts, Sink};

/// A place that spoke for an attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Strong {
    /// Bytes of the text, on character borders: the word in which the n-gram ends.
    pub span: Range<usize>,
    /// Its share of the log-odds.
    pub weight: f32,
}

struct Words<'a> {
    injection: &'a Injection,
    /// Weight by end byte, in order.
    ends: Vec<(usize, i32)>,
    grams: f32,
}

impl Sink for Words<'_> {
    fn gram(&mut self, row: u32, end: usize) {
        let weight = self.injection.model.row(row);
        match self.ends.last_mut() {
            Some((last, sum)) if *last == end => *sum += weight,
            _ => self.ends.push((end, weight)),
        }
    }

    fn chunk(&mut self, counts: &Counts, _end: usize) {
        self.grams += counts.grams;
    }
}

impl Injection {
    /// The words of `window` (as a [`super::Score`] names it) whose n-grams speak most for an attack, strongest first,
    /// at most `most`. Reads the window as it stands or in its readable form, as the score did.
    pub fn explain(&self, text: &str, window: Range<usize>, most: usize) -> Vec<Strong> {
        let Some(passage) = text.get(window.clone()) else {
            return Vec::new();
        };
        let read = self.read(passage);
        let plain = self.judge(&read.chunks);
        // a window is shorter than a segment
        let hidden = read.hidden.first();
        let form = hidden.filter(|hidden| self.judge(&hidden.chunks).odds > plain.odds);
        let shown = form.map_or(passage, |hidden| hidden.normal.form.text.as_str());
        let mut words = Words {
            injection: self,
            ends: Vec::new(),
            grams: 0.0,
        };
        self.reader.read(shown, &self.model.language, &mut words);
        words.ends.sort_by_key(|(end, _)| *end);
        let unit = self.model.scale() / words.grams.max(1.0).sqrt();
        let mut ends = words.ends.iter().peekable();
        let mut found = Vec::new();
        let mut at = 0;
        for word in shown.split_inclusive(char::is_whitespace) {
            let end = at + word.len();
            let trimmed = at + word.trim_end().len();
            let mut sum = 0;
            while let Some((_, weight)) = ends.next_if(|(place, _)| *place <= end) {
                sum += weight;
            }
            if sum > 0 && trimmed > at {
                let span = form.map_or(at..trimmed, |hidden| hidden.origin(at..trimmed));
                found.push(Strong {
                    span: window.start + span.start..window.start + span.end,
                    weight: sum as f32 * unit,
                });
            }
            at = end;
        }
        found.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.span.start.cmp(&b.span.start)));
        found.truncate(most);
        found
    }
}
