//! What the operator writes under `[processors.validate]`.

use std::path::PathBuf;

use cofferdam_processor::{ConfigErrors, ConfigProblem};
use cofferdam_schemas::Severity;
use serde::Deserialize;

/// The table as it is written. Every key may be absent.
///
/// ```
/// let text = r#"
///     max_bytes = 1099511627776
///     max_findings = 200
///     review_at = "medium"
///     quarantine_at = "high"
///     ## signatures = "/etc/cofferdam/signatures.toml"
/// "#;
/// let config: cofferdam_validate::Config = toml::from_str(text).unwrap();
/// assert_eq!(config, cofferdam_validate::Config::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of a document that are looked at; the rest makes the verdict `incomplete`. 1 TiB unless set. Reading a byte costs about as
    /// much as hashing it.
    pub max_bytes: u64,
    /// Findings listed in one result; more make the verdict at least `incomplete`. 200 unless set: a result is one message.
    pub max_findings: usize,
    /// A finding at least this grave makes the verdict `review`. `medium` unless set.
    pub review_at: Severity,
    /// A finding at least this grave makes the verdict `quarantine`. `high` unless set.
    pub quarantine_at: Severity,
    /// A file of further byte signatures, in the form of `rules/signatures.toml`. None unless set.
    pub signatures: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            max_findings: 200,
            review_at: Severity::Medium,
            quarantine_at: Severity::High,
            signatures: None,
        }
    }
}

/// A configuration that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// See [`Config::signatures`].
    pub signatures: Option<PathBuf>,
    /// The rest.
    pub policy: Policy,
}

/// How much is looked at, and what findings lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// See [`Config::max_bytes`].
    pub max_bytes: u64,
    /// See [`Config::max_findings`].
    pub max_findings: usize,
    /// See [`Config::review_at`].
    pub review_at: Severity,
    /// See [`Config::quarantine_at`].
    pub quarantine_at: Severity,
}

impl Config {
    /// Checks it, reporting every problem.
    pub(crate) fn plan(self) -> Result<Plan, ConfigErrors> {
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
        if !problems.is_empty() {
            return Err(ConfigErrors(problems));
        }
        let Self {
            max_bytes,
            max_findings,
            review_at,
            quarantine_at,
            signatures,
        } = self;
        Ok(Plan {
            signatures,
            policy: Policy {
                max_bytes,
                max_findings,
                review_at,
                quarantine_at,
            },
        })
    }
}
