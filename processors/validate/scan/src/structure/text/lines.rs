//! Lines, and characters that do not belong into text.

use cofferdam_schemas::Severity;

use super::decoder::Piece;
use crate::structure::report::{Collector, Place, Problem};

/// Counts lines. A line ends with LF, CRLF or a lone CR.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    /// The line we are in, from 1.
    pub line: u64,
    /// Where it begins in the decoded text.
    pub begin: u64,
    after_return: bool,
    /// Only LF ends a line, as in JSON lines.
    pub feeds_only: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            line: 1,
            begin: 0,
            after_return: false,
            feeds_only: false,
        }
    }
}

impl Lines {
    /// Takes a CR or LF that stands at `at` in the decoded text.
    #[inline]
    pub fn take(&mut self, byte: u8, at: u64) {
        if self.feeds_only && byte == b'\r' {
            return;
        }
        // The LF of a CRLF ends the line that its CR has ended already.
        let second = byte == b'\n' && self.after_return && self.begin == at;
        self.line += u64::from(!second);
        self.begin = at + 1;
        self.after_return = byte == b'\r';
    }

    /// The place of byte `index` of a piece, which must be in the current line.
    pub fn place(&self, piece: &Piece<'_>, index: usize) -> Place {
        let column = (piece.at + index as u64).saturating_sub(self.begin) + 1;
        Place {
            at: piece.source(index),
            line: self.line,
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    number: u64,
    first: Option<(Place, u64)>,
}

impl Tally {
    fn add(&mut self, place: impl FnOnce() -> (Place, u64)) {
        self.number += 1;
        if self.first.is_none() {
            self.first = Some(place());
        }
    }
}

/// What every text is checked for.
#[derive(Debug, Default)]
pub struct Checks {
    lines: Lines,
    feeds: u64,
    returns: u64,
    pairs: u64,
    /// Where the last CR stood, plus one.
    after_return: u64,
    longest: u64,
    longest_line: u64,
    read: u64,
    nul: Tally,
    control: Tally,
    replaced: Tally,
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The bytes below 0x20, each as its highest bit.
#[inline]
fn controls(word: u64) -> u64 {
    // No carry from byte to byte: 0x7f + 0x60 fits.
    !(((word & !HIGH) + LOW * 0x60) | word) & HIGH
}

impl Checks {
    /// Takes the next piece.
    pub fn piece(&mut self, piece: &Piece<'_>) {
        if piece.replaced {
            let place = self.lines.place(piece, 0);
            self.replaced.add(|| (place, piece.source(3)));
        }
        let bytes = piece.text.as_bytes();
        let (words, rest) = bytes.as_chunks::<8>();
        for (number, word) in words.iter().enumerate() {
            let mut found = controls(u64::from_le_bytes(*word));
            while found != 0 {
                let index = number * 8 + found.trailing_zeros() as usize / 8;
                self.control(piece, index, bytes[index]);
                found &= found - 1;
            }
        }
        let from = bytes.len() - rest.len();
        for (offset, byte) in rest.iter().enumerate() {
            if *byte < 0x20 {
                self.control(piece, from + offset, *byte);
            }
        }
        self.read = piece.at + bytes.len() as u64;
    }

    fn control(&mut self, piece: &Piece<'_>, index: usize, byte: u8) {
        let at = piece.at + index as u64;
        match byte {
            b'\n' if self.after_return == at && at > 0 => {
                self.returns -= 1;
                self.pairs += 1;
                self.lines.take(byte, at);
            }
            b'\n' | b'\r' => {
                self.line_ends(at);
                self.lines.take(byte, at);
                if byte == b'\n' {
                    self.feeds += 1;
                } else {
                    self.returns += 1;
                    self.after_return = at + 1;
                }
            }
            // Tabs are text, form feeds part pages, escapes colour logs.
            b'\t' | 0x0c | 0x1b => {}
            _ => {
                let lines = self.lines;
                let tally = if byte == 0 { &mut self.nul } else { &mut self.control };
                tally.add(|| (lines.place(piece, index), piece.source(index + 1)));
            }
        }
    }

    fn line_ends(&mut self, at: u64) {
        let length = at - self.lines.begin;
        if length > self.longest {
            (self.longest, self.longest_line) = (length, self.lines.line);
        }
    }

    /// Writes what was found. `long_line` is the length in bytes from which a line is remarked upon.
    pub fn finish(mut self, long_line: u64, out: &mut Collector) {
        self.line_ends(self.read);
        let open = self.read > self.lines.begin;
        out.fact("lines", self.lines.line - u64::from(!open));
        out.fact("longest_line", self.longest);
        let ends = [(self.feeds, "lf"), (self.pairs, "crlf"), (self.returns, "cr")];
        let mut used = ends.iter().filter(|(number, _)| *number > 0);
        match (used.next(), used.next()) {
            (None, _) => {}
            (Some((_, name)), None) => out.word("line_ends", *name),
            _ => {
                out.word("line_ends", "mixed");
                out.add("structure/line-ends", 0, || {
                    Problem::new(
                        "structure/line-ends",
                        Severity::Info,
                        format!(
                            "lines end in different ways: {} LF, {} CRLF, {} CR",
                            self.feeds, self.pairs, self.returns
                        ),
                    )
                    .remedy("write all line ends alike")
                });
            }
        }
        if self.longest > long_line {
            out.add("structure/long-line", 0, || {
                let message = format!("a line of {} bytes, more than {long_line}", self.longest);
                let mut problem = Problem::new("structure/long-line", Severity::Low, message);
                problem.line = Some(self.longest_line);
                problem
            });
        }
        let tallies = [
            (
                self.replaced,
                Severity::Medium,
                "structure/encoding",
                "bytes that the encoding does not allow",
                "RFC 3629 section 3; Unicode Standard, chapter 3.9",
            ),
            (
                self.nul,
                Severity::Medium,
                "structure/nul",
                "NUL characters in a text",
                "RFC 2046 section 4.1; Unicode Standard, chapter 23.1",
            ),
            (
                self.control,
                Severity::Low,
                "structure/control",
                "control characters in a text",
                "ISO/IEC 6429; Unicode Standard, chapter 23.1",
            ),
        ];
        for (tally, severity, rule, message, citation) in tallies {
            if let Some((place, end)) = tally.first {
                out.add(rule, 0, || {
                    let mut problem = Problem::new(rule, severity, message).at(place, end).cite(citation);
                    problem.count = tally.number;
                    problem
                });
            }
        }
    }

    /// The place of the end, which is byte `at` of the document.
    pub fn end(&self, at: u64) -> Place {
        let column = self.read.saturating_sub(self.lines.begin) + 1;
        Place {
            at,
            line: self.lines.line,
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// Whether bytes were replaced because the encoding does not allow them.
    pub fn is_broken(&self) -> bool {
        self.replaced.number > 0
    }
}
