//! A file's identity.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    device: u64,
    inode: u64,
    /// Size in bytes.
    pub(super) size: u64,
    modified: (i64, i64),
    /// Set by the kernel at every change of content or attributes; nobody can set it back as `modified` can be.
    changed: (i64, i64),
}

impl Fingerprint {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// The same content under perhaps another name: renaming sets `changed`.
    pub(super) fn same_content(&self, other: &Self) -> bool {
        (self.device, self.inode, self.size, self.modified) == (other.device, other.inode, other.size, other.modified)
    }
}

/// The text in an object's metadata. Without `changed`, which a rename sets.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}-{}.{:09}",
            self.device, self.inode, self.size, self.modified.0, self.modified.1
        )
    }
}
