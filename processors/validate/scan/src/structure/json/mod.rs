//! JSON (RFC 8259) and JSON lines, strict, as a stream of any length in constant memory.
//!
//! Memory: one part of a string (64 KiB), the path (names cut at 1 KiB, at most the depth limit of them), and 8 to 18 bytes for each name
//! of an open object up to [`JsonOptions::names`]. After the first fault of a document parsing ends ([`StructureReport::stopped_at`]);
//! JSON lines go on with the next line.
//!
//! [`StructureReport::stopped_at`]: super::report::StructureReport::stopped_at

mod event;
mod keys;
mod number;
mod parser;
mod path;

pub use event::{JsonSink, Text, Value};
pub use parser::{JsonOptions, PART, Parser};
pub use path::{Path, Step};

use super::report::{Collector, Place};
use super::text::{Engine, Piece};

/// One JSON document. Values go to the sink as they are found.
pub struct Json<S> {
    parser: Parser,
    /// Takes the values.
    pub sink: S,
}

impl<S: JsonSink> Json<S> {
    /// An engine for one document.
    pub fn new(options: JsonOptions, sink: S) -> Self {
        Self {
            parser: Parser::new(options),
            sink,
        }
    }
}

impl<S: JsonSink> Engine for Json<S> {
    const UTF8_ONLY: bool = true;

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        if self.parser.has_failed() {
            return;
        }
        self.parser.piece(piece, &mut self.sink, out);
        if self.parser.has_failed() {
            stopped(out);
        }
    }

    fn finish(&mut self, end: Place, out: &mut Collector) {
        let good = self.parser.finish(end, &mut self.sink, out);
        facts(&self.parser, good, out);
    }
}

/// Notes where the grammar was left.
fn stopped(out: &mut Collector) {
    let report = out.report();
    let fault = report
        .findings
        .iter()
        .rfind(|problem| problem.rule == "structure/json-syntax");
    report.stopped_at = fault.and_then(|problem| problem.span.as_ref()).map(|span| span.start);
}

fn facts(parser: &Parser, good: bool, out: &mut Collector) {
    out.fact("values", parser.values);
    out.fact("strings", parser.strings);
    out.fact("depth", parser.deepest as u64);
    for what in ["JSON grammar", "duplicate names", "surrogates", "range of numbers"] {
        out.checked(what);
    }
    if !good {
        out.not_checked(
            "values behind the first fault",
            "what a text that is no JSON means is not known",
        );
    }
}

/// JSON lines: one value a line. A bad line is one problem, and the next line begins anew. Blank lines are let pass at the end only.
pub struct JsonLines<S> {
    parser: Parser,
    /// Takes the values.
    pub sink: S,
    records: u64,
    bad: u64,
    /// The first blank line since the last record, and how many.
    blank: Option<(Place, u64)>,
    /// Something was read since the last line end.
    any: bool,
}

impl<S: JsonSink> JsonLines<S> {
    /// An engine for one document.
    pub fn new(options: JsonOptions, sink: S) -> Self {
        let mut parser = Parser::new(options);
        parser.lines.feeds_only = true;
        Self {
            parser,
            sink,
            records: 0,
            bad: 0,
            blank: None,
            any: false,
        }
    }

    fn segment(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        self.any |= !piece.text.is_empty();
        if self.blank.is_some() && piece.text.bytes().any(|byte| !byte.is_ascii_whitespace()) {
            self.blank_lines(out);
        }
        self.parser.piece(piece, &mut self.sink, out);
    }

    fn blank_lines(&mut self, out: &mut Collector) {
        if let Some((place, number)) = self.blank.take() {
            {
                out.add("structure/json-lines-blank", 0, || {
                    let mut problem = super::report::Problem::new(
                        "structure/json-lines-blank",
                        cofferdam_schemas::Severity::Low,
                        "blank lines between records",
                    )
                    .at(place, place.at)
                    .cite("ndjson.org, specification 3.1");
                    problem.count = number;
                    problem
                });
            }
        }
    }

    fn line_ends(&mut self, place: Place, out: &mut Collector) {
        if self.parser.is_blank() {
            let blank = self.blank.get_or_insert((place, 0));
            blank.1 += 1;
            self.parser.reset();
            return;
        }
        self.records += 1;
        let (line, record) = (place.line, self.records);
        let good = self.parser.finish(place, &mut self.sink, out);
        self.bad += u64::from(!good);
        self.sink.record(record, line, good);
        self.parser.reset();
    }
}

impl<S: JsonSink> Engine for JsonLines<S> {
    const UTF8_ONLY: bool = true;

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', piece.text.as_bytes()) {
            self.segment(&piece.part(from, at), out);
            let place = self.parser.lines.place(piece, at);
            self.line_ends(place, out);
            self.parser.lines.take(b'\n', piece.at + at as u64);
            (from, self.any) = (at + 1, false);
        }
        self.segment(&piece.part(from, piece.text.len()), out);
    }

    fn finish(&mut self, end: Place, out: &mut Collector) {
        if self.any {
            self.line_ends(end, out);
        }
        facts(&self.parser, true, out);
        out.fact("records", self.records);
        out.fact("bad_records", self.bad);
    }
}

#[cfg(test)]
mod tests;
