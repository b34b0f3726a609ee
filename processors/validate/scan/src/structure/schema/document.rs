//! JSON Schema for JSON documents and JSON lines.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cofferdam_schemas::Severity;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::{Problems, SchemaErrors};
use crate::structure::json::{JsonOptions, JsonSink, Parser, Path, Value as Event};
use crate::structure::report::{Collector, FIELD_BYTES, Place, Problem};
use crate::structure::text::{Engine, Piece};

/// A schema, compiled. It refers to nothing outside itself, and its patterns run in linear time.
#[derive(Debug)]
pub struct DocumentSchema {
    validator: jsonschema::Validator,
}

/// Refuses to fetch anything.
struct Refuse;

impl jsonschema::Retrieve for Refuse {
    fn retrieve(&self, _: &jsonschema::Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err("schemas are never fetched: put what is referred to under $defs".into())
    }
}

impl DocumentSchema {
    /// Compiles a schema (draft 4, 6, 7, 2019-09 or 2020-12; the last unless `$schema` says otherwise), reporting every problem.
    pub fn compile(text: &str) -> Result<Self, SchemaErrors> {
        let mut problems = Problems::default();
        let schema: Value = match serde_json::from_str(text) {
            Ok(schema) => schema,
            Err(error) => {
                problems.add("", format!("is not JSON: {error}"));
                return problems.finish(()).and(Err(SchemaErrors(Vec::new())));
            }
        };
        let mut ids = BTreeSet::new();
        names(&schema, &mut ids);
        remote(&schema, &mut String::new(), &ids, &mut problems);
        if !problems.0.is_empty() {
            return Err(SchemaErrors(problems.0));
        }
        let built = jsonschema::options()
            .with_retriever(Refuse)
            .with_pattern_options(jsonschema::PatternOptions::regex().size_limit(1 << 20))
            .build(&schema);
        match built {
            Ok(validator) => Ok(Self { validator }),
            Err(error) => {
                problems.add(error.instance_path().to_string(), error.to_string());
                Err(SchemaErrors(problems.0))
            }
        }
    }

    /// Adds what is wrong with a value; `place` completes a problem by the pointer of the value it is about.
    fn judge(&self, value: &Value, out: &mut Collector, mut place: impl FnMut(&str, Problem) -> Problem) {
        if self.validator.is_valid(value) {
            return;
        }
        for error in self.validator.iter_errors(value) {
            let rule = rule(error.kind());
            out.add(rule, 0, || {
                let pointer = error.instance_path().to_string();
                let message = message(error.kind(), &error.schema_path().to_string());
                place(&pointer, Problem::new(rule, Severity::Medium, message)).field(&pointer)
            });
        }
    }
}

/// All `$id`s and `id`s.
fn names<'s>(schema: &'s Value, found: &mut BTreeSet<&'s str>) {
    match schema {
        Value::Object(members) => {
            found.extend(["$id", "id"].iter().filter_map(|key| members.get(*key)?.as_str()));
            members.values().for_each(|value| names(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

/// Finds references to elsewhere. Depth is bounded by the reader of JSON (128).
fn remote(schema: &Value, at: &mut String, ids: &BTreeSet<&str>, problems: &mut Problems) {
    let length = at.len();
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                at.push('/');
                at.push_str(key);
                if let (true, Some(target)) = (
                    matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef"),
                    value.as_str(),
                ) {
                    let document = target.split('#').next().unwrap_or("");
                    let known = document.is_empty() || ids.contains(document) || document.contains("json-schema.org/");
                    // A relative reference may be to an `$id`, which is relative as well.
                    let relative =
                        !document.contains(':') && ids.iter().any(|id| id.ends_with(document.trim_start_matches("./")));
                    if !known && !relative {
                        problems.add(at.clone(), "refers to another document, and schemas are never fetched: put it under $defs and refer to that");
                    }
                }
                remote(value, at, ids, problems);
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                remote(value, at, ids, problems);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// The rule of an error. The list is that of the standard; what is not in it has no name of its own.
fn rule(kind: &Kind) -> &'static str {
    match kind {
        Kind::Required { .. } => "schema/json-required",
        Kind::Type { .. } => "schema/json-type",
        Kind::Enum { .. } | Kind::Constant { .. } => "schema/json-values",
        Kind::Pattern { .. } | Kind::Format { .. } => "schema/json-pattern",
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::MultipleOf { .. } => "schema/json-range",
        Kind::MinLength { .. } | Kind::MaxLength { .. } => "schema/json-length",
        Kind::MinItems { .. }
        | Kind::MaxItems { .. }
        | Kind::UniqueItems
        | Kind::AdditionalItems { .. }
        | Kind::UnevaluatedItems { .. }
        | Kind::Contains => "schema/json-items",
        Kind::AdditionalProperties { .. }
        | Kind::UnevaluatedProperties { .. }
        | Kind::PropertyNames { .. }
        | Kind::MinProperties { .. }
        | Kind::MaxProperties { .. } => "schema/json-members",
        _ => "schema/json",
    }
}

/// What is wrong, in words of the schema and never of the document.
fn message(kind: &Kind, path: &str) -> String {
    let what = match kind {
        Kind::Required { property } => format!("the member {property} is missing"),
        Kind::Type { .. } => "the value has another type".to_owned(),
        Kind::Enum { .. } => "the value is none of those allowed".to_owned(),
        Kind::Constant { .. } => "the value is not the one required".to_owned(),
        Kind::Pattern { .. } => "the text does not have its pattern".to_owned(),
        Kind::Format { format } => format!("the text is not of the format {format}"),
        Kind::Minimum { limit } | Kind::ExclusiveMinimum { limit } => {
            format!("the number is too small, the limit is {limit}")
        }
        Kind::Maximum { limit } | Kind::ExclusiveMaximum { limit } => {
            format!("the number is too large, the limit is {limit}")
        }
        Kind::MinLength { limit } => format!("the text has fewer than {limit} characters"),
        Kind::MaxLength { limit } => format!("the text has more than {limit} characters"),
        Kind::MinItems { limit } => format!("there are fewer than {limit} elements"),
        Kind::MaxItems { limit } => format!("there are more than {limit} elements"),
        Kind::AdditionalProperties { unexpected } => format!("{} members are not allowed", unexpected.len()),
        Kind::UnevaluatedProperties { unexpected } => format!("{} members are not allowed", unexpected.len()),
        other => format!("the keyword {} is not satisfied", other.keyword()),
    };
    let path = &path[..path.floor_char_boundary(FIELD_BYTES)];
    format!("{what} (schema {path})")
}

/// Limits of validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaLimits {
    /// Bytes of a document or record that is validated, as UTF-8. 64 MiB unless set.
    pub bytes: usize,
    /// Values of it, about 100 bytes of memory each. 1 Mi unless set. They are estimated by counting brackets, commas and colons.
    pub values: usize,
}

impl Default for SchemaLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            values: 1 << 20,
        }
    }
}

/// The text of a document or record, as far as limits allow.
#[derive(Debug, Default)]
struct Buffer {
    text: String,
    values: usize,
    over: Option<(&'static str, u64)>,
}

impl Buffer {
    fn push(&mut self, text: &str, limits: SchemaLimits) {
        if self.over.is_some() {
            return;
        }
        self.values += text
            .bytes()
            .filter(|byte| matches!(byte, b'[' | b'{' | b',' | b':'))
            .count();
        if self.text.len() + text.len() > limits.bytes {
            self.over = Some(("json-schema-bytes", limits.bytes as u64));
        } else if self.values > limits.values {
            self.over = Some(("json-schema-values", limits.values as u64));
        } else {
            self.text.push_str(text);
            return;
        }
        self.text = String::new();
    }

    fn clear(&mut self) {
        self.text.clear();
        (self.values, self.over) = (0, None);
    }
}

/// Validates one JSON document. Beside a [`Json`](crate::structure::json::Json) engine: `TextScan::new((json, schema), …)`.
#[derive(Debug)]
pub struct SchemaDocument {
    schema: Arc<DocumentSchema>,
    limits: SchemaLimits,
    buffer: Buffer,
    /// Bytes of the document before its first character, if its bytes are those of the text.
    shift: Option<Option<u64>>,
}

impl SchemaDocument {
    /// An engine for one document.
    pub fn new(schema: Arc<DocumentSchema>, limits: SchemaLimits) -> Self {
        Self {
            schema,
            limits,
            buffer: Buffer::default(),
            shift: None,
        }
    }
}

impl Engine for SchemaDocument {
    fn piece(&mut self, piece: &Piece<'_>, _: &mut Collector) {
        // After bytes that are no text the characters may be further on than the bytes: their places differ then.
        let shift = piece.plain_start().and_then(|start| start.checked_sub(piece.at));
        if *self.shift.get_or_insert(shift) != shift {
            self.shift = Some(None);
        }
        self.buffer.push(piece.text, self.limits);
    }

    fn finish(&mut self, _: Place, out: &mut Collector) {
        if let Some((name, value)) = self.buffer.over {
            out.limit(name, value, "conformance to the JSON Schema", None);
            out.not_checked("JSON Schema", "the document is too large");
            return;
        }
        let text = std::mem::take(&mut self.buffer.text);
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            out.not_checked("JSON Schema", "the document is not JSON, or nested deeper than 128");
            return;
        };
        let from = out.report().findings.len();
        self.schema.judge(&value, out, |_, problem| problem);
        out.checked("JSON Schema");
        let found = &mut out.report().findings[from..];
        if !found.is_empty() {
            let shift = self.shift.flatten();
            let places = places(
                &text,
                found.iter().filter_map(|problem| problem.field.clone()).collect(),
            );
            for problem in found {
                if let Some((span, line)) = problem.field.as_ref().and_then(|field| places.get(field)) {
                    problem.line = Some(*line);
                    problem.span = shift.map(|shift| span.start + shift..span.end + shift);
                }
            }
        }
    }
}

/// Finds where values stand, by their pointers.
fn places(text: &str, wanted: BTreeSet<String>) -> BTreeMap<String, (Range<u64>, u64)> {
    struct Find {
        wanted: BTreeSet<String>,
        depths: BTreeSet<usize>,
        pointer: String,
        found: BTreeMap<String, (Range<u64>, u64)>,
    }
    impl JsonSink for Find {
        fn value(&mut self, path: &Path, _: Event<'_>, span: Range<u64>, line: u64) {
            if !self.depths.contains(&path.depth()) {
                return;
            }
            self.pointer.clear();
            path.write(&mut self.pointer, FIELD_BYTES);
            if self.wanted.contains(&self.pointer) {
                self.found.entry(self.pointer.clone()).or_insert((span, line));
            }
        }
    }
    let depths = wanted.iter().map(|pointer| pointer.matches('/').count()).collect();
    let mut find = Find {
        wanted,
        depths,
        pointer: String::new(),
        found: BTreeMap::new(),
    };
    Parser::new(JsonOptions::default()).piece(&Piece::plain(text, 0, 0), &mut find, &mut Collector::new(1));
    find.found
}

/// Validates every record of JSON lines. Beside a [`JsonLines`](crate::structure::json::JsonLines) engine.
#[derive(Debug)]
pub struct SchemaLines {
    schema: Arc<DocumentSchema>,
    limits: SchemaLimits,
    buffer: Buffer,
    begin: u64,
    line: u64,
    records: u64,
}

impl SchemaLines {
    /// An engine for one document. The limits are those of a record.
    pub fn new(schema: Arc<DocumentSchema>, limits: SchemaLimits) -> Self {
        Self {
            schema,
            limits,
            buffer: Buffer::default(),
            begin: 0,
            line: 1,
            records: 0,
        }
    }

    fn record(&mut self, end: u64, out: &mut Collector) {
        let blank = self.buffer.over.is_none() && self.buffer.text.trim().is_empty();
        self.records += u64::from(!blank);
        let (span, line, record) = (self.begin..end, self.line, self.records);
        if let Some((name, value)) = self.buffer.over {
            out.limit(
                name,
                value,
                "conformance of a record to the JSON Schema",
                Some(span.start),
            );
        } else if let Ok(value) = serde_json::from_str::<Value>(&self.buffer.text) {
            self.schema.judge(&value, out, |_, mut problem| {
                (problem.span, problem.line) = (Some(span.clone()), Some(line));
                problem.cell = Some(format!("record {record}"));
                problem
            });
        } else if !blank {
            out.not_checked(
                "JSON Schema of some records",
                "they are not JSON, or nested deeper than 128",
            );
        }
        self.buffer.clear();
        self.line += 1;
    }
}

impl Engine for SchemaLines {
    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', piece.text.as_bytes()) {
            self.buffer.push(&piece.text[from..at], self.limits);
            self.record(piece.source(at), out);
            (from, self.begin) = (at + 1, piece.source(at + 1));
        }
        self.buffer.push(&piece.text[from..], self.limits);
    }

    fn finish(&mut self, end: Place, out: &mut Collector) {
        if !self.buffer.text.is_empty() || self.buffer.over.is_some() {
            self.record(end.at, out);
        }
        out.checked("JSON Schema");
    }
}
