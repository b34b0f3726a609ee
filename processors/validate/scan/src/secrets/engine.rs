//! What a scan gives.

use aho_corasick::AhoCorasick;
use cofferdam_schemas::Severity;

use super::candidate::Candidate;
use super::decode::{Chain, DecodeLimits, DecodedRun, decoded_runs};
use super::gate::Gate;
use super::pack::Packs;
use super::rule::Rule;
use super::search::{Scan, extension, is_screen};
use super::value::Verdict;
use crate::hit::Hit;

/// Less sure than this is not worth saying.
const FLOOR: f32 = 0.25;

/// The limits that were reached, and so what was not looked at or not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Reached {
    /// A rule had more than 2 000 hits; the rest of them is not told.
    pub hits: bool,
    /// Regexes had looked at 16 MiB and 64 times the text; the rest was searched for keywords only.
    pub work: bool,
    /// A rule's regex does not compile within 64 MiB and was not tried.
    pub size: bool,
    /// Encoded runs beyond the limits were not decoded.
    pub decoding: bool,
}

impl Reached {
    /// Whether any limit was.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// The limits as they are named in a result.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            (self.hits, "secrets/hits"),
            (self.work, "secrets/work"),
            (self.size, "secrets/regex-size"),
            (self.decoding, "secrets/decoding"),
        ];
        all.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect()
    }

    /// Takes the limits of another scan too.
    pub fn add(&mut self, other: Self) {
        self.hits |= other.hits;
        self.work |= other.work;
        self.size |= other.size;
        self.decoding |= other.decoding;
    }
}

/// A hit inside something encoded. Its span is that of the outermost encoded run.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The hit.
    pub hit: Hit,
    /// The encodings, outermost first.
    pub chain: Chain,
}

/// What a keyword leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub rule: usize,
    pub gate: Gate,
}

/// The keyword automaton.
#[derive(Debug)]
pub(crate) struct Keywords {
    pub automaton: AhoCorasick,
    /// By pattern of the automaton.
    pub uses: Vec<Vec<Use>>,
    /// Rules without keywords that are for documents of certain names.
    pub named: Vec<usize>,
    /// Rules that look for the columns of a table.
    pub columns: Vec<usize>,
}

impl Packs {
    /// Looks for secrets in the text. `path` is the document's name, if it has one: some rules are for certain names only, others
    /// are surer there. Overlapping hits are reduced to the most specific one. The time is linear in the text's length.
    pub fn scan(&self, text: &str, path: Option<&str>, out: &mut Vec<Hit>) -> Reached {
        let mut scan = Scan::new(self, text, path);
        scan.run();
        let reached = scan.reached;
        let mut found = scan.found;
        scan_order(&mut found);
        let mut hits: Vec<(Hit, i64)> = Vec::new();
        let likely =
            |rule: &Rule| path.is_some_and(|path| rule.likely.as_ref().is_some_and(|names| names.is_match(path)));
        for candidate in found {
            let rule = &self.rules[candidate.rule];
            let Some(hit) = tell(rule, &candidate, likely(rule)) else {
                continue;
            };
            let rank = rule.rank - i64::from(candidate.verdict == Verdict::Weak) * 100;
            match hits.last_mut() {
                Some((last, kept)) if hit.span.start < last.span.end => {
                    if (rank, hit.confidence) > (*kept, last.confidence) {
                        (*last, *kept) = (hit, rank);
                    }
                }
                _ => hits.push((hit, rank)),
            }
        }
        out.extend(hits.into_iter().map(|(hit, _)| hit));
        reached
    }

    /// Looks for secrets inside Base64, hexadecimal and percent-encoded runs of the text, and inside those again, to the stated depth.
    pub fn scan_decoded(
        &self,
        text: &str,
        path: Option<&str>,
        limits: &DecodeLimits,
        out: &mut Vec<Decoded>,
    ) -> Reached {
        let mut reached = Reached::default();
        let mut runs = decoded_runs(text, limits);
        for run in &mut runs {
            reached.add(self.scan_run(&run, path, out));
        }
        reached.decoding |= runs.limit_reached();
        reached
    }

    /// Looks for secrets in what an encoded run holds.
    pub fn scan_run(&self, run: &DecodedRun, path: Option<&str>, out: &mut Vec<Decoded>) -> Reached {
        let mut hits = Vec::new();
        let text = run.text();
        let reached = text.map_or_else(Reached::default, |text| self.scan(&text, path, &mut hits));
        out.extend(hits.into_iter().map(|hit| Decoded {
            hit: Hit {
                span: run.span.clone(),
                ..hit
            },
            chain: run.chain.clone(),
        }));
        reached
    }

    /// All of a document's name that bears on what is found in it: under names of the same profile the same text has the same hits.
    pub fn profile(&self, path: &str) -> Vec<u8> {
        let lists = self.infos.iter().flat_map(|info| &info.allow);
        let lists = lists.chain(self.rules.iter().flat_map(|rule| &rule.allow));
        let names = self.rules.iter().flat_map(|rule| rule.path.iter().chain(&rule.likely));
        let patterns = names.chain(lists.flat_map(|allow| &allow.paths));
        let mut profile: Vec<u8> = patterns.map(|pattern| u8::from(pattern.is_match(path))).collect();
        profile.push(u8::from(is_screen(path)));
        profile.extend(extension(path).unwrap_or_default().bytes());
        profile
    }

    /// The rules that find something in the text, before overlaps are resolved. For examples.
    pub(crate) fn firing(&self, text: &str, path: Option<&str>) -> Vec<(usize, Severity)> {
        let mut scan = Scan::new(self, text, path);
        scan.run();
        let told = |candidate: &Candidate| {
            tell(&self.rules[candidate.rule], candidate, false).map(|hit| (candidate.rule, hit.severity))
        };
        scan.found.iter().filter_map(told).collect()
    }
}

fn scan_order(found: &mut [Candidate]) {
    found.sort_by_key(|candidate| {
        (
            candidate.span.start,
            std::cmp::Reverse(candidate.span.end),
            candidate.rule,
        )
    });
}

fn tell(rule: &Rule, candidate: &Candidate, likely: bool) -> Option<Hit> {
    let bonus = candidate.lean + if likely { 0.15 } else { 0.0 };
    let (severity, confidence) = match candidate.verdict {
        Verdict::No => return None,
        Verdict::Weak => (Severity::Low.min(rule.severity), 0.3),
        Verdict::Secret(sure) => (rule.severity, (rule.confidence * sure).sqrt() + bonus),
    };
    (confidence >= FLOOR).then(|| Hit {
        rule: rule.name.clone(),
        severity,
        confidence: confidence.clamp(0.0, 0.99),
        span: candidate.span.clone(),
        message: rule.message.clone(),
        remediation: rule.remediation.clone(),
        citation: rule.citation.clone(),
    })
}
