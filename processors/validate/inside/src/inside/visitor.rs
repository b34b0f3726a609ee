//! What the engine hands over while it looks.

use std::io::Read;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::place::{Place, column_letters};
use super::problem::Problem;

/// One member of a container.
#[derive(Debug, Clone)]
pub struct Member {
    /// The path inside.
    pub place: Place,
    /// What its first bytes say it is.
    pub kind: Kind,
    /// Bytes as declared by the container, which may lie; none where it declares nothing.
    pub declared: Option<u64>,
    /// What it is to its container.
    pub role: Role,
}

/// What a member is to its container, for the choice of scanners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A file of its own, as a person would see it: every scanner.
    File,
    /// A part of a document (XML of an office document, a stream of a PDF) whose readable text is handed over apart: byte signatures
    /// only, or the same text would be found twice.
    Part,
    /// Bytes that no program shows: before, between or after what belongs to the format.
    Hidden,
}

/// One value of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// None.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number; also dates of sheets, in days.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes that are not UTF-8.
    Bytes(&'a [u8]),
}

/// One cell: its column, from 0, and its value.
pub type Cell<'a> = (u32, Value<'a>);

/// A sheet of a workbook, the table of a Parquet file, or the attributes of a DICOM file as one row.
#[derive(Debug, Clone)]
pub struct Table {
    /// The document.
    pub document: Place,
    /// The sheet; none where there is only one table.
    pub sheet: Option<String>,
    /// Columns with their paths, where the format names them.
    pub columns: Vec<Column>,
    /// Whether a call of [`Visitor::row`] brings all cells of a row. Parquet tables that are too wide for that come column by column.
    pub whole_rows: bool,
}

/// A named column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its path, parts joined with a dot.
    pub path: String,
    /// How its values are stored, in the words of the format.
    pub physical: String,
    /// What they mean, where it is said.
    pub logical: Option<String>,
    /// Whether values may be missing.
    pub nullable: bool,
    /// Whether a row may have several values.
    pub repeated: bool,
}

impl Column {
    /// What the values of a column of names of people mean, where the format says it.
    pub const PERSON: &'static str = "name of a person";
}

impl Table {
    /// Where a cell is: `book.xlsx!/Sheet1!B7`, `x.parquet!/patient.name[6]`. Both numbers from 0.
    pub fn place(&self, row: u64, column: u32) -> Place {
        let name = match &self.sheet {
            Some(sheet) => format!("{sheet}!{}{}", column_letters(column), row.saturating_add(1)),
            None => {
                let column = self.columns.get(column as usize);
                format!("{}[{row}]", column.map_or("?", |column| &column.path))
            }
        };
        self.document.child(&name)
    }
}

/// Takes what is inside. The engine calls from one thread, in the order of the document.
pub trait Visitor {
    /// A member. `bytes` never fails: where the member is broken or a bound is reached it ends early, and a problem says so. What is
    /// not read here is read by the engine, which needs its checksum.
    fn member(&mut self, member: &Member, bytes: &mut dyn Read);

    /// Text of a document: a page, a paragraph, a script. Pieces are cut at about 256 KiB.
    fn text(&mut self, place: &Place, text: &str);

    /// A row of a table; rows come in order, and empty cells are left out or `Null`. Several cells may have the same column where it
    /// repeats.
    fn row(&mut self, table: &Table, row: u64, cells: &[Cell<'_>]) {
        let _ = (table, row, cells);
    }

    /// What was handed over last as a file stands, encoded, in these bytes of the document or member at `place`: what was found there before, in the bytes as
    /// they stand, is found in the file as well.
    fn stood(&mut self, place: &Place, bytes: Range<u64>) {
        let _ = (place, bytes);
    }

    /// Something is wrong.
    fn problem(&mut self, problem: Problem);

    /// False to stop early. Asked between members, pages and rows.
    fn wants_more(&self) -> bool {
        true
    }
}
