//! What `cofferdam scan --json` prints of a file: one line a document.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::finding::{Finding, Verdict};
use crate::ids::Sha256Hex;

/// One document that was scanned. Stable: fields are added, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScanLine {
    /// The path as the scan reached it. What in it is no UTF-8 is replaced.
    pub path: String,
    /// What the bytes are, for example `pdf`.
    #[serde(rename = "type")]
    pub detected_type: Option<String>,
    /// What is to happen with it.
    pub verdict: Verdict,
    /// 0 (nothing found) to 100.
    pub risk: u8,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Hash of the bytes; absent when a limit ended the reading before their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hex>,
    /// What was checked, by name.
    pub checked: Vec<String>,
    /// What was not, by name.
    pub not_checked: Vec<String>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Scores of models, by name, each 0 to 1.
    pub scores: BTreeMap<String, f64>,
    /// What else is known, for example `encoding`; `findings_not_listed` counts findings beyond the limit.
    pub facts: BTreeMap<String, Value>,
    /// Versions of the rule packs and models, by name.
    pub versions: BTreeMap<String, String>,
}
