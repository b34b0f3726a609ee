//! One file: read, stored, removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cofferdam_schemas::BucketName;
use cofferdam_seams::{Locator, ObjectError, ObjectStore, PutOptions};
use tracing::{info, warn};

use super::file::Fingerprint;
use super::lease::has_writer;
use super::scan::{CLAIM, Found, Unfit, key_of};
use super::{FILE_MARK, SOURCE, reject, store_is_away};
use crate::metrics;

/// Bytes read at a time; a file up to this size takes one trip to the blocking pool.
const CHUNK: usize = 512 * 1024;
/// Longest file name that can be claimed by putting [`CLAIM`] before it (255 is every common file system's limit).
const LONGEST_CLAIMABLE: usize = 255 - CLAIM.len();

/// What became of a file.
#[derive(Debug)]
pub(super) enum Taking {
    /// The object is durable and the file gone.
    Taken,
    /// It is not the file it was, or somebody writes it: it stays.
    Changed,
    /// It cannot be read or removed now.
    Unreadable(io::Error),
    /// The store does not want this file.
    Refused(ObjectError),
    /// The store never takes a file of this name: it was moved aside.
    Unfit(String),
    /// The store takes nothing now.
    Held(ObjectError),
}

impl From<ObjectError> for Taking {
    fn from(fault: ObjectError) -> Self {
        match fault {
            ObjectError::InvalidRequest { reason } => Taking::Unfit(reason),
            fault if store_is_away(&fault) => Taking::Held(fault),
            fault => Taking::Refused(fault),
        }
    }
}

impl From<io::Error> for Taking {
    fn from(fault: io::Error) -> Self {
        // Gone, or replaced by a link or a directory: no longer the file that was found.
        match fault.raw_os_error() {
            Some(libc::ENOENT | libc::ELOOP | libc::ENOTDIR) => Taking::Changed,
            _ => Taking::Unreadable(fault),
        }
    }
}

/// Takes files into one bucket.
pub(super) struct Taker {
    root: PathBuf,
    bucket: BucketName,
    store: Arc<dyn ObjectStore>,
}

impl Taker {
    /// `root` is a real path: no part of it is a link.
    pub(super) fn new(root: PathBuf, bucket: BucketName, store: Arc<dyn ObjectStore>) -> Self {
        Self { root, bucket, store }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Stores the file and removes it.
    pub(super) async fn take(&self, found: &Found) -> Taking {
        let stored = match self.has_landed(found).await {
            Ok(true) => Ok(()),
            Ok(false) => self.store_file(found).await,
            Err(fault) => Err(fault.into()),
        };
        match stored {
            Ok(()) => self.remove(found).await,
            Err(Taking::Unfit(reason)) => {
                let unfit = Unfit {
                    path: found.path.clone(),
                    reason: format!("{reason}; then drop the file again"),
                };
                match self.reject(&unfit).await {
                    Ok(()) => Taking::Unfit(unfit.reason),
                    Err(fault) => Taking::Unreadable(fault),
                }
            }
            Err(taking) => taking,
        }
    }

    /// Whether an earlier life stored exactly this file and ended before removing it.
    pub(super) async fn has_landed(&self, found: &Found) -> Result<bool, ObjectError> {
        match self
            .store
            .head(&Locator::new(self.bucket.clone(), found.key.clone()))
            .await
        {
            Ok(meta) => Ok(meta
                .user
                .get(FILE_MARK)
                .is_some_and(|mark| *mark == found.print.to_string())),
            Err(ObjectError::NotFound { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    async fn store_file(&self, found: &Found) -> Result<(), Taking> {
        let mut reader = Reader::open(&self.root, found).await?;
        let at = Locator::new(self.bucket.clone(), found.key.clone());
        let options = PutOptions {
            user: [(FILE_MARK.to_owned(), found.print.to_string())].into(),
            size_hint: Some(found.print.size),
            ..PutOptions::default()
        };
        let mut upload = self.store.upload(&at, options).await?;
        loop {
            // An upload that is dropped leaves nothing behind.
            let chunk = match reader.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(taking) => {
                    upload.abort().await;
                    return Err(taking);
                }
            };
            upload.write(chunk).await?;
        }
        let meta = upload.finish(Bytes::new()).await?;
        info!(key = %found.key, size = meta.size, "file taken from the inbox folder");
        Ok(())
    }

    /// Removes the file if it still is what was stored.
    pub(super) async fn remove(&self, found: &Found) -> Taking {
        let (path, print) = (self.root.join(&found.path), found.print);
        match blocking(move || remove(&path, &print)).await {
            Ok(true) => Taking::Taken,
            Ok(false) => Taking::Changed,
            Err(fault) => fault.into(),
        }
    }

    /// Moves a file that can never be taken out of the way.
    pub(super) async fn reject(&self, unfit: &Unfit) -> io::Result<()> {
        metrics::notification(SOURCE, "rejected");
        let (root, path, reason) = (self.root.clone(), unfit.path.clone(), unfit.reason.clone());
        match blocking(move || reject::reject(&root, &path, &reason)).await {
            Ok(name) => {
                warn!(path = %unfit.path.display(), reason = unfit.reason, moved_to = name, "file cannot be taken and was moved to .rejected");
                Ok(())
            }
            Err(fault) => {
                warn!(path = %unfit.path.display(), error = %fault, "file cannot be taken, nor moved to .rejected");
                Err(fault)
            }
        }
    }

    /// A crash between claiming and removing left this. If the object is there, the file goes; if not, it gets its name back. Returns whether it went.
    pub(super) async fn settle_leftover(&self, leftover: &Path) -> bool {
        let Some(name) = leftover
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix(CLAIM))
        else {
            return false;
        };
        let original = leftover.with_file_name(name);
        let claimed = self.root.join(leftover);
        let (Ok(key), Ok(meta)) = (key_of(&original), fs::symlink_metadata(&claimed)) else {
            return false;
        };
        let found = Found {
            path: leftover.to_owned(),
            key,
            print: Fingerprint::of(&meta),
        };
        let landed = self.has_landed(&found).await;
        let target = self.root.join(original);
        let done = blocking(move || match landed {
            Ok(true) => fs::remove_file(&claimed).map(|()| true),
            Ok(false) => give_back(&claimed, &target).map(|()| false),
            Err(fault) => Err(io::Error::other(fault)),
        });
        done.await.unwrap_or_else(|fault| {
            warn!(path = %leftover.display(), error = %fault, "file left by an earlier stop cannot be settled now");
            false
        })
    }
}

/// An open file that was found stable, and its way to the end.
struct Reader {
    file: Option<File>,
    print: Fingerprint,
    left: u64,
    first: Option<Bytes>,
}

impl Reader {
    async fn open(root: &Path, found: &Found) -> Result<Self, Taking> {
        let (root, path, print) = (root.to_owned(), found.path.clone(), found.print);
        let opened = blocking(move || {
            // A pipe put in its place would block without O_NONBLOCK; a link in its place is refused.
            let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
            let full = root.join(path);
            let file = OpenOptions::new().read(true).custom_flags(flags).open(&full)?;
            let meta = file.metadata()?;
            if !meta.is_file() || Fingerprint::of(&meta) != print || !is_at(&file, &full) || has_writer(&file) {
                return Ok(None);
            }
            let mut reader = Reader {
                file: Some(file),
                print,
                left: print.size,
                first: None,
            };
            reader.first = Some(reader.read()?);
            Ok(Some(reader))
        });
        opened.await?.ok_or(Taking::Changed)
    }

    /// The next bytes; `None` at the end of a file that stayed as it was.
    async fn next(&mut self) -> Result<Option<Bytes>, Taking> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Ok(Some(first));
        }
        let Some(file) = self.file.take() else { return Ok(None) };
        let mut reader = Reader {
            file: Some(file),
            print: self.print,
            left: self.left,
            first: None,
        };
        let (reader, chunk) = blocking(move || {
            let chunk = if reader.left == 0 { None } else { Some(reader.read()?) };
            if chunk.is_none() && !reader.is_unchanged()? {
                return Ok((reader, Err(Taking::Changed)));
            }
            Ok((reader, Ok(chunk)))
        })
        .await?;
        self.left = reader.left;
        let chunk = chunk?;
        // At the end the file is not needed any more.
        self.file = reader.file.filter(|_| chunk.is_some());
        // It became shorter.
        if chunk.as_ref().is_some_and(Bytes::is_empty) {
            Err(Taking::Changed)
        } else {
            Ok(chunk)
        }
    }

    fn read(&mut self) -> io::Result<Bytes> {
        let Some(file) = &mut self.file else {
            return Ok(Bytes::new());
        };
        let wanted = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let mut buffer = BytesMut::zeroed(wanted);
        let mut filled = 0;
        while filled < wanted {
            match file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        buffer.truncate(filled);
        self.left -= filled as u64;
        Ok(buffer.freeze())
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(true) };
        Ok(Fingerprint::of(&file.metadata()?) == self.print && !has_writer(file))
    }
}

/// Whether the open file really lies at this path. A directory on the way that was replaced by a link after the walk would lead elsewhere.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::fd::AsRawFd;
    match fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Ok(real) => real == path,
        Err(_) => fs::canonicalize(path).is_ok_and(|real| real == path),
    }
}

/// Removes the file if it still is the one with this fingerprint. It is renamed first: between looking at a path and removing what is there, somebody
/// could put a new file there, and it would be lost. What was renamed can be looked at in peace, and goes back if it is another.
fn remove(path: &Path, print: &Fingerprint) -> io::Result<bool> {
    if Fingerprint::of(&fs::symlink_metadata(path)?) != *print {
        return Ok(false);
    }
    let name = path.file_name().unwrap_or_default();
    if name.len() > LONGEST_CLAIMABLE {
        fs::remove_file(path)?;
        return Ok(true);
    }
    let mut claim = std::ffi::OsString::from(CLAIM);
    claim.push(name);
    let claimed = path.with_file_name(claim);
    fs::rename(path, &claimed)?;
    if Fingerprint::of(&fs::symlink_metadata(&claimed)?).same_content(print) {
        fs::remove_file(&claimed)?;
        return Ok(true);
    }
    give_back(&claimed, path)?;
    Ok(false)
}

/// Gives a claimed file its name back, unless a still newer one has it: then the claimed one was overwritten, as it would have been without us.
fn give_back(claimed: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(claimed, path) {
        Ok(()) => fs::remove_file(claimed),
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(claimed),
        // A file system without hard links.
        Err(_) => fs::rename(claimed, path),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(path: &Path) -> Fingerprint {
        Fingerprint::of(&fs::symlink_metadata(path).unwrap())
    }

    #[test]
    fn only_the_file_that_was_stored_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let before = print(&path);
        fs::write(&path, "another").unwrap();
        assert!(!remove(&path, &before).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
        assert!(remove(&path, &print(&path)).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_claimed_file_goes_back_unless_it_was_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (claimed, path) = (folder.path().join(format!("{CLAIM}a")), folder.path().join("a"));
        fs::write(&claimed, "one").unwrap();
        give_back(&claimed, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        fs::write(&claimed, "old").unwrap();
        give_back(&claimed, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert!(!claimed.exists());
    }

    #[test]
    fn a_directory_that_became_a_link_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/a"), "1").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("link")).unwrap();
        let through = root.join("link/a");
        assert!(!is_at(&File::open(&through).unwrap(), &through));
        let straight = root.join("real/a");
        assert!(is_at(&File::open(&straight).unwrap(), &straight));
    }
}
