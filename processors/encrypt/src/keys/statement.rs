//! The two files of a key that signs statements.
//!
//! `bom.key` is secret (mode 0600): `{"format": "cofferdam-statement-private-key/1", "key_id": …, "created": …, "ed25519": <seed>, "ml_dsa_65": <seed>}`, seeds as 64 hex digits. `bom.pub`
//! is for everybody: `{"format": "cofferdam-statement-key/1", "key_id": …, "created": …, "ed25519": <PEM>, "ml_dsa_65": <PEM>}`, so that other tools find the keys in the form they know.

use std::io::Read as _;
use std::path::Path;

use cofferdam_schemas::{KeyId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::content::StoredSeed;
use super::disk::{self, Existing};
use super::error::KeyError;
use crate::statement::{Half, StatementKey, StatementSigner, spki};

const PRIVATE: &str = "cofferdam-statement-private-key/1";
const PUBLIC: &str = "cofferdam-statement-key/1";
/// A public key file has less than 4 KiB.
const MOST: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivateFile {
    format: String,
    key_id: KeyId,
    created: Timestamp,
    ed25519: StoredSeed,
    ml_dsa_65: StoredSeed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicFile {
    format: String,
    key_id: KeyId,
    created: Timestamp,
    ed25519: String,
    ml_dsa_65: String,
}

/// A private key out of its file, and when it was made.
#[derive(Debug)]
pub struct StatementKeyFile {
    /// What signs.
    pub signer: StatementSigner,
    /// When it was made.
    pub created: Timestamp,
}

impl StatementKeyFile {
    /// Reads a private key; `None` when the file is not there.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it holds no such key.
    pub fn read(path: &Path) -> Result<Option<Self>, KeyError> {
        let Some(bytes) = disk::read(path)? else {
            return Ok(None);
        };
        let damaged = |reason| KeyError::damaged(path, reason);
        // The error of the reader is dropped: it could repeat what stands in the file.
        let file: PrivateFile =
            serde_json::from_slice(&bytes).map_err(|_| damaged("it is no private key for statements"))?;
        if file.format != PRIVATE {
            return Err(damaged("it is no private key for statements of this version"));
        }
        let signer = StatementSigner::from_seeds(&file.ed25519.0, &file.ml_dsa_65.0)
            .map_err(|_| damaged("its seeds make no key"))?;
        if signer.key().id() != file.key_id {
            return Err(damaged("its seeds are not those of its key id"));
        }
        Ok(Some(Self {
            signer,
            created: file.created,
        }))
    }

    /// Makes a key and writes it with mode 0600, unless there is a file already: then `None`.
    ///
    /// # Errors
    /// When it cannot be written, or the operating system gives no random bytes.
    pub fn create(path: &Path, now: Timestamp) -> Result<Option<Self>, KeyError> {
        let (ed25519, ml_dsa_65) = (StoredSeed::random()?, StoredSeed::random()?);
        let signer = StatementSigner::from_seeds(&ed25519.0, &ml_dsa_65.0).map_err(|_| KeyError::Random)?;
        let file = PrivateFile {
            format: PRIVATE.to_owned(),
            key_id: signer.key().id(),
            created: now,
            ed25519,
            ml_dsa_65,
        };
        // Room for all of it at once: a vector that grows leaves copies of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer(&mut *bytes, &file)
            .map_err(|_| KeyError::damaged(path, "it cannot be written as JSON"))?;
        bytes.push(b'\n');
        let written = disk::write(path, &bytes, Existing::Keep)?;
        Ok(written.then_some(Self { signer, created: now }))
    }

    /// The text of the public key file.
    pub fn public_file(&self) -> String {
        let key = self.signer.key();
        let pem = |half| spki::write(half, key.public(half));
        let file = PublicFile {
            format: PUBLIC.to_owned(),
            key_id: key.id(),
            created: self.created,
            ed25519: pem(Half::Ed25519),
            ml_dsa_65: pem(Half::MlDsa65),
        };
        // A plain struct of texts always has a JSON form.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }
}

impl StatementKey {
    /// Reads a public key file.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(KeyError::io("open", path))?;
        if !file.metadata().map_err(KeyError::io("read", path))?.is_file() {
            return Err(KeyError::not_public(path, "it is not a file"));
        }
        file.take(MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(KeyError::io("read", path))?;
        let bytes = Zeroizing::new(bytes);
        Self::parse(&bytes).map_err(|reason| KeyError::not_public(path, reason))
    }

    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.len() as u64 > MOST {
            return Err("it is far too long");
        }
        if serde_json::from_slice::<PrivateFile>(bytes).is_ok() {
            return Err("it is the private key: give the .pub file, and keep this one to yourself");
        }
        let file: PublicFile = serde_json::from_slice(bytes).map_err(|_| "it has not the fields of one")?;
        if file.format != PUBLIC {
            return Err("it is of another version");
        }
        let ed25519 = spki::read(Half::Ed25519, &file.ed25519).ok_or("ed25519 is no PEM of such a key")?;
        let ml_dsa_65 = spki::read(Half::MlDsa65, &file.ml_dsa_65).ok_or("ml_dsa_65 is no PEM of such a key")?;
        let key = Self::new(&ed25519, &ml_dsa_65).map_err(|_| "a key in it is not usable")?;
        if key.id() != file.key_id {
            return Err("its key id is not that of its keys");
        }
        Ok(key)
    }
}
