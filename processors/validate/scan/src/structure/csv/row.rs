//! A row of a table, from whatever kind of file.

use std::ops::Range;

use crate::structure::report::{Collector, Problem};

/// A cell as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Where its text ends in the text of the row.
    pub end: usize,
    pub span: Range<u64>,
    pub quoted: bool,
    pub escaped: bool,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its number, from 1, the header not counted.
    pub number: u64,
    /// The line of the file it begins in, if there are lines.
    pub line: Option<u64>,
    /// Names of the columns; fewer than cells if the row is too long.
    pub names: &'a [String],
    pub(crate) text: &'a str,
    pub(crate) cells: &'a [Held],
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a> {
    /// Its text, without quotes.
    pub text: &'a str,
    /// Bytes of the document, quotes included. Empty if the file has no such bytes (Parquet, XLSX).
    pub span: Range<u64>,
    /// Whether it is quoted.
    pub quoted: bool,
    /// Whether it has doubled quotes, so that text and bytes are not parallel.
    pub escaped: bool,
}

impl Cell<'_> {
    /// The byte of the document from which byte `index` of the text came. Exact in UTF-8; elsewhere use [`Cell::span`].
    pub fn source(&self, index: usize) -> u64 {
        let before = &self.text[..self.text.floor_char_boundary(index)];
        let doubled = if self.escaped { before.matches('"').count() } else { 0 };
        let at = self.span.start + u64::from(self.quoted) + (index + doubled) as u64;
        at.min(self.span.end)
    }
}

impl<'a> Row<'a> {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The text of a cell, from 0.
    #[inline]
    pub fn text(&self, index: usize) -> Option<&'a str> {
        let end = self.cells.get(index)?.end;
        let begin = index
            .checked_sub(1)
            .and_then(|before| self.cells.get(before))
            .map_or(0, |cell| cell.end);
        self.text.get(begin..end)
    }

    /// A cell, from 0.
    pub fn cell(&self, index: usize) -> Option<Cell<'a>> {
        let held = self.cells.get(index)?;
        Some(Cell {
            text: self.text(index)?,
            span: held.span.clone(),
            quoted: held.quoted,
            escaped: held.escaped,
        })
    }

    /// All cells.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.cell(index))
    }

    /// The name of a column, empty if it has none.
    pub fn name(&self, index: usize) -> &'a str {
        self.names.get(index).map_or("", String::as_str)
    }

    /// Puts a problem into this row, or into one of its cells.
    pub fn locate(&self, mut problem: Problem, cell: Option<usize>) -> Problem {
        problem = problem.row(self.number);
        problem.line = self.line;
        if let Some(index) = cell {
            problem = if self.name(index).is_empty() {
                problem.field(&format!("column {}", index + 1))
            } else {
                problem.field(self.name(index))
            };
            problem.span = self
                .cells
                .get(index)
                .map(|held| held.span.clone())
                .filter(|span| !span.is_empty());
        } else if let (Some(first), Some(last)) = (self.cells.first(), self.cells.last()) {
            problem.span = Some(first.span.start..last.span.end).filter(|span| !span.is_empty());
        }
        problem
    }
}

/// Builds rows from cells, for tables that are no text: Parquet, XLSX.
#[derive(Debug, Default)]
pub struct RowBuffer {
    text: String,
    cells: Vec<Held>,
}

impl RowBuffer {
    /// Begins a new row.
    pub fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    /// Adds a cell. A missing value is an empty text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.cells.push(Held {
            end: self.text.len(),
            ..Held::default()
        });
    }

    /// The row.
    pub fn row<'a>(&'a self, number: u64, names: &'a [String]) -> Row<'a> {
        Row {
            number,
            line: None,
            names,
            text: &self.text,
            cells: &self.cells,
        }
    }
}

/// Takes the rows of a table.
pub trait RowSink {
    /// The names of the columns; none if the table has no header.
    fn header(&mut self, _names: &[String], _out: &mut Collector) {}
    /// A row.
    fn row(&mut self, row: &Row<'_>, out: &mut Collector);
    /// The table ends; `whole` says whether all its rows were given.
    fn finish(&mut self, _whole: bool, _out: &mut Collector) {}
}

/// Takes nothing.
impl RowSink for () {
    fn row(&mut self, _: &Row<'_>, _: &mut Collector) {}
}

/// Two take the same.
impl<A: RowSink, B: RowSink> RowSink for (A, B) {
    fn header(&mut self, names: &[String], out: &mut Collector) {
        self.0.header(names, out);
        self.1.header(names, out);
    }
    fn row(&mut self, row: &Row<'_>, out: &mut Collector) {
        self.0.row(row, out);
        self.1.row(row, out);
    }
    fn finish(&mut self, whole: bool, out: &mut Collector) {
        self.0.finish(whole, out);
        self.1.finish(whole, out);
    }
}

/// May be absent.
impl<A: RowSink> RowSink for Option<A> {
    fn header(&mut self, names: &[String], out: &mut Collector) {
        if let Some(sink) = self {
            sink.header(names, out);
        }
    }
    fn row(&mut self, row: &Row<'_>, out: &mut Collector) {
        if let Some(sink) = self {
            sink.row(row, out);
        }
    }
    fn finish(&mut self, whole: bool, out: &mut Collector) {
        if let Some(sink) = self {
            sink.finish(whole, out);
        }
    }
}
