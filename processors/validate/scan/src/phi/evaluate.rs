//! Scores on labelled texts: typed spans matched one to one, by folds in which no template stands on both sides.

use std::collections::BTreeMap;
use std::fmt;

use super::data::{Document, Span};
use super::pack::{BUILT_IN, PackError};
use super::train::{Settings, train};
use super::{Phi, Tagger, coarse_type};
use crate::hit::Hit;

/// Least share of intersection in union for a match.
const IOU: f64 = 0.5;
/// Words of a skeleton that must differ for two templates to be two, as a share of all.
const NEAR: f64 = 0.5;

/// The types that have a form of their own, as the bar of 0.93 means them.
pub const STRUCTURED: [&str; 9] = ["DATE", "PHONE", "CARD", "IBAN", "SSN", "EMAIL", "IP", "URL", "ID"];

/// Right, wrong and missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Found and labelled.
    pub right: usize,
    /// Found and not labelled.
    pub wrong: usize,
    /// Labelled and not found.
    pub missed: usize,
}

impl Count {
    /// Share of finds that are right; 1 without finds.
    pub fn precision(self) -> f64 {
        ratio(self.right, self.right + self.wrong)
    }

    /// Share of labels that are found; 1 without labels.
    pub fn recall(self) -> f64 {
        ratio(self.right, self.right + self.missed)
    }

    /// Harmonic mean of the two.
    pub fn f1(self) -> f64 {
        ratio(2 * self.right, 2 * self.right + self.wrong + self.missed)
    }

    fn add(&mut self, other: Count) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Scores of one data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// By coarse type.
    pub types: BTreeMap<&'static str, Count>,
    /// Texts without labels that have a hit.
    pub flagged: usize,
    /// Texts without labels.
    pub clean: usize,
    /// Labelled bare years, which are allowed by 164.514(b)(2)(i)(C), among the missed dates.
    pub years_missed: usize,
    /// Confidences in tenths: (hits, right ones).
    pub calibration: [(usize, usize); 10],
}

impl Scores {
    /// All of the given types together.
    pub fn micro(&self, types: &[&str]) -> Count {
        let mut sum = Count::default();
        self.types
            .iter()
            .filter(|(name, _)| types.contains(name))
            .for_each(|(_, count)| sum.add(*count));
        sum
    }

    /// All types together.
    pub fn all(&self) -> Count {
        let names: Vec<&str> = self.types.keys().copied().collect();
        self.micro(&names)
    }

    /// Share of clean texts with a hit.
    pub fn flagged_share(&self) -> f64 {
        if self.clean == 0 {
            0.0
        } else {
            self.flagged as f64 / self.clean as f64
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |out: &mut fmt::Formatter<'_>, name: &str, count: Count| {
            let (p, r, f) = (count.precision(), count.recall(), count.f1());
            writeln!(
                out,
                "  {name:<10} P {p:.3}  R {r:.3}  F1 {f:.3}  ({} right, {} wrong, {} missed)",
                count.right, count.wrong, count.missed
            )
        };
        for (name, count) in &self.types {
            line(out, name, *count)?;
        }
        line(out, "all", self.all())?;
        line(out, "structured", self.micro(&STRUCTURED))?;
        writeln!(
            out,
            "  clean texts flagged {}/{} = {:.3}; bare years missed {}",
            self.flagged,
            self.clean,
            self.flagged_share(),
            self.years_missed
        )?;
        for (tenth, (hits, right)) in self.calibration.iter().enumerate().filter(|(_, (hits, _))| *hits > 0) {
            writeln!(
                out,
                "  confidence {:.1}+ : {hits} hits, {:.3} right",
                tenth as f32 / 10.0,
                *right as f64 / *hits as f64
            )?;
        }
        Ok(())
    }
}

/// Compares hits with labels. `ignore` are coarse labels that the data set does not have or that are not looked for.
pub fn compare(document: &Document, hits: &[Hit], ignore: &[&str], scores: &mut Scores) {
    let labels: Vec<&Span> = document
        .spans
        .iter()
        .filter(|span| !ignore.contains(&span.coarse))
        .collect();
    let mut hits: Vec<&Hit> = hits
        .iter()
        .filter(|hit| !ignore.contains(&coarse_type(&hit.rule)))
        .collect();
    if document.spans.is_empty() {
        scores.clean += 1;
        scores.flagged += usize::from(!hits.is_empty());
    }
    hits.sort_by(|left, right| right.confidence.total_cmp(&left.confidence));
    let mut taken = vec![false; labels.len()];
    for hit in hits {
        let name = coarse_type(&hit.rule);
        let best = labels
            .iter()
            .enumerate()
            .filter(|(index, label)| !taken[*index] && label.coarse == name)
            .map(|(index, label)| (index, iou(&label.range, &hit.span)))
            .filter(|(_, share)| *share >= IOU)
            .max_by(|left, right| left.1.total_cmp(&right.1));
        let tenth = ((hit.confidence * 10.0) as usize).min(9);
        scores.calibration[tenth].0 += 1;
        let count = scores.types.entry(name).or_default();
        match best {
            Some((index, _)) => {
                taken[index] = true;
                count.right += 1;
                scores.calibration[tenth].1 += 1;
            }
            None => count.wrong += 1,
        }
    }
    for label in labels
        .iter()
        .zip(&taken)
        .filter(|(_, taken)| !**taken)
        .map(|(label, _)| label)
    {
        scores.types.entry(label.coarse).or_default().missed += 1;
        let value = &document.text[label.range.clone()];
        scores.years_missed +=
            usize::from(label.coarse == "DATE" && value.len() == 4 && value.bytes().all(|byte| byte.is_ascii_digit()));
    }
}

fn iou(left: &std::ops::Range<usize>, right: &std::ops::Range<usize>) -> f64 {
    let shared = left.end.min(right.end).saturating_sub(left.start.max(right.start));
    ratio(shared, left.len() + right.len() - shared)
}

/// A text without its values: labels in their place, digits and case away.
fn skeleton(document: &Document) -> Vec<String> {
    let mut spans: Vec<&Span> = document.spans.iter().collect();
    spans.sort_by_key(|span| span.range.start);
    let (mut plain, mut at) = (String::new(), 0);
    for span in spans.into_iter().filter(|span| span.range.start <= span.range.end) {
        if span.range.start >= at {
            plain.push_str(&document.text[at..span.range.start]);
            plain.push_str(&format!(" <{}> ", span.coarse));
            at = span.range.end;
        }
    }
    plain.push_str(&document.text[at..]);
    let plain: String = plain
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    plain
        .split(|letter: char| !letter.is_alphanumeric() && letter != '<')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The group of each document: those whose skeletons are equal or nearly so (Jaccard of word pairs) are in one, transitively.
pub fn groups(documents: &[Document]) -> Vec<usize> {
    let pairs: Vec<std::collections::BTreeSet<(String, String)>> = documents
        .iter()
        .map(|document| {
            let mut words = skeleton(document);
            words.push(String::new());
            words
                .windows(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect()
        })
        .collect();
    let mut group: Vec<usize> = (0..documents.len()).collect();
    for left in 0..documents.len() {
        for right in 0..left {
            let shared = pairs[left].intersection(&pairs[right]).count();
            let united = pairs[left].len() + pairs[right].len() - shared;
            if group[left] != group[right] && shared as f64 >= NEAR * united as f64 {
                let (from, to) = (group[left].max(group[right]), group[left].min(group[right]));
                group
                    .iter_mut()
                    .filter(|known| **known == from)
                    .for_each(|known| *known = to);
            }
        }
    }
    group
}

/// The result of [`evaluate`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// Clinical queries (ASQ-PHI), all types.
    pub clinical: Scores,
    /// Generated sentences (synth_v2).
    pub generated: Scores,
    /// Groups in either set.
    pub groups: (usize, usize),
}

/// Cross-validation over both data sets together: in each of `folds` folds the tagger is trained on the other groups of both, and no
/// threshold depends on the data. What the tagger is not asked (organisations, titles, nationalities, ages under 90) is left out.
pub fn evaluate(
    clinical: &[Document],
    generated: &[Document],
    folds: usize,
    settings: &Settings,
) -> Result<Evaluation, PackError> {
    let mut phi = Phi::load_with(&BUILT_IN, None)?;
    let (a, b) = (groups(clinical), groups(generated));
    let mut evaluation = Evaluation {
        groups: (distinct(&a), distinct(&b)),
        ..Evaluation::default()
    };
    // Groups are dealt to folds by size, the largest first, so that folds are of like size.
    let (fold_a, fold_b) = (deal(&a, folds), deal(&b, folds));
    for fold in 0..folds {
        let others = clinical.iter().zip(&fold_a).chain(generated.iter().zip(&fold_b));
        let learn: Vec<&Document> = others
            .filter(|(_, at)| **at != fold)
            .map(|(document, _)| document)
            .collect();
        phi.set_tagger(None);
        let bytes = train(&phi, &learn, settings);
        phi.set_tagger(Some(Tagger::read(&bytes)?));
        for (documents, at, scores) in [
            (clinical, &fold_a, &mut evaluation.clinical),
            (generated, &fold_b, &mut evaluation.generated),
        ] {
            for (document, _) in documents.iter().zip(at).filter(|(_, at)| **at == fold) {
                let mut hits = Vec::new();
                phi.scan(&document.text, None, &mut hits);
                compare(document, &hits, &["OTHER", "AGE"], scores);
            }
        }
    }
    Ok(evaluation)
}

fn distinct(groups: &[usize]) -> usize {
    groups.iter().collect::<std::collections::BTreeSet<_>>().len()
}

fn deal(groups: &[usize], folds: usize) -> Vec<usize> {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    groups.iter().for_each(|group| *sizes.entry(*group).or_default() += 1);
    let mut ordered: Vec<(usize, usize)> = sizes.into_iter().collect();
    ordered.sort_by_key(|(group, size)| (std::cmp::Reverse(*size), *group));
    let mut loads = vec![0; folds.max(1)];
    let mut fold_of = BTreeMap::new();
    for (group, size) in ordered {
        let fold = (0..loads.len()).min_by_key(|fold| loads[*fold]).unwrap_or(0);
        loads[fold] += size;
        fold_of.insert(group, fold);
    }
    groups
        .iter()
        .map(|group| fold_of.get(group).copied().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phi::data::parse;

    fn document(text: &str, spans: &str) -> Document {
        parse(&format!(r#"{{"id":"x","text":"{text}","spans":[{spans}]}}"#))
            .unwrap()
            .remove(0)
    }

    #[test]
    fn same_templates_are_one_group() {
        let documents = [
            document(
                "My name is Ann and I live here now",
                r#"{"start":11,"end":14,"type":"PERSON"}"#,
            ),
            document(
                "my name is Bartholomew and I live here now",
                r#"{"start":11,"end":22,"type":"PERSON"}"#,
            ),
            document("Something else entirely, with other words", ""),
        ];
        let groups = groups(&documents);
        assert_eq!(groups[0], groups[1]);
        assert_ne!(groups[0], groups[2]);
    }

    #[test]
    fn a_label_is_matched_once() {
        let document = document("Ann Lee Ann", r#"{"start":0,"end":7,"type":"PERSON"}"#);
        let hit = |span: std::ops::Range<usize>, confidence| Hit {
            rule: "phi/name".into(),
            severity: cofferdam_schemas::Severity::Low,
            confidence,
            span,
            message: "".into(),
            remediation: None,
            citation: None,
        };
        let mut scores = Scores::default();
        compare(
            &document,
            &[hit(0..7, 0.6), hit(0..6, 0.9), hit(8..11, 0.5)],
            &[],
            &mut scores,
        );
        assert_eq!(
            scores.types["NAME"],
            Count {
                right: 1,
                wrong: 2,
                missed: 0
            }
        );
        assert_eq!((scores.clean, scores.flagged), (0, 0));
    }
}
