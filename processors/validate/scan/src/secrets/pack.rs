//! Rule packs: loaded together, checked, and laid out for the engine.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use cofferdam_schemas::Severity;
use sha2::{Digest, Sha256};

use super::allow::Allow;
use super::engine::{Keywords, Use};
use super::example::expand;
use super::gate::Gate;
use super::read::{Read, read};
use super::rule::{Finder, Rule};

/// A pack as it comes: a file of a tenant, or one of those built in ([`own`], [`gitleaks`]).
#[derive(Debug, Clone)]
pub struct PackSource {
    /// Its name in messages, for example the file's path.
    pub name: String,
    /// The TOML.
    pub text: String,
    /// Whether its global allowlist of paths is passed over. gitleaks' list leaves out everything called `.pdf` or `.docx` and all
    /// lock files, which a pipeline that has taken their text out must not.
    pub ignore_paths: bool,
    /// Whether [`Packs::load`] compiles all of it and runs its examples at once. The packs built in are checked by the tests.
    pub check: bool,
}

/// The pack of this project.
pub fn own() -> PackSource {
    let text = include_str!("../../rules/secrets.toml").to_owned();
    PackSource {
        name: "rules/secrets.toml".to_owned(),
        text,
        ignore_paths: false,
        check: false,
    }
}

/// gitleaks' rules (MIT, (c) 2019 Zachary Rice).
pub fn gitleaks() -> PackSource {
    let text = include_str!("../../rules/gitleaks.toml").to_owned();
    PackSource {
        name: "rules/gitleaks.toml".to_owned(),
        text,
        ignore_paths: true,
        check: false,
    }
}

/// What is wrong with a pack, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pack}:{line}: rule `{rule}`: {what}")]
pub struct PackError {
    /// The pack's name.
    pub pack: String,
    /// Line, from 1.
    pub line: usize,
    /// The rule's id; empty where no rule is concerned.
    pub rule: String,
    /// What is wrong.
    pub what: String,
}

/// All that is wrong with the packs; none of them is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Refusal(pub Vec<PackError>);

/// What a scan needs of a pack besides its rules.
#[derive(Debug)]
pub(crate) struct Info {
    pub name: String,
    pub version: String,
    pub allow: Vec<Allow>,
}

/// All rules, ready to scan. Share it between threads.
#[derive(Debug)]
pub struct Packs {
    pub(crate) rules: Vec<Rule>,
    pub(crate) infos: Vec<Info>,
    pub(crate) keywords: Keywords,
    /// Rules for documents of certain names only.
    pub(crate) bound: Vec<usize>,
    unknown: Vec<String>,
}

impl Packs {
    /// The packs that are built in: our own and gitleaks'.
    pub fn builtin() -> Result<Self, Refusal> {
        Self::load(&[own(), gitleaks()], &[])
    }

    /// Reads the packs in order. A rule whose id an earlier pack has too is refused. `silence` takes away rules by id, with or
    /// without `secrets/` before it; an id there that no rule has is refused, or a typing error would leave a rule on.
    pub fn load(sources: &[PackSource], silence: &[String]) -> Result<Self, Refusal> {
        let mut errors = Vec::new();
        let mut rules: Vec<Rule> = Vec::new();
        let (mut infos, mut unknown, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        let mut ids = BTreeMap::<String, usize>::new();
        for (pack, source) in sources.iter().enumerate() {
            let Read {
                version,
                rules: more,
                allow,
                changes: change,
                unknown: odd,
            } = read(source, pack, &mut errors);
            for rule in more {
                match ids.insert(rule.name.to_string(), pack) {
                    None => rules.push(rule),
                    Some(other) => errors.push(PackError {
                        pack: source.name.clone(),
                        line: rule.line,
                        rule: id(&rule).to_owned(),
                        what: format!("the id is used by {} already", sources[other].name),
                    }),
                }
            }
            changes.extend(change);
            unknown.extend(odd);
            // A pack may have no version, and may be changed without a new one.
            let sum = &hex::encode(Sha256::digest(&source.text))[..12];
            infos.push(Info {
                name: source.name.clone(),
                version: format!("{version}+{sum}"),
                allow,
            });
        }
        for change in changes {
            for rule in rules
                .iter_mut()
                .filter(|rule| change.ids.iter().any(|wanted| wanted == id(rule)))
            {
                rule.severity = change.severity.unwrap_or(rule.severity);
                rule.value = change.value.unwrap_or(rule.value);
                rule.confidence = change.confidence.unwrap_or(rule.confidence);
                rule.remediation = change.remediation.clone().map(Cow::Owned).or(rule.remediation.take());
                rule.citation = change.citation.clone().map(Cow::Owned).or(rule.citation.take());
            }
        }
        let silent: BTreeSet<&str> = silence
            .iter()
            .map(|id| id.strip_prefix("secrets/").unwrap_or(id))
            .collect();
        for name in silent
            .iter()
            .filter(|name| !rules.iter().any(|rule| id(rule) == **name))
        {
            errors.push(PackError {
                pack: "silence".to_owned(),
                line: 0,
                rule: (*name).to_owned(),
                what: "no rule has this id".to_owned(),
            });
        }
        rules.retain(|rule| !silent.contains(id(rule)));
        let keywords = match layout(&rules) {
            Ok(keywords) => keywords,
            Err(what) => {
                errors.push(PackError {
                    pack: "all packs".to_owned(),
                    line: 0,
                    rule: String::new(),
                    what,
                });
                return Err(Refusal(errors));
            }
        };
        let bound = rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.path.is_some())
            .map(|(at, _)| at)
            .collect();
        let packs = Self {
            rules,
            infos,
            keywords,
            bound,
            unknown,
        };
        let asked: Vec<usize> = sources
            .iter()
            .enumerate()
            .filter(|(_, source)| source.check)
            .map(|(at, _)| at)
            .collect();
        errors.extend(packs.examine(|pack| asked.contains(&pack)));
        if errors.is_empty() {
            Ok(packs)
        } else {
            Err(Refusal(errors))
        }
    }

    /// Compiles every regex of every pack and runs all examples.
    pub fn check(&self) -> Result<(), Refusal> {
        let errors = self.examine(|_| true);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Refusal(errors))
        }
    }

    fn examine(&self, wanted: impl Fn(usize) -> bool) -> Vec<PackError> {
        let mut errors = Vec::new();
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| wanted(rule.pack)) {
            let mut refuse = |what: String| {
                errors.push(PackError {
                    pack: self.infos[rule.pack].name.clone(),
                    line: rule.line,
                    rule: id(rule).to_owned(),
                    what,
                });
            };
            for pattern in rule.patterns() {
                if let Err(error) = pattern.compile() {
                    refuse(error);
                }
            }
            for (examples, should) in [(&rule.positive, true), (&rule.negative, false)] {
                for (at, example) in examples.iter().enumerate() {
                    let (path, text) = named(example);
                    let fires = self.firing(&expand(text), path).iter().any(|(fired, severity)| {
                        *fired == index && (should || *severity > Severity::Low || rule.severity <= Severity::Low)
                    });
                    if fires != should {
                        let kind = if should { "positive" } else { "negative" };
                        refuse(format!(
                            "{kind} example {} {}",
                            at + 1,
                            if fires { "is found" } else { "is not found" }
                        ));
                    }
                }
            }
        }
        errors
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules' names (`secrets/<id>`), severities and descriptions.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Severity, &str)> {
        self.rules
            .iter()
            .map(|rule| (rule.name.as_ref(), rule.severity, rule.message.as_ref()))
    }

    /// The packs' names and versions, each with the beginning of the SHA-256 of its text.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.infos
            .iter()
            .map(|info| (info.name.as_str(), info.version.as_str()))
    }

    /// What in the packs is not supported and was passed over, each with file and line.
    pub fn unsupported(&self) -> &[String] {
        &self.unknown
    }
}

/// `name: text` for an example that has a document's name: `@name|text`.
fn named(example: &str) -> (Option<&str>, &str) {
    match example.strip_prefix("@name:").and_then(|rest| rest.split_once('|')) {
        Some((name, text)) => (Some(name), text),
        None => (None, example),
    }
}

fn id(rule: &Rule) -> &str {
    rule.name.strip_prefix("secrets/").unwrap_or(&rule.name)
}

fn layout(rules: &[Rule]) -> Result<Keywords, String> {
    let mut words = BTreeMap::<&str, Vec<Use>>::new();
    let (mut named, mut columns) = (Vec::new(), Vec::new());
    for (at, rule) in rules.iter().enumerate() {
        if rule.keywords.is_empty() || matches!(rule.finder, Finder::Name) {
            named.push(at);
        }
        if matches!(rule.finder, Finder::Column { .. }) {
            columns.push(at);
        }
        for (number, keyword) in rule.keywords.iter().enumerate() {
            let gate = match &rule.finder {
                Finder::Regex { gates, .. } => gates.get(number).copied().unwrap_or(Gate::Open),
                _ => Gate::Open,
            };
            words.entry(keyword).or_default().push(Use { rule: at, gate });
        }
    }
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words.keys())
        .map_err(|error| error.to_string())?;
    Ok(Keywords {
        automaton,
        uses: words.into_values().collect(),
        named,
        columns,
    })
}
