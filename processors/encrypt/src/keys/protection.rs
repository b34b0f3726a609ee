//! The sealed form of the key ring: one JSON file, its content under AES-256-GCM.
//!
//! ```json
//! {"format": "cofferdam-keyring/1", "protection": {"kind": "key-file"}, "salt": "…", "sealed": "…", "sha256": "…"}
//! ```
//!
//! `root` is the key file's 32 bytes, or Argon2id (RFC 9106) of the passphrase with the parameters in `protection`. Key
//! and nonce = HKDF-SHA-512(salt, root, "cofferdam key ring v1"), 32 + 12 bytes; the salt is new with every write, so
//! that a key and nonce never repeat. Associated data: `format`, a zero byte, `protection` as it stands in the file
//! without spaces. `sha256` is over associated data, salt and sealed bytes: it tells a damaged file from a wrong key.
//! `sealed` is the encrypted JSON of the content.

use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use super::content::Content;
use super::disk::{self, Existing};
use super::error::KeyError;

const FORMAT: &str = "cofferdam-keyring/1";
const INFO: &[u8] = b"cofferdam key ring v1";
/// NIST SP 800-63B's least length for a secret a person chose.
const LEAST_PASSPHRASE: usize = 8;

/// What opens the key ring.
#[derive(Debug, Clone)]
pub enum Protection {
    /// A file with 32 random bytes (as they are, or as 64 hex digits), outside the data directory. Made at the first
    /// start.
    KeyFile(PathBuf),
    /// A passphrase, stretched with Argon2id.
    Passphrase(SecretString),
}

impl Protection {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Protection::KeyFile(_) => "key file",
            Protection::Passphrase(_) => "passphrase",
        }
    }
}

/// The open part of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Header {
    KeyFile,
    Passphrase {
        algorithm: String,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        salt: String,
    },
}

impl Header {
    /// The header of a new ring.
    pub(crate) fn new(protection: &Protection) -> Result<Self, KeyError> {
        let Protection::Passphrase(passphrase) = protection else {
            return Ok(Header::KeyFile);
        };
        if passphrase.expose_secret().chars().count() < LEAST_PASSPHRASE {
            return Err(KeyError::PassphraseTooShort {
                least: LEAST_PASSPHRASE,
            });
        }
        let mut salt = [0; 16];
        super::random(&mut salt)?;
        // RFC 9106, section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
        Ok(Header::Passphrase {
            algorithm: "argon2id".into(),
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 4,
            salt: hex::encode(salt),
        })
    }

    fn associated_data(&self) -> Vec<u8> {
        let mut bytes = FORMAT.as_bytes().to_vec();
        bytes.push(0);
        // A plain enum of strings and numbers always has a JSON form; what is written and what is read take the same
        // way.
        bytes.extend(serde_json::to_vec(self).unwrap_or_default());
        bytes
    }
}

/// The 32 bytes everything in the file hangs on. Kept while the ring is open, to write it again.
pub(crate) type Root = Zeroizing<[u8; 32]>;

/// Finds the root. `fresh`: there is no ring yet, so a key file may be made.
pub(crate) fn root(ring: &Path, header: &Header, protection: &Protection, fresh: bool) -> Result<Root, KeyError> {
    match (header, protection) {
        (Header::KeyFile, Protection::KeyFile(path)) => match read_key_file(path)? {
            Some(root) => Ok(root),
            None if fresh => make_key_file(path),
            None => Err(KeyError::MissingKeyFile {
                ring: ring.to_owned(),
                key_file: path.clone(),
            }),
        },
        (
            Header::Passphrase {
                algorithm,
                memory_kib,
                passes,
                lanes,
                salt,
            },
            Protection::Passphrase(passphrase),
        ) => {
            let salt = hex::decode(salt).map_err(|_| KeyError::damaged(ring, "its salt is not hex"))?;
            // Bounds before memory is taken: the header is not authenticated yet.
            let sane = algorithm == "argon2id" && *memory_kib <= 4 << 20 && *passes <= 1000 && *lanes <= 64;
            let stretch = || KeyError::Stretch { ring: ring.to_owned() };
            let params = Params::new(*memory_kib, *passes, *lanes, Some(32))
                .ok()
                .filter(|_| sane)
                .ok_or_else(stretch)?;
            let mut root = Root::default();
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.expose_secret().as_bytes(), &salt, &mut root[..])
                .map_err(|_| stretch())?;
            Ok(root)
        }
        (Header::KeyFile, Protection::Passphrase(_)) => Err(other(ring, "key file", protection)),
        (Header::Passphrase { .. }, Protection::KeyFile(_)) => Err(other(ring, "passphrase", protection)),
    }
}

fn other(ring: &Path, stored: &'static str, configured: &Protection) -> KeyError {
    KeyError::OtherProtection {
        ring: ring.to_owned(),
        stored,
        configured: configured.kind(),
    }
}

fn read_key_file(path: &Path) -> Result<Option<Root>, KeyError> {
    let Some(bytes) = disk::read(path)? else {
        return Ok(None);
    };
    let mut root = Root::default();
    if bytes.len() == root.len() {
        root.copy_from_slice(&bytes);
        return Ok(Some(root));
    }
    let text = bytes.trim_ascii();
    hex::decode_to_slice(text, &mut root[..])
        .map_err(|_| KeyError::damaged(path, "it holds neither 32 bytes nor 64 hex digits"))?;
    Ok(Some(root))
}

fn make_key_file(path: &Path) -> Result<Root, KeyError> {
    let mut root = Root::default();
    super::random(&mut root[..])?;
    // As text, so that it can be kept in a password manager or on paper.
    let mut line = Zeroizing::new([b'\n'; 65]);
    hex::encode_to_slice(&root[..], &mut line[..64]).map_err(|_| KeyError::Random)?;
    if disk::write(path, &line[..], Existing::Keep)? {
        return Ok(root);
    }
    // Another installation of the same user made it a moment ago; both may use it.
    read_key_file(path)?.ok_or_else(|| KeyError::damaged(path, "it came and went"))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    format: String,
    protection: Header,
    salt: String,
    sealed: String,
    sha256: String,
}

fn digest(associated: &[u8], salt: &[u8], sealed: &[u8]) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(associated)
            .chain_update(salt)
            .chain_update(sealed)
            .finalize(),
    )
}

fn cipher(root: &Root, salt: &[u8]) -> (Aes256Gcm, [u8; 12]) {
    let mut output = Zeroizing::new([0; 44]);
    // 44 bytes are far below HKDF-SHA-512's limit of 16,320, the only error.
    let expanded = Hkdf::<Sha512>::new(Some(salt), &root[..]).expand(INFO, &mut output[..]);
    debug_assert!(expanded.is_ok());
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&output[..32]);
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&output[32..]);
    let key: &[u8; 32] = &key;
    (Aes256Gcm::new(key.into()), nonce)
}

/// Seals the content and writes the file. Says whether it was written.
pub(crate) fn write_ring(
    path: &Path,
    header: &Header,
    root: &Root,
    content: &Content,
    existing: Existing,
) -> Result<bool, KeyError> {
    // Room for all of it at once, see `disk::read`: about 400 bytes a tenant with one epoch.
    let epochs: usize = content.tenants.values().map(|t| t.kem.len() + t.recovery.len()).sum();
    let mut plain = Zeroizing::new(Vec::with_capacity(
        4096 + 512 * (content.tenants.len() + epochs + content.signers.len()),
    ));
    serde_json::to_writer(&mut *plain, content).map_err(|_| KeyError::damaged(path, "its content has no JSON form"))?;
    let mut salt = [0; 32];
    super::random(&mut salt)?;
    let (cipher, nonce) = cipher(root, &salt);
    let associated = header.associated_data();
    let payload = Payload {
        msg: &plain,
        aad: &associated,
    };
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| KeyError::damaged(path, "its content cannot be sealed"))?;
    let file = RingFile {
        format: FORMAT.into(),
        protection: header.clone(),
        salt: hex::encode(salt),
        sha256: digest(&associated, &salt, &sealed),
        sealed: BASE64.encode(sealed),
    };
    let mut text = serde_json::to_vec_pretty(&file).map_err(|_| KeyError::damaged(path, "it has no JSON form"))?;
    text.push(b'\n');
    disk::write(path, &text, existing)
}

/// The file, read and checked against damage, still sealed.
struct Sealed {
    header: Header,
    salt: Vec<u8>,
    sealed: Vec<u8>,
    associated: Vec<u8>,
}

fn read_sealed(path: &Path) -> Result<Option<Sealed>, KeyError> {
    let Some(text) = disk::read(path)? else { return Ok(None) };
    let file: RingFile = serde_json::from_slice(&text).map_err(|_| KeyError::damaged(path, "it is not a key ring"))?;
    if file.format != FORMAT {
        return Err(KeyError::damaged(path, "its format is not known to this version"));
    }
    let salt = hex::decode(&file.salt).map_err(|_| KeyError::damaged(path, "its salt is not hex"))?;
    let sealed = BASE64
        .decode(&file.sealed)
        .map_err(|_| KeyError::damaged(path, "its content is not base64"))?;
    let associated = file.protection.associated_data();
    if digest(&associated, &salt, &sealed) != file.sha256 {
        return Err(KeyError::damaged(path, "its checksum is wrong"));
    }
    Ok(Some(Sealed {
        header: file.protection,
        salt,
        sealed,
        associated,
    }))
}

impl Sealed {
    /// `None`: not with this root.
    fn open(&self, path: &Path, root: &Root) -> Result<Option<Content>, KeyError> {
        let (cipher, nonce) = cipher(root, &self.salt);
        let Ok(plain) = cipher.decrypt(
            &Nonce::from(nonce),
            Payload {
                msg: &self.sealed,
                aad: &self.associated,
            },
        ) else {
            return Ok(None);
        };
        let plain = Zeroizing::new(plain);
        let content: Content =
            serde_json::from_slice(&plain).map_err(|_| KeyError::damaged(path, "its content is of another version"))?;
        if !content.is_complete() {
            return Err(KeyError::damaged(path, "a key is missing in it"));
        }
        Ok(Some(content))
    }
}

/// Reads the ring and opens it; `None` when it is not there.
pub(crate) fn read_ring(path: &Path, protection: &Protection) -> Result<Option<(Header, Root, Content)>, KeyError> {
    let Some(sealed) = read_sealed(path)? else {
        return Ok(None);
    };
    let root = root(path, &sealed.header, protection, false)?;
    let content = sealed.open(path, &root)?.ok_or_else(|| match protection {
        Protection::KeyFile(key_file) => KeyError::WrongKeyFile {
            ring: path.to_owned(),
            key_file: key_file.clone(),
        },
        Protection::Passphrase(_) => KeyError::WrongPassphrase { ring: path.to_owned() },
    })?;
    Ok(Some((sealed.header, root, content)))
}

/// Reads again what stands in a ring that is open.
pub(crate) fn read_content(path: &Path, root: &Root) -> Result<Content, KeyError> {
    let missing = || KeyError::io("read", path)(std::io::ErrorKind::NotFound.into());
    let sealed = read_sealed(path)?.ok_or_else(missing)?;
    sealed
        .open(path, root)?
        .ok_or_else(|| KeyError::damaged(path, "it was replaced by another ring while this one was open"))
}
