//! JSON, JSON lines and GeoJSON.

use std::fmt::Write as _;
use std::ops::Range;

use cofferdam_scan::structure::geojson::GeoJson;
use cofferdam_scan::structure::json::{Json, JsonLines, JsonOptions, JsonSink, PART, Path, Text, Value};
use cofferdam_scan::structure::text::TextOptions;

use super::report::scan;

/// Events as text, and places of those values that stand in the document as they are given.
#[derive(Default, PartialEq, Debug)]
struct Events {
    said: String,
    raw: Vec<(Range<u64>, String)>,
    open: i64,
    records: u64,
}

impl Events {
    fn text(&mut self, text: Text<'_>, span: &Range<u64>) {
        let meaning = text.text();
        assert!(text.raw.len() <= PART + 12 && meaning.len() <= text.raw.len().max(3) * 3);
        assert!(text.escaped || meaning == text.raw);
        let mut last = 0;
        for (index, _) in meaning.char_indices().take(200) {
            let at = text.raw_index(index);
            assert!(at <= text.raw.len() && text.raw.is_char_boundary(at) && at >= last);
            last = at;
        }
        self.raw.push((span.clone(), text.raw.to_owned()));
    }
}

impl JsonSink for Events {
    fn value(&mut self, path: &Path, value: Value<'_>, span: Range<u64>, line: u64) {
        assert!(span.start <= span.end && line >= 1);
        let mut pointer = String::new();
        path.write(&mut pointer, 64);
        // One step may go beyond: a name of 1 KiB, with its escapes.
        assert!(pointer.len() <= 64 + 2 + 2 * 1_024);
        match value {
            Value::Text(text) => self.text(text, &span),
            Value::Number(number) => self.raw.push((span.clone(), number.to_owned())),
            Value::Object | Value::Array => self.open += 1,
            Value::Null | Value::Bool(_) => {}
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.said, "{pointer} {value:?} {span:?} {line}");
    }

    fn name(&mut self, path: &Path, name: Text<'_>, span: Range<u64>, line: u64) {
        self.text(name, &span);
        let _ = writeln!(self.said, "{} name {span:?} {line}", path.depth());
    }

    fn end(&mut self, path: &Path, object: bool, at: u64) {
        self.open -= 1;
        let _ = writeln!(self.said, "{} end {object} {at}", path.depth());
    }

    fn record(&mut self, record: u64, line: u64, good: bool) {
        self.records += 1;
        assert!(record == self.records && line >= record);
        // A broken record leaves brackets open.
        assert!(!good || self.open == 0);
        self.open = 0;
        let _ = writeln!(self.said, "record {record} {line} {good}");
    }
}

impl Events {
    /// Values stand where they are said to stand, if the document is UTF-8.
    fn check(&self, data: &[u8]) {
        if std::str::from_utf8(data).is_err() {
            return;
        }
        for (span, raw) in &self.raw {
            let range = span.start as usize..span.end as usize;
            let there = data.get(range).expect("inside the document");
            // Numbers and names are cut.
            assert!(there.starts_with(raw.as_bytes()), "{span:?}");
        }
    }
}

fn options(depth: u8, names: u8) -> JsonOptions {
    JsonOptions {
        depth: usize::from(depth),
        names: usize::from(names) * 4,
    }
}

/// Bytes: piece, depth, names; the document.
pub fn json(data: &[u8]) {
    let Some(([piece, depth, names], data)) = super::chosen(data) else {
        return;
    };
    let options = options(depth, names);
    let (report, events) = scan(
        data,
        piece,
        TextOptions::default(),
        || Json::new(options, Events::default()),
        |json| json.sink,
    );
    let utf8 = report.words["encoding"].eq_ignore_ascii_case("utf-8");
    if utf8 {
        events.check(data);
    }
    assert!(!report.valid || events.open == 0);
    // `serde_json` says the same, but for a mark before the document, bytes in strings that are no UTF-8, and deeper than it goes.
    let marked = report.facts["byte_order_mark"] > 0;
    if utf8
        && std::str::from_utf8(data).is_ok()
        && !marked
        && depth > 100
        && report.facts["depth"] < 100
        && report.limits.is_empty()
    {
        let other = serde_json::from_slice::<serde::de::IgnoredAny>(data);
        assert_eq!(report.valid, other.is_ok(), "{other:?} {:?}", report.findings);
    }
}

/// Bytes: piece, depth, names; the lines.
pub fn json_lines(data: &[u8]) {
    let Some(([piece, depth, names], data)) = super::chosen(data) else {
        return;
    };
    let options = options(depth, names);
    let (report, events) = scan(
        data,
        piece,
        TextOptions::default(),
        || JsonLines::new(options, Events::default()),
        |lines| lines.sink,
    );
    assert_eq!(report.facts["records"], events.records);
    assert!(report.facts["bad_records"] <= events.records);
    if report.words["encoding"].eq_ignore_ascii_case("utf-8") {
        events.check(data);
        let lines = data.split(|byte| *byte == b'\n').count() as u64;
        assert!(events.records <= lines);
    }
}

/// Bytes: piece, depth; the document.
pub fn geojson(data: &[u8]) {
    let Some(([piece, depth], data)) = super::chosen(data) else {
        return;
    };
    let options = options(depth, u8::MAX);
    let (report, events) = scan(
        data,
        piece,
        TextOptions::default(),
        || GeoJson::new(options, Events::default()),
        GeoJson::into_sink,
    );
    let (plain, same) = scan(
        data,
        piece,
        TextOptions::default(),
        || Json::new(options, Events::default()),
        |json| json.sink,
    );
    // It is JSON besides, and its values are the same.
    assert_eq!(events, same);
    assert!(!report.valid || plain.valid);
    assert!(report.facts["features"] <= plain.facts["values"] && report.facts["positions"] <= plain.facts["values"]);
}
