//! The bill of materials of a batch: an in-toto Statement, version 1, whose predicate says of every document what it is, what was found and with which rules.
//!
//! It holds names, hashes, verdicts and the names of rules, never a value that was found. It travels in a [DSSE envelope](crate::dsse), and whoever has the public key checks
//! it without a server. Two kinds of batch have the same form: documents, and one file of records that was split by verdict.

mod check;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use check::{BomError, MOST_DOCUMENTS};

use crate::finding::Verdict;
use crate::ids::{BucketName, KeyId, ObjectId, Sha256Hex, TenantName};
use crate::query::ObjectState;
use crate::timestamp::Timestamp;

/// `_type` of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StatementType {
    /// Version 1 of in-toto's statement.
    #[serde(rename = "https://in-toto.io/Statement/v1")]
    V1,
}

/// `predicateType` of our statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PredicateType {
    /// The predicate is a [`Bom`].
    #[serde(rename = "urn:cofferdam:bom:v1")]
    Bom,
}

/// The signed payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// Always the same.
    #[serde(rename = "_type")]
    pub statement_type: StatementType,
    /// What the statement is about: every document whose hash is known, or every file of a split, in the order of the predicate.
    pub subject: Vec<Subject>,
    /// Always the same.
    #[serde(rename = "predicateType")]
    pub predicate_type: PredicateType,
    /// What is said.
    pub predicate: Bom,
}

/// A name and the bytes behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// The document's or the file's name. Two versions of an object have the same.
    pub name: String,
    /// The hash of its bytes.
    pub digest: Digest,
}

/// in-toto's set of digests; one of them is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Digest {
    /// SHA-256.
    pub sha256: Sha256Hex,
}

/// The predicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bom {
    /// When it was made.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: Maker,
    /// Which documents it is to cover.
    pub batch: Batch,
    /// How many documents (or records of a split) have which verdict.
    pub counts: Counts,
    /// The sets of rule packs, models and their versions that were used. Documents name theirs by its place, from 0; a split has one.
    #[serde(deserialize_with = "maps_without_twins")]
    #[schemars(with = "Vec<BTreeMap<String, String>>")]
    pub versions: Vec<BTreeMap<String, String>>,
    /// The documents; none in the bill of a split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// The split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// Who made a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Maker {
    /// The program.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The key that signs the statement.
    pub key: KeyId,
    /// Whose documents these are, where there is an installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
}

/// Where the documents were taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The rows of a running installation.
    Catalog,
    /// Lines that `scan --json` printed.
    Scan,
    /// One file of records, split by verdict.
    Split,
}

/// What was asked for. Every condition that is there had to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Batch {
    /// Where from.
    pub source: Source,
    /// Keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// In this landing bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketName>,
    /// Last modified at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Last modified before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// A list of objects instead: how many were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
}

impl Batch {
    /// Everything from there.
    pub fn all(source: Source) -> Self {
        Self {
            source,
            prefix: None,
            bucket: None,
            since: None,
            until: None,
            objects: None,
        }
    }
}

/// Numbers by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// With `pass`.
    pub pass: u64,
    /// With `review`.
    pub review: u64,
    /// With `incomplete`.
    pub incomplete: u64,
    /// With `quarantine`.
    pub quarantine: u64,
    /// Without a verdict: not looked at yet, or given up.
    pub no_verdict: u64,
}

impl Counts {
    /// Counts one more. Numbers above 2^64 - 1 stay there.
    pub fn add(&mut self, verdict: Option<Verdict>) {
        let place = match verdict {
            Some(Verdict::Pass) => &mut self.pass,
            Some(Verdict::Review) => &mut self.review,
            Some(Verdict::Incomplete) => &mut self.incomplete,
            Some(Verdict::Quarantine) => &mut self.quarantine,
            None => &mut self.no_verdict,
        };
        *place = place.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }
}

/// One document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// Its key, or its path as it was scanned.
    pub name: String,
    /// The landing bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketName>,
    /// The object's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// Where the object was on its way when the statement was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ObjectState>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Hash of the bytes. Absent while nobody has read all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hex>,
    /// The verdict; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// 0 (nothing found) to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<u8>,
    /// How many findings there are.
    pub findings: u64,
    /// The rules that found something, as far as the findings are listed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rules: BTreeSet<String>,
    /// The place in [`Bom::versions`] of what it was checked with. Absent when there is no verdict, or the row had no room for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<u32>,
    /// When the check ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
}

/// One file of records, sorted into files by verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Split {
    /// The file that was split.
    pub input: File,
    /// What was written: `clean` (pass), `review` (review and incomplete), `quarantine`.
    pub parts: Vec<Part>,
    /// What the set shows as a whole, in numbers: duplicates, outliers and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, u64>,
    /// Limits that were reached when the set was looked at as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
}

/// A file of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// Its name without folders.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Hash of its bytes.
    pub sha256: Sha256Hex,
    /// Records in it; a table's header is none.
    pub records: u64,
}

/// A file of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// The file.
    pub file: File,
    /// Its records by verdict.
    pub counts: Counts,
}

impl Statement {
    /// The statement that says this, with its subjects.
    pub fn new(predicate: Bom) -> Self {
        Self {
            statement_type: StatementType::V1,
            subject: predicate.subjects(),
            predicate_type: PredicateType::Bom,
            predicate,
        }
    }
}

impl Bom {
    /// What it is about, in order.
    pub fn subjects(&self) -> Vec<Subject> {
        let documents = self.documents.iter().map(|one| (&one.name, one.sha256.as_ref()));
        let parts = self.split.iter().flat_map(|split| &split.parts);
        let parts = parts.map(|part| (&part.file.name, Some(&part.file.sha256)));
        let subject = |(name, sha256): (&String, Option<&Sha256Hex>)| {
            Some(Subject {
                name: name.clone(),
                digest: Digest {
                    sha256: sha256?.clone(),
                },
            })
        };
        documents.chain(parts).filter_map(subject).collect()
    }
}

/// Maps in which no name stands twice: of two the derived reader would keep one, and another reader the other.
fn maps_without_twins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BTreeMap<String, String>>, D::Error> {
    struct Single(BTreeMap<String, String>);
    impl<'de> Deserialize<'de> for Single {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Entries).map(Single)
        }
    }
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = BTreeMap<String, String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("versions by name")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, version)) = entries.next_entry::<String, String>()? {
                if all.insert(name, version).is_some() {
                    return Err(de::Error::custom("a name stands twice among the versions"));
                }
            }
            Ok(all)
        }
    }
    struct Maps;
    impl<'de> Visitor<'de> for Maps {
        type Value = Vec<BTreeMap<String, String>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of versions")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut maps: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(Single(one)) = maps.next_element()? {
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_seq(Maps)
}
