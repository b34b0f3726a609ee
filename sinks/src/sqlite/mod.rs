//! The embedded store: one SQLite file that anybody can open with `sqlite3`.
//!
//! ```sh
//! sqlite3 -header -column cofferdam-data/cofferdam.db 'SELECT key, state, verdict, sealed_key FROM documents LIMIT 20'
//! sqlite3 -header -column cofferdam-data/cofferdam.db 'SELECT key, processor, outcome, verdict, findings FROM results'
//! ```
//!
//! Writes go through one thread that commits groups (`cofferdam-commit`), because a durable commit costs an fsync whatever it holds. What
//! SQLite lacks of CQL stands in two columns: `_wts`, the write timestamp, decides which of two writes wins, and `_exp` when a row expires.

mod convert;
mod migrate;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use cofferdam_commit::{CommitError, Database, Settings};
use cofferdam_seams::{Clock, SystemClock};
use rusqlite::{Connection, params_from_iter, types::Value as Sql};

use crate::error::StoreError;
use crate::schema::{Statement, TableId, Verb, catalogue, table};
use crate::store::{Change, Engine, Mutation, Record, Select, TableStore};

/// How long the mark of a deleted row shadows writes that come late: longer than any message is kept (14 days).
const TOMBSTONE_S: i64 = 30 * 86_400;

/// The store of one installation, in one file.
pub type SqliteStore = TableStore<Sqlite>;

impl SqliteStore {
    /// Opens the file, made when missing, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        Self::open_with(path, Arc::new(SystemClock)).await
    }

    /// The same with another clock: it tells which rows have expired.
    pub async fn open_with(path: &Path, clock: Arc<dyn Clock>) -> Result<SqliteStore, StoreError> {
        Ok(TableStore::new(Sqlite::open(path, clock).await?))
    }

    /// Finishes what was begun and closes the file.
    pub async fn close(&self) {
        self.engine.database.close().await;
    }
}

/// Rows in SQLite.
#[derive(Clone)]
pub struct Sqlite {
    database: Database,
    clock: Arc<dyn Clock>,
}

impl Sqlite {
    /// Opens the file, made when missing, and brings its tables up to date.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Sqlite, StoreError> {
        let (settings, now) = (Settings::new(path, "store"), clock.now());
        // Opening blocks: it replays the log of a crash and waits for the disk.
        let opening = tokio::task::spawn_blocking(move || {
            let mut refused = None;
            let opened = Database::open(settings, |tx| migrate::run(tx, now, &mut refused));
            (opened, refused)
        });
        let shown = path.display();
        match opening.await.map_err(StoreError::unavailable)? {
            (Ok(database), _) => Ok(Self { database, clock }),
            (Err(_), Some(reason)) => Err(StoreError::Open {
                reason: format!("{shown}: {reason}"),
                source: None,
            }),
            (Err(error), None) => Err(StoreError::Open {
                reason: format!(
                    "{shown}: is it a SQLite file of this program, on a disk with room, and may this user write there?"
                ),
                source: Some(Box::new(error)),
            }),
        }
    }

    fn now_s(&self) -> i64 {
        self.clock.now().unix_millis().div_euclid(1000)
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full(_) => StoreError::Full {
                source: Box::new(error),
            },
            CommitError::Open { .. } | CommitError::Directory { .. } | CommitError::Thread(_) => StoreError::Open {
                reason: "database file".to_owned(),
                source: Some(Box::new(error)),
            },
            CommitError::Sql(_)
            | CommitError::Commit(_)
            | CommitError::Corrupt(_)
            | CommitError::Panicked
            | CommitError::Closed => StoreError::unavailable(error),
        }
    }
}

/// The text of a statement, rendered once.
fn text(table: TableId, verb: Verb) -> &'static str {
    static TEXTS: LazyLock<HashMap<Statement, String>> = LazyLock::new(|| {
        catalogue()
            .into_iter()
            .map(|statement| (statement, statement.sql()))
            .collect()
    });
    // A statement outside the catalogue is a fault of ours: an empty text is refused by SQLite, and the tests make every statement.
    TEXTS.get(&Statement { table, verb }).map_or("", String::as_str)
}

#[async_trait]
impl Engine for Sqlite {
    async fn write(&self, mutations: Vec<Mutation>) -> Result<(), StoreError> {
        let work = move |tx: &rusqlite::Transaction<'_>| mutations.iter().try_for_each(|mutation| apply(tx, mutation));
        Ok(self.database.write(work).await?)
    }

    async fn read(&self, selects: Vec<Select>) -> Result<Vec<Vec<Record>>, StoreError> {
        let now = self.now_s();
        let work = move |db: &Connection| {
            selects
                .iter()
                .map(|select| find(db, select, now))
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        Ok(self.database.read(work).await?)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(self
            .database
            .read(|db| db.query_row("SELECT 1", [], |_| Ok(())))
            .await?)
    }

    async fn maintain(&self) -> Result<(), StoreError> {
        let now = self.now_s();
        // The only tables with rows that expire or are deleted.
        let tables = TableId::ALL
            .iter()
            .filter(|id| table(**id).time_to_live.is_some() || **id == TableId::DeadLetters);
        for id in tables {
            let sql = format!(
                "DELETE FROM {} WHERE (_exp > 0 AND _exp <= ?1) OR (_exp = 0 AND _wts <= (?1 - {TOMBSTONE_S}) * 1000000)",
                id.name()
            );
            self.database.write(move |tx| tx.execute(&sql, [now])).await?;
        }
        Ok(())
    }
}

fn apply(tx: &Connection, mutation: &Mutation) -> rusqlite::Result<()> {
    match &mutation.change {
        Change::Put(record) => {
            let expires = table(record.table)
                .time_to_live
                .map(|seconds| mutation.written_at.div_euclid(1_000_000).saturating_add(seconds));
            let bound = record.values.iter().map(convert::to_sql);
            let bound = bound.chain([
                Sql::Integer(mutation.written_at),
                expires.map_or(Sql::Null, Sql::Integer),
            ]);
            tx.prepare_cached(text(record.table, Verb::Upsert))?
                .execute(params_from_iter(bound))?;
        }
        Change::Delete(record) => {
            let bound = table(record.table)
                .key()
                .filter_map(|index| record.values.get(index))
                .map(convert::to_sql);
            let bound = bound.chain([Sql::Integer(mutation.written_at)]);
            tx.prepare_cached(text(record.table, Verb::Delete))?
                .execute(params_from_iter(bound))?;
        }
    }
    Ok(())
}

fn find(db: &Connection, select: &Select, now: i64) -> rusqlite::Result<Vec<Record>> {
    let single = table(select.table).clustering.is_empty();
    let verb = if single {
        Verb::One
    } else {
        Verb::Range {
            after: select.after.is_some(),
        }
    };
    let mut bound: Vec<Sql> = select
        .partition
        .iter()
        .chain(select.after.iter().flatten())
        .map(convert::to_sql)
        .collect();
    bound.push(Sql::Integer(now));
    if !single {
        bound.push(Sql::Integer(i64::try_from(select.limit).unwrap_or(i64::MAX)));
    }
    let mut statement = db.prepare_cached(text(select.table, verb))?;
    let rows = statement.query_map(params_from_iter(bound), |row| convert::record(select.table, row))?;
    rows.collect()
}

#[cfg(test)]
mod tests;
