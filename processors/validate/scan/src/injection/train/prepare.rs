//! Texts as vectors: read once, used by every fold.

use std::ops::Range;

use super::data::Row;
use crate::injection::features::{Counts, DENSE, Sink, dense};
use crate::injection::normalise::Normal;
use crate::injection::windows::{WIDE, mark_steps};
use crate::injection::{Injection, rules::Findings};

/// Most windows kept of one text.
const WINDOWS: usize = 160;

/// One window: n-grams as (row, value), sorted, and the dense features.
pub struct Window {
    /// Values are counts over the square root of all n-grams.
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
    rows: Vec<u32>,
    chunks: Vec<(Counts, Vec<u32>, Range<usize>)>,
    start: usize,
}

impl Sink for Chunks {
    fn gram(&mut self, row: u32, _end: usize) {
        self.rows.push(row);
    }

    fn chunk(&mut self, counts: &Counts, end: usize) {
        self.chunks
            .push((*counts, std::mem::take(&mut self.rows), self.start..end));
        self.start = end;
    }
}

fn window(chunks: &[(Counts, Vec<u32>, Range<usize>)]) -> Window {
    let mut counts = Counts::default();
    let mut rows: Vec<u32> = Vec::new();
    for (more, grams, _) in chunks {
        counts.add(more);
        rows.extend_from_slice(grams);
    }
    rows.sort_unstable();
    let unit = 1.0 / counts.grams.max(1.0).sqrt();
    let grams = rows
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0], same.len() as f32 * unit))
        .collect();
    Window {
        grams,
        dense: dense(&counts),
        span: chunks[0].2.start..chunks[chunks.len() - 1].2.end,
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
    injection
        .reader
        .read(text, &injection.model.language, &injection.marks(findings), &mut sink);
    if let Some(normal) = normal {
        for (counts, _, span) in &mut sink.chunks {
            mark_steps(counts, normal, span.clone());
        }
    }
    let chunks = &sink.chunks;
    for (at, chunk) in chunks.iter().enumerate().take(WINDOWS) {
        out.push(window(std::slice::from_ref(chunk)));
        if at + 1 >= WIDE {
            out.push(window(&chunks[at + 1 - WIDE..=at]));
        }
    }
    if (2..WIDE).contains(&chunks.len()) {
        out.push(window(chunks));
    }
    chunks.len()
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
                forms.push((windows.len(), hidden.chunks(row.text.len(), chunks, own)));
            }
            Prepared {
                windows,
                forms,
                inside: row.inside.clone(),
            }
        })
        .collect()
}
