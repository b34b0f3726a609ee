//! Office documents: Office Open XML (ECMA-376) and OpenDocument (ISO/IEC 26300). Their parts were handed over already, as members of
//! the ZIP archive they are; here their text, their cells and what can do harm are looked for.

mod cells;
mod danger;
mod opendocument;
pub(crate) mod rows;
mod text;

use std::io::{BufReader, Read};

use super::limits::LimitName;
use super::place::Place;
use super::source::Source;
use super::walk::Walk;
use super::zip::{self, Directory, Entry, Unreadable};
use super::{rules, xml};

pub(crate) use opendocument::open_document;

/// Parts of which the text is read elsewhere or that have none.
fn has_no_text(name: &str) -> bool {
    name.ends_with(".rels")
        || name == "[Content_Types].xml"
        || name.starts_with("xl/worksheets/sheet")
        || [
            "styles.xml",
            "sharedStrings.xml",
            "theme",
            "fontTable.xml",
            "settings.xml",
            "calcChain.xml",
        ]
        .iter()
        .any(|skip| name.rsplit('/').next().is_some_and(|base| base.starts_with(skip)))
}

/// Looks at an Office Open XML document.
pub(crate) fn office(walk: &mut Walk<'_>, source: &Source, place: &Place, directory: &Directory) {
    let macros = danger::by_name(walk, place, directory);
    let types = directory
        .find("[Content_Types].xml")
        .and_then(|entry| zip::whole(source, entry, walk.limits().part_bytes).ok());
    if !macros && types.is_some_and(|types| super::active::contains(&types, b"macroEnabled")) {
        walk.report(&rules::MACRO_READY, place);
    }
    let mut sound = true;
    for entry in &directory.entries {
        if !walk.more(place) {
            return;
        }
        let name = entry.name.as_str();
        let is_xml = name.ends_with(".xml") || name.ends_with(".rels") || name.ends_with(".vml");
        if !is_xml || entry.is_encrypted() {
            continue;
        }
        if has_no_text(name) && !name.ends_with(".rels") {
            if declares_type(source, entry) {
                walk.report(&rules::ENTITIES, &place.child(name));
                sound = false;
            }
            continue;
        }
        let Some(bytes) = part(walk, source, place, entry) else {
            continue;
        };
        if name.ends_with(".rels") {
            danger::relations(walk, &place.child(name), &bytes);
        } else {
            sound &= text::part(walk, place, name, &bytes);
        }
    }
    if directory.find("xl/workbook.xml").is_some() || directory.find("xl/workbook.bin").is_some() {
        if sound {
            cells::workbook(walk, source, place, directory);
        }
    } else if directory.find("word/document.xml").is_none() && directory.find("ppt/presentation.xml").is_none() {
        walk.report(&rules::NO_TEXT, place);
    }
}

/// Reads a part into memory, or says why not.
fn part(walk: &mut Walk<'_>, source: &Source, place: &Place, entry: &Entry) -> Option<Vec<u8>> {
    let limit = walk.limits().part_bytes;
    match zip::whole(source, entry, limit) {
        Ok(bytes) => Some(bytes),
        Err(Unreadable::Large) => {
            walk.limit(LimitName::PartBytes, &place.child(&entry.name), Some(entry.size));
            None
        }
        // Said when the member was handed over.
        Err(Unreadable::Broken) => None,
    }
}

fn declares_type(source: &Source, entry: &Entry) -> bool {
    match zip::whole_head(source, entry) {
        Some(reader) => xml::declares_type(&mut BufReader::new(reader).take(4_096)),
        None => false,
    }
}
