//! Rows, and the few things a backend does with them.

use async_trait::async_trait;
use cofferdam_schemas::{ObjectId, Timestamp};
use uuid::Uuid;

use crate::error::StoreError;
use crate::schema::{TableId, table};

/// A column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// `text`.
    Text(String),
    /// `int`, `bigint`, `timestamp` (milliseconds), `boolean`.
    Int(i64),
    /// `uuid`.
    Uuid(Uuid),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.unix_millis())
    }
}
impl From<ObjectId> for Value {
    fn from(id: ObjectId) -> Self {
        Self::Uuid(id.0)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row: one value for each column of its table, in the table's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The table.
    pub table: TableId,
    /// The values.
    pub values: Vec<Value>,
}

impl Record {
    /// A row of NULLs. A row is always written whole: NULL means "has no value", never "leave as it is".
    pub fn new(id: TableId) -> Self {
        Self {
            table: id,
            values: vec![Value::Null; table(id).columns.len()],
        }
    }

    fn index(&self, column: &str) -> usize {
        let index = table(self.table).column(column);
        debug_assert!(index.is_some(), "{} has no column {column}", self.table.name());
        index.unwrap_or(usize::MAX)
    }

    /// Sets a column.
    pub fn with(mut self, column: &str, value: impl Into<Value>) -> Self {
        let index = self.index(column);
        if let Some(place) = self.values.get_mut(index) {
            *place = value.into();
        }
        self
    }

    fn damaged(&self, column: &'static str) -> StoreError {
        StoreError::Damaged {
            table: self.table.name(),
            column,
            source: None,
        }
    }

    /// A text, if there is one.
    pub fn maybe_text(&self, column: &'static str) -> Result<Option<&str>, StoreError> {
        match self.values.get(self.index(column)) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_) | Value::Uuid(_)) | None => Err(self.damaged(column)),
        }
    }

    /// A text that must be there.
    pub fn text(&self, column: &'static str) -> Result<&str, StoreError> {
        self.maybe_text(column)?.ok_or_else(|| self.damaged(column))
    }

    /// A number that must be there.
    pub fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        match self.values.get(self.index(column)) {
            Some(Value::Int(number)) => Ok(*number),
            Some(Value::Null | Value::Text(_) | Value::Uuid(_)) | None => Err(self.damaged(column)),
        }
    }

    /// A time that must be there.
    pub fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_unix_millis)
    }

    /// An object id, if there is one.
    pub fn maybe_object(&self, column: &'static str) -> Result<Option<ObjectId>, StoreError> {
        match self.values.get(self.index(column)) {
            Some(Value::Uuid(id)) => Ok(Some(ObjectId(*id))),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_) | Value::Text(_)) | None => Err(self.damaged(column)),
        }
    }

    /// An object id that must be there.
    pub fn object(&self, column: &'static str) -> Result<ObjectId, StoreError> {
        self.maybe_object(column)?.ok_or_else(|| self.damaged(column))
    }

    /// A text that must be there, as the type it stands for.
    pub fn parsed<T: TryFrom<String>>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        let text = self.text(column)?.to_owned();
        T::try_from(text).map_err(|error| self.unreadable(column, error))
    }

    /// A text that may be there, as the type it stands for.
    pub fn maybe_parsed<T: TryFrom<String>>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        self.maybe_text(column)?
            .map(|text| T::try_from(text.to_owned()).map_err(|error| self.unreadable(column, error)))
            .transpose()
    }

    /// JSON that may be there.
    pub fn maybe_json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        self.maybe_text(column)?
            .map(|text| serde_json::from_str(text).map_err(|error| self.unreadable(column, error)))
            .transpose()
    }

    /// JSON that must be there.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        self.maybe_json(column)?.ok_or_else(|| self.damaged(column))
    }

    /// A word of a fixed list, as serde knows it.
    pub fn word<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        self.maybe_word(column)?.ok_or_else(|| self.damaged(column))
    }

    /// A word of a fixed list that may be there.
    pub fn maybe_word<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let word = self
            .maybe_text(column)?
            .map(|text| serde_json::Value::String(text.to_owned()));
        word.map(|word| serde_json::from_value(word).map_err(|error| self.unreadable(column, error)))
            .transpose()
    }

    fn unreadable(&self, column: &'static str, source: impl Into<crate::error::Source>) -> StoreError {
        StoreError::Damaged {
            table: self.table.name(),
            column,
            source: Some(source.into()),
        }
    }
}

/// What is done to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The row is as given.
    Put(Record),
    /// There is no such row; only the key columns count.
    Delete(Record),
}

/// A write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// What.
    pub change: Change,
    /// The write timestamp, in microseconds since 1970. A write that is older than the row's, or than its deletion, does nothing.
    pub written_at: i64,
}

/// A read of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The table.
    pub table: TableId,
    /// The partition key (for a table without clustering columns that is one row).
    pub partition: Vec<Value>,
    /// Only rows behind this position: all clustering columns.
    pub after: Option<Vec<Value>>,
    /// How many rows at most.
    pub limit: usize,
}

impl Select {
    /// The rows of a partition, from its beginning.
    pub fn new(table: TableId, partition: Vec<Value>, limit: usize) -> Self {
        Self {
            table,
            partition,
            after: None,
            limit,
        }
    }
}

/// A backend, as far as rows go.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Applies writes; durable when it returns. Not atomic as a whole: after an error any part may have been applied, and the caller repeats it.
    /// A table with a time to live lets rows expire that long after `written_at`, also when they are written late.
    async fn write(&self, mutations: Vec<Mutation>) -> Result<(), StoreError>;
    /// Answers reads, in their order, each in the table's clustering order.
    async fn read(&self, selects: Vec<Select>) -> Result<Vec<Vec<Record>>, StoreError>;
    /// Whether it answers; cheap.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Removes what has expired, where the backend does not by itself.
    async fn maintain(&self) -> Result<(), StoreError>;
}
