//! Rules: compiled by the parent, loaded by its children.

use std::path::PathBuf;
use std::sync::Arc;

use cofferdam_schemas::{Finding, Severity};
use sha2::{Digest, Sha256};
use yara_x::{Compiler, MetaValue, Rule, Rules, Scanner, SourceCode};

use super::YaraError;
use super::sources::{self, Source};
use crate::look::RuleInfo;

/// The version of YARA-X, which compiled rules are bound to.
const ENGINE: &str = "1.22.1";
/// Variables from outside that many public rules expect, all of them texts.
const GLOBALS: [&str; 5] = ["filename", "filepath", "extension", "filetype", "owner"];
/// Those of them that tell the document's name.
const NAMES: [&str; 3] = ["filename", "filepath", "extension"];
/// What a rule without a word on it finds.
const CATEGORY: &str = "malware";
/// How sure a rule is that does not say so.
const CONFIDENCE: f32 = 0.8;

/// Compiled rules.
pub struct Yara {
    pub(super) rules: Rules,
    compiled: Arc<[u8]>,
    version: String,
    warnings: Vec<String>,
    names: bool,
}

impl Yara {
    /// Compiles the rules that are built in and those of files and folders, and tries the examples that they give of themselves.
    ///
    /// # Errors
    /// When a file cannot be read, a rule does not compile, or an example does not hold; with file and line.
    pub fn compile(paths: &[PathBuf]) -> Result<Option<Self>, YaraError> {
        let sources = sources::read(paths)?;
        let mut compiler = Compiler::new();
        // A rule may name no file of ours.
        compiler.enable_includes(false);
        for name in GLOBALS {
            compiler.define_global(name, "").map_err(invalid)?;
        }
        let mut digest = Sha256::new();
        for source in &sources {
            digest.update((source.text.len() as u64).to_le_bytes());
            digest.update(&source.text);
            compiler.new_namespace(&source.namespace);
            let code = SourceCode::from(source.text.as_str()).with_origin(&source.name);
            compiler.add_source(code).map_err(invalid)?;
        }
        let rules = compiler.build();
        for rule in rules.iter() {
            check(&rules, &rule, &sources)?;
        }
        let compiled = rules
            .serialize()
            .map_err(|error| YaraError::Compiled(error.to_string()))?;
        let warnings = rules.warnings().iter().map(ToString::to_string).collect();
        Ok(Some(Self {
            compiled: compiled.into(),
            version: format!("yara-x@{ENGINE} rules@{}", &hex::encode(digest.finalize())[..12]),
            warnings,
            // A name that is in no text is in no condition.
            names: sources
                .iter()
                .any(|source| NAMES.iter().any(|name| source.text.contains(name))),
            rules,
        }))
    }

    /// Takes what a parent compiled; none where it compiled none.
    ///
    /// # Errors
    /// When it was not compiled by the same program.
    pub fn load(compiled: &[u8]) -> Result<Option<Self>, YaraError> {
        if compiled.is_empty() {
            return Ok(None);
        }
        let rules = Rules::deserialize(compiled).map_err(|error| YaraError::Compiled(error.to_string()))?;
        Ok(Some(Self {
            rules,
            compiled: Arc::default(),
            version: String::new(),
            warnings: Vec::new(),
            names: false,
        }))
    }

    /// What [`load`](Self::load) takes.
    pub fn compiled(&self) -> Arc<[u8]> {
        self.compiled.clone()
    }

    /// What identifies the rules: the same version finds the same.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What is dubious about them, such as patterns that are slow.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether a document's name may bear on what is found in it.
    pub fn reads_names(&self) -> bool {
        self.names
    }

    /// Each rule that is reported.
    pub fn rules(&self) -> Vec<RuleInfo> {
        let told = self.rules.iter().filter(|rule| !rule.is_private());
        told.map(|rule| {
            let finding = finding(&rule);
            RuleInfo {
                name: finding.rule,
                severity: finding.severity,
                what: finding.message,
                citation: finding.citation,
            }
        })
        .collect()
    }
}

fn invalid(error: impl std::fmt::Display) -> YaraError {
    YaraError::Compile(error.to_string())
}

/// What a rule says of itself, as a finding without a place. Of its metadata are understood `category`, `severity` (our words), `score` (0 to 100, as many
/// public rules have it), `confidence`, `description`, `remediation`, `reference`.
pub(super) fn finding(rule: &Rule<'_, '_>) -> Finding {
    let mut category = CATEGORY.to_owned();
    let (mut severity, mut score, mut confidence) = (None, None, CONFIDENCE);
    let (mut message, mut remediation, mut citation) = (None, None, None);
    for (name, value) in rule.metadata() {
        match (name, value) {
            ("category", MetaValue::String(text)) if is_word(text) => category = text.to_owned(),
            ("severity", MetaValue::String(text)) => severity = word_of(text).or(severity),
            ("score", MetaValue::Integer(points)) => score = Some(graded(points)),
            ("confidence", MetaValue::Float(share)) if (0.0..=1.0).contains(&share) => confidence = share as f32,
            ("description", MetaValue::String(text)) => message = Some(short(text)),
            ("remediation", MetaValue::String(text)) => remediation = Some(short(text)),
            ("reference", MetaValue::String(text)) => citation = Some(short(text)),
            _ => {}
        }
    }
    let message = message.unwrap_or_else(|| format!("matches the YARA rule {}", rule.identifier()));
    let severity = severity.or(score).unwrap_or(Severity::High);
    Finding {
        remediation: Some(
            remediation.unwrap_or_else(|| "open it nowhere before whoever keeps the YARA rules has seen it".to_owned()),
        ),
        citation,
        ..Finding::new(
            format!("{category}/{}", rule.identifier()),
            severity,
            confidence,
            message,
        )
    }
}

fn word_of(text: &str) -> Option<Severity> {
    use Severity::{Critical, High, Info, Low, Medium};
    [Info, Low, Medium, High, Critical]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(text))
}

fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

fn graded(points: i64) -> Severity {
    match points {
        ..40 => Severity::Info,
        40..60 => Severity::Low,
        60..75 => Severity::Medium,
        75..90 => Severity::High,
        90.. => Severity::Critical,
    }
}

/// Tries a rule's own examples: of its metadata, each `match_hex` has to match and each `pass_hex` must not.
fn check(rules: &Rules, rule: &Rule<'_, '_>, sources: &[Source]) -> Result<(), YaraError> {
    let refused = |what: String| {
        let source = sources.iter().find(|source| source.namespace == rule.namespace());
        YaraError::Rule {
            pack: source.map_or_else(String::new, |source| source.name.clone()),
            rule: rule.identifier().to_owned(),
            line: source.map_or(1, |source| source.line(rule.identifier())),
            what,
        }
    };
    for (number, (name, value)) in rule.metadata().enumerate() {
        let wanted = match name {
            "match_hex" => true,
            "pass_hex" => false,
            _ => continue,
        };
        let example = match value {
            MetaValue::String(text) => hex::decode(text).ok(),
            _ => None,
        };
        let example =
            example.ok_or_else(|| refused(format!("has a {name} that is not in pairs of hexadecimal digits")))?;
        let mut scanner = Scanner::new(rules);
        let result = scanner
            .scan(&example)
            .map_err(|error| refused(format!("cannot be tried: {error}")))?;
        let same =
            |found: Rule<'_, '_>| found.identifier() == rule.identifier() && found.namespace() == rule.namespace();
        if result.matching_rules().include_private(true).any(same) != wanted {
            let does = if wanted { "does not match" } else { "matches" };
            return Err(refused(format!(
                "{does} its own example ({name}, entry {} of its meta section)",
                number + 1
            )));
        }
    }
    Ok(())
}
