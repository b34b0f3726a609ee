use std::sync::Arc;

use cofferdam_schemas::{ObjectState, Outcome, Timestamp};
use cofferdam_seams::ManualClock;

use super::*;
use crate::conformance::fixture::{self, done, event, object, result, stamped};
use crate::schema::sqlite_ddl;
use crate::store::{Filter, Store};

async fn make() -> (Arc<SqliteStore>, Arc<Sqlite>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("cofferdam.db")).await.unwrap();
    (Arc::new(store.clone()), Arc::new(store.engine), directory)
}

mod conformance {
    use super::make;
    crate::store_conformance!(make);
}

mod sharded {
    /// The listing over four shards is the same listing.
    async fn make() -> (
        std::sync::Arc<super::SqliteStore>,
        std::sync::Arc<super::Sqlite>,
        tempfile::TempDir,
    ) {
        let (_, engine, directory) = super::make().await;
        (
            std::sync::Arc::new(super::TableStore::with_shards((*engine).clone(), 4)),
            engine,
            directory,
        )
    }
    crate::store_conformance!(make);
}

/// The DDL is checked in, so that a change of schemas/db is seen for what it does. `UPDATE_GOLDEN=1` writes it.
#[test]
fn ddl_is_the_golden_one() {
    let ddl: String = TableId::ALL.iter().map(|id| sqlite_ddl(table(*id)) + "\n").collect();
    let header =
        "-- Rendered from schemas/db; `UPDATE_GOLDEN=1 cargo test -p cofferdam-sinks golden` writes it anew.\n\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sqlite/golden.sql");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{header}{ddl}")).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{header}{ddl}"));
}

#[tokio::test]
async fn a_second_start_keeps_the_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cofferdam.db");
    let doc = object(&fixture::tenant(), "inbox", "k", 0);
    let store = SqliteStore::open(&path).await.unwrap();
    store.put_events(&[stamped(event(&doc), 1)]).await.unwrap();
    store.close().await;
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable { .. })));
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.object(&doc.tenant, &doc.id).await.unwrap().is_some());
    store.ready().await.unwrap();
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cofferdam.db");
    let change = |sql: &'static str| {
        let db = Connection::open(&path).unwrap();
        db.execute_batch(sql).unwrap();
    };
    SqliteStore::open(&path).await.unwrap().close().await;
    change("UPDATE schema_migrations SET checksum = 'other'");
    let error = SqliteStore::open(&path).await.err().unwrap().to_string();
    assert!(error.contains("another text of schemas/db"), "{error}");
    change("INSERT INTO schema_migrations VALUES ('cofferdam', 99, 'x', 0, 0, NULL)");
    let error = SqliteStore::open(&path).await.err().unwrap().to_string();
    assert!(error.contains("newer version"), "{error}");
    std::fs::write(&path, "this is not a database, and long enough to be looked at as one").unwrap();
    let error = SqliteStore::open(&path).await.err().unwrap();
    assert!(matches!(error, StoreError::Open { source: Some(_), .. }), "{error:?}");
}

#[tokio::test]
async fn expiry_follows_the_clock_and_housekeeping_removes() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(fixture::at(0)));
    let store = SqliteStore::open_with(&directory.path().join("c.db"), clock.clone())
        .await
        .unwrap();
    let doc = object(&fixture::tenant(), "inbox", "k", 0);
    let id = cofferdam_schemas::CommandId::new("c").unwrap();
    store
        .put_command_results(&[stamped(fixture::command_result(&doc.tenant, "c", &doc), 0)])
        .await
        .unwrap();
    clock.advance_millis(90 * 86_400_000 - 1000);
    assert!(store.command(&doc.tenant, &id).await.unwrap().is_some());
    clock.advance_millis(2000);
    assert!(store.command(&doc.tenant, &id).await.unwrap().is_none());
    let count = async || {
        store
            .engine
            .database
            .read(|db| db.query_row("SELECT count(*) FROM commands", [], |row| row.get::<_, i64>(0)))
            .await
            .unwrap()
    };
    assert_eq!(count().await, 1);
    store.maintain().await.unwrap();
    assert_eq!(count().await, 0);
}

/// The views say what the program says, in words a person can read.
#[tokio::test]
async fn views_agree_with_the_store() {
    let (store, engine, _keep) = make().await;
    let tenant = fixture::tenant();
    let mut docs = Vec::new();
    for n in 0..6 {
        let doc = object(&tenant, "inbox", &format!("key {n}"), n);
        store.put_events(&[stamped(event(&doc), n)]).await.unwrap();
        docs.push(doc);
    }
    store
        .put_results(&[stamped(result(&docs[1], "validate", Outcome::Dead), 10)])
        .await
        .unwrap();
    store
        .put_results(&[
            stamped(result(&docs[2], "validate", Outcome::Dead), 10),
            stamped(result(&docs[2], "validate", Outcome::Done), 20),
        ])
        .await
        .unwrap();
    store
        .put_results(&[stamped(result(&docs[3], "other", Outcome::Dead), 10)])
        .await
        .unwrap();
    store
        .put_final(&[stamped(done(&docs[4]), 30), stamped(done(&docs[5]), 31)])
        .await
        .unwrap();
    store.mark_deleted(&tenant, &docs[5].id, fixture::at(40)).await.unwrap();

    type Line = (
        String,
        String,
        String,
        Option<String>,
        String,
        Option<String>,
        Option<String>,
    );
    let lines: Vec<Line> = engine
        .database
        .read(|db| {
            let mut statement = db.prepare("SELECT object, key, state, verdict, last_modified, sealed_key, detected_type FROM documents ORDER BY key")?;
            let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?)))?;
            rows.collect()
        })
        .await
        .unwrap();
    let page = store
        .list_objects(&tenant, &Filter::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(lines.len(), 6);
    for (line, row) in lines.iter().zip(page.rows.iter().rev()) {
        assert_eq!(line.0, row.object.id.to_string());
        assert_eq!(line.1, row.object.key.as_str());
        assert_eq!(line.2, row.state.as_str());
        assert_eq!(line.3.as_deref(), row.verdict.map(|verdict| verdict.as_str()));
        assert_eq!(line.4.parse::<Timestamp>().unwrap(), row.object.last_modified);
        assert_eq!(line.6, row.detected_type);
    }
    let states: Vec<&str> = lines.iter().map(|line| line.2.as_str()).collect();
    assert_eq!(states, ["open", "dead", "open", "open", "done", "deleted"]);
    assert_eq!(lines[4].5, Some(fixture::sealed(&docs[4]).key.to_string()));
    assert_eq!(page.rows[5].state, ObjectState::Open);
    let errors: Vec<(String, Option<String>, Option<String>)> = engine
        .database
        .read(|db| {
            let mut statement =
                db.prepare("SELECT key, error_code, error FROM results WHERE outcome = 'dead' ORDER BY key")?;
            let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            rows.collect()
        })
        .await
        .unwrap();
    assert_eq!(errors.len(), 3);
    assert_eq!(
        errors[0],
        (
            "key 1".into(),
            Some("damaged".into()),
            Some("stored bytes are damaged".into())
        )
    );
}
