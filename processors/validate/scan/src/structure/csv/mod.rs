//! Tables as text: CSV (RFC 4180), TSV and their kin, as a stream of any length in constant memory.
//!
//! Cells are split as the `csv` crate splits them (compared by a property test): a quote opens a quoted cell only at its beginning, doubled
//! quotes in it mean one, CR, LF and CRLF end a row, and empty lines are skipped. Unlike that crate, this reader tells what is wrong:
//! hence it is not used. Memory: one row, up to [`CsvOptions::row_bytes`], and the first 64 KiB to guess the dialect.

mod dialect;
mod formula;
mod row;
mod shape;

use cofferdam_schemas::Severity;

pub use dialect::{Dialect, guess};
pub use formula::judge as judge_formula;
pub use row::{Cell, Row, RowBuffer, RowSink};

use self::row::Held;
use self::shape::Shape;
use super::report::{Collector, Place, Problem};
use super::text::{Engine, HEAD, Lines, OwnedPiece, Piece};

/// How a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// How it is written; guessed if unset.
    pub dialect: Option<Dialect>,
    /// Bytes of a row that are kept. 16 MiB unless set; the rest of a longer row is not looked at, and said so.
    pub row_bytes: usize,
    /// Cells of a row that are kept, 40 bytes each. 65 536 unless set.
    pub row_cells: usize,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            dialect: None,
            row_bytes: 16 << 20,
            row_cells: 1 << 16,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Begin,
    Plain,
    Quoted,
    /// Behind a quote within a quoted cell: the first of two, or the closing one.
    Quote,
}

/// The engine.
pub struct Csv<S> {
    options: CsvOptions,
    /// Held back until the dialect is known.
    head: Option<Vec<OwnedPiece>>,
    held: usize,
    delimiter: u8,
    state: State,
    lines: Lines,
    text: String,
    cells: Vec<Held>,
    /// Where the current row and cell begin, and the last quote that opened a cell.
    row: Place,
    cell: u64,
    quote: Place,
    quoted: bool,
    escaped: bool,
    /// A row was just ended by CR, so LF belongs to it.
    after_return: bool,
    /// The row is longer than is kept.
    over: bool,
    lost: bool,
    shape: Shape,
    /// Takes the rows.
    pub sink: S,
}

impl<S: RowSink> Csv<S> {
    /// An engine for one table.
    pub fn new(options: CsvOptions, sink: S) -> Self {
        Self {
            options,
            head: options.dialect.is_none().then(Vec::new),
            held: 0,
            delimiter: options.dialect.map_or(b',', |dialect| dialect.delimiter),
            state: State::Begin,
            lines: Lines::default(),
            text: String::new(),
            cells: Vec::new(),
            row: Place::default(),
            cell: 0,
            quote: Place::default(),
            quoted: false,
            escaped: false,
            after_return: false,
            over: false,
            lost: false,
            shape: Shape::new(options.dialect.and_then(|dialect| dialect.header)),
            sink,
        }
    }

    fn begin(&mut self, out: &mut Collector) {
        let Some(head) = self.head.take() else { return };
        let text: String = head.iter().map(OwnedPiece::text).collect();
        self.delimiter = guess(&text);
        for piece in &head {
            self.read(&piece.piece(), out);
        }
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        let bytes = piece.text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Begin => {
                    if self.cells.is_empty() {
                        self.row = self.lines.place(piece, at);
                    }
                    if self.cells.is_empty() && matches!(byte, b'\n' | b'\r') {
                        self.blank(byte, piece.at + at as u64);
                        at += 1;
                        continue;
                    }
                    self.after_return = false;
                    self.cell = piece.source(at);
                    (self.quoted, self.escaped) = (byte == b'"', false);
                    if self.quoted {
                        self.quote = self.lines.place(piece, at);
                    }
                    self.state = if self.quoted { State::Quoted } else { State::Plain };
                    at += usize::from(self.quoted);
                }
                State::Plain => {
                    let run = at + self.plain(&bytes[at..]);
                    self.keep(&piece.text[at..run], out);
                    at = run;
                    let Some(&byte) = bytes.get(run) else { return };
                    if byte == b'"' && byte != self.delimiter {
                        self.stray(piece, run, out);
                        self.keep("\"", out);
                    } else {
                        self.end_cell(byte, piece, run, out);
                    }
                    at += 1;
                }
                State::Quoted => {
                    let run = memchr::memchr(b'"', &bytes[at..]).map_or(bytes.len(), |found| at + found);
                    for end in memchr::memchr2_iter(b'\n', b'\r', &bytes[at..run]) {
                        self.lines.take(bytes[at + end], piece.at + (at + end) as u64);
                    }
                    self.keep(&piece.text[at..run], out);
                    at = run + 1;
                    if run < bytes.len() {
                        self.state = State::Quote;
                    }
                }
                State::Quote => {
                    if byte == b'"' {
                        self.escaped = true;
                        self.keep("\"", out);
                        self.state = State::Quoted;
                    } else if byte == self.delimiter || matches!(byte, b'\n' | b'\r') {
                        self.end_cell(byte, piece, at, out);
                    } else {
                        self.stray(piece, at, out);
                        self.state = State::Plain;
                        continue;
                    }
                    at += 1;
                }
            }
        }
    }

    /// How many bytes at the beginning neither part cells nor rows nor are quotes. Eight at a time.
    #[inline]
    fn plain(&self, bytes: &[u8]) -> usize {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let delimiter = LOW * u64::from(self.delimiter);
        let (words, rest) = bytes.as_chunks::<8>();
        for (number, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // The highest bit of a byte stays unset only where the byte equals; no carry passes from byte to byte.
            let differs = |pattern: u64| (((word ^ pattern) & SEVEN) + SEVEN) | (word ^ pattern);
            let found =
                !(differs(delimiter) & differs(LOW * 0x22) & differs(LOW * 0x0a) & differs(LOW * 0x0d)) & !SEVEN;
            if found != 0 {
                return number * 8 + found.trailing_zeros() as usize / 8;
            }
        }
        let from = bytes.len() - rest.len();
        let special = |byte: &u8| *byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r');
        from + rest.iter().position(special).unwrap_or(rest.len())
    }

    /// Keeps text of the row as long as there is room.
    #[inline]
    fn keep(&mut self, text: &str, out: &mut Collector) {
        if self.text.len() + text.len() <= self.options.row_bytes && !self.over {
            self.text.push_str(text);
        } else if !self.over {
            // As much as fits, so that cuts of the stream change nothing.
            let room = self.options.row_bytes - self.text.len();
            self.text.push_str(&text[..text.floor_char_boundary(room)]);
            self.exceed("csv-row-bytes", self.options.row_bytes, out);
        }
    }

    fn exceed(&mut self, name: &'static str, value: usize, out: &mut Collector) {
        (self.over, self.lost) = (true, true);
        // The place of the row and not of the byte, which depends on how the stream is cut.
        let row = self.row;
        out.limit(name, value as u64, "the rest of a row", Some(row.at));
        out.add("structure/csv-long-row", 0, || {
            Problem::new(
                "structure/csv-long-row",
                Severity::Medium,
                "a row is longer than the limit; a quote may never be closed",
            )
            .at(row, row.at)
            .cite("RFC 4180 section 2")
            .remedy("split the row, or close the quote")
        });
    }

    fn stray(&mut self, piece: &Piece<'_>, at: usize, out: &mut Collector) {
        let (place, number) = (self.lines.place(piece, at), self.shape.next());
        out.add("structure/csv-stray-quote", 0, || {
            Problem::new(
                "structure/csv-stray-quote",
                Severity::Low,
                "a quote stands within a cell, where programs differ in what it means",
            )
            .at(place, place.at + 1)
            .row(number)
            .cite("RFC 4180 section 2, rules 5 and 7")
            .remedy("put the cell in quotes and double the quotes in it")
        });
    }

    fn blank(&mut self, byte: u8, at: u64) {
        if !(byte == b'\n' && self.after_return) {
            self.shape.blank += 1;
        }
        self.after_return = byte == b'\r';
        self.lines.take(byte, at);
    }

    #[inline]
    fn end_cell(&mut self, byte: u8, piece: &Piece<'_>, at: usize, out: &mut Collector) {
        self.push_cell(piece.source(at), out);
        if byte != self.delimiter {
            self.end_row(out);
            self.after_return = byte == b'\r';
            self.lines.take(byte, piece.at + at as u64);
        }
    }

    #[inline]
    fn push_cell(&mut self, end: u64, out: &mut Collector) {
        self.state = State::Begin;
        if self.cells.len() >= self.options.row_cells {
            if !self.over {
                self.exceed("csv-row-cells", self.options.row_cells, out);
            }
            return;
        }
        self.cells.push(Held {
            end: self.text.len(),
            span: self.cell..end,
            quoted: self.quoted,
            escaped: self.escaped,
        });
    }

    fn end_row(&mut self, out: &mut Collector) {
        let row = (&*self.text, &*self.cells, self.row);
        self.shape.row(row, self.over, self.delimiter, &mut self.sink, out);
        self.text.clear();
        self.cells.clear();
        self.over = false;
    }
}

impl<S: RowSink> Engine for Csv<S> {
    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        let Some(head) = &mut self.head else {
            return self.read(piece, out);
        };
        let fits = piece.text.floor_char_boundary(HEAD - self.held);
        self.held += fits;
        OwnedPiece::push(head, &piece.part(0, fits));
        if fits < piece.text.len() {
            self.begin(out);
            self.read(&piece.part(fits, piece.text.len()), out);
        }
    }

    fn finish(&mut self, end: Place, out: &mut Collector) {
        self.begin(out);
        if self.state == State::Quoted {
            let cell = self.quote;
            out.reject(
                Problem::new(
                    "structure/csv-unclosed-quote",
                    Severity::High,
                    "a quote is never closed: all that follows became one cell",
                )
                .at(cell, end.at)
                .cite("RFC 4180 section 2, rule 5")
                .remedy("close the quote, or double it if it belongs to the text"),
            );
            out.report().stopped_at = Some(cell.at);
        }
        if self.state != State::Begin || !self.cells.is_empty() {
            if self.state == State::Begin {
                (self.cell, self.quoted, self.escaped) = (end.at, false, false);
            }
            self.push_cell(end.at, out);
            self.end_row(out);
        }
        out.word("delimiter", char::from(self.delimiter).to_string());
        self.shape.finish(out);
        self.sink.finish(!self.lost, out);
        for what in ["cells and rows", "names of columns", "formulas"] {
            out.checked(what);
        }
    }
}

#[cfg(test)]
mod tests;
