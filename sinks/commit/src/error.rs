//! What can go wrong.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why an operation was not done, or is not known to be done.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The database file cannot be opened, made or migrated.
    #[error("cannot open database {path:?}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The directory of the database file cannot be made or synced.
    #[error("cannot prepare directory of database {path:?}")]
    Directory {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The writer thread cannot be started.
    #[error("cannot start writer thread")]
    Thread(#[source] std::io::Error),
    /// The operation itself failed; nothing of it was kept, and others of its group were not touched.
    #[error("database operation failed")]
    Sql(#[source] rusqlite::Error),
    /// The commit of the group failed: nothing of the operation may be relied on, and it may be repeated.
    #[error("commit failed")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// No room on the disk. Nothing of the operation was kept; it may be repeated when there is room.
    #[error("no room for database")]
    Full(#[source] Arc<rusqlite::Error>),
    /// The database file is damaged. Repeating is of no use.
    #[error("database is damaged")]
    Corrupt(#[source] Arc<rusqlite::Error>),
    /// The operation panicked; nothing of it was kept.
    #[error("database operation panicked")]
    Panicked,
    /// The database is closed or closing.
    #[error("database is closed")]
    Closed,
}

impl CommitError {
    /// An operation's own failure.
    pub(crate) fn of_operation(error: rusqlite::Error) -> Self {
        match kind(&error) {
            Kind::Full => Self::Full(Arc::new(error)),
            Kind::Corrupt => Self::Corrupt(Arc::new(error)),
            Kind::Other => Self::Sql(error),
        }
    }

    /// The failure of a whole group, told to each of its operations.
    pub(crate) fn of_group(error: &Arc<rusqlite::Error>) -> Self {
        match kind(error) {
            Kind::Full => Self::Full(Arc::clone(error)),
            Kind::Corrupt => Self::Corrupt(Arc::clone(error)),
            Kind::Other => Self::Commit(Arc::clone(error)),
        }
    }
}

enum Kind {
    Full,
    Corrupt,
    Other,
}

fn kind(error: &rusqlite::Error) -> Kind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Kind::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Kind::Corrupt,
        _ => Kind::Other,
    }
}
