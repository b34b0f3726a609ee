//! The payload: C2SP chunked-encryption with AES-256-GCM and HKDF-SHA-512 (Cobblestone-256), sealed and opened as a stream or a range.
//!
//! Chunk `k` has the nonce `base XOR k`, and the last chunk is always short, so that chunks cannot be moved and the end cannot be cut off. Plaintext is given out only
//! after its chunk was authenticated.

use std::ops::Range;

use cofferdam_envelope::geometry::{
    self, CHUNK_LEN, CHUNKS_MAX, COMMITMENT_LEN, PAYLOAD_HEAD_LEN, SALT_LEN, SEALED_CHUNK_LEN, TAG_LEN,
};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{AEAD_NONCE_LEN, Provider};
use crate::derive::{self, PayloadKeys};
use crate::error::{CryptoError, OpenError, OpenReason};

/// How many chunks are sealed before they are hashed: as many as stay in the second-level cache.
const BATCH: usize = 32;

fn nonce(base: &[u8; AEAD_NONCE_LEN], chunk: u64) -> [u8; AEAD_NONCE_LEN] {
    let mut nonce = *base;
    for (byte, count) in nonce[AEAD_NONCE_LEN - 8..].iter_mut().zip(chunk.to_be_bytes()) {
        *byte ^= count;
    }
    nonce
}

/// What there is to say about a payload once it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadSummary {
    /// Length of the plaintext in bytes.
    pub plaintext_len: u64,
    /// Length of the payload in bytes, its head included.
    pub payload_len: u64,
    /// BLAKE3-256 of the payload.
    pub payload_root: [u8; 32],
}

/// Seals a plaintext in one pass. Memory: one chunk, whatever the plaintext's length.
pub struct PayloadSealer {
    keys: PayloadKeys,
    /// Salt and commitment until they are given out.
    head: Option<[u8; PAYLOAD_HEAD_LEN]>,
    /// The beginning of the next chunk, always shorter than a full one between calls.
    partial: Zeroizing<Vec<u8>>,
    chunk: u64,
    plaintext_len: u64,
    hasher: blake3::Hasher,
}

impl PayloadSealer {
    /// Begins a payload. A salt must not repeat for one input key; `context` is bound to the keys and not stored.
    pub fn new(
        provider: &dyn Provider,
        input_key: &[u8; 32],
        salt: &[u8; SALT_LEN],
        context: &[u8],
    ) -> Result<Self, CryptoError> {
        let keys = derive::payload_keys(provider, input_key, salt, context)?;
        let mut head = [0; PAYLOAD_HEAD_LEN];
        head[..SALT_LEN].copy_from_slice(salt);
        head[SALT_LEN..].copy_from_slice(&keys.commitment);
        let partial = Zeroizing::new(Vec::with_capacity(CHUNK_LEN));
        Ok(Self {
            keys,
            head: Some(head),
            partial,
            chunk: 0,
            plaintext_len: 0,
            hasher: blake3::Hasher::new(),
        })
    }

    /// Seals more plaintext and appends what is ready to `out`. Large slices are sealed without a copy. After an error the sealer must not be used again.
    pub fn update(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let sealed_len = (self.partial.len() + plaintext.len()) / CHUNK_LEN * SEALED_CHUNK_LEN;
        out.reserve(sealed_len + PAYLOAD_HEAD_LEN);
        self.give_head(out);
        self.plaintext_len += plaintext.len() as u64;

        let mut rest = plaintext;
        if !self.partial.is_empty() {
            let (first, after) = rest.split_at(rest.len().min(CHUNK_LEN - self.partial.len()));
            self.partial.extend_from_slice(first);
            rest = after;
            if self.partial.len() < CHUNK_LEN {
                return Ok(());
            }
            self.flush_partial(out)?;
        }
        let (full, after) = rest.split_at(rest.len() / CHUNK_LEN * CHUNK_LEN);
        for batch in full.chunks(BATCH * CHUNK_LEN) {
            let start = out.len();
            for chunk in batch.chunks_exact(CHUNK_LEN) {
                seal_chunk(&self.keys, &mut self.chunk, chunk, out)?;
            }
            self.hasher.update(&out[start..]);
        }
        self.partial.extend_from_slice(after);
        Ok(())
    }

    /// Seals the last chunk and appends it to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<PayloadSummary, CryptoError> {
        self.give_head(out);
        self.flush_partial(out)?;
        let payload_len = geometry::payload_len(self.plaintext_len).map_err(|_| CryptoError::Limit)?;
        let payload_root = *self.hasher.finalize().as_bytes();
        Ok(PayloadSummary {
            plaintext_len: self.plaintext_len,
            payload_len,
            payload_root,
        })
    }

    fn give_head(&mut self, out: &mut Vec<u8>) {
        if let Some(head) = self.head.take() {
            self.hasher.update(&head);
            out.extend_from_slice(&head);
        }
    }

    fn flush_partial(&mut self, out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let start = out.len();
        seal_chunk(&self.keys, &mut self.chunk, &self.partial, out)?;
        self.hasher.update(&out[start..]);
        // Not `zeroize`, which would also clear the spare capacity each time; dropping does that.
        self.partial.as_mut_slice().zeroize();
        self.partial.clear();
        Ok(())
    }
}

fn seal_chunk(keys: &PayloadKeys, number: &mut u64, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
    if *number >= CHUNKS_MAX {
        return Err(CryptoError::Limit);
    }
    let start = out.len();
    // One chunk at a time, so that the zeros are still in the first-level cache when they are overwritten.
    out.resize(start + plaintext.len() + TAG_LEN, 0);
    keys.aead
        .seal(&nonce(&keys.base_nonce, *number), b"", plaintext, &mut out[start..])?;
    *number += 1;
    Ok(())
}

/// Opens consecutive chunks of a payload whose length is known.
struct Chunks {
    keys: PayloadKeys,
    next: u64,
    /// One after the last chunk wanted.
    end: u64,
    last: u64,
    last_len: usize,
    /// The beginning of a sealed chunk that has not arrived in full.
    partial: Vec<u8>,
    failed: Option<OpenReason>,
}

impl Chunks {
    fn new(keys: PayloadKeys, wanted: Range<u64>, plaintext_len: u64) -> Self {
        let last = geometry::last_chunk(plaintext_len);
        let last_len = (plaintext_len % CHUNK_LEN as u64) as usize + TAG_LEN;
        Self {
            keys,
            next: wanted.start,
            end: wanted.end,
            last,
            last_len,
            partial: Vec::new(),
            failed: None,
        }
    }

    /// Length of the next sealed chunk; `None` when there is none.
    fn wanted(&self) -> Option<usize> {
        (self.next < self.end).then_some(if self.next == self.last {
            self.last_len
        } else {
            SEALED_CHUNK_LEN
        })
    }

    /// Once failed, always failed: the reason stays.
    fn push(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenReason> {
        if let Some(reason) = self.failed {
            return Err(reason);
        }
        let pushed = self.push_chunks(sealed, out);
        if let Err(reason) = pushed {
            self.failed = Some(reason);
        }
        pushed
    }

    fn push_chunks(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenReason> {
        out.reserve(sealed.len());
        while !sealed.is_empty() {
            let wanted = self.wanted().ok_or(OpenReason::Trailing)?;
            if self.partial.is_empty() && sealed.len() >= wanted {
                let (chunk, rest) = sealed.split_at(wanted);
                self.open(chunk, out)?;
                sealed = rest;
                continue;
            }
            let (part, rest) = sealed.split_at(sealed.len().min(wanted - self.partial.len()));
            self.partial.extend_from_slice(part);
            sealed = rest;
            if self.partial.len() == wanted {
                let chunk = std::mem::take(&mut self.partial);
                self.open(&chunk, out)?;
                // The allocation is kept for the next one.
                self.partial = chunk;
                self.partial.clear();
            }
        }
        Ok(())
    }

    fn open(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenReason> {
        let start = out.len();
        out.resize(start + sealed.len() - TAG_LEN, 0);
        let opened = self
            .keys
            .aead
            .open(&nonce(&self.keys.base_nonce, self.next), b"", sealed, &mut out[start..]);
        if opened.is_err() {
            out.truncate(start);
            return Err(OpenReason::Chunk);
        }
        self.next += 1;
        Ok(())
    }

    fn finish(&self) -> Result<(), OpenReason> {
        match self.failed {
            Some(reason) => Err(reason),
            None if self.wanted().is_some() => Err(OpenReason::Truncated),
            None => Ok(()),
        }
    }
}

/// Checks the key commitment of a payload's first 56 bytes and gives its keys.
pub(crate) fn unlock(
    provider: &dyn Provider,
    input_key: &[u8; 32],
    head: &[u8; PAYLOAD_HEAD_LEN],
    context: &[u8],
) -> Result<PayloadKeys, OpenError> {
    let (mut salt, mut commitment) = ([0; SALT_LEN], [0; COMMITMENT_LEN]);
    salt.copy_from_slice(&head[..SALT_LEN]);
    commitment.copy_from_slice(&head[SALT_LEN..]);
    let keys = derive::payload_keys(provider, input_key, &salt, context).map_err(OpenError::Crypto)?;
    if bool::from(keys.commitment.ct_eq(&commitment)) {
        Ok(keys)
    } else {
        Err(OpenReason::Commitment.into())
    }
}

/// Opens a whole payload as a stream. Memory: one chunk.
pub struct PayloadOpener {
    chunks: Chunks,
    hasher: blake3::Hasher,
    /// What the payload must hash to, if somebody signed it.
    root: Option<[u8; 32]>,
}

impl PayloadOpener {
    /// Begins with a payload's first 56 bytes. `payload_len` is the whole payload's length; `root`, if given, is compared at the end.
    pub fn new(
        provider: &dyn Provider,
        input_key: &[u8; 32],
        head: &[u8; PAYLOAD_HEAD_LEN],
        context: &[u8],
        payload_len: u64,
        root: Option<[u8; 32]>,
    ) -> Result<Self, OpenError> {
        let keys = unlock(provider, input_key, head, context)?;
        Self::with_keys(keys, head, payload_len, root)
    }

    pub(crate) fn with_keys(
        keys: PayloadKeys,
        head: &[u8; PAYLOAD_HEAD_LEN],
        payload_len: u64,
        root: Option<[u8; 32]>,
    ) -> Result<Self, OpenError> {
        let plaintext_len = geometry::plaintext_len(payload_len).map_err(OpenError::Envelope)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(head);
        let chunks = Chunks::new(keys, 0..geometry::last_chunk(plaintext_len) + 1, plaintext_len);
        Ok(Self { chunks, hasher, root })
    }

    /// Opens more of the payload (what follows its first 56 bytes) and appends the plaintext of whole chunks to `out`. When it fails, what earlier calls and
    /// this one appended is authentic but incomplete, and every later call fails too.
    pub fn update(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        self.hasher.update(sealed);
        Ok(self.chunks.push(sealed, out)?)
    }

    /// Says whether the payload was complete, and the one that was signed. Until this succeeds, nobody may act on the plaintext as on the whole document.
    pub fn finish(self) -> Result<(), OpenError> {
        self.chunks.finish()?;
        match self.root {
            Some(root) if !bool::from(root.ct_eq(self.hasher.finalize().as_bytes())) => Err(OpenError::PayloadChanged),
            _ => Ok(()),
        }
    }
}

/// Opens a range of a payload as a stream.
///
/// The chunks of a range are authenticated for everybody who has not the data key. Against somebody who has it (another recipient), only a full read protects, because
/// only that compares the signed root.
pub struct RangeOpener {
    chunks: Chunks,
    fetch: Range<u64>,
    skip: usize,
    left: u64,
}

impl RangeOpener {
    /// `payload_offset` is where the payload begins in the object.
    pub(crate) fn new(
        keys: PayloadKeys,
        range: Range<u64>,
        payload_len: u64,
        payload_offset: u64,
    ) -> Result<Self, OpenError> {
        let span = geometry::span(range.clone(), payload_len).map_err(OpenError::Range)?;
        let plaintext_len = geometry::plaintext_len(payload_len).map_err(OpenError::Envelope)?;
        let end = if span.sealed.is_empty() {
            span.first_chunk
        } else {
            geometry::chunk_of(range.end - 1) + 1
        };
        let fetch = payload_offset + span.sealed.start..payload_offset + span.sealed.end;
        let chunks = Chunks::new(keys, span.first_chunk..end, plaintext_len);
        Ok(Self {
            chunks,
            fetch,
            skip: span.skip,
            left: span.len,
        })
    }

    /// Which bytes of the object to fetch. Empty for an empty range.
    pub fn fetch(&self) -> Range<u64> {
        self.fetch.clone()
    }

    /// Opens more of the fetched bytes and appends plaintext of the range to `out`.
    pub fn update(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let start = out.len();
        let pushed = self.chunks.push(sealed, out);
        let skipped = self.skip.min(out.len() - start);
        out.drain(start..start + skipped);
        self.skip -= skipped;
        let kept = (out.len() - start).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        out[start + kept..].zeroize();
        out.truncate(start + kept);
        self.left -= kept as u64;
        Ok(pushed?)
    }

    /// Says whether the range was complete.
    pub fn finish(self) -> Result<(), OpenError> {
        Ok(self.chunks.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_counts_in_the_low_bytes() {
        let base = [0xff; 12];
        assert_eq!(nonce(&base, 0), base);
        assert_eq!(nonce(&base, 1)[11], 0xfe);
        assert_eq!(nonce(&[0; 12], 0x01_0203_0405), [0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
    }
}
