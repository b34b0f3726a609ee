//! Whether a document conforms to what its tenant promised: JSON Schema for JSON, a table contract for tables of any kind.
//!
//! No message holds a value of the document: messages are made of the contract's own words, and of positions.

mod document;
mod expr;
mod select;
mod table;

pub use document::{DocumentSchema, SchemaDocument, SchemaLimits, SchemaLines};
pub use select::{Contract, Others, RawSchemas, RawSelect, Schemas, Selected};
pub use table::{RawCheck, RawColumn, RawTable, TableCheck, TablePlan};

/// One thing wrong with a schema or contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// Where in the configuration, for example `column[2].pattern`.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

/// All that is wrong with a schema or contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema is not valid: {}", .0.iter().map(|p| format!("{}: {}", p.key, p.message)).collect::<Vec<_>>().join("; "))]
pub struct SchemaErrors(
    /// At least one.
    pub Vec<SchemaProblem>,
);

/// Gathers problems of a configuration.
#[derive(Debug, Default)]
struct Problems(Vec<SchemaProblem>);

impl Problems {
    fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(SchemaProblem {
            key: key.into(),
            message: message.into(),
        });
    }

    fn finish<T>(self, value: T) -> Result<T, SchemaErrors> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(SchemaErrors(self.0))
        }
    }
}

#[cfg(test)]
mod tests;
