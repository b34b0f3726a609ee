//! What one running instance leaves on disk for others: the lock, `run.json`, and its S3 credentials.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// `<data>/run.json`, written when an instance is ready and removed when it stops. Stable: fields are added, never changed. Mode 0600, it holds credentials.
#[derive(Clone, Serialize, Deserialize)]
pub struct RunFile {
    /// The process.
    pub pid: u32,
    /// The S3 endpoint and the first tenant's credentials.
    pub s3: S3Access,
    /// The buckets.
    pub buckets: BucketNames,
    /// The folder that files can be copied into; empty when there is none.
    pub inbox_folder: String,
    /// The broker.
    pub nats: NatsAccess,
    /// The base URL of `/readyz`, `/livez` and `/metrics`.
    pub http: String,
    /// The SQLite file with the rows.
    pub database: String,
    /// The key ring.
    pub keyring: String,
}

/// See [`RunFile`].
#[derive(Clone, Serialize, Deserialize)]
pub struct S3Access {
    /// The URL.
    pub endpoint: String,
    /// The region to sign for.
    pub region: String,
    /// The tenant's access key id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

/// See [`RunFile`].
#[derive(Clone, Serialize, Deserialize)]
pub struct BucketNames {
    /// Where files are dropped.
    pub inbox: String,
    /// Sealed objects.
    pub vault: String,
    /// Sealed objects that are quarantined, for the operator.
    pub quarantine: String,
    /// Artefacts.
    pub results: String,
    /// Retrieved copies.
    pub outbox: String,
}

/// See [`RunFile`].
#[derive(Clone, Serialize, Deserialize)]
pub struct NatsAccess {
    /// For clients.
    pub url: String,
    /// For browsers.
    pub websocket: String,
    /// The first tenant's login.
    pub tenant: TenantLogin,
    /// The operator's login.
    pub operator: OperatorLogin,
}

/// See [`RunFile`].
#[derive(Clone, Serialize, Deserialize)]
pub struct TenantLogin {
    /// The tenant.
    pub name: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

/// See [`RunFile`].
#[derive(Clone, Serialize, Deserialize)]
pub struct OperatorLogin {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl RunFile {
    /// Where it is.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("run.json")
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        write_private(&Self::path(data_dir), &serde_json::to_vec_pretty(self)?)
    }

    /// Reads the one of a running instance.
    pub fn read(data_dir: &Path) -> anyhow::Result<RunFile> {
        let path = Self::path(data_dir);
        let text = std::fs::read(&path).with_context(|| {
            format!(
                "no running instance in {}: start one with `cofferdam up`, or name its directory with --data",
                data_dir.display()
            )
        })?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged; stop the instance and start it again", path.display()))
    }
}

/// Writes a file with mode 0600 through a temporary name, so that readers see all of it or nothing.
pub fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("tmp");
    let _ = std::fs::remove_file(&temporary);
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a directory that only its owner can enter.
pub fn private_dir(path: &Path) -> anyhow::Result<()> {
    if !path.is_dir() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make {}", path.display()))?;
    }
    Ok(())
}

/// Holds a data directory for one process.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says which process has it.
    pub fn take(data_dir: &Path) -> anyhow::Result<Lock> {
        private_dir(data_dir)?;
        let path = data_dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = file
            .as_mut()
            .map_err(|error| anyhow::anyhow!("cannot open {}: {error}", path.display()))?;
        // SAFETY: flock on a descriptor we own; it has no memory effects.
        let taken = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
        if !taken {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            bail!(
                "another instance (pid {}) is running on {}: use it, stop it, or start this one with another --data",
                pid.trim(),
                data_dir.display()
            );
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        file.sync_all()?;
        Ok(Lock {
            _file: file.try_clone()?,
        })
    }
}

/// The S3 credentials of an installation: one pair a tenant, one for the operator. `<data>/s3.json`, mode 0600.
#[derive(Serialize, Deserialize)]
pub struct S3Credentials {
    /// Reaches every bucket.
    pub operator: S3Pair,
    /// Each tenant's own.
    pub tenants: std::collections::BTreeMap<String, S3Pair>,
}

/// An access key.
#[derive(Clone, Serialize, Deserialize)]
pub struct S3Pair {
    /// Its id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

impl S3Pair {
    fn random() -> Self {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let id: [u8; 16] = rand::random();
        let secret: [u8; 40] = rand::random();
        let text = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|b| char::from(LETTERS[usize::from(b % 32)]))
                .collect::<String>()
        };
        Self {
            access_key_id: format!("CD{}", text(&id)),
            secret_access_key: text(&secret),
        }
    }
}

impl S3Credentials {
    /// Reads them, and makes those that are missing.
    pub fn load_or_create(data_dir: &Path, tenants: &[cofferdam_schemas::TenantName]) -> anyhow::Result<Self> {
        let path = data_dir.join("s3.json");
        let mut all = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!(
                    "{} is damaged: restore it from a backup, or remove it to get new credentials",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self {
                operator: S3Pair::random(),
                tenants: Default::default(),
            },
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        for tenant in tenants {
            all.tenants.entry(tenant.to_string()).or_insert_with(S3Pair::random);
        }
        write_private(&path, &serde_json::to_vec_pretty(&all)?)?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_lock_names_the_first() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = Lock::take(dir.path()).expect("free");
        let error = Lock::take(dir.path()).err().expect("taken").to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        drop(first);
        Lock::take(dir.path()).expect("free again");
    }

    #[test]
    fn credentials_stay_and_grow() {
        let dir = tempfile::tempdir().expect("temp dir");
        let tenant = |name: &str| cofferdam_schemas::TenantName::new(name).expect("valid");
        let first = S3Credentials::load_or_create(dir.path(), &[tenant("a")]).expect("made");
        let second = S3Credentials::load_or_create(dir.path(), &[tenant("a"), tenant("b")]).expect("read");
        assert_eq!(
            first.tenants["a"].secret_access_key,
            second.tenants["a"].secret_access_key
        );
        assert_ne!(
            second.tenants["a"].secret_access_key,
            second.tenants["b"].secret_access_key
        );
        let mode = std::fs::metadata(dir.path().join("s3.json"))
            .expect("written")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
