//! The bucket itself: index and blobs together.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use cofferdam_commit::{Database, Settings};
use cofferdam_schemas::{BucketName, Timestamp};
use cofferdam_seams::Clock;
use cofferdam_seams::crash::{self, Point, When};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::blobs::{BlobStream, BlobWriter, Blobs, Source};
use crate::digest::Digests;
use crate::error::{BucketError, Refusal, Stop};
use crate::grants::Credential;
use crate::index::buckets::{self, BucketRow};
use crate::index::objects::{self, VersionRow, Which};
use crate::index::{self, Change};
use crate::landing::{Landing, LandingKeys};
use crate::ledger::Ledger;

/// How a bucket store is opened.
pub struct BucketSettings {
    /// `bucket.db` and `blobs/` are kept here. One process at a time.
    pub data_dir: PathBuf,
    /// Objects up to this size live in the database and share its group commit; larger ones are files with an fsync of their own. Usually 65,536.
    pub inline_limit: u64,
    /// The region the endpoint says it is in.
    pub region: String,
    /// Buckets whose writes and deletes go into the ledger, and which keys they take.
    pub landing: Vec<Landing>,
    /// Tells when something was written.
    pub clock: Arc<dyn Clock>,
}

/// The embedded object store. Clones share it. It implements [`cofferdam_seams::ObjectStore`]; [`crate::serve`] offers it over S3.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    blobs: Blobs,
    inline_limit: u64,
    region: String,
    landing: HashMap<String, Option<Arc<dyn LandingKeys>>>,
    clock: Arc<dyn Clock>,
    added: watch::Sender<u64>,
    endpoint: RwLock<Option<(String, Credential)>>,
}

impl Bucket {
    /// Opens or makes the store, and clears away what unfinished writes of an earlier process left.
    pub async fn open(settings: BucketSettings) -> Result<Self, BucketError> {
        let work = tokio::task::spawn_blocking(move || Self::open_blocking(settings));
        work.await.map_err(|_| BucketError::Panicked)?
    }

    fn open_blocking(settings: BucketSettings) -> Result<Self, BucketError> {
        let BucketSettings {
            data_dir,
            inline_limit,
            region,
            landing,
            clock,
        } = settings;
        let path = data_dir.join("bucket.db");
        let database = Database::open(Settings::new(&path, "bucket"), index::migrate)?;
        let blobs =
            Blobs::open(data_dir.join("blobs")).map_err(|error| BucketError::files("make blob directory", error))?;
        let swept = sweep(&blobs, &path)?;
        if swept > 0 {
            tracing::info!(blobs = swept, "removed blobs that unfinished writes left");
        }
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                blobs,
                inline_limit,
                region,
                landing: landing
                    .into_iter()
                    .map(|landing| (landing.bucket.into(), landing.keys))
                    .collect(),
                clock,
                added: watch::Sender::new(0),
                endpoint: RwLock::new(None),
            }),
        })
    }

    /// Makes a bucket unless it is there.
    pub async fn create_bucket(&self, name: &BucketName) -> Result<(), BucketError> {
        let name = name.as_str().to_owned();
        match self.commit(None, move |change| buckets::create(change, &name)).await {
            Err(BucketError::Refused(Refusal::BucketExists)) => Ok(()),
            other => other,
        }
    }

    /// The ledger.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.clone())
    }

    /// Finishes writes under way and closes the index. Later calls fail.
    pub async fn close(&self) {
        self.inner.database.close().await;
    }

    /// Where the endpoint is (`http://host:port`, no path) and with which credential [`cofferdam_seams::ObjectStore::presign_get`] signs.
    pub fn set_endpoint(&self, url: String, signer: Credential) {
        let url = url.trim_end_matches('/').to_owned();
        *self.inner.endpoint.write().unwrap_or_else(PoisonError::into_inner) = Some((url, signer));
    }

    pub(crate) fn endpoint(&self) -> Option<(String, Credential)> {
        self.inner
            .endpoint
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says no to a key that a landing bucket does not take, before bytes are sent for nothing. The commit asks again.
    pub(crate) fn takes(&self, bucket: &str, key: &str) -> Result<(), BucketError> {
        match self.inner.landing.get(bucket) {
            Some(Some(keys)) => keys.check(key).map_err(|reason| Refusal::NotTaken { reason }.into()),
            Some(None) | None => Ok(()),
        }
    }

    pub(crate) fn region(&self) -> &str {
        &self.inner.region
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub(crate) fn notified(&self) -> watch::Receiver<u64> {
        self.inner.added.subscribe()
    }

    /// Runs one change of the index. When this returns it is durable; files it let go of are removed, and the ledger's readers told.
    /// Goes on to its end when the caller goes away.
    pub(crate) async fn commit<T: Send + 'static>(
        &self,
        bucket: Option<&str>,
        op: impl FnOnce(&mut Change<'_>) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, BucketError> {
        let inner = Arc::clone(&self.inner);
        let keys = bucket.and_then(|name| inner.landing.get(name).cloned());
        let landing = keys.is_some();
        let work = tokio::spawn(async move {
            let clock = Arc::clone(&inner.clock);
            let write = inner.database.write(move |tx| {
                let mut change = Change {
                    tx,
                    now: clock.now(),
                    landing,
                    keys: keys.flatten(),
                    released: Vec::new(),
                    recorded: false,
                };
                let value = op(&mut change)?;
                Ok((value, change.released, change.recorded))
            });
            let (value, released, recorded) = write.await?;
            if recorded && landing {
                crash::point(Point::UploadAccepted, When::After);
            }
            if recorded {
                inner.added.send_modify(|count| *count = count.wrapping_add(1));
            }
            if !released.is_empty() {
                let blobs = inner.blobs.clone();
                // Not waited for: the answer does not depend on it, and the sweep at the next start finds what is left.
                drop(tokio::task::spawn_blocking(move || blobs.remove(&released)));
            }
            Ok(value)
        });
        work.await.unwrap_or(Err(BucketError::Panicked))
    }

    /// Reads the index.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Connection) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, BucketError> {
        Ok(self.inner.database.read(move |connection| Ok(op(connection)?)).await?)
    }

    /// A writer for a new blob.
    pub(crate) fn writer(&self, reserve: u64, size_hint: Option<u64>, digests: Digests) -> BlobWriter {
        BlobWriter::new(
            self.inner.blobs.clone(),
            self.inner.inline_limit,
            reserve,
            size_hint,
            digests,
        )
    }

    /// Finds a version and begins to read what `choose` wants of it: the rows it was chosen from are the bytes that come.
    ///
    /// `choose` sees the version and says which of its bytes; it runs with the index at hand.
    pub(crate) async fn read<C: Send + 'static>(
        &self,
        bucket: &str,
        key: &str,
        which: Which,
        choose: impl Fn(&Connection, &BucketRow, &VersionRow) -> Result<(Range<u64>, C), Stop> + Send + Sync + 'static,
    ) -> Result<(BucketRow, VersionRow, Range<u64>, C, BlobStream), BucketError> {
        let choose = Arc::new(choose);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (bucket, key, which, choose) = (bucket.to_owned(), key.to_owned(), which.clone(), Arc::clone(&choose));
            let found = self
                .look(move |connection| {
                    // One view of the index for all of it.
                    let tx = connection.unchecked_transaction()?;
                    let (bucket, version) = objects::find(&tx, &bucket, &key, &which)?;
                    let (range, chosen) = choose(&tx, &bucket, &version)?;
                    let pieces = objects::pieces(&tx, &version, &range)?;
                    Ok((bucket, version, range, chosen, pieces))
                })
                .await?;
            let (bucket, version, range, chosen, pieces) = found;
            let files: Vec<String> = pieces
                .iter()
                .filter_map(|piece| match &piece.source {
                    Source::File(name) => Some(name.clone()),
                    Source::Memory(_) | Source::Open(_) => None,
                })
                .collect();
            let many = files.len() > 1;
            let pinned = (!files.is_empty()).then(|| self.inner.blobs.pin(files));
            let mut stream = BlobStream::new(self.inner.blobs.clone(), pieces, pinned);
            // Between the look and the pin the version may have been removed. One file is safe once it is open; with many, the row must
            // still be there after the pin: only then can nobody have begun to remove them.
            let id = version.id;
            let gone = match stream.open_first().await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
                Err(error) => return Err(BucketError::files("open blob", error)),
                Ok(()) => {
                    many && !self
                        .look(move |connection| Ok(objects::exists(connection, id)?))
                        .await?
                }
            };
            if !gone {
                return Ok((bucket, version, range, chosen, stream));
            }
            if attempts == 3 {
                let missing = std::io::Error::new(std::io::ErrorKind::NotFound, "blob is missing");
                return Err(BucketError::files("open blob", missing));
            }
        }
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

fn sweep(blobs: &Blobs, path: &std::path::Path) -> Result<u64, BucketError> {
    enum Failure {
        Files(std::io::Error),
        Index(rusqlite::Error),
    }
    impl From<std::io::Error> for Failure {
        fn from(error: std::io::Error) -> Self {
            Self::Files(error)
        }
    }
    let run = || {
        let connection = Connection::open(path).map_err(Failure::Index)?;
        blobs.sweep(|prefix| objects::files(&connection, prefix).map_err(Failure::Index))
    };
    run().map_err(|failure| match failure {
        Failure::Files(error) => BucketError::files("sweep blobs", error),
        Failure::Index(error) => BucketError::Index(cofferdam_commit::CommitError::Sql(error)),
    })
}
