//! Rows of the ledger.

use cofferdam_schemas::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Change, from_json, write};
use crate::ledger::{Accept, LedgerDepth, LedgerKind, LedgerRow};

const COLUMNS: &str = "seq, kind, payload, redrives, accepted_at, published_at, subject";

fn read(row: &Row<'_>) -> rusqlite::Result<LedgerRow> {
    let kind: String = row.get(1)?;
    let published: Option<i64> = row.get(5)?;
    Ok(LedgerRow {
        seq: row.get(0)?,
        kind: LedgerKind::parse(&kind).ok_or(rusqlite::Error::InvalidQuery)?,
        payload: from_json(2, row.get_ref(2)?.as_str()?)?,
        redrives: row.get(3)?,
        accepted_at: Timestamp::from_unix_millis(row.get(4)?),
        published_at: published.map(Timestamp::from_unix_millis),
        subject_id: row.get(6)?,
    })
}

/// Adds a row.
pub(crate) fn insert(
    change: &mut Change<'_>,
    kind: LedgerKind,
    subject: Option<&str>,
    object: Option<i64>,
    payload: &str,
) -> rusqlite::Result<i64> {
    change
        .tx
        .prepare_cached("INSERT INTO ledger (kind, subject, object, payload, accepted_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            kind.as_str(),
            subject,
            object,
            payload,
            change.now.unix_millis()
        ])?;
    change.recorded = true;
    Ok(change.tx.last_insert_rowid())
}

/// Adds a row unless there is one of this kind and subject.
pub(crate) fn accept(
    change: &mut Change<'_>,
    kind: LedgerKind,
    subject: &str,
    payload: &str,
) -> rusqlite::Result<Accept> {
    let found = change
        .tx
        .prepare_cached("SELECT seq FROM ledger WHERE kind = ?1 AND subject = ?2 ORDER BY seq LIMIT 1")?
        .query_row(params![kind.as_str(), subject], |row| row.get(0))
        .optional()?;
    match found {
        Some(seq) => Ok(Accept::Exists(seq)),
        None => insert(change, kind, Some(subject), None, payload).map(Accept::New),
    }
}

/// Whether the put of a version is not closed yet.
pub(crate) fn is_open(connection: &Connection, object: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM ledger WHERE object = ?1")?
        .exists([object])
}

pub(crate) fn unpublished(connection: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<LedgerRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM ledger WHERE published_at IS NULL AND seq > ?1 AND parked = 0 AND due_at IS NULL ORDER BY seq LIMIT ?2"
        ))?
        .query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], read)?
        .collect()
}

/// Rows published before a time, and then those published after `ahead`: by a clock that was wrong.
pub(crate) fn overdue(
    connection: &Connection,
    before: Timestamp,
    ahead: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<LedgerRow>> {
    let mut all = Vec::new();
    for (side, time) in [("<", before), (">", ahead.max(before))] {
        let room = i64::try_from(limit - all.len()).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM ledger WHERE published_at IS NOT NULL AND published_at {side} ?1 AND parked = 0 AND due_at IS NULL ORDER BY published_at, seq LIMIT ?2"
        ))?;
        for row in statement.query_map(params![time.unix_millis(), room], read)? {
            all.push(row?);
        }
    }
    Ok(all)
}

pub(crate) fn find(connection: &Connection, kind: LedgerKind, subject: &str) -> rusqlite::Result<Option<LedgerRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM ledger WHERE kind = ?1 AND subject = ?2 ORDER BY seq LIMIT 1"
        ))?
        .query_row(params![kind.as_str(), subject], read)
        .optional()
}

pub(crate) fn deferred(connection: &Connection, due: Timestamp, limit: usize) -> rusqlite::Result<Vec<LedgerRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM ledger WHERE due_at <= ?1 AND parked = 0 ORDER BY due_at, seq LIMIT ?2"
        ))?
        .query_map(
            params![due.unix_millis(), i64::try_from(limit).unwrap_or(i64::MAX)],
            read,
        )?
        .collect()
}

/// Sets the time at which something final is to be looked at again.
pub(crate) fn defer(
    change: &mut Change<'_>,
    kind: LedgerKind,
    subjects: &[String],
    until: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = change
        .tx
        .prepare_cached("UPDATE ledger SET due_at = ?3, parked = 0 WHERE kind = ?1 AND subject = ?2")?;
    for subject in subjects {
        statement.execute(params![kind.as_str(), subject, until.unix_millis()])?;
    }
    Ok(())
}

pub(crate) fn mark_published(change: &mut Change<'_>, rows: &[(i64, Option<String>)]) -> rusqlite::Result<()> {
    let mut statement = change
        .tx
        .prepare_cached("UPDATE ledger SET published_at = ?2, subject = coalesce(?3, subject) WHERE seq = ?1")?;
    for (seq, subject) in rows {
        statement.execute(params![seq, change.now.unix_millis(), subject])?;
    }
    Ok(())
}

/// Counts one more publication and starts the wait again. 0 if the row is closed.
pub(crate) fn mark_redriven(change: &mut Change<'_>, seq: i64) -> rusqlite::Result<u32> {
    change
        .tx
        .prepare_cached(
            "UPDATE ledger SET redrives = redrives + 1, published_at = ?2 WHERE seq = ?1 RETURNING redrives",
        )?
        .query_row(params![seq, change.now.unix_millis()], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

pub(crate) fn park(change: &mut Change<'_>, kind: LedgerKind, subjects: &[String]) -> rusqlite::Result<()> {
    let mut statement = change
        .tx
        .prepare_cached("UPDATE ledger SET parked = 1, due_at = NULL WHERE kind = ?1 AND subject = ?2")?;
    for subject in subjects {
        statement.execute(params![kind.as_str(), subject])?;
    }
    Ok(())
}

/// Removes the rows of subjects that are final, and with them the versions that were held for them.
pub(crate) fn close(change: &mut Change<'_>, kind: LedgerKind, subjects: &[String]) -> rusqlite::Result<()> {
    let tx = change.tx;
    let mut statement = tx.prepare_cached("DELETE FROM ledger WHERE kind = ?1 AND subject = ?2 RETURNING object")?;
    for subject in subjects {
        let objects: Vec<Option<i64>> = statement
            .query_map(params![kind.as_str(), subject], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for object in objects.into_iter().flatten() {
            write::release_held(change, object)?;
        }
    }
    Ok(())
}

/// Removes rows by number, and with them the versions that were held for them.
pub(crate) fn close_rows(change: &mut Change<'_>, seqs: &[i64]) -> rusqlite::Result<()> {
    let tx = change.tx;
    let mut statement = tx.prepare_cached("DELETE FROM ledger WHERE seq = ?1 RETURNING object")?;
    for seq in seqs {
        let object: Option<Option<i64>> = statement.query_row([seq], |row| row.get(0)).optional()?;
        if let Some(object) = object.flatten() {
            write::release_held(change, object)?;
        }
    }
    Ok(())
}

pub(crate) fn depth(connection: &Connection) -> rusqlite::Result<LedgerDepth> {
    connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE parked = 0 AND due_at IS NULL), count(*) FILTER (WHERE parked = 1),
                    min(accepted_at) FILTER (WHERE parked = 0 AND due_at IS NULL) FROM ledger",
        )?
        .query_row([], |row| {
            let oldest: Option<i64> = row.get(2)?;
            let (open, parked) = (super::unsigned(row.get(0)?), super::unsigned(row.get(1)?));
            Ok(LedgerDepth {
                open,
                parked,
                oldest: oldest.map(Timestamp::from_unix_millis),
            })
        })
}
