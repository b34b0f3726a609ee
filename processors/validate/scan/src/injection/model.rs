//! The trained weights: one compact file, checked at load.
//!
//! Layout, little-endian: magic `CFINJ` and version; a line about it; SHA-256 of the training data; thresholds, bias, length
//! penalty; weights of the dense features and of their pairs; scale and `i8` weights of the n-grams; language table; SHA-256 of all
//! before it.

use sha2::{Digest, Sha256};

use super::error::InjectionError;
use super::features::{Counts, DENSE, PAIRS, TABLE_BITS, dense, pairs};
use super::language::{self, Language};
use crate::weights::{ABOUT, about};

/// The model compiled in.
pub const BUILT_IN: &[u8] = include_bytes!("../../rules/injection.model");
const MAGIC: &[u8] = b"CFINJ";
const VERSION: u16 = 4;
/// Version of what makes the weights: raised when they change though the data do not.
const TRAINER: &str = "1.5.0";
const ROWS: usize = 1 << TABLE_BITS;
const SCALARS: usize = 5;
const NUMBERS: usize = SCALARS + DENSE + PAIRS;
/// Weights that are learnt of n-grams and pairs.
pub const LEARNT: usize = ROWS + PAIRS;
/// Size of a model file in bytes.
pub const SIZE: usize = MAGIC.len() + 2 + ABOUT + 32 + 4 * NUMBERS + ROWS + language::TABLE + 32;

/// Weights and thresholds.
pub struct Model {
    /// SHA-256 of what it was trained on.
    pub training: [u8; 32],
    /// Log-odds from which a document is to be read by a person (5 % false positives in grouped cross-validation).
    pub review: f32,
    /// Log-odds from which it is held back (1 %).
    pub quarantine: f32,
    /// Taken off the best window for each doubling-by-e of the number of chunks.
    pub length_penalty: f32,
    bias: f32,
    scale: f32,
    dense: [f32; DENSE],
    pairs: [f32; PAIRS],
    rows: Box<[i8; ROWS]>,
    /// Character trigrams.
    pub language: Language,
}

/// What the trainer gives; see [`Model`] for the fields.
#[derive(Clone)]
pub struct Weights {
    /// Bias.
    pub bias: f32,
    /// Weights of [`dense`].
    pub dense: [f32; DENSE],
    /// Weights of the n-grams, `1 << TABLE_BITS` of them, then of the [`PAIRS`] pairs of features.
    pub rows: Vec<f32>,
    /// Taken off for each unit of the logarithm of the chunks.
    pub length_penalty: f32,
}

/// The first [`ROWS`] weights; the type spares the bounds check in the innermost loop.
fn table(weights: impl Iterator<Item = i8>) -> Box<[i8; ROWS]> {
    let mut rows = Box::new([0; ROWS]);
    for (row, weight) in rows.iter_mut().zip(weights) {
        *row = weight;
    }
    rows
}

impl Model {
    /// Rounds the weights to 8 bits: the scale is the largest weight kept; the few beyond are cut.
    pub fn quantise(weights: &Weights, language: Language, training: [u8; 32]) -> Self {
        // Panic safety: there are LEARNT rows; [`Weights::rows`].
        let (rows, of_pairs) = weights.rows.split_at(ROWS);
        let mut pairs = [0.0; PAIRS];
        pairs.copy_from_slice(of_pairs);
        let mut sizes: Vec<f32> = rows
            .iter()
            .map(|weight| weight.abs())
            .filter(|size| *size > 0.0)
            .collect();
        sizes.sort_by(f32::total_cmp);
        let largest = sizes
            .get(sizes.len() * 9995 / 10_000)
            .or(sizes.last())
            .copied()
            .unwrap_or(1.0)
            .max(1e-9);
        let scale = largest / 127.0;
        Self {
            training,
            review: 0.0,
            quarantine: 0.0,
            length_penalty: weights.length_penalty,
            bias: weights.bias,
            scale,
            dense: weights.dense,
            pairs,
            rows: table(
                rows.iter()
                    .map(|weight| (weight / scale).round().clamp(-127.0, 127.0) as i8),
            ),
            language,
        }
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// When size, magic, version or hash is wrong or a number is not finite.
    pub fn parse(bytes: &[u8]) -> Result<Self, InjectionError> {
        let refuse = InjectionError::Model;
        if bytes.len() != SIZE {
            return Err(refuse("wrong size"));
        }
        let (body, hash) = bytes.split_at(SIZE - 32);
        if !body.starts_with(MAGIC) {
            return Err(refuse("not a model"));
        }
        if body[MAGIC.len()..MAGIC.len() + 2] != VERSION.to_le_bytes() {
            return Err(refuse("another version"));
        }
        if Sha256::digest(body)[..] != *hash {
            return Err(refuse("damaged: its hash is another"));
        }
        let mut at = MAGIC.len() + 2;
        let mut take = |n: usize| {
            at += n;
            // Panic safety: the parts add up to SIZE, which was checked.
            &body[at - n..at]
        };
        take(ABOUT);
        let mut training = [0; 32];
        training.copy_from_slice(take(32));
        let mut numbers = [0f32; NUMBERS];
        for (number, four) in numbers.iter_mut().zip(take(4 * NUMBERS).chunks_exact(4)) {
            *number = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        }
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(refuse("a weight is not finite"));
        }
        let mut dense = [0.0; DENSE];
        dense.copy_from_slice(&numbers[SCALARS..SCALARS + DENSE]);
        let mut pairs = [0.0; PAIRS];
        pairs.copy_from_slice(&numbers[SCALARS + DENSE..]);
        let rows = table(take(ROWS).iter().map(|byte| *byte as i8));
        let language = Language::new(take(language::TABLE).to_vec()).ok_or(refuse("wrong size"))?;
        Ok(Self {
            training,
            review: numbers[0],
            quarantine: numbers[1],
            length_penalty: numbers[2],
            bias: numbers[3],
            scale: numbers[4],
            dense,
            pairs,
            rows,
            language,
        })
    }

    /// As a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIZE);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&about("injection.model", TRAINER, "data/injection"));
        out.extend_from_slice(&self.training);
        for number in [self.review, self.quarantine, self.length_penalty, self.bias, self.scale]
            .iter()
            .chain(&self.dense)
            .chain(&self.pairs)
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend(self.rows.iter().map(|weight| *weight as u8));
        out.extend_from_slice(self.language.table());
        let hash = Sha256::digest(&out);
        out.extend_from_slice(&hash);
        out
    }

    /// Weight of an n-gram, in units of the scale.
    #[inline]
    pub(super) fn row(&self, row: u32) -> i32 {
        i32::from(self.rows[row as usize & (ROWS - 1)])
    }

    /// What one unit of [`Self::row`] is worth.
    pub(super) fn scale(&self) -> f32 {
        self.scale
    }

    /// Log-odds of a window; below any threshold for one that says nothing.
    pub(super) fn window(&self, counts: &Counts) -> f32 {
        if !counts.speaks() {
            return f32::NEG_INFINITY;
        }
        let grams = counts.weight * self.scale / counts.grams.max(1.0).sqrt();
        let mut together = 0.0;
        // Panic safety: a pair's place is below PAIRS.
        pairs(counts, |pair, product| together += self.pairs[pair] * product);
        self.bias + grams + dot(&dense(counts), &self.dense) + together
    }
}

/// The sum of products, in four lanes: one after the other each addition would wait for the one before.
pub(crate) fn dot(a: &[f32; DENSE], b: &[f32; DENSE]) -> f32 {
    let mut lanes = [0f32; 4];
    for (a, b) in a.chunks(4).zip(b.chunks(4)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_model_loads_and_a_changed_byte_is_seen() {
        let model = Model::parse(BUILT_IN).unwrap();
        assert_eq!(model.to_bytes(), BUILT_IN);
        assert!(BUILT_IN.len() <= 600_000);
        for at in [0, 6, 100, SIZE / 2, SIZE - 1] {
            let mut bytes = BUILT_IN.to_vec();
            bytes[at] ^= 1;
            assert!(Model::parse(&bytes).is_err(), "{at}");
        }
        assert!(Model::parse(&BUILT_IN[1..]).is_err());
    }
}
