//! Messages of hospitals and insurers whose fields are known by their number: HL7 version 2 and X12.

use std::ops::Range;

use super::{Field, Fields, Hints};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    /// One value: the first component.
    One(&'static str),
    /// The name of a person, from this component on: family, given, further.
    Name(usize),
    /// A postal address.
    Address,
    /// A telephone number: the first component or, since version 2.3, area code and number in the sixth and seventh.
    Phone,
}

use Holds::{Address, Name, One, Phone};

/// Fields of HL7 segments that identify somebody, by segment and number (HL7 v2.5.1, chapters 3, 4 and 6).
const HL7: &[(&str, usize, Holds)] = &[
    ("EVN", 2, One("event_date")),
    ("EVN", 6, One("event_date")),
    ("PID", 2, One("mrn")),
    ("PID", 3, One("mrn")),
    ("PID", 4, One("mrn")),
    ("PID", 5, Name(0)),
    ("PID", 6, Name(0)),
    ("PID", 7, One("date_of_birth")),
    ("PID", 9, Name(0)),
    ("PID", 11, Address),
    ("PID", 13, Phone),
    ("PID", 14, Phone),
    ("PID", 18, One("account_number")),
    ("PID", 19, One("ssn")),
    ("PID", 20, One("driver_license")),
    ("PID", 21, One("mrn")),
    ("PID", 29, One("date_of_death")),
    ("PD1", 4, Name(1)),
    ("NK1", 2, Name(0)),
    ("NK1", 4, Address),
    ("NK1", 5, Phone),
    ("NK1", 6, Phone),
    ("NK1", 16, One("date_of_birth")),
    ("NK1", 30, Name(0)),
    ("NK1", 31, Phone),
    ("NK1", 32, Address),
    ("NK1", 37, One("ssn")),
    ("PV1", 7, Name(1)),
    ("PV1", 8, Name(1)),
    ("PV1", 9, Name(1)),
    ("PV1", 17, Name(1)),
    ("PV1", 19, One("account_number")),
    ("PV1", 44, One("admission_date")),
    ("PV1", 45, One("discharge_date")),
    ("PV1", 52, Name(1)),
    ("GT1", 3, Name(0)),
    ("GT1", 4, Name(0)),
    ("GT1", 5, Address),
    ("GT1", 6, Phone),
    ("GT1", 7, Phone),
    ("GT1", 8, One("date_of_birth")),
    ("GT1", 12, One("ssn")),
    ("IN1", 2, One("health_plan_id")),
    ("IN1", 16, Name(0)),
    ("IN1", 18, One("date_of_birth")),
    ("IN1", 19, Address),
    ("IN1", 36, One("policy_number")),
    ("IN1", 49, One("member_id")),
    ("IN2", 1, One("member_id")),
    ("IN2", 2, One("ssn")),
    ("ORC", 12, Name(1)),
    ("OBR", 7, One("observation_date")),
    ("OBR", 16, Name(1)),
    ("OBX", 14, One("observation_date")),
    ("ROL", 4, Name(1)),
    ("DG1", 5, One("diagnosis_date")),
    ("DG1", 16, Name(1)),
    ("PR1", 5, One("procedure_date")),
    ("PR1", 11, Name(1)),
];

/// The labels in use.
#[cfg(test)]
pub(super) fn labels() -> impl Iterator<Item = &'static str> {
    let hl7 = HL7.iter().filter_map(|(.., holds)| match holds {
        One(label) => Some(*label),
        _ => None,
    });
    let ids = NM1.iter().chain(REF).map(|(_, label)| *label);
    hl7.chain(ids).chain([
        "patient_name",
        "address",
        "phone",
        "city",
        "zip",
        "fax",
        "email",
        "contact_name",
    ])
}

/// The fields of HL7 messages. Signs are those that the first header names; a window that begins later has the usual ones.
pub(super) fn hl7(text: &str, hints: &mut Hints<'_>) -> Vec<Field> {
    let header = ["MSH", "FHS", "BHS"]
        .iter()
        .find_map(|header| text.strip_prefix(header));
    let signs = header.map_or(b"|^~".as_slice(), str::as_bytes);
    let [field, component, repeat] = [0, 1, 2].map(|at| char::from(*signs.get(at).unwrap_or(&b'|')));
    let mut fields = Fields::new(text, hints);
    for segment in pieces(text, 0..text.len(), |c| matches!(c, '\r' | '\n')) {
        let mut values = pieces(text, segment.clone(), |c| c == field);
        let Some(name) = values.next().map(|name| &text[name]) else {
            continue;
        };
        if !HL7.iter().any(|(segment, ..)| *segment == name) {
            continue;
        }
        for (number, value) in (1..).zip(values) {
            for (.., holds) in HL7.iter().filter(|(of, at, _)| *of == name && *at == number) {
                for one in pieces(text, value.clone(), |c| c == repeat) {
                    let parts: Vec<Range<usize>> = pieces(text, one, |c| c == component).take(16).collect();
                    take(*holds, &parts, component, &mut fields);
                }
            }
        }
    }
    fields.found
}

fn take(holds: Holds, parts: &[Range<usize>], sign: char, fields: &mut Fields<'_, '_, '_>) {
    let joined = |raw: &str| raw.replace(sign, " ");
    let span = |from: usize, to: usize| {
        let last = parts.len().min(to).checked_sub(1)?;
        Some(parts.get(from)?.start..parts.get(last)?.end).filter(|span| span.start <= span.end)
    };
    match holds {
        One(label) => {
            if let Some(one) = parts.first() {
                fields.add(("", label), one.clone(), str::to_owned);
            }
        }
        Name(from) => {
            if let Some(span) = span(from, from + 3) {
                fields.add(("", "patient_name"), trimmed(fields.text, span, sign), joined);
            }
        }
        Address => {
            if let Some(span) = span(0, 6) {
                fields.add(("", "address"), trimmed(fields.text, span, sign), joined);
            }
        }
        Phone => {
            if let Some(one) = parts.first().filter(|one| !one.is_empty()) {
                fields.add(("", "phone"), one.clone(), str::to_owned);
            } else if let Some(span) = span(5, 7) {
                fields.add(("", "phone"), trimmed(fields.text, span, sign), joined);
            }
        }
    }
}

/// Without empty components around.
fn trimmed(text: &str, span: Range<usize>, sign: char) -> Range<usize> {
    let raw = &text[span.clone()];
    let start = span.start + (raw.len() - raw.trim_start_matches(sign).len());
    let end = span.end - (raw.len() - raw.trim_end_matches(sign).len());
    start..end.max(start)
}

/// Pieces of a part of the text between signs.
fn pieces(text: &str, part: Range<usize>, sign: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut rest = Some(part);
    std::iter::from_fn(move || {
        let now = rest.take()?;
        let Some(found) = text[now.clone()].find(&sign) else {
            return Some(now);
        };
        let end = now.start + found;
        let length = text[end..].chars().next().map_or(1, char::len_utf8);
        rest = Some(end + length..now.end);
        Some(now.start..end)
    })
}

/// Bytes of an interchange's header, which is of fixed length and ends with the sign that ends every segment (X12.5).
const ISA: usize = 106;

/// Ids in NM1, by their qualifier (X12 data element 66). Identifiers of providers (XX, the NPI) find themselves.
const NM1: &[(&str, &str)] = &[
    ("34", "ssn"),
    ("MI", "member_id"),
    ("MR", "member_id"),
    ("II", "patient_id"),
    ("EI", "mrn"),
];
/// Ids in REF (data element 128).
const REF: &[(&str, &str)] = &[
    ("SY", "ssn"),
    ("EA", "mrn"),
    ("1W", "member_id"),
    ("IG", "policy_number"),
    ("Y4", "claim_number"),
    ("F8", "claim_number"),
];

/// The fields of X12 interchanges. A window that begins after the header has the usual signs.
pub(super) fn x12(text: &str, hints: &mut Hints<'_>) -> Vec<Field> {
    let head = text
        .as_bytes()
        .get(..ISA)
        .filter(|head| head.starts_with(b"ISA") && head.is_ascii());
    let (element, end) = head.map_or(('*', '~'), |head| (char::from(head[3]), char::from(head[ISA - 1])));
    let mut fields = Fields::new(text, hints);
    for segment in pieces(text, 0..text.len(), |c| c == end) {
        let raw = &text[segment.clone()];
        // Many write a line for each.
        let segment = segment.start + (raw.len() - raw.trim_start().len())..segment.end;
        let parts: Vec<Range<usize>> = pieces(text, segment, |c| c == element).take(32).collect();
        let value = |at: usize| parts.get(at).map_or("", |part| &text[part.clone()]);
        let by = |table: &[(&str, &'static str)], qualifier: &str| {
            let known = table.iter().find(|(known, _)| *known == qualifier);
            known.map(|(_, label)| *label)
        };
        let mut one = |label: &'static str, at: usize| {
            if let Some(part) = parts.get(at) {
                fields.add(("", label), part.clone(), str::to_owned);
            }
        };
        match value(0) {
            "NM1" => {
                if let Some(label) = by(NM1, value(8)) {
                    one(label, 9);
                }
                // 1 is a person, 2 an organisation.
                if value(2) == "1"
                    && let (Some(first), Some(last)) = (parts.get(3), parts.get(5).or(parts.get(4)).or(parts.get(3)))
                {
                    let span = trimmed(text, first.start..last.end, element);
                    fields.add(("", "patient_name"), span, |raw| raw.replace(element, " "));
                }
            }
            "REF" => {
                if let Some(label) = by(REF, value(1)) {
                    one(label, 2);
                }
            }
            "N3" => {
                one("address", 1);
                one("address", 2);
            }
            "N4" => {
                one("city", 1);
                one("zip", 3);
            }
            "DMG" => one("date_of_birth", 2),
            "DTP" if value(2) == "D8" => one("service_date", 3),
            "CLM" => one("account_number", 1),
            "SBR" => one("policy_number", 3),
            "PER" => {
                one("contact_name", 2);
                for at in [3, 5, 7] {
                    match value(at) {
                        "TE" | "HP" | "WP" | "CP" => one("phone", at + 1),
                        "FX" => one("fax", at + 1),
                        "EM" => one("email", at + 1),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    fields.found
}
