//! tar archives, read front to back (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").

use std::collections::HashSet;
use std::io::{self, Read};

use super::meter::{Packed, drain, fill};
use super::names::{self, Leads};
use super::place::Place;
use super::rules;
use super::visitor::Role;
use super::walk::{Found, Walk};

const BLOCK: usize = 512;
/// Longest extended header or long name that is kept; the rest is skipped.
const EXTENDED: u64 = 1 << 20;
/// Longest name that is kept.
const NAME: usize = 4_096;

/// Whether a header's checksum is right. Old programs summed signed bytes.
pub(crate) fn checksum_fits(block: &[u8]) -> bool {
    let Some(stored) = block.get(148..156).and_then(octal) else {
        return false;
    };
    let mut sum = 0u64;
    let mut signed = 0i64;
    for (at, byte) in block.iter().take(BLOCK).enumerate() {
        let byte = if (148..156).contains(&at) { b' ' } else { *byte };
        sum += u64::from(byte);
        signed += i64::from(byte as i8);
    }
    sum == stored || u64::try_from(signed) == Ok(stored)
}

fn octal(field: &[u8]) -> Option<u64> {
    // GNU writes numbers that do not fit in octal as big-endian bytes after a first one of 0x80.
    if field.first() == Some(&0x80) {
        let low = field.len().checked_sub(8)?;
        if field[1..low.max(1)].iter().any(|byte| *byte != 0) {
            return None;
        }
        return Some(u64::from_be_bytes(field[low..].try_into().ok()?));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() {
        Some(0)
    } else {
        u64::from_str_radix(text, 8).ok()
    }
}

fn string(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// What extended headers say of the next member.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    sparse: bool,
}

impl Extended {
    /// Records of a pax header: `length key=value\n`.
    fn pax(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Some(space) = bytes.iter().take(20).position(|byte| *byte == b' ') else {
                return false;
            };
            let length = std::str::from_utf8(&bytes[..space])
                .ok()
                .and_then(|text| text.parse::<usize>().ok());
            let Some(record) = length
                .filter(|length| *length > space + 1)
                .and_then(|length| bytes.get(..length))
            else {
                return false;
            };
            let text = String::from_utf8_lossy(&record[space + 1..]);
            if let Some((key, value)) = text.trim_end_matches('\n').split_once('=') {
                match key {
                    "path" => self.name = Some(value.to_owned()),
                    "linkpath" => self.link = Some(value.to_owned()),
                    "size" => self.size = value.parse().ok(),
                    _ if key.starts_with("GNU.sparse.") => self.sparse = true,
                    _ => {}
                }
            }
            bytes = &bytes[record.len()..];
        }
        true
    }
}

/// Walks the members.
pub(crate) fn look(walk: &mut Walk<'_>, place: &Place, reader: &mut dyn Read, depth: u32) {
    let mut extended = Extended::default();
    let mut names = HashSet::new();
    let mut header = [0; BLOCK];
    let mut at = 0u64;
    let cuts = walk.budget.cuts();
    loop {
        match fill(reader, &mut header) {
            Ok(0) => {
                // Two empty blocks should end it; many programs leave them out when they are killed.
                return cut_off(walk, place, at, cuts);
            }
            Ok(BLOCK) => {}
            Ok(_) | Err(_) => return cut_off(walk, place, at, cuts),
        }
        if header.iter().all(|byte| *byte == 0) {
            return trailing(walk, place, reader);
        }
        if !checksum_fits(&header) {
            return walk.report_at(&rules::CHECKSUM, place, at);
        }
        let Some(size) = octal(&header[124..136]) else {
            return walk.report_at(&rules::BROKEN, place, at);
        };
        at += BLOCK as u64;
        let flag = header[156];
        if matches!(flag, b'x' | b'L' | b'K' | b'g') {
            let Some(bytes) = body(reader, size) else {
                return cut_off(walk, place, at, cuts);
            };
            let fine = match flag {
                b'x' => extended.pax(&bytes),
                b'L' => {
                    extended.name = Some(string(&bytes));
                    true
                }
                b'K' => {
                    extended.link = Some(string(&bytes));
                    true
                }
                _ => true,
            };
            if !fine {
                walk.report_at(&rules::BROKEN, place, at);
            }
            at = at.saturating_add(padded(size));
            continue;
        }
        let extended = std::mem::take(&mut extended);
        let size = extended.size.unwrap_or(size);
        if let Err(name) = walk.budget.entry() {
            return walk.limit(name, place, None);
        }
        if !walk.visitor.wants_more() {
            return;
        }
        let name = extended.name.clone().unwrap_or_else(|| ustar_name(&header));
        let name: String = name.chars().take(NAME).collect();
        let inner = place.child(&name);
        check(walk, &inner, &name, &header, &extended, &mut names);
        let has_body = matches!(flag, b'0' | b'\0' | b'7' | b'S');
        if !has_body && size == 0 {
            continue;
        }
        if flag == b'S' && header[482] != 0 && !skip_sparse_headers(reader) {
            return cut_off(walk, place, at, cuts);
        }
        let mut bytes = reader.take(size);
        if has_body {
            let found = Found {
                place: inner,
                declared: Some(size),
                packed: Packed::Not,
                role: Role::File,
                enter: true,
            };
            let taken = walk.member(found, &mut bytes, depth);
            if taken.cut {
                return;
            }
        }
        let _ = drain(&mut bytes);
        let left = bytes.limit();
        let padding = padded(size) - size;
        if left > 0 || drain(&mut reader.take(padding)).ok() != Some(padding) {
            return cut_off(walk, place, at, cuts);
        }
        at = at.saturating_add(padded(size));
    }
}

/// The archive ends too early, unless it was a bound that ended it.
fn cut_off(walk: &mut Walk<'_>, place: &Place, at: u64, cuts: u32) {
    if walk.budget.cuts() == cuts {
        walk.report_at(&rules::TRUNCATED, place, at);
    }
}

/// Old GNU sparse files have further blocks of their map after the header; the last has no flag at 504.
fn skip_sparse_headers(reader: &mut dyn Read) -> bool {
    let mut block = [0; BLOCK];
    for _ in 0..4_096 {
        if fill(reader, &mut block).ok() != Some(BLOCK) {
            return false;
        }
        if block[504] == 0 {
            return true;
        }
    }
    false
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}

fn body(reader: &mut dyn Read, size: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = reader.take(padded(size));
    (&mut part).take(size.min(EXTENDED)).read_to_end(&mut bytes).ok()?;
    drain(&mut part).ok()?;
    (part.limit() == 0).then_some(bytes)
}

fn ustar_name(header: &[u8; BLOCK]) -> String {
    let name = string(&header[..100]);
    let prefix = if header[257..263] == *b"ustar\0" {
        string(&header[345..500])
    } else {
        String::new()
    };
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    }
}

fn check(
    walk: &mut Walk<'_>,
    inner: &Place,
    name: &str,
    header: &[u8; BLOCK],
    extended: &Extended,
    names: &mut HashSet<String>,
) {
    match names::leads(name) {
        Leads::Inside => {}
        Leads::Out => walk.report(&rules::TRAVERSAL, inner),
        Leads::Absolute => walk.report(&rules::ABSOLUTE, inner),
    }
    if names::is_odd(name) {
        walk.report(&rules::ODD_NAME, inner);
    }
    let flag = header[156];
    // A folder may be listed as often as one likes.
    if flag != b'5' && !names.insert(name.to_owned()) {
        walk.report(&rules::DUPLICATE, inner);
    }
    match flag {
        b'1' | b'2' => {
            let target = extended.link.clone().unwrap_or_else(|| string(&header[157..257]));
            // A hard link names another member; a symbolic one leads from where it stands.
            let leads = if flag == b'1' {
                names::leads(&target)
            } else {
                names::link_leads(name, &target)
            };
            walk.report(leads.link(), inner);
        }
        b'3' | b'4' | b'6' => walk.report(&rules::DEVICE, inner),
        b'S' => walk.report(&rules::SPARSE, inner),
        _ => {}
    }
    if extended.sparse {
        walk.report(&rules::SPARSE, inner);
    }
    if octal(&header[100..108]).is_some_and(|mode| mode & 0o6000 != 0) && flag != b'5' {
        walk.report(&rules::SETUID, inner);
    }
}

/// After the end come zeros, up to the size of a tape record.
fn trailing(walk: &mut Walk<'_>, place: &Place, reader: &mut dyn Read) {
    let mut piece = vec![0; 64 << 10];
    loop {
        match fill(reader, &mut piece) {
            Ok(0) => return,
            Ok(count) if piece[..count].iter().all(|byte| *byte == 0) => {}
            Ok(_) => {
                walk.report(&rules::TRAILING, place);
                let _: io::Result<u64> = drain(reader);
                return;
            }
            Err(_) => return walk.report(&rules::TRUNCATED, place),
        }
    }
}
