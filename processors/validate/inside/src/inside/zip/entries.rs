//! The members: where their bytes are, whether both headers agree, and what they unpack to.

use std::io::{self, BufReader, Cursor, Read};

use super::directory::{u16_at, u32_at};
use super::{Directory, Entry, Family};
use crate::inside::meter::Packed;
use crate::inside::names;
use crate::inside::place::Place;
use crate::inside::rules;
use crate::inside::source::Source;
use crate::inside::stream::fault;
use crate::inside::visitor::Role;
use crate::inside::walk::{Found, Walk};

const LOCAL: u64 = 30;
/// Longest target of a link that is read.
const TARGET: u64 = 4_096;
/// Gaps between members that are still handed over one by one.
const GAPS: usize = 16;
/// Bytes of a gap that packers leave for alignment.
const SMALL_GAP: u64 = 4_096;

/// Where a member's bytes are.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// Its local header.
    pub header: u64,
    /// Its packed bytes.
    pub data: u64,
    /// Byte after them and their descriptor.
    pub end: u64,
    /// Whether both headers agree.
    pub agrees: bool,
}

/// Where the members are, by their local headers; none where there is no such header.
pub(crate) fn ranges(source: &Source, directory: &Directory) -> Vec<Option<Range>> {
    directory.entries.iter().map(|entry| range(source, entry)).collect()
}

fn range(source: &Source, entry: &Entry) -> Option<Range> {
    let local = source.piece(entry.at, LOCAL as usize)?;
    if !local.starts_with(b"PK\x03\x04") {
        return None;
    }
    let (name_len, extra_len) = (u16_at(&local, 26)?, u16_at(&local, 28)?);
    let name = source.piece(entry.at + LOCAL, name_len.into())?;
    let data = entry.at + LOCAL + u64::from(name_len) + u64::from(extra_len);
    let flags = u16_at(&local, 6)?;
    let later = flags & 8 != 0;
    let (crc, packed, size) = (u32_at(&local, 14)?, u32_at(&local, 18)?, u32_at(&local, 22)?);
    let same = |short: u32, long: u64| short == u32::MAX || u64::from(short) == long;
    // With bit 3 the numbers follow the data, and the local ones are zero or already right.
    let numbers = (crc == entry.crc && same(packed, entry.packed) && same(size, entry.size))
        || (later && crc == 0 && packed == 0 && size == 0)
        || (later && (packed == 0 || same(packed, entry.packed)));
    let agrees =
        name == entry.raw_name && u16_at(&local, 8)? == entry.method && (flags ^ entry.flags) & 1 == 0 && numbers;
    let mut end = data.checked_add(entry.packed)?;
    if later {
        // The descriptor has 12 to 24 bytes, with or without a signature.
        let has = |len: usize, crc_at: usize| {
            source.piece(end, len).is_some_and(|bytes| {
                u32_at(&bytes, crc_at) == Some(entry.crc) && (crc_at == 0 || bytes.starts_with(b"PK\x07\x08"))
            })
        };
        let zip64 = entry.packed > u64::from(u32::MAX) || entry.size > u64::from(u32::MAX);
        end += match (has(16, 4), has(12, 0)) {
            (true, _) => {
                if zip64 {
                    24
                } else {
                    16
                }
            }
            (false, true) => {
                if zip64 {
                    20
                } else {
                    12
                }
            }
            (false, false) => 0,
        };
    }
    Some(Range {
        header: entry.at,
        data,
        end,
        agrees,
    })
}

/// Whether members share bytes or lie outside; reports it, and what lies between them. True where the archive must not be unpacked.
pub(crate) fn check_ranges(
    walk: &mut Walk<'_>,
    source: &Source,
    place: &Place,
    directory: &Directory,
    ranges: &[Option<Range>],
) -> bool {
    let mut sorted: Vec<&Range> = ranges.iter().flatten().collect();
    sorted.sort_by_key(|range| (range.header, range.end));
    let mut hostile = false;
    let mut gaps = Vec::new();
    let mut reached = sorted.first().map_or(0, |first| first.header);
    for range in sorted {
        if range.header < reached {
            if !hostile {
                walk.report_at(&rules::OVERLAP, place, range.header);
            }
            hostile = true;
        } else if range.header > reached {
            gaps.push((reached, range.header - reached));
        }
        reached = reached.max(range.end);
    }
    if reached > directory.at {
        walk.report_at(
            if reached > source.len() {
                &rules::TRUNCATED
            } else {
                &rules::OVERLAP
            },
            place,
            directory.at,
        );
        hostile |= reached <= source.len();
    } else if reached < directory.at && !ranges.is_empty() {
        gaps.push((reached, directory.at - reached));
    }
    let mut said = false;
    for (at, len) in gaps.into_iter().take(GAPS) {
        let blank = len <= SMALL_GAP && source.some(at, len as usize).iter().all(|byte| *byte == 0);
        if !blank {
            // A block of signatures stands before the directory of Android packages.
            if !said {
                walk.report_at(&rules::HIDDEN, place, at);
            }
            said = true;
            super::hidden(walk, source, place, at, len);
        }
    }
    hostile
}

/// Hands one member over.
pub(crate) fn one(
    walk: &mut Walk<'_>,
    source: &Source,
    place: &Place,
    entry: &Entry,
    range: Option<&Range>,
    family: Family,
    depth: u32,
) {
    let inner = place.child(&entry.name);
    let Some(range) = range else {
        return walk.report_at(&rules::BROKEN, &inner, entry.at);
    };
    if !range.agrees {
        walk.report_at(&rules::HEADERS_DIFFER, &inner, entry.at);
    }
    if entry.is_encrypted() {
        return walk.report(&rules::ENCRYPTED, &inner);
    }
    if entry.is_link() {
        link(walk, source, &inner, entry);
    }
    if entry.is_folder() && entry.size == 0 {
        return;
    }
    let Some(mut reader) = unpack(source.window(range.data, entry.packed), entry.method) else {
        walk.report(&rules::METHOD, &inner);
        return;
    };
    let part = family != Family::Other && is_part(&entry.name);
    let found = Found {
        place: inner.clone(),
        declared: Some(entry.size),
        packed: if entry.method == 0 {
            Packed::Not
        } else {
            Packed::Known(entry.packed)
        },
        role: if part { Role::Part } else { Role::File },
        enter: true,
    };
    // A member that unpacks to more than it says must not run on: one byte more tells.
    let mut bounded = (&mut reader).take(entry.size.saturating_add(1));
    let taken = walk.member(found, &mut bounded, depth);
    if taken.cut {
        return;
    }
    match taken.error {
        Some(error) => walk.report_at(fault(&error), &inner, range.data),
        None if taken.produced != entry.size => walk.report_at(&rules::SIZE_LIE, &inner, entry.at),
        None if taken.crc != entry.crc => walk.report_at(&rules::CHECKSUM, &inner, entry.at),
        None => {}
    }
}

fn is_part(name: &str) -> bool {
    matches!(names::extension(name).as_deref(), Some("xml" | "vml"))
        || name.ends_with(".rels")
        || name == "mimetype"
        || name.starts_with("xl/") && name.ends_with(".bin")
}

fn link(walk: &mut Walk<'_>, source: &Source, inner: &Place, entry: &Entry) {
    let target = whole(source, entry, TARGET).unwrap_or_default();
    let leads = names::link_leads(&entry.name, &String::from_utf8_lossy(&target));
    walk.report(leads.link(), inner);
}

/// A decoder for the method (4.4.5), none where it is not supported.
fn unpack(packed: Source, method: u16) -> Option<Box<dyn Read>> {
    let packed = BufReader::with_capacity(32 << 10, packed);
    Some(match method {
        0 => Box::new(packed),
        8 => Box::new(flate2::bufread::DeflateDecoder::new(packed)),
        12 => Box::new(bzip2::bufread::BzDecoder::new(packed)),
        93 => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).ok()?;
            decoder.window_log_max(26).ok()?;
            Box::new(decoder)
        }
        95 => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, false, 96 << 10)),
        _ => return None,
    })
}

/// Why a member cannot be read into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is larger than allowed.
    Large,
    /// It is broken, encrypted or packed in an unknown way; that is reported where the member is handed over.
    Broken,
}

/// The unpacked bytes of one member; none where it is encrypted, broken or packed in an unknown way.
pub(crate) fn open(source: &Source, entry: &Entry) -> Option<Box<dyn Read>> {
    let range = range(source, entry).filter(|_| !entry.is_encrypted())?;
    unpack(source.window(range.data, entry.packed), entry.method)
}

/// Reads one member into memory.
pub(crate) fn whole(source: &Source, entry: &Entry, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let reader = open(source, entry).ok_or(Unreadable::Broken)?;
    let mut bytes = Vec::new();
    let read: io::Result<usize> = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    if bytes.len() as u64 > limit {
        return Err(Unreadable::Large);
    }
    read.map(|_| bytes).map_err(|_| Unreadable::Broken)
}

/// Goes from local header to local header where the directory is lost, so that what is left is scanned all the same.
pub(crate) fn salvage(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) {
    let mut at = 0;
    while let Some(local) = source.piece(at, LOCAL as usize) {
        if !local.starts_with(b"PK\x03\x04") || !walk.more(place) || walk.budget.entry().is_err() {
            break;
        }
        let field = |at| u16_at(&local, at).map_or(0, u64::from);
        let name = source.some(at + LOCAL, field(26) as usize);
        let data = at + LOCAL + field(26) + field(28);
        let packed = u32_at(&local, 18).map_or(0, u64::from);
        let later = field(6) & 8 != 0 && packed == 0;
        let rest = source.window(
            data,
            if later || packed == u64::from(u32::MAX) {
                u64::MAX
            } else {
                packed
            },
        );
        let inner = place.child(&String::from_utf8_lossy(&name));
        let known = rest.len();
        let reader = if field(6) & 1 == 1 {
            None
        } else {
            unpack(rest, u16_at(&local, 8).unwrap_or(u16::MAX))
        };
        let mut reader = reader.unwrap_or_else(|| Box::new(Cursor::new(Vec::new())));
        let packed_known = Packed::Known(known.max(1));
        let found = Found {
            place: inner,
            declared: None,
            packed: packed_known,
            role: Role::File,
            enter: true,
        };
        walk.member(found, &mut reader, depth);
        if later || packed == 0 {
            // Where the next begins is not known without the directory.
            break;
        }
        at = data + packed;
    }
    let left = source.len().saturating_sub(at);
    if left > 0 {
        super::hidden(walk, source, place, at, left);
    }
}
