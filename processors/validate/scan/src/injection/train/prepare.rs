//! Texts as vectors: read once, used by every fold.

use std::ops::Range;

use super::data::Row;
use crate::injection::features::{Counts, DENSE, Sink, TABLE_BITS, dense, pairs};
use crate::injection::normalise::Normal;
use crate::injection::windows::{Chunk, WIDE, mark, mark_steps};
use crate::injection::{Injection, rules::Findings};

/// Most windows kept of one text.
const WINDOWS: usize = 160;

/// One window: n-grams and pairs of features as (row, value), sorted, and the dense features.
pub struct Window {
    /// Values of n-grams are counts over the square root of all. The rows of pairs come after those of n-grams.
    pub grams: Vec<(u32, f32)>,
    /// As [`dense`] gives them.
    pub dense: [f32; DENSE],
    /// Bytes, for reports.
    pub span: Range<usize>,
}

/// All windows of a text, of both its forms.
pub struct Prepared {
    /// Windows of the text, then those of its readable forms.
    pub windows: Vec<Window>,
    /// Of each form where its windows end, and the chunks that count against them.
    pub forms: Vec<(usize, usize)>,
    /// Bytes of the attack, where it is known.
    pub inside: Option<Range<usize>>,
}

impl Prepared {
    /// Windows of the text as it stands.
    pub fn first(&self) -> usize {
        self.forms[0].0
    }

    /// Whether a window holds most of the attack, and the attack is a good part of it. All do when its place is not known.
    pub fn shows(&self, at: usize) -> bool {
        let Some(attack) = self.inside.as_ref().filter(|_| at < self.first()) else {
            return true;
        };
        let window = &self.windows[at].span;
        let shared = window
            .end
            .min(attack.end)
            .saturating_sub(window.start.max(attack.start));
        shared * 2 > attack.len() && shared * 8 >= window.len()
    }
}

#[derive(Default)]
struct Chunks {
    /// n-grams of the present chunk.
    rows: Vec<u32>,
    /// Those of each before.
    grams: Vec<Vec<u32>>,
    chunks: Vec<Chunk>,
}

impl Sink for Chunks {
    fn gram(&mut self, row: u32, _end: usize) {
        self.rows.push(row);
    }

    fn chunk(&mut self, counts: &Counts, end: usize) {
        self.grams.push(std::mem::take(&mut self.rows));
        self.chunks.push(Chunk { counts: *counts, end });
    }
}

impl Chunks {
    fn window(&self, part: Range<usize>) -> Window {
        let mut counts = Counts::default();
        for chunk in &self.chunks[part.clone()] {
            counts.add(&chunk.counts);
        }
        let mut rows = self.grams[part.clone()].concat();
        rows.sort_unstable();
        let unit = 1.0 / counts.grams.max(1.0).sqrt();
        let mut grams: Vec<(u32, f32)> = rows
            .chunk_by(|a, b| a == b)
            .map(|same| (same[0], same.len() as f32 * unit))
            .collect();
        pairs(&counts, |pair, product| {
            grams.push(((1 << TABLE_BITS) + pair as u32, product))
        });
        let start = part.start.checked_sub(1).map_or(0, |before| self.chunks[before].end);
        Window {
            grams,
            dense: dense(&counts),
            span: start..self.chunks[part.end - 1].end,
        }
    }
}

fn form(
    injection: &Injection,
    text: &str,
    findings: &Findings,
    normal: Option<&Normal>,
    out: &mut Vec<Window>,
) -> usize {
    let mut sink = Chunks::default();
    injection.reader.read(text, &injection.model.language, &mut sink);
    mark(&mut sink.chunks, injection.marks(findings));
    if let Some(normal) = normal {
        mark_steps(&mut sink.chunks, normal);
    }
    let chunks = sink.chunks.len();
    for at in 0..chunks.min(WINDOWS) {
        out.push(sink.window(at..at + 1));
        if at + 1 >= WIDE {
            out.push(sink.window(at + 1 - WIDE..at + 1));
        }
    }
    if (2..WIDE).contains(&chunks) {
        out.push(sink.window(0..chunks));
    }
    chunks
}

/// Reads `rows` with the rules and the language table of `injection`; its weights play no part.
pub fn prepare(injection: &Injection, rows: &[Row]) -> Vec<Prepared> {
    rows.iter()
        .map(|row| {
            let read = injection.read(&row.text);
            let mut windows = Vec::new();
            let chunks = form(injection, &row.text, &read.findings, None, &mut windows);
            let mut forms = vec![(windows.len(), chunks)];
            for hidden in &read.hidden {
                let text = &hidden.normal.form.text;
                let own = form(injection, text, &hidden.findings, Some(&hidden.normal), &mut windows);
                forms.push((windows.len(), hidden.all_chunks(row.text.len(), chunks, own)));
            }
            Prepared {
                windows,
                forms,
                inside: row.inside.clone(),
            }
        })
        .collect()
}
