//! Contacts and calendars: one property a line, long lines folded (RFC 6350 section 3.2, RFC 5545 section 3.1).

use memchr::memchr_iter;

use super::{Fields, Hints, Reading};
use crate::mapped::{Builder, Mapped};

/// Properties that hold what identifies somebody, and the label of their values.
const PROPERTIES: &[(&str, &str)] = &[
    ("N", "patient_name"),
    ("FN", "full_name"),
    ("NICKNAME", "full_name"),
    ("BDAY", "date_of_birth"),
    ("DEATHDATE", "date_of_death"),
    ("ANNIVERSARY", "anniversary_date"),
    ("ADR", "address"),
    ("TEL", "phone"),
    ("EMAIL", "email"),
    ("DTSTART", "start_date"),
    ("DTEND", "end_date"),
];

/// The labels in use.
#[cfg(test)]
pub(super) fn labels() -> impl Iterator<Item = &'static str> {
    PROPERTIES.iter().map(|(_, label)| *label)
}

pub(super) fn read(text: &str, hints: &mut Hints<'_>) -> Reading {
    let unfolded = unfold(text);
    let lines = unfolded.as_ref().map_or(text, |unfolded| unfolded.text.as_str());
    let mut fields = Fields::new(lines, hints);
    let mut start = 0;
    for line in lines.split_inclusive('\n') {
        property(line.trim_end(), start, &mut fields);
        start += line.len();
    }
    let mut fields = fields.found;
    if let Some(unfolded) = &unfolded {
        for field in &mut fields {
            field.source = unfolded.origin(field.source.clone());
        }
    }
    Reading {
        text: unfolded,
        fields,
        ..Reading::default()
    }
}

/// The text with its folded lines as one; nothing when none is.
fn unfold(text: &str) -> Option<Mapped> {
    let bytes = text.as_bytes();
    let whole = Mapped::identity(text);
    let mut out = Builder::new(&whole);
    for at in memchr_iter(b'\n', bytes) {
        if matches!(bytes.get(at + 1), Some(b' ' | b'\t')) {
            let start = at - usize::from(at > 0 && bytes[at - 1] == b'\r');
            out.replace(start..at + 2, "");
        }
    }
    out.finish()
}

/// Takes one line, which begins at `start` of the text: `group.NAME;PARAMETER=…:value`.
fn property(line: &str, start: usize, fields: &mut Fields<'_, '_, '_>) {
    let Some(colon) = colon(line) else { return };
    let head = &line[..colon];
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    // Who takes part is called by a parameter.
    if let Some(at) = parameters.find("CN=") {
        let begin = colon - parameters.len() + at + "CN=".len();
        let value = &line[begin..colon];
        let length = match value.strip_prefix('"') {
            Some(quoted) => quoted.find('"').map_or(value.len(), |end| end + 2),
            None => value.find(';').unwrap_or(value.len()),
        };
        let quotes = usize::from(value.starts_with('"') && length >= 2);
        let range = start + begin + quotes..start + begin + length - quotes;
        fields.add(("", "full_name"), range, str::to_owned);
    }
    let Some((_, label)) = PROPERTIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
        return;
    };
    let value = &line[colon + 1..];
    let whole = value.trim_matches(';');
    let begin = start + colon + 1 + (value.len() - value.trim_start_matches(';').len());
    fields.add(("", label), begin..begin + whole.len(), |raw| raw.replace(';', " "));
}

/// Where the value begins: the first colon outside quotes.
fn colon(line: &str) -> Option<usize> {
    let mut quoted = false;
    line.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b':' && !quoted
    })
}
