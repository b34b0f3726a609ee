//! SARIF 2.1.0 (OASIS), as code hosts and editors read it.

use std::collections::BTreeMap;

use cofferdam_processor::Conclusion;
use cofferdam_schemas::{Finding, Severity};
use cofferdam_validate::Engines;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// One run.
pub struct Log {
    rules: BTreeMap<String, Value>,
    results: Vec<Value>,
    notifications: Vec<Value>,
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

impl Log {
    pub fn new() -> Self {
        Self {
            rules: BTreeMap::new(),
            results: Vec::new(),
            notifications: Vec::new(),
        }
    }

    /// Adds one document.
    pub fn add(&mut self, path: &str, conclusion: &Conclusion) {
        for finding in &conclusion.findings {
            self.rules.entry(finding.rule.clone()).or_insert_with(|| rule(finding));
            self.results.push(result(path, finding));
        }
        if let Some(limit) = conclusion.details.get("limit") {
            self.notifications.push(json!({
                "level": "warning",
                "message": {"text": format!("not looked at in full: limit {}", limit.as_str().unwrap_or_default())},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri(path)}}}],
            }));
        }
    }

    /// The document.
    pub fn finish(self, engines: &Engines) -> Value {
        json!({
            "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "cofferdam",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": self.rules.into_values().collect::<Vec<_>>(),
                    "properties": {"packs": engines.versions()},
                }},
                "results": self.results,
                "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": self.notifications}],
            }],
        })
    }
}

fn rule(finding: &Finding) -> Value {
    let mut rule = json!({
        "id": finding.rule,
        "shortDescription": {"text": finding.message},
        "defaultConfiguration": {"level": level(finding.severity)},
        "properties": {"category": finding.category},
    });
    if let Some(citation) = &finding.citation {
        rule["fullDescription"] = json!({"text": citation});
    }
    if let Some(remediation) = &finding.remediation {
        rule["help"] = json!({"text": remediation});
    }
    rule
}

fn result(path: &str, finding: &Finding) -> Value {
    let mut region = serde_json::Map::new();
    if finding.inside.is_none() {
        if let Some(line) = finding.line {
            region.insert("startLine".into(), line.into());
        }
        if let Some(column) = finding.column.filter(|_| finding.line.is_some()) {
            region.insert("startColumn".into(), column.into());
        }
        if let Some(span) = finding.span {
            region.insert("byteOffset".into(), span.start.into());
            region.insert("byteLength".into(), (span.end - span.start).into());
        }
    }
    let mut location = json!({"physicalLocation": {"artifactLocation": {"uri": uri(path)}}});
    if !region.is_empty() {
        location["physicalLocation"]["region"] = Value::Object(region);
    }
    let logical: Vec<Value> = [&finding.inside, &finding.cell, &finding.field]
        .into_iter()
        .flatten()
        .map(|name| json!({"fullyQualifiedName": name}))
        .collect();
    if !logical.is_empty() {
        location["logicalLocations"] = logical.into();
    }
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": {"text": finding.message},
        "locations": [location],
        "properties": {"confidence": finding.confidence, "severity": finding.severity},
    });
    if let Some(masked) = &finding.masked {
        result["properties"]["masked"] = masked.as_str().into();
    }
    if let Some(sha256) = &finding.sha256 {
        result["fingerprints"] = json!({"value/v1": sha256});
    }
    if let Some(count) = finding.count {
        result["occurrenceCount"] = count.into();
    }
    result
}

/// What a URI's path holds as it is (RFC 3986, 2.3), and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A path as a URI reference.
fn uri(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}
