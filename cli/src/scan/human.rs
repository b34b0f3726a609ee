//! What a person sees: each finding with its line, the values in it masked.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use cofferdam_processor::Conclusion;
use cofferdam_schemas::{Finding, Verdict};

use crate::output::printable;

/// Findings shown of one document; `--json` has all.
const SHOWN: usize = 50;
/// Bytes of a line that are shown around a finding.
const AROUND: u64 = 60;

/// How many documents have which verdict.
#[derive(Debug, Default)]
pub struct Counts([usize; 4]);

impl Counts {
    pub fn add(&mut self, verdict: Verdict) {
        self.0[verdict as usize] += 1;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pass, review, incomplete, quarantine] = self.0;
        let all = pass + review + incomplete + quarantine;
        write!(
            f,
            "{all} scanned: {pass} pass, {review} review, {incomplete} incomplete, {quarantine} quarantine"
        )
    }
}

/// Prints one document.
pub fn print(path: &Path, name: &str, conclusion: &Conclusion) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let text = |key: &str| conclusion.details.get(key).map(plain).unwrap_or_default();
    let verdict = conclusion.verdict.unwrap_or(Verdict::Pass);
    writeln!(
        out,
        "{}: {} ({}, risk {})",
        printable(name),
        verdict.as_str(),
        text("detected_type"),
        text("risk")
    )?;
    if let Some(limit) = conclusion.details.get("limit") {
        writeln!(out, "  not looked at in full: limit {}", plain(limit))?;
    }
    // A line is shown only when everything found in it can be masked.
    let all_listed = !conclusion.details.contains_key("findings_not_listed");
    let is_utf8 = matches!(text("encoding").as_str(), "utf-8" | "us-ascii");
    let file = (all_listed && is_utf8).then(|| File::open(path).ok()).flatten();
    for finding in conclusion.findings.iter().take(SHOWN) {
        writeln!(out, "  {}", line(finding))?;
        if let Some(file) = &file
            && finding.inside.is_none()
            && let Some(shown) = excerpt(file, finding, &conclusion.findings)
        {
            writeln!(out, "      {shown}")?;
        }
    }
    if conclusion.findings.len() > SHOWN {
        writeln!(
            out,
            "  … and {} more (--json has all)",
            conclusion.findings.len() - SHOWN
        )?;
    }
    out.flush()?;
    Ok(())
}

/// A string without its quotes, anything else as JSON.
pub fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn line(finding: &Finding) -> String {
    let mut place = String::new();
    if let Some(inside) = &finding.inside {
        place.push_str(&printable(inside));
        place.push(' ');
    }
    match (finding.line, finding.column) {
        (Some(line), Some(column)) => place.push_str(&format!("{line}:{column} ")),
        (Some(line), None) => place.push_str(&format!("line {line} ")),
        _ => {}
    }
    for part in [&finding.cell, &finding.field].into_iter().flatten() {
        place.push_str(&printable(part));
        place.push(' ');
    }
    let times = finding
        .count
        .map(|count| format!(" ({count} times)"))
        .unwrap_or_default();
    let masked = finding
        .masked
        .as_ref()
        .map(|masked| format!(" [{}]", printable(masked)))
        .unwrap_or_default();
    let citation = finding
        .citation
        .as_ref()
        .map(|citation| format!(" ({citation})"))
        .unwrap_or_default();
    format!(
        "{place}{} {}: {}{masked}{times}{citation}",
        finding.severity.as_str(),
        finding.rule,
        finding.message
    )
}

/// The part of the line around a finding, with everything found in it masked.
fn excerpt(file: &File, finding: &Finding, all: &[Finding]) -> Option<String> {
    let span = finding
        .span
        .filter(|span| span.end > span.start && span.end - span.start <= 512)?;
    finding.masked.as_ref()?;
    let from = span.start.saturating_sub(AROUND);
    let mut bytes = vec![0; usize::try_from(span.end + AROUND - from).ok()?];
    let count = file.read_at(&mut bytes, from).ok()?;
    bytes.truncate(count);
    // Everything found is masked before anything else is decided.
    for other in all.iter().filter(|other| other.inside.is_none()) {
        let Some(span) = other.span.filter(|_| hides(other)) else {
            continue;
        };
        let start = usize::try_from(span.start.saturating_sub(from)).ok()?.min(bytes.len());
        let end = usize::try_from(span.end.saturating_sub(from)).ok()?.min(bytes.len());
        bytes[start..end].fill(b'*');
    }
    let at = usize::try_from(span.start - from).ok()?.min(bytes.len());
    let begin = bytes[..at]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let end = bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |end| at + end);
    let shown = String::from_utf8_lossy(&bytes[begin..end]);
    Some(printable(shown.trim_end_matches('\r')))
}

/// Whether what was found is a value that nobody should see.
fn hides(finding: &Finding) -> bool {
    matches!(finding.category.as_str(), "phi" | "pii" | "pci" | "secrets" | "malware")
}
