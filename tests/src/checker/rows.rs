//! The rows, as any program with SQLite reads them.

use rusqlite::{Connection, OpenFlags, Row as Sql};
use serde_json::Value;

use crate::instance::RunFile;

/// One line of the view `documents`.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Row {
    pub object: String,
    pub key: String,
    pub size: u64,
    pub state: String,
    pub verdict: Option<String>,
    pub etag: String,
    pub sealed_key: Option<String>,
    pub sealed_size: Option<u64>,
    pub sha256: Option<String>,
}

/// One line of the view `results`.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct ResultRow {
    pub object: String,
    pub processor: String,
    pub processor_version: String,
    pub outcome: String,
    pub verdict: Option<String>,
    pub details: Value,
}

/// One row of `object_finals`.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct FinalRow {
    pub object: String,
    pub event: String,
    pub state: String,
    pub verdict: String,
    pub sealed: Value,
}

/// One row of `commands`.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct CommandRow {
    pub id: String,
    pub outcome: String,
    pub error: String,
}

/// Everything that is read.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Rows {
    pub documents: Vec<Row>,
    pub results: Vec<ResultRow>,
    pub finals: Vec<FinalRow>,
    pub commands: Vec<CommandRow>,
    /// What the ledger still holds, as text.
    pub ledger: Vec<String>,
}

fn open(path: &std::path::Path) -> anyhow::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(db)
}

fn all<T>(db: &Connection, sql: &str, read: impl FnMut(&Sql<'_>) -> rusqlite::Result<T>) -> anyhow::Result<Vec<T>> {
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], read)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

fn json(row: &Sql<'_>, at: usize) -> rusqlite::Result<Value> {
    let text: Option<String> = row.get(at)?;
    Ok(text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or(Value::Null))
}

impl Rows {
    /// Reads an instance's databases.
    pub fn read(run: &RunFile) -> anyhow::Result<Rows> {
        let db = open(&run.database)?;
        let documents = all(
            &db,
            "SELECT object, key, size, state, verdict, etag, sealed_key, sealed_size, sha256 FROM documents",
            |row| {
                Ok(Row {
                    object: row.get(0)?,
                    key: row.get(1)?,
                    size: row.get::<_, i64>(2)?.try_into().unwrap_or(u64::MAX),
                    state: row.get(3)?,
                    verdict: row.get(4)?,
                    etag: row.get(5)?,
                    sealed_key: row.get(6)?,
                    sealed_size: row.get::<_, Option<i64>>(7)?.and_then(|size| size.try_into().ok()),
                    sha256: row.get(8)?,
                })
            },
        )?;
        let results = all(
            &db,
            "SELECT object, processor, processor_version, outcome, verdict, details FROM results",
            |row| {
                Ok(ResultRow {
                    object: row.get(0)?,
                    processor: row.get(1)?,
                    processor_version: row.get(2)?,
                    outcome: row.get(3)?,
                    verdict: row.get(4)?,
                    details: json(row, 5)?,
                })
            },
        )?;
        let finals = all(
            &db,
            "SELECT lower(hex(object_id)), event_id, state, verdict, sealed FROM object_finals",
            |row| {
                let hex: String = row.get(0)?;
                let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
                Ok(FinalRow {
                    object: [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"),
                    event: row.get(1)?,
                    state: row.get(2)?,
                    verdict: row.get(3)?,
                    sealed: json(row, 4)?,
                })
            },
        )?;
        let commands = all(&db, "SELECT command_id, outcome, error FROM commands", |row| {
            Ok(CommandRow {
                id: row.get(0)?,
                outcome: row.get(1)?,
                error: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            })
        })?;
        let bucket = open(&run.database.with_file_name("bucket.db"))?;
        let ledger = all(
            &bucket,
            "SELECT seq, kind, subject, redrives, parked, published_at IS NOT NULL FROM ledger ORDER BY seq",
            |row| {
                let (seq, kind, subject): (i64, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let (redrives, parked, published): (i64, i64, bool) = (row.get(3)?, row.get(4)?, row.get(5)?);
                let subject = subject.unwrap_or_else(|| "-".to_owned());
                Ok(format!(
                    "{seq} {kind} {subject} redrives {redrives} parked {parked} published {published}"
                ))
            },
        )?;
        Ok(Rows {
            documents,
            results,
            finals,
            commands,
            ledger,
        })
    }
}
