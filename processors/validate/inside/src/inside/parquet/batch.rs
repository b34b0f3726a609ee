//! Values of a column for some rows, whatever their type.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::ParquetError;

use crate::inside::visitor::{Cell, Value};

/// Values of one column for some rows.
pub(super) struct Batch {
    pub records: usize,
    values: Values,
    /// Definition and repetition of each level; empty where the column has none.
    defined: Vec<bool>,
    begins: Vec<bool>,
}

enum Values {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

impl Batch {
    pub fn read(reader: &mut ColumnReader, wanted: usize) -> Result<Self, ParquetError> {
        match reader {
            ColumnReader::BoolColumnReader(reader) => typed(reader, wanted, Values::Bool),
            ColumnReader::Int32ColumnReader(reader) => typed(reader, wanted, |list| {
                Values::Int(list.into_iter().map(i64::from).collect())
            }),
            ColumnReader::Int64ColumnReader(reader) => typed(reader, wanted, Values::Int),
            ColumnReader::Int96ColumnReader(reader) => typed(reader, wanted, |list: Vec<Int96>| {
                Values::Int(list.iter().map(Int96::to_millis).collect())
            }),
            ColumnReader::FloatColumnReader(reader) => typed(reader, wanted, |list| {
                Values::Float(list.into_iter().map(f64::from).collect())
            }),
            ColumnReader::DoubleColumnReader(reader) => typed(reader, wanted, Values::Float),
            ColumnReader::ByteArrayColumnReader(reader) => typed(reader, wanted, Values::Bytes),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                typed(reader, wanted, |list: Vec<FixedLenByteArray>| {
                    Values::Bytes(list.into_iter().map(ByteArray::from).collect())
                })
            }
        }
    }

    pub fn len(&self) -> usize {
        self.defined.len().max(match &self.values {
            Values::Bool(list) => list.len(),
            Values::Int(list) => list.len(),
            Values::Float(list) => list.len(),
            Values::Bytes(list) => list.len(),
        })
    }

    pub fn text_bytes(&self) -> usize {
        match &self.values {
            Values::Bytes(list) => list.iter().map(ByteArray::len).sum(),
            _ => 0,
        }
    }

    /// Leaves out rows; how many there were to leave out.
    pub fn skip(reader: &mut ColumnReader, rows: usize) -> Result<usize, ParquetError> {
        match reader {
            ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FloatColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
        }
    }

    fn value(&self, index: usize) -> Option<Value<'_>> {
        Some(match &self.values {
            Values::Bool(list) => Value::Bool(*list.get(index)?),
            Values::Int(list) => Value::Int(*list.get(index)?),
            Values::Float(list) => Value::Float(*list.get(index)?),
            Values::Bytes(list) => {
                let bytes = list.get(index)?.data();
                std::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text)
            }
        })
    }

    /// Puts the values into their rows.
    pub fn spread<'a>(&'a self, column: u32, lines: &mut [Vec<Cell<'a>>]) {
        let (mut line, mut next) = (0usize, 0usize);
        for level in 0..self.len() {
            if level > 0 && self.begins.get(level).copied().unwrap_or(true) {
                line += 1;
            }
            let value = if self.defined.get(level).copied().unwrap_or(true) {
                next += 1;
                self.value(next - 1)
            } else {
                Some(Value::Null)
            };
            if let (Some(cells), Some(value)) = (lines.get_mut(line), value) {
                cells.push((column, value));
            }
        }
    }
}

fn typed<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    wanted: usize,
    wrap: impl FnOnce(Vec<T::T>) -> Values,
) -> Result<Batch, ParquetError> {
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(wanted, Some(&mut definition), Some(&mut repetition), &mut values)?;
    // The highest level is the one with a value. It is not known here, but the counts tell: as many levels hold it as there are values.
    let top = definition.iter().copied().max().unwrap_or(0);
    let full = definition.iter().filter(|level| **level == top).count() == values.len();
    let defined = definition.iter().map(|level| full && *level == top).collect();
    let begins = repetition.iter().map(|level| *level == 0).collect();
    Ok(Batch {
        records,
        values: wrap(values),
        defined,
        begins,
    })
}
