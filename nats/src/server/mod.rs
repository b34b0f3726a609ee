//! The supervised child nats-server of an embedded installation.
//!
//! One thread owns the child from its start to its end. It must be a thread of its own: on Linux the child is told to
//! die when *the thread* that made it ends (`PR_SET_PDEATHSIG`), and a thread of the runtime may end at any time. The
//! thread restarts the child on the same ports when it exits, and when `/healthz` has said no for ten seconds (a disk
//! that was full leaves JetStream off until a restart). Clients reconnect by themselves.
//!
//! Files below `<data>/nats`, all for the owner only: `jetstream/` (the streams), `server.log` (16 MiB, two older
//! ones kept), `version` (the newest server that wrote here) and `run/` (configuration with passwords, ports, pid,
//! output of the start).
//!
//! The caller holds the lock on the data directory: two servers on one store destroy it. A server that was left by a
//! killed parent is ended before the new one starts.

// The supervising thread is its own: it sleeps without stopping anybody's tasks.
#![allow(clippy::disallowed_methods)]

mod binary;
mod child;
mod config;
mod definitions;
mod error;
mod files;
mod health;
mod ports;
mod supervisor;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::accounts::Accounts;

pub use binary::{OLDEST, RECOMMENDED, Version, find_binary};
pub use error::ServerError;
pub use ports::{Ports, Preferred};

/// Counts how often the child was started again, as Prometheus shows it: the exporter adds the ending.
pub const RESTARTS: &str = "cofferdam_nats_server_restarts_total";

/// When the server flushes what it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// After this time at the latest. A power cut loses what came after the last flush, which the ledger brings back.
    Interval(Duration),
    /// Before each acknowledgement: one flush a message on a single server, a few hundred to a few thousand messages
    /// a second.
    Always,
}

impl Default for SyncMode {
    fn default() -> Self {
        SyncMode::Interval(Duration::from_millis(100))
    }
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncMode::Interval(time) => write!(f, "{}ms", time.as_millis()),
            SyncMode::Always => f.write_str("always"),
        }
    }
}

/// How to run the server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The program; see [`find_binary`].
    pub binary: PathBuf,
    /// The installation's data directory. The server's files lie below `nats/`.
    pub data_dir: PathBuf,
    /// When it flushes. 100 ms unless set.
    pub sync: SyncMode,
    /// Ports to use if they are free.
    pub preferred: Preferred,
    /// At most this much of the disk, in bytes; 64 GiB unless set. Never more than 70 % of what is free or already
    /// the store's, so that a full store is met before a full disk.
    pub max_store: u64,
    /// How long a start may take before it counts as failed. A large store takes a while to be read: 2 minutes unless
    /// set.
    pub start_timeout: Duration,
    /// How long the server may take to stop before it is killed. 10 s unless set.
    pub stop_timeout: Duration,
}

impl ServerSettings {
    /// The usual settings for a program and a data directory.
    pub fn new(binary: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            data_dir: data_dir.into(),
            sync: SyncMode::default(),
            preferred: Preferred::default(),
            max_store: 64 << 30,
            start_timeout: Duration::from_secs(120),
            stop_timeout: Duration::from_secs(10),
        }
    }
}

/// What the child is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// It answers.
    Ready,
    /// It has stopped or is ill, and is being started again.
    Restarting {
        /// Why: how it ended, or what its health check said.
        reason: String,
        /// Starts tried since it was last ready, from 1.
        attempt: u32,
    },
    /// It was told to stop, and has.
    Stopped,
}

/// Seen by the thread and by [`Server`].
#[derive(Debug)]
struct Shared {
    state: watch::Sender<ServerState>,
    restarts: AtomicU64,
    /// 0 while there is none.
    pid: AtomicU32,
}

/// What is known once the first start has succeeded.
#[derive(Debug, Clone)]
struct Facts {
    version: Version,
    ports: Ports,
    max_store: u64,
    log: PathBuf,
}

/// The running server. Dropping it stops the child, without waiting for it.
#[derive(Debug)]
pub struct Server {
    facts: Facts,
    sync: SyncMode,
    preferred: Preferred,
    shared: Arc<Shared>,
    /// Dropped to say stop. Nothing is ever sent.
    stop: mpsc::Sender<()>,
}

/// Starts the server and waits until it answers. Dropping the future stops it again.
pub async fn start(settings: ServerSettings, accounts: &Accounts) -> Result<Server, ServerError> {
    let (sync, preferred) = (settings.sync, settings.preferred);
    let (state, _) = watch::channel(ServerState::Restarting {
        reason: "first start".to_owned(),
        attempt: 1,
    });
    let shared = Arc::new(Shared {
        state,
        restarts: AtomicU64::new(0),
        pid: AtomicU32::new(0),
    });
    let (stop, stopped) = mpsc::channel();
    let (ready, outcome) = oneshot::channel();
    let supervisor = supervisor::Supervisor::new(settings, accounts.render(), shared.clone(), stopped);
    std::thread::Builder::new()
        .name("nats-server".to_owned())
        .spawn(move || supervisor.run(ready))
        .map_err(|source| ServerError::File {
            action: "start a thread for",
            path: PathBuf::from("nats-server"),
            source,
        })?;
    let facts = outcome.await.map_err(|_| ServerError::SupervisorEnded)??;
    Ok(Server {
        facts,
        sync,
        preferred,
        shared,
        stop,
    })
}

impl Server {
    /// Where clients connect: `nats://127.0.0.1:<port>`. Stays the same over restarts of the child.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.facts.ports.client)
    }

    /// Where browsers connect: `ws://127.0.0.1:<port>`.
    pub fn websocket_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.facts.ports.websocket)
    }

    /// The monitoring endpoint: `http://127.0.0.1:<port>`.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.facts.ports.monitor)
    }

    /// The three ports.
    pub fn ports(&self) -> Ports {
        self.facts.ports
    }

    /// The preferred ports that were taken, as (what for, preferred, used instead).
    pub fn moved_ports(&self) -> Vec<(&'static str, u16, u16)> {
        self.preferred.moved(&self.facts.ports)
    }

    /// The child's process id; `None` between two lives.
    pub fn pid(&self) -> Option<u32> {
        match self.shared.pid.load(Ordering::Acquire) {
            0 => None,
            pid => Some(pid),
        }
    }

    /// What the program said its version is.
    pub fn version(&self) -> Version {
        self.facts.version
    }

    /// When it flushes.
    pub fn sync(&self) -> SyncMode {
        self.sync
    }

    /// How many bytes all streams together may take on disk. A stream whose limit does not fit is refused.
    pub fn max_store(&self) -> u64 {
        self.facts.max_store
    }

    /// The server's log.
    pub fn log(&self) -> &Path {
        &self.facts.log
    }

    /// How often the child was started again.
    pub fn restarts(&self) -> u64 {
        self.shared.restarts.load(Ordering::Relaxed)
    }

    /// Follows the child's state.
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.shared.state.subscribe()
    }

    /// Flushes the definitions of all streams and consumers to disk, which the server does not: call it when they are provisioned, before anything is accepted.
    pub async fn flush_definitions(&self) -> Result<(), ServerError> {
        let root = self.facts.log.parent().unwrap_or(Path::new("")).to_owned();
        let path = root.clone();
        let flushed = tokio::task::spawn_blocking(move || definitions::flush(&root)).await;
        flushed
            .unwrap_or_else(|ended| Err(std::io::Error::other(ended)))
            .map_err(|source| ServerError::File {
                action: "flush the definitions in",
                path,
                source,
            })
    }

    /// Stops the child and waits: asked to, it closes its files and exits; after the stop timeout it is killed.
    pub async fn stop(self) {
        let mut state = self.state();
        drop(self.stop);
        // The sender lives in `shared`, so waiting ends only with the state.
        let _ = state.wait_for(|state| *state == ServerState::Stopped).await;
    }
}
