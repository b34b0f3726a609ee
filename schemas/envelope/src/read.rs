//! A cursor over bytes. All reads are checked; nothing is copied before it is known to be there.

use crate::error::EnvelopeError;

pub(crate) struct Reader<'a> {
    part: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(part: &'static str, bytes: &'a [u8]) -> Self {
        Self { part, bytes, at: 0 }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], EnvelopeError> {
        // `at` never exceeds the length, so that only the addition in the error can be large; it is done in u64.
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..len)) {
            Some(slice) => {
                self.at += len;
                Ok(slice)
            }
            None => Err(EnvelopeError::Truncated {
                part: self.part,
                needs: (self.at as u64).saturating_add(len as u64),
                has: self.bytes.len() as u64,
            }),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], EnvelopeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, EnvelopeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, EnvelopeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, EnvelopeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, EnvelopeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), EnvelopeError> {
        match self.remaining() {
            0 => Ok(()),
            extra => Err(EnvelopeError::Trailing {
                part: self.part,
                extra: extra as u64,
            }),
        }
    }
}

/// A length that must fit `u16` when written.
pub(crate) fn len_u16(part: &'static str, len: usize) -> Result<u16, EnvelopeError> {
    u16::try_from(len).map_err(|_| EnvelopeError::Length {
        part,
        found: len as u64,
        least: 0,
        most: u64::from(u16::MAX),
    })
}

/// A length within its bounds.
pub(crate) fn bounded(part: &'static str, found: u64, least: u64, most: u64) -> Result<u64, EnvelopeError> {
    if (least..=most).contains(&found) {
        Ok(found)
    } else {
        Err(EnvelopeError::Length {
            part,
            found,
            least,
            most,
        })
    }
}
