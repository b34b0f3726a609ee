//! A document that is not a file yet, made one without a name.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create, open};

/// Takes bytes and becomes an open file that has no name, so that nothing is left behind however the process ends.
pub struct Spool {
    file: File,
    in_memory: bool,
}

impl Spool {
    /// In memory, for small documents. The memory is the parent's, and does not count for the child.
    pub fn in_memory() -> io::Result<Self> {
        let file = memfd_create("document", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        Ok(Self {
            file: file.into(),
            in_memory: true,
        })
    }

    /// In a folder, for large ones. The file system must support files without names (`O_TMPFILE`).
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = open(folder, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self {
            file: file.into(),
            in_memory: false,
        })
    }

    /// The file, ready to be handed to [`Pool::run`](super::Pool::run). One in memory cannot be changed any more.
    pub fn finish(mut self) -> io::Result<File> {
        self.file.flush()?;
        if self.in_memory {
            fcntl_add_seals(
                &self.file,
                SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
            )?;
        }
        Ok(self.file)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
