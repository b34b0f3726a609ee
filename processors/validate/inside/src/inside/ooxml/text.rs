//! The text of documents, slides, comments, notes and properties.

use super::danger::is_dde;
use crate::inside::place::Place;
use crate::inside::rules;
use crate::inside::walk::Walk;
use crate::inside::xml::{self, Stop, Xml};

/// Text gathered before it is handed over.
const PIECE: usize = 192 << 10;

/// Hands over the text of one part; false where it is broken.
pub(super) fn part(walk: &mut Walk<'_>, place: &Place, name: &str, bytes: &[u8]) -> bool {
    let inner = place.child(&readable(name));
    let depth = walk.limits().xml_depth;
    // Properties have their text in elements of any name.
    let all = name.starts_with("docProps/") || name.starts_with("customXml/");
    let mut text = String::new();
    let mut field = String::new();
    let mut within = Within::Nothing;
    let mut dde = false;
    let mut pieces = Vec::new();
    let result = xml::read(bytes, depth, |xml| {
        match xml {
            Xml::Open("t" | "delText", _) => within = Within::Text,
            Xml::Open("instrText" | "delInstrText", _) => within = Within::Field,
            Xml::Open("fldSimple", start) => dde |= xml::attribute(start, "instr").is_some_and(|instr| is_dde(&instr)),
            Xml::Open("ddeLink", _) => dde = true,
            Xml::Open("tab" | "br" | "cr", _) => text.push(' '),
            Xml::Close("t" | "delText" | "instrText" | "delInstrText") => within = Within::Nothing,
            Xml::Close("p" | "tr" | "si" | "comment") => {
                dde |= is_dde(&field);
                if !field.trim().is_empty() {
                    text.push_str(&field);
                }
                field.clear();
                text.push('\n');
            }
            Xml::Close(_) if all => text.push('\n'),
            Xml::Text(part) => match within {
                Within::Field => field.push_str(part),
                Within::Text => text.push_str(part),
                Within::Nothing if all => text.push_str(part),
                Within::Nothing => {}
            },
            _ => {}
        }
        if text.len() > PIECE {
            pieces.push(std::mem::take(&mut text));
        }
        true
    });
    pieces.push(text);
    for piece in &pieces {
        walk.text(&inner, piece);
    }
    if dde || is_dde(&field) {
        walk.report(&rules::DDE, &inner);
    }
    match result {
        Err(Stop::Bad(rule)) => {
            walk.report(rule, &inner);
            false
        }
        Ok(()) | Err(Stop::Enough) => true,
    }
}

enum Within {
    Nothing,
    Text,
    Field,
}

/// `slide 3` for `ppt/slides/slide3.xml`; other parts by their own names.
fn readable(name: &str) -> String {
    let number = name
        .strip_prefix("ppt/slides/slide")
        .and_then(|rest| rest.strip_suffix(".xml"));
    match number {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => format!("slide {number}"),
        _ => name.to_owned(),
    }
}
