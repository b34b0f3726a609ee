//! Near-duplicates: MinHash signatures in bands (Broder, "On the resemblance and containment of documents", 1997; Leskovec,
//! Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3).
//!
//! 64 hashes in 16 bands of 4. Two records with Jaccard similarity s of their shingles become candidates with
//! probability 1 - (1 - s^4)^16: 0.50 at s = 0.45, 0.89 at 0.6, 0.988 at 0.7, 0.9998 at 0.8. A candidate is confirmed when
//! the signatures agree in [`THRESHOLD`] of their places, an estimate of s with a standard error of at most 0.063.

use std::collections::HashMap;

use foldhash::quality::RandomState;

/// Hashes in a signature.
pub const HASHES: usize = 64;
const BAND: usize = 4;
const BANDS: usize = HASHES / BAND;
/// Estimated Jaccard similarity from which two records are near-duplicates.
pub const THRESHOLD: f32 = 0.7;
/// Records compared with a new one, at most, in each band.
const CANDIDATES: usize = 16;

/// A signature.
pub type Signature = [u32; HASHES];

fn mix(hash: u64, seed: u64) -> u64 {
    let mut z = hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 29)
}

/// The signature of a text given by its word hashes: shingles are 3 words, or all words when there are fewer.
pub fn signature(words: &[u64]) -> Signature {
    let mut signature = [u32::MAX; HASHES];
    for shingle in words.windows(3.min(words.len().max(1))) {
        let hash = shingle
            .iter()
            .fold(1u64, |hash, word| mix(hash.rotate_left(7) ^ word, 1));
        for (at, least) in signature.iter_mut().enumerate() {
            *least = (*least).min((mix(hash, at as u64 + 2) >> 32) as u32);
        }
    }
    signature
}

/// The share of places in which two signatures agree: an estimate of the Jaccard similarity.
pub fn similarity(a: &Signature, b: &Signature) -> f32 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f32 / HASHES as f32
}

/// Records by band, for finding what is like a new one. The caller holds the signatures.
#[derive(Default)]
pub struct Index {
    bands: HashMap<(u8, u64), Vec<u32>, RandomState>,
    /// Lists that were full: some near-duplicates may have been missed.
    pub full: u64,
}

impl Index {
    /// Adds `record` and gives the earlier ones it is a near-duplicate of, oldest first, with their similarity. `known` gives
    /// the signature of an earlier record.
    pub fn add<'a>(
        &mut self,
        record: u32,
        signature: &Signature,
        known: impl Fn(usize) -> &'a Signature,
    ) -> Vec<(usize, f32)> {
        let mut like: Vec<(usize, f32)> = Vec::new();
        for (band, hashes) in signature.chunks_exact(BAND).enumerate().take(BANDS) {
            let key = hashes
                .iter()
                .fold(band as u64, |key, hash| mix(key ^ u64::from(*hash), 3));
            let list = self.bands.entry((band as u8, key)).or_default();
            for other in list.iter() {
                let other = *other as usize;
                if like.iter().all(|(known, _)| *known != other) {
                    let s = similarity(signature, known(other));
                    if s >= THRESHOLD {
                        like.push((other, s));
                    }
                }
            }
            if list.len() < CANDIDATES {
                list.push(record);
            } else {
                self.full += 1;
            }
        }
        like.sort_by_key(|(record, _)| *record);
        like
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::injection::train::random::Random;

    #[test]
    fn the_estimate_is_near_the_truth_and_bands_find_what_the_docs_promise() {
        let mut random = Random::new(5);
        let (mut found, mut tried) = (0, 0);
        for _ in 0..200 {
            let words: Vec<u64> = (0..120).map(|_| random.draw()).collect();
            let mut other = words.clone();
            // 5 changed words touch 15 of 118 shingles: s = 103 / 133 = 0.77
            for at in [10, 30, 50, 70, 90] {
                other[at] = random.draw();
            }
            let (a, b) = (signature(&words), signature(&other));
            assert!((similarity(&a, &b) - 0.77).abs() < 0.25);
            let mut index = Index::default();
            index.add(0, &a, |_| &a);
            tried += 1;
            found += index.add(1, &b, |_| &a).len();
        }
        assert!(found * 100 >= tried * 80, "{found} of {tried}");
    }
}
