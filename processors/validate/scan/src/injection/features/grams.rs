//! Hashes of character n-grams and words, and the rows of the weight table they stand for.

use super::TABLE_BITS;
use super::letters::fold;

const CHAR_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
pub(super) const WORD_SEED: u64 = 0xc2b2_ae3d_27d4_eb4f;
const MIX: u64 = 0xff51_afd7_ed55_8ccd;

#[inline]
pub(super) fn step(hash: u64, symbol: u64) -> u64 {
    (hash.rotate_left(5) ^ symbol).wrapping_mul(MIX)
}

/// Finishes a hash of a word so that its top bits can be used.
#[inline]
pub(super) fn finish(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(WORD_SEED)
}

/// Hash of a lower-case word, as the pass computes it.
pub fn word_hash(word: &str) -> u64 {
    finish(word.chars().fold(WORD_SEED, |hash, c| step(hash, fold(c))))
}

#[inline]
pub(super) fn row(hash: u64) -> u32 {
    ((hash ^ (hash >> 29)).wrapping_mul(CHAR_SEED) >> (64 - TABLE_BITS)) as u32
}

/// Rolling hashes of the last 1 to 4 symbols of the present token, its left border included.
#[derive(Default)]
pub(super) struct Rolling {
    hashes: [u64; 5],
    depth: u32,
}

impl Rolling {
    /// Whether no token has begun.
    #[inline]
    pub(super) fn idle(&self) -> bool {
        self.depth == 0
    }

    /// Begins a token with its left border.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.hashes[1] = step(CHAR_SEED, u64::from(b' '));
        self.depth = 1;
    }

    /// Ends it.
    #[inline]
    pub(super) fn end(&mut self) {
        self.depth = 0;
    }

    /// Takes the next symbol. `each` is given the rows of the n-grams that end with it, unless they are `known`. Gives their number.
    #[inline]
    pub(super) fn push(&mut self, symbol: u64, known: bool, mut each: impl FnMut(u32)) -> u32 {
        let [_, one, two, three, four] = self.hashes;
        let grown = [
            0,
            step(CHAR_SEED, symbol),
            step(one, symbol),
            step(two, symbol),
            step(three, symbol),
        ];
        let five = step(four, symbol);
        self.hashes = grown;
        self.depth += 1;
        if known {
            0
        } else if self.depth >= 5 {
            each(row(grown[2]));
            each(row(grown[3]));
            each(row(grown[4]));
            each(row(five));
            4
        } else {
            for hash in &grown[2..=(self.depth as usize).max(1)] {
                each(row(*hash));
            }
            self.depth - 1
        }
    }
}
