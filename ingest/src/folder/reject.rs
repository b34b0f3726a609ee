//! `.rejected/`: where files go that can never be taken.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::take::is_at;

/// The folder for them, below the inbox folder. Its name begins with a dot, so the walk passes it by.
const REJECTED: &str = ".rejected";

/// Moves a file there under a name that fits any file system, and writes beside it what it was called and why it is there. Returns the new name.
///
/// Whoever may write into the inbox folder may put links into it, also at this moment and also in the place of `.rejected` and of what is written there; none is
/// followed, so that nothing outside the folder is moved or written.
pub(super) fn reject(root: &Path, below: &Path, reason: &str) -> io::Result<String> {
    match fs::create_dir(root.join(REJECTED)) {
        Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => return Err(fault),
        Ok(()) | Err(_) => {}
    }
    let (_rejected, folder) = hold(&root.join(REJECTED))?;
    let (_parent, parent) = hold(&root.join(below.parent().unwrap_or(Path::new(""))))?;
    let from = parent.join(below.file_name().unwrap_or_default());
    let bytes = below.as_os_str().as_bytes();
    let last = below.file_name().unwrap_or(below.as_os_str()).to_string_lossy();
    let readable: String = last
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(80)
        .collect();
    let tag = fnv(bytes);
    // The same name may be rejected again and again.
    for number in 0..10_000u32 {
        let name = format!("{tag:08x}-{number}-{readable}");
        let place = folder.join(&name);
        if place.symlink_metadata().is_ok() {
            continue;
        }
        let text = format!(
            "{}\n\npath, as the folder had it: {}\nthe same in hex: {}\n",
            reason,
            below.display(),
            hex(bytes)
        );
        let reason = folder.join(format!("{name}.reason.txt"));
        match OpenOptions::new().write(true).create_new(true).open(&reason) {
            Ok(mut file) => file.write_all(text.as_bytes())?,
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(fault) => return Err(fault),
        }
        if let Err(fault) = fs::rename(&from, &place) {
            // Or there would be one more at every attempt.
            let _ = fs::remove_file(&reason);
            return Err(fault);
        }
        return Ok(name);
    }
    Err(io::Error::other("the same file was rejected 10,000 times"))
}

/// Opens a directory that must really be there, and gives a path that stays that of this directory whatever takes its place.
fn hold(path: &Path) -> io::Result<(File, PathBuf)> {
    use std::os::fd::AsRawFd as _;
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // Joining nothing leaves a slash behind, which would follow a link.
    let path: PathBuf = path.components().collect();
    let directory = OpenOptions::new().read(true).custom_flags(flags).open(&path)?;
    if !is_at(&directory, &path) {
        return Err(io::Error::other("a link stands in the way"));
    }
    let held = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let held = if held.exists() { held } else { path };
    Ok((directory, held))
}

/// A short tag that tells long names apart (FNV-1a; not a security matter).
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(2_048).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn root(folder: &tempfile::TempDir) -> PathBuf {
        fs::canonicalize(folder.path()).unwrap()
    }

    /// What was wrong: a link named `.rejected` was followed, and so was one in the place of the reason, whose name can be foretold. Whoever could write
    /// into the inbox folder could have files written, and others overwritten, wherever this process may.
    #[test]
    fn found_links_in_the_place_of_the_folder_or_the_reason_are_not_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = root(&folder);
        fs::write(root.join("a"), "1").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join(REJECTED)).unwrap();
        reject(&root, Path::new("a"), "why").unwrap_err();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
        fs::remove_file(root.join(REJECTED)).unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        fs::create_dir(root.join(REJECTED)).unwrap();
        let foretold = format!("{:08x}-0-a.reason.txt", fnv(b"a"));
        std::os::unix::fs::symlink(&victim, root.join(REJECTED).join(foretold)).unwrap();
        let name = reject(&root, Path::new("a"), "why").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        assert_eq!(fs::read_to_string(root.join(REJECTED).join(name)).unwrap(), "1");
    }

    /// What was wrong: a directory that became a link after the walk led outside, and a file from there was moved.
    #[test]
    fn found_nothing_outside_the_folder_is_moved() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = root(&folder);
        fs::write(outside.path().join("passwd"), "kept").unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("dir")).unwrap();
        reject(&root, Path::new("dir/passwd"), "why").unwrap_err();
        fs::create_dir(outside.path().join("sub")).unwrap();
        fs::write(outside.path().join("sub/passwd"), "kept").unwrap();
        reject(&root, Path::new("dir/sub/passwd"), "why").unwrap_err();
        for path in ["passwd", "sub/passwd"] {
            assert_eq!(fs::read_to_string(outside.path().join(path)).unwrap(), "kept");
        }
        assert_eq!(
            fs::read_dir(root.join(REJECTED)).unwrap().count(),
            0,
            "and no reason is left"
        );
    }

    /// What was wrong: when the file could not be moved, its reason stayed, and one more came with every attempt.
    #[test]
    fn found_a_file_that_cannot_be_moved_leaves_no_reason() {
        let folder = tempfile::tempdir().unwrap();
        let root = root(&folder);
        fs::create_dir(root.join("sub")).unwrap();
        for _ in 0..3 {
            reject(&root, Path::new("sub/gone"), "why").unwrap_err();
        }
        assert_eq!(fs::read_dir(root.join(REJECTED)).unwrap().count(), 0);
    }

    #[test]
    fn the_file_moves_and_the_reason_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = root(&folder);
        let odd = Path::new(OsStr::from_bytes(b"caf\xe9 1.txt"));
        for body in ["one", "two"] {
            fs::write(folder.path().join(odd), body).unwrap();
            let name = reject(&root, odd, "not UTF-8").unwrap();
            assert!(!folder.path().join(odd).exists());
            assert_eq!(
                fs::read_to_string(folder.path().join(".rejected").join(&name)).unwrap(),
                body
            );
            let reason =
                fs::read_to_string(folder.path().join(".rejected").join(format!("{name}.reason.txt"))).unwrap();
            assert!(reason.starts_with("not UTF-8\n"), "{reason}");
            assert!(reason.contains("636166e920312e747874"), "{reason}");
        }
    }
}
