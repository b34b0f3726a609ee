//! The parent's side: children, kept, watched and replaced.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::{AnswerBounds, Answered};
use super::confine::{Bounds, InForce};
use child::{Child, Spawner};

#[path = "child.rs"]
mod child;

/// How the pool works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program, usually our own.
    pub program: PathBuf,
    /// Arguments by which it knows that it is a child.
    pub args: Vec<OsString>,
    /// What each child is handed at its start, before it is confined: for example rules that were compiled once.
    pub material: Arc<[u8]>,
    /// Children at once. Each takes up to [`Bounds::data`] of memory.
    pub children: usize,
    /// Documents after which a child is replaced, so that nothing builds up in it.
    pub documents_per_child: u64,
    /// Time by the clock for one document.
    pub wall: Duration,
    /// Time by the clock for a child to become ready.
    pub start: Duration,
    /// What a child may take.
    pub bounds: Bounds,
    /// Longest result.
    pub frame_bytes: u32,
    /// Results of one document, and their bytes together.
    pub frames: u64,
    /// Bytes of all results of one document.
    pub result_bytes: u64,
}

impl Settings {
    /// Our own binary with one argument, and defaults for the rest.
    pub fn own(argument: &str) -> io::Result<Self> {
        Ok(Self::of(std::env::current_exe()?, argument))
    }

    /// Another binary.
    pub fn of(program: PathBuf, argument: &str) -> Self {
        Self {
            program,
            args: vec![argument.into()],
            material: Arc::default(),
            children: std::thread::available_parallelism().map_or(2, usize::from),
            documents_per_child: 500,
            wall: Duration::from_secs(30),
            start: Duration::from_secs(20),
            bounds: Bounds::default(),
            frame_bytes: 1 << 20,
            frames: 200_000,
            result_bytes: 64 << 20,
        }
    }
}

/// How a child broke its bounds. It is a verdict on the document: results that came before it are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// It wanted more memory than it may have.
    #[error("memory limit reached")]
    Memory,
    /// It called itself too deeply.
    #[error("stack limit reached")]
    Stack,
    /// It took too much processor time.
    #[error("processor time limit reached")]
    Cpu,
    /// It took too long.
    #[error("time limit reached")]
    Wall,
    /// It panicked.
    #[error("the scan panicked")]
    Panic,
    /// It died of a signal.
    #[error("the child died of signal {0}")]
    Signal(i32),
    /// It ended without a last word.
    #[error("the child ended with code {0}")]
    Exit(i32),
    /// It said what a child does not say.
    #[error("the child broke the protocol")]
    Protocol,
    /// It sent more results than it may.
    #[error("too many results")]
    Flood,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The document made the child break its bounds.
    #[error(transparent)]
    Breach(#[from] Breach),
    /// There is no child to be had: our fault, not the document's.
    #[error("cannot start a child process")]
    Start(#[source] io::Error),
    /// The request cannot be written down, or is too long.
    #[error("the request cannot be sent")]
    Request(#[source] io::Error),
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What held in the child.
    pub in_force: InForce,
    /// Results that were handed over.
    pub items: u64,
    /// Results that were too long to be sent: the document was not reported on in full.
    pub dropped: u64,
    /// Processor time it took, to a hundredth of a second (Linux; zero elsewhere).
    pub cpu: Duration,
    /// Most memory that the child had resident so far, this document and earlier ones (Linux).
    pub peak_bytes: Option<u64>,
}

/// The children. Dropping it ends them.
pub struct Pool {
    settings: Settings,
    permits: Semaphore,
    idle: Mutex<Vec<Child>>,
    spawner: Spawner,
}

impl Pool {
    /// Starts no child yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            permits: Semaphore::new(settings.children.max(1)),
            idle: Mutex::default(),
            spawner: Spawner::start(),
            settings,
        }
    }

    /// Has one document looked at. `take` gets each result as it comes; what it got before an error counts. Waits for a free child.
    /// Dropping the future kills the child. `document` is handed over as it is: its position is shared, so use none of your own.
    pub async fn run<R: Serialize, S: DeserializeOwned>(
        &self,
        request: &R,
        document: &(impl AsFd + Sync),
        mut take: impl FnMut(S) + Send,
    ) -> Result<Report, Failure> {
        let request = serde_json::to_vec(request).map_err(|error| Failure::Request(error.into()))?;
        if request.len() as u64 > u64::from(super::frame::REQUEST) {
            return Err(Failure::Request(io::ErrorKind::InvalidInput.into()));
        }
        // The semaphore is never closed.
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(Failure::Start(io::ErrorKind::Other.into()));
        };
        let mut child = match self.idle() {
            Some(mut child) => match child.send(&request, document).await {
                Ok(()) => child,
                // It died while it waited, which no document did.
                Err(_) => self.fresh(&request, document).await?,
            },
            None => self.fresh(&request, document).await?,
        };
        let until = Instant::now() + self.settings.wall;
        let bounds = AnswerBounds {
            frame_bytes: self.settings.frame_bytes,
            frames: self.settings.frames,
            result_bytes: self.settings.result_bytes,
        };
        match child.answer(bounds, until, &mut take).await {
            Ok(Answered { items, dropped }) => {
                child.documents += 1;
                let cpu = child.cpu().saturating_sub(child.cpu_before);
                let report = Report {
                    in_force: child.in_force.clone(),
                    items,
                    dropped,
                    cpu,
                    peak_bytes: child.peak_bytes(),
                };
                if child.documents < self.settings.documents_per_child {
                    self.keep(child);
                }
                Ok(report)
            }
            Err(fault) => Err(Failure::Breach(child.end(fault).await)),
        }
    }

    fn idle(&self) -> Option<Child> {
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop()
    }

    fn keep(&self, child: Child) {
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(child);
    }

    async fn fresh(&self, request: &[u8], document: &(impl AsFd + Sync)) -> Result<Child, Failure> {
        let mut child = self.spawner.child(&self.settings).await.map_err(Failure::Start)?;
        child.send(request, document).await.map_err(Failure::Start)?;
        Ok(child)
    }
}
