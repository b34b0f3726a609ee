//! What the operator writes under `[processors.validate]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cofferdam_processor::{ConfigErrors, ConfigProblem};
use cofferdam_schemas::{Finding, Severity, TenantName, Verdict};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::look::Packs;

/// The table as it is written. Every key may be absent.
///
/// ```
/// let text = r#"
///     max_bytes = 1099511627776
///     max_findings = 200
///     review_at = "medium"
///     quarantine_at = "high"
///     cache_documents = 20000
///     ## signatures = "/etc/cofferdam/signatures.toml"
///     ## schemas = "/etc/cofferdam/schemas.toml"
///     ## hash_key = "/etc/cofferdam/findings.key"
///     [categories.secrets]
///     quarantine_at = "never"
///     [packs]
///     ## phi = ["/etc/cofferdam/our-ids.toml"]
///     ## yara = ["/etc/cofferdam/yara"]
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
    /// A file of `[[schema]]` tables: which JSON Schema or table contract applies to which documents of which tenant. None unless set.
    pub schemas: Option<PathBuf>,
    /// A file whose bytes key the hashes of values found, by which equal values are known without being told. Unless set, `findings.key` in the data
    /// directory, made at the first start; several machines need one file to agree.
    pub hash_key: Option<PathBuf>,
    /// Results remembered, so that the same bytes under the same rules are scanned once; 0 for none. 20,000 unless set, at most 64 MiB.
    pub cache_documents: usize,
    /// What differs for single tenants, by their names.
    pub tenants: BTreeMap<TenantName, TenantConfig>,
}

/// What differs for one tenant. What is absent is as for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantConfig {
    /// As [`Config::review_at`].
    pub review_at: Option<Severity>,
    /// As [`Config::quarantine_at`].
    pub quarantine_at: Option<Severity>,
    /// As [`Config::categories`]; a category that is absent here is as for all.
    pub categories: BTreeMap<String, CategoryConfig>,
    /// Further packs, and what is not reported in addition.
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
            schemas: None,
            hash_key: None,
            cache_documents: 20_000,
            tenants: BTreeMap::new(),
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
    /// See [`Config::schemas`].
    pub schemas: Option<PathBuf>,
    /// See [`Config::hash_key`].
    pub hash_key: Option<PathBuf>,
    /// See [`Config::cache_documents`].
    pub cache_documents: usize,
    /// Packs and policy of the tenants that have their own.
    pub tenants: BTreeMap<TenantName, (Packs, Policy)>,
}

/// How much is looked at, and what findings lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// Tells this policy from others: the beginning of the SHA-256 of its JSON form, in hexadecimal.
    pub fn version(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(&Sha256::digest(text)[..8])
    }

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
        for (key, path) in [("schemas", &self.schemas), ("hash_key", &self.hash_key)] {
            if path.as_ref().is_some_and(|path| path.is_relative()) {
                problem(key, "takes an absolute path");
            }
        }
        if self.cache_documents > 10_000_000 {
            problem("cache_documents", "takes at most 10,000,000");
        }
        if self.signatures.is_some() && self.packs.signatures.is_some() {
            problem("packs.signatures", "is the same as signatures: give one of them");
        }
        check_packs(&self.packs, "", &mut problem);
        let (review_at, quarantine_at) = (Threshold::from(self.review_at), Threshold::from(self.quarantine_at));
        let mut categories: BTreeMap<String, (Threshold, Threshold)> = REVIEW_ONLY
            .into_iter()
            .map(|name| (name.to_owned(), (review_at, Threshold::Never)))
            .collect();
        // What records of a set have in common raises questions; by itself it decides nothing.
        categories.insert("poison".to_owned(), (Threshold::High, Threshold::Never));
        overlay(
            &mut categories,
            &self.categories,
            (review_at, quarantine_at),
            "",
            &mut problem,
        );
        let mut packs = self.packs;
        packs.signatures = packs.signatures.or(self.signatures);
        let policy = Policy {
            max_bytes: self.max_bytes,
            max_findings: self.max_findings,
            review_at,
            quarantine_at,
            categories,
        };
        let mut tenants = BTreeMap::new();
        for (name, own) in self.tenants {
            let at = format!("tenants.{name}.");
            let general = (own.review_at, own.quarantine_at);
            let mut policy = policy.clone();
            policy.review_at = general.0.map_or(policy.review_at, Threshold::from);
            policy.quarantine_at = general.1.map_or(policy.quarantine_at, Threshold::from);
            if policy.review_at > policy.quarantine_at {
                problem(
                    &format!("{at}review_at"),
                    "is graver than quarantine_at, so that nothing would ever be for review",
                );
            }
            if let Some(review) = general.0.map(Threshold::from) {
                for (of, (known, _)) in &mut policy.categories {
                    // What was said of a category for everybody stands.
                    if REVIEW_ONLY.contains(&of.as_str()) && *known == review_at {
                        *known = review;
                    }
                }
            }
            let base = (policy.review_at, policy.quarantine_at);
            overlay(&mut policy.categories, &own.categories, base, &at, &mut problem);
            check_packs(&own.packs, &at, &mut problem);
            tenants.insert(name, (packs.and(own.packs), policy));
        }
        if !problems.is_empty() {
            return Err(ConfigErrors(problems));
        }
        Ok(Plan {
            packs,
            policy,
            schemas: self.schemas,
            hash_key: self.hash_key,
            cache_documents: self.cache_documents,
            tenants,
        })
    }
}

/// What is said of single categories, over what is known of them.
fn overlay(
    known: &mut BTreeMap<String, (Threshold, Threshold)>,
    own: &BTreeMap<String, CategoryConfig>,
    general: (Threshold, Threshold),
    at: &str,
    problem: &mut impl FnMut(&str, &str),
) {
    for (name, own) in own {
        let (review, quarantine) = known.get(name).copied().unwrap_or(general);
        let own = (own.review_at.unwrap_or(review), own.quarantine_at.unwrap_or(quarantine));
        if own.0 > own.1 {
            problem(
                &format!("{at}categories.{name}.review_at"),
                "is graver than quarantine_at, so that nothing would ever be for review",
            );
        }
        known.insert(name.clone(), own);
    }
}

fn check_packs(packs: &Packs, at: &str, problem: &mut impl FnMut(&str, &str)) {
    let signatures: Vec<PathBuf> = packs.signatures.iter().cloned().collect();
    for (key, paths) in [
        ("packs.phi", &packs.phi),
        ("packs.secrets", &packs.secrets),
        ("packs.injection", &packs.injection),
        ("packs.yara", &packs.yara),
        ("packs.signatures", &signatures),
    ] {
        if paths.iter().any(|path| path.is_relative()) {
            problem(&format!("{at}{key}"), "takes absolute paths");
        }
    }
    let unknown = |name: &String| !crate::look::ENGINES.contains(&name.as_str());
    if packs.without.iter().any(unknown) {
        problem(&format!("{at}packs.without"), "takes phi, injection, secrets and yara");
    }
}
