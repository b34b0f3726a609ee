//! The index: what SQLite holds. Functions here run inside one operation of the group commit, or on a read-only connection.

pub(crate) mod buckets;
pub(crate) mod ledger;
pub(crate) mod list;
pub(crate) mod multipart;
pub(crate) mod objects;
pub(crate) mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use cofferdam_schemas::{Timestamp, VersionId};
use rusqlite::Transaction;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Refusal;
use crate::landing::LandingKeys;

/// Makes the tables.
pub(crate) fn migrate(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    const VERSION: i64 = 1;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > VERSION {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA),
            Some(format!(
                "bucket index has version {found}, this program knows {VERSION}"
            )),
        ));
    }
    tx.execute_batch(include_str!("schema.sql"))?;
    tx.pragma_update(None, "user_version", VERSION)
}

/// One change to the index: a savepoint in a transaction, and what is to be done after its commit.
pub(crate) struct Change<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    /// The time of the change.
    pub(crate) now: Timestamp,
    /// Whether the bucket of the change writes ledger rows.
    pub(crate) landing: bool,
    /// Which keys that bucket takes.
    pub(crate) keys: Option<Arc<dyn LandingKeys>>,
    /// Files that no row speaks of any more.
    pub(crate) released: Vec<String>,
    /// Whether ledger rows were added.
    pub(crate) recorded: bool,
}

impl Change<'_> {
    /// Whether an object may be written under this key.
    pub(crate) fn takes(&self, key: &str) -> Result<(), Refusal> {
        match &self.keys {
            Some(keys) => keys.check(key).map_err(|reason| Refusal::NotTaken { reason }),
            None => Ok(()),
        }
    }
}

/// Headers that are stored with an object and given back as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Headers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
}

/// What goes with an object's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) headers: Headers,
    pub(crate) user: BTreeMap<String, String>,
    pub(crate) tags: Tags,
}

/// Object tags in the order they were given.
pub(crate) type Tags = Vec<(String, String)>;

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versioning {
    /// It never did.
    Unversioned,
    /// Every write makes a version.
    Enabled,
    /// It did; writes replace the version `null`.
    Suspended,
}

impl Versioning {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unversioned => "unversioned",
            Self::Enabled => "enabled",
            Self::Suspended => "suspended",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Unversioned, Self::Enabled, Self::Suspended]
            .into_iter()
            .find(|v| v.as_str() == text)
    }

    /// The public version id of a version in such a bucket, if requests get to see one.
    pub(crate) fn public(self, id: i64, plain: bool) -> Option<String> {
        match self {
            Self::Unversioned => None,
            Self::Enabled | Self::Suspended if plain => Some("null".to_owned()),
            Self::Enabled | Self::Suspended => Some(version_text(id)),
        }
    }
}

/// Version ids as text: 16 hex digits.
pub(crate) fn version_text(id: i64) -> String {
    format!("{id:016x}")
}

/// The number of a version id; `None` for a text this store never gave.
pub(crate) fn version_number(text: &str) -> Option<i64> {
    let id = (text.len() == 16)
        .then(|| i64::from_str_radix(text, 16).ok())
        .flatten()?;
    (version_text(id) == text).then_some(id)
}

/// A version id of ours as the wire type.
pub(crate) fn version_id(id: i64) -> rusqlite::Result<VersionId> {
    VersionId::new(version_text(id)).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Unsigned sizes in SQLite's signed integers.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

pub(crate) fn to_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(crate) fn from_json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// A key as text; the index only ever gets valid UTF-8.
pub(crate) fn key_text(column: usize, bytes: Vec<u8>) -> rusqlite::Result<String> {
    String::from_utf8(bytes)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn version_ids_go_there_and_back() {
        for id in [0, 1, 255, i64::MAX] {
            assert_eq!(version_number(&version_text(id)), Some(id));
        }
        for text in [
            "",
            "null",
            "1",
            "00000000000000FF",
            "+00000000000000f",
            "000000000000000g",
        ] {
            assert_eq!(version_number(text), None, "{text}");
        }
    }

    #[test]
    fn version_ids_sort_like_their_numbers() {
        assert!(version_text(9) < version_text(10));
        assert!(version_text(255) < version_text(256));
    }

    #[test]
    fn a_newer_index_is_refused() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate(&tx).unwrap();
        migrate(&tx).unwrap();
        tx.pragma_update(None, "user_version", 99).unwrap();
        assert!(migrate(&tx).is_err());
    }
}
