//! Validation without I/O: bytes in, a conclusion out.
//!
//! [`Inspection`] takes the document as it streams by; [`conclude`] turns what was seen into findings, a verdict and details. What a
//! finding leads to is the [`Policy`]'s alone, so that scanners need not know it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cofferdam_inside::inside::Kind;
use cofferdam_processor::Conclusion;
use cofferdam_scan::phi::categories;
use cofferdam_scan::structure::schema::Selected;
use cofferdam_schemas::{Finding, Severity};
use serde_json::Value;

use crate::child::inside_of;
use crate::config::Policy;
use crate::kind::{Claim, Detected, PAGE};
use crate::look::{Engines, Gather, Look, Outcome, Seen};
use crate::rulebook::Rulebook;
use crate::scan::{Claims, End, Integrity, Scanner, SignatureScanner, finding};

/// One document on its way past the scanners.
pub struct Inspection {
    head: BytesMut,
    scanners: Vec<Box<dyn Scanner>>,
    look: Look,
    gather: Gather,
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
    /// Whether it was text, and scanned as such.
    pub text: bool,
    /// What it is, where its head was all of it: told from the same claims.
    pub detected: Option<Detected>,
    /// What the scanners say.
    pub outcome: Outcome,
}

/// What is known of a document before it is read.
pub struct About<'a> {
    /// Its name.
    pub name: &'a str,
    /// What name and declared type promise.
    pub claims: Vec<Claim>,
    /// What is claimed of its bytes.
    pub sums: &'a Claims,
    /// Bytes there are, as is claimed.
    pub size: u64,
    /// What keys the hashes of values found.
    pub hash_key: Option<Vec<u8>>,
    /// What it has to conform to.
    pub schemas: &'a Selected,
}

impl Inspection {
    /// With every scanner there is.
    pub fn new(policy: &Policy, engines: &Arc<Engines>, about: About<'_>) -> Self {
        let scanners: Vec<Box<dyn Scanner>> = vec![
            Box::new(Integrity::new(about.sums)),
            Box::new(SignatureScanner::new(engines.signatures().clone())),
        ];
        Self {
            head: BytesMut::new(),
            scanners,
            look: Look::new(engines.clone(), about.name, None, about.claims, about.size)
                .conforming(about.schemas.clone()),
            gather: Gather::new(policy.max_findings, about.hash_key),
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
        self.look.feed(chunk, &mut self.gather);
        self.seen += chunk.len() as u64;
        !self.over
    }

    /// There are no more.
    pub fn finish(self) -> Inspected {
        let Self {
            head,
            scanners,
            look,
            mut gather,
            seen,
            over,
            ..
        } = self;
        let end = if over { End::Limit } else { End::Whole };
        let Seen { text, detected } = look.finish(&mut gather);
        for scanner in scanners {
            let report = scanner.finish(end);
            report.findings.into_iter().for_each(|finding| gather.add(finding));
            report
                .details
                .into_iter()
                .for_each(|(name, value)| gather.fact(&name, value));
            report.checked.iter().for_each(|what| gather.checked(what));
            report.not_checked.into_iter().for_each(|what| gather.not_checked(what));
        }
        Inspected {
            head: head.freeze(),
            seen,
            end,
            text,
            detected,
            outcome: gather.finish(),
        }
    }
}

impl Inspected {
    /// The kind of inside that is to be opened; none for text, unless it is a mail with its parts, and for what was not read to its end.
    pub fn inside(&self, detected: &Detected) -> Option<Kind> {
        let opened = !self.text || detected.is_mail();
        (opened && self.end == End::Whole)
            .then(|| inside_of(&detected.name, &self.head))
            .flatten()
    }

    /// Whether the bytes are not what somebody claims. Worth a second look before it is believed: it may have been the transport.
    pub fn is_damaged(&self) -> bool {
        self.outcome
            .findings
            .iter()
            .any(|finding| finding.category == "integrity")
    }
}

/// Everything that is known about a document at the end.
pub struct Evidence {
    /// What the scanners saw.
    pub inspected: Inspected,
    /// What a child process found in it, where one looked.
    pub inside: Option<Outcome>,
    /// Whether the child opened it.
    pub opened: bool,
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
    /// What it has to conform to.
    pub schemas: Selected,
}

/// Findings, verdict and details.
pub fn conclude(rules: &Rulebook, evidence: Evidence) -> Conclusion {
    let Rulebook {
        policy,
        engines,
        versions,
        ..
    } = rules;
    let Evidence {
        inspected,
        inside,
        opened,
        stored_size,
        detected,
        reads_exhausted,
        claims,
        declared,
        schemas,
    } = evidence;
    let Inspected {
        seen,
        end,
        text,
        outcome: streamed,
        ..
    } = inspected;
    let mut gather = Gather::new(policy.max_findings, None);
    gather.merge(streamed);
    if let Some(inside) = inside {
        gather.merge(inside);
    }
    gather.checked("type");
    for finding in claims.iter().filter_map(|claim| claim.check(&detected)) {
        gather.add(finding);
    }
    // The look inside says more of macros than the container's directory does.
    if detected.macros && !gather.has_rule("active/macros") {
        gather.add(macros(&claims));
    }
    for what in &detected.not_checked {
        let seen_since = match *what {
            "archive-contents" | "document-contents" | "contents" => opened,
            what => text && what.starts_with("structure-beyond"),
        };
        if !seen_since {
            gather.not_checked(*what);
        }
    }
    if end == End::Limit {
        gather.limit("max_bytes", policy.max_bytes);
        gather.fact("bytes_not_looked_at", stored_size.saturating_sub(seen));
    }
    if let Some((name, value)) = detected.limit {
        gather.limit(name, value);
    }
    if let Some(bytes) = reads_exhausted {
        gather.limit("directory_bytes", bytes);
        gather.not_checked("container-directory");
    }
    if schemas.deny_others
        && !["JSON Schema", "table contract"]
            .iter()
            .any(|what| gather.looked_at(what))
    {
        gather.add(other_kind(&schemas));
    }
    gather.fact("detected_type", detected.name);
    gather.fact("media_type", detected.media_type);
    if let Some(encoding) = detected.encoding {
        gather.fact("encoding", encoding);
    }
    if let Some(declared) = declared {
        gather.fact("declared_type", declared);
    }
    for (name, value) in detected.facts {
        gather.fact(name, value);
    }
    gather.fact("bytes_looked_at", seen);

    let mut outcome = gather.finish();
    outcome.settle();
    let unlisted = outcome.unlisted();
    let Outcome {
        mut findings,
        checked,
        not_checked,
        limits,
        scores,
        facts: mut details,
        decoded: _,
    } = outcome;
    findings.retain(|finding| engines.reports(&finding.rule));
    engines.hide_in_names(&mut findings);
    lower_alone(&mut findings);
    let incomplete = !limits.is_empty();
    let verdict = policy.verdict(&findings, incomplete);
    findings.sort_by(|one, other| {
        let place = |finding: &Finding| (finding.inside.clone(), finding.span.map(|span| span.start));
        other
            .severity
            .cmp(&one.severity)
            .then_with(|| one.rule.cmp(&other.rule))
            .then_with(|| place(one).cmp(&place(other)))
    });
    if unlisted > 0 {
        details.insert("findings_not_listed".to_owned(), unlisted.into());
    }
    details.insert("risk".to_owned(), risk(&findings).into());
    if checked.contains("phi") {
        details.insert("hipaa".to_owned(), safe_harbor(&findings));
    }
    details.insert("checked".to_owned(), checked.into_iter().collect());
    details.insert("not_checked".to_owned(), not_checked.into_iter().collect());
    let mut versions = versions.clone();
    versions.extend(schemas.version.map(|version| ("schema".to_owned(), version)));
    details.insert("versions".to_owned(), serde_json::json!(versions));
    if !scores.is_empty() {
        details.insert("scores".to_owned(), serde_json::json!(scores));
    }
    if incomplete {
        let named = limits.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
        details.insert("limit".to_owned(), named.into());
        details.extend(
            limits
                .into_iter()
                .map(|(name, value)| (format!("limit_{name}"), Value::from(value))),
        );
    }
    Conclusion {
        verdict: Some(verdict),
        findings,
        details,
        ..Conclusion::default()
    }
}

/// What says something of a person only beside what names one: a table of measurements has dates too.
const ALONE: [&str; 4] = ["phi/date", "phi/url", "phi/ip", "pii/person-year"];

/// Lowers dates, addresses of pages and machines to `low` where nothing else personal is found.
pub fn lower_alone(findings: &mut [Finding]) {
    let personal = |finding: &Finding| matches!(finding.category.as_str(), "phi" | "pii");
    let alone = |finding: &Finding| ALONE.contains(&finding.rule.as_str());
    if findings.iter().filter(|one| personal(one)).all(alone) {
        for finding in findings.iter_mut().filter(|one| alone(one)) {
            finding.severity = finding.severity.min(Severity::Low);
        }
    }
}

/// 0 to 100: how likely it is that at least one finding is right and matters, each weighed by its severity. Of one rule the surest counts.
pub fn risk(findings: &[Finding]) -> u8 {
    let mut best: std::collections::BTreeMap<&str, f64> = std::collections::BTreeMap::new();
    for finding in findings {
        let weight = match finding.severity {
            Severity::Info => 0.0,
            Severity::Low => 0.05,
            Severity::Medium => 0.3,
            Severity::High => 0.7,
            Severity::Critical => 0.95,
        };
        let value = weight * f64::from(finding.confidence.clamp(0.0, 1.0));
        let known = best.entry(&finding.rule).or_default();
        *known = known.max(value);
    }
    let safe: f64 = best.values().map(|value| 1.0 - value).product();
    ((1.0 - safe) * 100.0).round() as u8
}

/// What is said of each category of 45 CFR 164.514(b)(2)(i), by its letter: how often it was found, that it was not, or that a text does not show it.
fn safe_harbor(findings: &[Finding]) -> Value {
    let counted = findings
        .iter()
        .map(|finding| (finding.rule.as_str(), finding.count.unwrap_or(1)));
    let line = |(category, state): (categories::Category, categories::State)| {
        let state = match state {
            categories::State::Found(count) => Value::from(count),
            categories::State::NotFound => "not found".into(),
            categories::State::NotCheckable => "not checkable".into(),
        };
        (category.letter.to_string(), state)
    };
    categories::report(counted).map(line).into_iter().collect()
}

/// A schema applies, and the document is of a kind it says nothing about.
fn other_kind(schemas: &Selected) -> Finding {
    let wanted = match (&schemas.document, &schemas.table) {
        (Some(_), None) => "JSON or JSON lines",
        (None, Some(_)) => "a table",
        _ => "JSON or a table",
    };
    let mut finding = finding(
        "schema/kind",
        Severity::Medium,
        1.0,
        format!("documents here have to be {wanted}, and this one is not, or is none that can be read"),
    );
    finding.remediation = Some("send it in the agreed form, or to another place".to_owned());
    finding
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
