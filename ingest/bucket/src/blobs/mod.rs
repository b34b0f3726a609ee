//! Files that hold object bytes.
//!
//! A blob is written to `blobs/tmp`, synced, renamed to `blobs/aa/bb/<name>.blob` and its directory synced, all before the index
//! speaks of it. It is removed after the index no longer does. So a crash can leave files without a row, never a row
//! without its file; [`Blobs::sweep`] removes the former at start.

mod reader;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use reader::{BlobStream, Piece, Source};
pub(crate) use writer::{BlobWriter, NewBlob};

/// How much is read, written and hashed at a time.
pub(crate) const CHUNK: usize = 1024 * 1024;

/// The directory of blob files. Clones share it.
#[derive(Clone)]
pub(crate) struct Blobs {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    /// Directories known to be there and synced into their parent.
    made: Mutex<HashSet<PathBuf>>,
    pins: Mutex<Pins>,
}

/// Files that are being read, and those of them that are to be removed when that ends.
#[derive(Default)]
struct Pins {
    readers: HashMap<String, u32>,
    doomed: HashSet<String>,
}

impl Blobs {
    /// Makes the directories and removes what unfinished uploads left.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        let temporary = root.join("tmp");
        if temporary.exists() {
            fs::remove_dir_all(&temporary)?;
        }
        make_directory(&root)?;
        make_directory(&temporary)?;
        sync_directory(&root)?;
        if let Some(parent) = root.parent() {
            sync_directory(parent)?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                made: Mutex::default(),
                pins: Mutex::default(),
            }),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner
            .root
            .join(&name[..2])
            .join(&name[2..4])
            .join(format!("{name}.blob"))
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.inner.root.join("tmp").join(name)
    }

    fn pins(&self) -> MutexGuard<'_, Pins> {
        self.inner.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a finished temporary file its place. Both the file's name and its directories are durable when this returns.
    fn place(&self, temporary: &Path, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let lower = self.inner.root.join(&name[..2]).join(&name[2..4]);
        let upper = self.inner.root.join(&name[..2]);
        self.ensure(&upper, &self.inner.root)?;
        self.ensure(&lower, &upper)?;
        fs::rename(temporary, &path)?;
        sync_directory(&lower)
    }

    fn ensure(&self, directory: &Path, parent: &Path) -> io::Result<()> {
        let known = |made: MutexGuard<'_, HashSet<PathBuf>>| made.contains(directory);
        if known(self.inner.made.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        make_directory(directory)?;
        sync_directory(parent)?;
        self.inner
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(directory.to_owned());
        Ok(())
    }

    /// Removes files the index no longer speaks of; those being read go when their last reader does. A file that cannot
    /// be removed stays for the sweep at the next start.
    pub(crate) fn remove(&self, names: &[String]) {
        for name in names {
            {
                let mut pins = self.pins();
                if pins.readers.contains_key(name) {
                    pins.doomed.insert(name.clone());
                    continue;
                }
            }
            self.unlink(name);
        }
    }

    fn unlink(&self, name: &str) {
        match fs::remove_file(self.path(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(blob = name, %error, "cannot remove blob, left for the sweep at the next start")
            }
        }
    }

    /// Keeps files from being removed until the guard is dropped.
    pub(crate) fn pin(&self, names: Vec<String>) -> Pinned {
        let mut pins = self.pins();
        for name in &names {
            *pins.readers.entry(name.clone()).or_default() += 1;
        }
        drop(pins);
        Pinned {
            blobs: self.clone(),
            names,
        }
    }

    /// Removes files that have no row. `known` gives the names in the index that begin with two hex digits. Returns how many were removed.
    ///
    /// Only at start, before anything is written: a file between its rename and its row looks like an orphan.
    pub(crate) fn sweep<E: From<io::Error>>(
        &self,
        mut known: impl FnMut(&str) -> Result<HashSet<String>, E>,
    ) -> Result<u64, E> {
        let mut removed = 0;
        for upper in fs::read_dir(&self.inner.root)? {
            let upper = upper?;
            let prefix = upper.file_name().to_string_lossy().into_owned();
            if prefix.len() != 2 || !upper.file_type()?.is_dir() {
                continue;
            }
            let names = known(&prefix)?;
            for lower in fs::read_dir(upper.path())? {
                let lower = lower?;
                if !lower.file_type()?.is_dir() {
                    continue;
                }
                for file in fs::read_dir(lower.path())? {
                    let file = file?;
                    let name = file.file_name().to_string_lossy().into_owned();
                    if name.strip_suffix(".blob").is_some_and(|name| !names.contains(name)) {
                        fs::remove_file(file.path())?;
                        removed += 1;
                    }
                }
            }
        }
        Ok(removed)
    }
}

/// See [`Blobs::pin`].
pub(crate) struct Pinned {
    blobs: Blobs,
    names: Vec<String>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut free = Vec::new();
        let mut pins = self.blobs.pins();
        for name in self.names.drain(..) {
            let left = pins.readers.get_mut(&name).map(|count| {
                *count -= 1;
                *count
            });
            if left == Some(0) {
                pins.readers.remove(&name);
                if pins.doomed.remove(&name) {
                    free.push(name);
                }
            }
        }
        drop(pins);
        free.iter().for_each(|name| self.blobs.unlink(name));
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    // Object bytes are nobody else's business.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// 128 random bits: a name nobody has.
pub(crate) fn random_name() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
