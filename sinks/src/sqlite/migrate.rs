//! Bringing the file's tables up to date.

use cofferdam_schemas::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::schema::{MIGRATIONS, Statement, TableId, Verb, parse, sqlite_ddl};

/// Under which name this crate's files stand in `schema_migrations`.
const APP: &str = "cofferdam";
/// Views for people: text instead of bytes and numbers, the state merged. Made anew at every start, so that they fit this version.
const VIEWS: &str = include_str!("views.sql");

/// Applies what is missing. A reason for refusing stands in `refused` when it fails for one.
pub(super) fn run(tx: &Transaction<'_>, now: Timestamp, refused: &mut Option<String>) -> rusqlite::Result<()> {
    let mut refuse = |reason: String| {
        *refused = Some(reason);
        rusqlite::Error::ExecuteReturnedResults
    };
    let fresh = !tx
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'")?
        .exists([])?;
    if !fresh {
        let newest: i64 = tx.query_row(
            "SELECT coalesce(max(version), 0) FROM schema_migrations WHERE app = ?1",
            [APP],
            |row| row.get(0),
        )?;
        if newest > MIGRATIONS.last().map_or(0, |file| file.version) {
            return Err(refuse(format!(
                "its tables have version {newest}: it was opened by a newer version of this program, use that one"
            )));
        }
    }
    for file in MIGRATIONS {
        let checksum = blake3::hash(file.cql.as_bytes()).to_hex().to_string();
        let applied: Option<String> = if fresh && file.version == 1 {
            None
        } else {
            let sql = "SELECT checksum FROM schema_migrations WHERE app = ?1 AND version = ?2";
            tx.query_row(sql, params![APP, file.version], |row| row.get(0))
                .optional()?
        };
        match applied {
            Some(known) if known == checksum => continue,
            Some(_) => {
                return Err(refuse(format!(
                    "its tables of version {} were made from another text of schemas/db",
                    file.version
                )));
            }
            None => {}
        }
        let tables = parse(file.cql).map_err(|error| refuse(format!("schemas/db file {}: {error}", file.version)))?;
        for table in &tables {
            tx.execute_batch(&sqlite_ddl(table))?;
        }
        if file.version == 3 {
            // What was written before there was this table. Every shard is read, so that any will do.
            tx.execute_batch(
                "INSERT INTO keys_by_bucket (tenant, bucket, shard, object_key, last_modified, object_id, _wts, _exp) \
                 SELECT tenant, bucket, 0, object_key, last_modified, object_id, _wts, _exp FROM objects",
            )?;
        }
        let record = Statement {
            table: TableId::SchemaMigrations,
            verb: Verb::InsertIfAbsent,
        }
        .sql();
        tx.execute(
            &record,
            params![
                APP,
                file.version,
                checksum,
                now.unix_millis(),
                now.unix_millis().saturating_mul(1000),
                None::<i64>
            ],
        )?;
    }
    tx.execute_batch(VIEWS)
}
