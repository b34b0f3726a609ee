//! The arithmetic of the payload: a 56-byte head, then chunks of 16,384 plaintext bytes sealed as 16,400, the last one always shorter.
//!
//! A plaintext length has exactly one payload length, and most numbers are not a payload length at all.

use std::ops::Range;

use crate::error::EnvelopeError;

/// Plaintext bytes in a full chunk.
pub const CHUNK_LEN: usize = 16_384;
/// Bytes a chunk grows by: its tag.
pub const TAG_LEN: usize = 16;
/// Bytes of a full sealed chunk.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Bytes of the salt, first in the payload.
pub const SALT_LEN: usize = 24;
/// Bytes of the key commitment, after the salt.
pub const COMMITMENT_LEN: usize = 32;
/// Bytes before the first chunk: salt and commitment.
pub const PAYLOAD_HEAD_LEN: usize = SALT_LEN + COMMITMENT_LEN;
/// The most chunks in a payload.
pub const CHUNKS_MAX: u64 = 1 << 38;

/// Length of the plaintext in a payload of this length. Fails if no plaintext has such a payload.
pub fn plaintext_len(payload_len: u64) -> Result<u64, EnvelopeError> {
    let impossible = EnvelopeError::PayloadLength(payload_len);
    let Some(chunks) = payload_len.checked_sub(PAYLOAD_HEAD_LEN as u64) else {
        return Err(impossible);
    };
    let (full, last) = (chunks / SEALED_CHUNK_LEN as u64, chunks % SEALED_CHUNK_LEN as u64);
    if last < TAG_LEN as u64 || full >= CHUNKS_MAX {
        return Err(impossible);
    }
    Ok(full * CHUNK_LEN as u64 + last - TAG_LEN as u64)
}

/// Length of the payload of a plaintext of this length, its head included.
pub fn payload_len(plaintext_len: u64) -> Result<u64, EnvelopeError> {
    let full = plaintext_len / CHUNK_LEN as u64;
    if full >= CHUNKS_MAX {
        return Err(EnvelopeError::PlaintextLength(plaintext_len));
    }
    Ok(PAYLOAD_HEAD_LEN as u64 + plaintext_len + (full + 1) * TAG_LEN as u64)
}

/// The chunk that holds the plaintext byte at this offset.
pub fn chunk_of(plaintext_offset: u64) -> u64 {
    plaintext_offset / CHUNK_LEN as u64
}

/// Number of the last chunk: the short one.
pub fn last_chunk(plaintext_len: u64) -> u64 {
    plaintext_len / CHUNK_LEN as u64
}

/// What must be fetched and opened to get a range of plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkSpan {
    /// Number of the first chunk.
    pub first_chunk: u64,
    /// Sealed bytes, as offsets from the beginning of the payload. Whole chunks.
    pub sealed: Range<u64>,
    /// How many bytes to drop from the beginning of the opened chunks.
    pub skip: usize,
    /// How many bytes of plaintext are wanted.
    pub len: u64,
}

/// The whole chunks that cover a range of the plaintext. The range must lie within it; an empty range needs no bytes.
pub fn span(range: Range<u64>, payload_len: u64) -> Result<ChunkSpan, EnvelopeError> {
    let total = plaintext_len(payload_len)?;
    if range.start > range.end || range.end > total {
        return Err(EnvelopeError::Range {
            start: range.start,
            end: range.end,
            len: total,
        });
    }
    let first_chunk = chunk_of(range.start);
    let offset = |chunk: u64| PAYLOAD_HEAD_LEN as u64 + chunk * SEALED_CHUNK_LEN as u64;
    let start = offset(first_chunk).min(payload_len);
    // Without bytes wanted there is no last chunk to fetch.
    let end = match range.end.checked_sub(1) {
        Some(last) if range.start < range.end => offset(chunk_of(last) + 1).min(payload_len),
        _ => start,
    };
    Ok(ChunkSpan {
        first_chunk,
        sealed: start..end,
        skip: (range.start % CHUNK_LEN as u64) as usize,
        len: range.end - range.start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_known_plaintexts() {
        for (plain, sealed) in [
            (0, 56 + 16),
            (1, 56 + 17),
            (16_383, 56 + 16_399),
            (16_384, 56 + 16_400 + 16),
            (16_385, 56 + 16_400 + 17),
            (49_152, 56 + 3 * 16_400 + 16),
        ] {
            assert_eq!(payload_len(plain), Ok(sealed));
            assert_eq!(plaintext_len(sealed), Ok(plain));
        }
    }

    #[test]
    fn impossible_payloads() {
        for len in (0..56 + 16)
            .chain(56 + 16_400..56 + 16_400 + 16)
            .chain([56 + 2 * 16_400, u64::MAX])
        {
            assert_eq!(plaintext_len(len), Err(EnvelopeError::PayloadLength(len)));
        }
    }

    #[test]
    fn the_largest_plaintext() {
        let largest = CHUNKS_MAX * CHUNK_LEN as u64 - 1;
        assert_eq!(plaintext_len(payload_len(largest).unwrap()), Ok(largest));
        assert_eq!(
            payload_len(largest + 1),
            Err(EnvelopeError::PlaintextLength(largest + 1))
        );
        assert_eq!(payload_len(u64::MAX), Err(EnvelopeError::PlaintextLength(u64::MAX)));
        assert!(plaintext_len(payload_len(largest).unwrap() + 17).is_err());
    }

    #[test]
    fn every_length_near_the_chunk_edges_round_trips() {
        for plain in (0..200).chain(16_300..16_500).chain(32_700..32_800) {
            assert_eq!(plaintext_len(payload_len(plain).unwrap()), Ok(plain));
        }
    }

    #[test]
    fn spans() {
        let total = 40_000;
        let payload = payload_len(total).unwrap();
        let check = |range: Range<u64>, first: u64, sealed: Range<u64>, skip: usize| {
            let found = span(range.clone(), payload).unwrap();
            let len = range.end - range.start;
            assert_eq!(
                found,
                ChunkSpan {
                    first_chunk: first,
                    sealed,
                    skip,
                    len
                },
                "{range:?}"
            );
        };
        check(0..1, 0, 56..16_456, 0);
        check(0..16_384, 0, 56..16_456, 0);
        check(0..16_385, 0, 56..32_856, 0);
        check(16_383..16_385, 0, 56..32_856, 16_383);
        check(16_384..16_385, 1, 16_456..32_856, 0);
        check(39_999..40_000, 2, 32_856..payload, 7231);
        check(0..40_000, 0, 56..payload, 0);
        check(5..5, 0, 56..56, 5);
        check(40_000..40_000, 2, 32_856..32_856, 7232);
        for bad in [
            40_000..40_001,
            0..40_001,
            Range { start: 2, end: 1 },
            u64::MAX..u64::MAX,
        ] {
            assert!(matches!(
                span(bad, payload),
                Err(EnvelopeError::Range { len: 40_000, .. })
            ));
        }
    }

    #[test]
    fn empty_range_at_a_full_chunk_edge() {
        let payload = payload_len(16_384).unwrap();
        let found = span(16_384..16_384, payload).unwrap();
        assert!(found.sealed.is_empty());
    }
}
