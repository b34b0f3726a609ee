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

/// Longest name of an embedded file that is kept.
const NAME: usize = 4_096;

/// Texts of objects, as far as there is room for them. The same one may be referred to by every object there is.
struct Texts {
    /// Bytes that may still be decoded.
    room: u64,
}

impl Texts {
    /// The text of a string; none where it is none, or where there is no room.
    fn decode(&mut self, value: &Object) -> Option<String> {
        let bytes = value.as_str().ok()?;
        let length = bytes.len() as u64;
        self.room = self.room.checked_sub(length.max(1)).or_else(|| {
            self.room = 0;
            None
        })?;
        // Most are of letters that every encoding has, which the parser would look up one by one (ISO 32000-2, annex D.2).
        let plain = |byte: &u8| (0x20..0x7f).contains(byte) || matches!(byte, b'\t' | b'\n' | b'\r');
        if bytes.iter().all(plain) {
            return std::str::from_utf8(bytes).ok().map(str::to_owned);
        }
        decode_text_string(value).ok()
    }
}

/// Goes over all objects. `locked`: strings and streams are still encrypted.
/// Gives the bytes that its streams unpack to.
pub(super) fn look(walk: &mut Walk<'_>, document: &Document, place: &Place, locked: bool, depth: u32) -> u64 {
    let mut unpacked = 0u64;
    let mut texts = Texts {
        room: walk.limits().text_bytes.max(1),
    };
    let names = file_names(document, &mut texts);
    let mut said: Vec<&'static str> = Vec::new();
    for (count, (id, object)) in document.objects.iter().enumerate() {
        if count as u64 >= walk.limits().objects {
            walk.limit(LimitName::Objects, place, None);
            return unpacked;
        }
        if !walk.more(place) {
            return unpacked;
        }
        let here = place.child(&format!("object {}", id.0));
        let mut text = String::new();
        // Each is handed over at once: one object may hold the same script over and over.
        let script = |script: String| {
            if !locked {
                walk.text(&place.child(&format!("script {}", id.0)), &script);
            }
        };
        for rule in acts(document, object, &mut texts, &mut text, script) {
            if !said.contains(&rule.name) {
                said.push(rule.name);
                walk.report(rule, &here);
            }
        }
        if !locked {
            walk.text(&here, &text);
            if let Ok(stream) = object.as_stream() {
                unpacked = unpacked.saturating_add(streams(walk, *id, stream, place, &names, depth));
            }
        }
    }
    if let Ok(object) = document.trailer.get(b"Info").and_then(Object::as_dict) {
        let mut text = String::new();
        acts(
            document,
            &Object::Dictionary(object.clone()),
            &mut texts,
            &mut text,
            |_| {},
        );
        walk.text(&place.child("info"), &text);
    }
    if texts.room == 0 {
        walk.limit(LimitName::TextBytes, place, None);
    }
    unpacked
}

/// Which rules an object breaks; also gathers its readable strings, and hands its scripts over. Objects are at most 100 deep (a bound of the parser).
fn acts(
    document: &Document,
    object: &Object,
    texts: &mut Texts,
    text: &mut String,
    mut script: impl FnMut(String),
) -> Vec<&'static Rule> {
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
                    if let Some(code) = texts.decode(value) {
                        script(code);
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
                && text.len() < 1 << 20
                && let Some(part) = texts.decode(value)
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
fn file_names(document: &Document, texts: &mut Texts) -> BTreeMap<ObjectId, String> {
    let mut names = BTreeMap::new();
    for object in document.objects.values() {
        let Ok(dictionary) = object.as_dict() else { continue };
        let Ok(files) = dictionary.get_deref(b"EF", document).and_then(Object::as_dict) else {
            continue;
        };
        let name = [b"UF".as_slice(), b"F"]
            .iter()
            .find_map(|key| texts.decode(dictionary.get_deref(key, document).ok()?))
            .map(|name| name.chars().take(NAME).collect::<String>());
        for (_, file) in files.iter() {
            if let (Ok(id), Some(name)) = (file.as_reference(), &name) {
                names.insert(id, name.clone());
            }
        }
    }
    names
}

/// Hands one stream over, and gives the bytes it unpacks to.
fn streams(
    walk: &mut Walk<'_>,
    id: ObjectId,
    stream: &Stream,
    place: &Place,
    names: &BTreeMap<ObjectId, String>,
    depth: u32,
) -> u64 {
    let kind = |key: &[u8]| stream.dict.get(key).and_then(Object::as_name).unwrap_or_default();
    // The parser has taken these apart already, into objects that are looked at here.
    if matches!(kind(b"Type"), b"ObjStm" | b"XRef") {
        return 0;
    }
    if walk.budget.entry().is_err() {
        walk.limit(LimitName::Entries, place, None);
        return 0;
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
    let taken = match unpacked(&stream.dict, stream, limit) {
        Ok(bytes) => walk.member(
            found(Packed::Known(stream.content.len() as u64)),
            &mut Cursor::new(bytes),
            depth,
        ),
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
                walk.member(found(Packed::Known(stream.content.len() as u64)), &mut reader, depth)
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
                )
            }
        }
    };
    taken.produced
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
