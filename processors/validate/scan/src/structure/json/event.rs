//! What the parser tells as it goes.

use std::borrow::Cow;
use std::ops::Range;

use super::path::Path;

/// A value, or the beginning of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written, cut at 1 KiB.
    Number(&'a str),
    /// A string, or a part of a long one.
    Text(Text<'a>),
    /// `{`
    Object,
    /// `[`
    Array,
}

/// What stands between the quotes of a string. Strings over 64 KiB come in parts of at most 64 KiB, each cut between characters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Text<'a> {
    /// As it is written, escapes and all.
    pub raw: &'a str,
    /// Whether there are escapes in it.
    pub escaped: bool,
    /// Number of the part, from 0.
    pub part: u32,
    /// Whether the string ends with this part.
    pub last: bool,
}

impl<'a> Text<'a> {
    /// Its meaning. Half a surrogate pair becomes U+FFFD.
    #[inline]
    pub fn text(&self) -> Cow<'a, str> {
        if self.escaped {
            Cow::Owned(self.unescaped())
        } else {
            Cow::Borrowed(self.raw)
        }
    }

    fn unescaped(&self) -> String {
        let mut text = String::with_capacity(self.raw.len());
        walk(self.raw, |letter, _| {
            text.push(letter);
            true
        });
        text
    }

    /// The byte of `raw` from which byte `index` of [`Self::text`] came. Linear in the length.
    pub fn raw_index(&self, index: usize) -> usize {
        if !self.escaped {
            return index.min(self.raw.len());
        }
        let (mut at, mut found) = (0, self.raw.len());
        walk(self.raw, |letter, from| {
            let inside = index < at + letter.len_utf8();
            if inside {
                found = from;
            }
            at += letter.len_utf8();
            !inside
        });
        found
    }
}

/// Calls `take` with each character and where it begins in `raw`, until it says no. `raw` comes from the parser, so its escapes are whole.
fn walk(raw: &str, mut take: impl FnMut(char, usize) -> bool) {
    let mut at = 0;
    while let Some(letter) = raw[at..].chars().next() {
        let from = at;
        at += letter.len_utf8();
        let mut meaning = letter;
        if letter == '\\' {
            let escape = raw[at..].chars().next().unwrap_or('\\');
            at += escape.len_utf8();
            meaning = match escape {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let high = hex(raw, at);
                    at = (at + 4).min(raw.len());
                    let low = raw[at..].starts_with("\\u").then(|| hex(raw, at + 2));
                    match (high, low) {
                        (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
                            at += 6;
                            char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or('\u{fffd}')
                        }
                        _ => char::from_u32(high).unwrap_or('\u{fffd}'),
                    }
                }
                other => other,
            };
        }
        if !take(meaning, from) {
            return;
        }
    }
}

fn hex(raw: &str, at: usize) -> u32 {
    let digits = raw.get(at..at + 4).unwrap_or("");
    u32::from_str_radix(digits, 16).unwrap_or(0xfffd)
}

/// Takes what the parser finds. Positions are bytes of the document as it is stored, whatever its encoding.
pub trait JsonSink {
    /// A value; for objects and arrays their beginning, with the span of the bracket. The span of a text is what stands between its
    /// quotes, that of a part the part's.
    fn value(&mut self, path: &Path, value: Value<'_>, span: Range<u64>, line: u64);

    /// The name of a member; `path` ends with it already. Names over 64 KiB are given cut.
    fn name(&mut self, _path: &Path, _name: Text<'_>, _span: Range<u64>, _line: u64) {}

    /// An object or array ends; `at` is the byte behind its bracket.
    fn end(&mut self, _path: &Path, _object: bool, _at: u64) {}

    /// A record of JSON lines ends; `good` says whether it obeys the grammar. Records count from 1.
    fn record(&mut self, _record: u64, _line: u64, _good: bool) {}
}

/// Takes nothing.
impl JsonSink for () {
    fn value(&mut self, _: &Path, _: Value<'_>, _: Range<u64>, _: u64) {}
}

/// Two take the same.
impl<A: JsonSink, B: JsonSink> JsonSink for (A, B) {
    fn value(&mut self, path: &Path, value: Value<'_>, span: Range<u64>, line: u64) {
        self.0.value(path, value, span.clone(), line);
        self.1.value(path, value, span, line);
    }
    fn name(&mut self, path: &Path, name: Text<'_>, span: Range<u64>, line: u64) {
        self.0.name(path, name, span.clone(), line);
        self.1.name(path, name, span, line);
    }
    fn end(&mut self, path: &Path, object: bool, at: u64) {
        self.0.end(path, object, at);
        self.1.end(path, object, at);
    }
    fn record(&mut self, record: u64, line: u64, good: bool) {
        self.0.record(record, line, good);
        self.1.record(record, line, good);
    }
}
