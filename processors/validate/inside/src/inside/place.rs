//! Where in a document something is: the path inside.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest part that is kept, in characters; the rest of a name is cut.
const PART: usize = 200;
/// Most parts; deeper ones are joined into the last.
const PARTS: usize = 16;

/// The way from the document to something in it, written `a.zip!/b.zip!/c.txt`, `report.pdf!/page 3` or `book.xlsx!/Sheet1!B7`.
/// Names come from the document: control characters and those that turn the direction of writing are escaped, and long ones are cut, so
/// that a path can be printed. It may still hold personal data, as any file name may.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Place {
    parts: Vec<String>,
}

impl Place {
    /// The document itself.
    pub fn root(name: &str) -> Self {
        Self {
            parts: vec![clean(name)],
        }
    }

    /// Something in this.
    pub fn child(&self, name: &str) -> Self {
        let mut parts = self.parts.clone();
        if parts.len() < PARTS {
            parts.push(clean(name));
        }
        Self { parts }
    }

    /// The parts from the outside to the inside, the document's own name first.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The path without the document's own name; `None` for the document itself.
    pub fn inside(&self) -> Option<String> {
        (self.parts.len() > 1).then(|| self.parts[1..].join("!/"))
    }

    /// Containers between this and the document.
    pub fn depth(&self) -> usize {
        self.parts.len().saturating_sub(1)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("!/"))
    }
}

fn clean(name: &str) -> String {
    let mut kept = String::with_capacity(name.len().min(PART * 2));
    for (count, letter) in name.chars().enumerate() {
        if count == PART {
            kept.push('…');
            break;
        }
        let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        if letter.is_control() || turns {
            kept.extend(letter.escape_unicode());
        } else {
            kept.push(letter);
        }
    }
    kept
}

/// The letters of a column, from 0: `A`, `Z`, `AA`, `XFD`.
pub fn column_letters(mut column: u32) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + (column % 26) as u8));
        column /= 26;
        if column == 0 {
            break;
        }
        column -= 1;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_written_as_in_a_sheet() {
        for (column, letters) in [
            (0, "A"),
            (25, "Z"),
            (26, "AA"),
            (701, "ZZ"),
            (702, "AAA"),
            (16_383, "XFD"),
        ] {
            assert_eq!(column_letters(column), letters);
        }
    }

    #[test]
    fn a_place_can_be_printed_whatever_the_name() {
        let place = Place::root("a.zip")
            .child("x\u{202e}gpj.exe\n")
            .child(&"y".repeat(1_000));
        let text = place.to_string();
        assert!(!text.contains('\u{202e}') && !text.contains('\n'));
        assert!(text.len() < 500, "{text}");
        assert_eq!(Place::root("a").child("b").child("c").to_string(), "a!/b!/c");
        assert_eq!(Place::root("a").inside(), None);
    }
}
