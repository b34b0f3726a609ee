//! `secrets.json`: `{"nats": {"roles": {"<role>": "<password>"}, "tenants": {"<tenant>": "<password>"}}}`. Other keys
//! belong to others.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::{AccountsError, DamageError};
use super::private;

/// Which half of the table.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Role,
    Tenant,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Kind::Role => "roles",
            Kind::Tenant => "tenants",
        }
    }
}

/// The file in memory. Has no `Debug`.
pub(super) struct File(Map<String, Value>);

impl File {
    /// A file that does not exist is an empty one; one that others may read is closed to them.
    pub(super) fn read(path: &Path) -> Result<Self, AccountsError> {
        let fail = |source| AccountsError::File {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self(Map::new())),
            Err(e) => return Err(fail(e)),
        };
        let mut mode = std::fs::metadata(path).map_err(fail)?.permissions();
        if mode.mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = format!("{:o}", mode.mode() & 0o777), "passwords were readable by others; now closed, consider new ones");
            mode.set_mode(0o600);
            std::fs::set_permissions(path, mode).map_err(fail)?;
        }
        let damaged = |source| AccountsError::Damaged {
            path: path.to_owned(),
            source,
        };
        let file: Map<String, Value> = serde_json::from_slice(&text).map_err(|e| {
            damaged(DamageError::Syntax {
                line: e.line(),
                column: e.column(),
            })
        })?;
        check_shape(&file).map_err(|part| damaged(DamageError::Shape(part)))?;
        Ok(Self(file))
    }

    /// Makes a password unless there is one. True if it made one.
    pub(super) fn ensure(&mut self, kind: Kind, name: &str) -> Result<bool, AccountsError> {
        if self.password(kind, name).is_some() {
            return Ok(false);
        }
        let mut bytes = [0u8; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(AccountsError::Random)?;
        let table = object(self.0.entry("nats").or_insert_with(empty), kind.key());
        if let Some(table) = table {
            table.insert(name.to_owned(), Value::String(URL_SAFE_NO_PAD.encode(bytes)));
        }
        Ok(true)
    }

    pub(super) fn password(&self, kind: Kind, name: &str) -> Option<SecretString> {
        let text = self.0.get("nats")?.get(kind.key())?.get(name)?.as_str()?;
        Some(SecretString::from(text.to_owned()))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), AccountsError> {
        let fail = |source| AccountsError::File {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let mut text = serde_json::to_vec_pretty(&self.0).map_err(|e| fail(e.into()))?;
        text.push(b'\n');
        private::write(path, &text).map_err(fail)
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

/// The table under a key, made if need be. `None` only if the shape was not checked before.
fn object<'a>(parent: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    parent.as_object_mut()?.entry(key).or_insert_with(empty).as_object_mut()
}

fn check_shape(file: &Map<String, Value>) -> Result<(), &'static str> {
    let Some(nats) = file.get("nats") else { return Ok(()) };
    let nats = nats.as_object().ok_or("nats")?;
    for kind in [Kind::Role, Kind::Tenant] {
        let Some(table) = nats.get(kind.key()) else { continue };
        let table = table.as_object().ok_or(kind.key())?;
        // Shorter ones are not ours; an empty one would let anybody in.
        if !table.values().all(|v| v.as_str().is_some_and(|p| p.len() >= 32)) {
            return Err("a password");
        }
    }
    Ok(())
}
