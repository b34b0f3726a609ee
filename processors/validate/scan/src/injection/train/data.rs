//! The training set.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::augment;
use super::examples;
use crate::injection::InjectionError;

/// The shared development set, see `shared/data/README.md` for sources and licences.
pub const DEV: &str = include_str!("../../../data/injection/injection_dev.jsonl");
/// Excerpts of crates, each row with its licence.
pub const PROSE: &str = include_str!("../../../data/injection/prose.jsonl");
/// Excerpts of crates that earlier weights took for attacks, each row with its licence.
pub const HARD: &str = include_str!("../../../data/injection/hard.jsonl");
/// A few articles of the Universal Declaration of Human Rights in each of many languages: what is foreign is no attack.
pub const TONGUES: &str = include_str!("../../../data/injection/tongues.jsonl");
/// Own templates.
pub const OWN: &str = include_str!("../../../data/injection/own.txt");

/// One labelled text.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    /// Unique.
    pub id: String,
    /// The text.
    pub text: String,
    /// 1 for an attack, 0 for none.
    pub label: u8,
    /// Where it is from.
    pub source: String,
    /// What kind it is.
    pub family: String,
    /// Of an attack put into a document the bytes of the attack; the rest is none.
    #[serde(skip)]
    pub inside: Option<std::ops::Range<usize>>,
}

impl Row {
    /// Whether it is an attack.
    pub fn attack(&self) -> bool {
        self.label == 1
    }

    /// The source it is grouped by: disguised rows stay with the row they were made from, and documents with the attacks put in them.
    pub fn group(&self) -> &str {
        let source = self.source.strip_prefix("derived:").unwrap_or(&self.source);
        source.strip_suffix(":context").unwrap_or(source)
    }
}

/// Rows the scores are taken on, and rows that only help to train.
pub struct Set {
    /// The shared development set.
    pub dev: Vec<Row>,
    /// Prose, own examples, disguised and embedded attacks.
    pub extra: Vec<Row>,
    /// SHA-256 of the five files.
    pub hash: [u8; 32],
}

/// Rows of a JSON Lines text; a line without `id` (the licence line) is passed over.
///
/// # Errors
/// The first line that is no row.
pub fn parse(text: &str) -> Result<Vec<Row>, InjectionError> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("{\"licence\"") || line.trim().is_empty() {
            continue;
        }
        rows.push(serde_json::from_str(line).map_err(|source| InjectionError::Data { line: at + 1, source })?);
    }
    Ok(rows)
}

impl Set {
    /// Everything, made from the files compiled in.
    ///
    /// # Errors
    /// When one of them is wrong.
    pub fn load() -> Result<Self, InjectionError> {
        let dev = parse(DEV)?;
        let prose = parse(PROSE)?;
        let own = examples::expand(OWN)?;
        let mut extra = augment::disguised(&dev);
        extra.extend(augment::disguised(&own));
        // Source in many languages is no text to put orders into: the letters that follow each other in it would become usual.
        let (written, source): (Vec<Row>, Vec<Row>) = prose.into_iter().partition(|row| row.family != "own_source");
        extra.extend(augment::embedded(&own, &written));
        extra.extend(augment::suffixes(&own));
        extra.extend(augment::joined(&written));
        // sentences and requests that stand only inside other rows
        extra.extend(
            own.into_iter()
                .filter(|row| row.source != "own:indirect" && row.source != "own:suffix"),
        );
        extra.extend(written);
        extra.extend(source);
        extra.extend(parse(TONGUES)?);
        extra.extend(parse(HARD)?);
        let mut hash = Sha256::new();
        for part in [DEV, PROSE, HARD, TONGUES, OWN] {
            hash.update(part);
        }
        Ok(Self {
            dev,
            extra,
            hash: hash.finalize().into(),
        })
    }
}
