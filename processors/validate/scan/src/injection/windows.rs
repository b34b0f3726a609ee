//! Which stretches of a text are scored: every chunk, and every four neighbouring chunks (about 1 kB).

use std::ops::Range;

use super::features::{Counts, Sink};
use super::normalise::Normal;
use super::rules::Category;

/// Chunks in a wide window.
pub const WIDE: usize = 4;

/// Forms windows as chunks come, in constant memory.
pub struct Windows<'a, Row, Out> {
    row: Row,
    out: Out,
    normal: Option<&'a Normal>,
    weight: i32,
    recent: [(Counts, usize); WIDE],
    /// Chunks so far.
    pub chunks: usize,
    start: usize,
}

impl<'a, Row: FnMut(u32) -> i32, Out: FnMut(&Counts, Range<usize>)> Windows<'a, Row, Out> {
    /// `row` gives the weight of an n-gram; `out` takes each window with its bytes. `normal` when the text is a
    /// readable form: its steps count as features where they were found.
    pub fn new(row: Row, normal: Option<&'a Normal>, out: Out) -> Self {
        Self {
            row,
            out,
            normal,
            weight: 0,
            recent: [(Counts::default(), 0); WIDE],
            chunks: 0,
            start: 0,
        }
    }

    fn wide(&mut self, chunks: usize, end: usize) {
        let first = self.chunks - chunks;
        let (mut counts, start) = self.recent[first % WIDE];
        for chunk in first + 1..self.chunks {
            counts.add(&self.recent[chunk % WIDE].0);
        }
        (self.out)(&counts, start..end);
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

impl<Row: FnMut(u32) -> i32, Out: FnMut(&Counts, Range<usize>)> Sink for Windows<'_, Row, Out> {
    #[inline]
    fn gram(&mut self, row: u32, _end: usize) {
        self.weight += (self.row)(row);
    }

    fn chunk(&mut self, counts: &Counts, end: usize) {
        let mut counts = *counts;
        counts.weight = self.weight as f32;
        self.weight = 0;
        if let Some(normal) = self.normal {
            mark_steps(&mut counts, normal, self.start..end);
        }
        self.recent[self.chunks % WIDE] = (counts, self.start);
        self.chunks += 1;
        (self.out)(&counts, self.start..end);
        if self.chunks >= WIDE {
            self.wide(WIDE, end);
        }
        self.start = end;
    }
}
