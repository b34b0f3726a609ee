//! Size and checksums, recomputed and compared with what the event and the store claim.

use std::collections::BTreeSet;

use cofferdam_schemas::{Checksums, Severity};
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{End, Report, Scanner, finding};

/// What somebody claims about the document's bytes.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    sizes: BTreeSet<u64>,
    checksums: Vec<Checksums>,
}

impl Claims {
    /// Adds what one of them claims: the event, or the store when it is read.
    pub fn add(&mut self, size: u64, checksums: &Checksums) {
        self.sizes.insert(size);
        if !self.checksums.contains(checksums) {
            self.checksums.push(checksums.clone());
        }
    }

    fn of(&self, pick: fn(&Checksums) -> Option<&String>) -> BTreeSet<String> {
        self.checksums
            .iter()
            .filter_map(pick)
            .map(|claim| claim.to_ascii_lowercase())
            .collect()
    }
}

enum Hasher {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Crc(Crc, usize),
}

impl Hasher {
    fn update(&mut self, chunk: &[u8]) {
        match self {
            Hasher::Md5(hash) => hash.update(chunk),
            Hasher::Sha1(hash) => hash.update(chunk),
            Hasher::Sha256(hash) => hash.update(chunk),
            Hasher::Crc(crc, _) => crc.update(chunk),
        }
    }

    fn hex(self) -> String {
        match self {
            Hasher::Md5(hash) => hex::encode(hash.finalize()),
            Hasher::Sha1(hash) => hex::encode(hash.finalize()),
            Hasher::Sha256(hash) => hex::encode(hash.finalize()),
            Hasher::Crc(crc, digits) => format!("{:0digits$x}", crc.finalize()),
        }
    }
}

/// One checksum that is computed, and what it should be.
struct Line {
    name: &'static str,
    hasher: Hasher,
    claimed: BTreeSet<String>,
}

/// SHA-256 always; the others only where somebody claims one, and MD5 and SHA-1 only where nobody claims a SHA-256: whoever could make that one
/// right could make these right, and MD5 takes longer than everything else about a large document together.
pub struct Integrity {
    sizes: BTreeSet<u64>,
    lines: Vec<Line>,
    seen: u64,
}

impl Integrity {
    /// Will compare with these claims.
    pub fn new(claims: &Claims) -> Self {
        let crc = |algorithm, digits| Hasher::Crc(Crc::new(algorithm), digits);
        let line = |name, hasher, claimed| Line { name, hasher, claimed };
        let all = [
            line(
                "sha256",
                Hasher::Sha256(Sha256::new()),
                claims.of(|c| c.sha256.as_ref()),
            ),
            line("sha1", Hasher::Sha1(Sha1::new()), claims.of(|c| c.sha1.as_ref())),
            line("md5", Hasher::Md5(Md5::new()), claims.of(|c| c.md5.as_ref())),
            line(
                "crc32",
                crc(CrcAlgorithm::Crc32IsoHdlc, 8),
                claims.of(|c| c.crc32.as_ref()),
            ),
            line(
                "crc32c",
                crc(CrcAlgorithm::Crc32Iscsi, 8),
                claims.of(|c| c.crc32c.as_ref()),
            ),
            line(
                "crc64nvme",
                crc(CrcAlgorithm::Crc64Nvme, 16),
                claims.of(|c| c.crc64nvme.as_ref()),
            ),
        ];
        let strong = !all[0].claimed.is_empty();
        let lines = all
            .into_iter()
            .filter(|line| match line.name {
                "sha256" => true,
                "md5" | "sha1" if strong => false,
                _ => !line.claimed.is_empty(),
            })
            .collect();
        Self {
            sizes: claims.sizes.clone(),
            lines,
            seen: 0,
        }
    }
}

/// The rule and its sentence. A document that is not what was uploaded must not be given out as if it were: high, hence quarantine.
fn damaged(rule: &str, what: &str) -> cofferdam_schemas::Finding {
    let message = format!("the bytes read do not have the {what} that the store claims");
    let mut finding = finding(rule, Severity::High, 1.0, message);
    finding.remediation =
        Some("upload the document again from its source, and have the store's disks looked at".to_owned());
    finding
}

impl Scanner for Integrity {
    fn feed(&mut self, chunk: &[u8]) {
        self.seen += chunk.len() as u64;
        for line in &mut self.lines {
            line.hasher.update(chunk);
        }
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        let mut report = Report::default();
        if end == End::Limit {
            report.not_checked.push("size".to_owned());
            report
                .not_checked
                .extend(self.lines.iter().map(|line| line.name.to_owned()));
            return report;
        }
        report.checked.push("size".to_owned());
        report.details.insert("size".to_owned(), self.seen.into());
        if self.sizes.iter().any(|claimed| *claimed != self.seen) {
            report.findings.push(damaged("integrity/size", "size"));
        }
        for Line { name, hasher, claimed } in self.lines {
            let computed = hasher.hex();
            if !claimed.is_empty() {
                report.checked.push(name.to_owned());
            }
            if claimed.iter().any(|claim| *claim != computed) {
                report.findings.push(damaged(&format!("integrity/{name}"), name));
            }
            if name == "sha256" {
                report.details.insert(name.to_owned(), computed.into());
            }
        }
        report
    }
}
