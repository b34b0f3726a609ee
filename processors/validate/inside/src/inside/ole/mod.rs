//! OLE compound files: old office documents, macros, embedded objects, mail ([MS-CFB]).

mod biff;
mod cfb;
mod strings;
mod vba;

use std::io::Read;

use super::limits::LimitName;
use super::meter::Packed;
use super::place::Place;
use super::rules;
use super::source::Source;
use super::visitor::Role;
use super::walk::{Found, Walk};

use cfb::{Cfb, Stream};

/// Looks into a compound file.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) {
    let cfb = match Cfb::open(source, walk.limits().entries) {
        Ok(cfb) => cfb,
        Err(rule) => {
            walk.report(rule, place);
            super::zip::hidden(walk, source, place, 0, source.len());
            return;
        }
    };
    if cfb.cut {
        walk.limit(LimitName::Entries, place, None);
    }
    let mut left = cfb.sectors();
    let mut has_macros = false;
    let mut auto = false;
    for stream in &cfb.streams {
        if !walk.more(place) {
            return;
        }
        if let Err(name) = walk.budget.entry() {
            return walk.limit(name, place, None);
        }
        let inner = place.child(&stream.path);
        let base = stream.path.rsplit('/').next().unwrap_or_default();
        let reader = cfb.reader(stream);
        // A sector belongs to one stream. Many streams of the same ones are the file many times over.
        let Some(rest) = left.checked_sub(reader.as_ref().map_or(cfb.table(), |reader| reader.units())) else {
            walk.report(&rules::OVERLAP, place);
            return walk.limit(LimitName::TotalBytes, place, None);
        };
        left = rest;
        let Some(mut reader) = reader else {
            walk.report(&rules::LOOP, &inner);
            continue;
        };
        match base {
            "\u{1}Ole10Native" => walk.report(&rules::PACKAGE, &inner),
            "EncryptedPackage" => walk.report(&rules::ENCRYPTED, &inner),
            "Equation Native" => walk.report(&rules::EQUATION, &inner),
            "_VBA_PROJECT" => has_macros = true,
            _ => {}
        }
        let found = Found {
            place: inner.clone(),
            declared: Some(stream.size),
            packed: Packed::Not,
            role: Role::File,
            enter: true,
        };
        let taken = walk.member(
            Found {
                role: part_role(base),
                ..found
            },
            &mut reader,
            depth,
        );
        if taken.produced < stream.size && !taken.cut {
            walk.report(&rules::TRUNCATED, &inner);
        }
        if in_vba(&stream.path) && base != "dir" && base != "_VBA_PROJECT" {
            auto |= module(walk, &cfb, stream, &inner);
        }
        if matches!(base, "Workbook" | "Book") && !stream.path.contains('/') {
            workbook(walk, &cfb, stream, place);
        }
        if base == "WordDocument" {
            word(walk, &cfb, stream, place);
        }
    }
    if auto {
        walk.report(&rules::MACRO_AUTO, place);
    }
    // A project inside an office archive was named where its part was.
    if has_macros && !place.name().to_ascii_lowercase().ends_with("vbaproject.bin") {
        walk.report(&rules::MACROS, place);
    }
}

/// Names of streams begin with a number for those of the format itself.
fn part_role(base: &str) -> Role {
    match base {
        "Workbook" | "Book" => Role::Part,
        _ => Role::File,
    }
}

fn in_vba(path: &str) -> bool {
    path.split('/')
        .rev()
        .nth(1)
        .is_some_and(|parent| parent.eq_ignore_ascii_case("VBA"))
}

fn bytes(walk: &mut Walk<'_>, cfb: &Cfb, stream: &Stream, place: &Place) -> Option<Vec<u8>> {
    if stream.size > walk.limits().part_bytes {
        walk.limit(LimitName::PartBytes, place, Some(stream.size));
        return None;
    }
    let mut bytes = Vec::new();
    cfb.reader(stream)?.take(stream.size).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The source of a module; true where it runs by itself and reaches out.
fn module(walk: &mut Walk<'_>, cfb: &Cfb, stream: &Stream, inner: &Place) -> bool {
    let Some(bytes) = bytes(walk, cfb, stream, inner) else {
        return false;
    };
    let Some(code) = vba::source(&bytes) else { return false };
    walk.text(inner, &code);
    vba::runs_and_reaches_out(&code)
}

fn workbook(walk: &mut Walk<'_>, cfb: &Cfb, stream: &Stream, place: &Place) {
    let Some(bytes) = bytes(walk, cfb, stream, place) else {
        return;
    };
    if let Err(rule) = biff::read(walk, &bytes, place) {
        walk.report(rule, place);
    }
}

/// The text of an old Word document, as far as it stands in one piece ([MS-DOC] 2.4.1 begins with the same fields).
fn word(walk: &mut Walk<'_>, cfb: &Cfb, stream: &Stream, place: &Place) {
    let Some(bytes) = bytes(walk, cfb, stream, place) else {
        return;
    };
    let field = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|field| u32::from_le_bytes([field[0], field[1], field[2], field[3]]) as usize)
    };
    let flags = bytes
        .get(10..12)
        .map_or(0, |flags| u16::from_le_bytes([flags[0], flags[1]]));
    if flags & 0x0100 != 0 {
        return walk.report(&rules::ENCRYPTED, place);
    }
    // fcMin and fcMac bound the text of documents that were saved whole.
    let text = field(0x18)
        .zip(field(0x1c))
        .and_then(|(from, to)| bytes.get(from..to))
        .unwrap_or(&bytes);
    let inner = place.child("text");
    walk.text(&inner, &strings::readable(text));
    walk.report(&rules::NO_TEXT, &inner);
}
