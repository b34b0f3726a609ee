//! Why there are no keys.

use std::path::{Path, PathBuf};

/// Why the key ring cannot be used. Every text says what to do next; none repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// Others may read a file that must be secret.
    #[error("{} may be read by others (mode {mode:04o}): run `chmod 600 {}`, and if others could really read it, treat its keys as known", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The ring is there, the key file is not.
    #[error(
        "key file {} is missing, so that key ring {} cannot be opened: put the key file back from your backup, or name its place in processors.encrypt.keys.key_file",
        key_file.display(), ring.display()
    )]
    MissingKeyFile {
        /// The ring.
        ring: PathBuf,
        /// Where the key file should be.
        key_file: PathBuf,
    },
    /// The key file belongs to another ring.
    #[error("key file {} does not open key ring {}: it belongs to another ring, or the ring was altered; restore the two from the same backup", key_file.display(), ring.display())]
    WrongKeyFile {
        /// The ring.
        ring: PathBuf,
        /// The key file.
        key_file: PathBuf,
    },
    /// The passphrase is another one.
    #[error("passphrase does not open key ring {}: check processors.encrypt.keys.passphrase_file, or restore the ring from its backup if it was altered", ring.display())]
    WrongPassphrase {
        /// The ring.
        ring: PathBuf,
    },
    /// The ring is sealed in one way, the configuration speaks of the other.
    #[error("key ring {} is protected by a {stored}, but a {configured} is configured: correct processors.encrypt.keys", ring.display())]
    OtherProtection {
        /// The ring.
        ring: PathBuf,
        /// How it is protected.
        stored: &'static str,
        /// What the configuration says.
        configured: &'static str,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged ({reason}): restore it from its backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it was noticed.
        reason: &'static str,
    },
    /// What should be a public key for statements is none.
    #[error("{} is no public key for statements: {reason}", path.display())]
    NotPublic {
        /// The file.
        path: PathBuf,
        /// How it was noticed.
        reason: &'static str,
    },
    /// A ring that can be stolen together with its key is not protected.
    #[error("key file {} lies inside the data directory {}: whoever copies the one has the other; move it out and set processors.encrypt.keys.key_file", key_file.display(), data_dir.display())]
    KeyFileInsideData {
        /// The key file.
        key_file: PathBuf,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// Too easy to guess.
    #[error("passphrase has fewer than {least} characters: choose a longer one before the key ring is made")]
    PassphraseTooShort {
        /// How many there must be.
        least: usize,
    },
    /// There are sealed objects, but no ring.
    #[error(
        "key ring {} is missing, but bucket {bucket} holds objects that were sealed with it: put the ring back from your backup; a new ring could not open them",
        ring.display()
    )]
    RingLost {
        /// Where the ring should be.
        ring: PathBuf,
        /// The vault bucket.
        bucket: String,
    },
    /// The operating system gives no randomness.
    #[error("operating system gives no random bytes")]
    Random,
    /// Argon2id refused, for want of memory or because of its parameters.
    #[error("passphrase cannot be stretched with the parameters in {}", ring.display())]
    Stretch {
        /// The ring.
        ring: PathBuf,
    },
}

impl KeyError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> KeyError {
        let path = path.to_owned();
        move |source| KeyError::Io { action, path, source }
    }
    pub(crate) fn damaged(path: &Path, reason: &'static str) -> KeyError {
        KeyError::Damaged {
            path: path.to_owned(),
            reason,
        }
    }
    pub(crate) fn not_public(path: &Path, reason: &'static str) -> KeyError {
        KeyError::NotPublic {
            path: path.to_owned(),
            reason,
        }
    }
}
