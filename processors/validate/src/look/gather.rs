//! Findings within bounds, however many there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use cofferdam_scan::secrets::Encoding;
use cofferdam_schemas::Finding;

/// Parts that were not checked and are named one by one.
const NOT_CHECKED: usize = 200;
/// Places of labelled values that are remembered until the scan of the text comes there, at most a megabyte and some later.
const LABELLED: usize = 200_000;
/// The scan of the text reports in windows; within one it may go back by its overlap.
const BEHIND: u64 = 64 * 1024;
/// Bytes of a labelled value in the document, however it is written: 1,024 characters, six bytes each.
const LONGEST: u64 = 8 * 1024;

/// Parts that were looked at decoded and are kept in mind; of further ones the same may be listed twice.
const DECODED: usize = 1_000;

/// Collects what the engines say of one document.
#[derive(Debug)]
pub struct Gather {
    most: usize,
    hash_key: Option<Vec<u8>>,
    outcome: Outcome,
    /// By rule the index of its last finding that is listed.
    rules: BTreeMap<String, usize>,
    /// Where labelled values were found that the scan of the text has not come to: first and last byte, and category.
    labelled: VecDeque<(u64, u64, String)>,
}

/// What was found, checked, and not looked at.
#[derive(Debug, Default, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Findings. The last that is listed of a rule counts those that are not listed in its `count`.
    pub findings: Vec<Finding>,
    /// What was checked.
    pub checked: BTreeSet<String>,
    /// What was not, each with the reason where there is one.
    pub not_checked: BTreeSet<String>,
    /// Limits that were reached and their values.
    pub limits: BTreeMap<String, u64>,
    /// Scores, 0 to 1, by name; of several the highest.
    pub scores: BTreeMap<String, f32>,
    /// Counts and words about the document.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Parts of a document, or of what has this path inside it, that were looked at decoded: first byte, and the one after the last.
    #[serde(default)]
    pub decoded: Vec<(Option<String>, u64, u64)>,
}

impl Outcome {
    /// How many findings there are that are not listed: what the counts of the listed ones say.
    pub fn unlisted(&self) -> u64 {
        let counts = self.findings.iter().filter_map(|finding| finding.count);
        counts.map(|count| count.saturating_sub(1)).sum()
    }
}

impl Outcome {
    /// Leaves out what was found in parts as they stand that were looked at decoded too: it was found there as well.
    pub fn settle(&mut self) {
        let decoded = std::mem::take(&mut self.decoded);
        let mut parts: BTreeMap<Option<&str>, Vec<(u64, u64)>> = BTreeMap::new();
        for (inside, start, end) in &decoded {
            parts.entry(inside.as_deref()).or_default().push((*start, *end));
        }
        parts.values_mut().for_each(|parts| parts.sort_unstable());
        self.findings.retain(|finding| {
            let Some(span) = finding.span else { return true };
            let of = finding.inside.as_deref().and_then(bytes_of);
            let parts = parts.get(&of).map_or(&[][..], Vec::as_slice);
            let after = parts.partition_point(|(start, _)| *start <= span.start);
            after.checked_sub(1).is_none_or(|at| span.end > parts[at].1)
        });
    }
}

/// The path of what a place's bytes are counted in: encodings on the way have none of their own.
fn bytes_of(inside: &str) -> Option<&str> {
    let (outer, last) = inside
        .rsplit_once("!/")
        .map_or((None, inside), |(outer, last)| (Some(outer), last));
    let chain = last
        .split('/')
        .all(|name| Encoding::ALL.iter().any(|one| one.name() == name));
    if chain { outer } else { Some(inside) }
}

impl Gather {
    /// Lists at most `most` findings, and one of each further rule. `hash_key` keys the hashes of values found (see [`Finding::sha256`]).
    pub fn new(most: usize, hash_key: Option<Vec<u8>>) -> Self {
        Self {
            most,
            hash_key,
            outcome: Outcome::default(),
            rules: BTreeMap::new(),
            labelled: VecDeque::new(),
        }
    }

    /// What keys the hashes of values.
    pub fn hash_key(&self) -> Option<&[u8]> {
        self.hash_key.as_deref()
    }

    /// Adds a finding that a label led to. What the scan of the text finds in the same place is the same thing.
    pub fn labelled(&mut self, finding: Finding) {
        if let Some(span) = finding.span
            && self.labelled.len() < LABELLED
        {
            self.labelled
                .push_back((span.start, span.end, finding.category.clone()));
        }
        self.add(finding);
    }

    /// Whether a labelled value of this category stands on some of these bytes. Asked in the order of the text.
    pub fn is_labelled(&mut self, category: &str, start: u64, end: u64) -> bool {
        while self.labelled.front().is_some_and(|(_, last, _)| *last + BEHIND < start) {
            self.labelled.pop_front();
        }
        // They come in the order of the text, and none is long: only the last few before `end` can reach it.
        let before = self.labelled.partition_point(|(first, ..)| *first < end);
        self.labelled
            .range(..before)
            .rev()
            .take_while(|(first, ..)| *first + LONGEST > start)
            .any(|(_, last, of)| start < *last && of == category)
    }

    /// Adds a finding. Beyond the limit one of each rule is listed, so that no kind of finding is lost.
    pub fn add(&mut self, finding: Finding) {
        let listed = self.outcome.findings.len();
        match self.rules.get(&finding.rule) {
            Some(last) if listed >= self.most => {
                let last = &mut self.outcome.findings[*last];
                last.count = Some(last.count.unwrap_or(1) + finding.count.unwrap_or(1));
            }
            _ => {
                self.rules.insert(finding.rule.clone(), listed);
                self.outcome.findings.push(finding);
            }
        }
    }

    /// Counts one more of a rule of which none is listed any more. False when it is to be added.
    pub fn counted(&mut self, rule: &str) -> bool {
        if self.outcome.findings.len() < self.most {
            return false;
        }
        let Some(last) = self.rules.get(rule) else { return false };
        let last = &mut self.outcome.findings[*last];
        last.count = Some(last.count.unwrap_or(1) + 1);
        true
    }

    /// Something was checked.
    pub fn checked(&mut self, what: &str) {
        if !self.outcome.checked.contains(what) {
            self.outcome.checked.insert(what.to_owned());
        }
    }

    /// Whether something was checked, or would have been but for a reason that is given.
    pub fn looked_at(&self, what: &str) -> bool {
        let named = |part: &String| part.strip_prefix(what).is_some_and(|rest| rest.starts_with(": "));
        self.outcome.checked.contains(what) || self.outcome.not_checked.iter().any(named)
    }

    /// Something was not.
    pub fn not_checked(&mut self, what: impl Into<String>) {
        let named = self.outcome.not_checked.len() < NOT_CHECKED;
        self.outcome.not_checked.insert(if named {
            what.into()
        } else {
            format!("more than these {NOT_CHECKED} parts")
        });
    }

    /// A limit was reached.
    pub fn limit(&mut self, name: &str, value: u64) {
        self.outcome.limits.insert(name.to_owned(), value);
    }

    /// A score; the highest counts.
    pub fn score(&mut self, name: &str, value: f32) {
        let best = self.outcome.scores.entry(name.to_owned()).or_insert(value);
        *best = best.max(value);
    }

    /// A fact.
    pub fn fact(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.outcome.facts.insert(name.to_owned(), value.into());
    }

    /// The findings that are listed, in the order in which they came.
    pub fn listed(&self) -> &[Finding] {
        &self.outcome.findings
    }

    /// Whether there is a finding of this rule.
    pub fn has_rule(&self, rule: &str) -> bool {
        self.rules.contains_key(rule)
    }

    /// Adds what another one gathered.
    pub fn merge(&mut self, other: Outcome) {
        for finding in other.findings {
            self.add(finding);
        }
        self.outcome.checked.extend(other.checked);
        self.outcome.not_checked.extend(other.not_checked);
        self.outcome.limits.extend(other.limits);
        self.outcome.facts.extend(other.facts);
        self.outcome.decoded.extend(other.decoded);
        for (name, value) in other.scores {
            self.score(&name, value);
        }
    }

    /// Something that stands in these bytes was looked at decoded.
    pub fn decoded(&mut self, inside: Option<String>, bytes: Range<u64>) {
        if self.outcome.decoded.len() < DECODED {
            self.outcome.decoded.push((inside, bytes.start, bytes.end));
        }
    }

    /// What was gathered.
    pub fn finish(self) -> Outcome {
        self.outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_schemas::Severity;

    #[test]
    fn more_parts_than_are_named_are_said_to_be_there() {
        let mut gather = Gather::new(1, None);
        for n in 0..300 {
            gather.not_checked(format!("part {n}"));
        }
        let parts = gather.finish().not_checked;
        assert_eq!(parts.len(), NOT_CHECKED + 1);
        assert!(parts.contains("more than these 200 parts"));
    }

    #[test]
    fn what_was_decoded_is_said_once() {
        let mut gather = Gather::new(10, None);
        let add = |gather: &mut Gather, inside: Option<&str>, start| {
            gather.add(Finding {
                inside: inside.map(str::to_owned),
                span: Some(cofferdam_schemas::Span { start, end: start + 5 }),
                ..Finding::new("a/b", Severity::Low, 1.0, "x")
            });
        };
        for (inside, start) in [
            (None, 5),
            (None, 100),
            (None, 118),
            (Some("base64"), 100),
            (Some("body.txt"), 100),
        ] {
            add(&mut gather, inside, start);
        }
        for (inside, start) in [
            (Some("a.eml"), 100),
            (Some("a.eml!/hex/base64"), 102),
            (Some("a.eml!/x.csv"), 100),
        ] {
            add(&mut gather, inside, start);
        }
        gather.decoded(None, 100..120);
        gather.decoded(Some("a.eml".to_owned()), 100..120);
        let mut outcome = gather.finish();
        outcome.settle();
        let left = outcome
            .findings
            .iter()
            .map(|found| (found.inside.as_deref(), found.span.unwrap().start));
        let left: Vec<_> = left.collect();
        assert_eq!(
            left,
            [
                (None, 5),
                (None, 118),
                (Some("body.txt"), 100),
                (Some("a.eml!/x.csv"), 100)
            ]
        );
    }

    #[test]
    fn beyond_the_limit_kinds_are_kept_and_the_rest_is_counted() {
        let mut gather = Gather::new(3, None);
        for n in 0..10 {
            let rule = if n == 9 { "b/rare" } else { "a/frequent" };
            gather.add(Finding::new(rule, Severity::Low, 1.0, "x"));
        }
        let outcome = gather.finish();
        let counts: Vec<_> = outcome.findings.iter().map(|f| (f.rule.as_str(), f.count)).collect();
        assert_eq!(
            counts,
            [
                ("a/frequent", None),
                ("a/frequent", None),
                ("a/frequent", Some(7)),
                ("b/rare", None)
            ]
        );
        assert_eq!(outcome.unlisted(), 6);
    }
}
