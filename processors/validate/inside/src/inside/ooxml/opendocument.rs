//! OpenDocument: cells of sheets and text of everything else (ISO/IEC 26300-1:2015, 9 and 19).

use super::rows::{Owned, Rows};
use crate::inside::place::Place;
use crate::inside::rules;
use crate::inside::source::Source;
use crate::inside::visitor::Table;
use crate::inside::walk::Walk;
use crate::inside::xml::{self, Stop, Xml, attribute};
use crate::inside::zip::Directory;

/// Widest and longest sheet that any program shows; repetitions beyond are nonsense.
const COLUMNS: u64 = 16_384;
const ROWS: u64 = 1 << 20;

/// Looks at a document.
pub(crate) fn open_document(walk: &mut Walk<'_>, source: &Source, place: &Place, directory: &Directory) {
    let encrypted = directory
        .find("META-INF/manifest.xml")
        .and_then(|entry| super::part(walk, source, place, entry));
    if encrypted.is_some_and(|manifest| crate::inside::active::contains(&manifest, b"encryption-data")) {
        return walk.report(&rules::ENCRYPTED, place);
    }
    for entry in &directory.entries {
        let module = entry.name.starts_with("Basic/") || entry.name.starts_with("Scripts/");
        // Empty libraries are written by default.
        if module
            && !entry.is_folder()
            && !entry.name.ends_with("script-lb.xml")
            && !entry.name.ends_with("script-lc.xml")
        {
            walk.report(&rules::MACROS, &place.child(&entry.name));
        }
    }
    for name in ["content.xml", "meta.xml", "styles.xml"] {
        let Some(entry) = directory.find(name) else {
            if name == "content.xml" {
                walk.report(&rules::BROKEN, place);
            }
            continue;
        };
        if let Some(bytes) = super::part(walk, source, place, entry) {
            let inner = place.child(name);
            if let Err(Stop::Bad(rule)) = content(walk, place, &inner, &bytes) {
                walk.report(rule, &inner);
            }
        }
    }
}

#[derive(Default)]
struct CellState {
    repeat: u64,
    kind: String,
    value: Option<String>,
    text: String,
}

fn content(walk: &mut Walk<'_>, place: &Place, inner: &Place, bytes: &[u8]) -> Result<(), Stop> {
    let depth = walk.limits().xml_depth;
    let mut text = String::new();
    let mut rows: Option<Rows> = None;
    let (mut row, mut column, mut row_repeat) = (0u64, 0u64, 1u64);
    let mut cell: Option<CellState> = None;
    let mut event_listener = false;
    let result = xml::read(bytes, depth, |xml| {
        match xml {
            Xml::Open("table", start) => {
                let sheet = attribute(start, "name").unwrap_or_default();
                rows = Some(Rows::new(Table {
                    document: place.clone(),
                    sheet: Some(sheet),
                    columns: Vec::new(),
                    whole_rows: true,
                }));
                row = 0;
            }
            Xml::Close("table") => rows = None,
            Xml::Open("table-row", start) => {
                column = 0;
                row_repeat = number(start, "number-rows-repeated");
                if let Some(rows) = &mut rows {
                    rows.begin(row);
                }
            }
            Xml::Close("table-row") => {
                if let Some(rows) = &mut rows {
                    let times = row_repeat.min(ROWS.saturating_sub(row)).max(1);
                    // Every repetition counts as cells of its own, with a text of its own.
                    let (cells, text) = rows.size();
                    let more = |one: usize| (one as u64).saturating_mul(times - 1);
                    let text = usize::try_from(more(text)).unwrap_or(usize::MAX);
                    let room = walk.budget.cells(more(cells)).and_then(|()| walk.budget.text(text));
                    if let Err(name) = room {
                        walk.limit(name, place, None);
                        rows.flush(walk, 1);
                        return false;
                    }
                    rows.flush(walk, times);
                }
                row = row.saturating_add(row_repeat);
            }
            Xml::Open("table-cell" | "covered-table-cell", start) => {
                let value = ["value", "boolean-value", "date-value", "time-value", "string-value"]
                    .iter()
                    .find_map(|name| attribute(start, name));
                let kind = attribute(start, "value-type").unwrap_or_default();
                cell = Some(CellState {
                    repeat: number(start, "number-columns-repeated"),
                    kind,
                    value,
                    text: String::new(),
                });
            }
            Xml::Close("table-cell" | "covered-table-cell") => {
                if let (Some(cell), Some(rows)) = (cell.take(), &mut rows) {
                    let times = cell.repeat.min(COLUMNS.saturating_sub(column));
                    if let Some(value) = cell.value() {
                        for again in 0..times {
                            if !rows.cell(walk, row, (column + again) as u32, value.clone()) {
                                return false;
                            }
                        }
                    }
                    column = column.saturating_add(cell.repeat);
                }
            }
            Xml::Close("p" | "h") => match &mut cell {
                Some(cell) => cell.text.push('\n'),
                None => text.push('\n'),
            },
            Xml::Open("s" | "tab" | "line-break", _) => {
                cell.as_mut().map_or(&mut text, |cell| &mut cell.text).push(' ')
            }
            Xml::Open("event-listener", _) => event_listener = true,
            Xml::Text(part) => cell.as_mut().map_or(&mut text, |cell| &mut cell.text).push_str(part),
            _ => {}
        }
        if text.len() > 192 << 10 {
            walk.text(inner, &text);
            text.clear();
        }
        true
    });
    walk.text(inner, &text);
    if event_listener {
        walk.report(&rules::MACROS, inner);
    }
    result
}

impl CellState {
    fn value(&self) -> Option<Owned> {
        let text = self.text.trim_end_matches('\n');
        match (self.kind.as_str(), &self.value) {
            ("float" | "percentage" | "currency", Some(value)) => value.parse().ok().map(Owned::Float),
            ("boolean", Some(value)) => Some(Owned::Bool(value == "true")),
            ("", None) if text.is_empty() => None,
            (_, Some(value)) if text.is_empty() => Some(Owned::Text(value.clone())),
            _ => Some(Owned::Text(text.to_owned())),
        }
    }
}

fn number(start: &quick_xml::events::BytesStart<'_>, name: &str) -> u64 {
    attribute(start, name)
        .and_then(|value| value.parse().ok())
        .unwrap_or(1)
        .max(1)
}
