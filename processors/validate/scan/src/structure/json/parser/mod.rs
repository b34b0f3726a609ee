//! A push parser for JSON (RFC 8259).
//!
//! Of its own and not `serde_json`, because a document of any size has to be read in constant memory, fed in chunks, with the byte of
//! every value. A state machine over decoded text: a chunk may end anywhere. It is compared with `serde_json` by property tests.

mod tokens;

use std::ops::Range;

use cofferdam_schemas::Severity;

use super::event::{JsonSink, Value};
use super::keys::Keys;
use super::number::Spot;
use super::path::Path;
use crate::structure::report::{Collector, FIELD_BYTES, Place, Problem};
use crate::structure::text::{Lines, Piece};

/// Bytes of a string that are given at once, as written.
pub const PART: usize = 64 * 1024;
/// Bytes of a number that are kept.
const NUMBER: usize = 1024;

/// Limits of the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonOptions {
    /// Arrays and objects within each other. 512 unless set; `serde_json` stops at 128. Deeper, the parser stops and says so.
    pub depth: usize,
    /// Names of open objects remembered to find duplicates, 8 to 18 bytes each. 1 Mi unless set. Beyond, duplicates may be missed and
    /// the limit is reported.
    pub names: usize,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            depth: 512,
            names: 1 << 20,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value has to come; `true`: or the end of the array.
    Value(bool),
    /// A name has to come; `true`: or the end of the object.
    Name(bool),
    Colon,
    /// A value ended: comma, bracket or the end.
    After,
    String,
    Escape,
    Hex(u8, u32),
    Number(Spot),
    Word(&'static str, usize),
    Failed,
}

/// The parser. See the module.
#[derive(Debug)]
pub struct Parser {
    options: JsonOptions,
    state: State,
    path: Path,
    /// For each open bracket, whether it is an object's.
    open: Vec<bool>,
    keys: Keys,
    pub(super) lines: Lines,
    /// The current token as far as it came in earlier pieces.
    carry: String,
    /// Bytes of the current part or number, the ones in this piece included.
    length: usize,
    /// Where the token began (its quote), and the part.
    token: Place,
    part_begin: u64,
    part: u32,
    is_name: bool,
    escaped: bool,
    /// The last escape was the first half of a surrogate pair.
    high: bool,
    pub(super) values: u64,
    pub(super) strings: u64,
    pub(super) deepest: usize,
}

impl Parser {
    /// A parser at the beginning of a document.
    pub fn new(options: JsonOptions) -> Self {
        Self {
            options,
            state: State::Value(false),
            path: Path::default(),
            open: Vec::new(),
            keys: Keys::new(options.names),
            lines: Lines::default(),
            carry: String::new(),
            length: 0,
            token: Place::default(),
            part_begin: 0,
            part: 0,
            is_name: false,
            escaped: false,
            high: false,
            values: 0,
            strings: 0,
            deepest: 0,
        }
    }

    /// Forgets the value it is in: for the next record.
    pub(super) fn reset(&mut self) {
        self.state = State::Value(false);
        self.path.clear();
        self.open.clear();
        self.keys.clear();
        self.carry.clear();
        self.carry.shrink_to(PART * 2);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// Whether nothing but white space has come.
    pub(super) fn is_blank(&self) -> bool {
        self.state == State::Value(false) && self.open.is_empty()
    }

    /// Reads a piece.
    pub fn piece<S: JsonSink>(&mut self, piece: &Piece<'_>, sink: &mut S, out: &mut Collector) {
        let bytes = piece.text.as_bytes();
        // Where in this piece the token goes on that began in an earlier one.
        let mut from = 0;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::String => match self.string(piece, &mut from, &mut at, sink, out) {
                    Some(()) => continue,
                    None => break,
                },
                State::Escape => {
                    self.state = match byte {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::String,
                        b'u' => State::Hex(0, 0),
                        _ => {
                            return self.fail(
                                piece,
                                at,
                                "a backslash is followed by a character that is no escape",
                                "RFC 8259 section 7",
                                out,
                            );
                        }
                    };
                    if byte != b'u' && std::mem::take(&mut self.high) {
                        self.surrogate(piece, at, out);
                    }
                }
                State::Hex(digits, number) => {
                    let Some(digit) = char::from(byte).to_digit(16) else {
                        return self.fail(
                            piece,
                            at,
                            "a \\u escape has to have four hexadecimal digits",
                            "RFC 8259 section 7",
                            out,
                        );
                    };
                    let number = number << 4 | digit;
                    self.state = State::Hex(digits + 1, number);
                    if digits == 3 {
                        self.state = State::String;
                        let (high, low) = ((0xd800..0xdc00).contains(&number), (0xdc00..0xe000).contains(&number));
                        if self.high != low {
                            self.surrogate(piece, at, out);
                        }
                        self.high = high;
                    }
                }
                State::Number(spot) => {
                    let mut spot = spot;
                    let begin = at;
                    while let Some(next) = bytes.get(at).and_then(|byte| spot.next(*byte)) {
                        spot = next;
                        at += 1;
                    }
                    self.length += at - begin;
                    self.state = State::Number(spot);
                    if at == bytes.len() {
                        break;
                    }
                    if !spot.is_end() {
                        return self.fail(
                            piece,
                            at,
                            "a number ends too early or has a character that does not belong there",
                            "RFC 8259 section 6",
                            out,
                        );
                    }
                    self.number(&piece.text[from..at], piece.source(at), sink, out);
                    continue;
                }
                State::Word(word, matched) => {
                    if word.as_bytes()[matched] != byte {
                        return self.fail(
                            piece,
                            at,
                            "a word that is none of true, false and null",
                            "RFC 8259 section 3",
                            out,
                        );
                    }
                    self.state = State::Word(word, matched + 1);
                    if matched + 1 == word.len() {
                        let value = match word {
                            "true" => Value::Bool(true),
                            "false" => Value::Bool(false),
                            _ => Value::Null,
                        };
                        self.emit(value, self.token.at..piece.source(at + 1), sink);
                        self.state = State::After;
                    }
                }
                State::Failed => return,
                _ => match byte {
                    b' ' | b'\t' => {}
                    b'\n' | b'\r' => self.lines.take(byte, piece.at + at as u64),
                    _ => {
                        if !self.structural(byte, piece, at, sink, out) {
                            return;
                        }
                        from = if matches!(self.state, State::Number(_)) {
                            at
                        } else {
                            at + 1
                        };
                    }
                },
            }
            at += 1;
        }
        if matches!(self.state, State::String | State::Escape | State::Hex(..)) {
            self.carry.push_str(&piece.text[from.min(bytes.len())..]);
        } else if matches!(self.state, State::Number(_)) && self.carry.len() < NUMBER {
            let room = NUMBER - self.carry.len();
            let rest = &piece.text[from..];
            self.carry.push_str(&rest[..rest.len().min(room)]);
        }
    }

    /// A character that is neither white space nor within a token. Says whether parsing goes on.
    #[inline]
    fn structural<S: JsonSink>(
        &mut self,
        byte: u8,
        piece: &Piece<'_>,
        at: usize,
        sink: &mut S,
        out: &mut Collector,
    ) -> bool {
        match (self.state, byte) {
            (State::Value(_) | State::Name(_), b'"') => {
                self.token = self.lines.place(piece, at);
                self.is_name = matches!(self.state, State::Name(_));
                self.state = State::String;
                self.part_begin = piece.source(at + 1);
                (self.length, self.part, self.escaped, self.high) = (0, 0, false, false);
                self.carry.clear();
            }
            (State::Value(_), b'{' | b'[') => {
                if self.open.len() >= self.options.depth {
                    out.limit(
                        "json-depth",
                        self.options.depth as u64,
                        "everything behind the deepest bracket",
                        Some(piece.source(at)),
                    );
                    self.fail(
                        piece,
                        at,
                        "arrays and objects are nested deeper than the limit",
                        "RFC 8259 section 9",
                        out,
                    );
                    return false;
                }
                let object = byte == b'{';
                let span = piece.source(at)..piece.source(at + 1);
                self.emit(if object { Value::Object } else { Value::Array }, span, sink);
                self.open.push(object);
                self.deepest = self.deepest.max(self.open.len());
                if object {
                    self.path.enter_object();
                    self.keys.enter();
                    self.state = State::Name(true);
                } else {
                    self.path.enter_array();
                    self.state = State::Value(true);
                }
            }
            (State::Value(true), b']') | (State::Name(true), b'}') => self.close(piece.source(at + 1), sink),
            (State::Value(_), b'-' | b'0'..=b'9') => {
                self.token = self.lines.place(piece, at);
                self.state = State::Number(Spot::first(byte));
                self.length = 1;
                self.carry.clear();
            }
            (State::Value(_), b't' | b'f' | b'n') => {
                self.token = self.lines.place(piece, at);
                let word = match byte {
                    b't' => "true",
                    b'f' => "false",
                    _ => "null",
                };
                self.state = State::Word(word, 1);
            }
            (State::Colon, b':') => self.state = State::Value(false),
            (State::After, _) => match (self.open.last(), byte) {
                (Some(true), b',') => self.state = State::Name(false),
                (Some(false), b',') => {
                    self.path.next();
                    self.state = State::Value(false);
                }
                (Some(true), b'}') | (Some(false), b']') => self.close(piece.source(at + 1), sink),
                (None, _) => {
                    self.fail(
                        piece,
                        at,
                        "something follows the end of the value",
                        "RFC 8259 section 2",
                        out,
                    );
                    return false;
                }
                _ => {
                    self.fail(
                        piece,
                        at,
                        "a comma or the closing bracket has to stand here",
                        "RFC 8259 sections 4 and 5",
                        out,
                    );
                    return false;
                }
            },
            (state, _) => {
                let (message, citation) = match state {
                    State::Name(_) => (
                        "the name of a member, in quotes, has to stand here",
                        "RFC 8259 section 4",
                    ),
                    State::Colon => ("a colon has to stand between name and value", "RFC 8259 section 4"),
                    _ => ("a value has to stand here", "RFC 8259 section 3"),
                };
                self.fail(piece, at, message, citation, out);
                return false;
            }
        }
        true
    }

    fn close<S: JsonSink>(&mut self, at: u64, sink: &mut S) {
        self.path.leave();
        let object = self.open.pop() == Some(true);
        if object {
            self.keys.leave();
        }
        sink.end(&self.path, object, at);
        self.state = State::After;
    }

    #[inline]
    fn emit<S: JsonSink>(&mut self, value: Value<'_>, span: Range<u64>, sink: &mut S) {
        self.values += 1;
        sink.value(&self.path, value, span, self.lines.line);
    }

    fn fail(
        &mut self,
        piece: &Piece<'_>,
        at: usize,
        message: &'static str,
        citation: &'static str,
        out: &mut Collector,
    ) {
        let place = self.lines.place(piece, at);
        let end = (at + 1..=piece.text.len()).find(|end| piece.text.is_char_boundary(*end));
        self.fail_at(place, piece.source(end.unwrap_or(at)), message, citation, out);
    }

    fn fail_at(&mut self, place: Place, end: u64, message: &'static str, citation: &'static str, out: &mut Collector) {
        let problem = located(
            Problem::new("structure/json-syntax", Severity::High, message),
            &self.path,
        );
        out.reject(
            problem
                .at(place, end)
                .cite(citation)
                .remedy("write JSON as RFC 8259 says"),
        );
        self.state = State::Failed;
    }

    /// The text ends here. Says whether it was one whole value.
    pub fn finish<S: JsonSink>(&mut self, end: Place, sink: &mut S, out: &mut Collector) -> bool {
        if let State::Number(spot) = self.state
            && spot.is_end()
        {
            self.number("", end.at, sink, out);
        }
        if self.state == State::Failed || (self.state == State::After && self.open.is_empty()) {
            return self.state != State::Failed;
        }
        let message = match self.state {
            State::String | State::Escape | State::Hex(..) => "the text ends within a string",
            State::Number(_) | State::Word(..) => "the text ends within a value",
            _ if self.is_blank() => "there is no value",
            _ => "the text ends before all brackets are closed",
        };
        self.fail_at(end, end.at, message, "RFC 8259 section 2", out);
        false
    }
}

/// Names the member a problem is in.
pub(super) fn located(problem: Problem, path: &Path) -> Problem {
    let mut field = String::new();
    path.write(&mut field, FIELD_BYTES);
    if field.is_empty() {
        problem
    } else {
        problem.field(&field)
    }
}
