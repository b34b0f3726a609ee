//! How much is found, and how much too much.
//!
//! There is no public labelled set of leaky files that this project may use, so the measure is a made-up one: files of many kinds with
//! their lines marked, and files that hold nothing. Whoever writes both rules and files finds what he thought of; so there are a
//! second and a third set, each written after the rules were frozen; the score at that moment stands in its head. It is the honest
//! number: afterwards the rules were changed because of them, too.

mod corpus;

pub use corpus::{Document, parse};

use std::collections::BTreeSet;

use cofferdam_schemas::Severity;

use super::Packs;
use crate::hit::Hit;

/// What was found in a set of documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scores {
    /// Documents with marked lines.
    pub files: usize,
    /// Those of them in which a marked line was found.
    pub files_found: usize,
    /// Marked lines.
    pub lines: usize,
    /// Those of them that a hit covers.
    pub lines_found: usize,
    /// Lines that are not marked and that a hit touches.
    pub false_lines: usize,
    /// Bytes looked at.
    pub bytes: usize,
    /// Marked lines that were missed, and lines that were found and are not marked: document and line from 1.
    pub missed: Vec<(String, usize)>,
    /// See `missed`.
    pub wrong: Vec<(String, usize, String)>,
}

/// Scans the documents and compares with their marks. Hits below `floor` do not count. Without `names` the rules do not see the
/// documents' names.
pub fn evaluate(packs: &Packs, documents: &[Document], floor: Severity, names: bool) -> Scores {
    let mut scores = Scores::default();
    for document in documents {
        let mut hits: Vec<Hit> = Vec::new();
        let _ = packs.scan(&document.text, names.then_some(document.name.as_str()), &mut hits);
        let mut decoded = Vec::new();
        let _ = packs.scan_decoded(&document.text, None, &super::DecodeLimits::default(), &mut decoded);
        hits.extend(decoded.into_iter().map(|decoded| decoded.hit));
        let mut found = BTreeSet::new();
        for hit in hits.iter().filter(|hit| hit.severity >= floor) {
            let first = line_of(&document.text, hit.span.start);
            // A key that goes over many lines counts as the line where it begins.
            let last = line_of(&document.text, hit.span.end.max(hit.span.start + 1) - 1);
            let lines = first..=last;
            let marked = lines.clone().any(|line| document.marked.contains(&line));
            found.extend(lines.clone());
            if !marked {
                scores.false_lines += 1;
                scores.wrong.push((document.name.clone(), first, hit.rule.to_string()));
            }
        }
        scores.bytes += document.text.len();
        scores.files += usize::from(!document.marked.is_empty());
        scores.lines += document.marked.len();
        let hit = document.marked.iter().filter(|line| found.contains(line)).count();
        scores.lines_found += hit;
        scores.files_found += usize::from(hit > 0);
        scores.missed.extend(
            document
                .marked
                .iter()
                .filter(|line| !found.contains(line))
                .map(|line| (document.name.clone(), *line)),
        );
    }
    scores
}

fn line_of(text: &str, at: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..at.min(text.len())]).count()
}
