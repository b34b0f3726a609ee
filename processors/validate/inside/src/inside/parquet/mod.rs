//! Parquet files: page checksums are verified, every row group is read in bounded batches (Apache Parquet format 2.11).

mod batch;
mod footer;
pub mod records;

use std::cmp::Ordering;

use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::ColumnDescriptor;

use super::limits::LimitName;
use super::place::Place;
use super::rules::{self, Rule};
use super::source::Source;
use super::visitor::{Cell, Column, Table};
use super::walk::Walk;
use batch::Batch;

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
        walk.report(fault(&error), place);
    }
}

static TRUNCATED: Rule = rules::TRUNCATED;
static METHOD: Rule = rules::METHOD;
static CHECKSUM: Rule = rules::CHECKSUM;
static BROKEN: Rule = rules::BROKEN;

/// What an error of the reader means.
fn fault(error: &ParquetError) -> &'static Rule {
    match error {
        ParquetError::EOF(_) => &TRUNCATED,
        ParquetError::NYI(_) => &METHOD,
        // The crate has no variant of its own for it.
        ParquetError::General(text) if text.contains("CRC") => &CHECKSUM,
        _ => &BROKEN,
    }
}

/// Reads the footer.
fn open(source: &Source) -> Result<SerializedFileReader<Source>, ParquetError> {
    footer::check(source)?;
    SerializedFileReader::new(source.clone())
}

fn read(walk: &mut Walk<'_>, source: &Source, place: &Place) -> Result<(), ParquetError> {
    let file = open(source)?;
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
        let all: Vec<usize> = (0..group.num_columns()).collect();
        if !affordable(walk, place, &meta, &all) {
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
        // All at once, or each by itself.
        let width = if table.whole_rows { readable.len().max(1) } else { 1 };
        for columns in readable.chunks(width) {
            let part = Rows {
                columns,
                first: first_row,
                rows,
                skip: 0,
                batch: BATCH,
            };
            side_by_side(walk, group.as_ref(), &table, &part)?;
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

/// Whether what the row group says of the size of these columns can be unpacked.
fn affordable(walk: &mut Walk<'_>, place: &Place, meta: &RowGroupMetaData, columns: &[usize]) -> bool {
    for column in columns.iter().filter_map(|column| meta.columns().get(*column)) {
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

/// What is read of a row group.
struct Rows<'a> {
    columns: &'a [usize],
    /// Number of its first row in the file.
    first: u64,
    /// How many it has.
    rows: u64,
    /// How many of them are left out.
    skip: u64,
    /// How many are decoded at once.
    batch: usize,
}

/// Hands rows over; false where it was ended before the last.
fn side_by_side(
    walk: &mut Walk<'_>,
    group: &dyn RowGroupReader,
    table: &Table,
    part: &Rows<'_>,
) -> Result<bool, ParquetError> {
    // Rows without columns cost nothing to declare, whatever their number.
    if part.columns.is_empty() {
        return Ok(true);
    }
    let few = || ParquetError::EOF("fewer rows than declared".to_owned());
    let mut readers = Vec::with_capacity(part.columns.len());
    for column in part.columns {
        let mut reader = group.get_column_reader(*column)?;
        let skip = usize::try_from(part.skip).unwrap_or(usize::MAX);
        if skip > 0 && Batch::skip(&mut reader, skip)? < skip {
            return Err(few());
        }
        readers.push((*column, reader));
    }
    let mut done = part.skip;
    while done < part.rows {
        if !walk.more(&table.document) {
            return Ok(false);
        }
        let wanted = part.batch.min(usize::try_from(part.rows - done).unwrap_or(part.batch));
        let mut batches = Vec::with_capacity(readers.len());
        for (column, reader) in &mut readers {
            // Always a full batch: the end of a repeated value is known only when the next begins or the pages end.
            let batch = Batch::read(reader, part.batch)?;
            match batch.records.cmp(&wanted) {
                Ordering::Equal => {}
                Ordering::Less => return Err(few()),
                Ordering::Greater => return Err(ParquetError::General("more rows than declared".to_owned())),
            }
            batches.push((*column as u32, batch));
        }
        let cells: usize = batches.iter().map(|(_, batch)| batch.len()).sum();
        let text: usize = batches.iter().map(|(_, batch)| batch.text_bytes()).sum();
        for left in [walk.budget.cells(cells as u64), walk.budget.text(text)] {
            if let Err(name) = left {
                walk.limit(name, &table.document, None);
                return Ok(false);
            }
        }
        let mut lines: Vec<Vec<Cell<'_>>> = vec![Vec::with_capacity(batches.len()); wanted];
        for (column, batch) in &batches {
            batch.spread(*column, &mut lines);
        }
        for (line, cells) in lines.iter().enumerate() {
            walk.visitor
                .row(table, part.first.saturating_add(done + line as u64), cells);
        }
        done += wanted as u64;
    }
    for (_, reader) in &mut readers {
        if Batch::read(reader, 1)?.records > 0 {
            return Err(ParquetError::General("more rows than declared".to_owned()));
        }
    }
    Ok(true)
}
