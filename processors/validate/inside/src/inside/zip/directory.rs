//! The end record and the central directory.

use std::collections::HashMap;

use crate::inside::source::Source;

/// End record without its comment, and the longest comment.
const END: usize = 22;
const COMMENT: usize = u16::MAX as usize;
/// Largest directory that is read into memory.
const DIRECTORY: u64 = 16 << 20;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The end record, with ZIP64's numbers where there are any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Members by its count.
    pub entries: u64,
    /// True beginning of the directory.
    pub at: u64,
    /// Bytes of the directory.
    pub size: u64,
    /// Bytes before the archive: every offset in it is too small by so many.
    pub shift: u64,
    /// Byte after the comment.
    pub finish: u64,
    /// Bytes of the comment.
    pub comment_len: u64,
}

impl End {
    pub fn points_to_a_header(&self, source: &Source) -> bool {
        source.piece(self.at, 4).is_some_and(|magic| magic == b"PK\x01\x02")
    }
}

/// Finds the end record: the last one whose comment ends where the file does, or else the last one.
pub(crate) fn find(source: &Source) -> Option<End> {
    let from = source.len().saturating_sub((END + COMMENT) as u64);
    let tail = source.some(from, END + COMMENT);
    let all = || {
        (0..tail.len().saturating_sub(END - 1))
            .rev()
            .filter(|&at| tail[at..].starts_with(b"PK\x05\x06"))
    };
    let ends_well = |at: &usize| u16_at(&tail, at + 20).map(usize::from) == Some(tail.len() - at - END);
    let at = all().take(64).find(ends_well).or_else(|| all().next())?;
    let record = &tail[at..];
    let here = from + at as u64;
    let comment_len = u64::from(u16_at(record, 20)?);
    let mut end = End {
        entries: u16_at(record, 10)?.into(),
        size: u32_at(record, 12)?.into(),
        at: u32_at(record, 16)?.into(),
        shift: 0,
        finish: (here + END as u64 + comment_len).min(source.len()),
        comment_len,
    };
    let mut behind = here;
    let locator = here.checked_sub(20).and_then(|at| source.piece(at, 20));
    if let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
        // The stated place may be too small by the shift: then it stands right before the locator.
        let stated = u64_at(&locator, 8)?;
        let is_record = |at: u64| {
            source
                .piece(at, 56)
                .filter(|record| record.starts_with(b"PK\x06\x06"))
                .map(|record| (at, record))
        };
        let (at, record) = is_record(stated).or_else(|| is_record((here - 20).checked_sub(56)?))?;
        end.entries = u64_at(&record, 32)?;
        end.size = u64_at(&record, 40)?;
        end.at = u64_at(&record, 48)?;
        behind = at;
    }
    // The directory stands right before its end record, whatever the record says: that is how data before an archive shows.
    let true_at = behind.checked_sub(end.size);
    if let Some(true_at) = true_at
        && true_at > end.at
        && source.piece(true_at, 4).is_some_and(|magic| magic == b"PK\x01\x02")
    {
        end.shift = true_at - end.at;
        end.at = true_at;
    }
    Some(end)
}

/// One member by the directory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub name: String,
    /// The name as bytes: two names may be read alike and be different.
    pub raw_name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub packed: u64,
    pub size: u64,
    /// Of the local header, the shift included.
    pub at: u64,
    /// Unix mode, zero where none is stored.
    pub mode: u32,
}

impl Entry {
    pub fn is_encrypted(&self) -> bool {
        self.flags & 1 == 1
    }

    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }

    pub fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }
}

/// The directory.
pub(crate) struct Directory {
    pub entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// Where it begins.
    pub at: u64,
    /// Whether it is longer than what is read.
    pub cut: bool,
}

impl Directory {
    /// Reads at most `limit` entries; the place of the first header that is none.
    pub fn read(source: &Source, end: &End, limit: u64) -> Result<Self, u64> {
        if end.at.saturating_add(end.size) > source.len() {
            return Err(end.at);
        }
        let bytes = source.some(end.at, end.size.min(DIRECTORY) as usize);
        let cut = end.size > DIRECTORY;
        let mut entries = Vec::new();
        let mut at = 0usize;
        while at < bytes.len() && (entries.len() as u64) < limit {
            let rest = &bytes[at..];
            if cut && rest.len() < 4 {
                break;
            }
            if !rest.starts_with(b"PK\x01\x02") {
                // A signature of the directory may follow the members.
                if rest.starts_with(b"PK\x05\x05") {
                    break;
                }
                return Err(end.at + at as u64);
            }
            let parsed = parse(rest, end.shift);
            let Some((entry, length)) = parsed else {
                if cut {
                    break;
                }
                return Err(end.at + at as u64);
            };
            entries.push(entry);
            at += length;
        }
        // The first of a name counts for a reader of documents; a duplicate is reported apart.
        let mut by_name = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            by_name.entry(entry.name.clone()).or_insert(index);
        }
        Ok(Self {
            entries,
            by_name,
            at: end.at,
            cut,
        })
    }

    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).and_then(|index| self.entries.get(*index))
    }
}

fn parse(header: &[u8], shift: u64) -> Option<(Entry, usize)> {
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|at| u16_at(header, at).map(usize::from));
    let (name_len, extra_len, comment_len) = (name_len?, extra_len?, comment_len?);
    let raw_name = header.get(46..46 + name_len)?.to_vec();
    let extra = header.get(46 + name_len..46 + name_len + extra_len)?;
    let mut entry = Entry {
        name: String::from_utf8_lossy(&raw_name).into_owned(),
        raw_name,
        flags: u16_at(header, 8)?,
        method: u16_at(header, 10)?,
        crc: u32_at(header, 16)?,
        packed: u32_at(header, 20)?.into(),
        size: u32_at(header, 24)?.into(),
        at: u32_at(header, 42)?.into(),
        mode: u32_at(header, 38)? >> 16,
    };
    zip64(extra, &mut entry);
    entry.at = entry.at.checked_add(shift)?;
    Some((entry, 46 + name_len + extra_len + comment_len))
}

/// The extra field that holds what does not fit in 32 bits, in this order and only where the short one is full (4.5.3).
fn zip64(mut extra: &[u8], entry: &mut Entry) {
    while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(len)) else {
            return;
        };
        if id == 1 {
            let mut at = 0;
            for value in [&mut entry.size, &mut entry.packed, &mut entry.at] {
                if *value == u64::from(u32::MAX)
                    && let Some(long) = u64_at(field, at)
                {
                    *value = long;
                    at += 8;
                }
            }
        }
        extra = &extra[4 + usize::from(len)..];
    }
}
