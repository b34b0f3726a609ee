//! Packs as they are written, and what becomes of them.

use std::collections::BTreeSet;

use cofferdam_schemas::Severity;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::InjectionError;
use super::needs::Needs;
use super::patterns::compile;
use super::rules::{Category, Rule};
use crate::phi::pack::{PackSource, line_of};

/// Most rules in all packs together.
const MOST: usize = 1000;
/// Largest reach of a rule, in bytes.
const REACH: usize = 2000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pack: String,
    version: String,
    licence: String,
    #[serde(default)]
    clues: Vec<String>,
    #[serde(default)]
    spoken: Vec<String>,
    rule: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    #[serde(default)]
    category: Category,
    keywords: Vec<String>,
    #[serde(default)]
    regex: Option<String>,
    #[serde(default = "default_reach")]
    reach: usize,
    severity: Severity,
    confidence: f32,
    message: String,
    #[serde(default)]
    remediation: Option<String>,
    citation: String,
    positive: Vec<String>,
    negative: Vec<String>,
}

fn default_reach() -> usize {
    160
}

fn rot13(word: &str) -> String {
    word.chars()
        .map(|c| {
            if c.is_ascii_lowercase() {
                char::from((c as u8 - b'a' + 13) % 26 + b'a')
            } else {
                c
            }
        })
        .collect()
}

/// Lower case, capitalised and upper case; only ASCII letters are found in any case.
fn cases(word: &str) -> BTreeSet<String> {
    let mut cases = BTreeSet::from([word.to_owned()]);
    if !word.is_ascii() {
        let mut chars = word.chars();
        let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
        cases.insert(first + chars.as_str());
        cases.insert(word.to_uppercase());
    }
    cases
}

/// Packs being put together.
#[derive(Default)]
pub(super) struct Draft {
    pub rules: Vec<Rule>,
    /// What is looked for: keywords of rules, then clues and what is spoken.
    pub keywords: Vec<String>,
    /// For each of these its rule, if it has one.
    pub owners: Vec<Option<u32>>,
    /// By rule.
    pub examples: Vec<Examples>,
    pub versions: Vec<String>,
}

/// What a rule has to find and what not, and how it is refused.
pub(super) struct Examples {
    pub positive: Vec<String>,
    pub negative: Vec<String>,
    pub place: Place,
}

/// A rule's place, for whoever wrote it.
#[derive(Clone)]
pub(super) struct Place {
    pack: String,
    line: usize,
    rule: String,
}

impl Place {
    pub fn wrong(&self, reason: impl Into<String>) -> InjectionError {
        InjectionError::Rule {
            pack: self.pack.clone(),
            line: self.line,
            rule: self.rule.clone(),
            reason: reason.into(),
        }
    }
}

impl Draft {
    /// Adds a pack; a further one is not of those that the model knows.
    pub fn add(&mut self, pack: PackSource<'_>, further: bool) -> Result<(), InjectionError> {
        let file: File = toml::from_str(pack.text).map_err(|source| InjectionError::Pack {
            pack: pack.name.to_owned(),
            source: Box::new(source),
        })?;
        let place = |rule: &str, line| Place {
            pack: pack.name.to_owned(),
            line,
            rule: rule.to_owned(),
        };
        let itself = place("(the pack itself)", 1);
        if file.licence.is_empty() || file.version.is_empty() {
            return Err(itself.wrong("licence and version must not be empty"));
        }
        if self.rules.len() + file.rule.len() > MOST {
            return Err(itself.wrong("more than 1,000 rules in all packs together"));
        }
        let mut version = format!("{}@{}", file.pack, file.version);
        if further {
            version += &format!("+{}", &hex::encode(Sha256::digest(pack.text))[..12]);
        }
        self.versions.push(version);
        for raw in file.rule {
            let place = place(&raw.id, line_of(pack.text, "id", &raw.id));
            let wrong = |reason: &str| place.wrong(reason);
            if !raw.id.contains('/') || raw.id.chars().count() > 80 {
                return Err(wrong("id takes <category>/<name>, at most 80 characters"));
            }
            if self.rules.iter().any(|known| known.id == raw.id) {
                return Err(wrong("id stands twice"));
            }
            if !further && raw.category == Category::Own {
                return Err(wrong("takes a category that the model knows"));
            }
            if raw.keywords.is_empty()
                || raw
                    .keywords
                    .iter()
                    .any(|word| word.len() < 2 || *word != word.to_lowercase())
            {
                return Err(wrong("keywords takes lower-case words of at least 2 bytes"));
            }
            if !(0.0..=1.0).contains(&raw.confidence) || raw.reach > REACH {
                return Err(wrong("confidence takes 0 to 1, reach at most 2,000 bytes"));
            }
            if raw.positive.is_empty() || raw.negative.is_empty() {
                return Err(wrong("needs at least one positive and one negative example"));
            }
            for word in raw.keywords.iter().flat_map(|word| cases(word)) {
                self.keywords.push(word);
                // at most MOST rules
                self.owners.push(Some(self.rules.len() as u32));
            }
            let regex = raw
                .regex
                .as_deref()
                .map(|pattern| compile(pattern).map_err(|error| wrong(&error.to_string())));
            let regex = regex.transpose()?;
            self.examples.push(Examples {
                positive: raw.positive,
                negative: raw.negative,
                place,
            });
            let needs = regex.as_ref().and_then(|regex| Needs::of(regex.as_str()));
            self.rules.push(Rule {
                needs,
                category: if further { Category::Own } else { raw.category },
                regex,
                reach: raw.reach,
                severity: raw.severity,
                confidence: raw.confidence,
                message: raw.message,
                remediation: raw.remediation,
                citation: raw.citation,
                id: raw.id,
            });
        }
        for clue in &file.clues {
            self.keywords.extend([rot13(clue), clue.chars().rev().collect()]);
            self.owners.extend([None, None]);
        }
        self.owners.extend(file.spoken.iter().map(|_| None));
        self.keywords.extend(file.spoken);
        Ok(())
    }
}
