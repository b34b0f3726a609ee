//! DICOM files: what the data set says of the patient, the study and who was there (DICOM PS3.5 and PS3.10). Pixels are not looked at.
//!
//! Values of text, names and dates come as the cells of one row, each under the keyword of its attribute, those in items of sequences too. An
//! encapsulated document is handed over as a file.

mod attributes;
mod elements;

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::io::{self, Read};

use encoding_rs::Encoding;

use self::elements::{Elements, Header, ITEM, ITEM_END, SEQUENCE_END, Stop, Syntax};
use super::kind::Kind;
use super::limits::LimitName;
use super::meter::{Counting, Meter, Packed};
use super::place::Place;
use super::rules;
use super::source::Source;
use super::stream;
use super::visitor::{Cell, Column, Role, Table, Value};
use super::walk::{Found, Walk};

/// Bytes before the first element: the preamble, which may be anything, and `DICM` (PS3.10, 7.1).
const START: u64 = 132;
/// Longest value that is a cell; a longer one is a text of its own.
const CELL: usize = 4_096;
/// Cells, and bytes of them, that are handed over together.
const CELLS: usize = 4_096;
const BYTES: usize = 1 << 20;
/// Values that are remembered as having been said.
const SAID: usize = 1 << 20;

const META: Syntax = Syntax {
    explicit: true,
    big: false,
};
const IMPLICIT: Syntax = Syntax {
    explicit: false,
    big: false,
};

const CHARACTER_SET: u32 = 0x0008_0005;
const TRANSFER_SYNTAX: u32 = 0x0002_0010;
const BURNED_IN: u32 = 0x0028_0301;
const DOCUMENT: u32 = 0x0042_0011;
/// Codes and where they are from (PS3.3, 8.1 to 8.3): numbers of terminologies, whose meanings stand beside them.
const CODES: [u32; 5] = [0x0008_0100, 0x0008_0102, 0x0008_0103, 0x0008_0119, 0x0008_0120];
const PIXELS: [u32; 3] = [0x7fe0_0008, 0x7fe0_0009, 0x7fe0_0010];

/// Looks at a file.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) {
    let preamble = source.some(0, START as usize);
    // A TIFF file there is allowed (PS3.10, 7.1); a program or another document is an attack on whoever looks at one of the two only.
    let before = Kind::sniff(preamble.get(..128).unwrap_or_default());
    if !matches!(before, Kind::Tiff | Kind::Binary | Kind::Text | Kind::Empty) {
        walk.report(&rules::POLYGLOT, place);
    }
    let mut set = DataSet::new(walk, place, depth);
    let mut plain = io::BufReader::new(source.window(START, u64::MAX));
    let mut elements = Elements::new(&mut plain);
    let told = set.meta(&mut elements);
    let body = START + elements.at;
    let end = match told.as_deref() {
        Err(stop) => Err(*stop),
        // The second one has pictures elsewhere (PS3.5, A.7).
        Ok("1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95") => set.deflated(source, body),
        Ok(told) => {
            let syntax = Syntax {
                // The last one is of GE, which has only its pixels in another order.
                explicit: !matches!(told, "1.2.840.10008.1.2" | "1.2.840.113619.5.2"),
                big: told == "1.2.840.10008.1.2.2",
            };
            set.read(&mut elements, syntax)
        }
    };
    match end {
        Ok(()) => {}
        Err(Stop::Truncated) => set.walk.report(&rules::TRUNCATED, place),
        Err(Stop::Bad) => set.walk.report(&rules::BROKEN, place),
    }
    set.finish();
}

/// What is open at a place of the data set.
struct Level {
    /// Where it ends, if that is said.
    end: Option<u64>,
    what: Open,
    /// How what comes after it is written.
    outer: Syntax,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Sequence,
    Item,
    /// Pieces of pixels that are packed (PS3.5, A.4).
    Pieces,
}

/// A data set under way.
struct DataSet<'w, 'v> {
    walk: &'w mut Walk<'v>,
    place: &'w Place,
    depth: u32,
    encoding: &'static Encoding,
    columns: Vec<Column>,
    known: BTreeMap<u32, u32>,
    cells: Vec<(u32, String)>,
    bytes: usize,
    said: HashSet<u64>,
    hasher: RandomState,
    pixels: bool,
    elements: u64,
}

impl<'w, 'v> DataSet<'w, 'v> {
    fn new(walk: &'w mut Walk<'v>, place: &'w Place, depth: u32) -> Self {
        Self {
            walk,
            place,
            depth,
            encoding: encoding_rs::WINDOWS_1252,
            columns: Vec::new(),
            known: BTreeMap::new(),
            cells: Vec::new(),
            bytes: 0,
            said: HashSet::new(),
            hasher: RandomState::new(),
            pixels: false,
            elements: 0,
        }
    }

    /// The transfer syntax that the group 0002 tells, which is always written the same way (PS3.10, 7.1).
    fn meta(&mut self, elements: &mut Elements<'_>) -> Result<String, Stop> {
        let mut told = String::new();
        loop {
            let ahead = elements.input.fill_buf().map_err(|_| Stop::Truncated)?;
            if ahead.is_empty() && told.is_empty() {
                return Err(Stop::Truncated);
            }
            if !ahead.starts_with(&[2, 0]) {
                // Without it the data set has the default (PS3.5, 10.1).
                return Ok(if told.is_empty() {
                    "1.2.840.10008.1.2".to_owned()
                } else {
                    told
                });
            }
            let Some(Header { tag, length, .. }) = elements.header(META)? else {
                return Ok(told);
            };
            let length = length.ok_or(Stop::Bad)?;
            if tag == TRANSFER_SYNTAX && length <= 64 {
                let value = elements.value(length)?;
                told = String::from_utf8_lossy(value.trim_ascii())
                    .trim_end_matches('\0')
                    .to_owned();
            } else {
                elements.skip(length)?;
            }
            if !self.goes_on() {
                return Ok(told);
            }
        }
    }

    /// Counts an element; false to stop.
    fn goes_on(&mut self) -> bool {
        self.elements += 1;
        !self.elements.is_multiple_of(256) || self.walk.more(self.place)
    }

    fn deflated(&mut self, source: &Source, body: u64) -> Result<(), Stop> {
        let (packed, count) = Counting::new(source.window(body, u64::MAX));
        let mut decoder = flate2::read::DeflateDecoder::new(packed);
        let mut meter = Meter::new(&mut decoder, self.walk.budget.clone(), Packed::Counted(count));
        let mut input = io::BufReader::new(&mut meter);
        let mut elements = Elements::new(&mut input);
        let end = self.read(&mut elements, META);
        drop(input);
        if let Some(name) = meter.limit {
            self.walk.limit(name, self.place, None);
            return Ok(());
        }
        if let Some(error) = &meter.error {
            self.walk.report(stream::fault(error), self.place);
            return Ok(());
        }
        end
    }

    fn read(&mut self, elements: &mut Elements<'_>, mut syntax: Syntax) -> Result<(), Stop> {
        let mut levels: Vec<Level> = Vec::new();
        loop {
            while let Some(end) = levels.last().and_then(|level| level.end)
                && elements.at >= end
            {
                if elements.at > end {
                    return Err(Stop::Bad);
                }
                syntax = levels.pop().map_or(syntax, |level| level.outer);
            }
            let Some(header) = elements.header(syntax)? else {
                // What goes on to a delimiter has lost it.
                return if levels.is_empty() {
                    Ok(())
                } else {
                    Err(Stop::Truncated)
                };
            };
            if !self.goes_on() {
                return Ok(());
            }
            let within = levels.last().map(|level| level.what);
            match (header.tag, within) {
                (ITEM, Some(Open::Pieces)) => elements.skip(header.length.ok_or(Stop::Bad)?)?,
                (ITEM, Some(Open::Sequence)) => levels.push(Level {
                    end: header.length.map(|length| elements.at + u64::from(length)),
                    what: Open::Item,
                    outer: syntax,
                }),
                (ITEM_END, Some(Open::Item)) | (SEQUENCE_END, Some(Open::Sequence | Open::Pieces)) => {
                    syntax = levels.pop().map_or(syntax, |level| level.outer);
                }
                // Some writers end what has a length as well.
                (ITEM_END | SEQUENCE_END, _) if header.length == Some(0) => {}
                (ITEM | ITEM_END | SEQUENCE_END, _) | (_, Some(Open::Sequence | Open::Pieces)) => {
                    return Err(Stop::Bad);
                }
                _ => {
                    if let Some(what) = opens(elements, &header, syntax) {
                        if levels.len() >= self.walk.limits().xml_depth as usize {
                            self.walk.report(&rules::TOO_DEEP, self.place);
                            return Ok(());
                        }
                        self.pixels |= PIXELS.contains(&header.tag);
                        levels.push(Level {
                            end: header.length.map(|length| elements.at + u64::from(length)),
                            what,
                            outer: syntax,
                        });
                        if header.written == Some(*b"UN") {
                            // (PS3.5, 6.2.2)
                            syntax = IMPLICIT;
                        }
                    } else {
                        self.element(elements, &header)?;
                    }
                }
            }
        }
    }

    fn element(&mut self, elements: &mut Elements<'_>, header: &Header) -> Result<(), Stop> {
        let Header { tag, written, length } = *header;
        let length = length.ok_or(Stop::Bad)?;
        if PIXELS.contains(&tag) {
            self.pixels = true;
            return elements.skip(length);
        }
        if tag == DOCUMENT {
            return self.document(elements, length);
        }
        let short = matches!(tag, CHARACTER_SET | BURNED_IN);
        let written = written
            .filter(|written| written != b"UN")
            .or_else(|| attributes::representation(tag));
        // The length of a group, and who the private elements of one belong to (PS3.5, 7.8.1), are nobody's.
        let element = tag & 0xffff;
        let own = element != 0 && (tag >> 16 & 1 == 0 || element >= 0x0100) && !CODES.contains(&tag);
        let texts = [
            b"PN", b"DA", b"DT", b"AS", b"LO", b"SH", b"LT", b"ST", b"UC", b"UT", b"UR",
        ];
        let known = own && written.is_none_or(|written| texts.contains(&&written));
        if !short && !known {
            return elements.skip(length);
        }
        if u64::from(length) > self.walk.limits().part_bytes {
            let place = self.place.child(&attributes::name(tag));
            self.walk.limit(LimitName::PartBytes, &place, Some(length.into()));
            return elements.skip(length);
        }
        let value = elements.value(length)?;
        let value = value.trim_ascii();
        let value = &value[..value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)];
        let plain = || String::from_utf8_lossy(value.trim_ascii()).into_owned();
        match tag {
            CHARACTER_SET => self.encoding = encoding(&plain()),
            BURNED_IN if plain() == "YES" => self.walk.report(&rules::BURNED_IN, self.place),
            _ if short => {}
            _ if written.is_none() && !is_text(value) => {}
            _ => self.text(tag, written.unwrap_or(*b"LT"), value),
        }
        Ok(())
    }

    /// Takes the text of a value.
    fn text(&mut self, tag: u32, written: [u8; 2], value: &[u8]) {
        let (text, _) = self.encoding.decode_without_bom_handling(value);
        if text.len() > CELL {
            let place = self.place.child(&attributes::name(tag));
            return self.walk.text(&place, &text);
        }
        if let Err(name) = self
            .walk
            .budget
            .cells(1)
            .and_then(|()| self.walk.budget.text(text.len()))
        {
            return self.walk.limit(name, self.place, None);
        }
        if matches!(&written, b"LT" | b"ST" | b"UT" | b"UR") {
            return self.cell(tag, written, text.trim().to_owned());
        }
        for part in text.split('\\') {
            if &written == b"PN" {
                // In letters, as it is written, as it sounds (PS3.5, 6.2.1).
                for name in part.split('=') {
                    let words: Vec<&str> = name.split(['^', ' ']).filter(|word| !word.is_empty()).collect();
                    self.cell(tag, written, words.join(" "));
                }
            } else {
                self.cell(tag, written, plain_form(written, part.trim()));
            }
        }
    }

    fn cell(&mut self, tag: u32, written: [u8; 2], text: String) {
        if text.is_empty() {
            return;
        }
        let next = self.columns.len() as u32;
        let column = *self.known.entry(tag).or_insert(next);
        if column == next {
            self.columns.push(Column {
                path: attributes::name(tag),
                physical: String::from_utf8_lossy(&written).into_owned(),
                logical: (&written == b"PN").then(|| Column::PERSON.to_owned()),
                nullable: true,
                repeated: true,
            });
        }
        // Every frame of a film says the same again.
        let hash = self.hasher.hash_one((column, &text));
        if self.said.contains(&hash) {
            return;
        }
        if self.said.len() < SAID {
            self.said.insert(hash);
        }
        self.bytes += text.len();
        self.cells.push((column, text));
        if self.cells.len() >= CELLS || self.bytes >= BYTES {
            self.row();
        }
    }

    /// Hands over what was read: all of it is one row, which may come in parts.
    fn row(&mut self) {
        self.bytes = 0;
        let cells = std::mem::take(&mut self.cells);
        if cells.is_empty() {
            return;
        }
        let table = Table {
            document: self.place.clone(),
            sheet: None,
            columns: self.columns.clone(),
            whole_rows: true,
        };
        let cells: Vec<Cell<'_>> = cells
            .iter()
            .map(|(column, text)| (*column, Value::Text(text)))
            .collect();
        self.walk.visitor.row(&table, 0, &cells);
    }

    /// Hands an encapsulated document over (PS3.3, C.24.2).
    fn document(&mut self, elements: &mut Elements<'_>, length: u32) -> Result<(), Stop> {
        // Its type comes after it.
        let name = match elements.input.fill_buf() {
            Ok(ahead) if ahead.starts_with(b"%PDF-") => "document.pdf",
            Ok(ahead) if ahead.starts_with(b"<") => "document.xml",
            _ => "document",
        };
        let found = Found {
            place: self.place.child(name),
            declared: Some(length.into()),
            packed: Packed::Not,
            role: Role::File,
            enter: true,
        };
        if let Err(limit) = self.walk.budget.entry() {
            self.walk.limit(limit, self.place, Some(length.into()));
            return elements.skip(length);
        }
        let mut body = (&mut elements.input).take(length.into());
        let taken = self.walk.member(found, &mut body, self.depth);
        elements.at += taken.produced;
        let left = u64::from(length).saturating_sub(taken.produced);
        if left > 0 && !taken.cut {
            return Err(Stop::Truncated);
        }
        elements.skip(u32::try_from(left).unwrap_or(0))
    }

    fn finish(mut self) {
        if self.pixels {
            self.walk.report(&rules::PIXELS, self.place);
        }
        self.row();
    }
}

/// Whether a value has elements of its own. Without a representation a length that is not said tells it, or an item at its start.
fn opens(elements: &mut Elements<'_>, header: &Header, syntax: Syntax) -> Option<Open> {
    let pixels = PIXELS.contains(&header.tag);
    match (header.written.as_ref(), header.length) {
        (_, None) if pixels => Some(Open::Pieces),
        (Some(b"SQ"), _) | (None | Some(b"UN"), None) => Some(Open::Sequence),
        (None, Some(8..)) if !pixels && header.tag != DOCUMENT && elements.begins_item(syntax) => Some(Open::Sequence),
        _ => None,
    }
}

/// Dates with their hyphens, ages as a number of years.
fn plain_form(written: [u8; 2], value: &str) -> String {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match &written {
        b"DA" | b"DT" => match value.get(..8) {
            Some(date) if digits(date) => format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]),
            _ => value.to_owned(),
        },
        b"AS" => match value.strip_suffix('Y') {
            Some(years) if digits(years) => years.trim_start_matches('0').to_owned(),
            _ => String::new(),
        },
        _ => value.to_owned(),
    }
}

/// Whether bytes of an unknown representation are read as text by people: signs that print, and enough of them.
fn is_text(value: &[u8]) -> bool {
    let prints = |byte: &u8| *byte >= b' ' && *byte != 0x7f || matches!(byte, b'\t' | b'\r' | b'\n');
    value.len() >= 4 && value.iter().all(prints) && std::str::from_utf8(value).is_ok()
}

/// The character set of a file (PS3.3, C.12.1.1.2). Of several the first one that is not the default; ASCII is a part of each.
fn encoding(told: &str) -> &'static Encoding {
    let terms = told.split('\\').map(|term| {
        term.trim()
            .trim_start_matches("ISO_IR ")
            .trim_start_matches("ISO 2022 IR ")
    });
    let known = |term: &str| {
        Some(match term {
            "100" => encoding_rs::WINDOWS_1252,
            "101" => encoding_rs::ISO_8859_2,
            "109" => encoding_rs::ISO_8859_3,
            "110" => encoding_rs::ISO_8859_4,
            "144" => encoding_rs::ISO_8859_5,
            "127" => encoding_rs::ISO_8859_6,
            "126" => encoding_rs::ISO_8859_7,
            "138" => encoding_rs::ISO_8859_8,
            "148" => encoding_rs::WINDOWS_1254,
            "203" => encoding_rs::ISO_8859_15,
            "13" => encoding_rs::SHIFT_JIS,
            "87" | "159" => encoding_rs::ISO_2022_JP,
            "149" => encoding_rs::EUC_KR,
            "58" | "GBK" => encoding_rs::GBK,
            "166" => encoding_rs::WINDOWS_874,
            "192" => encoding_rs::UTF_8,
            "GB18030" => encoding_rs::GB18030,
            _ => return None,
        })
    };
    terms.filter_map(known).next().unwrap_or(encoding_rs::WINDOWS_1252)
}
