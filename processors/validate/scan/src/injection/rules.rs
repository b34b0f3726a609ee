//! The rule pack: keywords find where to look, a regex decides.
//!
//! One pass finds every keyword. A rule's regex runs only in the bytes around its keywords, each byte
//! at most once for each rule, and the `regex` crate is linear, so a text costs at most its length times the rules.

use std::collections::BTreeMap;
use std::ops::Range;

use cofferdam_schemas::Severity;
use regex::Regex;
use serde::Deserialize;

use super::draft::{Draft, Examples};
use super::error::InjectionError;
use super::keywords::Keywords;
use super::needs::Needs;
use crate::hit::Hit;
use crate::phi::pack::PackSource;

/// The pack compiled in.
pub const BUILT_IN: &str = include_str!("../../rules/injection.toml");
/// The same with its name.
pub const BUILT_IN_PACK: PackSource<'static> = PackSource {
    name: "injection.toml",
    text: BUILT_IN,
};
/// Longest stretch one regex search runs over: what a hostile text can make of it is bounded by this.
const LOOK: usize = 16 * 1024;
/// Most findings of one rule in one call; the rest is counted and reported as one.
const FINDINGS: u32 = 64;

/// Bytes between two words that say a passage is turned.
const NEAR: usize = 1024;

/// What a rule is about; the linear model has a weight for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Category {
    /// Cancels earlier orders.
    Override,
    /// Forges roles or chat templates.
    Role,
    /// Asks for hidden text or secrets.
    Leak,
    /// Personas without rules.
    Persona,
    /// Sends data out.
    Exfil,
    /// Gives orders to agents.
    Agent,
    /// Hides text.
    Hidden,
    /// Speaks to a model that reads for somebody.
    Indirect,
    /// Other languages.
    Tongue,
    /// Optimised suffixes.
    Suffix,
    /// Encodings.
    Encoded,
    /// Roundabout ways.
    Oblique,
    /// What a further pack looks for: the model has not learned what it means.
    #[default]
    Own,
}

/// A rule, compiled.
pub(super) struct Rule {
    pub id: String,
    pub category: Category,
    pub regex: Option<Regex>,
    /// What the regex needs to match, if that is known.
    pub needs: Option<Needs>,
    pub reach: usize,
    pub severity: Severity,
    pub confidence: f32,
    pub message: String,
    pub remediation: Option<String>,
    pub citation: String,
}

/// A rule found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Index of the rule in its pack.
    pub rule: usize,
    /// Bytes of the text scanned.
    pub span: Range<usize>,
}

/// What a scan says.
#[derive(Debug, Default)]
pub struct Findings {
    /// In order of their start.
    pub found: Vec<Found>,
    /// Where a word says, or shows rotated or backwards, that a passage is turned, in order; of places near each other the first.
    pub turned: Vec<usize>,
    /// Findings beyond the limit, and the bytes they lie in.
    pub beyond: Option<(u32, Range<usize>)>,
}

impl Findings {
    /// Whether `rule` was found where it would be found again in `span`.
    pub fn covers(&self, rule: usize, span: &Range<usize>) -> bool {
        let end = span.end.max(span.start + 1);
        // sorted by their start; a text has at most some thousand findings
        let before = self.found.partition_point(|found| found.span.start < end);
        self.found[..before]
            .iter()
            .any(|found| found.rule == rule && span.start < found.span.end)
    }
}

/// How often each rule was found.
#[derive(Default)]
pub struct Counts(BTreeMap<usize, u32>);

impl Counts {
    /// Counts one more finding; false beyond `FINDINGS`.
    pub fn allow(&mut self, rule: usize) -> bool {
        let n = self.0.entry(rule).or_default();
        *n += 1;
        *n <= FINDINGS
    }
}

/// Adds `n` findings in `span` to those that are not listed.
pub fn widen(beyond: &mut Option<(u32, Range<usize>)>, n: u32, span: Range<usize>) {
    let (all, range) = beyond.get_or_insert((0, span.clone()));
    *all += n;
    *range = range.start.min(span.start)..range.end.max(span.end);
}

/// A compiled pack. Shared by every thread.
pub struct Rules {
    rules: Vec<Rule>,
    keywords: Keywords,
    /// For each keyword its rule; nothing for the clues.
    owners: Vec<Option<u32>>,
    version: String,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Compiles the pack that the model was made with and further ones, and tries every rule on its own examples. What a further pack finds is no feature of the
    /// model's.
    ///
    /// # Errors
    /// The first rule that is wrong, or the line of the file.
    pub fn read(pack: PackSource<'_>, further: &[PackSource<'_>]) -> Result<Self, InjectionError> {
        let mut all = Draft::default();
        all.add(pack, false)?;
        for pack in further {
            all.add(*pack, true)?;
        }
        let rules = Self {
            rules: all.rules,
            keywords: Keywords::new(all.keywords),
            owners: all.owners,
            version: all.versions.join(" "),
        };
        rules.prove(&all.examples)?;
        Ok(rules)
    }

    fn prove(&self, examples: &[Examples]) -> Result<(), InjectionError> {
        for (index, examples) in examples.iter().enumerate() {
            let finds = |text: &str| self.scan(text).found.iter().any(|found| found.rule == index);
            if let Some(at) = examples.positive.iter().position(|text| !finds(text)) {
                return Err(examples
                    .place
                    .wrong(format!("does not find positive example {}", at + 1)));
            }
            if let Some(at) = examples.negative.iter().position(|text| finds(text)) {
                return Err(examples.place.wrong(format!("finds negative example {}", at + 1)));
            }
        }
        Ok(())
    }

    /// Name, severity, message and citation of each rule.
    pub fn list(&self) -> impl Iterator<Item = (&str, Severity, &str, Option<&str>)> {
        self.rules
            .iter()
            .map(|rule| (&*rule.id, rule.severity, &*rule.message, Some(&*rule.citation)))
    }

    /// Names the packs and their versions.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The category of a rule.
    pub fn category(&self, rule: usize) -> Category {
        self.rules[rule].category
    }

    /// What is looked for.
    pub(super) fn keywords(&self) -> &Keywords {
        &self.keywords
    }

    /// All findings in `text`, read by itself.
    pub fn scan(&self, text: &str) -> Findings {
        let mut search = self.search(text);
        let mut take = |keyword, span| search.take(keyword, span);
        self.keywords.find(text.as_bytes(), 0..text.len(), &mut take);
        search.finish()
    }

    /// Begins a search whose keywords are found elsewhere.
    pub(super) fn search<'a>(&'a self, text: &'a str) -> Search<'a> {
        Search {
            rules: self,
            text,
            findings: Findings::default(),
            pending: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// A finding as a hit on `span` of the document. `quoted` lowers it: the text is about attacks, not one.
    pub fn hit(&self, rule: usize, span: Range<usize>, quoted: bool) -> Hit {
        let rule = &self.rules[rule];
        // The model does not know what a further pack is after, so it cannot say that it is only quoted.
        let quoted = quoted && rule.category != Category::Own;
        Hit {
            rule: rule.id.clone().into(),
            severity: if quoted {
                rule.severity.min(Severity::Low)
            } else {
                rule.severity
            },
            confidence: if quoted { rule.confidence / 2.0 } else { rule.confidence },
            span,
            message: rule.message.clone().into(),
            remediation: rule.remediation.clone().map(Into::into),
            citation: Some(rule.citation.clone().into()),
        }
    }
}

/// A search under way: it takes keywords and looks around them.
pub(super) struct Search<'a> {
    rules: &'a Rules,
    text: &'a str,
    findings: Findings,
    /// The bytes around its keywords that a rule has still to look at.
    pending: Vec<Option<Range<usize>>>,
    counts: Vec<u32>,
}

impl Search<'_> {
    /// Takes one occurrence of a keyword.
    pub(super) fn take(&mut self, keyword: usize, span: Range<usize>) {
        let Some(owner) = self.rules.owners[keyword] else {
            let turned = &mut self.findings.turned;
            if turned.last().is_none_or(|last| last + NEAR <= span.start) {
                turned.push(span.start);
            }
            return;
        };
        let owner = owner as usize;
        if self.pending.is_empty() {
            self.pending.resize(self.rules.rules.len(), None);
            self.counts.resize(self.rules.rules.len(), 0);
        }
        let rule = &self.rules.rules[owner];
        if rule.regex.is_none() {
            self.note(owner, span);
            return;
        }
        let text = self.text;
        let around = floor(text, span.start.saturating_sub(rule.reach))..ceil(text, span.end + rule.reach);
        match &mut self.pending[owner] {
            // one that begins before the last may come after it, by less than its length
            Some(range) if around.start <= range.end && range.len() < LOOK => {
                *range = range.start.min(around.start)..range.end.max(around.end);
            }
            slot => {
                if let Some(range) = slot.replace(around) {
                    self.look(owner, range);
                }
            }
        }
    }

    /// After the last keyword.
    pub(super) fn finish(mut self) -> Findings {
        for owner in 0..self.pending.len() {
            if let Some(range) = self.pending[owner].take() {
                self.look(owner, range);
            }
        }
        let mut findings = self.findings;
        findings.found.sort_by_key(|found| (found.span.start, found.rule));
        // where two looks of a rule overlap it may be found twice
        findings.found.dedup();
        findings
    }

    fn look(&mut self, owner: usize, range: Range<usize>) {
        let rule = &self.rules.rules[owner];
        let part = &self.text[range.clone()];
        if rule.needs.as_ref().is_some_and(|needs| !needs.may(part)) {
            return;
        }
        if let Some(regex) = &rule.regex {
            for found in regex.find_iter(part) {
                self.note(owner, range.start + found.start()..range.start + found.end());
            }
        }
    }

    fn note(&mut self, rule: usize, span: Range<usize>) {
        self.counts[rule] += 1;
        if self.counts[rule] <= FINDINGS {
            self.findings.found.push(Found { rule, span });
            return;
        }
        widen(&mut self.findings.beyond, 1, span);
    }
}

fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

fn ceil(text: &str, at: usize) -> usize {
    text.ceil_char_boundary(at.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rules, InjectionError> {
        Rules::read(PackSource { name: "a.toml", text }, &[])
    }

    #[track_caller]
    fn refused(change: impl Fn(&str) -> String, expected: &str) {
        let error = parse(&change(BUILT_IN)).unwrap_err();
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text += &source.to_string();
        }
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_built_in_pack_passes_its_examples() {
        let rules = parse(BUILT_IN).unwrap();
        assert_eq!(rules.version(), "cofferdam-injection@1.2.0");
    }

    #[test]
    fn a_bad_pack_is_refused_by_name_or_line() {
        refused(
            |pack| pack.replacen("hello <|im_start|>system", "hello system", 1),
            "injection/chat-template",
        );
        refused(
            |pack| pack.replacen("people say that", "say yes", 1),
            "injection/say-yes",
        );
        refused(
            |pack| pack.replacen("severity = \"high\"", "severity = \"awful\"", 1),
            "line ",
        );
        refused(
            |pack| pack.replacen(r"\bdo anything now\b", r"(do anything now", 1),
            "injection/jailbreak-persona",
        );
        refused(
            |pack| pack.replacen(r"\bdo anything now\b", r"(?:\w{500}){500}", 1),
            "injection/jailbreak-persona",
        );
        refused(
            |pack| pack.replacen("category = \"override\"\n", "", 1),
            "injection/override-previous",
        );
        refused(
            |pack| pack.replacen("injection/override-above", "injection/override-previous", 1),
            "twice",
        );
    }

    #[test]
    fn findings_beyond_the_limit_are_counted() {
        let findings = parse(BUILT_IN).unwrap().scan(&"<|im_end|> ".repeat(100));
        assert_eq!(findings.found.len(), 64);
        assert_eq!(findings.beyond, Some((36, 64 * 11..99 * 11 + 10)));
    }
}
