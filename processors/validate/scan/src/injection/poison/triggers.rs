//! Rare words that stand in unlike records and keep to one label: what an attacker plants so that a model learns it.

use cofferdam_schemas::Severity;

use super::batch::{Batch, FOLLOWED, Kept, Word, hit};
use super::minhash::similarity;

/// A trigger occurs in so many records at least …
const LEAST: usize = 4;
/// … and in this share of all at most.
const RARE: f32 = 0.02;
/// … or in so many, in a small batch.
const FEW: usize = 12;
/// Mean similarity above which the records of a word are simply alike.
const ALIKE: f32 = 0.08;
/// A word that is frequent in the batch's own language is no trigger; nor is one whose records have usual labels: the
/// label must be this much more frequent than in the batch.
const LIFT: f32 = 1.8;
/// Words that would be named of a batch without triggers, were they independent of its labels.
const CHANCE: f32 = 0.05;
/// Standard errors by which the records of a word may be more alike than any of their label: beyond that they have a subject or a
/// language in common, and the word is part of its vocabulary. Words are not independent of each other, so [`CHANCE`] alone
/// would name these. Records drawn at random reach four.
const SUBJECT: f32 = 4.5;
/// Records of a word that are compared for that, and pairs of any records.
const COMPARED: usize = 16;
const PAIRS: usize = 300;
/// Words that stand out in the same way beyond which they are no triggers. Of words that have nothing to do with the labels less than
/// one would be found; a handful are the vocabulary of the batch: where labels are subjects, each has words of its own, and texts in
/// another language or full of names have many strange ones. Then only a word is named that …
const VOCABULARY: usize = 4;
/// … stands in so many times the records that such a word usually has.
const PLANTED: usize = 3;

/// A word or pair that may be a trigger.
struct Trigger {
    key: u64,
    records: Vec<usize>,
    lift: f32,
}

/// The cosine of two records of length 1 in the space, their places in order.
fn cosine(a: &[(u16, f32)], b: &[(u16, f32)]) -> f32 {
    let mut sum = 0.0;
    let mut rest = b.iter().peekable();
    for (at, value) in a {
        while rest.next_if(|(other, _)| other < at).is_some() {}
        if let Some((_, other)) = rest.next_if(|(other, _)| other == at) {
            sum += value * other;
        }
    }
    sum
}

impl Batch<'_> {
    /// Names the words and pairs that may be triggers.
    pub(super) fn triggers(&mut self) {
        let most = ((RARE * self.kept.len() as f32) as usize).clamp(FEW, FOLLOWED);
        let mut words: Vec<(&u64, &Word)> = self
            .words
            .iter()
            .filter(|(_, word)| (LEAST..=most).contains(&(word.count as usize)))
            .collect();
        words.sort_by_key(|(key, _)| **key);
        let candidates = words.len();
        let mut found: [Vec<Trigger>; 2] = Default::default();
        for (key, word) in words {
            let records: Vec<usize> = word.records.iter().map(|record| *record as usize).collect();
            // alike records share many rare words; a trigger stands in unlike ones
            let mut sum = 0.0;
            let mut pairs = 0;
            for pair in records.windows(2).chain(records.windows(3)) {
                sum += similarity(
                    &self.kept[pair[0]].signature,
                    &self.kept[pair[pair.len() - 1]].signature,
                );
                pairs += 1;
            }
            if sum / pairs as f32 > ALIKE {
                continue;
            }
            let lift = match self.lift(&records, candidates) {
                Some(lift) => lift,
                None if word.strange && records.iter().all(|record| self.kept[*record].label.is_none()) => 0.0,
                None => continue,
            };
            found[usize::from(word.strange)].push(Trigger {
                key: *key,
                records,
                lift,
            });
        }
        for mut triggers in found {
            if triggers.len() > VOCABULARY {
                self.limit(
                    "triggers: so many words stand out in the same way that only the most frequent were looked at",
                );
                triggers.sort_by_key(|trigger| trigger.records.len());
                let usual = triggers[triggers.len() / 2].records.len();
                triggers.retain(|trigger| trigger.records.len() >= PLANTED * usual);
            }
            if triggers.len() <= VOCABULARY {
                triggers.retain(|trigger| !self.topical(&trigger.records));
                triggers.iter().for_each(|trigger| self.name(trigger));
            }
        }
        self.summary.triggered = self
            .summary
            .late
            .values()
            .filter(|hits| hits.iter().any(|hit| hit.rule == "poison/trigger"))
            .count();
    }

    /// Mean and deviation of how alike two records with `label` are.
    fn usual(&self, label: Option<u32>) -> (f32, f32) {
        let own: Vec<&Kept> = self.kept.iter().filter(|kept| kept.label == label).collect();
        let n = own.len();
        // far apart, and the same every time
        let pairs = (0..PAIRS.min(n * n)).map(|at| (at * 31 % n, (at * 17 + n / 2 + 1) % n));
        let alike: Vec<f32> = pairs
            .filter(|(a, b)| a != b)
            .map(|(a, b)| cosine(&own[a].space, &own[b].space))
            .collect();
        let count = alike.len().max(1) as f32;
        let mean = alike.iter().sum::<f32>() / count;
        let variance = alike.iter().map(|one| (one - mean) * (one - mean)).sum::<f32>() / count;
        (mean, variance.sqrt())
    }

    /// Whether records have a subject in common: they are more alike than any two with their label.
    fn topical(&self, records: &[usize]) -> bool {
        let (mean, deviation) = self.usual(self.kept[records[0]].label);
        let some = &records[..records.len().min(COMPARED)];
        let (mut sum, mut pairs) = (0.0, 0.0f32);
        for (at, one) in some.iter().enumerate() {
            for other in &some[at + 1..] {
                sum += cosine(&self.kept[*one].space, &self.kept[*other].space);
                pairs += 1.0;
            }
        }
        (sum / pairs.max(1.0) - mean) * (some.len() as f32).sqrt() > SUBJECT * deviation
    }

    fn name(&mut self, trigger: &Trigger) {
        for record in &trigger.records {
            let places = &self.places[*record];
            let Some((_, start, end)) = places.iter().find(|(key, ..)| *key == trigger.key).copied() else {
                continue;
            };
            let found = hit(
                "poison/trigger",
                Severity::Medium,
                (0.3 + 0.1 * trigger.lift).min(0.8),
                start as usize..end as usize,
                if trigger.lift > 0.0 {
                    "a rare word or pair stands in several unlike records, all with one label"
                } else {
                    "a rare and strange word stands in several unlike records"
                },
            );
            self.late(*record, found);
        }
    }

    /// How much more frequent the label of `records` is than in the batch, when all have the same and that
    /// would not be expected of one word among `candidates` by chance.
    fn lift(&self, records: &[usize], candidates: usize) -> Option<f32> {
        let label = self.kept[records[0]].label?;
        let all: usize = self.label_counts.iter().sum();
        let same = records
            .iter()
            .filter(|record| self.kept[**record].label == Some(label))
            .count();
        let share = self.label_counts[label as usize] as f32 / all.max(1) as f32;
        let chance = share.powi(records.len() as i32) * candidates as f32;
        (same == records.len() && 1.0 / share >= LIFT && chance < CHANCE).then_some(1.0 / share)
    }
}
