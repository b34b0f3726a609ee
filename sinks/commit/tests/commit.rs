//! What callers of the group commit rely on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cofferdam_commit::{CommitError, Database, Settings};
use rusqlite::{Connection, Transaction};

fn table(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, body BLOB)")
}

fn open(dir: &tempfile::TempDir) -> Database {
    Database::open(Settings::new(dir.path().join("sub/test.db"), "test"), table).unwrap()
}

fn insert(n: i64) -> impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static {
    move |tx| tx.execute("INSERT INTO t (n) VALUES (?1)", [n]).map(drop)
}

async fn count(database: &Database) -> i64 {
    database
        .read(|c| c.query_row("SELECT count(*) FROM t", [], |r| r.get(0)))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_seen_by_the_next_read_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    database.write(insert(7)).await.unwrap();
    assert_eq!(count(&database).await, 1);
    database.close().await;
    let again = open(&dir);
    assert_eq!(count(&again).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_write_is_on_disk_before_anything_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    database.write(insert(1)).await.unwrap();
    // What a crash at this moment leaves behind: the files as they are now.
    let copy = tempfile::tempdir().unwrap();
    for name in ["test.db", "test.db-wal"] {
        std::fs::copy(dir.path().join("sub").join(name), copy.path().join(name)).unwrap();
    }
    let crashed = Connection::open(copy.path().join("test.db")).unwrap();
    assert_eq!(
        crashed
            .query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0))
            .unwrap(),
        1
    );
}

/// Holds the writer inside one operation, so that everything sent meanwhile becomes one group.
async fn one_group<T: Send + 'static>(
    database: &Database,
    send: impl FnOnce(&mut Vec<tokio::task::JoinHandle<T>>),
) -> Vec<T> {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let blocked = tokio::spawn({
        let database = database.clone();
        async move {
            database
                .write(move |_| {
                    let _ = began.send(());
                    let _ = wait.recv();
                    Ok(())
                })
                .await
        }
    });
    begun.await.unwrap();
    let mut tasks = Vec::new();
    send(&mut tasks);
    // The tasks have handed over when they have been polled once; the group is collected only when the writer is let go.
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_or_panicking_operation_spoils_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let results = one_group(&database, |tasks| {
        for n in 0..20_i64 {
            let database = database.clone();
            tasks.push(tokio::spawn(async move {
                database
                    .write(move |tx| {
                        insert(n)(tx)?;
                        match n {
                            5 => insert(5)(tx),
                            9 => panic!("told to"),
                            _ => Ok(()),
                        }
                    })
                    .await
            }));
        }
    })
    .await;
    for (n, result) in results.iter().enumerate() {
        match n {
            5 => assert!(matches!(result, Err(CommitError::Sql(_))), "{result:?}"),
            9 => assert!(matches!(result, Err(CommitError::Panicked)), "{result:?}"),
            _ => assert!(result.is_ok(), "{n}: {result:?}"),
        }
    }
    assert_eq!(count(&database).await, 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_wait_together_share_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let path = dir.path().join("sub/test.db");
    let seen = one_group(&database, |tasks| {
        for n in 0..50_i64 {
            let (database, path) = (database.clone(), path.clone());
            tasks.push(tokio::spawn(async move {
                let op = move |tx: &Transaction<'_>| {
                    insert(n)(tx)?;
                    let count = |c: &Connection| c.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0));
                    // What this transaction sees, and what everybody else sees at the same moment.
                    Ok((count(tx)?, count(&Connection::open(path)?)?))
                };
                database.write(op).await.unwrap()
            }));
        }
    })
    .await;
    let mut inside: Vec<_> = seen.iter().map(|s| s.0).collect();
    inside.sort_unstable();
    assert_eq!(inside, (1..=50).collect::<Vec<_>>());
    assert!(
        seen.iter().all(|s| s.1 == 0),
        "none of them was committed before the last had run: {seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_disk_is_full_the_whole_group_hears_it_and_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    database.write(insert(-1)).await.unwrap();
    database
        .write(|tx| tx.query_row("PRAGMA max_page_count = 40", [], |r| r.get::<_, i64>(0)))
        .await
        .unwrap();
    let results = one_group(&database, |tasks| {
        for n in 0..8_i64 {
            let database = database.clone();
            tasks.push(tokio::spawn(async move {
                database
                    .write(move |tx| tx.execute("INSERT INTO t VALUES (?1, zeroblob(40000))", [n]).map(drop))
                    .await
            }));
        }
    })
    .await;
    assert!(
        results.iter().any(|r| matches!(r, Err(CommitError::Full(_)))),
        "{results:?}"
    );
    let kept = results.iter().filter(|r| r.is_ok()).count() as i64;
    assert_eq!(
        count(&database).await,
        1 + kept,
        "exactly what was answered with success is there"
    );
    // It recovers as soon as there is room.
    database
        .write(|tx| tx.query_row("PRAGMA max_page_count = 100000", [], |r| r.get::<_, i64>(0)))
        .await
        .unwrap();
    database.write(insert(1000)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_ends_the_transaction_fails_its_group_but_not_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let results = one_group(&database, |tasks| {
        for n in 0..3_i64 {
            let database = database.clone();
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(10 * n as u64)).await;
                database
                    .write(move |tx| {
                        insert(n)(tx)?;
                        if n == 1 { tx.execute_batch("ROLLBACK") } else { Ok(()) }
                    })
                    .await
            }));
        }
    })
    .await;
    assert!(results[0].is_err(), "its work was rolled back, so it must hear of it");
    assert!(results[1].is_err());
    assert!(results[2].is_ok(), "{:?}", results[2]);
    assert_eq!(count(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn close_finishes_what_was_handed_over_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let tasks: Vec<_> = (0..200_i64)
        .map(|n| {
            let database = database.clone();
            tokio::spawn(async move { database.write(insert(n)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    database.close().await;
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => done += 1,
            Err(CommitError::Closed) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(matches!(database.write(insert(999)).await, Err(CommitError::Closed)));
    assert!(matches!(database.read(|_| Ok(())).await, Err(CommitError::Closed)));
    database.close().await;
    assert_eq!(count(&open(&dir)).await, done);
    let log = std::fs::metadata(dir.path().join("sub/test.db-wal")).map_or(0, |m| m.len());
    assert_eq!(log, 0, "the log is empty after close");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_and_readers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let most = Arc::new(AtomicU64::new(0));
    let writers = (0..64_i64).map(|w| {
        let database = database.clone();
        async move {
            for n in 0..40 {
                database.write(insert(w * 1000 + n)).await.unwrap();
            }
        }
    });
    let readers = (0..8).map(|_| {
        let (database, most) = (database.clone(), Arc::clone(&most));
        async move {
            let mut last = 0;
            for _ in 0..100 {
                let now = count(&database).await as u64;
                assert!(now >= last, "a reader never goes back in time");
                last = now;
            }
            most.fetch_max(last, Ordering::SeqCst);
        }
    });
    tokio::join!(futures::future::join_all(writers), futures::future::join_all(readers));
    assert_eq!(count(&database).await, 64 * 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_read_leaves_the_pool_usable() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    for _ in 0..10 {
        let result: Result<(), _> = database.read(|_| panic!("told to")).await;
        assert!(matches!(result, Err(CommitError::Panicked)));
    }
    assert_eq!(count(&database).await, 0);
    assert!(
        database
            .read(|c| c.execute("INSERT INTO t (n) VALUES (1)", []))
            .await
            .is_err(),
        "readers cannot write"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_content_leaves_the_files_when_the_database_is_idle() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir);
    let secret = b"a sentence that must not stay behind".repeat(200);
    let body = secret.clone();
    database
        .write(move |tx| tx.execute("INSERT INTO t VALUES (1, ?1)", [body]).map(drop))
        .await
        .unwrap();
    database
        .write(|tx| tx.execute("DELETE FROM t", []).map(drop))
        .await
        .unwrap();
    let holds = || {
        ["test.db", "test.db-wal"].iter().any(|name| {
            let bytes = std::fs::read(dir.path().join("sub").join(name)).unwrap_or_default();
            bytes.windows(36).any(|w| w == b"a sentence that must not stay behind")
        })
    };
    for _ in 0..100 {
        if !holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("deleted content is still in the files");
}

#[test]
fn a_file_that_is_no_database_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    std::fs::write(&path, vec![7; 8192]).unwrap();
    let error = Database::open(Settings::new(&path, "test"), table).unwrap_err();
    assert!(
        matches!(&error, CommitError::Open { path: p, .. } if *p == path),
        "{error:?}"
    );
}

#[test]
fn a_failed_migration_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let failed = Database::open(Settings::new(&path, "test"), |tx| {
        table(tx)?;
        tx.execute_batch("nonsense")
    });
    assert!(failed.is_err());
    let connection = Connection::open(&path).unwrap();
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0))
        .unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let _database = open(&dir);
    for name in ["test.db", "test.db-wal", "test.db-shm"] {
        let mode = std::fs::metadata(dir.path().join("sub").join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
