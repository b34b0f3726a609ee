//! Secret files: written whole or not at all, readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::KeyError;

/// A key ring of a thousand tenants has less than 1 MiB; what is longer is not one.
const MOST: u64 = 64 << 20;

/// What [`write`] does when the file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Leave it alone and answer `false`.
    Keep,
    /// Replace it in one step.
    Replace,
}

/// Reads a secret file; `None` when it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyError::io("open", path)(error)),
    };
    let about = file.metadata().map_err(KeyError::io("read", path))?;
    if !about.is_file() {
        return Err(KeyError::damaged(path, "it is not a file"));
    }
    check_mode(path, &about)?;
    if about.len() > MOST {
        return Err(KeyError::damaged(path, "it is far too long"));
    }
    // Room for all of it at once: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(about.len() as usize + 1));
    file.read_to_end(&mut bytes).map_err(KeyError::io("read", path))?;
    Ok(Some(bytes))
}

/// Writes a secret file with mode 0600: a temporary file beside it, synced, then brought to its name in one step. Says
/// whether it was written.
pub(crate) fn write(path: &Path, bytes: &[u8], existing: Existing) -> Result<bool, KeyError> {
    let dir = make_parent(path)?;
    let mut unique = [0; 8];
    super::random(&mut unique)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temp = dir.join(format!(".{name}.{}.tmp", hex::encode(unique)));
    let outcome = write_temp(&temp, bytes).and_then(|()| match existing {
        Existing::Replace => fs::rename(&temp, path)
            .map(|()| true)
            .map_err(KeyError::io("replace", path)),
        // A hard link fails where a rename would replace: two first starts at once end with one key.
        Existing::Keep => match fs::hard_link(&temp, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(KeyError::io("create", path)(error)),
        },
    });
    // After a rename it is gone; after anything else it must go, and a failure to remove it is not what matters.
    let _ = fs::remove_file(&temp);
    let written = outcome?;
    #[cfg(unix)]
    File::open(&dir)
        .and_then(|dir| dir.sync_all())
        .map_err(KeyError::io("sync", &dir))?;
    Ok(written)
}

/// Holds a lock beside a file until it is dropped, so that two processes do not change the file at once.
pub(crate) fn lock(path: &Path) -> Result<File, KeyError> {
    let dir = make_parent(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = dir.join(format!(".{name}.lock"));
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&beside).map_err(KeyError::io("open", &beside))?;
    file.lock().map_err(KeyError::io("lock", &beside))?;
    Ok(file)
}

fn write_temp(temp: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(temp).map_err(KeyError::io("create", temp))?;
    file.write_all(bytes).map_err(KeyError::io("write", temp))?;
    file.sync_all().map_err(KeyError::io("sync", temp))
}

fn make_parent(path: &Path) -> Result<PathBuf, KeyError> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&dir).map_err(KeyError::io("create", &dir))?;
    Ok(dir)
}

#[cfg(unix)]
fn check_mode(path: &Path, about: &fs::Metadata) -> Result<(), KeyError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::TooOpen {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}
