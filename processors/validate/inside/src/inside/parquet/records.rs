//! The rows of a Parquet file as records: the text of one column, and a label beside it.

use std::borrow::Cow;
use std::io::Read;

use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use serde::{Deserialize, Serialize};

use super::{BATCH, Rows, affordable, describe, fault, is_readable, side_by_side};
use crate::inside::limits::Limits;
use crate::inside::place::Place;
use crate::inside::problem::Problem;
use crate::inside::rules;
use crate::inside::source::Source;
use crate::inside::visitor::{Cell, Column, Member, Table, Value, Visitor};
use crate::inside::walk::Walk;

/// Unpacked bytes of the columns that are decoded at once, by what the file says of itself.
const DECODED: u64 = 8 << 20;

/// Which columns are read. A name is a column's path (`patient.notes`) or the beginning of several (`patient`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// What is read as text. None: every column of texts. Several values of a row stand on a line each.
    pub text: Option<String>,
    /// What is read as the label of a record.
    pub label: Option<String>,
}

/// What is asked of one reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The name of the file, for places.
    pub name: String,
    /// The columns.
    pub fields: Fields,
    /// First row, from 0.
    pub from: u64,
    /// Most records. None are read where it is 0, which asks for the columns.
    pub records: u64,
    /// Bytes of text and labels after which no more records are read.
    pub bytes: u64,
    /// Bytes of text and label of one record; a longer one is given without them.
    pub record_bytes: u64,
    /// How far to go: `total_bytes`, `ratio` and `seconds` count. They are those of one reading.
    pub limits: Limits,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its number in the file, from 0.
    pub row: u64,
    /// Its text; empty where there is none.
    pub text: String,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// What is wrong with it.
    pub broken: Option<Broken>,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// It is longer than [`Ask::record_bytes`] and was not looked at.
    TooLong,
    /// It has a value that is no UTF-8; such bytes are read as U+FFFD.
    NotText,
}

/// What a reading gives, in this order: once the columns, records, problems where they occur, once the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What the file says of itself.
    Columns {
        /// All columns.
        columns: Vec<Column>,
        /// Rows by its own account.
        rows: u64,
    },
    /// A row.
    Record(Record),
    /// Something is wrong with the file.
    Problem(Problem),
    /// The end of this reading.
    End {
        /// The row to ask for next.
        next: u64,
        /// Whether there are no more rows. False with a problem before it means that no more can be read.
        done: bool,
    },
}

/// Reads records. `emit` says whether to go on. Memory: the pages of the columns read, and some megabytes of their values.
pub fn read(source: &Source, ask: &Ask, emit: &mut dyn FnMut(Part) -> bool) {
    let place = Place::root(&ask.name);
    let mut out = Out {
        emit,
        ask,
        text: Vec::new(),
        label: Vec::new(),
        bytes: 0,
        records: 0,
        next: ask.from,
        enough: false,
    };
    let file = open(source, &place, &mut out);
    let done = file.is_some_and(|file| {
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let columns: Vec<Column> = schema.columns().iter().map(|column| describe(column)).collect();
        out.text = match &ask.fields.text {
            Some(name) => named(&columns, name),
            None => texts(&columns),
        };
        out.label = ask
            .fields
            .label
            .as_deref()
            .map_or_else(Vec::new, |name| named(&columns, name));
        // By its row groups, as every reader counts: writers put nonsense into the footer.
        let rows = file.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
        let rows = rows.fold(0, |sum: u64, rows| sum.saturating_add(u64::try_from(rows).unwrap_or(0)));
        out.send(Part::Columns {
            columns: columns.clone(),
            rows,
        });
        let table = Table {
            document: place.clone(),
            sheet: None,
            columns,
            whole_rows: true,
        };
        ask.from >= rows || ask.records > 0 && all_rows(&file, &table, &place, &mut out)
    });
    let next = out.next;
    out.send(Part::End { next, done });
}

fn open(source: &Source, place: &Place, out: &mut Out<'_>) -> Option<SerializedFileReader<Source>> {
    let mut walk = Walk::new(out.ask.limits.clone(), out);
    if source.some(source.len().saturating_sub(4), 4) == b"PARE" {
        walk.report(&rules::ENCRYPTED, place);
        return None;
    }
    match walk.guard(place, |_| super::open(source))? {
        Ok(file) => Some(file),
        Err(error) => {
            walk.report(fault(&error), place);
            None
        }
    }
}

/// Numbers of the columns of this name, or below it.
pub fn named(columns: &[Column], name: &str) -> Vec<usize> {
    let is = |column: &Column| {
        let rest = column.path.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    (0..columns.len()).filter(|at| is(&columns[*at])).collect()
}

fn texts(columns: &[Column]) -> Vec<usize> {
    let is = |column: &Column| column.physical == "BYTE_ARRAY";
    (0..columns.len()).filter(|at| is(&columns[*at])).collect()
}

/// Goes through the row groups; true where every row was read that there is.
fn all_rows(file: &SerializedFileReader<Source>, table: &Table, place: &Place, out: &mut Out<'_>) -> bool {
    let (from, limits) = (out.ask.from, out.ask.limits.clone());
    let mut columns = [&out.text[..], &out.label].concat();
    columns.sort_unstable();
    columns.dedup();
    let mut walk = Walk::new(limits, out);
    let ended = walk.guard(place, |walk| {
        let mut first = 0u64;
        for index in 0..file.num_row_groups() {
            let group = file.get_row_group(index)?;
            let meta = group.metadata().clone();
            let rows = u64::try_from(meta.num_rows()).map_err(|_| ParquetError::General("negative rows".to_owned()))?;
            let skip = from.saturating_sub(first).min(rows);
            if skip < rows {
                if !walk.more(place) || !affordable(walk, place, &meta, &columns) {
                    return Ok(false);
                }
                if columns.iter().any(|column| !is_readable(&meta, *column)) {
                    walk.report(&rules::METHOD, place);
                    return Ok(false);
                }
                let sizes = columns.iter().filter_map(|column| meta.columns().get(*column));
                let plain = sizes.fold(0u64, |sum, column| {
                    sum.saturating_add(u64::try_from(column.uncompressed_size()).unwrap_or(0))
                });
                let batch = DECODED / (plain / rows).max(1);
                let part = Rows {
                    columns: &columns,
                    first,
                    rows,
                    skip,
                    // At least one, and no more than elsewhere.
                    batch: usize::try_from(batch).unwrap_or(BATCH).clamp(1, BATCH),
                };
                if !side_by_side(walk, group.as_ref(), table, &part)? {
                    return Ok(false);
                }
            }
            first = first.saturating_add(rows);
        }
        Ok(walk.visitor.wants_more())
    });
    let done = match ended {
        Some(Ok(done)) => done,
        Some(Err(error)) => {
            walk.report(fault(&error), place);
            false
        }
        None => false,
    };
    walk.finish(place);
    done
}

/// Makes records of rows.
struct Out<'a> {
    emit: &'a mut dyn FnMut(Part) -> bool,
    ask: &'a Ask,
    text: Vec<usize>,
    label: Vec<usize>,
    bytes: u64,
    records: u64,
    next: u64,
    /// Nobody listens any more, or nothing more was asked for.
    enough: bool,
}

impl Out<'_> {
    fn send(&mut self, part: Part) {
        self.enough |= !(self.emit)(part);
    }

    fn record(&self, row: u64, cells: &[Cell<'_>]) -> Record {
        let mut record = Record {
            row,
            text: String::new(),
            label: None,
            broken: None,
        };
        let of = |list: &[usize], column: u32| list.contains(&(column as usize));
        for (column, value) in cells {
            let Some(value) = written(value, &mut record.broken) else {
                continue;
            };
            let length = record.text.len() + value.len() + record.label.as_ref().map_or(0, String::len);
            if length as u64 > self.ask.record_bytes {
                record.broken = Some(Broken::TooLong);
                (record.text, record.label) = (String::new(), None);
                return record;
            }
            if of(&self.label, *column) && record.label.is_none() {
                record.label = Some(value.clone().into_owned());
            }
            if of(&self.text, *column) {
                if !record.text.is_empty() {
                    record.text.push('\n');
                }
                record.text.push_str(&value);
            }
        }
        record
    }
}

/// A value as it would stand in a table of text.
fn written<'a>(value: &Value<'a>, broken: &mut Option<Broken>) -> Option<Cow<'a, str>> {
    Some(match value {
        Value::Null => return None,
        Value::Text(text) => Cow::Borrowed(text),
        Value::Bool(value) => value.to_string().into(),
        Value::Int(value) => value.to_string().into(),
        Value::Float(value) => value.to_string().into(),
        Value::Bytes(bytes) => {
            *broken = Some(Broken::NotText);
            String::from_utf8_lossy(bytes)
        }
    })
}

impl Visitor for Out<'_> {
    fn member(&mut self, _: &Member, _: &mut dyn Read) {}

    fn text(&mut self, _: &Place, _: &str) {}

    fn row(&mut self, _: &Table, row: u64, cells: &[Cell<'_>]) {
        if self.enough {
            return;
        }
        let record = self.record(row, cells);
        self.bytes += (record.text.len() + record.label.as_ref().map_or(0, String::len)) as u64;
        self.records += 1;
        self.next = row.saturating_add(1);
        self.send(Part::Record(record));
        self.enough |= self.records >= self.ask.records || self.bytes >= self.ask.bytes;
    }

    fn problem(&mut self, problem: Problem) {
        self.send(Part::Problem(problem));
    }

    fn wants_more(&self) -> bool {
        !self.enough
    }
}
