//! What the operator writes under `[processors.encrypt]`.
//!
//! ```
//! let text = r#"
//!     provider = "rust-crypto"
//!     [keys]
//!     file = "/srv/cofferdam/keys/keyring.json"
//!     passphrase_file = "/run/credentials/cofferdam/passphrase"
//! "#;
//! let config: cofferdam_encrypt::Config = toml::from_str(text).expect("the example is valid");
//! assert!(cofferdam_encrypt::Plan::try_from(config).is_ok());
//! ```

use std::path::{Path, PathBuf};

use cofferdam_processor::{ConfigErrors, ConfigProblem};
use cofferdam_schemas::{TenantName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::crypto::ProviderKind;
use crate::keys::{self, KeyError, KeyRing, Opened, Protection, RingSettings};
use crate::signing::Signatures;

/// The table `[processors.encrypt]`. Every field may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which library does the cryptography: `aws-lc` (the default: about three times as fast for large documents, and a
    /// third more small ones a second through the whole pipeline) or `rust-crypto` (pure Rust). Both make and open the same objects.
    pub provider: ProviderKind,
    /// How objects are signed: `batch` (the default) lets documents of up to 64 KiB that are sealed at the same time share
    /// one signature, which costs a document under load less than half as much and makes its sealed object up to 260 bytes longer;
    /// `each` gives every object a signature of its own.
    pub signatures: Signatures,
    /// Where the keys are.
    pub keys: KeysConfig,
}

/// The table `[processors.encrypt.keys]`. Without it, the ring is in the data directory and the file that opens it in
/// the configuration directory; back up both, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// The key ring: `<data directory>/keys/keyring.json` unless given. Made at the first start, mode 0600. Who loses
    /// it loses every sealed object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The file that opens the ring, outside the data directory: `<configuration directory>/keyring.key` unless given.
    /// 32 random bytes or 64 hex digits, mode 0600; made at the first start when it is not there. Not together with
    /// `passphrase_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// A file (mode 0600 or stricter) whose first line is a passphrase of at least 8 characters that opens the ring
    /// instead of a key file. Each start takes about 0.2 s and 64 MiB of memory for Argon2id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
}

/// A valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) provider: ProviderKind,
    pub(crate) signatures: Signatures,
    /// Where the keys are.
    pub keys: KeysPlan,
}

/// Where the keys are, from a valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysPlan {
    file: Option<PathBuf>,
    opened_by: OpenedBy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum OpenedBy {
    KeyFile(Option<PathBuf>),
    PassphraseFile(PathBuf),
}

impl TryFrom<Config> for Plan {
    type Error = ConfigErrors;

    fn try_from(config: Config) -> Result<Self, ConfigErrors> {
        let Config {
            provider,
            signatures,
            keys,
        } = config;
        let mut problems = Vec::new();
        let mut problem = |key: &str, message: &str| {
            problems.push(ConfigProblem {
                key: format!("processors.encrypt.keys.{key}"),
                message: message.to_owned(),
            });
        };
        let named = [
            ("file", &keys.file),
            ("key_file", &keys.key_file),
            ("passphrase_file", &keys.passphrase_file),
        ];
        for (key, path) in named {
            if path.as_ref().is_some_and(|p| p.as_os_str().is_empty()) {
                problem(key, "is empty: give a path or leave it out");
            }
        }
        if keys.key_file.is_some() && keys.passphrase_file.is_some() {
            problem(
                "passphrase_file",
                "cannot stand beside key_file: the ring is opened by one of them",
            );
        }
        if keys.file.is_some() && keys.file == keys.key_file {
            problem("key_file", "is the same file as the ring");
        }
        let opened_by = match keys.passphrase_file {
            Some(path) => OpenedBy::PassphraseFile(path),
            None => OpenedBy::KeyFile(keys.key_file),
        };
        if problems.is_empty() {
            Ok(Plan {
                provider,
                signatures,
                keys: KeysPlan {
                    file: keys.file,
                    opened_by,
                },
            })
        } else {
            Err(ConfigErrors(problems))
        }
    }
}

impl KeysPlan {
    /// Where the ring is.
    pub fn ring(&self, data_dir: &Path) -> PathBuf {
        self.file
            .clone()
            .unwrap_or_else(|| data_dir.join("keys").join("keyring.json"))
    }

    /// The file that opens the ring: key file or passphrase file.
    pub fn opened_by(&self, config_dir: &Path) -> PathBuf {
        match &self.opened_by {
            OpenedBy::KeyFile(path) => path.clone().unwrap_or_else(|| config_dir.join("keyring.key")),
            OpenedBy::PassphraseFile(path) => path.clone(),
        }
    }

    /// What opens the ring. Reads the passphrase file, if there is one.
    pub fn protection(&self, data_dir: &Path, config_dir: &Path) -> Result<Protection, KeyError> {
        let path = self.opened_by(config_dir);
        keys::refuse_inside(&path, data_dir)?;
        match &self.opened_by {
            OpenedBy::KeyFile(_) => Ok(Protection::KeyFile(path)),
            OpenedBy::PassphraseFile(_) => keys::read_passphrase(&path).map(Protection::Passphrase),
        }
    }
}

impl Plan {
    /// Where the ring is and what opens it. Reads the passphrase file, if there is one.
    pub fn ring_settings(&self, data_dir: &Path, config_dir: &Path) -> Result<RingSettings, KeyError> {
        let protection = self.keys.protection(data_dir, config_dir)?;
        Ok(RingSettings {
            path: self.keys.ring(data_dir),
            protection,
            provider: self.provider,
        })
    }

    /// Opens the ring, making it (and the key file) when it is not there, and adds keys for tenants that have none. For
    /// the processor and for the people's commands alike; blocks on files and, with a passphrase, for some tenths of a
    /// second.
    pub fn open_or_create(
        &self,
        data_dir: &Path,
        config_dir: &Path,
        tenants: &[TenantName],
        now: Timestamp,
    ) -> Result<Opened, KeyError> {
        KeyRing::open_or_create(&self.ring_settings(data_dir, config_dir)?, tenants, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: Config = toml::from_str(text).unwrap();
        Plan::try_from(config)
            .unwrap_err()
            .0
            .into_iter()
            .map(|p| p.key)
            .collect()
    }

    #[test]
    fn nothing_is_a_valid_configuration() {
        let plan = Plan::try_from(toml::from_str::<Config>("").unwrap()).unwrap();
        let (data, config) = (Path::new("/data"), Path::new("/config"));
        assert_eq!(plan.keys.ring(data), Path::new("/data/keys/keyring.json"));
        assert_eq!(plan.keys.opened_by(config), Path::new("/config/keyring.key"));
    }

    #[test]
    fn reports_every_problem_at_once() {
        assert_eq!(
            problems("[keys]\nfile = \"\"\nkey_file = \"k\"\npassphrase_file = \"p\""),
            [
                "processors.encrypt.keys.file",
                "processors.encrypt.keys.passphrase_file"
            ]
        );
        assert_eq!(
            problems("[keys]\nfile = \"k\"\nkey_file = \"k\""),
            ["processors.encrypt.keys.key_file"]
        );
    }

    #[test]
    fn unknown_keys_and_providers_are_errors() {
        for text in [
            "providr = 1",
            "[keys]\nkeyfile = \"k\"",
            "provider = \"openssl\"",
            "signatures = \"none\"",
        ] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn round_trips() {
        let config = Config {
            provider: ProviderKind::AwsLc,
            signatures: Signatures::Each,
            keys: KeysConfig {
                file: Some("r".into()),
                key_file: None,
                passphrase_file: Some("p".into()),
            },
        };
        assert_eq!(
            toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(),
            config
        );
    }
}
