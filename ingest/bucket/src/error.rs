//! What can go wrong.

use std::net::SocketAddr;

use cofferdam_commit::CommitError;

/// Why the bucket did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The index could not be opened, read or written.
    #[error("bucket index failed")]
    Index(#[source] CommitError),
    /// A blob file or a directory could not be read or written.
    #[error("cannot {action}")]
    Files {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The disk is full.
    #[error("no room for object")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The rules of S3 say no.
    #[error("request is refused")]
    Refused(#[source] Refusal),
    /// A row of the index cannot be understood.
    #[error("bucket index holds a value that cannot be read: {what}")]
    Unreadable {
        /// Which value.
        what: &'static str,
    },
    /// The endpoint cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A setting makes no sense.
    #[error("setting {name} is not valid: {reason}")]
    Setting {
        /// Which.
        name: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Our own code panicked while it worked on this request.
    #[error("internal error")]
    Panicked,
}

impl BucketError {
    /// A failed file operation; a full disk is told apart.
    pub(crate) fn files(action: &'static str, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full(Box::new(source)),
            _ => Self::Files { action, source },
        }
    }
}

impl From<Refusal> for BucketError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<CommitError> for BucketError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full(_) => Self::Full(Box::new(error)),
            CommitError::Panicked => Self::Panicked,
            // A refusal travels through SQLite's error type, so that what its operation wrote is rolled back.
            CommitError::Sql(rusqlite::Error::ToSqlConversionFailure(inner)) => match inner.downcast::<Refusal>() {
                Ok(refusal) => Self::Refused(*refusal),
                Err(inner) => Self::Index(CommitError::Sql(rusqlite::Error::ToSqlConversionFailure(inner))),
            },
            other => Self::Index(other),
        }
    }
}

/// What the rules of S3 forbid, or what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No bucket of this name.
    #[error("bucket does not exist")]
    NoSuchBucket,
    /// The bucket exists already.
    #[error("bucket exists already")]
    BucketExists,
    /// The bucket still holds objects.
    #[error("bucket is not empty")]
    BucketNotEmpty,
    /// No object of this key.
    #[error("key does not exist")]
    NoSuchKey,
    /// No such version of this key.
    #[error("version does not exist")]
    NoSuchVersion,
    /// The newest version of the key, or the named version, is a delete marker.
    #[error("version is a delete marker")]
    DeleteMarker {
        /// The marker's public version id.
        version: Option<String>,
        /// Whether the request named this version.
        named: bool,
    },
    /// A condition of the request does not hold.
    #[error("precondition does not hold: {condition}")]
    Precondition {
        /// Which.
        condition: &'static str,
    },
    /// No multipart upload of this id for this key.
    #[error("upload does not exist")]
    NoSuchUpload,
    /// A part is missing or not as stated.
    #[error("part {number} is missing or not as stated")]
    InvalidPart {
        /// Which.
        number: u32,
    },
    /// Parts are not in ascending order.
    #[error("parts are not in ascending order")]
    InvalidPartOrder,
    /// A part other than the last is smaller than 5 MiB.
    #[error("part {number} is too small: {size} bytes")]
    PartTooSmall {
        /// Which.
        number: u32,
        /// Its size in bytes.
        size: u64,
    },
    /// The object or part is too large.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A stated checksum is not that of the bytes.
    #[error("{checksum} does not match the bytes received")]
    BadDigest {
        /// Which.
        checksum: &'static str,
    },
    /// The size stated for a multipart object is not the sum of its parts.
    #[error("stated size is not {size} bytes")]
    WrongSize {
        /// The true size.
        size: u64,
    },
    /// The landing bucket does not take this key.
    #[error("{reason}")]
    NotTaken {
        /// What is wrong with the key, and what to do.
        reason: String,
    },
    /// The request contradicts itself or what it speaks of.
    #[error("request is not valid: {reason}")]
    Invalid {
        /// Why.
        reason: &'static str,
    },
}

/// Ends a database operation: by an error of the database, or because of the rules.
#[derive(Debug)]
pub(crate) enum Stop {
    Sql(rusqlite::Error),
    Refused(Refusal),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Stop> for rusqlite::Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Sql(error) => error,
            Stop::Refused(refusal) => Self::ToSqlConversionFailure(Box::new(refusal)),
        }
    }
}
