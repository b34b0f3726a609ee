//! Parquet files: page checksums are verified, every row group is read in bounded batches (Apache Parquet format 2.11).

use std::cmp::Ordering;

use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::ColumnDescriptor;

use super::limits::LimitName;
use super::place::Place;
use super::rules;
use super::source::Source;
use super::visitor::{Cell, Column, Table, Value};
use super::walk::Walk;

/// Rows read at once.
const BATCH: usize = 1_024;
/// Columns and unpacked bytes of a row group up to which its columns are read side by side: each then holds a page in memory.
const COLUMNS: usize = 256;
const SIDE_BY_SIDE: i64 = 48 << 20;

/// Reads the file.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, place: &Place) {
    let head = source.some(0, 4);
    if head == b"PARE" || source.some(source.len().saturating_sub(4), 4) == b"PARE" {
        return walk.report(&rules::ENCRYPTED, place);
    }
    let done = walk.guard(place, |walk| read(walk, source, place));
    if let Some(Err(error)) = done {
        let rule = match error {
            ParquetError::EOF(_) => &rules::TRUNCATED,
            ParquetError::NYI(_) => &rules::METHOD,
            // The crate has no variant of its own for it.
            ParquetError::General(text) if text.contains("CRC") => &rules::CHECKSUM,
            _ => &rules::BROKEN,
        };
        walk.report(rule, place);
    }
}

fn read(walk: &mut Walk<'_>, source: &Source, place: &Place) -> Result<(), ParquetError> {
    let file = SerializedFileReader::new(source.clone())?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let columns: Vec<Column> = schema.columns().iter().map(|column| describe(column)).collect();
    let mut table = Table {
        document: place.clone(),
        sheet: None,
        columns,
        whole_rows: true,
    };
    let mut first_row = 0u64;
    for index in 0..file.num_row_groups() {
        if !walk.more(place) {
            return Ok(());
        }
        let group = file.get_row_group(index)?;
        let meta = group.metadata().clone();
        if !affordable(walk, place, &meta) {
            return Ok(());
        }
        let rows = u64::try_from(meta.num_rows()).map_err(|_| ParquetError::General("negative rows".to_owned()))?;
        let readable: Vec<usize> = (0..group.num_columns())
            .filter(|column| is_readable(&meta, *column))
            .collect();
        if readable.len() < group.num_columns() {
            walk.report(&rules::METHOD, place);
        }
        let large = meta
            .columns()
            .iter()
            .map(|column| column.uncompressed_size().max(0))
            .fold(0i64, i64::saturating_add)
            > SIDE_BY_SIDE;
        table.whole_rows = !large && readable.len() <= COLUMNS;
        if table.whole_rows {
            side_by_side(walk, group.as_ref(), &table, &readable, first_row, rows)?;
        } else {
            for column in readable {
                side_by_side(walk, group.as_ref(), &table, &[column], first_row, rows)?;
            }
        }
        first_row = first_row.saturating_add(rows);
    }
    // The count in the footer is not compared: writers put nonsense there, and every reader counts row groups.
    Ok(())
}

fn describe(column: &ColumnDescriptor) -> Column {
    Column {
        path: column.path().string(),
        physical: format!("{:?}", column.physical_type()),
        logical: column.logical_type_ref().map(|logical| format!("{logical:?}")),
        nullable: column.max_def_level() > 0,
        repeated: column.max_rep_level() > 0,
    }
}

fn is_readable(meta: &RowGroupMetaData, column: usize) -> bool {
    !matches!(
        meta.column(column).compression(),
        Compression::BROTLI(_) | Compression::LZO
    )
}

/// Whether what the row group says of its own size can be unpacked.
fn affordable(walk: &mut Walk<'_>, place: &Place, meta: &RowGroupMetaData) -> bool {
    for column in meta.columns() {
        let packed = u64::try_from(column.compressed_size()).unwrap_or(0);
        let plain = u64::try_from(column.uncompressed_size()).unwrap_or(0);
        let ratio = plain / packed.max(1);
        if plain > walk.limits().ratio_floor && ratio > walk.limits().ratio.saturating_mul(20) {
            // Dictionaries and run lengths pack far better than any general method.
            walk.report(&rules::BOMB, place);
            walk.limit(LimitName::Ratio, place, Some(plain));
            return false;
        }
        if walk.budget.unpack(plain) < plain {
            walk.limit(LimitName::TotalBytes, place, Some(plain));
            return false;
        }
    }
    true
}

fn side_by_side(
    walk: &mut Walk<'_>,
    group: &dyn RowGroupReader,
    table: &Table,
    columns: &[usize],
    first_row: u64,
    rows: u64,
) -> Result<(), ParquetError> {
    let mut readers = Vec::with_capacity(columns.len());
    for column in columns {
        readers.push((*column, group.get_column_reader(*column)?));
    }
    let mut done = 0u64;
    while done < rows {
        if !walk.more(&table.document) {
            return Ok(());
        }
        let wanted = BATCH.min(usize::try_from(rows - done).unwrap_or(BATCH));
        let mut batches = Vec::with_capacity(readers.len());
        for (column, reader) in &mut readers {
            // Always a full batch: the end of a repeated value is known only when the next begins or the pages end.
            let batch = Batch::read(reader, BATCH)?;
            match batch.records.cmp(&wanted) {
                Ordering::Equal => {}
                Ordering::Less => return Err(ParquetError::EOF("fewer rows than declared".to_owned())),
                Ordering::Greater => return Err(ParquetError::General("more rows than declared".to_owned())),
            }
            batches.push((*column as u32, batch));
        }
        let cells: usize = batches.iter().map(|(_, batch)| batch.len()).sum();
        let text: usize = batches.iter().map(|(_, batch)| batch.text_bytes()).sum();
        for left in [walk.budget.cells(cells as u64), walk.budget.text(text)] {
            if let Err(name) = left {
                walk.limit(name, &table.document, None);
                return Ok(());
            }
        }
        let mut lines: Vec<Vec<Cell<'_>>> = vec![Vec::with_capacity(batches.len()); wanted];
        for (column, batch) in &batches {
            batch.spread(*column, &mut lines);
        }
        for (line, cells) in lines.iter().enumerate() {
            walk.visitor.row(table, first_row + done + line as u64, cells);
        }
        done += wanted as u64;
    }
    for (_, reader) in &mut readers {
        if Batch::read(reader, 1)?.records > 0 {
            return Err(ParquetError::General("more rows than declared".to_owned()));
        }
    }
    Ok(())
}

/// Values of one column for some rows.
struct Batch {
    records: usize,
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
    fn read(reader: &mut ColumnReader, wanted: usize) -> Result<Self, ParquetError> {
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

    fn len(&self) -> usize {
        self.defined.len().max(match &self.values {
            Values::Bool(list) => list.len(),
            Values::Int(list) => list.len(),
            Values::Float(list) => list.len(),
            Values::Bytes(list) => list.len(),
        })
    }

    fn text_bytes(&self) -> usize {
        match &self.values {
            Values::Bytes(list) => list.iter().map(ByteArray::len).sum(),
            _ => 0,
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
    fn spread<'a>(&'a self, column: u32, lines: &mut [Vec<Cell<'a>>]) {
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
