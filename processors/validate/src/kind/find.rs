//! Telling the type, reading further pages as they are needed. Without I/O: whoever has the document reads.

use std::ops::Range;

use bytes::Bytes;

use super::{Claim, Detected, Pages, detect};

/// Pages of 64 KiB that are read for one document's type, its head included.
pub const PAGES: usize = 64;

/// What comes next.
pub enum Step {
    /// This is the type; and, if the limit on pages was reached, how many bytes were at hand then.
    Is(Detected, Option<u64>),
    /// These bytes are needed: read them and [`Finder::give`] them.
    Read(Range<u64>),
}

/// Tells the type of one document.
pub struct Finder {
    pages: Pages,
    exhausted: Option<u64>,
}

impl Finder {
    /// For a document of `size` bytes that begins with `head`.
    pub fn new(size: u64, head: Bytes) -> Self {
        Self {
            pages: Pages::new(size, head),
            exhausted: None,
        }
    }

    /// Goes on.
    pub fn step(&mut self, claims: &[Claim]) -> Step {
        loop {
            let missing = match detect(&self.pages, claims) {
                Ok(detected) => return Step::Is(detected, self.exhausted),
                Err(missing) => missing,
            };
            let range = self.pages.wanted(missing, PAGES);
            if !range.is_empty() {
                return Step::Read(range);
            }
            self.exhausted = Some(self.pages.close());
        }
    }

    /// Takes the bytes that begin at `from`. Where there are none the document is shorter than was said, and what is here has to do.
    pub fn give(&mut self, from: u64, bytes: &Bytes) {
        if bytes.is_empty() {
            self.pages.close();
        } else {
            self.pages.add(from, bytes);
        }
    }
}
