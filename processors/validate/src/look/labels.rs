//! Values with a label: the column of a table or the member of an object says what a value is, where its form alone says too little.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cofferdam_scan::hit::Hit;
use cofferdam_scan::phi::{Hint, Phi};
use cofferdam_scan::structure::csv::{Row, RowSink};
use cofferdam_scan::structure::json::{JsonSink, Path, Value};
use cofferdam_scan::structure::report::Collector;
use cofferdam_schemas::{Finding, Span};

use super::Engines;
use super::text::show;

/// Names whose meaning is remembered.
const NAMES: usize = 10_000;
/// Holders of one name whose meaning is remembered.
const HOLDERS: usize = 16;
/// Longest value that is taken at its label's word; a longer one is a text and was scanned as such.
const VALUE: usize = 1_024;
/// Bytes of a field's path.
const FIELD: usize = 256;

/// What names promise, looked up once each.
#[derive(Default)]
pub(super) struct Known(HashMap<String, Vec<(String, Option<Hint>)>>);

impl Known {
    /// What the name of a member of `of` promises.
    pub(super) fn hint(&mut self, phi: &Phi, of: &str, name: &str) -> Option<Hint> {
        let near = self.0.get(name);
        if let Some((_, known)) = near.into_iter().flatten().find(|(known, _)| known == of) {
            return *known;
        }
        let hint = phi.label_hint_in(of, name);
        if self.0.len() < NAMES && near.is_none_or(|near| near.len() < HOLDERS) {
            self.0.entry(name.to_owned()).or_default().push((of.to_owned(), hint));
        }
        hint
    }
}

/// Scans labelled values; what it found is fetched with [`Labels::take`].
pub struct Labels {
    engines: Arc<Engines>,
    inside: Option<String>,
    known: Known,
    columns: Vec<Option<Hint>>,
    found: Vec<Finding>,
    hits: Vec<Hit>,
    hash_key: Option<Vec<u8>>,
}

impl Labels {
    pub(super) fn new(engines: Arc<Engines>, inside: Option<String>, hash_key: Option<&[u8]>) -> Self {
        Self {
            hash_key: hash_key.map(<[u8]>::to_vec),
            engines,
            inside,
            known: Known::default(),
            columns: Vec::new(),
            found: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// What was found since the last call.
    pub(super) fn take(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.found)
    }

    /// What a name promises.
    pub(super) fn hint(&mut self, name: &str) -> Option<Hint> {
        self.hint_in("", name)
    }

    /// What the name of a member of something promises.
    fn hint_in(&mut self, of: &str, name: &str) -> Option<Hint> {
        self.known.hint(self.engines.recognizers()?, of, name)
    }

    /// Scans a value; `place` fills in where a hit's first and last byte stand, and the names.
    pub(super) fn value(&mut self, value: &str, hint: Hint, place: impl Fn(&mut Finding, &Range<usize>)) {
        if value.len() > VALUE || value.trim().is_empty() {
            return;
        }
        let engines = self.engines.clone();
        let Some(phi) = engines.recognizers() else { return };
        self.hits.clear();
        phi.scan_labelled(value, hint, &mut self.hits);
        for hit in std::mem::take(&mut self.hits) {
            if !engines.reports(&hit.rule) {
                continue;
            }
            let span = hit.span.clone();
            let mut finding = Finding::from(hit);
            finding.inside.clone_from(&self.inside);
            place(&mut finding, &span);
            show(&mut finding, &value[span], self.hash_key.as_deref());
            self.found.push(finding);
        }
    }
}

impl JsonSink for Labels {
    fn value(&mut self, path: &Path, value: Value<'_>, span: Range<u64>, line: u64) {
        let mut names = path.names();
        let Some(name) = names.next() else { return };
        let Some(hint) = self.hint_in(names.next().unwrap_or_default(), name) else {
            return;
        };
        let locate = |finding: &mut Finding, start: u64, end: u64| {
            finding.span = Some(Span { start, end });
            finding.line = Some(line);
            let mut field = String::new();
            path.write(&mut field, FIELD);
            finding.field = Some(field);
        };
        match value {
            Value::Text(text) if text.part == 0 && text.last => {
                let meaning = text.text();
                self.value(&meaning, hint, |finding, found| {
                    let start = span.start + text.raw_index(found.start) as u64;
                    let end = span.start + text.raw_index(found.end) as u64;
                    locate(finding, start, end.min(span.end));
                });
            }
            Value::Number(digits) => self.value(digits, hint, |finding, _| locate(finding, span.start, span.end)),
            _ => {}
        }
    }
}

impl RowSink for Labels {
    fn header(&mut self, names: &[String], _: &mut Collector) {
        self.columns = names.iter().map(|name| self.hint(name)).collect();
    }

    fn row(&mut self, row: &Row<'_>, _: &mut Collector) {
        for index in 0..row.len().min(self.columns.len()) {
            let Some(hint) = self.columns[index] else { continue };
            let Some(cell) = row.cell(index) else { continue };
            self.value(cell.text, hint, |finding, found| {
                finding.span = (!cell.span.is_empty()).then(|| Span {
                    start: cell.source(found.start),
                    end: cell.source(found.end),
                });
                finding.line = row.line;
                finding.field = Some(row.name(index).chars().take(FIELD).collect());
                finding.cell = Some(format!("row {}", row.number));
            });
        }
    }
}
