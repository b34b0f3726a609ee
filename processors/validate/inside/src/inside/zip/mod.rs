//! ZIP archives and what is built on them (PKWARE APPNOTE.TXT 6.3.10).
//!
//! Two programs that read one archive differently are the core of many attacks, so both descriptions of each member are compared, and
//! every byte must belong to exactly one member.

mod directory;
mod entries;

use std::collections::HashSet;

use super::kind::Kind;
use super::limits::LimitName;
use super::names::{self, Leads};
use super::place::Place;
use super::source::Source;
use super::visitor::{Member, Role};
use super::walk::Walk;
use super::{ooxml, rules, shape};

pub(crate) use directory::{Directory, Entry};

/// Bytes behind an archive up to which every program still finds it.
const BEHIND: u64 = 512;

/// What kind of document the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Office,
    OpenDocument,
    Other,
}

/// Whether there is an end record that points to a directory.
pub(crate) fn has_directory(source: &Source) -> bool {
    // An archive that was attached to a document has the rest of that document behind it.
    let ends = |end: &directory::End| source.len() - end.finish <= BEHIND;
    directory::find(source).is_some_and(|end| end.entries > 0 && ends(&end) && end.points_to_a_header(source))
}

/// Walks the members.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) {
    let Some(end) = directory::find(source) else {
        walk.report(&rules::TRUNCATED, place);
        return entries::salvage(walk, source, place, depth);
    };
    let directory = match Directory::read(source, &end, walk.limits().entries) {
        Ok(directory) => directory,
        Err(at) => {
            walk.report_at(&rules::BROKEN, place, at.min(source.len()));
            return entries::salvage(walk, source, place, depth);
        }
    };
    if directory.entries.len() as u64 != end.entries {
        if directory.cut || directory.entries.len() as u64 >= walk.limits().entries {
            walk.limit(LimitName::Entries, place, None);
        } else {
            walk.report(&rules::SIZE_LIE, place);
        }
    }
    surroundings(walk, source, place, &end, &directory);
    let family = family(source, &directory);
    check_names(walk, place, &directory);
    let ranges = entries::ranges(source, &directory);
    let hostile = entries::check_ranges(walk, source, place, &directory, &ranges);
    if hostile {
        walk.report(&rules::NOT_EXPANDED, place);
        return;
    }
    for (entry, range) in directory.entries.iter().zip(&ranges) {
        if !walk.more(place) {
            break;
        }
        if let Err(name) = walk.budget.entry() {
            walk.limit(name, place, None);
            break;
        }
        entries::one(walk, source, place, entry, range.as_ref(), family, depth);
    }
    match family {
        Family::Office => ooxml::office(walk, source, place, &directory),
        Family::OpenDocument => ooxml::open_document(walk, source, place, &directory),
        Family::Other => shape::archive(walk, source, place, &directory),
    }
}

fn family(source: &Source, directory: &Directory) -> Family {
    if directory.find("[Content_Types].xml").is_some() {
        return Family::Office;
    }
    let kind = directory
        .find("mimetype")
        .filter(|entry| entry.size < 256)
        .and_then(|entry| entries::whole(source, entry, 256).ok());
    if kind.is_some_and(|kind| kind.starts_with(b"application/vnd.oasis.opendocument.")) {
        return Family::OpenDocument;
    }
    Family::Other
}

/// Reads one member into memory, at most `limit` bytes.
pub(crate) fn whole(source: &Source, entry: &Entry, limit: u64) -> Result<Vec<u8>, entries::Unreadable> {
    entries::whole(source, entry, limit)
}

/// The unpacked bytes of one member as a stream; for its beginning.
pub(crate) fn whole_head(source: &Source, entry: &Entry) -> Option<Box<dyn std::io::Read>> {
    entries::open(source, entry)
}

pub(crate) use entries::Unreadable;

/// Bytes before and after the archive.
fn surroundings(walk: &mut Walk<'_>, source: &Source, place: &Place, end: &directory::End, directory: &Directory) {
    if end.shift > 0 {
        let head = source.some(0, super::kind::HEAD);
        let kind = Kind::sniff(&head);
        // Programs that unpack themselves have the archive behind them; anything else with an archive behind it is two documents.
        let two = !matches!(kind, Kind::Binary | Kind::Text | Kind::Zip);
        walk.report_at(if two { &rules::POLYGLOT } else { &rules::LEADING }, place, 0);
        hidden(walk, source, place, 0, end.shift);
    }
    let after = source.len().saturating_sub(end.finish);
    if after > 0 {
        let tail = source.some(end.finish, 64 << 10);
        let blank = tail.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0);
        walk.report_at(
            if blank { &rules::PADDING } else { &rules::TRAILING },
            place,
            end.finish,
        );
        hidden(walk, source, place, end.finish, after);
    }
    if end.comment_len > 1_024 && directory.entries.is_empty() {
        walk.report(&rules::HIDDEN, place);
    }
}

/// Hands over bytes that no program shows.
pub(crate) fn hidden(walk: &mut Walk<'_>, source: &Source, place: &Place, at: u64, len: u64) {
    let mut window = source.window(at, len);
    let member = Member {
        place: place.child(&format!("bytes {at}")),
        kind: Kind::sniff(&window.some(0, super::kind::HEAD)),
        declared: Some(window.len()),
        role: Role::Hidden,
    };
    walk.visitor.member(&member, &mut window);
}

fn check_names(walk: &mut Walk<'_>, place: &Place, directory: &Directory) {
    let mut seen = HashSet::new();
    for entry in &directory.entries {
        let inner = place.child(&entry.name);
        match names::leads(&entry.name) {
            Leads::Inside => {}
            Leads::Out => walk.report(&rules::TRAVERSAL, &inner),
            Leads::Absolute => walk.report(&rules::ABSOLUTE, &inner),
        }
        if names::is_odd(&entry.name) {
            walk.report(&rules::ODD_NAME, &inner);
        }
        if !seen.insert(entry.name.as_str()) {
            walk.report(&rules::DUPLICATE, &inner);
        }
    }
}
