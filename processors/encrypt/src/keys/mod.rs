//! The key ring, and keys as people hold them.
//!
//! Everything an installation needs to seal and to open stands in one file, the *ring*: for every tenant the seed of
//! its key (TENANT-KEM) and of its recovery key (TENANT-RECOVERY), and the seeds of the installation's signing key. The
//! file is sealed as a whole, by a key file outside the data directory or by a passphrase. Ring and key file together
//! open everything; either alone opens nothing; lost, they lose everything. So the first start says where they are
//! ([`Notice::FirstStart`]).
//!
//! The rest of the crate meets the ring through `Unwrap`, `Signer` and `Directory`. The first two are asynchronous and
//! see only a stanza and the header's hash, or a statement, so that a key service can stand in the ring's place.

pub mod age;
mod content;
mod disk;
mod error;
mod protection;
mod ring;
mod roles;
mod statement;
#[cfg(test)]
mod tests;

use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::SecretString;

pub use age::AgeKeyError;
pub use error::KeyError;
pub use protection::Protection;
pub use ring::{
    FirstStart, KeyPair, KeyRing, Notice, Opened, PublicKey, PublicKeys, RingSettings, SignerKey, TenantKeys,
    TenantPublicKeys,
};
pub use roles::TenantDoor;
pub use statement::StatementKeyFile;

/// Random bytes from the operating system. Long-lived keys come from nowhere else.
fn random(bytes: &mut [u8]) -> Result<(), KeyError> {
    SysRng.try_fill_bytes(bytes).map_err(|_| KeyError::Random)
}

/// Refuses a key file or passphrase file that lies in the data directory, links followed.
pub(crate) fn refuse_inside(key_file: &Path, data_dir: &Path) -> Result<(), KeyError> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = key_file
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if real(key_file).starts_with(real(data_dir)) || real(dir).starts_with(real(data_dir)) {
        return Err(KeyError::KeyFileInsideData {
            key_file: key_file.to_owned(),
            data_dir: data_dir.to_owned(),
        });
    }
    Ok(())
}

/// The first line of a passphrase file.
pub(crate) fn read_passphrase(path: &Path) -> Result<SecretString, KeyError> {
    let missing = || KeyError::io("read", path)(std::io::ErrorKind::NotFound.into());
    let bytes = disk::read(path)?.ok_or_else(missing)?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| KeyError::damaged(path, "its first line is not UTF-8"))?;
    if text.is_empty() {
        return Err(KeyError::damaged(path, "its first line is empty"));
    }
    Ok(SecretString::from(text))
}
