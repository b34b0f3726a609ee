//! A linear-chain conditional random field (Lafferty, McCallum, Pereira 2001) over hashed features: the second opinion on names, places and ids.
//!
//! The weights are a file of the repository, made by `cargo xtask train phi` from `data/phi`, and are checked at load.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::features::{BESIDE, JOINT, Seen, Told, joint, mark};
use super::kind::Kind;
use super::lexicon::Lexicon;
use super::scan::{Found, Source};
use super::table::{Table, add, add_all};
use super::token::{Token, tokens};
use super::words::{Word, Words};
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
const MAGIC: &[u8; 8] = b"CFDPHI\0\x02";
/// Tokens before and after a sentence that its words, and what stands before and after them, reach.
const MARGIN: usize = 2 * Word::REACH;
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
    table: Table,
    /// What the words before and after a sentence weigh, which are none.
    edge: [[i8; ROW]; BESIDE],
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
        for _ in 0..count {
            let feature = number(take(4)?);
            let mask = number(take(2)?);
            let mut row = [0; ROW];
            let weights = take(mask.count_ones() as usize)?;
            for (tag, weight) in (0..ROW).filter(|tag| mask >> tag & 1 == 1).zip(weights) {
                row[tag] = *weight as i8;
            }
            rows.push((feature, row));
        }
        if !rest.is_empty() {
            return Err(ModelError::Length);
        }
        let table = Table::new(rows);
        Ok(Self {
            scale,
            moves: Moves::new(&transitions),
            edge: Word::edge(&table),
            table,
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

    /// Its weights.
    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The emission scores of the tokens of `work`: a sum of weights over all their features.
    fn weigh(&self, text: &str, rules: &[Found], lexicon: &Lexicon, work: &mut Work) {
        let count = work.tokens.len();
        work.sums.clear();
        work.sums.resize(count + 2 * MARGIN, [0; ROW]);
        work.seen.clear();
        let mut long = Word::default();
        for (index, token) in work.tokens.iter().enumerate() {
            let word = &text[token.span.clone()];
            let word = work.words.word(word, token.into(), lexicon, &self.table, &mut long);
            work.seen.push(word.seen);
            add_all(&mut work.sums[index + MARGIN], &word.own);
            Word::spread(&word.beside, &mut work.sums[index + MARGIN - Word::REACH..]);
        }
        // Beyond both ends of the sentence stand words that are none.
        for place in (0..Word::REACH).chain(count + Word::REACH..count + MARGIN) {
            Word::spread(&self.edge, &mut work.sums[place..]);
        }
        mark(&work.tokens, rules, &mut work.seen);
        // The tables are larger than the nearest caches: so every place is known before the first weight is read.
        work.places.clear();
        work.places.resize(count * JOINT, 0);
        work.ends.clear();
        let mut end = 0;
        for index in 0..count {
            end += self.table.sift(joint(&work.seen, index), &mut work.places[end..]);
            work.ends.push(end);
        }
        self.table.find(&mut work.places[..end]);
        let mut from = 0;
        for (index, end) in work.ends.iter().enumerate() {
            let sum = &mut work.sums[index + MARGIN];
            self.table.add(&work.places[from..*end], sum);
            from = *end;
            let told = Told::around(&work.seen, index);
            if told != Told::NOTHING {
                self.tell(told, &work.seen[index], sum);
            }
        }
        work.emissions.clear();
        work.emissions.extend(
            work.sums[MARGIN..MARGIN + count]
                .iter()
                .map(|sum| sum.map(|sum| f32::from(sum) * self.scale)),
        );
    }

    /// What a token weighs of which something is told, instead of nothing.
    fn tell(&self, told: Told, token: &Seen, sum: &mut [i16; ROW]) {
        let before = Told::NOTHING.features(token);
        for (now, before) in told.features(token).into_iter().zip(before) {
            if now != before {
                add(sum, self.table.row(now));
                add_all(sum, &self.table.row(before).map(|weight| -i16::from(weight)));
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
        self.weigh(text, rules, lexicon, work);
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

/// Room that scans use again and again, all with the same tagger and lexicon.
#[derive(Default)]
pub(super) struct Work {
    tokens: Vec<Token>,
    words: Words,
    seen: Vec<Seen>,
    /// Sums of weights of the tokens, and of those that would stand [`MARGIN`] before and after them.
    sums: Vec<[i16; ROW]>,
    /// Features that need neighbours, then the places of their rows; `ends[i]` is where those of token `i` end.
    places: Vec<u32>,
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

/// Adds up rows of steps, each times its weight, in their order.
#[inline]
fn through(weights: &[f32; ROW], steps: &[[f32; ROW]; ROW]) -> [f32; ROW] {
    let mut row = [0.0; ROW];
    for (weight, steps) in weights.iter().zip(steps) {
        row.iter_mut()
            .zip(steps)
            .for_each(|(cell, step)| *cell += weight * step);
    }
    row
}

#[inline]
fn multiply(row: &mut [f32; ROW], by: &[f32; ROW]) {
    row.iter_mut().zip(by).for_each(|(cell, by)| *cell *= by);
}

/// Divides each of two rows by its sum. Additions wait for each other: so both are summed at once.
#[inline]
fn normal(left: &mut [f32; ROW], right: &mut [f32; ROW]) {
    let sums = left
        .iter()
        .zip(&*right)
        .fold((0.0f32, 0.0f32), |sums, (left, right)| (sums.0 + left, sums.1 + right));
    let sums = (sums.0.max(f32::MIN_POSITIVE), sums.1.max(f32::MIN_POSITIVE));
    left.iter_mut().for_each(|cell| *cell /= sums.0);
    right.iter_mut().for_each(|cell| *cell /= sums.1);
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
        forward.clear();
        forward.resize(potentials.len(), [0.0; ROW]);
        backward.clear();
        backward.resize(potentials.len(), [1.0 / TAGS as f32; ROW]);
        // One goes on at the beginning and one at the end: neither waits for the other, only each for its own last
        // step.
        for (step, back) in (0..potentials.len()).zip((0..potentials.len()).rev()) {
            let mut ahead = match step.checked_sub(1) {
                // A sentence begins as if something outside stood before it.
                None => moves.from[0],
                Some(last) => through(&forward[last], &moves.from),
            };
            multiply(&mut ahead, &potentials[step]);
            let mut behind = backward[back];
            multiply(&mut behind, &potentials[back]);
            let mut behind = through(&behind, &moves.to);
            normal(&mut ahead, &mut behind);
            forward[step] = ahead;
            if let Some(earlier) = back.checked_sub(1) {
                backward[earlier] = behind;
            }
        }
    }

    /// The likeliest tag of every token, where inside follows only what it may.
    pub fn decode(&self) -> Vec<usize> {
        let mut last = 0;
        (0..self.forward.len())
            .map(|at| {
                if self.surely_outside(at) {
                    last = 0;
                    return last;
                }
                let row = self.marginals(at);
                last = (0..TAGS)
                    .filter(|tag| allowed(last, *tag))
                    .fold(0, |best, tag| if row[tag] > row[best] { tag } else { best });
                last
            })
            .collect()
    }

    /// Whether outside is more than twice as likely as any other tag at a token, so that dividing by a sum changes
    /// nothing.
    fn surely_outside(&self, at: usize) -> bool {
        let mut row = self.forward[at];
        multiply(&mut row, &self.backward[at]);
        let outside = row[0];
        row[1..].iter().fold(true, |sure, other| sure & (2.0 * other < outside))
    }

    /// The probability of a tag at a token.
    pub fn marginal(&self, at: usize, tag: usize) -> f32 {
        self.marginals(at)[tag]
    }

    /// The probabilities of all tags at a token.
    pub fn marginals(&self, at: usize) -> [f32; ROW] {
        let mut row = self.forward[at];
        multiply(&mut row, &self.backward[at]);
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
    use super::super::features::features;
    use super::*;

    #[test]
    fn a_changed_file_is_refused() {
        let rows = [(7, [1; ROW]), (9, [-3; ROW])];
        let bytes = Tagger::write([5; 32], 0.1, &[[0; ROW]; ROW], &rows);
        let tagger = Tagger::read(&bytes).unwrap();
        assert_eq!(tagger.table.row(9), &[-3; ROW]);
        assert_eq!(tagger.table.row(8), &[0; ROW]);
        assert_eq!(tagger.trained_on(), hex::encode([5; 32]));
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(Tagger::read(&wrong).is_err(), "{at}");
            assert!(Tagger::read(&bytes[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn remembered_words_weigh_what_a_list_of_features_weighs() {
        use crate::phi::tests::PHI;
        let tagger = Tagger::built_in().unwrap();
        let mut work = Work::default();
        let (mut list, mut ends) = (Vec::new(), Vec::new());
        for text in [
            "a",
            "Dr. Smith",
            "Anna,",
            "On 3 May 2021 Dr. Anna Smith (MRN: CC-98765) came\nto St. Mary’s Hospital in New York; Anna Smith left.",
            "a-word-longer-than-fifteen-bytes Åsa Åsa a-word-longer-than-fifteen-bytes",
        ] {
            let rules = PHI.rules(text, None);
            tokens(text, &(0..text.len()), &mut work.tokens);
            tagger.weigh(text, &rules, PHI.lexicon(), &mut work);
            features(text, &work.tokens, &rules, PHI.lexicon(), &mut list, &mut ends);
            let mut from = 0;
            for (emission, end) in work.emissions.iter().zip(&ends) {
                let mut sum = [0; ROW];
                for feature in &list[from..*end] {
                    add(&mut sum, tagger.table.row(*feature));
                }
                assert_eq!(*emission, sum.map(|sum| f32::from(sum) * tagger.scale), "{text}");
                from = *end;
            }
            assert_eq!(work.emissions.len(), ends.len());
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
