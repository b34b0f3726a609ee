//! What the operator writes under `[processors.validate]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cofferdam_processor::{ConfigErrors, ConfigProblem};
use cofferdam_schemas::{Finding, Severity, Verdict};
use serde::{Deserialize, Serialize};

use crate::look::Packs;

/// The table as it is written. Every key may be absent.
///
/// ```
/// let text = r#"
///     max_bytes = 1099511627776
///     max_findings = 200
///     review_at = "medium"
///     quarantine_at = "high"
///     ## signatures = "/etc/cofferdam/signatures.toml"
///     [categories.secrets]
///     quarantine_at = "never"
///     [packs]
///     ## phi = ["/etc/cofferdam/our-ids.toml"]
///     silence = []
/// "#;
/// let config: cofferdam_validate::Config = toml::from_str(text).unwrap();
/// assert_eq!(config.plan().unwrap(), cofferdam_validate::Config::default().plan().unwrap());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of a document that are looked at; the rest makes the verdict `incomplete`. 1 TiB unless set.
    pub max_bytes: u64,
    /// Findings listed in one result; of further ones each rule's first is listed, the others are counted. 200 unless set: a result is one
    /// message.
    pub max_findings: usize,
    /// A finding at least this grave makes the verdict `review`. `medium` unless set.
    pub review_at: Severity,
    /// A finding at least this grave makes the verdict `quarantine`. `high` unless set.
    pub quarantine_at: Severity,
    /// The same for findings of one category (`phi`, `pii`, `pci`, `secrets`, `injection`, `malware`, `structure`, …). Unless set, personal data,
    /// card numbers and secrets are for review however grave, because documents that are full of them are often meant to be, and what records of
    /// a set have in common (`poison`) is for review from `high` on.
    pub categories: BTreeMap<String, CategoryConfig>,
    /// A file of further byte signatures, in the form of `rules/signatures.toml`. None unless set.
    pub signatures: Option<PathBuf>,
    /// Rule packs beside those built in, and what is not reported.
    pub packs: Packs,
}

/// What findings of one category lead to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CategoryConfig {
    /// As [`Config::review_at`]; `never` is a word it takes too.
    pub review_at: Option<Threshold>,
    /// As [`Config::quarantine_at`].
    pub quarantine_at: Option<Threshold>,
}

/// How grave a finding must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Any.
    Info,
    /// At least low.
    Low,
    /// At least medium.
    Medium,
    /// At least high.
    High,
    /// Critical only.
    Critical,
    /// However grave, it does not count.
    Never,
}

impl From<Severity> for Threshold {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Low => Self::Low,
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
            Severity::Critical => Self::Critical,
        }
    }
}

/// Categories that are for review only unless the operator says otherwise.
const REVIEW_ONLY: [&str; 4] = ["phi", "pii", "pci", "secrets"];

impl Default for Config {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            max_findings: 200,
            review_at: Severity::Medium,
            quarantine_at: Severity::High,
            categories: BTreeMap::new(),
            signatures: None,
            packs: Packs::default(),
        }
    }
}

/// A configuration that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Packs to load, signatures among them.
    pub packs: Packs,
    /// The rest.
    pub policy: Policy,
}

/// How much is looked at, and what findings lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// See [`Config::max_bytes`].
    pub max_bytes: u64,
    /// See [`Config::max_findings`].
    pub max_findings: usize,
    /// See [`Config::review_at`].
    pub review_at: Threshold,
    /// See [`Config::quarantine_at`].
    pub quarantine_at: Threshold,
    /// See [`Config::categories`]; review first.
    pub categories: BTreeMap<String, (Threshold, Threshold)>,
}

impl Policy {
    /// What findings lead to. A limit that was reached is never a pass.
    pub fn verdict(&self, findings: &[Finding], incomplete: bool) -> Verdict {
        let of = |finding: &Finding| {
            let (review, quarantine) = self
                .categories
                .get(&finding.category)
                .copied()
                .unwrap_or((self.review_at, self.quarantine_at));
            let grave = Threshold::from(finding.severity);
            if grave >= quarantine {
                Verdict::Quarantine
            } else if grave >= review {
                Verdict::Review
            } else {
                Verdict::Pass
            }
        };
        let found = findings.iter().map(of).max().unwrap_or(Verdict::Pass);
        if incomplete {
            found.max(Verdict::Incomplete)
        } else {
            found
        }
    }
}

impl Config {
    /// Checks it, reporting every problem.
    pub fn plan(self) -> Result<Plan, ConfigErrors> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, message: &str| {
            problems.push(ConfigProblem {
                key: format!("processors.validate.{key}"),
                message: message.to_owned(),
            });
        };
        if self.max_bytes == 0 {
            problem("max_bytes", "is 0, so that nothing would be looked at; give at least 1");
        }
        if !(1..=1000).contains(&self.max_findings) {
            problem(
                "max_findings",
                "takes 1 to 1000, because all of them travel in one message",
            );
        }
        if self.review_at > self.quarantine_at {
            problem(
                "review_at",
                "is graver than quarantine_at, so that nothing would ever be for review",
            );
        }
        if self.signatures.as_ref().is_some_and(|path| path.is_relative()) {
            problem("signatures", "takes an absolute path");
        }
        if self.signatures.is_some() && self.packs.signatures.is_some() {
            problem("packs.signatures", "is the same as signatures: give one of them");
        }
        let Packs {
            phi, secrets, without, ..
        } = &self.packs;
        for (key, paths) in [("packs.phi", phi), ("packs.secrets", secrets)] {
            if paths.iter().any(|path| path.is_relative()) {
                problem(key, "takes absolute paths");
            }
        }
        if without
            .iter()
            .any(|name| !crate::look::ENGINES.contains(&name.as_str()))
        {
            problem("packs.without", "takes phi, injection and secrets");
        }
        let (review_at, quarantine_at) = (Threshold::from(self.review_at), Threshold::from(self.quarantine_at));
        let mut categories: BTreeMap<String, (Threshold, Threshold)> = REVIEW_ONLY
            .into_iter()
            .map(|name| (name.to_owned(), (review_at, Threshold::Never)))
            .collect();
        // What records of a set have in common raises questions; by itself it decides nothing.
        categories.insert("poison".to_owned(), (Threshold::High, Threshold::Never));
        for (name, own) in &self.categories {
            let (review, quarantine) = categories.get(name).copied().unwrap_or((review_at, quarantine_at));
            let own = (own.review_at.unwrap_or(review), own.quarantine_at.unwrap_or(quarantine));
            if own.0 > own.1 {
                problem(
                    &format!("categories.{name}.review_at"),
                    "is graver than quarantine_at, so that nothing would ever be for review",
                );
            }
            categories.insert(name.clone(), own);
        }
        if !problems.is_empty() {
            return Err(ConfigErrors(problems));
        }
        let mut packs = self.packs;
        packs.signatures = packs.signatures.or(self.signatures);
        Ok(Plan {
            packs,
            policy: Policy {
                max_bytes: self.max_bytes,
                max_findings: self.max_findings,
                review_at,
                quarantine_at,
                categories,
            },
        })
    }
}
