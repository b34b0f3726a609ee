//! Which schema applies to which document.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::document::DocumentSchema;
use super::table::{RawTable, TablePlan};
use super::{Problems, SchemaErrors};

/// All schemas as they are written.
///
/// ```
/// use std::path::Path;
///
/// let text = r#"
///     [[schema]]
///     tenant = "acme"
///     prefix = "surveys/"
///     json = '{"type": "object", "required": ["id"]}'
///
///     [[schema]]
///     tenant = "acme"
///     prefix = "wards/"
///     table = { column = [{ name = "ward", type = "text" }] }
/// "#;
/// let raw: cofferdam_scan::structure::schema::RawSchemas = toml::from_str(text).unwrap();
/// let schemas = raw.plan(Path::new("/etc/cofferdam")).unwrap();
/// assert!(schemas.find("acme", "wards/2024.csv").table.is_some());
/// assert!(schemas.find("acme", "other.csv").is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSchemas {
    /// In any order: the longest prefix wins, and a tenant's own before `*`.
    #[serde(default)]
    pub schema: Vec<RawSelect>,
}

/// A schema and the documents it is for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSelect {
    /// The tenant, or `*` for all.
    pub tenant: String,
    /// How keys of the documents begin. All of the tenant unless set.
    #[serde(default)]
    pub prefix: String,
    /// A JSON Schema, as its text.
    pub json: Option<String>,
    /// A JSON Schema, as a file; a relative path begins where the file of schemas is.
    pub json_file: Option<PathBuf>,
    /// A table contract.
    pub table: Option<RawTable>,
    /// A table contract in a file of its own (TOML).
    pub table_file: Option<PathBuf>,
    /// What documents are that are of another kind, so that the schema says nothing about them: `deny` (a finding) or `allow`. `deny` unless set.
    #[serde(default)]
    pub others: Others,
}

/// See [`RawSelect::others`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Others {
    /// A finding.
    #[default]
    Deny,
    /// Nothing.
    Allow,
}

/// What a document has to conform to.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// If it is JSON or JSON lines.
    pub document: Option<Arc<DocumentSchema>>,
    /// If it is a table.
    pub table: Option<Contract>,
    /// Whether it has to be of one of these kinds.
    pub deny_others: bool,
    /// Tells these schemas from others: the beginning of a SHA-256, in hexadecimal.
    pub version: Option<String>,
}

impl Selected {
    /// Whether nothing is asked of the document.
    pub fn is_empty(&self) -> bool {
        self.document.is_none() && self.table.is_none()
    }
}

/// A table contract, in both forms.
#[derive(Debug, Clone)]
pub struct Contract {
    /// As it was written, to be handed to another process.
    pub raw: Arc<RawTable>,
    /// To be checked with.
    pub plan: Arc<TablePlan>,
}

impl Contract {
    /// A contract that makes sense.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn new(raw: RawTable) -> Result<Self, SchemaErrors> {
        let plan = Arc::new(raw.clone().plan()?);
        Ok(Self {
            raw: Arc::new(raw),
            plan,
        })
    }
}

#[derive(Debug, Clone)]
enum Schema {
    Document(Arc<DocumentSchema>),
    Table(Contract),
}

#[derive(Debug, Clone)]
struct Entry {
    tenant: String,
    prefix: String,
    schema: Schema,
    others: Others,
    /// Of what was written.
    hash: [u8; 32],
}

/// All schemas, known to be valid.
#[derive(Debug, Clone, Default)]
pub struct Schemas(Vec<Entry>);

impl RawSchemas {
    /// Reads the files that are named and checks all schemas, reporting every problem. Relative paths begin at `folder`.
    pub fn plan(self, folder: &Path) -> Result<Schemas, SchemaErrors> {
        let mut problems = Problems::default();
        let mut found: Vec<Entry> = Vec::new();
        for (index, raw) in self.schema.into_iter().enumerate() {
            let key = format!("schema[{index}]");
            let RawSelect {
                tenant, prefix, others, ..
            } = raw.clone();
            let (part, schema) = match raw.schema(folder) {
                Ok(given) => given,
                Err(message) => {
                    problems.add(key, message);
                    continue;
                }
            };
            let (schema, text) = match schema {
                Ok(schema) => schema,
                Err(errors) => {
                    let inner = errors.0.into_iter();
                    inner.for_each(|inner| problems.add(format!("{key}.{part}.{}", inner.key), inner.message));
                    continue;
                }
            };
            let same = |known: &Entry| {
                let kind = std::mem::discriminant(&known.schema) == std::mem::discriminant(&schema);
                kind && (&known.tenant, &known.prefix) == (&tenant, &prefix)
            };
            if found.iter().any(same) {
                problems.add(format!("{key}.prefix"), "is used twice for one tenant");
            }
            found.push(Entry {
                tenant,
                prefix,
                schema,
                others,
                hash: Sha256::digest(text.as_bytes()).into(),
            });
        }
        problems.finish(Schemas(found))
    }
}

/// A schema with its text, or what is wrong with it.
type Compiled = Result<(Schema, String), SchemaErrors>;

impl RawSelect {
    /// The schema, and which key it stands under. The outer error is about the files and keys.
    fn schema(self, folder: &Path) -> Result<(&'static str, Compiled), String> {
        let read = |path: &Path| {
            let path = folder.join(path);
            std::fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        let document = |text: String| {
            let schema = DocumentSchema::compile(&text)?;
            Ok((Schema::Document(Arc::new(schema)), text))
        };
        let table = |raw: RawTable| {
            let text = serde_json::to_string(&raw).unwrap_or_default();
            Ok((Schema::Table(Contract::new(raw)?), text))
        };
        match (self.json, self.json_file, self.table, self.table_file) {
            (Some(text), None, None, None) => Ok(("json", document(text))),
            (None, Some(path), None, None) => Ok(("json_file", document(read(&path)?))),
            (None, None, Some(raw), None) => Ok(("table", table(raw))),
            (None, None, None, Some(path)) => {
                let text = read(&path)?;
                let raw = toml::from_str(&text)
                    .map_err(|error| format!("{} is no table contract: {error}", path.display()))?;
                Ok(("table_file", table(raw)))
            }
            _ => Err("takes one of json, json_file, table and table_file".to_owned()),
        }
    }
}

impl Schemas {
    /// What a document has to conform to: of each kind of schema that with the longest prefix, a tenant's own before `*`.
    pub fn find(&self, tenant: &str, key: &str) -> Selected {
        let applies =
            |entry: &&Entry| (entry.tenant == tenant || entry.tenant == "*") && key.starts_with(entry.prefix.as_str());
        let best = |of: fn(&Schema) -> bool| {
            let fitting = self.0.iter().filter(applies).filter(|entry| of(&entry.schema));
            fitting.max_by_key(|entry| (entry.tenant == tenant, entry.prefix.len()))
        };
        let document = best(|schema| matches!(schema, Schema::Document(_)));
        let table = best(|schema| matches!(schema, Schema::Table(_)));
        let mut selected = Selected::default();
        let mut hash = Sha256::new();
        for entry in [document, table].into_iter().flatten() {
            selected.deny_others |= entry.others == Others::Deny;
            hash.update(entry.hash);
            match &entry.schema {
                Schema::Document(schema) => selected.document = Some(schema.clone()),
                Schema::Table(contract) => selected.table = Some(contract.clone()),
            }
        }
        if !selected.is_empty() {
            selected.version = Some(hex::encode(&hash.finalize()[..8]));
        }
        selected
    }

    /// The tenants that are named, `*` left out.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .map(|entry| entry.tenant.as_str())
            .filter(|name| *name != "*")
    }
}
