//! One SQLite writer with group commit.
//!
//! A durable commit costs an fsync (about 1.5 ms), whether it carries one operation or two hundred. So all writes of a database go
//! through one thread, which puts operations that arrive together into one transaction, each in its own savepoint: an operation
//! that fails, or panics, rolls back only itself. An answer is sent only after the transaction is on disk (WAL, `synchronous=FULL`).
//!
//! Readers have their own connections, read only, and see every write that was answered before they began.
//!
//! Deleted content is overwritten with zeros (`secure_delete`), and the write-ahead log is emptied as soon as the database is idle, at the
//! latest about every half minute: what was deleted is not left lying in the files.

mod error;
mod pool;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction};
use tokio::sync::{Semaphore, oneshot};

pub use error::CommitError;
use pool::Pool;
use writer::{Job, Operation, Writer};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file; it and its directory are made when missing. The file gets mode 0600.
    pub path: PathBuf,
    /// Names the writer thread and the metrics' label `database`.
    pub name: &'static str,
    /// The most operations in one transaction. Four times as many may wait before [`Database::write`] waits to hand over.
    pub max_batch: usize,
    /// How long the first operation of a group may wait for company. A lone writer does not wait.
    pub max_delay: Duration,
    /// How many reads run at once, each on its own connection and blocking thread.
    pub readers: usize,
}

impl Settings {
    /// The usual settings: 256 operations, 2 ms, 4 readers.
    pub fn new(path: impl Into<PathBuf>, name: &'static str) -> Self {
        Self {
            path: path.into(),
            name,
            max_batch: 256,
            max_delay: Duration::from_millis(2),
            readers: 4,
        }
    }
}

/// A database with one writer. Clones share it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    /// Gone once the database is closing; the writer ends when it has drained the channel.
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    /// Bounds the channel: a job holds a permit until it is answered.
    room: Arc<Semaphore>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    readers: Arc<Pool>,
}

impl Database {
    /// Opens or makes the database and runs `migrate` inside a transaction before anything else. Blocks; does not need a runtime.
    pub fn open(
        settings: Settings,
        migrate: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<Self, CommitError> {
        make_file(&settings.path)?;
        let opened = |source| CommitError::Open {
            path: settings.path.clone(),
            source,
        };
        let connection = open_writer(&settings.path, migrate).map_err(opened)?;
        let readers = Arc::new(Pool::new(settings.path.clone(), settings.readers.max(1)));
        let (jobs, waiting) = mpsc::channel();
        let max_batch = settings.max_batch.max(1);
        let writer = Writer::new(connection, waiting, settings.name, max_batch, settings.max_delay);
        let thread = std::thread::Builder::new()
            .name(format!("{}-commit", settings.name))
            .spawn(move || writer.run());
        Ok(Self {
            inner: Arc::new(Inner {
                name: settings.name,
                jobs: Mutex::new(Some(jobs)),
                room: Arc::new(Semaphore::new(max_batch.saturating_mul(4))),
                thread: Mutex::new(Some(thread.map_err(CommitError::Thread)?)),
                readers,
            }),
        })
    }

    /// Runs `op` in its own savepoint of a group's transaction and returns when that transaction is durable.
    ///
    /// `op` runs on the writer's thread and holds up everybody: no waiting, no I/O of its own. An error it returns rolls back what it
    /// did. If this future is dropped after it was polled, `op` may still run and be committed.
    pub async fn write<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CommitError> {
        let permit = Arc::clone(&self.inner.room)
            .acquire_owned()
            .await
            .map_err(|_| CommitError::Closed)?;
        let (tell, told) = oneshot::channel();
        let job = Box::new(Operation { op, tell, permit });
        let handed = match &*self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(jobs) => jobs.send(job).is_ok(),
            None => false,
        };
        if !handed {
            return Err(CommitError::Closed);
        }
        told.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Runs `op` on a read-only connection, on a blocking thread. It sees all writes answered before this call.
    pub async fn read<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CommitError> {
        Arc::clone(&self.inner.readers).run(op).await
    }

    /// Refuses new work, finishes what was handed over, empties the write-ahead log and closes the files.
    pub async fn close(&self) {
        drop(self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.inner.readers.close().await;
        if let Some(thread) = thread {
            let ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
            if !matches!(ended, Ok(true)) {
                tracing::error!(database = self.inner.name, "writer thread ended by a panic");
            }
        }
        self.inner.room.close();
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

/// SQLite gives its `-wal` and `-shm` files the mode of the database file, so that making this one first makes all three private.
fn make_file(path: &Path) -> Result<(), CommitError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |source| CommitError::Directory {
        path: path.to_owned(),
        source,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    std::fs::File::open(directory)
        .and_then(|d| d.sync_all())
        .map_err(failed)
}

fn open_writer(
    path: &Path,
    migrate: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -8192)?;
    stable_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(256);
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    migrate(&tx)?;
    tx.commit()?;
    Ok(connection)
}

/// Keeps the plan of a prepared statement whatever is bound to it. Otherwise SQLite plans again for each new value that statistics of the tables
/// could know more about; we keep none, so that the plan is always the same, and planning cost a twentieth of the program's time.
fn stable_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}
