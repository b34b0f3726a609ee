//! The file system of a compound file: sectors, chains, folders.

use std::io::{self, Read};

use crate::inside::rules::{self, Rule};
use crate::inside::source::Source;

/// Sector numbers from here on mean something else ([MS-CFB] 2.1).
const MAX_SECTOR: u32 = 0xffff_fffa;
/// Folders within folders.
const DEPTH: usize = 32;

static BROKEN: Rule = rules::BROKEN;
static TRUNCATED: Rule = rules::TRUNCATED;

/// A stream with its path.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub path: String,
    pub size: u64,
    start: u32,
}

/// An open compound file.
pub(super) struct Cfb {
    source: Source,
    shift: u32,
    fat: Vec<u32>,
    mini_fat: Vec<u32>,
    mini: Vec<u32>,
    cutoff: u64,
    pub streams: Vec<Stream>,
    /// Whether there are more folders and streams than were read.
    pub cut: bool,
}

struct Folder {
    name: String,
    kind: u8,
    left: u32,
    right: u32,
    child: u32,
    start: u32,
    size: u64,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes
        .chunks_exact(4)
        .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

impl Cfb {
    pub fn open(source: &Source, limit: u64) -> Result<Self, &'static Rule> {
        let header = source.piece(0, 512).ok_or(&TRUNCATED)?;
        let shift = u32::from(header[30]) | u32::from(header[31]) << 8;
        if shift != 9 && shift != 12 || header[28..30] != [0xfe, 0xff] {
            return Err(&BROKEN);
        }
        let field = |at| u32_at(&header, at).unwrap_or(u32::MAX);
        let mut cfb = Self {
            source: source.clone(),
            shift,
            fat: Vec::new(),
            mini_fat: Vec::new(),
            mini: Vec::new(),
            cutoff: field(56).into(),
            streams: Vec::new(),
            cut: false,
        };
        let sectors = source.len() >> shift;
        let mut fat_sectors: Vec<u32> = numbers(&header[76..512])
            .filter(|sector| *sector < MAX_SECTOR)
            .collect();
        let mut next = field(68);
        let mut seen = 0;
        while next < MAX_SECTOR && seen <= sectors {
            let bytes = cfb.sector(next).ok_or(&TRUNCATED)?;
            let (list, last) = bytes.split_at(bytes.len() - 4);
            fat_sectors.extend(numbers(list).filter(|sector| *sector < MAX_SECTOR));
            next = u32_at(last, 0).unwrap_or(u32::MAX);
            seen += 1;
        }
        // One sector of the table describes many: more of them than the file needs is a lie.
        fat_sectors.truncate(usize::try_from(sectors / (1 << (shift - 2)) + 2).unwrap_or(0));
        for sector in fat_sectors {
            let bytes = cfb.sector(sector).ok_or(&TRUNCATED)?;
            cfb.fat.extend(numbers(&bytes));
        }
        let folders = cfb.folders(field(48), limit)?;
        let mini_fat = cfb.chain(field(60)).ok_or(&BROKEN)?;
        for sector in mini_fat {
            let bytes = cfb.sector(sector).ok_or(&TRUNCATED)?;
            cfb.mini_fat.extend(numbers(&bytes));
        }
        let root = folders.first().ok_or(&BROKEN)?;
        cfb.mini = cfb.chain(root.start).ok_or(&BROKEN)?;
        cfb.walk(&folders);
        Ok(cfb)
    }

    /// Sectors that all streams together may have: twice those of the tables, since a sound file uses each once.
    pub fn sectors(&self) -> usize {
        2 * (self.fat.len() + self.mini_fat.len()) + 16
    }

    /// What it costs to find out that a chain is a circle.
    pub fn table(&self) -> usize {
        self.fat.len().max(self.mini_fat.len())
    }

    fn sector(&self, number: u32) -> Option<Vec<u8>> {
        let at = (u64::from(number) + 1) << self.shift;
        let bytes = self.source.some(at, 1 << self.shift);
        // The last sector may be cut off by writers that do not fill it.
        (!bytes.is_empty()).then(|| {
            let mut bytes = bytes;
            bytes.resize(1 << self.shift, 0);
            bytes
        })
    }

    /// The sectors of a chain; none where it runs in a circle or out of the table.
    fn chain(&self, start: u32) -> Option<Vec<u32>> {
        follow(&self.fat, start)
    }

    fn folders(&mut self, start: u32, limit: u64) -> Result<Vec<Folder>, &'static Rule> {
        let mut folders = Vec::new();
        for sector in self.chain(start).ok_or(&BROKEN)? {
            let bytes = self.sector(sector).ok_or(&TRUNCATED)?;
            for raw in bytes.chunks_exact(128) {
                if folders.len() as u64 >= limit {
                    self.cut = true;
                    return Ok(folders);
                }
                folders.push(Folder::parse(raw, self.shift));
            }
        }
        Ok(folders)
    }

    /// Goes through the tree of folders; each is visited once, so that circles end.
    fn walk(&mut self, folders: &[Folder]) {
        let mut seen = vec![false; folders.len()];
        let mut stack: Vec<(u32, String, usize)> = folders
            .first()
            .map(|root| (root.child, String::new(), 0))
            .into_iter()
            .collect();
        while let Some((index, parent, depth)) = stack.pop() {
            let Some(folder) = usize::try_from(index).ok().and_then(|index| folders.get(index)) else {
                continue;
            };
            if std::mem::replace(&mut seen[index as usize], true) {
                continue;
            }
            stack.push((folder.right, parent.clone(), depth));
            stack.push((folder.left, parent.clone(), depth));
            let path = if parent.is_empty() {
                folder.name.clone()
            } else {
                format!("{parent}/{}", folder.name)
            };
            match folder.kind {
                1 if depth < DEPTH => stack.push((folder.child, path, depth + 1)),
                2 => self.streams.push(Stream {
                    path,
                    size: folder.size,
                    start: folder.start,
                }),
                _ => {}
            }
        }
    }

    /// Reads a stream; none where its chain is a circle.
    pub fn reader(&self, stream: &Stream) -> Option<StreamReader> {
        let mini = stream.size < self.cutoff;
        let (unit, places) = if mini {
            let per = 1u64 << (self.shift - 6);
            let chain = follow(&self.mini_fat, stream.start)?;
            let place = |number: u32| {
                let big = self.mini.get(usize::try_from(u64::from(number) / per).ok()?)?;
                Some(((u64::from(*big) + 1) << self.shift) + u64::from(number) % per * 64)
            };
            (64, chain.into_iter().map_while(place).collect::<Vec<_>>())
        } else {
            let chain = self.chain(stream.start)?;
            (
                1 << self.shift,
                chain
                    .into_iter()
                    .map(|sector| (u64::from(sector) + 1) << self.shift)
                    .collect(),
            )
        };
        Some(StreamReader {
            source: self.source.clone(),
            unit,
            places,
            at: 0,
            size: stream.size,
        })
    }
}

fn follow(table: &[u32], start: u32) -> Option<Vec<u32>> {
    let mut chain = Vec::new();
    let mut next = start;
    while next < MAX_SECTOR {
        if chain.len() > table.len() {
            return None;
        }
        chain.push(next);
        // A chain that leaves the table ends there: the reader then says that bytes are missing.
        next = table.get(next as usize).copied().unwrap_or(u32::MAX);
    }
    Some(chain)
}

impl Folder {
    fn parse(raw: &[u8], shift: u32) -> Self {
        let length = usize::from(u16::from_le_bytes([raw[64], raw[65]])).clamp(2, 64) - 2;
        let units: Vec<u16> = raw[..length]
            .chunks_exact(2)
            .map(|two| u16::from_le_bytes([two[0], two[1]]))
            .collect();
        let field = |at| u32_at(raw, at).unwrap_or(u32::MAX);
        // Files with small sectors have only 32 bits of size; what stands above may be rubbish ([MS-CFB] 2.6.3).
        let high = if shift == 9 { 0 } else { u64::from(field(124)) << 32 };
        Self {
            name: String::from_utf16_lossy(&units),
            kind: raw[66],
            left: field(68),
            right: field(72),
            child: field(76),
            start: field(116),
            size: u64::from(field(120)) | high,
        }
    }
}

/// The bytes of a stream.
pub(super) struct StreamReader {
    source: Source,
    unit: u64,
    places: Vec<u64>,
    at: u64,
    size: u64,
}

impl StreamReader {
    /// Its sectors.
    pub fn units(&self) -> usize {
        self.places.len()
    }
}

impl Read for StreamReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(place) = usize::try_from(self.at / self.unit)
            .ok()
            .and_then(|index| self.places.get(index))
        else {
            return Ok(0);
        };
        let within = self.at % self.unit;
        let room = (self.unit - within)
            .min(self.size.saturating_sub(self.at))
            .min(into.len() as u64);
        let count = self.source.read_at(place + within, &mut into[..room as usize])?;
        self.at += count as u64;
        Ok(count)
    }
}
