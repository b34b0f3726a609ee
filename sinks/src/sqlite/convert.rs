//! Values to and from SQLite.

use rusqlite::Row;
use rusqlite::types::{Type, Value as Sql};
use uuid::Uuid;

use crate::schema::{ColumnType, TableId, table};
use crate::store::{Record, Value};

pub(super) fn to_sql(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Text(text) => Sql::Text(text.clone()),
        Value::Int(number) => Sql::Integer(*number),
        Value::Uuid(id) => Sql::Blob(id.as_bytes().to_vec()),
    }
}

/// A row of all columns.
pub(super) fn record(id: TableId, row: &Row<'_>) -> rusqlite::Result<Record> {
    let columns = table(id).columns.iter().enumerate();
    let values = columns
        .map(|(index, column)| value(row, index, column.kind))
        .collect::<rusqlite::Result<_>>()?;
    Ok(Record { table: id, values })
}

fn value(row: &Row<'_>, index: usize, kind: ColumnType) -> rusqlite::Result<Value> {
    let found = row.get::<_, Sql>(index)?;
    let wrong = |found: Type| rusqlite::Error::InvalidColumnType(index, kind.sqlite().to_owned(), found);
    match (kind, found) {
        (_, Sql::Null) => Ok(Value::Null),
        (ColumnType::Text, Sql::Text(text)) => Ok(Value::Text(text)),
        (ColumnType::Int | ColumnType::Bigint | ColumnType::Timestamp | ColumnType::Boolean, Sql::Integer(number)) => {
            Ok(Value::Int(number))
        }
        (ColumnType::Uuid, Sql::Blob(bytes)) => {
            Uuid::from_slice(&bytes).map(Value::Uuid).map_err(|_| wrong(Type::Blob))
        }
        // No table has bytes in it yet; `Value` gets a variant with the first that does.
        (_, found) => Err(wrong(found.data_type())),
    }
}
