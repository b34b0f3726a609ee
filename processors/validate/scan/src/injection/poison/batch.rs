//! Records of one batch, one by one, in bounded memory.
//!
//! Kept for each record: 32 bytes of hash, 256 bytes of signature with 16 index entries, and its rare words, in all about
//! 1 kB. Beyond [`Limits`] records are still counted and compared with those before, but no longer kept; the summary says
//! so.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use cofferdam_schemas::Severity;
use foldhash::quality::RandomState;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::document::words;
use super::minhash::{Index, Signature, signature};
use crate::hit::Hit;
use crate::injection::language::Language;

/// How much a batch may keep.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Records kept (about 1 kB each).
    pub records: usize,
    /// Different words and word pairs counted (about 100 bytes each).
    pub words: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 500_000,
            words: 2_000_000,
        }
    }
}

/// Words of one record that are counted; the rest of a longer record is not looked at for triggers.
const WORDS: usize = 2000;
/// Records a word is followed in one by one.
pub(super) const FOLLOWED: usize = 64;
/// Records of fewer words are not compared for near-duplicates.
const SHORT: usize = 5;
/// Bits a character from which a word is strange: without labels only such a word can be a trigger.
const STRANGE: f32 = 6.5;
/// Shorter words, and those with digits, are never strange: units and abbreviations are.
const LETTERS: usize = 4;
/// Dimensions of the space in which the distance to the centre is taken.
const SPACE: usize = 512;
/// Standard deviations from the mean distance that make a record an outlier.
const FAR: f32 = 4.0;

#[derive(Default)]
pub(super) struct Word {
    pub(super) records: Vec<u32>,
    pub(super) count: u32,
    /// Its letters follow each other as in no word.
    pub(super) strange: bool,
}

pub(super) struct Kept {
    record: usize,
    pub(super) signature: Signature,
    pub(super) label: Option<u32>,
    pub(super) space: Vec<(u16, f32)>,
}

/// What a batch needs to know of a record's text. It has nothing to do with other records, so that many can be made at the same time.
pub struct Outline {
    /// SHA-256 of the text in lower case, with one space where there was any.
    hash: [u8; 32],
    words: usize,
    signature: Signature,
    space: Vec<(u16, f32)>,
    keys: Vec<Key>,
}

/// A word, or the pair it makes with the one before, and where the word stands for the first time.
struct Key {
    hash: u64,
    start: u32,
    end: u32,
    pair: bool,
}

impl Outline {
    /// Reads a text. Time and memory are linear in it.
    pub fn of(text: &str) -> Self {
        let plain: String = text.nfkc().flat_map(char::to_lowercase).collect();
        let squeezed = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words(text);
        let hashes: Vec<u64> = words.iter().map(|(hash, ..)| *hash).collect();
        Self {
            hash: Sha256::digest(squeezed.as_bytes()).into(),
            words: words.len(),
            signature: signature(&hashes),
            space: space(&hashes),
            keys: keys(&words),
        }
    }
}

/// A direction in [`SPACE`] dimensions, its places in order.
fn space(words: &[u64]) -> Vec<(u16, f32)> {
    let mut all = [0.0f32; SPACE];
    for hash in words {
        all[(hash >> 20) as usize % SPACE] += if hash & 1 == 0 { 1.0 } else { -1.0 };
    }
    let norm = all.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-6);
    let used = all.iter().enumerate().filter(|(_, value)| **value != 0.0);
    used.map(|(at, value)| (at as u16, value / norm)).collect()
}

fn keys(words: &[(u64, usize, usize)]) -> Vec<Key> {
    let words = &words[..words.len().min(WORDS)];
    let mut seen = HashSet::with_capacity_and_hasher(2 * words.len(), RandomState::default());
    let mut keys = Vec::with_capacity(2 * words.len());
    let mut last = 0;
    for (hash, start, end) in words {
        for (hash, pair) in [(*hash, false), (hash.rotate_left(17) ^ last, true)] {
            if seen.insert(hash) {
                keys.push(Key {
                    hash,
                    start: *start as u32,
                    end: *end as u32,
                    pair,
                });
            }
        }
        last = *hash;
    }
    keys
}

/// A record with its findings. Spans are bytes of the record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Place in the batch, from 0.
    pub index: usize,
    /// `poison/…`
    pub hits: Vec<Hit>,
    /// The record this one repeats.
    pub like: Option<usize>,
}

/// What the batch as a whole shows.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Records seen.
    pub records: usize,
    /// Records kept; fewer than seen when the limit was reached.
    pub kept: usize,
    /// Exact duplicates.
    pub duplicates: usize,
    /// Near-duplicates.
    pub near: usize,
    /// Near-duplicates with another label.
    pub flips: usize,
    /// Records with a rare word or pair that unlike records share.
    pub triggered: usize,
    /// Records far from the centre of the batch.
    pub outliers: usize,
    /// Limits that were reached, in words.
    pub limits: Vec<&'static str>,
    /// Findings that need the whole batch, by record.
    pub late: BTreeMap<usize, Vec<Hit>>,
}

/// Takes records and tells what they have to do with each other.
pub struct Batch<'a> {
    language: &'a Language,
    limits: Limits,
    exact: HashMap<[u8; 32], u32>,
    index: Index,
    pub(super) kept: Vec<Kept>,
    pub(super) words: HashMap<u64, Word, RandomState>,
    /// First place of each followed word in each kept record.
    pub(super) places: Vec<Vec<(u64, u32, u32)>>,
    labels: HashMap<String, u32>,
    pub(super) label_counts: Vec<usize>,
    centre: Vec<f64>,
    pub(super) summary: Summary,
}

pub(super) fn hit(
    rule: &'static str,
    severity: Severity,
    confidence: f32,
    span: std::ops::Range<usize>,
    message: &'static str,
) -> Hit {
    Hit {
        rule: rule.into(),
        severity,
        confidence,
        span,
        message: message.into(),
        remediation: Some("compare the records and keep those whose source is known".into()),
        citation: Some("OWASP LLM04:2025; MITRE ATLAS AML.T0020".into()),
    }
}

impl<'a> Batch<'a> {
    /// An empty batch; `language` says which words are strange.
    pub fn new(limits: Limits, language: &'a Language) -> Self {
        Self {
            language,
            limits: Limits {
                records: limits.records.min(u32::MAX as usize - 1),
                ..limits
            },
            exact: HashMap::new(),
            index: Index::default(),
            kept: Vec::new(),
            words: HashMap::default(),
            places: Vec::new(),
            labels: HashMap::new(),
            label_counts: Vec::new(),
            centre: vec![0.0; SPACE],
            summary: Summary::default(),
        }
    }

    pub(super) fn limit(&mut self, what: &'static str) {
        if !self.summary.limits.contains(&what) {
            self.summary.limits.push(what);
        }
    }

    /// Takes one record, with its label if it has one, and gives what can be said at once.
    pub fn add(&mut self, text: &str, label: Option<&str>) -> Record {
        self.add_outlined(text, Outline::of(text), label)
    }

    /// The same with an outline of the text that was made before.
    pub fn add_outlined(&mut self, text: &str, outline: Outline, label: Option<&str>) -> Record {
        let record = self.summary.records;
        self.summary.records += 1;
        let mut found = Record {
            index: record,
            hits: Vec::new(),
            like: None,
        };
        let label = label.and_then(|label| self.label(label));
        let whole = 0..text.len();
        if let Some(first) = self.exact.get(&outline.hash).copied() {
            self.summary.duplicates += 1;
            found.like = Some(self.kept[first as usize].record);
            found.hits.push(hit(
                "poison/duplicate",
                Severity::Low,
                1.0,
                whole.clone(),
                "the record repeats an earlier one",
            ));
            self.flip(&[first as usize], label, whole, &mut found.hits);
            return found;
        }
        if self.kept.len() >= self.limits.records {
            self.limit("records: later ones were compared for exact duplicates only");
            return found;
        }
        self.exact.insert(outline.hash, self.kept.len() as u32);
        let like = if outline.words < SHORT {
            Vec::new()
        } else {
            self.alike(&outline.signature)
        };
        if let Some((first, similarity)) = like.first() {
            self.summary.near += 1;
            found.like = Some(self.kept[*first].record);
            found.hits.push(hit(
                "poison/near-duplicate",
                Severity::Low,
                *similarity,
                whole.clone(),
                "the record is nearly the same as an earlier one",
            ));
            let others: Vec<usize> = like.iter().map(|(other, _)| *other).collect();
            self.flip(&others, label, whole, &mut found.hits);
        }
        self.keep(record, text, outline, label);
        found
    }

    fn alike(&mut self, signature: &Signature) -> Vec<(usize, f32)> {
        let kept = &self.kept;
        let like = self
            .index
            .add(kept.len() as u32, signature, |other| &kept[other].signature);
        if self.index.full > 0 {
            self.limit("near-duplicates: more than 16 records share a band, some were not compared");
        }
        like
    }

    fn label(&mut self, label: &str) -> Option<u32> {
        let next = self.labels.len() as u32;
        if next >= 10_000 && !self.labels.contains_key(label) {
            self.limit("labels: more than 10,000, later ones were not compared");
            return None;
        }
        let label = *self.labels.entry(label.to_owned()).or_insert(next);
        if label == next {
            self.label_counts.push(0);
        }
        self.label_counts[label as usize] += 1;
        Some(label)
    }

    fn flip(&mut self, others: &[usize], label: Option<u32>, span: std::ops::Range<usize>, hits: &mut Vec<Hit>) {
        let Some(label) = label else { return };
        if others
            .iter()
            .any(|other| self.kept[*other].label.is_some_and(|known| known != label))
        {
            self.summary.flips += 1;
            hits.push(hit(
                "poison/label-flip",
                Severity::Medium,
                0.8,
                span,
                "nearly the same record has another label",
            ));
        }
    }

    fn keep(&mut self, index: usize, text: &str, outline: Outline, label: Option<u32>) {
        let record = self.kept.len() as u32;
        for (at, value) in &outline.space {
            self.centre[usize::from(*at)] += f64::from(*value);
        }
        if outline.words > WORDS {
            self.limit("words: triggers were looked for in the first 2,000 words of a record");
        }
        let mut places = Vec::with_capacity(outline.keys.len());
        let mut full = false;
        let room = self.limits.words;
        for key in outline.keys {
            let known = self.words.len();
            let word = match self.words.entry(key.hash) {
                Entry::Occupied(word) => word.into_mut(),
                Entry::Vacant(_) if known >= room => {
                    full = true;
                    continue;
                }
                Entry::Vacant(place) => place.insert(Word::default()),
            };
            word.count += 1;
            let spelt = &text[key.start as usize..key.end as usize];
            if word.count == 1 && !key.pair && spelt.len() >= LETTERS && spelt.chars().all(char::is_alphabetic) {
                let letters = [" ", spelt, " "];
                word.strange = self.language.mean(letters.iter().flat_map(|part| part.chars())) >= STRANGE;
            }
            if word.records.len() < FOLLOWED {
                word.records.push(record);
                places.push((key.hash, key.start, key.end));
            }
        }
        if full {
            self.limit("words: too many different ones, later ones are no triggers");
        }
        places.shrink_to_fit();
        self.places.push(places);
        self.kept.push(Kept {
            record: index,
            signature: outline.signature,
            label,
            space: outline.space,
        });
    }

    /// Ends the batch: what needs all records.
    pub fn finish(mut self) -> Summary {
        self.triggers();
        self.outliers();
        self.summary.kept = self.kept.len();
        self.summary
    }

    pub(super) fn late(&mut self, kept: usize, found: Hit) {
        let hits = self.summary.late.entry(self.kept[kept].record).or_default();
        if hits.iter().all(|other| other.rule != found.rule) {
            hits.push(found);
        }
    }

    fn outliers(&mut self) {
        let n = self.kept.len();
        if n < 30 {
            return;
        }
        let norm = self
            .centre
            .iter()
            .map(|value| value * value)
            .sum::<f64>()
            .sqrt()
            .max(1e-9);
        let distances: Vec<f64> = self
            .kept
            .iter()
            .map(|kept| {
                1.0 - kept
                    .space
                    .iter()
                    .map(|(at, value)| f64::from(*value) * self.centre[usize::from(*at)])
                    .sum::<f64>()
                    / norm
            })
            .collect();
        let mean = distances.iter().sum::<f64>() / n as f64;
        let deviation = (distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n as f64)
            .sqrt()
            .max(1e-9);
        for (record, distance) in distances.into_iter().enumerate() {
            let z = ((distance - mean) / deviation) as f32;
            if z > FAR {
                self.summary.outliers += 1;
                let found = hit(
                    "poison/outlier",
                    Severity::Info,
                    (z / 10.0).min(1.0),
                    0..0,
                    "the record is unlike all others of the batch",
                );
                self.late(record, found);
            }
        }
    }
}
