//! Runs of chunks: sealed and opened one after the other, or by halves on several cores. The bytes are the same.

use std::mem::MaybeUninit;

use cofferdam_envelope::geometry::{CHUNK_LEN, SEALED_CHUNK_LEN, TAG_LEN};

use crate::crypto::AEAD_NONCE_LEN;
use crate::derive::PayloadKeys;
use crate::error::CryptoError;
use crate::wipe::wipe;
use crate::workers::join;

/// How many chunks are worked on before something else is done with them. Done one after the other, they stay in the second-level cache in between; done at the same time, they are
/// more, so that cores wait less often for each other.
pub(super) fn batch(shared: bool) -> usize {
    if shared { 128 } else { 32 }
}

/// No run is cut below this many chunks.
const LEAF: usize = 8;

pub(super) fn nonce(base: &[u8; AEAD_NONCE_LEN], chunk: u64) -> [u8; AEAD_NONCE_LEN] {
    let mut nonce = *base;
    for (byte, count) in nonce[AEAD_NONCE_LEN - 8..].iter_mut().zip(chunk.to_be_bytes()) {
        *byte ^= count;
    }
    nonce
}

/// Appends `len` bytes to `out`. `write` gets them uninitialised and answers how many of the first it wrote.
fn append<E>(
    out: &mut Vec<u8>,
    len: usize,
    write: impl FnOnce(&mut [MaybeUninit<u8>]) -> (usize, Result<(), E>),
) -> Result<(), E> {
    out.reserve(len);
    let start = out.len();
    let (written, result) = write(&mut out.spare_capacity_mut()[..len]);
    debug_assert!(written <= len);
    // SAFETY: `len` more bytes were reserved, and `write`, which is one of the two runs of this module, says how many of them it initialised: it hands every
    // chunk's place to `zeroed` before it counts it.
    unsafe { out.set_len(start + written.min(len)) };
    result
}

/// Zeros, just before they are overwritten: in the first-level cache that costs next to nothing, unlike zeros over a whole run.
fn zeroed(place: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    place.fill(MaybeUninit::new(0));
    // SAFETY: every byte was just written.
    unsafe { place.assume_init_mut() }
}

/// Seals whole chunks, the first of which has the number `first`, appends them to `out` and hashes them: each batch while it is still in the cache, or at the same time as
/// the next is sealed.
pub(super) fn seal_run(
    keys: &PayloadKeys,
    first: u64,
    chunks: &[&[u8]],
    shared: bool,
    hasher: &mut blake3::Hasher,
    out: &mut Vec<u8>,
) -> Result<(), CryptoError> {
    let len = chunks.len() * SEALED_CHUNK_LEN;
    append(out, len, |mut place| {
        let mut done: &[u8] = &[];
        let step = batch(shared);
        for (batch, number) in chunks.chunks(step).zip((first..).step_by(step)) {
            let (now, after) = place.split_at_mut(batch.len() * SEALED_CHUNK_LEN);
            place = after;
            let ((), sealed) = join(
                shared,
                || hash(hasher, done, shared),
                || seal_into(keys, number, batch, shared, now),
            );
            if let Err(error) = sealed {
                return (0, Err(error));
            }
            // SAFETY: `seal_into` succeeded, and then all of `now` is initialised.
            done = unsafe { now.assume_init_ref() };
        }
        hash(hasher, done, shared);
        (len, Ok(()))
    })
}

pub(super) fn hash(hasher: &mut blake3::Hasher, bytes: &[u8], shared: bool) {
    if shared {
        hasher.update_rayon(bytes);
    } else {
        hasher.update(bytes);
    }
}

/// `place` is initialised in full when this succeeds.
fn seal_into(
    keys: &PayloadKeys,
    first: u64,
    chunks: &[&[u8]],
    shared: bool,
    place: &mut [MaybeUninit<u8>],
) -> Result<(), CryptoError> {
    if shared && chunks.len() >= 2 * LEAF {
        let half = chunks.len() / 2;
        let (low, high) = chunks.split_at(half);
        let (low_place, high_place) = place.split_at_mut(half * SEALED_CHUNK_LEN);
        let (one, two) = join(
            true,
            || seal_into(keys, first, low, true, low_place),
            || seal_into(keys, first + half as u64, high, true, high_place),
        );
        return one.and(two);
    }
    for ((number, chunk), place) in (first..).zip(chunks).zip(place.chunks_exact_mut(SEALED_CHUNK_LEN)) {
        keys.aead
            .seal(&nonce(&keys.base_nonce, number), b"", chunk, zeroed(place))?;
    }
    Ok(())
}

/// Seals one chunk of any length and appends it to `out`.
pub(super) fn seal_one(keys: &PayloadKeys, number: u64, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
    let start = out.len();
    out.resize(start + chunk.len() + TAG_LEN, 0);
    keys.aead
        .seal(&nonce(&keys.base_nonce, number), b"", chunk, &mut out[start..])
}

/// Opens whole full-length chunks, the first of which has the number `first`, and appends their plaintext to `out`: when one does not open, that of those before it.
/// Gives the number of chunks that did.
pub(super) fn open_run(keys: &PayloadKeys, first: u64, sealed: &[u8], shared: bool, out: &mut Vec<u8>) -> usize {
    let count = sealed.len() / SEALED_CHUNK_LEN;
    let opened = append(out, count * CHUNK_LEN, |place| {
        let opened = open_into(keys, first, sealed, shared, place);
        // Chunks after one that did not open are authentic, too, but nobody gets them: they are not left in memory either.
        if opened < count {
            wipe(zeroed(&mut place[opened * CHUNK_LEN..]));
        }
        (opened * CHUNK_LEN, Err::<(), usize>(opened))
    });
    opened.err().unwrap_or(count)
}

/// As many chunks of `place` are initialised as it says.
fn open_into(keys: &PayloadKeys, first: u64, sealed: &[u8], shared: bool, place: &mut [MaybeUninit<u8>]) -> usize {
    let count = sealed.len() / SEALED_CHUNK_LEN;
    if shared && count >= 2 * LEAF {
        let half = count / 2;
        let (low, high) = sealed.split_at(half * SEALED_CHUNK_LEN);
        let (low_place, high_place) = place.split_at_mut(half * CHUNK_LEN);
        let (one, two) = join(
            true,
            || open_into(keys, first, low, true, low_place),
            || open_into(keys, first + half as u64, high, true, high_place),
        );
        return if one == half { half + two } else { one };
    }
    let chunks = sealed
        .chunks_exact(SEALED_CHUNK_LEN)
        .zip(place.chunks_exact_mut(CHUNK_LEN));
    for (n, (chunk, place)) in chunks.enumerate() {
        let nonce = nonce(&keys.base_nonce, first + n as u64);
        if keys.aead.open(&nonce, b"", chunk, zeroed(place)).is_err() {
            return n;
        }
    }
    count
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
