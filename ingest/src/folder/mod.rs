//! The inbox folder: a file that is dropped there lands in the bucket, and goes from the folder.
//!
//! A file is taken once it is stable: size and times unchanged for a while, and nobody has it open for writing as far as the system tells. It is
//! removed only after the store has said that the object is durable, and only if it is still the file that was stored; one that changed meanwhile
//! stays and is taken again. Its path below the folder is its key.
//!
//! Never taken: names that begin with a dot or end in `.part`, `.tmp` or `~`, symbolic links, devices, pipes, sockets. What can never become a key, or has a
//! key that the store does not take, goes to `.rejected/`, with the reason beside it. There is no file-system watcher: a bounded walk over the folder finds everything, also on network
//! file systems and after a restart, and 100,000 files are 25 steps of it.
//!
//! A crash between "durable" and "removed" would store a file twice. Each object therefore carries its file's identity in its metadata
//! ([`FILE_MARK`]), which is looked up before a file is stored.

mod file;
mod lease;
mod reject;
mod scan;
mod take;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cofferdam_schemas::BucketName;
use cofferdam_seams::{ObjectError, ObjectStore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::error::IngestError;
use crate::metrics;
use crate::pump::error_text;
use scan::{Found, Scanner};
use take::{Taker, Taking};

/// User metadata of an object that came from the folder: the file's identity, size and time, as numbers.
pub const FILE_MARK: &str = "cofferdam-inbox-file";
/// The source label in metrics.
const SOURCE: &str = "folder";
/// Files stored at a time: small ones share the store's group commit.
const AT_ONCE: usize = 16;
/// How long a file that cannot be read waits, first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// How long everything waits for a store that takes nothing, first and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Most files whose failure is remembered.
const MAX_FAILED: usize = 50_000;

/// Where the folder is, and how patient it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSettings {
    /// The folder. Made if it is not there.
    pub path: PathBuf,
    /// The landing bucket.
    pub bucket: BucketName,
    /// How long a file has to stay unchanged. One second.
    pub settle: Duration,
    /// How long to rest between two walks that found nothing to do. Half a second.
    pub every: Duration,
    /// Directory entries looked at in one step of the walk. 4,096.
    pub step: usize,
}

impl FolderSettings {
    /// With the usual patience.
    pub fn new(path: impl Into<PathBuf>, bucket: BucketName) -> Self {
        Self {
            path: path.into(),
            bucket,
            settle: Duration::from_secs(1),
            every: Duration::from_millis(500),
            step: 4_096,
        }
    }
}

/// Removes files that an earlier process had stored but not removed when it ended; returns how many. [`run_folder`] begins with this. Running it before
/// the pump starts makes it exact, because the objects (and the marks on them) are then still there.
pub async fn recover_folder(settings: &FolderSettings, store: Arc<dyn ObjectStore>) -> Result<u64, IngestError> {
    let taker = Taker::new(prepare(&settings.path).await?, settings.bucket.clone(), store);
    let mut scanner = Scanner::new(taker.root().to_owned(), Duration::ZERO, settings.step);
    let mut removed = 0;
    // The second lap over unchanged files gives them all.
    for _ in 0..2 {
        loop {
            let (back, step) = scan(scanner).await?;
            scanner = back;
            for leftover in step.leftovers {
                removed += u64::from(taker.settle_leftover(&leftover).await);
            }
            for found in step.ready {
                if taker.has_landed(&found).await.unwrap_or(false) {
                    scanner.forget(&found.path);
                    removed += u64::from(matches!(taker.remove(&found).await, Taking::Taken));
                }
            }
            if step.end_of_lap {
                break;
            }
        }
    }
    Ok(removed)
}

/// Watches the folder until `stop`; files that are being stored then are finished first. Ends with an error only when the folder itself cannot be used at
/// the start; later it waits for it to come back.
pub async fn run_folder(
    settings: FolderSettings,
    store: Arc<dyn ObjectStore>,
    stop: CancellationToken,
) -> Result<(), IngestError> {
    let recovered = recover_folder(&settings, store.clone()).await?;
    if recovered > 0 {
        warn!(
            files = recovered,
            "files that were stored before the last stop are removed now"
        );
    }
    let root = prepare(&settings.path).await?;
    let taker = Arc::new(Taker::new(root.clone(), settings.bucket.clone(), store));
    let scanner = Scanner::new(root, settings.settle, settings.step);
    let folder = Folder {
        settings,
        taker,
        scanner: Some(scanner),
        tasks: JoinSet::new(),
        failed: HashMap::new(),
        hold: None,
        patience: PATIENCE.0,
    };
    folder.run(stop).await;
    Ok(())
}

/// Makes the folder if need be and resolves it, so that later comparisons are between real paths.
async fn prepare(path: &Path) -> Result<PathBuf, IngestError> {
    let fault = |source| IngestError::Folder {
        path: path.to_owned(),
        source,
    };
    tokio::fs::create_dir_all(path).await.map_err(fault)?;
    tokio::fs::canonicalize(path).await.map_err(fault)
}

async fn scan(mut scanner: Scanner) -> Result<(Scanner, scan::Step), IngestError> {
    let root = scanner.root().to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let step = scanner.step(Instant::now());
        (scanner, step)
    });
    let (scanner, step) = work.await.map_err(|e| IngestError::Folder {
        path: root.clone(),
        source: std::io::Error::other(e),
    })?;
    step.map(|step| (scanner, step))
        .map_err(|source| IngestError::Folder { path: root, source })
}

struct Folder {
    settings: FolderSettings,
    taker: Arc<Taker>,
    /// `None` only while a step runs.
    scanner: Option<Scanner>,
    tasks: JoinSet<(Found, Taking)>,
    /// Files that could not be taken, and when they are tried again.
    failed: HashMap<PathBuf, (Instant, Duration)>,
    /// Nothing is taken before this time: the store is full or away.
    hold: Option<Instant>,
    patience: Duration,
}

impl Folder {
    async fn run(mut self, stop: CancellationToken) {
        let mut ready: Vec<Found> = Vec::new();
        while !stop.is_cancelled() {
            self.begin(&mut ready);
            let mut rest = Duration::ZERO;
            if ready.is_empty() {
                rest = self.look(&mut ready).await;
            }
            if rest.is_zero() && self.tasks.len() < AT_ONCE && !self.holding() {
                // There may be finished ones all the same.
                while let Some(ended) = self.tasks.try_join_next() {
                    self.ended(ended);
                }
                continue;
            }
            let rest = if self.holding() {
                rest.max(Duration::from_millis(100))
            } else {
                rest
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                () = tokio::time::sleep(rest), if !rest.is_zero() => {}
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended);
        }
    }

    fn holding(&self) -> bool {
        self.hold.is_some_and(|until| Instant::now() < until)
    }

    /// Starts as many as there is room for.
    fn begin(&mut self, ready: &mut Vec<Found>) {
        while self.tasks.len() < AT_ONCE && !self.holding() {
            let Some(found) = ready.pop() else { return };
            if self
                .failed
                .get(&found.path)
                .is_some_and(|(again, _)| Instant::now() < *again)
            {
                self.observe_anew(&found.path);
                continue;
            }
            let taker = self.taker.clone();
            self.tasks.spawn(async move {
                let taking = taker.take(&found).await;
                (found, taking)
            });
        }
    }

    /// One step of the walk. Returns how long to rest afterwards.
    async fn look(&mut self, ready: &mut Vec<Found>) -> Duration {
        let Some(scanner) = self.scanner.take() else {
            return self.settings.every;
        };
        let root = scanner.root().to_owned();
        let step = match scan(scanner).await {
            Ok((scanner, step)) => {
                self.scanner = Some(scanner);
                step
            }
            Err(fault) => {
                warn!(
                    error = error_text(&fault),
                    "inbox folder cannot be read, waiting for it"
                );
                self.scanner = Some(Scanner::new(root, self.settings.settle, self.settings.step));
                return PATIENCE.0;
            }
        };
        for unfit in step.unfit {
            // One that stays has been told of; it is not given again until it changes.
            let _ = self.taker.reject(&unfit).await;
        }
        // The walk yields a path once; it comes again only after `forget` or `observe_anew`.
        ready.extend(step.ready);
        if step.end_of_lap && ready.is_empty() {
            self.settings.every
        } else {
            Duration::ZERO
        }
    }

    fn ended(&mut self, ended: Result<(Found, Taking), tokio::task::JoinError>) {
        let (found, taking) = match ended {
            Ok(pair) => pair,
            Err(fault) => {
                // A panic in a store: the file is still there and the walk's next life finds it.
                warn!(error = error_text(&fault), "storing a file ended badly");
                return;
            }
        };
        let path = found.path.display();
        if !matches!(taking, Taking::Unreadable(_) | Taking::Refused(_)) {
            self.failed.remove(&found.path);
        }
        match taking {
            Taking::Taken => {
                metrics::notification(SOURCE, "taken");
                self.patience = PATIENCE.0;
                if let Some(scanner) = &mut self.scanner {
                    scanner.forget(&found.path);
                }
                return;
            }
            Taking::Changed => debug!(%path, "file changed while it was stored, it stays and is taken again"),
            Taking::Unreadable(fault) => self.failing(&found.path, &fault.to_string()),
            Taking::Refused(fault) => self.failing(&found.path, &error_text(&fault)),
            Taking::Unfit(_) => {
                if let Some(scanner) = &mut self.scanner {
                    scanner.forget(&found.path);
                }
                return;
            }
            Taking::Held(fault) => {
                metrics::notification(SOURCE, "held");
                if !self.holding() {
                    warn!(
                        error = error_text(&fault),
                        wait_s = self.patience.as_secs(),
                        "store takes nothing now, files wait"
                    );
                    self.hold = Some(Instant::now() + self.patience);
                    self.patience = (self.patience * 2).min(PATIENCE.1);
                }
            }
        }
        self.observe_anew(&found.path);
    }

    /// Warns the first time, and remembers when to try again.
    fn failing(&mut self, path: &Path, fault: &str) {
        metrics::notification(SOURCE, "failed");
        let known = self.failed.get(path).map(|(_, delay)| *delay);
        if known.is_none() {
            warn!(path = %path.display(), error = fault, "file cannot be taken, trying again later");
        }
        let delay = known.map_or(RETRY.0, |delay| (delay * 2).min(RETRY.1));
        if self.failed.len() >= MAX_FAILED && known.is_none() {
            let now = Instant::now();
            self.failed.retain(|_, (again, _)| *again > now);
        }
        self.failed.insert(path.to_owned(), (Instant::now() + delay, delay));
    }

    fn observe_anew(&mut self, path: &Path) {
        if let Some(scanner) = &mut self.scanner {
            scanner.observe_anew(path, Instant::now());
        }
    }
}

/// Whether waiting for the store helps, for every file alike.
fn store_is_away(fault: &ObjectError) -> bool {
    match fault {
        ObjectError::Full { .. } | ObjectError::Unavailable { .. } => true,
        ObjectError::NotFound { .. }
        | ObjectError::PreconditionFailed { .. }
        | ObjectError::InvalidRange { .. }
        | ObjectError::AccessDenied { .. }
        | ObjectError::TooLarge { .. }
        | ObjectError::Corrupt { .. }
        | ObjectError::InvalidRequest { .. } => false,
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
