//! Whether somebody is still writing a file.

use std::fs::File;

/// Whether another process (or another descriptor of ours) has the file open for writing, as far as the kernel tells. Linux tells through leases: a
/// read lease is refused with `EAGAIN` while there is a writer. Where it cannot be told (another owner's file, a file system without leases) the answer
/// is `false`, and the settle time alone has to do.
#[cfg(target_os = "linux")]
pub(super) fn has_writer(file: &File) -> bool {
    use std::os::fd::AsRawFd;

    /// `fcntl` command of Linux that the libc crate does not name for every target.
    const F_SETSIG: libc::c_int = 10;
    let fd = file.as_raw_fd();
    // SAFETY: `fcntl` with these commands takes integers only, and the descriptor is open for as long as `file` is borrowed.
    let command = |command: libc::c_int, argument: libc::c_int| unsafe { libc::fcntl(fd, command, argument) };
    // If a writer comes in the instant we hold the lease, the kernel sends a signal. The default one would end the process; SIGURG is ignored by default.
    if command(F_SETSIG, libc::SIGURG) != 0 {
        return false;
    }
    if command(libc::F_SETLEASE, libc::F_RDLCK) == 0 {
        command(libc::F_SETLEASE, libc::F_UNLCK);
        return false;
    }
    std::io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)
}

/// Elsewhere nothing tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn has_writer(_: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{File, OpenOptions};

    use super::has_writer;

    #[test]
    fn a_writer_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"x").unwrap();
        let reader = File::open(&path).unwrap();
        assert!(!has_writer(&reader));
        let writer = OpenOptions::new().append(true).open(&path).unwrap();
        assert!(has_writer(&reader));
        drop(writer);
        assert!(!has_writer(&reader));
    }
}
