//! Every object once: what it does, what it says, what its stream holds.

use std::collections::BTreeMap;
use std::io::Cursor;

use lopdf::{DecompressError, Dictionary, Document, Error, Object, ObjectId, Stream, decode_text_string};

use crate::inside::limits::LimitName;
use crate::inside::meter::Packed;
use crate::inside::place::Place;
use crate::inside::rules::{self, Rule};
use crate::inside::visitor::Role;
use crate::inside::walk::{Found, Walk};

/// Keys whose strings a person reads.
const READ: &[&[u8]] = &[
    b"Contents",
    b"V",
    b"DV",
    b"TU",
    b"T",
    b"Title",
    b"Author",
    b"Subject",
    b"Keywords",
    b"Creator",
    b"Producer",
    b"URI",
    b"RC",
    b"Alt",
    b"ActualText",
    b"Desc",
    b"F",
    b"UF",
];
/// Filters of pictures: their packed bytes are the picture file itself, or close to it.
const PICTURES: &[&[u8]] = &[b"DCTDecode", b"JPXDecode", b"CCITTFaxDecode", b"JBIG2Decode"];

static JS: Rule = rules::PDF_JS;
static LAUNCH: Rule = rules::PDF_LAUNCH;
static OPEN: Rule = rules::PDF_OPEN;
static FILES: Rule = rules::PDF_FILES;
static SUBMIT: Rule = rules::PDF_SUBMIT;
static RICH: Rule = rules::PDF_RICH;
static XFA: Rule = rules::PDF_XFA;
static LINK: Rule = rules::EXTERNAL_LINK;

/// Goes over all objects. `locked`: strings and streams are still encrypted.
pub(super) fn look(walk: &mut Walk<'_>, document: &Document, place: &Place, locked: bool, depth: u32) {
    let names = file_names(document);
    let mut said: Vec<&'static str> = Vec::new();
    for (count, (id, object)) in document.objects.iter().enumerate() {
        if count as u64 >= walk.limits().objects {
            return walk.limit(LimitName::Objects, place, None);
        }
        if !walk.more(place) {
            return;
        }
        let here = place.child(&format!("object {}", id.0));
        let mut text = String::new();
        let mut scripts = Vec::new();
        for rule in acts(document, object, &mut text, &mut scripts) {
            if !said.contains(&rule.name) {
                said.push(rule.name);
                walk.report(rule, &here);
            }
        }
        if !locked {
            walk.text(&here, &text);
            for script in scripts {
                walk.text(&place.child(&format!("script {}", id.0)), &script);
            }
            if let Ok(stream) = object.as_stream() {
                streams(walk, *id, stream, place, &names, depth);
            }
        }
    }
    if let Ok(object) = document.trailer.get(b"Info").and_then(Object::as_dict) {
        let mut text = String::new();
        acts(
            document,
            &Object::Dictionary(object.clone()),
            &mut text,
            &mut Vec::new(),
        );
        walk.text(&place.child("info"), &text);
    }
}

/// Which rules an object breaks; also gathers its readable strings and scripts. Objects are at most 100 deep (a bound of the parser).
fn acts(document: &Document, object: &Object, text: &mut String, scripts: &mut Vec<String>) -> Vec<&'static Rule> {
    let mut rules = Vec::new();
    let mut stack = vec![object];
    while let Some(object) = stack.pop() {
        let dictionary = match object {
            Object::Array(list) => {
                stack.extend(list);
                continue;
            }
            Object::Dictionary(dictionary) => dictionary,
            Object::Stream(stream) => &stream.dict,
            _ => continue,
        };
        for (key, value) in dictionary.iter() {
            let value = document.dereference(value).map_or(value, |(_, value)| value);
            match key.as_slice() {
                b"JS" | b"JavaScript" => {
                    rules.push(&JS);
                    if let Ok(script) = decode_text_string(value) {
                        scripts.push(script);
                    }
                }
                b"OpenAction" | b"AA" if is_action(document, value) => rules.push(&OPEN),
                b"EF" => rules.push(&FILES),
                b"XFA" => rules.push(&XFA),
                b"S" => match value.as_name() {
                    Ok(b"JavaScript") => rules.push(&JS),
                    Ok(b"Launch") => rules.push(&LAUNCH),
                    Ok(b"SubmitForm" | b"ImportData") => rules.push(&SUBMIT),
                    Ok(b"GoToR" | b"GoToE") => rules.push(&LINK),
                    Ok(b"Rendition" | b"RichMediaExecute") => rules.push(&RICH),
                    _ => {}
                },
                b"Subtype" if matches!(value.as_name(), Ok(b"RichMedia" | b"Screen" | b"Movie" | b"3D")) => {
                    rules.push(&RICH)
                }
                _ => {}
            }
            if READ.contains(&key.as_slice())
                && let Ok(part) = decode_text_string(value)
                && text.len() < 1 << 20
            {
                text.push_str(&part);
                text.push('\n');
            }
        }
        // References are not followed: what they lead to is an object of its own.
        stack.extend(
            dictionary
                .iter()
                .map(|(_, value)| value)
                .filter(|value| matches!(value, Object::Array(_) | Object::Dictionary(_))),
        );
    }
    rules
}

/// Whether this does more than to jump to a page.
fn is_action(document: &Document, value: &Object) -> bool {
    let Ok(dictionary) = value.as_dict() else { return false };
    match dictionary.get_deref(b"S", document).and_then(Object::as_name) {
        Ok(b"GoTo") => false,
        Ok(_) => true,
        // Additional actions: one for each event.
        Err(_) => dictionary.iter().any(|(_, value)| {
            let value = document.dereference(value).map_or(value, |(_, value)| value);
            value.as_dict().is_ok_and(|action| action.has(b"S"))
        }),
    }
}

/// Names of embedded files by the object that holds them (ISO 32000-2, 7.11.3).
fn file_names(document: &Document) -> BTreeMap<ObjectId, String> {
    let mut names = BTreeMap::new();
    for object in document.objects.values() {
        let Ok(dictionary) = object.as_dict() else { continue };
        let Ok(files) = dictionary.get_deref(b"EF", document).and_then(Object::as_dict) else {
            continue;
        };
        let name = [b"UF".as_slice(), b"F"]
            .iter()
            .find_map(|key| decode_text_string(dictionary.get_deref(key, document).ok()?).ok());
        for (_, file) in files.iter() {
            if let (Ok(id), Some(name)) = (file.as_reference(), &name) {
                names.insert(id, name.clone());
            }
        }
    }
    names
}

fn streams(
    walk: &mut Walk<'_>,
    id: ObjectId,
    stream: &Stream,
    place: &Place,
    names: &BTreeMap<ObjectId, String>,
    depth: u32,
) {
    let kind = |key: &[u8]| stream.dict.get(key).and_then(Object::as_name).unwrap_or_default();
    // The parser has taken these apart already, into objects that are looked at here.
    if matches!(kind(b"Type"), b"ObjStm" | b"XRef") {
        return;
    }
    if walk.budget.entry().is_err() {
        return walk.limit(LimitName::Entries, place, None);
    }
    let file = kind(b"Type") == b"EmbeddedFile" || names.contains_key(&id);
    let inner = match names.get(&id) {
        Some(name) => place.child(name),
        None => place.child(&format!("stream {}", id.0)),
    };
    let found = |packed| Found {
        place: inner.clone(),
        declared: None,
        packed,
        role: if file { Role::File } else { Role::Part },
        enter: file,
    };
    let limit = usize::try_from(walk.limits().part_bytes).unwrap_or(usize::MAX);
    match unpacked(&stream.dict, stream, limit) {
        Ok(bytes) => {
            walk.member(
                found(Packed::Known(stream.content.len() as u64)),
                &mut Cursor::new(bytes),
                depth,
            );
        }
        Err(problem) => {
            match problem {
                Unpacked::Picture => {}
                Unpacked::Large => walk.limit(LimitName::PartBytes, &inner, None),
                Unpacked::Unknown => walk.report(&rules::FILTER, &inner),
                Unpacked::Broken => walk.report(&rules::BROKEN, &inner),
            }
            // The beginning of what is too large, or the packed bytes, are better than nothing.
            if matches!(problem, Unpacked::Large | Unpacked::Broken)
                && stream.filters().is_ok_and(|filters| filters == [b"FlateDecode"])
            {
                let mut reader = flate2::read::ZlibDecoder::new(&stream.content[..]);
                walk.member(found(Packed::Known(stream.content.len() as u64)), &mut reader, depth);
            } else {
                // Pictures are entered: they may say where they were taken.
                let enter = file || matches!(problem, Unpacked::Picture);
                walk.member(
                    Found {
                        enter,
                        ..found(Packed::Not)
                    },
                    &mut &stream.content[..],
                    depth,
                );
            }
        }
    }
}

enum Unpacked {
    Picture,
    Large,
    Unknown,
    Broken,
}

fn unpacked(dictionary: &Dictionary, stream: &Stream, limit: usize) -> Result<Vec<u8>, Unpacked> {
    if !dictionary.has(b"Filter") {
        return Ok(stream.content.clone());
    }
    let filters = stream.filters().map_err(|_| Unpacked::Broken)?;
    if filters.iter().any(|filter| PICTURES.contains(filter)) {
        return Err(Unpacked::Picture);
    }
    stream
        .decompressed_content_with_limit(limit)
        .map_err(|error| match error {
            Error::Decompress(DecompressError::MemoryLimitExceeded { .. }) => Unpacked::Large,
            Error::Unimplemented(_) => Unpacked::Unknown,
            _ => Unpacked::Broken,
        })
}
