//! Which program, and whether it is new enough.

use std::env;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::error::ServerError;

/// Names the program when the configuration does not.
const VARIABLE: &str = "COFFERDAM_NATS_SERVER";

/// A server older than this is refused: deduplication of atomic batches and several losses were repaired there.
pub const OLDEST: Version = Version {
    major: 2,
    minor: 12,
    patch: 1,
};
/// A server older than this works and says so in the log: replicated streams are slow when every message is flushed.
pub const RECOMMENDED: Version = Version {
    major: 2,
    minor: 15,
    patch: 0,
};

/// A server's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Not a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is three numbers with points between")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;
    /// Takes `2.15.1`, also with a leading `v`, and leaves out what follows a `-` or `+`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let core = text.split(['-', '+']).next().unwrap_or(text);
        let mut numbers = core
            .split('.')
            .map(|part| part.parse::<u32>().map_err(|_| VersionError));
        let mut next = || numbers.next().unwrap_or(Err(VersionError));
        let version = Version {
            major: next()?,
            minor: next()?,
            patch: next()?,
        };
        if numbers.next().is_some() {
            Err(VersionError)
        } else {
            Ok(version)
        }
    }
}

/// The nats-server program: the one that was asked for, else `COFFERDAM_NATS_SERVER`, else the one on `PATH`.
pub fn find_binary(asked_for: Option<&Path>) -> Result<PathBuf, ServerError> {
    find(
        asked_for,
        env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from),
        env::var_os("PATH").as_deref(),
    )
}

fn find(
    asked_for: Option<&Path>,
    variable: Option<PathBuf>,
    path: Option<&std::ffi::OsStr>,
) -> Result<PathBuf, ServerError> {
    // What somebody named must be right: falling back to another program would hide the mistake.
    let named = asked_for
        .map(|p| (p.to_owned(), "the configuration"))
        .or(variable.map(|p| (p, VARIABLE)));
    if let Some((path, named_by)) = named {
        return if is_program(&path) {
            Ok(path)
        } else {
            Err(ServerError::NotExecutable { path, named_by })
        };
    }
    let folders = path
        .map(|path| env::split_paths(path).collect::<Vec<_>>())
        .unwrap_or_default();
    folders
        .into_iter()
        .map(|folder| folder.join("nats-server"))
        .find(|file| is_program(file))
        .ok_or(ServerError::NotFound)
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Asks the program for its version; refuses one that is too old and warns about one that is not recommended.
pub(super) fn check(path: &Path) -> Result<Version, ServerError> {
    let said = ask(path)?;
    // "nats-server: v2.15.1"
    let version = said
        .split_whitespace()
        .last()
        .and_then(|word| word.parse::<Version>().ok());
    let Some(found) = version.filter(|_| said.trim_start().starts_with("nats-server")) else {
        return Err(ServerError::NoVersion {
            path: path.to_owned(),
            said: said.trim().chars().take(200).collect(),
        });
    };
    if found < OLDEST {
        return Err(ServerError::TooOld {
            path: path.to_owned(),
            found,
        });
    }
    if found < RECOMMENDED {
        tracing::warn!(%found, recommended = %RECOMMENDED, "this nats-server works; a newer one is faster where every message is flushed");
    }
    Ok(found)
}

fn ask(path: &Path) -> Result<String, ServerError> {
    let fail = |source| ServerError::File {
        action: "run",
        path: path.to_owned(),
        source,
    };
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(fail)?;
    // A program that is something else may never end.
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().map_err(fail)?.is_none() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(ServerError::NoVersion {
                path: path.to_owned(),
                said: "nothing for 20 s".to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(4096).read_to_end(&mut said).map_err(fail)?;
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let read = |text: &str| text.parse::<Version>();
        assert_eq!(
            read("v2.15.1"),
            Ok(Version {
                major: 2,
                minor: 15,
                patch: 1
            })
        );
        assert_eq!(
            read("2.15.0-dev+1"),
            Ok(Version {
                major: 2,
                minor: 15,
                patch: 0
            })
        );
        for wrong in ["", "v", "2", "2.15", "2.15.1.1", "2.x.1", "-1.2.3"] {
            assert_eq!(read(wrong), Err(VersionError), "{wrong:?}");
        }
        assert!(read("2.9.30").unwrap() < read("2.12.0").unwrap());
        assert!(
            Version {
                major: 2,
                minor: 12,
                patch: 0
            } < OLDEST
        );
    }

    #[test]
    fn the_first_named_program_wins_and_must_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("nats-server");
        let path = Some(folder.path().as_os_str());
        assert!(matches!(find(None, None, path), Err(ServerError::NotFound)));
        assert!(matches!(find(None, None, None), Err(ServerError::NotFound)));
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        assert!(
            matches!(find(None, None, path), Err(ServerError::NotFound)),
            "not executable"
        );
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(None, None, path).unwrap(), program);
        let missing = folder.path().join("missing");
        let named = find(Some(&missing), Some(program.clone()), path).unwrap_err();
        assert!(named.to_string().contains("the configuration names it"), "{named}");
        let named = find(None, Some(missing), path).unwrap_err();
        assert!(named.to_string().contains("COFFERDAM_NATS_SERVER names it"), "{named}");
        assert_eq!(find(Some(&program), None, None).unwrap(), program);
    }
}
