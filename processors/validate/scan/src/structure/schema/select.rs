//! Which schema applies to which document.

use std::sync::Arc;

use serde::Deserialize;

use super::document::DocumentSchema;
use super::table::{RawTable, TablePlan};
use super::{Problems, SchemaErrors};

/// All schemas as they are written.
///
/// ```
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
/// let raw: structure::structure::schema::RawSchemas = toml::from_str(text).unwrap();
/// let schemas = raw.plan().unwrap();
/// assert!(schemas.find("acme", "wards/2024.csv").is_some());
/// assert!(schemas.find("acme", "other.csv").is_none());
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
    /// A table contract.
    pub table: Option<RawTable>,
}

/// What a document has to conform to.
#[derive(Debug, Clone)]
pub enum Schema {
    /// For JSON documents and JSON lines.
    Document(Arc<DocumentSchema>),
    /// For tables.
    Table(Arc<TablePlan>),
}

/// All schemas, known to be valid.
#[derive(Debug, Clone, Default)]
pub struct Schemas(Vec<(String, String, Schema)>);

impl RawSchemas {
    /// Checks all of them, reporting every problem.
    pub fn plan(self) -> Result<Schemas, SchemaErrors> {
        let mut problems = Problems::default();
        let mut found = Vec::new();
        for (index, raw) in self.schema.into_iter().enumerate() {
            let key = format!("schema[{index}]");
            let (schema, part) = match (raw.json, raw.table) {
                (Some(text), None) => (
                    DocumentSchema::compile(&text).map(Arc::new).map(Schema::Document),
                    "json",
                ),
                (None, Some(table)) => (table.plan().map(Arc::new).map(Schema::Table), "table"),
                _ => {
                    problems.add(key, "takes one of json and table");
                    continue;
                }
            };
            if found
                .iter()
                .any(|(tenant, prefix, _)| (tenant, prefix) == (&raw.tenant, &raw.prefix))
            {
                problems.add(format!("{key}.prefix"), "is used twice for one tenant");
            }
            match schema {
                Ok(schema) => found.push((raw.tenant, raw.prefix, schema)),
                Err(errors) => errors
                    .0
                    .into_iter()
                    .for_each(|inner| problems.add(format!("{key}.{part}.{}", inner.key), inner.message)),
            }
        }
        problems.finish(Schemas(found))
    }
}

impl Schemas {
    /// The schema for a document: the longest prefix, a tenant's own before `*`.
    pub fn find(&self, tenant: &str, key: &str) -> Option<&Schema> {
        let applies = |(of, prefix, _): &&(String, String, Schema)| {
            (of == tenant || of == "*") && key.starts_with(prefix.as_str())
        };
        let rank = |(of, prefix, _): &&(String, String, Schema)| (of == tenant, prefix.len());
        self.0
            .iter()
            .filter(applies)
            .max_by_key(rank)
            .map(|(_, _, schema)| schema)
    }
}
