//! Byte signatures, found wherever chunks happen to be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use cofferdam_scan::hit::Hit;
use cofferdam_schemas::{Severity, Span};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{End, Report, Scanner, finding};
use crate::error::ValidateError;

const BUILT_IN: &str = include_str!("../../rules/signatures.toml");
/// Longest pattern: the bytes carried from one chunk to the next are one less.
const LONGEST: usize = 4096;
/// Most signatures in one file.
const MOST: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pack: String,
    #[serde(default)]
    signature: Vec<Signature>,
}

#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
struct Signature {
    rule: String,
    pattern: String,
    #[serde(default)]
    offset: Option<u64>,
    severity: Severity,
    message: String,
    #[serde(default)]
    remediation: Option<String>,
    #[serde(default)]
    citation: Option<String>,
}

/// All signatures in use, compiled. Shared by every document.
pub struct Signatures {
    automaton: AhoCorasick,
    signatures: Vec<Signature>,
    carry: usize,
    version: String,
}

impl Signatures {
    /// The built-in ones and those of the operator's file.
    pub fn load(file: Option<&Path>) -> Result<Self, ValidateError> {
        let mut texts = vec![(Path::new("built in").to_owned(), BUILT_IN.to_owned())];
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| ValidateError::Read {
                path: path.to_owned(),
                source,
            })?;
            texts.push((path.to_owned(), text));
        }
        let mut signatures = Vec::new();
        let mut version = Vec::new();
        for (path, text) in texts {
            let file: File = toml::from_str(&text).map_err(|source| ValidateError::Parse {
                path,
                source: Box::new(source),
            })?;
            version.push(format!("{}@{}", file.pack, &hex::encode(Sha256::digest(&text))[..12]));
            signatures.extend(file.signature);
        }
        Self::compile(signatures, version.join(" "))
    }

    fn compile(signatures: Vec<Signature>, version: String) -> Result<Self, ValidateError> {
        let mut rules = BTreeSet::new();
        let mut patterns = Vec::new();
        for signature in &signatures {
            let wrong = |reason| ValidateError::Signature {
                rule: signature.rule.clone(),
                reason,
            };
            let pattern = hex::decode(&signature.pattern).map_err(|_| wrong("pattern takes pairs of hex digits"))?;
            let least = if signature.offset.is_some() { 2 } else { 4 };
            if !(least..=LONGEST).contains(&pattern.len()) {
                return Err(wrong("pattern takes 4 (with an offset 2) to 4,096 bytes"));
            }
            if !signature.rule.contains('/') || signature.rule.len() > 80 {
                return Err(wrong("rule takes <category>/<name>, at most 80 characters"));
            }
            if !rules.insert(&signature.rule) {
                return Err(wrong("rule stands twice"));
            }
            if patterns.len() == MOST {
                return Err(wrong("more than 10,000 signatures"));
            }
            patterns.push(pattern);
        }
        let carry = patterns.iter().map(Vec::len).max().unwrap_or(1) - 1;
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind((patterns.len() < 200).then_some(AhoCorasickKind::DFA))
            .build(&patterns)
            .map_err(ValidateError::Compile)?;
        Ok(Self {
            automaton,
            signatures,
            carry,
            version,
        })
    }

    /// Name, severity, message and citation of each.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Severity, &str, Option<&str>)> {
        self.signatures.iter().map(|one| {
            (
                one.rule.as_str(),
                one.severity,
                one.message.as_str(),
                one.citation.as_deref(),
            )
        })
    }

    /// Names the packs and their content, for results: the same version finds the same.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Signatures {
    /// What is in bytes that were decoded from a text, where they stand as a whole at `span` of it. Signatures that are bound to a place count
    /// from the first byte.
    pub fn hits(&self, bytes: &[u8], span: std::ops::Range<usize>) -> Vec<Hit> {
        let mut found = BTreeSet::new();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let index = hit.pattern().as_usize();
            let anchored = self.signatures[index].offset;
            if anchored.is_none_or(|offset| offset == hit.start() as u64) {
                found.insert(index);
            }
        }
        let hit = |index: usize| {
            let signature = &self.signatures[index];
            Hit {
                rule: signature.rule.clone().into(),
                severity: signature.severity,
                confidence: 1.0,
                span: span.clone(),
                message: signature.message.clone().into(),
                remediation: signature.remediation.clone().map(Into::into),
                citation: signature.citation.clone().map(Into::into),
            }
        };
        found.into_iter().map(hit).collect()
    }
}

/// Where one signature was found.
struct Hits {
    first: Span,
    count: u64,
}

/// Looks for every signature, overlapping ones too.
pub struct SignatureScanner {
    signatures: Arc<Signatures>,
    /// The last bytes seen, one less than the longest pattern: what a pattern cut in two has on this side.
    carry: Vec<u8>,
    at: u64,
    hits: BTreeMap<usize, Hits>,
}

impl SignatureScanner {
    /// At the beginning of a document.
    pub fn new(signatures: Arc<Signatures>) -> Self {
        Self {
            signatures,
            carry: Vec::new(),
            at: 0,
            hits: BTreeMap::new(),
        }
    }

    /// Searches bytes that begin at `origin` of the document; `counts` says which matches are new.
    fn search(&mut self, bytes: &[u8], origin: u64, counts: impl Fn(usize, usize) -> bool) {
        for found in self.signatures.automaton.find_overlapping_iter(bytes) {
            let (start, end) = (found.start(), found.end());
            let place = Span {
                start: origin + start as u64,
                end: origin + end as u64,
            };
            let index = found.pattern().as_usize();
            let anchored = self.signatures.signatures[index].offset;
            if counts(start, end) && anchored.is_none_or(|offset| offset == place.start) {
                self.hits.entry(index).or_insert(Hits { first: place, count: 0 }).count += 1;
            }
        }
    }
}

impl Scanner for SignatureScanner {
    fn feed(&mut self, chunk: &[u8]) {
        let reach = self.signatures.carry;
        let carried = self.carry.len();
        if carried > 0 {
            // Only what begins on that side and ends on this one: the rest was seen, or is seen below.
            let mut seam = std::mem::take(&mut self.carry);
            seam.extend_from_slice(&chunk[..chunk.len().min(reach)]);
            self.search(&seam, self.at - carried as u64, |start, end| {
                start < carried && end > carried
            });
            self.carry = seam;
        }
        self.search(chunk, self.at, |_, _| true);
        self.at += chunk.len() as u64;
        if chunk.len() >= reach {
            self.carry.clear();
            self.carry.extend_from_slice(&chunk[chunk.len() - reach..]);
        } else {
            if carried == 0 {
                self.carry.extend_from_slice(chunk);
            }
            let surplus = self.carry.len().saturating_sub(reach);
            self.carry.drain(..surplus);
        }
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        let mut report = Report::default();
        report.checked.push("signatures".to_owned());
        if end == End::Limit {
            report.not_checked.push("signatures-beyond-limit".to_owned());
        }
        report
            .details
            .insert("signatures".to_owned(), self.signatures.version().into());
        for (index, Hits { first, count }) in self.hits {
            let signature = &self.signatures.signatures[index];
            let message = match count {
                1 => signature.message.clone(),
                count => format!("{} ({count} places)", signature.message),
            };
            let mut found = finding(&signature.rule, signature.severity, 1.0, message);
            found.span = Some(first);
            found.remediation = signature.remediation.clone();
            found.citation = signature.citation.clone();
            report.findings.push(found);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signature(rule: &str, pattern: &[u8], offset: Option<u64>) -> Signature {
        let (message, severity) = ("found".to_owned(), Severity::High);
        Signature {
            rule: rule.to_owned(),
            pattern: hex::encode(pattern),
            offset,
            severity,
            message,
            remediation: None,
            citation: None,
        }
    }

    fn few() -> Arc<Signatures> {
        let list = vec![
            signature("t/long", b"abcabcabd", None),
            signature("t/inner", b"abca", None),
            signature("t/start", b"ab", Some(0)),
            signature("t/third", b"ca", Some(3)),
        ];
        Arc::new(Signatures::compile(list, "test".to_owned()).unwrap())
    }

    /// Rule, first place, count.
    fn scan(signatures: &Arc<Signatures>, chunks: &[&[u8]]) -> Vec<(String, u64, u64)> {
        let mut scanner = SignatureScanner::new(signatures.clone());
        for chunk in chunks {
            scanner.feed(chunk);
        }
        let name = |index: &usize| signatures.signatures[*index].rule.clone();
        scanner
            .hits
            .iter()
            .map(|(index, hits)| (name(index), hits.first.start, hits.count))
            .collect()
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(text in "[abcd]{0,60}", cuts in prop::collection::vec(0usize..60, 0..12)) {
            let signatures = few();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(scan(&signatures, &chunks), scan(&signatures, &[bytes]));
            // And both agree with looking at every place.
            let naive = |pattern: &[u8]| bytes.windows(pattern.len()).filter(|window| *window == pattern).count() as u64;
            let inner = scan(&signatures, &chunks).into_iter().find(|(rule, ..)| rule == "t/inner").map_or(0, |(.., n)| n);
            prop_assert_eq!(inner, naive(b"abca"));
        }
    }

    #[test]
    fn an_offset_is_kept() {
        let places = |bytes: &[u8]| {
            scan(&few(), &[bytes])
                .into_iter()
                .map(|(rule, ..)| rule)
                .collect::<Vec<_>>()
        };
        assert_eq!(places(b"abxca"), ["t/start", "t/third"]);
        assert_eq!(places(b"xabca"), ["t/inner", "t/third"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |signature: Signature| match Signatures::compile(vec![signature], String::new()) {
            Err(ValidateError::Signature { reason, .. }) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted"),
        };
        assert!(refused(signature("t/short", b"abc", None)).starts_with("pattern takes 4"));
        assert!(refused(signature("flat", b"abcd", None)).starts_with("rule takes"));
        let odd = Signature {
            pattern: "abc".to_owned(),
            ..signature("t/odd", b"abcd", None)
        };
        assert!(refused(odd).starts_with("pattern takes pairs"));
        let twice = vec![signature("t/a", b"abcd", None), signature("t/a", b"efgh", None)];
        assert!(matches!(
            Signatures::compile(twice, String::new()),
            Err(ValidateError::Signature { .. })
        ));
    }

    #[test]
    fn the_built_in_pack_is_whole_and_cites_its_sources() {
        let signatures = Signatures::load(None).unwrap();
        assert!(signatures.signatures.iter().all(|s| s.citation.is_some()));
        assert!(
            signatures.version().starts_with("cofferdam-1@"),
            "{}",
            signatures.version()
        );
    }

    #[test]
    fn an_operators_file_adds_to_it_and_shows_in_the_version() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("more.toml");
        let text = "pack = \"site-7\"\n[[signature]]\nrule = \"site/x\"\npattern = \"01020304\"\nseverity = \"low\"\nmessage = \"ours\"\n";
        std::fs::write(&path, text).unwrap();
        let signatures = Signatures::load(Some(&path)).unwrap();
        assert!(signatures.version().contains(" site-7@"), "{}", signatures.version());
        assert_eq!(
            scan(&Arc::new(signatures), &[&[0, 1, 2, 3, 4]]),
            [("site/x".to_owned(), 1, 1)]
        );

        std::fs::write(&path, "pack = \"site-8\"\nunknown = 1\n").unwrap();
        assert!(matches!(
            Signatures::load(Some(&path)),
            Err(ValidateError::Parse { .. })
        ));
        assert!(matches!(
            Signatures::load(Some(Path::new("/nowhere.toml"))),
            Err(ValidateError::Read { .. })
        ));
    }
}
