//! Scores by grouped cross-validation, never a random split.
//!
//! Two ways are computed and printed. *Near-duplicates together*: five folds, texts that share word 4-grams (Jaccard 0.35 and more,
//! disguises read first) in one fold: new texts of known sources. *Leave one source out*: all rows of a source, disguised ones too, are
//! scored by a model that saw none of them and nothing like them. The thresholds are those of 5 % and 1 % false positives over the
//! harmless odds of the second way, since what comes is from sources nobody knows; for the scores each source is judged by the
//! thresholds that the others give.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::features::{DENSE, word_hash};
use super::language::Language;
use super::model::{LEARNT, Model, Weights};
use super::rules::{self, Rules};
use super::train::{Prepared, Row, Set, Settings, fit, prepare};
use super::{Injection, InjectionError};

/// Scores of a set of texts at two thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Area under the ROC curve.
    pub auc: f32,
    /// At the threshold for review.
    pub review: At,
    /// At the threshold for quarantine.
    pub quarantine: At,
    /// By family: name, texts, share flagged at review, share flagged at quarantine. Attacks: recall; else false
    /// positives.
    pub families: Vec<Family>,
}

/// Scores at one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct At {
    /// Log-odds.
    pub threshold: f32,
    /// Share of the flagged that are attacks.
    pub precision: f32,
    /// Share of the attacks that are flagged.
    pub recall: f32,
    /// Harmonic mean of both.
    pub f1: f32,
    /// Share of the harmless that are flagged.
    pub false_positives: f32,
}

/// One family of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Whether its texts are attacks.
    pub attack: bool,
    /// Texts.
    pub texts: usize,
    /// Share flagged at the threshold for review.
    pub review: f32,
    /// Share flagged at the threshold for quarantine.
    pub quarantine: f32,
}

/// What the bench prints.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Near-duplicates together, five folds.
    pub by_cluster: Scores,
    /// Leave one source out.
    pub by_source: Scores,
}

/// The threshold at which at most `share` of the harmless odds are flagged.
pub fn threshold(odds: &[(f32, bool)], share: f32) -> f32 {
    let mut harmless: Vec<f32> = odds
        .iter()
        .filter(|(_, attack)| !attack)
        .map(|(odds, _)| *odds)
        .collect();
    harmless.sort_by(|a, b| b.total_cmp(a));
    let allowed = (share * harmless.len() as f32).floor() as usize;
    // just above the first that must not be flagged
    harmless
        .get(allowed)
        .map_or(f32::MAX, |odds| odds + odds.abs().max(1.0) * 1e-5)
}

/// `rows` are odds, threshold, whether it is an attack. The threshold shown is the mean.
fn at(rows: &[(f32, f32, bool)]) -> At {
    let count = |attack: bool, flagged: bool| {
        rows.iter()
            .filter(|(odds, threshold, is)| *is == attack && (odds >= threshold) == flagged)
            .count() as f32
    };
    let (hit, miss, alarm, rest) = (
        count(true, true),
        count(true, false),
        count(false, true),
        count(false, false),
    );
    let precision = hit / (hit + alarm).max(1.0);
    let recall = hit / (hit + miss).max(1.0);
    At {
        threshold: rows.iter().map(|(_, threshold, _)| threshold).sum::<f32>() / rows.len().max(1) as f32,
        precision,
        recall,
        f1: 2.0 * precision * recall / (precision + recall).max(1e-9),
        false_positives: alarm / (alarm + rest).max(1.0),
    }
}

/// Area under the ROC curve, ties counted half.
pub fn auc(odds: &[(f32, bool)]) -> f32 {
    let mut sorted = odds.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut attacks) = (0f64, 0f64);
    let mut at = 0;
    for same in sorted.chunk_by(|a, b| a.0 == b.0) {
        let rank = at as f64 + (same.len() as f64 + 1.0) / 2.0;
        let n = same.iter().filter(|(_, attack)| *attack).count() as f64;
        rank_sum += rank * n;
        attacks += n;
        at += same.len();
    }
    let harmless = sorted.len() as f64 - attacks;
    if attacks * harmless == 0.0 {
        0.5
    } else {
        ((rank_sum - attacks * (attacks + 1.0) / 2.0) / (attacks * harmless)) as f32
    }
}

impl Scores {
    /// Scores `rows` with their `odds` at a threshold for review and one for quarantine for each.
    pub fn new(rows: &[Row], odds: &[f32], thresholds: &[(f32, f32)]) -> Self {
        let pairs: Vec<(f32, bool)> = odds.iter().copied().zip(rows.iter().map(Row::attack)).collect();
        let all = pairs.iter().zip(thresholds);
        let first: Vec<_> = all
            .clone()
            .map(|((odds, attack), (review, _))| (*odds, *review, *attack))
            .collect();
        let second: Vec<_> = all
            .map(|((odds, attack), (_, quarantine))| (*odds, *quarantine, *attack))
            .collect();
        let mut families: BTreeMap<(bool, &str), (usize, usize, usize)> = BTreeMap::new();
        for ((row, odds), (review, quarantine)) in rows.iter().zip(odds).zip(thresholds) {
            let (texts, first, second) = families.entry((row.attack(), &row.family)).or_default();
            *texts += 1;
            *first += usize::from(odds >= review);
            *second += usize::from(odds >= quarantine);
        }
        Self {
            auc: auc(&pairs),
            review: at(&first),
            quarantine: at(&second),
            families: families
                .into_iter()
                .map(|((attack, name), (texts, first, second))| Family {
                    name: name.to_owned(),
                    attack,
                    texts,
                    review: first as f32 / texts as f32,
                    quarantine: second as f32 / texts as f32,
                })
                .collect(),
        }
    }
}

/// A scanner without weights, for preparing texts: rules, and a language table learnt from prose and own examples only,
/// so that no fold sees held-out text through it.
///
/// # Errors
/// When the pack is wrong.
pub fn blank(set: &Set) -> Result<Injection, InjectionError> {
    let prose = set.extra.iter().filter(|row| {
        !row.attack()
            && (matches!(row.family.as_str(), "own_readme" | "own_changelog") || row.source.starts_with("own:"))
    });
    let language = Language::train(prose.map(|row| row.text.as_str()));
    let weights = Weights {
        bias: 0.0,
        dense: [0.0; DENSE],
        rows: vec![0.0; LEARNT],
        length_penalty: 0.0,
    };
    Ok(Injection::assemble(
        Rules::read(rules::BUILT_IN_PACK, &[])?,
        Model::quantise(&weights, language, set.hash),
    ))
}

/// Log-odds of every dev row from a model that saw nothing of its `group`, nor anything of the `clusters` that group has a part in.
fn held_out(
    set: &Set,
    (dev, extra): (&[Prepared], &[Prepared]),
    clusters: &BTreeMap<&str, usize>,
    settings: &Settings,
    group: impl Fn(&Row) -> String,
) -> Vec<f32> {
    let cluster = |row: &Row| clusters.get(row.id.split('~').next().unwrap_or_default());
    let names: Vec<String> = set.dev.iter().map(&group).collect();
    let groups: BTreeSet<&String> = names.iter().collect();
    let more: Vec<String> = set.extra.iter().map(&group).collect();
    let mut odds = vec![0.0; set.dev.len()];
    for held in groups {
        let (mut rows, mut texts) = (Vec::new(), Vec::new());
        let of_held = set.dev.iter().zip(&names).filter(|(_, name)| *name == held);
        let alike: BTreeSet<&usize> = of_held.filter_map(|(row, _)| cluster(row)).collect();
        let all = set
            .dev
            .iter()
            .zip(dev)
            .zip(&names)
            .chain(set.extra.iter().zip(extra).zip(&more));
        let apart = |row: &Row| cluster(row).is_none_or(|cluster| !alike.contains(cluster));
        for ((row, text), _) in all.filter(|((row, _), name)| *name != held && apart(row)) {
            rows.push(row);
            texts.push(text);
        }
        let weights = fit(&rows, &texts, settings);
        for at in (0..names.len()).filter(|at| names[*at] == *held) {
            odds[at] = weights.text(&dev[at]);
        }
    }
    odds
}

/// The group of a text in the cross-validation by cluster: its fold. A disguise has the fold of the row it was made from,
/// whose id its own begins with.
fn fold(clusters: &BTreeMap<&str, usize>, row: &Row) -> String {
    let id = row.id.split('~').next().unwrap_or_default();
    let fold = |cluster: &usize| (cluster.wrapping_mul(0x9e37_79b9) / 64 % FOLDS).to_string();
    clusters.get(id).map_or_else(|| "extra".into(), fold)
}

/// Folds of the cross-validation by cluster.
const FOLDS: usize = 5;
/// Shared word 4-grams from which two texts are near-duplicates, as a share of all.
const NEAR: f32 = 0.35;

/// The cluster of each text: near-duplicates have the same, found through shared 4-grams and joined transitively.
fn clusters(injection: &Injection, rows: &[Row]) -> Vec<usize> {
    let shingles: Vec<BTreeSet<u64>> = rows
        .iter()
        .map(|row| {
            let read = injection.read(&row.text);
            let text = read.readable(&row.text).to_lowercase();
            let words: Vec<u64> = text
                .split(|c: char| !c.is_alphanumeric())
                .filter(|w| !w.is_empty())
                .map(word_hash)
                .collect();
            words
                .windows(4.min(words.len().max(1)))
                .map(|four| four.iter().fold(7u64, |a, b| a.rotate_left(9) ^ b.wrapping_mul(31)))
                .collect()
        })
        .collect();
    let mut leader: Vec<usize> = (0..rows.len()).collect();
    fn find(leader: &mut [usize], mut at: usize) -> usize {
        while leader[at] != at {
            leader[at] = leader[leader[at]];
            at = leader[at];
        }
        at
    }
    let mut holders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, set) in shingles.iter().enumerate() {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for shingle in set {
            let list = holders.entry(*shingle).or_default();
            for other in list.iter() {
                *shared.entry(*other).or_default() += 1;
            }
            list.push(at);
        }
        for (other, both) in shared {
            if both as f32 >= NEAR * (set.len() + shingles[other].len() - both) as f32 {
                let (a, b) = (find(&mut leader, at), find(&mut leader, other));
                leader[a.max(b)] = a.min(b);
            }
        }
    }
    (0..rows.len()).map(|at| find(&mut leader, at)).collect()
}

/// Both cross-validations: some twenty trainings.
///
/// # Errors
/// When the rule pack is wrong.
pub fn evaluate(set: &Set, settings: &Settings) -> Result<Report, InjectionError> {
    let blank = blank(set)?;
    let (dev, extra) = (prepare(&blank, &set.dev), prepare(&blank, &set.extra));
    let folds = Folds::new(set, &blank, &dev, &extra, settings);
    let others: BTreeMap<&str, (f32, f32)> = set
        .dev
        .iter()
        .map(Row::group)
        .map(|source| (source, thresholds(set, &folds.by_source, |row| row.group() != source)))
        .collect();
    let nested: Vec<(f32, f32)> = set.dev.iter().map(|row| others[row.group()]).collect();
    let fixed = vec![thresholds(set, &folds.by_source, |_| true); set.dev.len()];
    Ok(Report {
        by_cluster: Scores::new(&set.dev, &folds.by_cluster, &fixed),
        by_source: Scores::new(&set.dev, &folds.by_source, &nested),
    })
}

/// Log-odds of the dev rows in the two ways.
pub struct Folds {
    /// Near-duplicates together.
    pub by_cluster: Vec<f32>,
    /// Leave one source out.
    pub by_source: Vec<f32>,
}

impl Folds {
    /// Trains for every fold.
    pub fn new(set: &Set, blank: &Injection, dev: &[Prepared], extra: &[Prepared], settings: &Settings) -> Self {
        let ids = set.dev.iter().map(|row| row.id.as_str());
        let clusters: BTreeMap<&str, usize> = ids.zip(clusters(blank, &set.dev)).collect();
        let texts = (dev, extra);
        Self {
            by_cluster: held_out(set, texts, &clusters, settings, |row| fold(&clusters, row)),
            by_source: held_out(set, texts, &clusters, settings, |row| row.group().to_owned()),
        }
    }
}

/// The thresholds of 5 % and 1 % false positives over those `rows` of the set that are asked for.
pub fn thresholds(set: &Set, by_source: &[f32], rows: impl Fn(&Row) -> bool) -> (f32, f32) {
    let asked = by_source.iter().zip(&set.dev).filter(|(_, row)| rows(row));
    let pairs: Vec<(f32, bool)> = asked.map(|(odds, row)| (*odds, row.attack())).collect();
    (threshold(&pairs, 0.05), threshold(&pairs, 0.01))
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "AUC {:.3}", self.auc)?;
        for (name, at) in [("review", self.review), ("quarantine", self.quarantine)] {
            writeln!(
                f,
                "{name:<10} at {:>6.2}: precision {:.3} recall {:.3} F1 {:.3} false positives {:.3}",
                at.threshold, at.precision, at.recall, at.f1, at.false_positives
            )?;
        }
        for family in &self.families {
            let kind = if family.attack { "recall" } else { "false positives" };
            writeln!(
                f,
                "  {:<24} {:>5} texts  {kind:<15} {:.3}  {:.3}",
                family.name, family.texts, family.review, family.quarantine
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "near-duplicates together, {FOLDS} folds\n{}", self.by_cluster)?;
        write!(f, "leave one source out\n{}", self.by_source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measures_are_right_on_a_case_done_by_hand() {
        let odds = [(3.0, true), (2.0, false), (1.0, true), (0.0, false), (-1.0, false)];
        assert!((auc(&odds) - 5.0 / 6.0).abs() < 1e-6);
        let at = at(&odds.map(|(odds, attack)| (odds, 1.0, attack)));
        assert_eq!((at.recall, at.false_positives), (1.0, 1.0 / 3.0));
        assert!((at.f1 - 0.8).abs() < 1e-6);
        let edge = threshold(&odds, 0.34);
        assert!(edge > 0.0 && edge < 1.0);
    }
}
