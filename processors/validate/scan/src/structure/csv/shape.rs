//! What rows have to do with each other: names, numbers of cells; and what stands in their cells.

use std::collections::HashSet;

use cofferdam_schemas::Severity;

use super::dialect::is_header;
use super::formula::judge;
use super::row::{Held, Row, RowSink};
use crate::structure::report::{Collector, Place, Problem, cut};

/// Names of columns that a report carries.
const COLUMNS: usize = 10_000;

/// The table so far.
#[derive(Debug)]
pub(super) struct Shape {
    header: Option<bool>,
    columns: Option<usize>,
    names: Vec<String>,
    rows: u64,
    pub blank: u64,
    ragged: u64,
}

impl Shape {
    pub fn new(header: Option<bool>) -> Self {
        Self {
            header,
            columns: None,
            names: Vec::new(),
            rows: 0,
            blank: 0,
            ragged: 0,
        }
    }

    /// The number of the row that is being read.
    pub fn next(&self) -> u64 {
        let in_header = self.columns.is_none() && self.header != Some(false);
        self.rows + u64::from(!in_header)
    }

    pub fn row<S: RowSink>(
        &mut self,
        (text, cells, place): (&str, &[Held], Place),
        over: bool,
        delimiter: u8,
        sink: &mut S,
        out: &mut Collector,
    ) {
        let mut row = Row {
            number: self.rows + 1,
            line: Some(place.line),
            names: &[],
            text,
            cells,
        };
        let first = self.columns.is_none();
        let columns = *self.columns.get_or_insert(cells.len());
        if first {
            let texts = (0..row.len()).filter_map(|index| row.text(index));
            if *self.header.get_or_insert_with(|| is_header(texts)) {
                row.number = 0;
                self.names = (0..row.len())
                    .map(|index| cut(row.text(index).unwrap_or("")).to_owned())
                    .collect();
                self.judge_names(&row, out);
                formulas(&row, out);
                sink.header(&self.names, out);
                return;
            }
            sink.header(&[], out);
        }
        self.rows += 1;
        row.names = &self.names;
        // A row that was cut has not all of its cells.
        if cells.len() != columns && !over {
            self.ragged += 1;
            ragged(&row, columns, delimiter, place, out);
        }
        formulas(&row, out);
        sink.row(&row, out);
    }

    fn judge_names(&self, row: &Row<'_>, out: &mut Collector) {
        let mut seen = HashSet::new();
        for (index, name) in self.names.iter().enumerate() {
            if name.trim().is_empty() {
                out.add("structure/csv-empty-name", 0, || {
                    row.locate(
                        Problem::new("structure/csv-empty-name", Severity::Low, "a column has no name"),
                        Some(index),
                    )
                    .field(&format!("column {}", index + 1))
                    .cite("RFC 4180 section 2, rule 3")
                    .remedy("name the column")
                });
            } else if !seen.insert(name.trim()) {
                out.add("structure/csv-duplicate-name", 0, || {
                    row.locate(
                        Problem::new(
                            "structure/csv-duplicate-name",
                            Severity::Medium,
                            "two columns have the same name",
                        ),
                        Some(index),
                    )
                    .field(name)
                    .cite("RFC 4180 section 2, rule 3")
                    .remedy("name the columns apart")
                });
            }
        }
    }

    pub fn finish(&mut self, out: &mut Collector) {
        out.fact("rows", self.rows);
        out.fact("columns", self.columns.unwrap_or(0) as u64);
        out.fact("blank_lines", self.blank);
        out.fact("ragged_rows", self.ragged);
        out.word("header", if self.header == Some(true) { "yes" } else { "no" });
        self.names.truncate(COLUMNS);
        out.report().columns = std::mem::take(&mut self.names);
    }
}

fn ragged(row: &Row<'_>, columns: usize, delimiter: u8, place: Place, out: &mut Collector) {
    out.add("structure/csv-ragged", 0, || {
        let message = format!("a row has {} cells where the first has {columns}", row.len());
        let mut problem = row.locate(Problem::new("structure/csv-ragged", Severity::Medium, message), None);
        problem.column = Some(place.column);
        problem
            .cite("RFC 4180 section 2, rule 4")
            .remedy("give every row as many cells as the first")
    });
    // Parted otherwise, it would fit: rows of two files were joined.
    let others = [b',', b'\t', b';', b'|']
        .into_iter()
        .filter(|other| *other != delimiter);
    let fits = |other: u8| {
        row.len() == 1 && columns > 1 && row.text.bytes().filter(|byte| *byte == other).count() + 1 == columns
    };
    if others.into_iter().any(fits) {
        out.add("structure/csv-delimiter", 0, || {
            row.locate(
                Problem::new(
                    "structure/csv-delimiter",
                    Severity::Medium,
                    "a row parts its cells with another character than the first",
                ),
                None,
            )
            .cite("RFC 4180 section 2, rule 4")
            .remedy("write all rows with one delimiter")
        });
    }
}

/// A cell that begins like this may be a formula.
#[inline]
fn suspicious(first: u8) -> bool {
    matches!(first, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n' | b' ' | 0xef)
}

#[inline]
fn formulas(row: &Row<'_>, out: &mut Collector) {
    let bytes = row.text.as_bytes();
    let mut begin = 0;
    for (index, held) in row.cells.iter().enumerate() {
        let first = bytes.get(begin).copied().unwrap_or(b'x');
        let length = held.end - begin;
        begin = held.end;
        if length < 2 || !suspicious(first) {
            continue;
        }
        if let Some(severity) = row.text(index).and_then(judge) {
            let group = u32::from(severity == Severity::High);
            out.add("active/formula", group, || {
                let message = if severity == Severity::High {
                    "a cell is a formula that reaches beyond the sheet when a spreadsheet program opens the table"
                } else {
                    "a cell is a formula when a spreadsheet program opens the table"
                };
                row.locate(Problem::new("active/formula", severity, message), Some(index))
                    .cite("CWE-1236")
                    .remedy("put an apostrophe before the cell, or keep formulas out of exported tables")
            });
        }
    }
}
