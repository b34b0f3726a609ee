//! The documents that are generated from the types: JSON Schema (draft 2020-12) for each type that travels in a message or stands in a file, and one AsyncAPI
//! 3.0 document of the messages.
//!
//! They are checked in under `schemas/generated` for people and clients that do not read Rust; a test generates them again and
//! compares. `COFFERDAM_BLESS=1 cargo test -p cofferdam-schemas` writes them anew.
//!
//! Schemas say what a reader has to accept (the `Deserialize` form): a field that may be absent is not required, although we always
//! write it.

mod asyncapi;
mod examples;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{bom, command, done, dsse, error, event, query, result, scan};

pub use asyncapi::STREAMS;

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its path below `schemas/generated`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// One wire type.
pub struct WireType {
    /// Its name in files, for example `object-event`.
    pub name: &'static str,
    /// Its name in Rust and in the AsyncAPI document.
    pub rust: String,
    /// One value of it, as it travels.
    pub example: Value,
    root: fn(SchemaGenerator) -> Schema,
    define: fn(&mut SchemaGenerator) -> Schema,
    reread: fn(&Value) -> Result<Value, serde_json::Error>,
}

impl WireType {
    fn of<T: JsonSchema + Serialize + serde::de::DeserializeOwned>(name: &'static str, example: &T) -> Self {
        Self {
            name,
            rust: T::schema_name().into_owned(),
            // An example that cannot be written would be a type that cannot travel; the tests read every one of them back.
            example: serde_json::to_value(example).unwrap_or_default(),
            root: |generator| generator.into_root_schema_for::<T>(),
            define: |generator| generator.subschema_for::<T>(),
            reread: |value| serde_json::to_value(serde_json::from_value::<T>(value.clone())?),
        }
    }

    /// Its JSON Schema, draft 2020-12.
    pub fn schema(&self) -> Value {
        let mut schema = (self.root)(SchemaSettings::draft2020_12().into_generator());
        schema.insert(
            "$id".to_owned(),
            format!("urn:cofferdam:schema:{}:v1", self.name).into(),
        );
        schema.insert("examples".to_owned(), vec![self.example.clone()].into());
        sorted(schema.to_value())
    }

    /// Reads a value as this type and writes it again.
    pub fn reread(&self, value: &Value) -> Result<Value, serde_json::Error> {
        (self.reread)(value)
    }
}

/// Every type that travels by itself.
pub fn wire_types() -> Vec<WireType> {
    vec![
        WireType::of::<event::ObjectEvent>("object-event", &examples::event()),
        WireType::of::<result::ResultEvent>("result", &examples::result()),
        WireType::of::<done::Done>("done", &examples::done()),
        WireType::of::<command::RetrieveRequest>("retrieve-request", &examples::retrieve()),
        WireType::of::<command::DeleteRequest>("delete-request", &examples::delete()),
        WireType::of::<command::ReleaseRequest>("release-request", &examples::release()),
        WireType::of::<command::DestroyRequest>("destroy-request", &examples::destroy()),
        WireType::of::<command::Accepted>("accepted", &examples::accepted()),
        WireType::of::<command::Command>("command", &examples::command()),
        WireType::of::<command::CommandResult>("command-result", &examples::command_result()),
        WireType::of::<error::WireError>("error", &examples::error()),
        WireType::of::<command::Selector>("selector", &examples::selector()),
        WireType::of::<query::ObjectsQuery>("objects-query", &examples::objects_query()),
        WireType::of::<query::ObjectsAnswer>("objects-answer", &examples::objects_answer()),
        WireType::of::<query::ObjectAnswer>("object-answer", &examples::object_answer()),
        WireType::of::<query::ResultsAnswer>("results-answer", &examples::results_answer()),
        WireType::of::<query::CommandQuery>("command-query", &examples::command_query()),
        WireType::of::<query::CommandAnswer>("command-answer", &examples::command_answer()),
    ]
}

/// Every type that stands in a file or on standard output by itself.
pub fn file_types() -> Vec<WireType> {
    vec![
        WireType::of::<bom::Statement>("bom-statement", &examples::statement()),
        WireType::of::<dsse::Envelope>("dsse-envelope", &examples::envelope()),
        WireType::of::<scan::ScanLine>("scan-line", &examples::scan_line()),
    ]
}

/// Every generated file.
pub fn documents() -> Vec<Document> {
    let types = wire_types();
    let schema = |wire: &WireType| Document {
        path: format!("{}.schema.json", wire.name),
        text: pretty(&wire.schema()),
    };
    let mut all: Vec<Document> = types.iter().chain(&file_types()).map(schema).collect();
    all.push(Document {
        path: "asyncapi.json".to_owned(),
        text: pretty(&sorted(asyncapi::document(&types))),
    });
    all
}

fn pretty(value: &Value) -> String {
    // The alternate form of a JSON value is indented, and writing it cannot fail.
    format!("{value:#}\n")
}

/// Keys in order, whether or not `serde_json` was built to keep them as they came.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(Map::from_iter(entries))
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
