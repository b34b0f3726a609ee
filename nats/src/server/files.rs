//! Where the server's files lie, what the last lines of its log say, how much disk it may take.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::binary::Version;
use super::error::ServerError;
use crate::accounts::private;

/// All paths below `<data>/nats`.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) root: PathBuf,
    pub(super) log: PathBuf,
    pub(super) run: PathBuf,
    pub(super) config: PathBuf,
    pub(super) pid: PathBuf,
    /// What the server prints before it has a log, for example that its configuration is wrong.
    pub(super) output: PathBuf,
    version: PathBuf,
}

impl Files {
    /// Makes the folders. Paths are absolute afterwards: the name of the configuration file is how a left-over server
    /// is recognised.
    pub(super) fn prepare(data_dir: &Path) -> Result<Self, ServerError> {
        let root = data_dir.join("nats");
        let fail = |action| {
            move |source| ServerError::File {
                action,
                path: root.clone(),
                source,
            }
        };
        let root = data_dir.join("nats");
        private::create_dir(&root.join("run")).map_err(fail.clone()("make the folder"))?;
        let root = root.canonicalize().map_err(fail("find the folder"))?;
        let run = root.join("run");
        Ok(Self {
            log: root.join("server.log"),
            config: run.join("server.conf"),
            pid: run.join("server.pid"),
            output: run.join("output"),
            version: root.join("version"),
            run,
            root,
        })
    }

    /// Refuses a store that a newer line of the server has written, and notes this one if it is the newest. Patch
    /// releases may go back and forth.
    pub(super) fn check_store(&self, found: Version) -> Result<(), ServerError> {
        let written_by: Option<Version> = match std::fs::read_to_string(&self.version) {
            Ok(text) => text.trim().parse().ok(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(ServerError::File {
                    action: "read",
                    path: self.version.clone(),
                    source,
                });
            }
        };
        match written_by {
            Some(written_by) if (written_by.major, written_by.minor) > (found.major, found.minor) => {
                Err(ServerError::StoreIsNewer {
                    store: self.root.clone(),
                    written_by,
                    found,
                })
            }
            Some(written_by) if written_by >= found => Ok(()),
            _ => private::write(&self.version, format!("{found}\n").as_bytes()).map_err(|source| ServerError::File {
                action: "write",
                path: self.version.clone(),
                source,
            }),
        }
    }

    /// The last lines of the log and of what was printed.
    pub(super) fn tail(&self) -> String {
        let mut text = last_lines(&self.output, 5);
        text.push_str(&last_lines(&self.log, 15));
        let text = text.trim_end();
        if text.is_empty() {
            "(nothing)".to_owned()
        } else {
            text.to_owned()
        }
    }

    /// How many bytes the streams may take: 70 % of what is free or already theirs, and not more than asked for.
    pub(super) fn room(&self, at_most: u64) -> Result<u64, ServerError> {
        let free = free_bytes(&self.root).map_err(|source| ServerError::File {
            action: "ask for the free space of",
            path: self.root.clone(),
            source,
        })?;
        let used = size_of(&self.root.join("jetstream"));
        Ok(((free.saturating_add(used)) / 10 * 7).min(at_most))
    }
}

/// Reads the end only: the log may have its full size.
fn last_lines(path: &Path, count: usize) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(8192)))?;
        let mut end = Vec::new();
        file.take(8192).read_to_end(&mut end)?;
        Ok(end)
    };
    let text = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..]
        .iter()
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Files below a folder, in bytes. What cannot be read counts as nothing: the result is a limit, not an account.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(m) if m.is_dir() => size_of(&entry.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .fold(0, u64::saturating_add)
}

fn free_bytes(path: &Path) -> io::Result<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a C string and `stat` has room for the result; both live through the call.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the structure.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // the fields' widths differ between systems
    Ok((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn an_older_line_does_not_touch_a_newer_store() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::prepare(folder.path()).unwrap();
        files.check_store(version("2.15.1")).unwrap();
        files.check_store(version("2.15.0")).unwrap();
        let refused = files.check_store(version("2.14.9")).unwrap_err().to_string();
        assert!(
            refused.contains("written by nats-server 2.15.1, and this one is 2.14.9"),
            "{refused}"
        );
        files.check_store(version("2.16.0")).unwrap();
        assert!(files.check_store(version("2.15.1")).is_err());
    }

    #[test]
    fn the_tail_is_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::prepare(folder.path()).unwrap();
        assert_eq!(files.tail(), "(nothing)");
        let log: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&files.log, log).unwrap();
        let tail = files.tail();
        assert_eq!(tail.lines().count(), 15);
        assert!(tail.starts_with("line 4985\n") && tail.ends_with("line 4999"), "{tail}");
    }

    #[test]
    fn the_store_never_gets_more_than_its_share() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::prepare(folder.path()).unwrap();
        let free = free_bytes(folder.path()).unwrap();
        assert!(files.room(u64::MAX).unwrap() <= free / 10 * 8);
        assert_eq!(files.room(1000).unwrap(), 1000);
    }
}
