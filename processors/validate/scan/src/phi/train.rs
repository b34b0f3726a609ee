//! Makes the tagger's weights from labelled texts: the same data give the same file.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Phi;
use super::data::Document;
use super::features::features;
use super::kind::Kind;
use super::lexicon::flag;
use super::tagger::{Chain, LABELS, Moves, ROW, TAGS, Tagger};
use super::token::{Token, segments, tokens};

/// How it learns.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Times the data are gone through.
    pub rounds: usize,
    /// Step of AdaGrad (Duchi, Hazan, Singer 2011).
    pub step: f32,
    /// L2 decay per round; keeps weights small.
    pub decay: f32,
    /// Features seen less often are left out.
    pub least: u32,
    /// Most bytes of the file: the smallest weights go first.
    pub size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rounds: 24,
            step: 0.2,
            decay: 0.01,
            least: 2,
            size: 390_000,
        }
    }
}

/// A sentence ready to learn from.
struct Example {
    features: Vec<usize>,
    ends: Vec<usize>,
    tags: Vec<usize>,
}

/// Trains on documents. `phi` gives the recognizers' opinion, which is a feature.
pub fn train(phi: &Phi, documents: &[&Document], settings: &Settings) -> Vec<u8> {
    let (mut ids, mut counts) = (BTreeMap::new(), Vec::new());
    let raw = read(phi, documents);
    for (list, ..) in &raw {
        for feature in list {
            let id = *ids.entry(*feature).or_insert(counts.len());
            if id == counts.len() {
                counts.push(0u32);
            }
            counts[id] += 1;
        }
    }
    // Rare features share one row that is never written.
    let keep: Vec<Option<usize>> = counts
        .iter()
        .scan(0, |next, count| {
            let id = (*count >= settings.least).then_some(*next);
            *next += usize::from(id.is_some());
            Some(id)
        })
        .collect();
    let rows = keep.iter().flatten().count();
    let examples: Vec<Example> = raw
        .into_iter()
        .map(|(list, ends, tags)| {
            let mut kept = Vec::new();
            let (mut from, mut new_ends) = (0, Vec::new());
            for end in ends {
                kept.extend(list[from..end].iter().filter_map(|feature| keep[ids[feature]]));
                from = end;
                new_ends.push(kept.len());
            }
            Example {
                features: kept,
                ends: new_ends,
                tags,
            }
        })
        .collect();
    let (weights, moves) = learn(&examples, rows, settings);
    let mut listed: Vec<(u32, [f32; ROW])> = ids
        .iter()
        .filter_map(|(feature, id)| keep[*id].map(|row| (*feature, weights[row])))
        .collect();
    listed.sort_unstable_by_key(|(feature, _)| *feature);
    quantise(documents, &listed, &moves, settings.size)
}

/// Features and tags of every sentence that the scanner would read.
#[allow(clippy::type_complexity, reason = "one use")]
fn read(phi: &Phi, documents: &[&Document]) -> Vec<(Vec<u32>, Vec<usize>, Vec<usize>)> {
    let mut out = Vec::new();
    let (mut words, mut list, mut ends) = (Vec::<Token>::new(), Vec::new(), Vec::new());
    for document in documents {
        let text = document.text.as_str();
        let found = phi.rules(text, None);
        let mut all = segments(text, &found);
        if all.is_empty() {
            all.push(0..text.len());
        }
        for segment in all {
            tokens(text, &segment, &mut words);
            features(text, &words, &found, phi.lexicon(), &mut list, &mut ends);
            if !words.is_empty() {
                out.push((list.clone(), ends.clone(), tags(phi, document, &words)));
            }
        }
    }
    out
}

/// The tags a document's labels give its tokens.
fn tags(phi: &Phi, document: &Document, words: &[Token]) -> Vec<usize> {
    let mut tags = vec![0; words.len()];
    for span in &document.spans {
        let value = &document.text[span.range.clone()];
        let country = phi.lexicon().phrase(value).flags & (flag::COUNTRY | flag::STATE | flag::NATION) != 0;
        let year = value.len() == 4 && value.bytes().all(|byte| byte.is_ascii_digit());
        // What the law allows is not learned as a find.
        let kind = match span.coarse {
            "NAME" => Kind::Name,
            "LOC" if !country => Kind::Location,
            "DATE" if !year => Kind::Date,
            "PHONE" => Kind::Phone,
            "EMAIL" => Kind::Email,
            "SSN" => Kind::Ssn,
            "ID" => Kind::OtherId,
            _ => continue,
        };
        let Some(label) = LABELS.iter().position(|label| *label == kind) else {
            continue;
        };
        let mut first = true;
        for (tag, word) in tags.iter_mut().zip(words) {
            if word.span.start < span.range.end && word.span.end > span.range.start {
                *tag = if first { 1 + 2 * label } else { 2 + 2 * label };
                first = false;
            }
        }
    }
    tags
}

/// A generator of the same numbers everywhere (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *state;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

type Rows = Vec<[f32; ROW]>;

fn learn(examples: &[Example], rows: usize, settings: &Settings) -> (Rows, [[f32; ROW]; ROW]) {
    let (mut weights, mut squares) = (vec![[0.0f32; ROW]; rows], vec![[1e-6f32; ROW]; rows]);
    let (mut moves, mut move_squares) = ([[0.0f32; ROW]; ROW], [[1e-6f32; ROW]; ROW]);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut state = 20_260_101;
    for _ in 0..settings.rounds {
        for index in (1..order.len()).rev() {
            order.swap(index, (next(&mut state) % (index as u64 + 1)) as usize);
        }
        for example in order.iter().map(|index| &examples[*index]) {
            let mut emissions = vec![[0.0f32; ROW]; example.tags.len()];
            let mut from = 0;
            for (emission, end) in emissions.iter_mut().zip(&example.ends) {
                for feature in &example.features[from..*end] {
                    emission
                        .iter_mut()
                        .zip(&weights[*feature])
                        .for_each(|(cell, weight)| *cell += weight);
                }
                from = *end;
            }
            let steps = Moves::new(&moves);
            let chain = Chain::with(&emissions, &steps);
            let step = |weight: &mut f32, square: &mut f32, gradient: f32| {
                *square += gradient * gradient;
                *weight -= settings.step * gradient / square.sqrt();
            };
            let mut from = 0;
            let mut last = 0;
            for (at, tag) in example.tags.iter().copied().enumerate() {
                let mut gradient = chain.marginals(at);
                gradient[tag] -= 1.0;
                for feature in &example.features[from..example.ends[at]] {
                    for (cell, (weight, square)) in weights[*feature]
                        .iter_mut()
                        .zip(&mut squares[*feature])
                        .enumerate()
                        .take(TAGS)
                    {
                        if gradient[cell].abs() > 1e-4 {
                            step(weight, square, gradient[cell]);
                        }
                    }
                }
                if at > 0 {
                    let mut pairs = chain.pairs(at, &steps);
                    pairs[last][tag] -= 1.0;
                    for from in 0..TAGS {
                        for to in 0..TAGS {
                            if pairs[from][to].abs() > 1e-4 {
                                step(&mut moves[from][to], &mut move_squares[from][to], pairs[from][to]);
                            }
                        }
                    }
                }
                from = example.ends[at];
                last = tag;
            }
        }
        let keep = 1.0 - settings.decay;
        weights.iter_mut().flatten().for_each(|weight| *weight *= keep);
    }
    (weights, moves)
}

/// Rounds to one byte a weight and drops the smallest until the file is small enough.
fn quantise(documents: &[&Document], rows: &[(u32, [f32; ROW])], moves: &[[f32; ROW]; ROW], size: usize) -> Vec<u8> {
    let most = rows
        .iter()
        .flat_map(|(_, row)| row)
        .chain(moves.iter().flatten())
        .fold(1e-3f32, |most, weight| most.max(weight.abs()));
    let scale = most / 127.0;
    let byte = |weight: f32| (weight / scale).round().clamp(-127.0, 127.0) as i8;
    let small = moves.map(|row| row.map(byte));
    let hash = fingerprint(documents);
    let mut floor = 1;
    loop {
        let kept: Vec<(u32, [i8; ROW])> = rows
            .iter()
            .map(|(feature, row)| {
                (
                    *feature,
                    row.map(byte)
                        .map(|weight| if weight.unsigned_abs() < floor { 0 } else { weight }),
                )
            })
            .filter(|(_, row)| row.iter().any(|weight| *weight != 0))
            .collect();
        let bytes = Tagger::write(hash, scale, &small, &kept);
        if bytes.len() <= size || floor == u8::MAX {
            return bytes;
        }
        floor += 1;
    }
}

/// SHA-256 of the texts and labels learned from.
pub fn fingerprint(documents: &[&Document]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for document in documents {
        hash.update((document.text.len() as u64).to_le_bytes());
        hash.update(&document.text);
        for span in &document.spans {
            hash.update(format!("{}:{}:{};", span.range.start, span.range.end, span.label));
        }
    }
    hash.finalize().into()
}
