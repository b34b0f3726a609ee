//! Strings, names and numbers.

use std::ops::Range;

use cofferdam_schemas::Severity;

use super::{NUMBER, PART, Parser, State, located};
use crate::structure::json::event::{JsonSink, Text, Value};
use crate::structure::json::keys::Seen;
use crate::structure::json::number::{Fate, fate};
use crate::structure::report::{Collector, Problem};
use crate::structure::text::Piece;

impl Parser {
    /// Reads on in a string. `None` when the piece ends or the document is broken.
    #[inline]
    pub(super) fn string<S: JsonSink>(
        &mut self,
        piece: &Piece<'_>,
        from: &mut usize,
        at: &mut usize,
        sink: &mut S,
        out: &mut Collector,
    ) -> Option<()> {
        let bytes = piece.text.as_bytes();
        let room = PART.saturating_sub(self.length);
        let stop = bytes.len().min(*at + room + 4);
        let run = *at + plain(&bytes[*at..stop]);
        if run - *at > room {
            // Not a single character may fit, but then the part is not empty.
            let end = piece.text.floor_char_boundary(*at + room);
            self.length += end - *at;
            if std::mem::take(&mut self.high) {
                self.surrogate(piece, *at, out);
            }
            self.flush(piece, *from, end, false, sink, out);
            (*from, *at) = (end, end);
            return Some(());
        }
        // Where the run begins and not where it ends, which may be the end of the piece.
        if run > *at && std::mem::take(&mut self.high) {
            self.surrogate(piece, *at, out);
        }
        self.length += run - *at;
        *at = run;
        let byte = *bytes.get(run)?;
        match byte {
            b'"' => {
                if std::mem::take(&mut self.high) {
                    self.surrogate(piece, run, out);
                }
                self.flush(piece, *from, run, true, sink, out);
                *from = run + 1;
                self.state = if self.is_name { State::Colon } else { State::After };
            }
            b'\\' => {
                if self.length + 6 > PART && !self.high {
                    self.flush(piece, *from, run, false, sink, out);
                    *from = run;
                }
                self.length += 6;
                self.escaped = true;
                self.state = State::Escape;
            }
            _ => {
                self.fail(
                    piece,
                    run,
                    "a control character in a string; it has to be escaped",
                    "RFC 8259 section 7",
                    out,
                );
                return None;
            }
        }
        *at = run + 1;
        Some(())
    }

    /// Gives a part of a string, or a name, which ends at byte `to` of the piece.
    pub(super) fn flush<S: JsonSink>(
        &mut self,
        piece: &Piece<'_>,
        from: usize,
        to: usize,
        last: bool,
        sink: &mut S,
        out: &mut Collector,
    ) {
        let here = &piece.text[from.min(to)..to];
        let mut carry = std::mem::take(&mut self.carry);
        let raw = if carry.is_empty() {
            here
        } else {
            carry.push_str(here);
            &carry
        };
        let text = Text {
            raw,
            escaped: self.escaped,
            part: self.part,
            last,
        };
        let end = piece.source(to);
        let span = self.part_begin..end;
        if !self.is_name {
            if self.part == 0 {
                self.values += 1;
                self.strings += 1;
            }
            sink.value(&self.path, Value::Text(text), span, self.token.line);
        } else if self.part == 0 {
            self.name(text, span, sink, out);
            if !last {
                out.limit("json-name-bytes", PART as u64, "the rest of a name", Some(end));
            }
        }
        carry.clear();
        self.carry = carry;
        self.part_begin = end;
        self.part += 1;
        (self.length, self.escaped) = (0, false);
    }

    pub(super) fn name<S: JsonSink>(&mut self, text: Text<'_>, span: Range<u64>, sink: &mut S, out: &mut Collector) {
        let meaning = text.text();
        self.path.rename(&meaning);
        sink.name(&self.path, text, span.clone(), self.token.line);
        if !text.last {
            return;
        }
        match self.keys.add(&meaning) {
            Seen::New => {}
            Seen::Full => out.limit(
                "json-names",
                self.options.names as u64,
                "further duplicate names",
                Some(span.start),
            ),
            Seen::Twice => {
                let (token, path) = (self.token, &self.path);
                out.add("structure/json-duplicate-name", 0, || {
                    located(
                        Problem::new(
                            "structure/json-duplicate-name",
                            Severity::Medium,
                            "a name occurs twice in one object, and programs differ in which value they take",
                        ),
                        path,
                    )
                    .at(token, span.end + 1)
                    .cite("RFC 8259 section 4")
                    .remedy("remove one of the members")
                });
            }
        }
    }

    pub(super) fn number<S: JsonSink>(&mut self, here: &str, end: u64, sink: &mut S, out: &mut Collector) {
        let mut carry = std::mem::take(&mut self.carry);
        let mut number = here;
        if !carry.is_empty() {
            carry.push_str(&here[..here.len().min(NUMBER.saturating_sub(carry.len()))]);
            number = &carry;
        }
        number = &number[..number.len().min(NUMBER)];
        if self.length > NUMBER {
            out.limit(
                "json-number-bytes",
                NUMBER as u64,
                "the rest of a number",
                Some(self.token.at),
            );
        }
        let told = match fate(number) {
            Fate::Kept => None,
            Fate::Rounded => Some((
                "structure/json-number-precision",
                Severity::Info,
                "an integer beyond 2^53 that many programs round",
            )),
            Fate::Infinite => Some((
                "structure/json-number-range",
                Severity::Low,
                "a number too large for IEEE 754 binary64",
            )),
            Fate::Vanished => Some((
                "structure/json-number-range",
                Severity::Low,
                "a number so small that IEEE 754 binary64 makes it zero",
            )),
        };
        if let Some((rule, severity, message)) = told {
            let (token, path) = (self.token, &self.path);
            out.add(rule, 0, || {
                located(Problem::new(rule, severity, message), path)
                    .at(token, end)
                    .cite("RFC 8259 section 6")
                    .remedy("write it as a string, or with fewer digits")
            });
        }
        self.emit(Value::Number(number), self.token.at..end, sink);
        carry.clear();
        self.carry = carry;
        self.state = State::After;
    }

    pub(super) fn surrogate(&self, piece: &Piece<'_>, at: usize, out: &mut Collector) {
        let place = self.lines.place(piece, at);
        out.add("structure/json-surrogate", 0, || {
            located(
                Problem::new(
                    "structure/json-surrogate",
                    Severity::Medium,
                    "half of a surrogate pair, which is no character",
                ),
                &self.path,
            )
            .at(place, place.at + 1)
            .cite("RFC 8259 section 8.2")
            .remedy("write the whole pair or U+FFFD")
        });
    }
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many bytes at the beginning are neither quote nor backslash nor below 0x20. Eight at a time.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let low = word & !HIGH;
        // Each sum has no carry, so every byte is judged alone.
        let above = (low + LOW * 0x60) | word;
        let not_quote = ((low ^ (LOW * 0x22)) + LOW * 0x7f) | word;
        let not_slash = ((low ^ (LOW * 0x5c)) + LOW * 0x7f) | word;
        let found = !(above & not_quote & not_slash) & HIGH;
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let from = bytes.len() - rest.len();
    from + rest
        .iter()
        .position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
        .unwrap_or(rest.len())
}
