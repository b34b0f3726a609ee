//! Read-only connections.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::CommitError;

pub(crate) struct Pool {
    path: PathBuf,
    size: u32,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(path: PathBuf, size: usize) -> Self {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        Self {
            path,
            size,
            turns: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::new(Vec::new()),
        }
    }

    pub(crate) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        op: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CommitError> {
        // The permit moves into the blocking task: it is given back when the work ends, even if nobody waits for it any more.
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| CommitError::Closed)?;
        let work = tokio::task::spawn_blocking(move || {
            let result = self.blocking(op);
            drop(turn);
            result
        });
        work.await.unwrap_or(Err(CommitError::Panicked))
    }

    fn blocking<T>(&self, op: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, CommitError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open().map_err(|source| CommitError::Open {
                path: self.path.clone(),
                source,
            })?,
        };
        let result = catch_unwind(AssertUnwindSafe(|| op(&connection)));
        // A connection left inside a transaction would hold an old view of the database for ever.
        if result.is_ok() && connection.is_autocommit() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
        match result {
            Ok(result) => result.map_err(CommitError::of_operation),
            Err(_) => Err(CommitError::Panicked),
        }
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "temp_store", "memory")?;
        crate::stable_plans(&connection)?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(connection)
    }

    /// Waits for reads under way and closes all connections.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.turns.acquire_many(self.size).await {
            all.forget();
        }
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
