//! Which stretches of a text are scored: every chunk, and every four neighbouring chunks (about 1 kB).

use std::ops::Range;

use super::features::{Counts, Known, Memo, Sink, Token};
use super::language::Language;
use super::lexicon::Lexicon;
use super::normalise::Normal;
use super::rules::Category;

/// Chunks in a wide window.
pub const WIDE: usize = 4;
/// n-grams that are weighed together.
const ROWS: usize = 64;

/// Forms windows as chunks come, in constant memory.
pub struct Windows<'a, Row, Out> {
    row: Row,
    out: Out,
    normal: Option<&'a Normal>,
    memo: Option<&'a mut Memo>,
    weight: i32,
    /// n-grams that are still to be weighed, and how many: their weights lie anywhere in a large table, and the places of all are known before
    /// the first one is read.
    rows: [u32; ROWS],
    waiting: usize,
    /// The last chunks, empty ones before the first, and their sum.
    recent: [(Counts, usize); WIDE],
    sum: Counts,
    /// Chunks so far.
    pub chunks: usize,
    start: usize,
}

impl<'a, Row: Fn(u32) -> i32, Out: FnMut(&Counts, Range<usize>)> Windows<'a, Row, Out> {
    /// `row` gives the weight of an n-gram; `out` takes each window with its bytes. `normal` when the text is a
    /// readable form: its steps count as features where they were found. With `memo` plain tokens are remembered.
    pub fn new(row: Row, normal: Option<&'a Normal>, memo: Option<&'a mut Memo>, out: Out) -> Self {
        Self {
            row,
            out,
            normal,
            memo,
            weight: 0,
            rows: [0; ROWS],
            waiting: 0,
            recent: [(Counts::default(), 0); WIDE],
            sum: Counts::default(),
            chunks: 0,
            start: 0,
        }
    }

    /// Weighs what waits.
    fn weigh(&mut self) {
        let rows = &self.rows[..self.waiting];
        self.weight += rows.iter().map(|row| (self.row)(*row)).sum::<i32>();
        self.waiting = 0;
    }

    /// The last chunks as one window, that begins where the first of them does.
    fn wide(&mut self, chunks: usize, end: usize) {
        let start = self.recent[(self.chunks - chunks) % WIDE].1;
        self.sum.worst_of(self.recent.iter().map(|(counts, _)| counts));
        (self.out)(&self.sum, start..end);
    }

    /// After the text was read: a text of two or three chunks is also one window as a whole.
    pub fn finish(mut self) -> usize {
        if (2..WIDE).contains(&self.chunks) {
            self.wide(self.chunks, self.start);
        }
        self.chunks
    }
}

/// Counts the steps of the normaliser that touch the bytes `chunk` of the readable form.
pub fn mark_steps(counts: &mut Counts, normal: &Normal, chunk: Range<usize>) {
    let origin = normal.form.origin(chunk);
    for (_, span, n) in normal.evidence.regions() {
        if span.start < origin.end && origin.start < span.end {
            for _ in 0..n.min(3) {
                counts.rule(Category::Encoded as u8);
            }
        }
    }
}

impl<Row: Fn(u32) -> i32, Out: FnMut(&Counts, Range<usize>)> Sink for Windows<'_, Row, Out> {
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
    fn know(&mut self, token: &Token<'_>, tables: (&Language, &Lexicon)) -> Option<Known> {
        let row = &self.row;
        self.memo.as_mut().map(|memo| memo.know(token, tables, row))
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
        if let Some(normal) = self.normal {
            mark_steps(&mut counts, normal, self.start..end);
        }
        let oldest = &mut self.recent[self.chunks % WIDE];
        self.sum.take(&oldest.0);
        self.sum.add(&counts);
        *oldest = (counts, self.start);
        self.chunks += 1;
        (self.out)(&counts, self.start..end);
        if self.chunks >= WIDE {
            self.wide(WIDE, end);
        }
        self.start = end;
    }
}
