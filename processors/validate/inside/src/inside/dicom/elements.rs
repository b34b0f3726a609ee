//! Elements of a data set, one after the other (DICOM PS3.5, 7).

use std::io::{self, BufRead, Read};

use crate::inside::meter::{Meter, fill};
use crate::inside::source::Source;

/// An item of a sequence, the end of one without a length, and the end of a sequence without one (PS3.5, 7.5).
pub(super) const ITEM: u32 = 0xfffe_e000;
pub(super) const ITEM_END: u32 = 0xfffe_e00d;
pub(super) const SEQUENCE_END: u32 = 0xfffe_e0dd;

/// Representations whose length has four bytes (PS3.5, 7.1.2).
const LONG: [&[u8; 2]; 13] = [
    b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
];

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// In the middle of an element.
    Truncated,
    /// What stands there is no element.
    Bad,
}

/// How elements are written (PS3.5, 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Whether each says how its value is written.
    pub explicit: bool,
    /// Whether the first byte of a number is its highest.
    pub big: bool,
}

/// What stands before a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub tag: u32,
    /// How the value is written, where that is said.
    pub written: Option<[u8; 2]>,
    /// None when it goes on to a delimiter.
    pub length: Option<u32>,
}

/// A place elements are read from.
pub(super) trait Input: BufRead {
    /// Leaves bytes out; false when there are not so many.
    fn skip(&mut self, bytes: u64) -> io::Result<bool>;
}

impl Input for io::BufReader<Source> {
    fn skip(&mut self, bytes: u64) -> io::Result<bool> {
        use std::io::Seek;
        let at = self.stream_position()?;
        let there = at.checked_add(bytes).is_some_and(|to| to <= self.get_ref().len());
        if there {
            self.seek_relative(i64::try_from(bytes).map_err(io::Error::other)?)?;
        }
        Ok(there)
    }
}

/// What is unpacked has to be read to be left out.
impl Input for io::BufReader<&mut Meter<'_>> {
    fn skip(&mut self, bytes: u64) -> io::Result<bool> {
        Ok(io::copy(&mut self.by_ref().take(bytes), &mut io::sink())? == bytes)
    }
}

/// Reads elements.
pub(super) struct Elements<'r> {
    pub input: &'r mut dyn Input,
    /// Bytes read so far.
    pub at: u64,
    /// Bytes that were looked at before their turn.
    ahead: Vec<u8>,
}

impl<'r> Elements<'r> {
    pub(super) fn new(input: &'r mut dyn Input) -> Self {
        Self {
            input,
            at: 0,
            ahead: Vec::new(),
        }
    }

    fn exact<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        let known = self.ahead.len().min(N);
        bytes[..known].copy_from_slice(&self.ahead[..known]);
        self.ahead.drain(..known);
        let count = fill(&mut self.input, &mut bytes[known..]).map_err(|_| Stop::Truncated)?;
        self.at += (known + count) as u64;
        if known + count < N {
            Err(Stop::Truncated)
        } else {
            Ok(bytes)
        }
    }

    /// The next header; none at the end.
    pub(super) fn header(&mut self, syntax: Syntax) -> Result<Option<Header>, Stop> {
        if self.ahead.is_empty() && self.input.fill_buf().map_err(|_| Stop::Truncated)?.is_empty() {
            return Ok(None);
        }
        let two = |bytes: [u8; 2]| {
            if syntax.big {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            }
        };
        let four = |bytes: [u8; 4]| {
            if syntax.big {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        let [group, element] = [two(self.exact()?), two(self.exact()?)];
        let tag = u32::from(group) << 16 | u32::from(element);
        let (written, length) = if !syntax.explicit || group == 0xfffe {
            (None, four(self.exact()?))
        } else {
            let written: [u8; 2] = self.exact()?;
            if !written.iter().all(u8::is_ascii_uppercase) {
                return Err(Stop::Bad);
            }
            let length = if LONG.contains(&&written) {
                let [_, _] = self.exact()?;
                four(self.exact()?)
            } else {
                two(self.exact()?).into()
            };
            (Some(written), length)
        };
        let length = (length != u32::MAX).then_some(length);
        Ok(Some(Header { tag, written, length }))
    }

    /// The bytes of a value. The caller bounds the length.
    pub(super) fn value(&mut self, length: u32) -> Result<Vec<u8>, Stop> {
        let known = self.ahead.len().min(length as usize);
        let mut bytes: Vec<u8> = self.ahead.drain(..known).collect();
        let rest = u64::from(length) - known as u64;
        let taken = (&mut self.input).take(rest).read_to_end(&mut bytes);
        self.at += bytes.len() as u64;
        if taken.is_err() || bytes.len() < length as usize {
            Err(Stop::Truncated)
        } else {
            Ok(bytes)
        }
    }

    /// Leaves a value out.
    pub(super) fn skip(&mut self, length: u32) -> Result<(), Stop> {
        self.at += u64::from(length);
        let known = self.ahead.len().min(length as usize);
        self.ahead.drain(..known);
        match self.input.skip(u64::from(length) - known as u64) {
            Ok(true) => Ok(()),
            _ => Err(Stop::Truncated),
        }
    }

    /// Whether an item begins here, which nothing but a sequence has.
    pub(super) fn begins_item(&mut self, syntax: Syntax) -> bool {
        if self.ahead.is_empty() {
            let mut four = [0; 4];
            let count = fill(&mut self.input, &mut four).unwrap_or(0);
            self.ahead.extend(&four[..count]);
        }
        self.ahead
            == if syntax.big {
                [0xff, 0xfe, 0xe0, 0]
            } else {
                [0xfe, 0xff, 0, 0xe0]
            }
    }
}
