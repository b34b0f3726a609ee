//! A linear-chain conditional random field (Lafferty, McCallum, Pereira 2001) over hashed features: the second opinion on names, places and ids.
//!
//! The weights are a file of the repository, made by `cargo xtask train phi` from `data/phi`, and are checked at load.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::features::{MOST as MOST_FEATURES, features};
use super::kind::Kind;
use super::lexicon::Lexicon;
use super::scan::{Found, Source};
use super::token::{Token, tokens};
use crate::weights::{ABOUT, about};

/// What it tells apart. The id's kind follows from its context word.
pub const LABELS: [Kind; 7] = [
    Kind::Name,
    Kind::Location,
    Kind::Date,
    Kind::Phone,
    Kind::Email,
    Kind::Ssn,
    Kind::OtherId,
];
/// Outside, and begin and inside of each label.
pub const TAGS: usize = 1 + 2 * LABELS.len();
/// Tags rounded up, so that a row of weights is 16 bytes.
pub const ROW: usize = 16;
/// Most rows of a file: what a file may make the program allocate is bounded.
const MOST_ROWS: usize = 1 << 18;
/// Bits of the small set of known features.
const KNOWN: usize = 1 << 18;
const MAGIC: &[u8; 8] = b"CFDPHI\0\x02";
/// Version of what makes the weights: raised when they change though the data do not.
const TRAINER: &str = "1.0.0";
/// The file in the repository.
pub const BUILT_IN: &[u8] = include_bytes!("../../rules/phi-tagger.bin");

/// Whether tag `to` may follow tag `from`: inside follows only begin or inside of the same label.
pub fn allowed(from: usize, to: usize) -> bool {
    to == 0 || to % 2 == 1 || from == to || from + 1 == to
}

/// The file of weights is not what this program reads.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ModelError {
    /// Not such a file, or of another version.
    #[error("not a tagger of version 2")]
    Magic,
    /// Too short, or with bytes left over.
    #[error("the tagger is cut or too long")]
    Length,
    /// Its bytes are not those that were written.
    #[error("the hash of the tagger does not fit its content")]
    Hash,
}

/// The weights as they are in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagger {
    scale: f32,
    moves: Moves,
    /// A bit for each feature's hash: most features of a text are in no row, and this small set stays in the cache.
    known: Vec<u64>,
    slots: Vec<(u32, u32)>,
    rows: Vec<[i8; ROW]>,
    data: [u8; 32],
}

impl Tagger {
    /// The one in the repository.
    pub fn built_in() -> Result<Self, ModelError> {
        Self::read(BUILT_IN)
    }

    /// SHA-256 of the training data, in hexadecimal.
    pub fn trained_on(&self) -> String {
        hex::encode(self.data)
    }

    /// Reads a file of weights: magic, line about it, hash of the training data, scale, transitions, rows (feature, mask of tags,
    /// weights), and SHA-256 of all that.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let body = bytes.strip_prefix(MAGIC).ok_or(ModelError::Magic)?;
        let (_, sum) = bytes.split_last_chunk::<32>().ok_or(ModelError::Length)?;
        if Sha256::digest(&bytes[..bytes.len() - 32])[..] != sum[..] {
            return Err(ModelError::Hash);
        }
        let mut rest = &body[..body.len() - 32];
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at_checked(count).ok_or(ModelError::Length)?;
            rest = tail;
            Ok(head)
        };
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0u32, |value, byte| value << 8 | u32::from(*byte))
        };
        take(ABOUT)?;
        let mut data = [0; 32];
        data.copy_from_slice(take(32)?);
        let scale = f32::from_bits(number(take(4)?));
        let mut transitions = [[0.0; ROW]; ROW];
        for row in transitions.iter_mut().take(TAGS) {
            for (cell, byte) in row.iter_mut().zip(take(TAGS)?) {
                *cell = f32::from(*byte as i8) * scale;
            }
        }
        let count = number(take(4)?) as usize;
        if count > MOST_ROWS {
            return Err(ModelError::Length);
        }
        let mut rows = Vec::with_capacity(count);
        let mut slots = vec![(0, u32::MAX); (count * 2 + 1).next_power_of_two()];
        let mut known = vec![0u64; KNOWN / 64];
        for _ in 0..count {
            let feature = number(take(4)?);
            let mask = number(take(2)?);
            let mut row = [0; ROW];
            let weights = take(mask.count_ones() as usize)?;
            for (tag, weight) in (0..ROW).filter(|tag| mask >> tag & 1 == 1).zip(weights) {
                row[tag] = *weight as i8;
            }
            known[feature as usize % KNOWN / 64] |= 1 << (feature % 64);
            let mut at = feature as usize & (slots.len() - 1);
            while slots[at].1 != u32::MAX {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = (feature, rows.len() as u32);
            rows.push(row);
        }
        if !rest.is_empty() {
            return Err(ModelError::Length);
        }
        Ok(Self {
            scale,
            moves: Moves::new(&transitions),
            known,
            slots,
            rows,
            data,
        })
    }

    /// Writes a file of weights. `rows` are (feature, weights), in the order of the features.
    pub fn write(data: [u8; 32], scale: f32, transitions: &[[i8; ROW]; ROW], rows: &[(u32, [i8; ROW])]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(about("phi-tagger", TRAINER, "data/phi"));
        out.extend(data);
        out.extend(scale.to_bits().to_le_bytes());
        for row in transitions.iter().take(TAGS) {
            out.extend(row.iter().take(TAGS).map(|weight| *weight as u8));
        }
        out.extend((rows.len() as u32).to_le_bytes());
        for (feature, weights) in rows {
            out.extend(feature.to_le_bytes());
            let mask = weights
                .iter()
                .enumerate()
                .fold(0u16, |mask, (tag, weight)| mask | u16::from(*weight != 0) << tag);
            out.extend(mask.to_le_bytes());
            out.extend(
                weights
                    .iter()
                    .filter(|weight| **weight != 0)
                    .map(|weight| *weight as u8),
            );
        }
        let sum = Sha256::digest(&out);
        out.extend(sum);
        out
    }

    /// Whether a feature may have a row; false for most that have none.
    #[inline]
    fn is_known(&self, feature: u32) -> bool {
        self.known[feature as usize % KNOWN / 64] >> (feature % 64) & 1 == 1
    }

    fn row(&self, feature: u32) -> Option<&[i8; ROW]> {
        let mut at = feature as usize & (self.slots.len() - 1);
        loop {
            match self.slots[at] {
                (_, u32::MAX) => return None,
                (known, index) if known == feature => return self.rows.get(index as usize),
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Reads one sentence and adds what it finds, with the probability of the least sure token as confidence.
    pub(super) fn tag(
        &self,
        text: &str,
        segment: &Range<usize>,
        rules: &[Found],
        lexicon: &Lexicon,
        work: &mut Work,
        out: &mut Vec<Found>,
    ) {
        tokens(text, segment, &mut work.tokens);
        features(text, &work.tokens, rules, lexicon, &mut work.features, &mut work.ends);
        let mut from = 0;
        work.emissions.clear();
        for end in &work.ends {
            // The tables are larger than the nearest caches, and what a branch would decide is as good as chance: so features are sifted
            // without one, and every place is known before the first weight is read.
            let (mut known, mut count) = ([0; MOST_FEATURES], 0);
            for feature in work.features[from..*end].iter().take(MOST_FEATURES) {
                known[count] = *feature;
                count += usize::from(self.is_known(*feature));
            }
            let mut rows = [None; MOST_FEATURES];
            for (row, feature) in rows.iter_mut().zip(&known[..count]) {
                *row = self.row(*feature);
            }
            // 32 features of at most 127 fit.
            let mut sum = [0i16; ROW];
            for row in rows.iter().flatten() {
                for (sum, weight) in sum.iter_mut().zip(*row) {
                    *sum = sum.wrapping_add(i16::from(*weight));
                }
            }
            from = *end;
            work.emissions.push(sum.map(|sum| f32::from(sum) * self.scale));
        }
        let chain = &mut work.chain;
        chain.run(&work.emissions, &self.moves);
        let tags = chain.decode();
        let mut index = 0;
        while index < tags.len() {
            let tag = tags[index];
            if tag == 0 {
                index += 1;
                continue;
            }
            let label = (tag - 1) / 2;
            let mut end = index + 1;
            while end < tags.len() && tags[end] == 2 + 2 * label {
                end += 1;
            }
            let least = (index..end).map(|at| chain.marginal(at, tags[at])).fold(1.0, f32::min);
            let span = work.tokens[index].span.start..work.tokens[end - 1].span.end;
            out.push(Found {
                kind: LABELS[label],
                span,
                confidence: least.clamp(0.0, 0.99),
                source: Source::Tagger,
            });
            index = end;
        }
    }
}

/// Room that one scan uses again and again.
#[derive(Default)]
pub(super) struct Work {
    tokens: Vec<Token>,
    features: Vec<u32>,
    ends: Vec<usize>,
    emissions: Vec<[f32; ROW]>,
    chain: Chain,
}

/// Transition potentials, and the same transposed, so that both directions add up whole rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Moves {
    from: [[f32; ROW]; ROW],
    to: [[f32; ROW]; ROW],
}

impl Moves {
    /// Of transition scores.
    pub fn new(transitions: &[[f32; ROW]; ROW]) -> Self {
        let (mut from, mut to) = ([[0.0; ROW]; ROW], [[0.0; ROW]; ROW]);
        for left in 0..TAGS {
            for right in (0..TAGS).filter(|right| allowed(left, *right)) {
                from[left][right] = transitions[left][right].exp();
                to[right][left] = from[left][right];
            }
        }
        Self { from, to }
    }
}

/// Forward and backward sums of one sentence, scaled at every token.
#[derive(Default)]
pub struct Chain {
    forward: Vec<[f32; ROW]>,
    backward: Vec<[f32; ROW]>,
    potentials: Vec<[f32; ROW]>,
}

impl Chain {
    /// Of emission scores.
    pub fn with(emissions: &[[f32; ROW]], moves: &Moves) -> Self {
        let mut chain = Self::default();
        chain.run(emissions, moves);
        chain
    }

    /// The same for another sentence, in the room of the last.
    pub(super) fn run(&mut self, emissions: &[[f32; ROW]], moves: &Moves) {
        let Self {
            forward,
            backward,
            potentials,
        } = self;
        potentials.clear();
        potentials.extend(emissions.iter().map(|emission| {
            let most = emission[..TAGS].iter().copied().fold(f32::MIN, f32::max);
            let mut row = [0.0; ROW];
            row[..TAGS]
                .iter_mut()
                .zip(emission)
                .for_each(|(cell, score)| *cell = (score - most).exp());
            row
        }));
        let normal = |mut row: [f32; ROW]| {
            let sum: f32 = row.iter().sum::<f32>().max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|cell| *cell /= sum);
            row
        };
        forward.clear();
        for potential in &*potentials {
            let mut row = [0.0; ROW];
            match forward.last() {
                // A sentence begins as if something outside stood before it.
                None => (0..TAGS).for_each(|to| row[to] = moves.from[0][to]),
                Some(last) => {
                    for (from, weight) in last.iter().enumerate() {
                        row.iter_mut()
                            .zip(&moves.from[from])
                            .for_each(|(cell, step)| *cell += weight * step);
                    }
                }
            }
            row.iter_mut()
                .zip(potential)
                .for_each(|(cell, potential)| *cell *= potential);
            forward.push(normal(row));
        }
        backward.clear();
        backward.resize(potentials.len(), [1.0 / TAGS as f32; ROW]);
        for at in (1..potentials.len()).rev() {
            let mut ahead = backward[at];
            ahead
                .iter_mut()
                .zip(&potentials[at])
                .for_each(|(cell, potential)| *cell *= potential);
            let mut row = [0.0; ROW];
            for (weight, steps) in ahead.iter().zip(&moves.to) {
                row.iter_mut()
                    .zip(steps)
                    .for_each(|(cell, step)| *cell += weight * step);
            }
            backward[at - 1] = normal(row);
        }
    }

    /// The likeliest tag of every token, where inside follows only what it may.
    pub fn decode(&self) -> Vec<usize> {
        let mut last = 0;
        (0..self.forward.len())
            .map(|at| {
                let row = self.marginals(at);
                last = (0..TAGS)
                    .filter(|tag| allowed(last, *tag))
                    .fold(0, |best, tag| if row[tag] > row[best] { tag } else { best });
                last
            })
            .collect()
    }

    /// The probability of a tag at a token.
    pub fn marginal(&self, at: usize, tag: usize) -> f32 {
        self.marginals(at)[tag]
    }

    /// The probabilities of all tags at a token.
    pub fn marginals(&self, at: usize) -> [f32; ROW] {
        let mut row = self.forward[at];
        row.iter_mut()
            .zip(&self.backward[at])
            .for_each(|(cell, backward)| *cell *= backward);
        let sum: f32 = row.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        row.iter_mut().for_each(|cell| *cell /= sum);
        row
    }

    /// The probabilities of all pairs of tags at token `at - 1` and `at`, with the transitions that it was made with.
    pub fn pairs(&self, at: usize, moves: &Moves) -> [[f32; ROW]; ROW] {
        let mut pairs = [[0.0; ROW]; ROW];
        let mut sum = 0.0;
        for (from, row) in pairs.iter_mut().enumerate() {
            for (to, cell) in row.iter_mut().enumerate() {
                *cell =
                    self.forward[at - 1][from] * moves.from[from][to] * self.potentials[at][to] * self.backward[at][to];
                sum += *cell;
            }
        }
        let sum = sum.max(f32::MIN_POSITIVE);
        pairs.iter_mut().flatten().for_each(|cell| *cell /= sum);
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_refused() {
        let rows = [(7, [1; ROW]), (9, [-3; ROW])];
        let bytes = Tagger::write([5; 32], 0.1, &[[0; ROW]; ROW], &rows);
        let tagger = Tagger::read(&bytes).unwrap();
        assert_eq!(tagger.row(9), Some(&[-3; ROW]));
        assert_eq!(tagger.row(8), None);
        assert_eq!(tagger.trained_on(), hex::encode([5; 32]));
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(Tagger::read(&wrong).is_err(), "{at}");
            assert!(Tagger::read(&bytes[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn probabilities_agree_with_counting_all_sequences() {
        let emissions: Vec<[f32; ROW]> = (0..4)
            .map(|at| {
                std::array::from_fn(|tag| {
                    if tag < TAGS {
                        ((at * 7 + tag * 5) % 11) as f32 * 0.3
                    } else {
                        0.0
                    }
                })
            })
            .collect();
        let transitions = std::array::from_fn(|from| std::array::from_fn(|to| ((from * 3 + to) % 5) as f32 * 0.2));
        let chain = Chain::with(&emissions, &Moves::new(&transitions));
        let (mut total, mut sums) = (0.0f64, [[0.0f64; TAGS]; 4]);
        for code in 0..TAGS.pow(4) {
            let tags: Vec<usize> = (0..4).map(|at| code / TAGS.pow(at) % TAGS).collect();
            let mut score = 0.0;
            let mut last = 0;
            let mut fits = true;
            for (at, tag) in tags.iter().enumerate() {
                fits &= allowed(last, *tag);
                score += f64::from(emissions[at][*tag] + transitions[last][*tag]);
                last = *tag;
            }
            if fits {
                total += score.exp();
                tags.iter()
                    .enumerate()
                    .for_each(|(at, tag)| sums[at][*tag] += score.exp());
            }
        }
        for (at, sums) in sums.iter().enumerate() {
            for (tag, sum) in sums.iter().enumerate() {
                assert!((f64::from(chain.marginal(at, tag)) - sum / total).abs() < 1e-4);
            }
        }
        let tags = chain.decode();
        assert!(tags.windows(2).all(|pair| allowed(pair[0], pair[1])) && allowed(0, tags[0]));
    }
}
