//! The cells of XLSX and XLSB workbooks, one by one: a sheet is never held as a whole, since its size is only what it says it is.

use calamine::{DataRef, Reader, Xlsb, Xlsx};

use super::rows::{Owned, Rows};
use crate::inside::limits::LimitName;
use crate::inside::place::Place;
use crate::inside::rules;
use crate::inside::source::Source;
use crate::inside::visitor::Table;
use crate::inside::walk::Walk;
use crate::inside::zip::Directory;

/// Parts that the parser holds in memory.
const HELD: [&str; 6] = [
    "xl/sharedStrings.xml",
    "xl/sharedStrings.bin",
    "xl/styles.xml",
    "xl/styles.bin",
    "xl/workbook.xml",
    "xl/workbook.bin",
];

/// Reads a workbook.
pub(super) fn workbook(walk: &mut Walk<'_>, source: &Source, place: &Place, directory: &Directory) {
    let limit = walk.limits().part_bytes;
    for name in HELD {
        if let Some(entry) = directory.find(name)
            && entry.size > limit
        {
            return walk.limit(LimitName::PartBytes, &place.child(name), Some(entry.size));
        }
    }
    if directory.entries.iter().any(|entry| entry.is_encrypted()) {
        return;
    }
    let binary = directory.find("xl/workbook.bin").is_some();
    let done = walk.guard(place, |walk| {
        if binary {
            xlsb(walk, source, place)
        } else {
            xlsx(walk, source, place)
        }
    });
    if done == Some(false) {
        walk.report(&rules::BROKEN, place);
    }
}

fn table(place: &Place, sheet: &str) -> Table {
    Table {
        document: place.clone(),
        sheet: Some(sheet.to_owned()),
        columns: Vec::new(),
        whole_rows: true,
    }
}

/// Both readers have the same shape but no common trait.
macro_rules! read_sheets {
    ($walk:ident, $place:ident, $book:ident, $missing:pat) => {{
        for sheet in $book.sheet_names() {
            if !$walk.more($place) {
                return true;
            }
            let mut rows = Rows::new(table($place, &sheet));
            let mut cells = match $book.worksheet_cells_reader(&sheet) {
                Ok(cells) => cells,
                // A chart sheet has no cells.
                Err($missing) => continue,
                Err(_) => return false,
            };
            loop {
                let cell = match cells.next_cell() {
                    Ok(Some(cell)) => cell,
                    Ok(None) => break,
                    Err(_) => {
                        rows.flush($walk, 1);
                        return false;
                    }
                };
                let (row, column) = cell.get_position();
                if let Some(value) = own(cell.get_value())
                    && !rows.cell($walk, row.into(), column, value)
                {
                    rows.flush($walk, 1);
                    return true;
                }
            }
            rows.flush($walk, 1);
        }
        true
    }};
}

fn xlsx(walk: &mut Walk<'_>, source: &Source, place: &Place) -> bool {
    let Ok(mut book) = Xlsx::new(source.clone()) else {
        return false;
    };
    read_sheets!(walk, place, book, calamine::XlsxError::NotAWorksheet(_))
}

fn xlsb(walk: &mut Walk<'_>, source: &Source, place: &Place) -> bool {
    let Ok(mut book) = Xlsb::new(source.clone()) else {
        return false;
    };
    read_sheets!(walk, place, book, calamine::XlsbError::WorksheetNotFound(_))
}

fn own(value: &DataRef<'_>) -> Option<Owned> {
    Some(match value {
        DataRef::Int(value) => Owned::Int(*value),
        DataRef::Float(value) => Owned::Float(*value),
        DataRef::Bool(value) => Owned::Bool(*value),
        DataRef::DateTime(value) => Owned::Float(value.as_f64()),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Owned::Text(text.clone()),
        DataRef::SharedString(text) => Owned::Text((*text).to_owned()),
        DataRef::Error(_) | DataRef::Empty => return None,
    })
}
