//! Ids and names as types. Each checks its text when it is made, so that code behind it need not.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Why a text is not a valid id or name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} is not valid: {reason}: {text:?}")]
pub struct IdError {
    /// What was being read, for example `tenant name`.
    pub kind: &'static str,
    /// The rule that was broken.
    pub reason: &'static str,
    /// The offending text, cut to 80 characters.
    pub text: String,
}

impl IdError {
    fn new(kind: &'static str, reason: &'static str, text: &str) -> Self {
        Self {
            kind,
            reason,
            text: text.chars().take(80).collect(),
        }
    }
}

/// The schema of a text, with its doc comment as the description.
pub(crate) fn text_schema(doc: &[&str], rules: Value) -> Schema {
    let mut schema = Schema::default();
    schema.insert(
        "description".to_owned(),
        doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").into(),
    );
    schema.insert("type".to_owned(), "string".into());
    if let Value::Object(rules) = rules {
        for (name, rule) in rules {
            schema.insert(name, rule);
        }
    }
    schema
}

/// A text with a check, and the same check as JSON Schema (which may be wider where a schema cannot say it, never narrower).
macro_rules! text_id {
    ($(#[doc = $doc:literal])* $name:ident, $kind:literal, $schema:tt, $check:expr) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text_schema(&[$($doc),*], json!($schema))
            }
        }

        impl $name {
            #[doc = concat!("Checks a text and takes it as a ", $kind, ".")]
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(reason) => Err(IdError::new($kind, reason, &text)),
                }
            }
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

/// One token of a subject: lower-case letters, digits and inner hyphens.
fn token(text: &str, most: usize) -> Result<(), &'static str> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || text.len() > most {
        return Err("has no characters, or too many");
    }
    if !text.bytes().all(fits) {
        return Err("takes only a-z, 0-9 and -");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("neither starts nor ends with -");
    }
    Ok(())
}

fn opaque(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("is empty"),
        t if t.len() > 1024 => Err("is longer than 1,024 bytes"),
        t if t.chars().any(char::is_control) => Err("has a control character"),
        _ => Ok(()),
    }
}

text_id!(
    /// A tenant: an opaque id of 1 to 32 characters from `a-z0-9-`, never a display name. It is a token in subjects.
    TenantName, "tenant name", { "pattern": "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$" }, |t| token(t, 32)
);
text_id!(
    /// A processor (or the service that answers one kind of command): a token of 1 to 32 characters. It names the
    /// subject, the durable consumers, the span and the metric label. `event` and `done` are taken by the live feed.
    ProcessorName, "processor name", { "pattern": "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", "not": { "enum": ["event", "done"] } }, |t| match t {
        "event" | "done" => Err("is reserved"),
        t => token(t, 32),
    }
);
text_id!(
    /// Where notifications come from: `inbox` for the embedded bucket, or the name the configuration gives a foreign store.
    SourceName, "source name", { "pattern": "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$" }, |t| token(t, 32)
);
text_id!(
    /// A bucket, by the rules of S3 that all stores share: 3 to 63 characters from `a-z0-9.-`.
    BucketName, "bucket name", { "pattern": "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", "not": { "pattern": "\\.\\." } }, |t| {
        if !(3..=63).contains(&t.len()) {
            return Err("takes 3 to 63 characters");
        }
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if !t.bytes().all(fits) {
            return Err("takes only a-z, 0-9, . and -");
        }
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        if !edge(t.as_bytes().first()) || !edge(t.as_bytes().last()) || t.contains("..") {
            return Err("starts and ends with a letter or digit, and has no ..");
        }
        Ok(())
    }
);
text_id!(
    /// An object's key: 1 to 1,024 bytes of UTF-8, taken as it is. Never normalised, never used as a path or a subject.
    ObjectKey, "object key", { "pattern": "^[^\\u0000]+$", "maxLength": 1024 }, |t| match t.len() {
        0 => Err("is empty"),
        n if n > 1024 => Err("is longer than 1,024 bytes"),
        _ if t.contains('\0') => Err("has a NUL"),
        _ => Ok(()),
    }
);
text_id!(
    /// A version id as the store gave it. Absent, empty and `null` all mean "unversioned" and are not made into one.
    VersionId, "version id", { "minLength": 1, "maxLength": 1024, "not": { "const": "null" } }, |t| match t {
        "null" => Err("null means unversioned"),
        t => opaque(t),
    }
);
text_id!(
    /// An entity tag without its quotes.
    ETag, "entity tag", { "pattern": "^[^\"]+$", "maxLength": 1024 }, |t| if t.contains('"') { Err("has quotes") } else { opaque(t) }
);
text_id!(
    /// A command's id within its tenant: given by the client for idempotency, or made by the gateway. 1 to 64 characters
    /// from `A-Za-z0-9_-`.
    CommandId, "command id", { "pattern": "^[A-Za-z0-9_-]{1,64}$" }, |t| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if t.is_empty() || t.len() > 64 || !t.bytes().all(fits) { Err("takes 1 to 64 of A-Z, a-z, 0-9, _ and -") } else { Ok(()) }
    }
);
text_id!(
    /// SHA-256 (FIPS 180-4) of some bytes: 64 lower-case hex digits.
    Sha256Hex, "SHA-256", { "pattern": "^[0-9a-f]{64}$" }, |t| {
        let fits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if t.len() != 64 || !t.bytes().all(fits) { Err("takes 64 digits of 0-9 and a-f") } else { Ok(()) }
    }
);
text_id!(
    /// Names one request in errors and logs.
    RequestId, "request id", { "minLength": 1, "maxLength": 1024 }, opaque
);
text_id!(
    /// The id of an event: 32 hex digits, derived from what happened (see [`crate::object::ObjectRef::event_id`]), so that the same
    /// notification delivered twice has the same id.
    EventId, "event id", { "pattern": "^[0-9a-f]{32}$" }, |t| {
        if t.len() == 32 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) { Ok(()) } else { Err("takes 32 lower-case hex digits") }
    }
);

/// The id of a result: `<event id>:<processor>:<processor version>:<outcome>`. Two deliveries of one event make the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ResultId(pub String);

impl fmt::Display for ResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One object version, everywhere: in subjects, rows and the sealed envelope. UUID version 7 in layout (RFC 9562); the time is the store's
/// last-modified time and the other 74 bits are a hash, so that every notification of one version gives the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ObjectId(pub Uuid);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for ObjectId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| IdError::new("object id", "is not a UUID", text))
    }
}

/// A key's id in the envelope: the first 16 bytes of a hash over algorithm and public key. 32 hex digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(pub [u8; 16]);

impl JsonSchema for KeyId {
    fn schema_name() -> Cow<'static, str> {
        "KeyId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(
            &["A key's id in the envelope: 16 bytes of a hash over algorithm and public key."],
            json!({ "pattern": "^[0-9a-fA-F]{32}$" }),
        )
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl FromStr for KeyId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| IdError::new("key id", "takes 32 hex digits", text))?;
        Ok(Self(id))
    }
}
impl TryFrom<String> for KeyId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.to_string()
    }
}

/// Which queue an event waits in: `hi`, or `bulk` for a tenant's overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Ordinary work.
    Hi,
    /// Overflow and reconciled work.
    Bulk,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Lane; 2] = [Lane::Hi, Lane::Bulk];
    /// The token in subjects and consumer names.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Hi => "hi",
            Lane::Bulk => "bulk",
        }
    }
}
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for Lane {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "hi" => Ok(Lane::Hi),
            "bulk" => Ok(Lane::Bulk),
            other => Err(IdError::new("lane", "is hi or bulk", other)),
        }
    }
}

/// 0 to 63: the hash of tenant, bucket and key, so that all events of one key share a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Partition(u8);

impl Partition {
    /// How many there are.
    pub const COUNT: u8 = 64;
    /// The partition of one key.
    pub fn of(tenant: &TenantName, bucket: &BucketName, key: &ObjectKey) -> Self {
        let hash = hash_fields(&[
            tenant.as_str().as_bytes(),
            bucket.as_str().as_bytes(),
            key.as_str().as_bytes(),
        ]);
        Self(hash[0] % Self::COUNT)
    }
    /// Checks a number below [`Self::COUNT`].
    pub fn new(number: u8) -> Result<Self, IdError> {
        if number < Self::COUNT {
            Ok(Self(number))
        } else {
            Err(IdError::new("partition", "is 0 to 63", &number.to_string()))
        }
    }
}
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}
impl FromStr for Partition {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.parse() {
            Ok(n) if text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) => Self::new(n),
            _ => Err(IdError::new("partition", "takes two digits", text)),
        }
    }
}

/// BLAKE3 over length-prefixed fields, so that no two lists of fields collide by concatenation.
pub(crate) fn hash_fields(fields: &[&[u8]]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key("cofferdam 2026 identity v1");
    for field in fields {
        hash.update(&(field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    *hash.finalize().as_bytes()
}
