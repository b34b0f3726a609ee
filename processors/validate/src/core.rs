//! Validation without I/O: bytes in, a conclusion out.
//!
//! [`Inspection`] takes the document as it streams by; [`conclude`] turns what was seen into findings, a verdict and details. What a
//! finding leads to is the [`Policy`]'s alone, so that scanners need not know it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cofferdam_processor::Conclusion;
use cofferdam_schemas::{Finding, Severity, Verdict};
use serde_json::Value;

use crate::config::Policy;
use crate::kind::{Claim, Detected, PAGE};
use crate::scan::{Claims, End, Integrity, Report, Scanner, SignatureScanner, Signatures, finding};

/// One document on its way past the scanners.
pub struct Inspection {
    head: BytesMut,
    scanners: Vec<Box<dyn Scanner>>,
    seen: u64,
    limit: u64,
    over: bool,
}

/// A document that went past.
pub struct Inspected {
    /// Its first bytes, at most [`PAGE`].
    pub head: Bytes,
    /// Bytes that were looked at.
    pub seen: u64,
    /// Whether these were all.
    pub end: End,
    report: Report,
}

impl Inspection {
    /// With every scanner there is.
    pub fn new(policy: &Policy, claims: &Claims, signatures: &Arc<Signatures>) -> Self {
        let scanners: Vec<Box<dyn Scanner>> = vec![
            Box::new(Integrity::new(claims)),
            Box::new(SignatureScanner::new(signatures.clone())),
        ];
        Self {
            head: BytesMut::new(),
            scanners,
            seen: 0,
            limit: policy.max_bytes,
            over: false,
        }
    }

    /// The next bytes. False once the limit is reached and there is no use in more.
    pub fn feed(&mut self, chunk: &[u8]) -> bool {
        let room = usize::try_from(self.limit - self.seen).unwrap_or(usize::MAX);
        if chunk.len() > room {
            self.over = true;
        }
        let chunk = &chunk[..chunk.len().min(room)];
        let missing = (PAGE as usize).saturating_sub(self.head.len());
        self.head.extend_from_slice(&chunk[..chunk.len().min(missing)]);
        for scanner in &mut self.scanners {
            scanner.feed(chunk);
        }
        self.seen += chunk.len() as u64;
        !self.over
    }

    /// There are no more.
    pub fn finish(self) -> Inspected {
        let end = if self.over { End::Limit } else { End::Whole };
        let mut all = Report::default();
        for scanner in self.scanners {
            let report = scanner.finish(end);
            all.findings.extend(report.findings);
            all.details.extend(report.details);
            all.checked.extend(report.checked);
            all.not_checked.extend(report.not_checked);
        }
        Inspected {
            head: self.head.freeze(),
            seen: self.seen,
            end,
            report: all,
        }
    }
}

impl Inspected {
    /// Whether the bytes are not what somebody claims. Worth a second look before it is believed: it may have been the transport.
    pub fn is_damaged(&self) -> bool {
        self.report
            .findings
            .iter()
            .any(|finding| finding.category == "integrity")
    }
}

/// Everything that is known about a document at the end.
pub struct Evidence {
    /// What the scanners saw.
    pub inspected: Inspected,
    /// Size as the store says it now.
    pub stored_size: u64,
    /// What it is.
    pub detected: Detected,
    /// Whether detection had to stop at its limit on further reads, and how many bytes it had then.
    pub reads_exhausted: Option<u64>,
    /// What name and declared type promise.
    pub claims: Vec<Claim>,
    /// The declared type, as it was declared.
    pub declared: Option<String>,
}

/// Findings, verdict and details.
pub fn conclude(policy: &Policy, evidence: Evidence) -> Conclusion {
    let Evidence {
        inspected,
        stored_size,
        detected,
        reads_exhausted,
        claims,
        declared,
    } = evidence;
    let Inspected { seen, end, report, .. } = inspected;
    let Report {
        mut findings,
        mut details,
        checked,
        not_checked,
    } = report;
    let mut checked: BTreeSet<String> = checked.into_iter().collect();
    let mut not_checked: BTreeSet<String> = not_checked.into_iter().collect();
    let mut limits = BTreeMap::new();

    checked.insert("type".to_owned());
    for claim in &claims {
        findings.extend(claim.check(&detected));
    }
    if detected.macros {
        findings.push(macros(&claims));
    }
    not_checked.extend(detected.not_checked.iter().map(|what| (*what).to_owned()));

    if end == End::Limit {
        limits.insert("max_bytes", policy.max_bytes);
        details.insert(
            "bytes_not_looked_at".to_owned(),
            stored_size.saturating_sub(seen).into(),
        );
    }
    limits.extend(detected.limit);
    if let Some(bytes) = reads_exhausted {
        limits.insert("directory_bytes", bytes);
        not_checked.insert("container-directory".to_owned());
    }
    findings.sort_by(|one, other| {
        other
            .severity
            .cmp(&one.severity)
            .then_with(|| one.rule.cmp(&other.rule))
    });
    let worst = findings.first().map(|finding| finding.severity);
    if findings.len() > policy.max_findings {
        limits.insert("max_findings", policy.max_findings as u64);
        details.insert(
            "findings_not_listed".to_owned(),
            (findings.len() - policy.max_findings).into(),
        );
        findings.truncate(policy.max_findings);
    }

    details.insert("detected_type".to_owned(), detected.name.into());
    details.insert("media_type".to_owned(), detected.media_type.into());
    if let Some(encoding) = detected.encoding {
        details.insert("encoding".to_owned(), encoding.into());
    }
    if let Some(declared) = declared {
        details.insert("declared_type".to_owned(), declared.into());
    }
    details.extend(detected.facts.into_iter().map(|(name, value)| (name.to_owned(), value)));
    details.insert("bytes_looked_at".to_owned(), seen.into());
    details.insert("checked".to_owned(), checked.into_iter().collect());
    details.insert("not_checked".to_owned(), not_checked.into_iter().collect());
    let incomplete = !limits.is_empty();
    if incomplete {
        let named = limits.keys().copied().collect::<Vec<_>>().join(" ");
        details.insert("limit".to_owned(), named.into());
        details.extend(
            limits
                .into_iter()
                .map(|(name, value)| (format!("limit_{name}"), Value::from(value))),
        );
    }
    Conclusion {
        verdict: Some(verdict(policy, worst, incomplete)),
        findings,
        details,
        ..Conclusion::default()
    }
}

/// The policy: the gravest finding decides, and a limit that was reached is never a pass.
fn verdict(policy: &Policy, worst: Option<Severity>, incomplete: bool) -> Verdict {
    let found = match worst {
        Some(severity) if severity >= policy.quarantine_at => Verdict::Quarantine,
        Some(severity) if severity >= policy.review_at => Verdict::Review,
        Some(_) | None => Verdict::Pass,
    };
    if incomplete {
        found.max(Verdict::Incomplete)
    } else {
        found
    }
}

/// Macros are to be expected in a document that says it has some, and suspicious in one that does not.
fn macros(claims: &[Claim]) -> Finding {
    let declared = claims.iter().any(Claim::declares_macros);
    let severity = if declared { Severity::Low } else { Severity::Medium };
    let mut finding = finding("active/macros", severity, 1.0, "the document carries macros".to_owned());
    finding.remediation = Some("open it only if the sender is known and the macros are expected".to_owned());
    finding.citation = Some("Microsoft Open Specifications, [MS-OVBA] 1.3".to_owned());
    finding
}
