//! Rule packs: what is reported, how gravely, on which authority, after which context words, with examples that must hold.
//!
//! A pack is TOML: `pack`, `version`, `licence`, optional `silence` (rules of earlier packs turned off), and `[[recognizer]]` tables.
//! A recognizer whose rule is built in takes severity, texts and context words from the pack; later packs add to and replace earlier ones.
//! Any other rule needs a `pattern` (regular expression) and `keywords` (literals; the pattern is tried only near one).

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use cofferdam_schemas::Severity;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::context::floor;
use super::kind::Kind;

/// Most recognizers in all packs together.
pub const MOST: usize = 1_000;
/// Bytes looked at on either side of a keyword.
pub const WINDOW: usize = 128;
/// Bytes a compiled pattern may take.
const SIZE: usize = 1 << 20;
/// Places of a tenant's keywords looked at in one text: what is beyond is counted and reported by `Custom::scan`.
pub const PLACES: usize = 100_000;

/// The text of a pack and the name it is reported under.
#[derive(Debug, Clone, Copy)]
pub struct PackSource<'a> {
    /// A file name, for example.
    pub name: &'a str,
    /// TOML.
    pub text: &'a str,
}

/// The packs that come with the program.
pub const BUILT_IN: [PackSource<'static>; 3] = [
    PackSource {
        name: "phi.toml",
        text: include_str!("../../rules/phi.toml"),
    },
    PackSource {
        name: "gdpr.toml",
        text: include_str!("../../rules/gdpr.toml"),
    },
    PackSource {
        name: "pci.toml",
        text: include_str!("../../rules/pci.toml"),
    },
];

/// A pack that is refused.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It is not TOML, or not a pack. The source names the line.
    #[error("{pack} is not a rule pack")]
    Parse {
        /// Which.
        pack: String,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// One of its rules makes no sense.
    #[error("{pack} line {line}: rule {rule}: {reason}")]
    Rule {
        /// Which pack.
        pack: String,
        /// Line of the rule, from 1.
        line: usize,
        /// Which rule.
        rule: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A pattern does not compile within 1 MiB.
    #[error("{pack} line {line}: rule {rule}: bad pattern")]
    Pattern {
        /// Which pack.
        pack: String,
        /// Line of the rule, from 1.
        line: usize,
        /// Which rule.
        rule: String,
        /// Why.
        #[source]
        source: Box<regex::Error>,
    },
    /// An example does not hold.
    #[error("{pack} line {line}: rule {rule}: {kind} example {index} {outcome}")]
    Example {
        /// Which pack.
        pack: String,
        /// Line of the rule, from 1.
        line: usize,
        /// Which rule.
        rule: String,
        /// `positive` or `negative`.
        kind: &'static str,
        /// Which example, from 1.
        index: usize,
        /// `is not found` or `is found`.
        outcome: &'static str,
    },
    /// The keywords do not compile into one automaton.
    #[error("keywords do not compile")]
    Keywords(#[source] Box<aho_corasick::BuildError>),
    /// The built-in tagger is not whole.
    #[error("the tagger is refused")]
    Tagger(#[from] super::tagger::ModelError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pack: String,
    version: String,
    licence: String,
    #[serde(default)]
    silence: Vec<String>,
    #[serde(default)]
    recognizer: Vec<Recognizer>,
}

/// One rule of a pack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recognizer {
    /// `<category>/<name>`.
    pub rule: String,
    /// How grave.
    pub severity: Severity,
    /// One sentence for a person.
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub remediation: Option<String>,
    /// The law or standard.
    #[serde(default)]
    pub citation: Option<String>,
    /// Words or phrases of up to four words that raise the confidence, or are required. Also names of columns and fields.
    #[serde(default)]
    pub context: Vec<String>,
    /// Least confidence that is reported.
    #[serde(default = "minimum")]
    pub minimum: f32,
    /// Only for rules that are not built in.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Only for rules that are not built in.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Texts in which it must be found.
    #[serde(default)]
    pub positive: Vec<String>,
    /// Texts in which it must not be found.
    #[serde(default)]
    pub negative: Vec<String>,
    /// Where it stands.
    #[serde(skip)]
    pub(super) pack: String,
    #[serde(skip)]
    pub(super) line: usize,
    /// The recognizer that is built in under its name.
    #[serde(skip)]
    pub(super) kind: Option<Kind>,
}

fn minimum() -> f32 {
    0.5
}

impl Recognizer {
    pub(super) fn wrong(&self, reason: &'static str) -> PackError {
        PackError::Rule {
            pack: self.pack.clone(),
            line: self.line,
            rule: self.rule.clone(),
            reason,
        }
    }

    /// A hit of it.
    pub(super) fn hit(&self, span: Range<usize>, confidence: f32) -> crate::hit::Hit {
        // The text of a pack lives as long as the scanner, not as long as the program: hits own it, built-in names do not.
        crate::hit::Hit {
            rule: self
                .kind
                .map_or_else(|| Cow::Owned(self.rule.clone()), |kind| Cow::Borrowed(kind.rule())),
            severity: self.severity,
            confidence,
            span,
            message: Cow::Owned(self.message.clone()),
            remediation: self.remediation.clone().map(Cow::Owned),
            citation: self.citation.clone().map(Cow::Owned),
        }
    }
}

/// All packs read, later ones over earlier ones.
pub(super) struct Packs {
    pub recognizers: Vec<Recognizer>,
    pub version: String,
}

/// Reads packs. Their examples are tested by the caller, who has the scanner.
pub(super) fn read(sources: &[PackSource<'_>]) -> Result<Packs, PackError> {
    use sha2::{Digest, Sha256};
    let mut recognizers: Vec<Recognizer> = Vec::new();
    let mut version = Vec::new();
    for source in sources {
        let pack = source.name.to_owned();
        let file: File = toml::from_str(source.text).map_err(|source| PackError::Parse {
            pack: pack.clone(),
            source: Box::new(source),
        })?;
        let of_file = |rule: &str, line, reason| PackError::Rule {
            pack: pack.clone(),
            line,
            rule: rule.to_owned(),
            reason,
        };
        if file.licence.trim().is_empty() || file.version.trim().is_empty() || file.pack.trim().is_empty() {
            return Err(of_file("-", 1, "pack, version and licence take a text"));
        }
        version.push(format!(
            "{}@{}+{}",
            file.pack,
            file.version,
            &hex::encode(Sha256::digest(source.text))[..12]
        ));
        for rule in &file.silence {
            let before = recognizers.len();
            recognizers.retain(|known| known.rule != *rule);
            if recognizers.len() == before {
                return Err(of_file(
                    rule,
                    line_of(source.text, "silence", rule),
                    "silenced, but no earlier pack has it",
                ));
            }
        }
        let mut own: Vec<String> = Vec::new();
        for mut recognizer in file.recognizer {
            recognizer.pack = pack.clone();
            recognizer.line = line_of(source.text, "rule", &recognizer.rule);
            recognizer.kind = Kind::of_rule(&recognizer.rule);
            check(&recognizer)?;
            if own.contains(&recognizer.rule) {
                return Err(recognizer.wrong("stands twice"));
            }
            own.push(recognizer.rule.clone());
            match recognizers.iter().position(|known| known.rule == recognizer.rule) {
                Some(at) => {
                    recognizer.context.extend(std::mem::take(&mut recognizers[at].context));
                    recognizers[at] = recognizer;
                }
                None if recognizers.len() == MOST => return Err(recognizer.wrong("more than 1,000 rules")),
                None => recognizers.push(recognizer),
            }
        }
    }
    Ok(Packs {
        recognizers,
        version: version.join(" "),
    })
}

/// The line on which `key` names `value`; 1 if it cannot be told.
pub(crate) fn line_of(text: &str, key: &str, value: &str) -> usize {
    text.lines()
        .position(|line| line.trim_start().starts_with(key) && line.contains(value))
        .map_or(1, |index| index + 1)
}

fn check(recognizer: &Recognizer) -> Result<(), PackError> {
    let wrong = |reason| Err(recognizer.wrong(reason));
    let named = recognizer
        .rule
        .split_once('/')
        .is_some_and(|(category, name)| !category.is_empty() && !name.is_empty());
    if !named || recognizer.rule.len() > 80 {
        return wrong("takes <category>/<name>, at most 80 characters");
    }
    if !(0.0..=1.0).contains(&recognizer.minimum) {
        return wrong("minimum takes 0 to 1");
    }
    if recognizer.positive.is_empty() {
        return wrong("takes at least one positive example");
    }
    let words = |phrase: &String| {
        phrase
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .count()
    };
    if !recognizer.context.iter().all(|phrase| (1..=4).contains(&words(phrase))) {
        return wrong("context takes phrases of one to four words");
    }
    match (recognizer.kind, &recognizer.pattern) {
        (Some(_), Some(_)) => wrong("is built in and takes no pattern"),
        (Some(_), None) if !recognizer.keywords.is_empty() => wrong("is built in and takes no keywords"),
        (None, None) => wrong("is not built in and takes a pattern"),
        (None, Some(_)) if recognizer.keywords.is_empty() || recognizer.keywords.iter().any(|word| word.len() < 2) => {
            wrong("takes keywords of at least two bytes")
        }
        _ => Ok(()),
    }
}

/// Says that tenants' rules did not look at a part of a text.
pub(super) fn limit(span: Range<usize>) -> crate::hit::Hit {
    crate::hit::Hit {
        rule: Cow::Borrowed("limit/keywords"),
        severity: Severity::Low,
        confidence: 1.0,
        span,
        message: Cow::Borrowed("has so many keywords of added rules that those rules were not tried on the rest"),
        remediation: Some(Cow::Borrowed("use rarer keywords in the added rules")),
        citation: None,
    }
}

/// The patterns of tenants' rules.
#[derive(Default)]
pub(super) struct Custom {
    keywords: Option<AhoCorasick>,
    /// Rule of each keyword.
    owners: Vec<usize>,
    patterns: Vec<Option<Regex>>,
}

impl Custom {
    pub fn compile(recognizers: &[Recognizer]) -> Result<Self, PackError> {
        let (mut words, mut owners, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        for (index, recognizer) in recognizers.iter().enumerate() {
            let compiled = recognizer
                .pattern
                .as_deref()
                .map(|pattern| RegexBuilder::new(pattern).size_limit(SIZE).dfa_size_limit(SIZE).build());
            patterns.push(compiled.transpose().map_err(|source| PackError::Pattern {
                pack: recognizer.pack.clone(),
                line: recognizer.line,
                rule: recognizer.rule.clone(),
                source: Box::new(source),
            })?);
            for word in &recognizer.keywords {
                words.push(word);
                owners.push(index);
            }
        }
        let build = |words: &[&String]| AhoCorasick::builder().ascii_case_insensitive(true).build(words);
        let keywords = (!words.is_empty())
            .then(|| build(&words))
            .transpose()
            .map_err(|error| PackError::Keywords(Box::new(error)))?;
        Ok(Self {
            keywords,
            owners,
            patterns,
        })
    }

    /// Calls `found` with rule and span of every match near a keyword. The place where it stopped, if there were more
    /// than [`PLACES`] keywords.
    pub fn scan(&self, text: &str, mut found: impl FnMut(usize, Range<usize>)) -> Option<usize> {
        let keywords = self.keywords.as_ref()?;
        // Where each rule's last window ended, so that overlapping windows are read once.
        let mut ends = vec![0; self.patterns.len()];
        for (count, place) in keywords.find_overlapping_iter(text).enumerate() {
            if count == PLACES {
                return Some(floor(text, place.start()));
            }
            let rule = self.owners[place.pattern().as_usize()];
            let Some(pattern) = &self.patterns[rule] else { continue };
            let from = floor(text, place.start().saturating_sub(WINDOW)).max(ends[rule]);
            let to = floor(text, place.end() + WINDOW);
            if from >= to {
                continue;
            }
            for matched in pattern.find_iter(&text[from..to]).filter(|matched| !matched.is_empty()) {
                found(rule, from + matched.start()..from + matched.end());
                ends[rule] = from + matched.end();
            }
            ends[rule] = ends[rule].max(floor(text, place.start()));
        }
        None
    }
}
