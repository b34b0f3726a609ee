//! SQLite databases, GeoPackages among them: every row of every table (SQLite Database File Format).
//!
//! SQLite itself reads them, from memory: it is told to trust nothing of the schema, and runs nothing of it but generated columns. What it finds
//! broken is reported, and what it read before that is kept.

use std::io::Read;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode};

use super::kind::Kind;
use super::limits::LimitName;
use super::meter::Packed;
use super::place::Place;
use super::rules;
use super::source::Source;
use super::visitor::{Cell, Column, Role, Table, Value};
use super::walk::{Found, Walk};

/// Bytes of the header.
const HEADER: usize = 100;
/// Shortest value of bytes of which it is said that nothing reads it: shorter ones are numbers and keys.
const BLOB: usize = 64;

/// Why reading ended before the last row.
enum Stop {
    /// The database is broken.
    Broken,
    /// A bound was reached, and said.
    Enough,
}

impl From<rusqlite::Error> for Stop {
    fn from(_: rusqlite::Error) -> Self {
        Self::Broken
    }
}

/// Looks at a database.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) {
    let Some(header) = source.piece(0, HEADER) else {
        return walk.report(&rules::TRUNCATED, place);
    };
    // One that is in memory already is counted where it was read.
    let held = if source.is_memory() { 0 } else { source.len() };
    if walk.budget.hold(held).is_err() || source.len() > walk.limits().whole_bytes {
        return walk.limit(LimitName::WholeBytes, place, Some(source.len()));
    }
    let done = walk.guard(place, |walk| read(walk, source, place, depth));
    walk.budget.release(held);
    let size = declared(&header, source.len());
    if size > source.len() {
        // What is not there reads as zeros.
        return walk.report(&rules::TRUNCATED, place);
    }
    if size < source.len() {
        walk.report_at(&rules::TRAILING, place, size);
    }
    if let Some(Err(Stop::Broken)) = done {
        walk.report(&rules::BROKEN, place);
    }
}

/// Bytes of the database by its header (1.3.2, 1.3.7). Where its writer did not keep that up, whole pages of a file of `length`.
fn declared(header: &[u8], length: u64) -> u64 {
    let four = |at: usize| header[at..].first_chunk().map_or(0, |four| u32::from_be_bytes(*four));
    let page = match u64::from(four(16) >> 16) {
        1 => 65_536,
        size => size.max(1),
    };
    // The change counter, and what it was when the size was written.
    if four(24) == four(92) && four(28) > 0 {
        page * u64::from(four(28))
    } else {
        length.next_multiple_of(page)
    }
}

/// The bytes of a database with a rollback journal: in memory there is no log to write ahead to.
fn without_log(source: &Source) -> impl Read {
    let mut head = source.some(0, 20);
    if let Some(versions) = head.get_mut(18..20) {
        versions.fill(1);
    }
    std::io::Cursor::new(head).chain(source.window(20, u64::MAX))
}

fn open(walk: &Walk<'_>, source: &Source) -> Result<Connection, Stop> {
    let mut database = Connection::open_in_memory()?;
    let size = usize::try_from(source.len()).map_err(|_| Stop::Broken)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        database.set_db_config(config, on)?;
    }
    let longest = walk.limits().part_bytes.min(walk.limits().whole_bytes);
    database.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(longest).unwrap_or(i32::MAX))?;
    database.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20)?;
    database.set_limit(Limit::SQLITE_LIMIT_EXPR_DEPTH, 100)?;
    database.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    database.deserialize_read_exact("main", without_log(source), size, true)?;
    database.execute_batch("PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;")?;
    Ok(database)
}

fn read(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) -> Result<(), Stop> {
    let database = open(walk, source)?;
    let mut broken = false;
    for name in tables(&database)? {
        if !walk.more(place) {
            return Ok(());
        }
        match rows(walk, &database, place, &name, depth) {
            Ok(()) => {}
            // Another table may be sound.
            Err(Stop::Broken) => broken = true,
            Err(Stop::Enough) => return Ok(()),
        }
    }
    let sound: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let free: i64 = database.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free > 0 {
        walk.report(&rules::FREE_PAGES, place);
    }
    if broken || sound != "ok" {
        Err(Stop::Broken)
    } else {
        Ok(())
    }
}

/// Tables that have rows of their own: those of modules keep theirs in others.
fn tables(database: &Connection) -> Result<Vec<String>, Stop> {
    let mut names = database.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%'",
    )?;
    let names = names.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn rows(walk: &mut Walk<'_>, database: &Connection, place: &Place, name: &str, depth: u32) -> Result<(), Stop> {
    let mut all = database.prepare(&format!("SELECT * FROM main.\"{}\"", name.replace('"', "\"\"")))?;
    let columns = all.column_names().map(|column| Column {
        path: column.to_owned(),
        physical: "any".to_owned(),
        logical: None,
        nullable: true,
        repeated: false,
    });
    let table = Table {
        document: place.clone(),
        sheet: Some(name.to_owned()),
        columns: columns.collect(),
        whole_rows: true,
    };
    let (mut number, mut unread) = (0, false);
    let mut rows = all.query([])?;
    while let Some(row) = rows.next().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::TooBig) => {
            walk.limit(LimitName::PartBytes, &place.child(name), None);
            Stop::Enough
        }
        _ => Stop::Broken,
    })? {
        let mut cells: Vec<Cell<'_>> = Vec::new();
        let mut files = Vec::new();
        for column in 0..table.columns.len() {
            let at = column as u32;
            let value = match row.get_ref(column)? {
                ValueRef::Null => continue,
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Real(value) => Value::Float(value),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) if !text.contains('\0') => Value::Text(text),
                    _ => {
                        let kind = Kind::sniff(&bytes[..bytes.len().min(super::kind::HEAD)]);
                        if kind.is_container() || kind.is_program() {
                            files.push((at, bytes));
                        } else {
                            unread |= bytes.len() >= BLOB;
                        }
                        Value::Bytes(bytes)
                    }
                },
            };
            cells.push((at, value));
        }
        let text = cells.iter().map(|(_, value)| match value {
            Value::Text(text) => text.len(),
            _ => 0,
        });
        let (count, text) = (cells.len() as u64, text.sum());
        if let Err(bound) = walk.budget.cells(count).and_then(|()| walk.budget.text(text)) {
            walk.limit(bound, place, None);
            return Err(Stop::Enough);
        }
        walk.visitor.row(&table, number, &cells);
        for (column, bytes) in files {
            file(walk, &table.place(number, column), bytes, depth)?;
        }
        number += 1;
        if number % 256 == 0 && !walk.more(place) {
            return Err(Stop::Enough);
        }
    }
    if unread {
        walk.report(&rules::NO_TEXT, &place.child(name));
    }
    Ok(())
}

/// Hands a file that is a value over.
fn file(walk: &mut Walk<'_>, place: &Place, bytes: &[u8], depth: u32) -> Result<(), Stop> {
    if let Err(bound) = walk.budget.entry() {
        walk.limit(bound, place, Some(bytes.len() as u64));
        return Err(Stop::Enough);
    }
    let found = Found {
        place: place.clone(),
        declared: Some(bytes.len() as u64),
        packed: Packed::Not,
        role: Role::File,
        enter: true,
    };
    walk.member(found, &mut &bytes[..], depth);
    Ok(())
}
