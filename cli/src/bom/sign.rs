//! The key, and putting a statement into its envelope.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use cofferdam_encrypt::keys::StatementKeyFile;
use cofferdam_schemas::bom::{Batch, Bom, Counts, Document, Maker, Split, Statement};
use cofferdam_schemas::{TenantName, dsse};

use crate::args::{Global, SigningKey};
use crate::config;
use crate::output::{Exit, Failure, json_line};

/// The private key's file.
const PRIVATE: &str = "bom.key";

/// What a bill says, but for who signs and when.
pub struct Draft {
    /// See [`Bom`].
    pub batch: Batch,
    /// See [`Bom`].
    pub counts: Counts,
    /// See [`Bom`].
    pub versions: Vec<BTreeMap<String, String>>,
    /// See [`Bom`].
    pub documents: Vec<Document>,
    /// See [`Bom`].
    pub split: Option<Split>,
    /// Whose documents these are, where there is an installation.
    pub tenant: Option<TenantName>,
}

/// Where keys are looked for when nothing is said: where the configuration says that key files are, or its default.
fn default_folder(global: &Global) -> Result<PathBuf, Failure> {
    let (figment, _) = config::layers(global).map_err(|problems| Failure::new(Exit::Config, problems))?;
    match figment.extract_inner::<Option<PathBuf>>("config_dir") {
        Ok(Some(dir)) => return Ok(dir),
        Err(error) if !error.missing() => return Err(Failure::new(Exit::Config, error)),
        Ok(None) | Err(_) => {}
    }
    config::default_config_dir().ok_or_else(|| {
        Failure::text(
            Exit::Config,
            "neither HOME nor XDG_CONFIG_HOME is set: name the key with --bom-key",
        )
    })
}

/// The public file of a private one: beside it, with the ending `pub`.
fn public_of(private: &Path) -> PathBuf {
    private.with_extension("pub")
}

/// Makes a key that is not there yet.
pub fn keygen(global: &Global, out: Option<&Path>) -> Result<Exit, Failure> {
    let folder = match out {
        Some(folder) => folder.to_owned(),
        None => default_folder(global)?,
    };
    let private = folder.join(PRIVATE);
    let made = StatementKeyFile::create(&private, super::now())?;
    let key = made.ok_or_else(|| {
        anyhow!(
            "{} is there already: it stays, because nothing signed with it could be verified with a new one",
            private.display()
        )
    })?;
    let public = write_public(&private, &key)?;
    if global.json {
        let id = key.signer.key().id();
        json_line(&serde_json::json!({"key_id": id, "private": private, "public": public}))?;
    } else {
        println!("{}", told(&private, &public, &key));
    }
    Ok(Exit::Ok)
}

fn told(private: &Path, public: &Path, key: &StatementKeyFile) -> String {
    format!(
        "key {} signs bills of materials: {} is secret and stays here (back it up), {} is for those who verify",
        key.signer.key().id(),
        private.display(),
        public.display()
    )
}

/// Writes the public file unless it is there.
fn write_public(private: &Path, key: &StatementKeyFile) -> anyhow::Result<PathBuf> {
    let public = public_of(private);
    if public == private {
        bail!("{}: a private key's file does not end in .pub", private.display());
    }
    match OpenOptions::new().write(true).create_new(true).open(&public) {
        Ok(mut file) => {
            file.write_all(key.public_file().as_bytes())?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be written", public.display())),
    }
    Ok(public)
}

/// The key that is named, or the usual one; made when it is not there, which is told on standard error.
///
/// # Errors
/// When it can neither be read nor made.
pub fn key(global: &Global, args: &SigningKey) -> Result<StatementKeyFile, Failure> {
    let private = match &args.bom_key {
        Some(path) => path.clone(),
        None => default_folder(global)?.join(PRIVATE),
    };
    if let Some(key) = StatementKeyFile::read(&private)? {
        write_public(&private, &key)?;
        return Ok(key);
    }
    if public_of(&private) == private {
        return Err(anyhow!("{}: a private key's file does not end in .pub", private.display()).into());
    }
    match StatementKeyFile::create(&private, super::now())? {
        Some(key) => {
            let public = write_public(&private, &key)?;
            eprintln!("{}", told(&private, &public, &key));
            Ok(key)
        }
        // Another process made one in between.
        None => Ok(StatementKeyFile::read(&private)?.with_context(|| format!("{} came and went", private.display()))?),
    }
}

/// The signed envelope's bytes.
///
/// # Errors
/// When the statement contradicts itself, or is larger than one may be.
pub fn sign(key: &StatementKeyFile, draft: Draft) -> anyhow::Result<Vec<u8>> {
    let statement = Statement::new(Bom {
        made_at: super::now(),
        made_by: Maker {
            program: "cofferdam".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key: key.signer.key().id(),
            tenant: draft.tenant,
        },
        batch: draft.batch,
        counts: draft.counts,
        versions: draft.versions,
        documents: draft.documents,
        split: draft.split,
    });
    statement.check()?;
    let payload = serde_json::to_vec(&statement)?;
    drop(statement);
    let envelope = key.signer.sign(dsse::IN_TOTO, &payload)?;
    envelope
        .write()
        .context("the batch is too large for one bill: make several, by prefix or by time")
}
