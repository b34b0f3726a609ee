use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::binary::{OLDEST, Version};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No program was named and none is on `PATH`.
    #[error(
        "no nats-server found: run `cargo xtask fetch-nats`, put nats-server {OLDEST} or newer on PATH, or name the program with COFFERDAM_NATS_SERVER"
    )]
    NotFound,
    /// The named program cannot be run.
    #[error("{} is not a program that can be run ({named_by} names it)", path.display())]
    NotExecutable {
        /// What was named.
        path: PathBuf,
        /// Where it was named.
        named_by: &'static str,
    },
    /// The program does not tell its version.
    #[error("{} does not say which version it is: {said:?}", path.display())]
    NoVersion {
        /// The program.
        path: PathBuf,
        /// What it said instead, cut to 200 characters.
        said: String,
    },
    /// The program is too old.
    #[error("{} is nats-server {found}, at least {OLDEST} is needed: run `cargo xtask fetch-nats` or name a newer one with COFFERDAM_NATS_SERVER", path.display())]
    TooOld {
        /// The program.
        path: PathBuf,
        /// Its version.
        found: Version,
    },
    /// A newer server has written the store; an older one may misread it.
    #[error("the streams in {} were written by nats-server {written_by}, and this one is {found}: use {written_by} or newer", store.display())]
    StoreIsNewer {
        /// The store.
        store: PathBuf,
        /// The newest that wrote there.
        written_by: Version,
        /// The program's version.
        found: Version,
    },
    /// A file or process operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server of a former run is still on the store and cannot be ended.
    #[error("nats-server with pid {pid} of a former run still uses {} and does not end: stop it by hand", store.display())]
    StillRunning {
        /// Its pid.
        pid: u32,
        /// The store.
        store: PathBuf,
    },
    /// The server ended before it was ready.
    #[error("nats-server did not start: {reason}; its log {} ends with:\n{tail}", log.display())]
    Failed {
        /// How it ended.
        reason: String,
        /// The log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server runs and does not become ready.
    #[error("nats-server was not ready after {} s ({reason}); its log {} ends with:\n{tail}", waited.as_secs(), log.display())]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// What its health check said last.
        reason: String,
        /// The log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The start was given up by its caller.
    #[error("the start of nats-server was given up")]
    GivenUp,
    /// The thread ended without an answer: a fault of ours.
    #[error("the thread that supervises nats-server ended")]
    SupervisorEnded,
}
