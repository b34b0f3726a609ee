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

impl Severity {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
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
    /// Where, in bytes: of the document, or of what is named by `inside`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// The line, from 1, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Bytes from the beginning of the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The cell of a table or the record of a set, for example `B7` or `row 7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// The column's name, or the JSON Pointer (RFC 6901) of the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The path inside a container, for example `a.zip!/b.txt` or `report.pdf!/page 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// What the value looks like, masked: never more than a public prefix or a fifth of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<String>,
    /// Tells equal values apart from others without telling the value: HMAC-SHA-256 under the installation's key, or SHA-256 of a value that
    /// is too long to be guessed, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How many places there are like this one, itself included, where they are not all listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// One sentence for a person, without the value found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// The law, standard or source behind the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}

impl Finding {
    /// A finding without a place. The category is the rule's first part.
    pub fn new(rule: impl Into<String>, severity: Severity, confidence: f32, message: impl Into<String>) -> Self {
        let rule = rule.into();
        let category = rule.split('/').next().unwrap_or(&rule).to_owned();
        Self {
            rule,
            category,
            severity,
            confidence,
            span: None,
            line: None,
            column: None,
            cell: None,
            field: None,
            inside: None,
            masked: None,
            sha256: None,
            count: None,
            message: message.into(),
            remediation: None,
            citation: None,
        }
    }
}
