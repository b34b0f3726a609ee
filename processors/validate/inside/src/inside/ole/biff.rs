//! The cells of XLS workbooks ([MS-XLS], BIFF8, and the BIFF5 records that still occur).

use crate::inside::limits::LimitName;
use crate::inside::ooxml::rows::{Owned, Rows};
use crate::inside::place::Place;
use crate::inside::rules::{self, Rule};
use crate::inside::visitor::Table;
use crate::inside::walk::Walk;

static BROKEN: Rule = rules::BROKEN;
static TRUNCATED: Rule = rules::TRUNCATED;
static ENCRYPTED: Rule = rules::ENCRYPTED;

/// Sheets of one workbook.
const SHEETS: usize = 4_096;
/// Bytes of records that are read for each byte of the workbook: sheets that begin within each other have the same ones.
const AGAIN: usize = 4;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Records from a place on: type and body.
struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = u16_at(self.bytes, self.at)?;
        let len = usize::from(u16_at(self.bytes, self.at + 2)?);
        let body = self.bytes.get(self.at + 4..self.at + 4 + len)?;
        self.at += 4 + len;
        Some((kind, body))
    }
}

struct Sheet {
    at: usize,
    kind: u8,
    name: String,
}

/// Reads all sheets.
pub(super) fn read(walk: &mut Walk<'_>, bytes: &[u8], place: &Place) -> Result<(), &'static Rule> {
    let mut records = Records { bytes, at: 0 };
    let (kind, first) = records.next().ok_or(&TRUNCATED)?;
    if kind != 0x0809 {
        return Err(&BROKEN);
    }
    let wide = u16_at(first, 0) == Some(0x0600);
    let mut sheets = Vec::new();
    let mut strings = Strings::default();
    let mut table: Vec<&[u8]> = Vec::new();
    let mut ended = false;
    let mut last = 0;
    for (kind, body) in &mut records {
        match kind {
            0x000a => {
                ended = true;
                break;
            }
            0x002f => return Err(&ENCRYPTED),
            0x0085 if sheets.len() < SHEETS => sheets.extend(sheet(body, wide)),
            0x00fc => table = vec![body],
            0x003c if last == 0x00fc => table.push(body),
            _ => {}
        }
        if kind != 0x003c {
            last = kind;
        }
    }
    if !ended {
        return Err(&TRUNCATED);
    }
    if !table.is_empty() {
        strings = Strings::read(table);
    }
    let mut left = bytes.len().saturating_mul(AGAIN);
    for sheet in sheets {
        if !walk.more(place) {
            break;
        }
        if sheet.kind == 1 {
            walk.report(&rules::XLM, &place.child(&sheet.name));
        }
        let table = Table {
            document: place.clone(),
            sheet: Some(sheet.name),
            columns: Vec::new(),
            whole_rows: true,
        };
        let mut records = Records { bytes, at: sheet.at };
        let room = bytes.len().min(sheet.at.saturating_add(left));
        let part = bytes.get(..room).unwrap_or_default();
        records.bytes = part;
        let read = cells(walk, &mut records, table, &strings, wide);
        left = left.saturating_sub(records.at.saturating_sub(sheet.at));
        if read.is_err() && room < bytes.len() {
            walk.report(&rules::OVERLAP, place);
            walk.limit(LimitName::TotalBytes, place, None);
            return Ok(());
        }
        read?;
    }
    Ok(())
}

fn sheet(body: &[u8], wide: bool) -> Option<Sheet> {
    let len = usize::from(*body.get(6)?);
    let name = if wide {
        characters(body.get(8..)?, len, body.get(7)? & 1 == 1)
    } else {
        characters(body.get(7..)?, len, false)
    };
    Some(Sheet {
        at: usize::try_from(u32_at(body, 0)?).ok()?,
        kind: *body.get(5)?,
        name,
    })
}

fn characters(bytes: &[u8], len: usize, double: bool) -> String {
    if double {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .take(len)
            .map(|two| u16::from_le_bytes([two[0], two[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    } else {
        bytes.iter().take(len).map(|byte| char::from(*byte)).collect()
    }
}

fn cells(
    walk: &mut Walk<'_>,
    records: &mut Records<'_>,
    table: Table,
    strings: &Strings,
    wide: bool,
) -> Result<(), &'static Rule> {
    let mut rows = Rows::new(table);
    // The text of a formula follows in a record of its own.
    let mut formula = None;
    let mut nested = 0u32;
    for (kind, body) in records {
        let at = u16_at(body, 0).map(u64::from).zip(u16_at(body, 2).map(u32::from));
        let mut one = |walk: &mut Walk<'_>, row, column, value| rows.cell(walk, row, column, value);
        let more = match (kind, at) {
            // Charts are streams within the stream.
            (0x0809, _) => {
                nested += 1;
                true
            }
            (0x000a, _) => {
                nested = nested.saturating_sub(1);
                if nested == 0 {
                    rows.flush(walk, 1);
                    return Ok(());
                }
                true
            }
            (0x00fd, Some((row, column))) => match u32_at(body, 6).and_then(|index| strings.one(index)) {
                Some(text) => one(walk, row, column, Owned::Text(text.to_owned())),
                None => return Err(&BROKEN),
            },
            (0x0204 | 0x00d6, Some((row, column))) => {
                let len = u16_at(body, 6).map_or(0, usize::from);
                let text = if wide && kind == 0x0204 {
                    characters(
                        body.get(9..).unwrap_or_default(),
                        len,
                        body.get(8).is_some_and(|flags| flags & 1 == 1),
                    )
                } else {
                    characters(body.get(8..).unwrap_or_default(), len, false)
                };
                one(walk, row, column, Owned::Text(text))
            }
            (0x0203, Some((row, column))) => {
                float(body, 6).is_none_or(|value| one(walk, row, column, Owned::Float(value)))
            }
            (0x027e, Some((row, column))) => {
                u32_at(body, 6).is_none_or(|value| one(walk, row, column, Owned::Float(rk(value))))
            }
            (0x00bd, Some((row, column))) => {
                let values = body.get(4..body.len().saturating_sub(2)).unwrap_or_default();
                let mut fine = true;
                for (step, six) in values.chunks_exact(6).enumerate() {
                    if let Some(value) = u32_at(six, 2) {
                        fine &= one(walk, row, column.saturating_add(step as u32), Owned::Float(rk(value)));
                    }
                }
                fine
            }
            (0x0205, Some((row, column))) if body.get(7) == Some(&0) => one(
                walk,
                row,
                column,
                Owned::Bool(body.get(6).is_some_and(|value| *value != 0)),
            ),
            (0x0006, Some((row, column))) => match body.get(12..14) {
                Some([0xff, 0xff]) => {
                    formula = (body.get(6) == Some(&0)).then_some((row, column));
                    true
                }
                _ => float(body, 6).is_none_or(|value| one(walk, row, column, Owned::Float(value))),
            },
            (0x0207, _) => {
                let len = u16_at(body, 0).map_or(0, usize::from);
                let double = wide && body.get(2).is_some_and(|flags| flags & 1 == 1);
                let text = characters(body.get(if wide { 3 } else { 2 }..).unwrap_or_default(), len, double);
                formula
                    .take()
                    .is_none_or(|(row, column)| one(walk, row, column, Owned::Text(text)))
            }
            _ => true,
        };
        if !more {
            rows.flush(walk, 1);
            return Ok(());
        }
    }
    rows.flush(walk, 1);
    Err(&TRUNCATED)
}

fn float(body: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?))
}

/// A number in 30 bits ([MS-XLS] 2.5.217).
fn rk(value: u32) -> f64 {
    let number = if value & 2 == 2 {
        f64::from((value as i32) >> 2)
    } else {
        f64::from_bits(u64::from(value & !3) << 32)
    };
    if value & 1 == 1 { number / 100.0 } else { number }
}

/// The shared strings, in one piece of memory: there may be millions.
#[derive(Default)]
struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    fn one(&self, index: u32) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 {
            0
        } else {
            *self.ends.get(index - 1)? as usize
        };
        self.text.get(start..end)
    }

    /// Reads the record and its continuations; a string may go on in the next one, with a width of its own.
    fn read(pieces: Vec<&[u8]>) -> Self {
        let mut strings = Self::default();
        let mut input = Pieces {
            pieces,
            piece: 0,
            at: 8,
        };
        while strings.next(&mut input).is_some() {
            strings.ends.push(u32::try_from(strings.text.len()).unwrap_or(u32::MAX));
        }
        strings
    }

    fn next(&mut self, input: &mut Pieces<'_>) -> Option<()> {
        input.step();
        let mut len = usize::from(input.u16()?);
        let mut flags = input.u8()?;
        let runs = if flags & 8 != 0 {
            usize::from(input.u16()?) * 4
        } else {
            0
        };
        let phonetic = if flags & 4 != 0 {
            input.u16()? as usize | (input.u16()? as usize) << 16
        } else {
            0
        };
        let start = self.text.len();
        while len > 0 {
            let rest = input.rest();
            let width = if flags & 1 == 1 { 2 } else { 1 };
            let count = (rest.len() / width).min(len);
            self.text.push_str(&characters(rest, count, width == 2));
            input.at += count * width;
            len -= count;
            if len > 0 {
                if !input.advance() {
                    self.text.truncate(start);
                    return None;
                }
                flags = input.u8()?;
            }
        }
        input.skip(runs.saturating_add(phonetic));
        Some(())
    }
}

struct Pieces<'a> {
    pieces: Vec<&'a [u8]>,
    piece: usize,
    at: usize,
}

impl<'a> Pieces<'a> {
    fn rest(&self) -> &'a [u8] {
        self.pieces
            .get(self.piece)
            .and_then(|piece| piece.get(self.at..))
            .unwrap_or_default()
    }

    fn advance(&mut self) -> bool {
        self.piece += 1;
        self.at = 0;
        self.piece < self.pieces.len()
    }

    /// To the next piece if this one is used up.
    fn step(&mut self) {
        while self.rest().is_empty() && self.piece < self.pieces.len() {
            self.advance();
        }
    }

    fn u8(&mut self) -> Option<u8> {
        let value = *self.rest().first()?;
        self.at += 1;
        Some(value)
    }

    fn u16(&mut self) -> Option<u16> {
        let value = u16_at(self.rest(), 0)?;
        self.at += 2;
        Some(value)
    }

    fn skip(&mut self, mut count: usize) {
        while count > 0 && self.piece < self.pieces.len() {
            let here = self.rest().len().min(count);
            self.at += here;
            count -= here;
            if count > 0 {
                self.advance();
            }
        }
    }
}
