//! The pages, in order, and the text on them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use lopdf::{Dictionary, Document, Encoding, Object, ObjectId};

use super::content;
use crate::inside::limits::LimitName;
use crate::inside::place::Place;
use crate::inside::rules;
use crate::inside::walk::Walk;

/// Levels of the tree of pages.
const DEPTH: usize = 64;
/// Fonts of which the encoding is remembered.
const FONTS: usize = 4_096;

/// Encodings by the dictionary of the font; none where it cannot be read.
type Fonts<'d> = HashMap<*const Dictionary, Option<Rc<Encoding<'d>>>>;

/// Bytes of content that are read for each byte that all streams have, and at least: pages may share what they show, and a letterhead stands on
/// every one of them.
const AGAIN: u64 = 4;
const SHARED: u64 = 16 << 20;

/// Hands over the text of every page and form. `unpacked`: the bytes that all streams have.
pub(super) fn look(walk: &mut Walk<'_>, document: &Document, place: &Place, unpacked: u64) {
    let pages = tree(walk, document, place);
    let mut left = unpacked.saturating_mul(AGAIN).saturating_add(SHARED);
    let mut fonts = Fonts::new();
    let limit = usize::try_from(walk.limits().part_bytes).unwrap_or(usize::MAX);
    for (number, id) in pages.iter().enumerate() {
        if !walk.more(place) {
            return;
        }
        let here = place.child(&format!("page {}", number + 1));
        let Ok(bytes) = document.get_page_content_with_limit(*id, limit) else {
            walk.limit(LimitName::PartBytes, &here, None);
            continue;
        };
        let Some(rest) = left.checked_sub(bytes.len() as u64) else {
            walk.report(&rules::OVERLAP, place);
            return walk.limit(LimitName::TotalBytes, &here, None);
        };
        left = rest;
        let of_page = document.get_page_fonts(*id).unwrap_or_default();
        let encodings = encodings(document, of_page, &mut fonts, limit);
        show(walk, &here, &bytes, &encodings);
    }
    forms(walk, document, place, &mut fonts, limit);
}

/// Forms are drawn by pages, and have fonts of their own (ISO 32000-2, 8.10).
fn forms<'d>(walk: &mut Walk<'_>, document: &'d Document, place: &Place, fonts: &mut Fonts<'d>, limit: usize) {
    for (id, object) in &document.objects {
        let Ok(stream) = object.as_stream() else { continue };
        if !matches!(stream.dict.get(b"Subtype").and_then(Object::as_name), Ok(b"Form")) {
            continue;
        }
        if !walk.more(place) {
            return;
        }
        // A stream that cannot be unpacked was reported among the objects.
        let Ok(bytes) = stream.get_plain_content_with_limit(limit) else {
            continue;
        };
        let inner = place.child(&format!("form {}", id.0));
        let resources = stream.dict.get_deref(b"Resources", document).and_then(Object::as_dict);
        let own = resources
            .and_then(|resources| resources.get_deref(b"Font", document))
            .and_then(Object::as_dict);
        let mut of_form = BTreeMap::new();
        if let Ok(own) = own {
            for (name, font) in own.iter() {
                if let Ok(font) = document.dereference(font).and_then(|(_, font)| font.as_dict()) {
                    of_form.insert(name.clone(), font);
                }
            }
        }
        let encodings = encodings(document, of_form, fonts, limit);
        show(walk, &inner, &bytes, &encodings);
    }
}

/// Hands over what a content stream shows, as far as there is room for it.
fn show(walk: &mut Walk<'_>, place: &Place, bytes: &[u8], encodings: &BTreeMap<Vec<u8>, Rc<Encoding<'_>>>) {
    let room = usize::try_from(walk.budget.text_left()).unwrap_or(usize::MAX);
    let shown = content::text(bytes, encodings, room);
    walk.text(place, &shown.text);
    if shown.cut {
        walk.limit(LimitName::TextBytes, place, None);
    }
}

fn encodings<'d>(
    document: &'d Document,
    of_page: BTreeMap<Vec<u8>, &'d Dictionary>,
    fonts: &mut Fonts<'d>,
    limit: usize,
) -> BTreeMap<Vec<u8>, Rc<Encoding<'d>>> {
    let mut encodings = BTreeMap::new();
    for (name, font) in of_page {
        if fonts.len() > FONTS {
            fonts.clear();
        }
        let encoding = fonts
            .entry(std::ptr::from_ref(font))
            .or_insert_with(|| font.get_font_encoding_with_limit(document, limit).ok().map(Rc::new));
        if let Some(encoding) = encoding {
            encodings.insert(name, encoding.clone());
        }
    }
    encodings
}

/// The pages in order. A node that is met twice is a circle, or a page shown twice, which no writer does.
fn tree(walk: &mut Walk<'_>, document: &Document, place: &Place) -> Vec<ObjectId> {
    let mut pages = Vec::new();
    let root = document
        .catalog()
        .and_then(|catalog| catalog.get(b"Pages"))
        .and_then(Object::as_reference);
    let root = root.ok().filter(|root| document.get_dictionary(*root).is_ok());
    let Some(root) = root else {
        walk.report(&rules::BROKEN, place);
        return pages;
    };
    let mut seen = HashSet::new();
    let mut stack = vec![(root, 0)];
    let mut circle = false;
    while let Some((id, depth)) = stack.pop() {
        if !seen.insert(id) {
            circle = true;
            continue;
        }
        let Ok(node) = document.get_dictionary(id) else {
            continue;
        };
        if let Ok(kids) = node.get_deref(b"Kids", document).and_then(Object::as_array) {
            if depth >= DEPTH {
                walk.report(&rules::TOO_DEEP, place);
                continue;
            }
            stack.extend(
                kids.iter()
                    .rev()
                    .filter_map(|kid| kid.as_reference().ok())
                    .map(|kid| (kid, depth + 1)),
            );
        } else {
            if pages.len() as u64 >= walk.limits().pages {
                walk.limit(LimitName::Pages, place, None);
                break;
            }
            pages.push(id);
        }
    }
    if circle {
        walk.report(&rules::LOOP, place);
    }
    pages
}
