//! Which stretches of a text are scored: every chunk, and every four neighbouring chunks (about 1 kB).

use std::ops::Range;

use super::features::{Counts, Known, Lore, Memo, Sink, Token};
use super::normalise::Normal;
use super::rules::Category;
use super::skim::Skim;

/// Chunks in a wide window.
pub const WIDE: usize = 4;
/// n-grams that are weighed together.
const ROWS: usize = 64;

/// A chunk of a text.
pub struct Chunk {
    /// What was counted in it.
    pub counts: Counts,
    /// Where it ends.
    pub end: usize,
}

/// Calls `out` with each window of a text and its bytes: a text of two or three chunks is also one as a whole.
pub fn windows(chunks: &[Chunk], mut out: impl FnMut(&Counts, Range<usize>)) {
    let start = |at: usize| at.checked_sub(1).map_or(0, |before| chunks[before].end);
    let mut sum = Counts::default();
    for (at, chunk) in chunks.iter().enumerate() {
        if let Some(oldest) = at.checked_sub(WIDE) {
            sum.take(&chunks[oldest].counts);
        }
        sum.add(&chunk.counts);
        out(&chunk.counts, start(at)..chunk.end);
        let all = at + 1;
        let whole = all == chunks.len() && (2..WIDE).contains(&all);
        if all >= WIDE || whole {
            let first = all.saturating_sub(WIDE);
            sum.worst_of(chunks[first..all].iter().map(|chunk| &chunk.counts));
            out(&sum, start(first)..chunk.end);
        }
    }
}

/// Notes rule hits as (byte, category), in order of the byte.
pub fn mark(chunks: &mut [Chunk], marks: impl IntoIterator<Item = (usize, Category)>) {
    let mut chunks = chunks.iter_mut();
    let mut chunk = chunks.next();
    for (at, category) in marks {
        while chunk.as_ref().is_some_and(|chunk| chunk.end <= at) {
            chunk = chunks.next();
        }
        if let Some(chunk) = &mut chunk {
            chunk.counts.rule(category as u8);
        }
    }
}

/// Reads a text for its score.
pub struct Reading<'a, Row> {
    row: Row,
    /// With it plain tokens are remembered.
    memo: Option<(&'a mut Memo, Lore<'a>)>,
    /// What else is seen on the way.
    pub skim: Skim<'a>,
    weight: i32,
    /// n-grams that are still to be weighed, and how many: their weights lie anywhere in a large table, and the places of all are known before
    /// the first one is read.
    rows: [u32; ROWS],
    waiting: usize,
    /// Chunks so far.
    pub chunks: Vec<Chunk>,
}

impl<'a, Row: Fn(u32) -> i32> Reading<'a, Row> {
    /// `row` gives the weight of an n-gram.
    pub fn new(row: Row, memo: Option<(&'a mut Memo, Lore<'a>)>, skim: Skim<'a>) -> Self {
        Self {
            row,
            memo,
            skim,
            weight: 0,
            rows: [0; ROWS],
            waiting: 0,
            chunks: Vec::new(),
        }
    }

    /// Weighs what waits.
    fn weigh(&mut self) {
        let rows = &self.rows[..self.waiting];
        self.weight += rows.iter().map(|row| (self.row)(*row)).sum::<i32>();
        self.waiting = 0;
    }
}

/// Counts the steps of the normaliser in the chunks of the readable form that they touch.
pub fn mark_steps(chunks: &mut [Chunk], normal: &Normal) {
    let mut start = 0;
    for chunk in chunks {
        let origin = normal.form.origin(start..chunk.end);
        start = chunk.end;
        for (_, span, n) in normal.evidence.regions() {
            if span.start < origin.end && origin.start < span.end {
                for _ in 0..n.min(3) {
                    chunk.counts.rule(Category::Encoded as u8);
                }
            }
        }
    }
}

impl<Row: Fn(u32) -> i32> Sink for Reading<'_, Row> {
    #[inline]
    fn gram(&mut self, row: u32, _end: usize) {
        if self.waiting == ROWS {
            self.weigh();
        }
        // Panic safety: less than ROWS are waiting.
        self.rows[self.waiting] = row;
        self.waiting += 1;
    }

    const KNOWS: bool = true;

    #[inline]
    fn know(&mut self, token: &Token<'_>, at: usize) -> Option<Known> {
        let (memo, lore) = self.memo.as_mut()?;
        let known = memo.know(token, *lore, &self.row);
        self.skim.token(at, token.len() as usize, known.seen);
        Some(known)
    }

    #[inline]
    fn add(&mut self, weight: i32) {
        self.weight += weight;
    }

    fn chunk(&mut self, counts: &Counts, end: usize) {
        self.weigh();
        let mut counts = *counts;
        counts.weight = self.weight as f32;
        self.weight = 0;
        self.chunks.push(Chunk { counts, end });
    }
}
