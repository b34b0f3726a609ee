//! Opening a payload, as a whole or in ranges.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use cofferdam_envelope::geometry::{
    self, CHUNK_LEN, COMMITMENT_LEN, PAYLOAD_HEAD_LEN, SALT_LEN, SEALED_CHUNK_LEN, TAG_LEN,
};
use subtle::ConstantTimeEq;

use super::chunks::{batch, hash, nonce, open_run};
use crate::crypto::{Provider, Workers};
use crate::derive::{self, PayloadKeys};
use crate::error::{OpenError, OpenReason};
use crate::wipe::wipe;
use crate::workers::{SHARED_FROM, join};

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
    workers: Workers,
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
            workers: Workers::default(),
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

    /// Chunks of full length in a row at the beginning of `sealed` that are wanted.
    fn full(&self, sealed: &[u8]) -> usize {
        let left = self.end.min(self.last).saturating_sub(self.next);
        usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(sealed.len() / SEALED_CHUNK_LEN)
    }

    fn push_chunks(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenReason> {
        out.reserve(sealed.len());
        while !sealed.is_empty() {
            let full = if self.partial.is_empty() { self.full(sealed) } else { 0 };
            if full > 0 {
                let (run, rest) = sealed.split_at(full * SEALED_CHUNK_LEN);
                let (keys, first) = (&self.keys, self.next);
                let opened = self
                    .workers
                    .run(run.len(), |shared| open_run(keys, first, run, shared, out));
                self.next += opened as u64;
                if opened < full {
                    return Err(OpenReason::Chunk);
                }
                sealed = rest;
                continue;
            }
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

/// Sealed bytes in pieces that are large enough to be shared among cores, if there are as many. What is copied is ciphertext.
fn gathered(pieces: &[Bytes]) -> Cow<'_, [Bytes]> {
    let len: usize = pieces.iter().map(Bytes::len).sum();
    if pieces.len() > 1 && len >= SHARED_FROM && len / pieces.len() < SHARED_FROM {
        Cow::Owned(vec![pieces.concat().into()])
    } else {
        Cow::Borrowed(pieces)
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

    /// Who does the work; [`Workers::Cores`] unless said otherwise.
    pub fn set_workers(&mut self, workers: Workers) {
        self.chunks.workers = workers;
    }

    /// Opens more of the payload (what follows its first 56 bytes) and appends the plaintext of whole chunks to `out`. When it fails, what earlier calls and
    /// this one appended is authentic but incomplete, and every later call fails too.
    pub fn update(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let (chunks, hasher) = (&mut self.chunks, &mut self.hasher);
        let pushed = chunks.workers.run(sealed.len(), |shared| {
            for piece in sealed.chunks(batch(shared) * SEALED_CHUNK_LEN) {
                let ((), pushed) = join(shared, || hash(hasher, piece, shared), || chunks.push(piece, out));
                pushed?;
            }
            Ok::<_, OpenReason>(())
        });
        Ok(pushed?)
    }

    /// The same for bytes that lie in several pieces, which are put together first if they are small: cores share the work only on what lies together.
    pub(crate) fn update_all(&mut self, pieces: &[Bytes], out: &mut Vec<u8>) -> Result<(), OpenError> {
        gathered(pieces).iter().try_for_each(|piece| self.update(piece, out))
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
    /// Begins a range of a payload that stands alone: what is to be fetched is counted from its first byte. Arguments as for [`PayloadOpener::new`].
    pub fn of_payload(
        provider: &dyn Provider,
        input_key: &[u8; 32],
        head: &[u8; PAYLOAD_HEAD_LEN],
        context: &[u8],
        payload_len: u64,
        range: Range<u64>,
    ) -> Result<Self, OpenError> {
        let keys = unlock(provider, input_key, head, context)?;
        Self::new(keys, range, payload_len, 0)
    }

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
        wipe(&mut out[start + kept..]);
        out.truncate(start + kept);
        self.left -= kept as u64;
        Ok(pushed?)
    }

    /// The same for bytes that lie in several pieces.
    pub(crate) fn update_all(&mut self, pieces: &[Bytes], out: &mut Vec<u8>) -> Result<(), OpenError> {
        gathered(pieces).iter().try_for_each(|piece| self.update(piece, out))
    }

    /// Says whether the range was complete.
    pub fn finish(self) -> Result<(), OpenError> {
        Ok(self.chunks.finish()?)
    }
}
