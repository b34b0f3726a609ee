//! `.rejected/`: where files go that can never be taken.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The folder for them, below the inbox folder. Its name begins with a dot, so the walk passes it by.
const REJECTED: &str = ".rejected";

/// Moves a file there under a name that fits any file system, and writes beside it what it was called and why it is there. Returns the new name.
pub(super) fn reject(root: &Path, below: &Path, reason: &str) -> io::Result<String> {
    let folder = root.join(REJECTED);
    fs::create_dir_all(&folder)?;
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
        fs::write(folder.join(format!("{name}.reason.txt")), text)?;
        fs::rename(root.join(below), &place)?;
        return Ok(name);
    }
    Err(io::Error::other("the same file was rejected 10,000 times"))
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

    #[test]
    fn the_file_moves_and_the_reason_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let odd = Path::new(OsStr::from_bytes(b"caf\xe9 1.txt"));
        for body in ["one", "two"] {
            fs::write(folder.path().join(odd), body).unwrap();
            let name = reject(folder.path(), odd, "not UTF-8").unwrap();
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
