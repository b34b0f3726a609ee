//! The parts of a document that are at hand.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;

/// Size of a page, and of the head that is kept while the document streams by.
pub const PAGE: u64 = 64 * 1024;

/// A page that detection needs and does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    page: u64,
}

/// Pages of a document by number; page 0 is the head.
pub struct Pages {
    size: u64,
    pages: BTreeMap<u64, Bytes>,
    missing: Cell<Option<Missing>>,
    closed: bool,
}

impl Pages {
    /// A document of `size` bytes of which the head (all of the first page) is known.
    pub fn new(size: u64, head: Bytes) -> Self {
        Self {
            size,
            pages: BTreeMap::from([(0, head)]),
            missing: Cell::new(None),
            closed: false,
        }
    }

    /// The bytes to fetch for a missing page: from it on, up to as many pages as are at hand already, so that a long directory takes few
    /// reads; never more than `most` pages in all. Empty when there is no room.
    pub fn wanted(&self, missing: Missing, most: usize) -> Range<u64> {
        let room = most.saturating_sub(self.pages.len());
        let end = self.size.div_ceil(PAGE);
        let reach = self.pages.len().min(room) as u64;
        let last = (missing.page..end.min(missing.page + reach))
            .take_while(|page| !self.pages.contains_key(page))
            .last();
        missing.page * PAGE..last.map_or(missing.page * PAGE, |last| ((last + 1) * PAGE).min(self.size))
    }

    /// Adds what was fetched from this place on, the beginning of a page.
    pub fn add(&mut self, from: u64, bytes: &Bytes) {
        for (page, at) in (from / PAGE..).zip((0..bytes.len()).step_by(PAGE as usize)) {
            self.pages
                .insert(page, bytes.slice(at..bytes.len().min(at + PAGE as usize)));
        }
        self.missing.set(None);
    }

    /// From now on a page that is not there is a read error, not a request. Returns how many bytes were at hand.
    pub fn close(&mut self) -> u64 {
        self.closed = true;
        self.missing.set(None);
        self.pages.values().map(|page| page.len() as u64).sum()
    }

    /// Size of the document.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first page.
    pub fn head(&self) -> &[u8] {
        self.pages.get(&0).map_or(&[], |page| page)
    }

    /// The page that was last asked for in vain.
    pub fn missing(&self) -> Option<Missing> {
        self.missing.get()
    }

    /// A reader over the document, as far as it is known.
    pub fn reader(&self) -> Reader<'_> {
        Reader { pages: self, at: 0 }
    }

    /// Copies bytes from `at`; fewer at the end of the document or where a closed document has a gap.
    pub fn copy(&self, at: u64, into: &mut [u8]) -> Result<usize, Missing> {
        let mut copied = 0;
        while copied < into.len() {
            let from = at.saturating_add(copied as u64);
            if from >= self.size {
                break;
            }
            let Some(page) = self.pages.get(&(from / PAGE)) else {
                let missing = Missing { page: from / PAGE };
                if self.closed {
                    break;
                }
                self.missing.set(Some(missing));
                return Err(missing);
            };
            let inside = (from % PAGE) as usize;
            let Some(rest) = page.get(inside..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            let length = rest.len().min(into.len() - copied);
            into[copied..copied + length].copy_from_slice(&rest[..length]);
            copied += length;
        }
        Ok(copied)
    }

    /// Exactly this range, or `None` where the document or what is at hand of it ends before.
    pub fn bytes(&self, at: u64, length: usize) -> Result<Option<Vec<u8>>, Missing> {
        let mut bytes = vec![0; length];
        let copied = self.copy(at, &mut bytes)?;
        Ok((copied == length).then_some(bytes))
    }
}

/// Reads pages. What is missing is an error, and remembered in the pages.
pub struct Reader<'a> {
    pages: &'a Pages,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self
            .pages
            .copy(self.at, into)
            .map_err(|_| io::Error::other("page is missing"))?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.pages.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the beginning"))?;
        Ok(self.at)
    }
}
