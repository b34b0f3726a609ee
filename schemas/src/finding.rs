//! What a processor found in a document, and what it concludes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is to happen with a document. Ordered: the worst of several findings decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing speaks against it.
    Pass,
    /// A person should look.
    Review,
    /// A limit was reached and a part was not looked at; `details` of the result name the limit and the bytes.
    Incomplete,
    /// Dangerous: sealed, but not given out until released.
    Quarantine,
}

impl Verdict {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Review => "review",
            Verdict::Incomplete => "incomplete",
            Verdict::Quarantine => "quarantine",
        }
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Small.
    Low,
    /// Should be looked at.
    Medium,
    /// Dangerous.
    High,
    /// Dangerous beyond doubt.
    Critical,
}

/// A range of bytes in the document, `start` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// Byte after the last.
    pub end: u64,
}

/// One thing found in a document. It never holds the value found, only where it stands and what it looks like masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The rule, for example `malware/eicar`.
    pub rule: String,
    /// The kind of danger, for example `malware`, `integrity`, `type`.
    pub category: String,
    /// How grave.
    pub severity: Severity,
    /// 0 to 1.
    pub confidence: f32,
    /// Where, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// One sentence for a person, without the value found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// The law, standard or source behind the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}
