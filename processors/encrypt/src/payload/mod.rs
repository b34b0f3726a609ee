//! The payload: C2SP chunked-encryption with AES-256-GCM and HKDF-SHA-512 (Cobblestone-256), sealed and opened as a stream or a range.
//!
//! Chunk `k` has the nonce `base XOR k`, and the last chunk is always short, so that chunks cannot be moved and the end cannot be cut off. Plaintext is given out only
//! after its chunk was authenticated.

mod chunks;
mod open;

use cofferdam_envelope::geometry::{self, CHUNK_LEN, CHUNKS_MAX, PAYLOAD_HEAD_LEN, SALT_LEN, SEALED_CHUNK_LEN};

use self::chunks::{seal_one, seal_run};
pub(crate) use self::open::unlock;
pub use self::open::{PayloadOpener, RangeOpener};
use crate::crypto::{Provider, Workers};
use crate::derive::{self, PayloadKeys};
use crate::error::CryptoError;
use crate::wipe::Wiped;

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
    partial: Wiped,
    chunk: u64,
    plaintext_len: u64,
    hasher: blake3::Hasher,
    workers: Workers,
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
        let partial = Wiped::with_capacity(CHUNK_LEN);
        Ok(Self {
            keys,
            head: Some(head),
            partial,
            chunk: 0,
            plaintext_len: 0,
            hasher: blake3::Hasher::new(),
            workers: Workers::default(),
        })
    }

    /// Who does the work; [`Workers::Cores`] unless said otherwise.
    pub fn set_workers(&mut self, workers: Workers) {
        self.workers = workers;
    }

    /// Seals more plaintext and appends what is ready to `out`. Large slices are sealed without a copy. After an error the sealer must not be used again.
    pub fn update(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        self.update_all(&[plaintext], out)
    }

    /// The same for plaintext that lies in several pieces: only chunks that lie in more than one of them are copied.
    pub fn update_all(&mut self, pieces: &[&[u8]], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let whole = (self.partial.len() + len) / CHUNK_LEN;
        self.give_head(out);
        self.plaintext_len += len as u64;
        if whole == 0 {
            pieces.iter().for_each(|piece| self.partial.extend_from_slice(piece));
            return Ok(());
        }
        if self.chunk.saturating_add(whole as u64) > CHUNKS_MAX {
            return Err(CryptoError::Limit);
        }
        out.reserve(whole * SEALED_CHUNK_LEN);

        // A chunk is a slice of a piece, or the next one of `joined`, which never grows: growing would leave plaintext behind.
        let mut joined = Wiped::with_capacity(whole.min(pieces.len()) * CHUNK_LEN);
        let mut chunks = Vec::with_capacity(whole);
        for &piece in pieces {
            let mut rest = piece;
            if !self.partial.is_empty() {
                let (first, after) = rest.split_at(rest.len().min(CHUNK_LEN - self.partial.len()));
                self.partial.extend_from_slice(first);
                rest = after;
                if self.partial.len() < CHUNK_LEN {
                    continue;
                }
                joined.extend_from_slice(&self.partial);
                self.partial.clear();
                chunks.push(None);
            }
            let (full, after) = rest.split_at(rest.len() / CHUNK_LEN * CHUNK_LEN);
            chunks.extend(full.chunks_exact(CHUNK_LEN).map(Some));
            self.partial.extend_from_slice(after);
        }
        let mut joined = joined.chunks_exact(CHUNK_LEN);
        let chunks = chunks.into_iter().filter_map(|chunk| chunk.or_else(|| joined.next()));
        let chunks: Vec<&[u8]> = chunks.collect();

        let (keys, hasher, first) = (&self.keys, &mut self.hasher, self.chunk);
        self.workers
            .run(len, |shared| seal_run(keys, first, &chunks, shared, hasher, out))?;
        self.chunk += chunks.len() as u64;
        Ok(())
    }

    /// Seals the last chunk and appends it to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<PayloadSummary, CryptoError> {
        self.give_head(out);
        if self.chunk >= CHUNKS_MAX {
            return Err(CryptoError::Limit);
        }
        let start = out.len();
        seal_one(&self.keys, self.chunk, &self.partial, out)?;
        self.hasher.update(&out[start..]);
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
}
