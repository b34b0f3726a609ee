//! Listings: range scans of an index in byte order of the keys.

use cofferdam_schemas::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::buckets::{self, BucketRow};
use super::objects::{self, Which};
use super::{key_text, unsigned, version_number};
use crate::digest::Algorithm;
use crate::error::{Refusal, Stop};

/// One object or version in a listing.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The public version id.
    pub(crate) version: Option<String>,
    pub(crate) latest: bool,
    pub(crate) marker: bool,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether its checksum is one over the parts' checksums.
    pub(crate) composite: bool,
}

/// What is to be listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Begin at the first key that is not below this.
    pub(crate) from: Vec<u8>,
    pub(crate) limit: usize,
}

/// One page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins, if there is more.
    pub(crate) next: Option<Vec<u8>>,
}

/// The smallest byte string greater than a key: what `start-after` begins at.
pub(crate) fn after(key: &str) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The smallest byte string greater than all that begin with `prefix`. Text never has the byte 0xFF, so one is enough for the empty prefix.
pub(crate) fn beyond(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = prefix.to_vec();
    match bytes.last_mut() {
        // The last byte of text is at most 0xF4, so this never overflows.
        Some(last) => *last = last.saturating_add(1),
        None => bytes.push(0xFF),
    }
    bytes
}

/// Where a listing that goes on after `marker` begins: behind the whole common prefix, if the marker is one.
pub(crate) fn behind_marker(marker: &str, prefix: &str, delimiter: Option<&str>) -> Vec<u8> {
    match delimiter.and_then(|delimiter| common_prefix(marker, prefix, delimiter)) {
        Some(common) if common == marker => beyond(common.as_bytes()),
        _ => after(marker),
    }
}

/// The part of a key up to the first delimiter behind the prefix.
fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(prefix)?;
    rest.find(delimiter)
        .map(|at| &key[..prefix.len() + at + delimiter.len()])
}

const ENTRY: &str = "key, id, latest, marker, plain, size, etag, modified, algorithm, composite IS NOT NULL";

fn read(bucket: &BucketRow, row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    let (id, plain, algorithm): (i64, bool, Option<String>) = (row.get(1)?, row.get(4)?, row.get(8)?);
    Ok(Entry {
        key: key_text(0, row.get(0)?)?,
        version: bucket.versioning.public(id, plain),
        latest: row.get(2)?,
        marker: row.get(3)?,
        size: unsigned(row.get(5)?),
        etag: row.get(6)?,
        modified: Timestamp::from_unix_millis(row.get(7)?),
        algorithm: algorithm.as_deref().and_then(Algorithm::parse),
        composite: row.get(9)?,
    })
}

/// Lists current objects.
pub(crate) fn current(connection: &Connection, bucket: &str, query: &Query) -> Result<Page, Stop> {
    let bucket = buckets::find(connection, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    let sql = format!(
        "SELECT {ENTRY} FROM objects WHERE bucket = ?1 AND latest = 1 AND marker = 0 AND key >= ?2 AND key < ?3 ORDER BY key"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    scan(query, |from, to, visit| {
        let mut rows = statement.query(params![bucket.id, from, to])?;
        while let Some(row) = rows.next()? {
            if !visit(read(&bucket, row)?) {
                break;
            }
        }
        Ok(())
    })
    .map_err(Stop::from)
}

/// Runs a range scan and folds common prefixes: at each new one the scan begins again behind it.
fn scan(
    query: &Query,
    mut run: impl FnMut(&[u8], &[u8], &mut dyn FnMut(Entry) -> bool) -> rusqlite::Result<()>,
) -> rusqlite::Result<Page> {
    let mut page = Page::default();
    let end = beyond(query.prefix.as_bytes());
    let mut from = query.from.clone().max(query.prefix.as_bytes().to_vec());
    if query.limit == 0 {
        return Ok(page);
    }
    loop {
        let mut again = None;
        run(&from, &end, &mut |entry| {
            let folded = query
                .delimiter
                .as_deref()
                .and_then(|delimiter| common_prefix(&entry.key, &query.prefix, delimiter));
            if page.entries.len() + page.prefixes.len() >= query.limit {
                page.next = Some(entry.key.into_bytes());
                return false;
            }
            match folded {
                Some(common) => {
                    again = Some(beyond(common.as_bytes()));
                    page.prefixes.push(common.to_owned());
                    false
                }
                None => {
                    page.entries.push(entry);
                    true
                }
            }
        })?;
        match again {
            Some(next) => from = next,
            None => return Ok(page),
        }
    }
}

/// One page of versions.
#[derive(Debug, Default)]
pub(crate) struct VersionsPage {
    pub(crate) entries: Vec<Entry>,
    pub(crate) prefixes: Vec<String>,
    /// Key and public version id (none after a common prefix) of the last thing listed, if there is more.
    pub(crate) next: Option<(String, Option<String>)>,
}

/// Lists versions and delete markers: keys ascending, the newest version of each first.
pub(crate) fn versions(
    connection: &Connection,
    bucket: &str,
    query: &Query,
    marker: Option<(&str, Option<&str>)>,
) -> Result<VersionsPage, Stop> {
    let bucket = buckets::find(connection, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    let mut page = VersionsPage::default();
    let end = beyond(query.prefix.as_bytes());
    let mut from = query.prefix.as_bytes().to_vec();
    let mut below = i64::MAX;
    match marker {
        None => {}
        Some((key, None)) => from = behind_marker(key, &query.prefix, query.delimiter.as_deref()).max(from),
        Some((key, Some(version))) => {
            let plain = || objects::row(connection, &bucket, key, &Which::Public("null".to_owned()));
            let id = if version == "null" {
                plain()?.map(|row| row.id)
            } else {
                version_number(version)
            };
            let id = id.ok_or(Refusal::Invalid {
                reason: "version-id-marker is not a version of key-marker",
            })?;
            // A marker before the prefix has no say in where the listing begins.
            if key.as_bytes() >= from.as_slice() {
                (from, below) = (key.as_bytes().to_vec(), id);
            }
        }
    }
    if query.limit == 0 {
        return Ok(page);
    }
    let first = from.clone();
    let sql = format!(
        "SELECT {ENTRY} FROM objects WHERE bucket = ?1 AND held = 0 AND key >= ?2 AND key < ?3 AND (key > ?4 OR id < ?5) ORDER BY key, id DESC"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut last = None;
    loop {
        let mut again = None;
        let mut rows = statement.query(params![bucket.id, from, end, first, below])?;
        while let Some(row) = rows.next()? {
            let entry = read(&bucket, row)?;
            if page.entries.len() + page.prefixes.len() >= query.limit {
                page.next = last;
                return Ok(page);
            }
            let folded = query
                .delimiter
                .as_deref()
                .and_then(|delimiter| common_prefix(&entry.key, &query.prefix, delimiter));
            if let Some(common) = folded {
                again = Some(beyond(common.as_bytes()));
                page.prefixes.push(common.to_owned());
                last = Some((common.to_owned(), None));
                break;
            }
            // A bucket that never had versions shows each object as version `null`.
            last = Some((
                entry.key.clone(),
                Some(entry.version.clone().unwrap_or_else(|| "null".to_owned())),
            ));
            page.entries.push(entry);
        }
        match again {
            Some(next) => from = next,
            None => return Ok(page),
        }
    }
}

/// A multipart upload in a listing.
#[derive(Debug, Clone)]
pub(crate) struct UploadEntry {
    pub(crate) key: String,
    pub(crate) token: String,
    pub(crate) created_at: Timestamp,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) composite: bool,
}

/// One page of uploads.
#[derive(Debug, Default)]
pub(crate) struct UploadsPage {
    pub(crate) entries: Vec<UploadEntry>,
    pub(crate) prefixes: Vec<String>,
    /// Key and upload id of the last thing listed, if there is more.
    pub(crate) next: Option<(String, Option<String>)>,
}

/// Lists unfinished multipart uploads: keys ascending, the oldest of each key first.
pub(crate) fn uploads(
    connection: &Connection,
    bucket: &str,
    query: &Query,
    marker: Option<(&str, Option<&str>)>,
) -> Result<UploadsPage, Stop> {
    let bucket = buckets::find(connection, bucket)?.ok_or(Refusal::NoSuchBucket)?;
    let mut page = UploadsPage::default();
    let end = beyond(query.prefix.as_bytes());
    let mut from = query.prefix.as_bytes().to_vec();
    let mut above = 0;
    match marker {
        None => {}
        Some((key, None)) => from = behind_marker(key, &query.prefix, query.delimiter.as_deref()).max(from),
        Some((key, Some(token))) => {
            let id: Option<i64> = connection
                .prepare_cached("SELECT id FROM uploads WHERE token = ?1")?
                .query_row([token], |row| row.get(0))
                .optional()?;
            // An upload that is gone by now has no place any more: go on behind its key.
            match id {
                Some(id) if key.as_bytes() >= from.as_slice() => (from, above) = (key.as_bytes().to_vec(), id),
                Some(_) => {}
                None => from = after(key).max(from),
            }
        }
    }
    if query.limit == 0 {
        return Ok(page);
    }
    let first = from.clone();
    let mut statement = connection.prepare_cached(
        "SELECT key, token, created_at, algorithm, composite FROM uploads
         WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key > ?4 OR id > ?5) ORDER BY key, id",
    )?;
    let mut last = None;
    loop {
        let mut again = None;
        let mut rows = statement.query(params![bucket.id, from, end, first, above])?;
        while let Some(row) = rows.next()? {
            let algorithm: Option<String> = row.get(3)?;
            let entry = UploadEntry {
                key: key_text(0, row.get(0)?)?,
                token: row.get(1)?,
                created_at: Timestamp::from_unix_millis(row.get(2)?),
                algorithm: algorithm.as_deref().and_then(Algorithm::parse),
                composite: row.get(4)?,
            };
            if page.entries.len() + page.prefixes.len() >= query.limit {
                page.next = last;
                return Ok(page);
            }
            let folded = query
                .delimiter
                .as_deref()
                .and_then(|delimiter| common_prefix(&entry.key, &query.prefix, delimiter));
            if let Some(common) = folded {
                again = Some(beyond(common.as_bytes()));
                page.prefixes.push(common.to_owned());
                last = Some((common.to_owned(), None));
                break;
            }
            last = Some((entry.key.clone(), Some(entry.token.clone())));
            page.entries.push(entry);
        }
        match again {
            Some(next) => from = next,
            None => return Ok(page),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn common_prefixes() {
        assert_eq!(common_prefix("a/b/c", "a/", "/"), Some("a/b/"));
        assert_eq!(common_prefix("a/b", "a/", "/"), None);
        assert_eq!(common_prefix("a/b", "", ""), None);
        assert_eq!(common_prefix("photos--x", "", "--"), Some("photos--"));
        assert_eq!(common_prefix("é/x", "", "/"), Some("é/"));
    }

    #[test]
    fn a_marker_that_is_a_common_prefix_skips_all_of_it() {
        assert_eq!(behind_marker("a/", "", Some("/")), b"a0");
        assert_eq!(behind_marker("a/", "", None), b"a/\0");
        assert_eq!(behind_marker("a/b", "", Some("/")), b"a/b\0");
    }

    proptest::proptest! {
        /// The page walk gives the same as sorting and folding everything at once.
        #[test]
        fn pages_add_up_to_the_whole(keys in proptest::collection::btree_set("[a-c/é]{1,6}", 0..60), prefix in "[a-c/]{0,2}", limit in 1_usize..5) {
            let mut connection = Connection::open_in_memory().unwrap();
            let tx = connection.transaction().unwrap();
            super::super::migrate(&tx).unwrap();
            tx.execute("INSERT INTO buckets (id, name, created_at) VALUES (1, 'bucket', 0)", []).unwrap();
            for key in &keys {
                tx.execute(
                    "INSERT INTO objects (bucket, key, latest, plain, size, etag, modified, sums, headers, user) VALUES (1, ?1, 1, 1, 0, 'e', 0, '{}', '{}', '{}')",
                    [key.as_bytes()],
                ).unwrap();
            }
            let mut expected: Vec<String> = keys
                .iter()
                .filter(|key| key.starts_with(&prefix))
                .map(|key| common_prefix(key, &prefix, "/").unwrap_or(key).to_owned())
                .collect();
            expected.dedup();
            let (mut seen, mut from) = (Vec::new(), Vec::new());
            loop {
                let query = Query { prefix: prefix.clone(), delimiter: Some("/".into()), from, limit };
                let page = current(&tx, "bucket", &query).unwrap();
                proptest::prop_assert!(page.entries.len() + page.prefixes.len() <= limit);
                let mut names: Vec<String> = page.entries.iter().map(|e| e.key.clone()).chain(page.prefixes).collect();
                names.sort_unstable();
                seen.extend(names);
                match page.next {
                    Some(next) => from = next,
                    None => break,
                }
            }
            proptest::prop_assert_eq!(seen, expected);
        }
    }
}
