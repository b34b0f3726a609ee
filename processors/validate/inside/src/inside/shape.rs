//! Shapefiles: one file or, usually, a ZIP archive of several that belong together (ESRI Shapefile Technical Description, July 1998).

use std::collections::BTreeMap;

use super::place::Place;
use super::rules;
use super::source::Source;
use super::walk::Walk;
use super::zip::{self, Directory, Entry, Unreadable};

const HEADER: usize = 100;

/// The header that .shp and .shx share.
struct Header {
    /// Bytes by the header.
    length: u64,
    kind: u32,
    bounds: [f64; 4],
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le64(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn header(bytes: &[u8]) -> Option<Header> {
    if be32(bytes, 0)? != 9_994 || le32(bytes, 28)? != 1_000 {
        return None;
    }
    Some(Header {
        length: u64::from(be32(bytes, 24)?) * 2,
        kind: le32(bytes, 32)?,
        bounds: [le64(bytes, 36)?, le64(bytes, 44)?, le64(bytes, 52)?, le64(bytes, 60)?],
    })
}

/// What a walk over the records shows.
#[derive(Default)]
struct Records {
    count: u64,
    sound: bool,
    outside: bool,
}

fn records(bytes: &[u8], header: &Header) -> Records {
    let mut seen = Records {
        sound: true,
        ..Records::default()
    };
    let mut at = HEADER;
    while at < bytes.len() {
        let Some(length) = be32(bytes, at + 4).and_then(|words| usize::try_from(words).ok()?.checked_mul(2)) else {
            seen.sound = false;
            break;
        };
        let Some(body) = at
            .checked_add(8)
            .and_then(|from| bytes.get(from..from.checked_add(length)?))
        else {
            seen.sound = false;
            break;
        };
        let kind = le32(body, 0).unwrap_or(u32::MAX);
        seen.sound &= kind == 0 || kind == header.kind;
        seen.outside |= is_outside(body, kind, &header.bounds);
        seen.count += 1;
        at += 8 + length;
    }
    seen
}

/// Points have their place first, all other shapes their bounds.
fn is_outside(body: &[u8], kind: u32, bounds: &[f64; 4]) -> bool {
    let number = |index: usize| le64(body, 4 + index * 8);
    let corners = match kind {
        0 => return false,
        1 | 11 | 21 => number(0).zip(number(1)).map(|(x, y)| [x, y, x, y]),
        _ => (|| Some([number(0)?, number(1)?, number(2)?, number(3)?]))(),
    };
    let Some([left, bottom, right, top]) = corners else {
        return true;
    };
    // Writers round differently.
    let slack = 1e-6
        * (bounds[2] - bounds[0])
            .abs()
            .max((bounds[3] - bounds[1]).abs())
            .max(1.0);
    left < bounds[0] - slack
        || bottom < bounds[1] - slack
        || right > bounds[2] + slack
        || top > bounds[3] + slack
        || left.is_nan()
}

/// A .shp or .shx alone.
pub(crate) fn single(walk: &mut Walk<'_>, source: &Source, place: &Place) {
    let Some(header) = source.piece(0, HEADER).as_deref().and_then(header) else {
        return walk.report(&rules::BROKEN, place);
    };
    if header.length > source.len() {
        walk.report(&rules::TRUNCATED, place);
    } else if header.length < source.len() {
        walk.report_at(&rules::TRAILING, place, header.length);
    }
}

/// Members of an archive that make up shapefiles, by their common stem.
pub(crate) fn archive(walk: &mut Walk<'_>, source: &Source, place: &Place, directory: &Directory) {
    let mut sets: BTreeMap<&str, BTreeMap<String, &Entry>> = BTreeMap::new();
    for entry in &directory.entries {
        if let Some((stem, extension)) = entry.name.rsplit_once('.') {
            let extension = extension.to_ascii_lowercase();
            if matches!(extension.as_str(), "shp" | "shx" | "dbf" | "prj") && !entry.name.starts_with("__MACOSX/") {
                sets.entry(stem).or_default().insert(extension, entry);
            }
        }
    }
    for (stem, set) in sets {
        if set.contains_key("shp") {
            one(walk, source, &place.child(&format!("{stem}.shp")), &set);
        }
    }
}

fn one(walk: &mut Walk<'_>, source: &Source, place: &Place, set: &BTreeMap<String, &Entry>) {
    if !set.contains_key("shx") || !set.contains_key("dbf") {
        walk.report(&rules::GEO_PART, place);
    }
    if !set.contains_key("prj") {
        walk.report(&rules::NO_PRJ, place);
    }
    let limit = walk.limits().part_bytes;
    let mut read = |name: &str| -> Option<Vec<u8>> {
        let entry = set.get(name)?;
        match zip::whole(source, entry, limit) {
            Ok(bytes) => Some(bytes),
            Err(Unreadable::Large) => {
                walk.limit(super::limits::LimitName::PartBytes, place, Some(entry.size));
                None
            }
            Err(Unreadable::Broken) => None,
        }
    };
    let (shp, shx, dbf) = (read("shp"), read("shx"), read("dbf"));
    let Some(shp) = shp else { return };
    let Some(head) = header(&shp) else {
        return walk.report(&rules::BROKEN, place);
    };
    let seen = records(&shp, &head);
    let mut fits = seen.sound && head.length == shp.len() as u64;
    if let Some(shx) = shx {
        let index = header(&shx).filter(|index| index.length == shx.len() as u64 && index.kind == head.kind);
        fits &= index.is_some() && (shx.len() - HEADER) / 8 == seen.count as usize;
    }
    if let Some(dbf) = dbf {
        // dBASE: number of records at 4, bytes of the header at 8, of a record at 10.
        let rows = le32(&dbf, 4).map(u64::from);
        let sizes = le32(&dbf, 8).map(|both| (u64::from(both & 0xffff), u64::from(both >> 16)));
        let room = rows
            .zip(sizes)
            .is_some_and(|(rows, (head, row))| head + rows * row <= dbf.len() as u64 + 1);
        fits &= rows == Some(seen.count) && room;
    }
    if !fits {
        walk.report(&rules::GEO_INCONSISTENT, place);
    } else if seen.outside {
        walk.report(&rules::GEO_BOUNDS, place);
    }
}
