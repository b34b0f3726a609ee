//! What a person reads in a text that is written in markup or in fields of a fixed meaning, and where in the text it stands.
//!
//! Where there are marks, the text as it stands is looked at for secrets alone; for all else what a program shows and what it does not is read.
//! Everything works on one window of a document at a time, so an element that a window cuts is read from there on as it comes.

mod armor;
mod health;
mod markup;
mod properties;
mod rtf;

use std::ops::Range;

use crate::mapped::Mapped;
use crate::phi::Hint;

/// Longest value that is taken at its label's word, in bytes; a longer one is a text.
const VALUE: usize = 1_024;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// HTML.
    Html,
    /// XML whose elements and attributes are named for what they hold.
    Xml,
    /// XML whose names speak of layout: drawings, feeds, maps.
    Markup,
    /// Rich Text Format 1.9.1 (Microsoft, 2008).
    Rtf,
    /// HL7 version 2 in its pipe form (HL7 v2.5.1, chapter 2).
    Hl7,
    /// X12 interchanges (X12.5, and the HIPAA guides 005010X222 and others).
    X12,
    /// Contacts and calendars: vCard (RFC 6350) and iCalendar (RFC 5545).
    Properties,
    /// Keys, certificates (RFC 7468) and mails (RFC 5322): text around blocks of Base64, which others decode.
    Armor,
    /// Rows of values that are parted by tabs. What it means is what stands there; see [`sentences`].
    Cells,
}

/// Shortest value that is a text of its own: bytes, and words.
const SENTENCE: (usize, usize) = (24, 4);

/// Rows of values that are parted by tabs, with those that are whole sentences on lines of their own, at the same bytes: what one of these asks for is not
/// outweighed by the names and numbers beside it.
pub fn sentences(rows: &str) -> String {
    let mut lines = rows.as_bytes().to_vec();
    let mut start = 0;
    for cell in rows.split_inclusive(['\t', '\n']) {
        let end = start + cell.len();
        if cell.len() > SENTENCE.0 && cell.split_whitespace().take(SENTENCE.1).count() == SENTENCE.1 {
            for at in [start.checked_sub(1), Some(end - 1)].into_iter().flatten() {
                if lines[at] == b'\t' {
                    lines[at] = b'\n';
                }
            }
        }
        start = end;
    }
    // Only tabs were changed.
    String::from_utf8(lines).unwrap_or_default()
}

/// A value whose field says what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What it is.
    pub hint: Hint,
    /// The value, decoded.
    pub value: String,
    /// Bytes of the text in which it stands.
    pub source: Range<usize>,
}

impl Field {
    /// Bytes of the text for a part of the value; all of them where the value is written in another way.
    pub fn origin(&self, part: Range<usize>) -> Range<usize> {
        if self.value.len() == self.source.len() {
            self.source.start + part.start..self.source.start + part.end
        } else {
            self.source.clone()
        }
    }
}

/// What is read in a text.
#[derive(Debug, Default)]
pub struct Reading {
    /// The text without its marks, where there are any.
    pub text: Option<Mapped>,
    /// What is not shown but is text as well: attributes, comments, scripts.
    pub aside: Option<Mapped>,
    /// Values whose fields say what they are, in the order of the text.
    pub fields: Vec<Field>,
}

/// Tells of a field, by the name of what holds it and its own, what its values are.
pub type Hints<'a> = dyn FnMut(&str, &str) -> Option<Hint> + 'a;

/// Reads a text. Linear in its length.
pub fn read(notation: Notation, text: &str, hints: &mut Hints<'_>) -> Reading {
    match notation {
        Notation::Html | Notation::Xml | Notation::Markup => markup::read(notation, text, hints),
        Notation::Rtf => Reading {
            text: rtf::read(text),
            ..Reading::default()
        },
        Notation::Armor => Reading {
            text: armor::read(text),
            ..Reading::default()
        },
        Notation::Hl7 => Reading {
            fields: health::hl7(text, hints),
            ..Reading::default()
        },
        Notation::X12 => Reading {
            fields: health::x12(text, hints),
            ..Reading::default()
        },
        Notation::Properties => properties::read(text, hints),
        Notation::Cells => Reading::default(),
    }
}

/// The fields as they are found.
struct Fields<'t, 'h, 'a> {
    text: &'t str,
    hints: &'h mut Hints<'a>,
    found: Vec<Field>,
}

impl<'t, 'h, 'a> Fields<'t, 'h, 'a> {
    fn new(text: &'t str, hints: &'h mut Hints<'a>) -> Self {
        Self {
            text,
            hints,
            found: Vec::new(),
        }
    }

    /// Takes these bytes as a value, if the names mean something; `decode` makes what is meant of what is written.
    fn add(&mut self, (of, name): (&str, &str), source: Range<usize>, decode: impl FnOnce(&str) -> String) {
        let raw = &self.text[source.clone()];
        let start = source.start + (raw.len() - raw.trim_start().len());
        let raw = raw.trim();
        if raw.is_empty() || raw.len() > VALUE {
            return;
        }
        if let Some(hint) = (self.hints)(of, name) {
            self.found.push(Field {
                hint,
                value: decode(raw),
                source: start..start + raw.len(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
