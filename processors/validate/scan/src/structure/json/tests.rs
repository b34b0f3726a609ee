use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::structure::report::StructureReport;
use crate::structure::text::{TextOptions, TextScan};

/// Writes down what it is told.
#[derive(Default, Debug, PartialEq, Clone)]
struct Log(Vec<(String, String, Range<u64>, u64)>);

impl JsonSink for Log {
    fn value(&mut self, path: &Path, value: Value<'_>, span: Range<u64>, line: u64) {
        let text = match value {
            Value::Text(text) => format!("{:?} {} {}", text.text(), text.part, text.last),
            other => format!("{other:?}"),
        };
        self.0.push((path.to_string(), text, span, line));
    }
    fn name(&mut self, path: &Path, name: Text<'_>, span: Range<u64>, line: u64) {
        self.0.push((path.to_string(), name.text().into_owned(), span, line));
    }
    fn end(&mut self, path: &Path, object: bool, at: u64) {
        self.0.push((path.to_string(), format!("end {object}"), at..at, 0));
    }
    fn record(&mut self, record: u64, line: u64, good: bool) {
        self.0
            .push((String::new(), format!("record {record} {good}"), 0..0, line));
    }
}

fn run<E: Engine>(engine: E, bytes: &[u8], chunk: usize) -> (StructureReport, E) {
    let mut scan = TextScan::new(engine, TextOptions::default());
    bytes.chunks(chunk.max(1)).for_each(|part| scan.feed(part));
    scan.finish()
}

fn json(bytes: &[u8], chunk: usize) -> (StructureReport, Log) {
    let (report, engine) = run(Json::new(JsonOptions::default(), Log::default()), bytes, chunk);
    (report, engine.sink)
}

fn lines(bytes: &[u8], chunk: usize) -> (StructureReport, Log) {
    let (report, engine) = run(JsonLines::new(JsonOptions::default(), Log::default()), bytes, chunk);
    (report, engine.sink)
}

#[track_caller]
fn rules(text: &str, expected: &[&str]) -> StructureReport {
    let report = json(text.as_bytes(), usize::MAX).0;
    assert_eq!(
        report.findings.iter().map(|p| p.rule).collect::<Vec<_>>(),
        expected,
        "{text}"
    );
    report
}

#[test]
fn events() {
    let (report, log) = json(br#"{"a": [1, "x\u00e9"], "b": null}"#, 1);
    assert!(report.valid && report.findings.is_empty(), "{report:?}");
    let expected = [
        ("", "Object", 0..1, 1),
        ("/a", "a", 2..3, 1),
        ("/a", "Array", 6..7, 1),
        ("/a/0", "Number(\"1\")", 7..8, 1),
        ("/a/1", "\"xé\" 0 true", 11..18, 1),
        ("/a", "end false", 20..20, 0),
        ("/b", "b", 23..24, 1),
        ("/b", "Null", 27..31, 1),
        ("", "end true", 32..32, 0),
    ];
    let expected = expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c, d));
    assert_eq!(log.0, expected);
}

#[test]
fn findings() {
    let report = rules("{\"a\":1,\n \"\\u0061\":2}", &["structure/json-duplicate-name"]);
    let problem = &report.findings[0];
    assert_eq!(
        (problem.line, problem.column, problem.field.as_deref()),
        (Some(2), Some(2), Some("/a"))
    );
    rules(r#"{"a":{"a":1},"b":{"a":1}}"#, &[]);
    rules("[1e999]", &["structure/json-number-range"]);
    rules("[12345678901234567891]", &["structure/json-number-precision"]);
    rules(r#"["\ud800"]"#, &["structure/json-surrogate"]);
    rules(r#"["\ud800x"]"#, &["structure/json-surrogate"]);
    rules(r#"["\ud800\n"]"#, &["structure/json-surrogate"]);
    rules(r#"["\udc00"]"#, &["structure/json-surrogate"]);
    rules(r#"["\ud83d\ude00"]"#, &[]);
    rules("\u{feff}[]", &["structure/json-mark"]);
    let report = rules("[1,\n2,,3]", &["structure/json-syntax"]);
    let problem = &report.findings[0];
    assert_eq!(
        (report.valid, problem.line, problem.column, report.stopped_at),
        (false, Some(2), Some(3), Some(6))
    );
}

/// A fuzz target found this one's place behind the end of the document: it was where the run of letters ended, and with that where a piece did.
#[test]
fn found_half_a_pair_before_the_end_stands_inside() {
    let report = json(br#"["\ud800xyz"#, usize::MAX).0;
    let half = report
        .findings
        .iter()
        .find(|problem| problem.rule == "structure/json-surrogate");
    assert_eq!(half.unwrap().span, Some(8..9));
}

#[test]
fn other_encodings_are_faults_but_are_read() {
    let text: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let (report, log) = json(&text, 3);
    assert!(!report.valid);
    assert_eq!(report.count("structure/json-encoding"), 1);
    assert_eq!(log.0[2].2, 10..12);
}

#[test]
fn long_strings_come_in_parts() {
    let text = format!("[\"{}\"]", "é\\u00e9".repeat(20_000));
    let (report, log) = json(text.as_bytes(), 777);
    assert!(report.valid);
    assert_eq!(json(text.as_bytes(), usize::MAX).1, log);
    let parts: Vec<_> = log.0.iter().filter(|(path, ..)| path == "/0").collect();
    assert_eq!(parts.len(), 3);
    assert!(parts.windows(2).all(|pair| pair[0].2.end == pair[1].2.start));
    assert!(
        parts
            .iter()
            .all(|(_, _, span, _)| span.end - span.start <= PART as u64 + 12)
    );
    assert_eq!(parts[2].2.end, text.len() as u64 - 2);
}

#[test]
fn json_lines() {
    let (report, log) = lines(b"{\"a\":1}\n[1,\n\n\"x\n{}\r\n\n\n", 4);
    assert_eq!(report.facts["records"], 4);
    assert_eq!(report.facts["bad_records"], 2);
    assert!(!report.valid);
    assert_eq!(report.count("structure/json-syntax"), 2);
    assert_eq!(report.count("structure/json-lines-blank"), 1);
    let faults: Vec<_> = report
        .findings
        .iter()
        .filter(|p| p.rule == "structure/json-syntax")
        .map(|p| p.line.unwrap())
        .collect();
    assert_eq!(faults, [2, 4]);
    assert_eq!(
        log.0.last().unwrap(),
        &(String::new(), "record 4 true".to_owned(), 0..0, 5)
    );
    let (report, _) = lines(b"{}\n1", 1);
    assert!(report.valid && report.facts["records"] == 2);
}

#[test]
fn hostile_documents_are_bounded() {
    let (report, _) = json(&vec![b'['; 1 << 20], 4096);
    assert_eq!((report.valid, report.limits[0].name), (false, "json-depth"));
    let many = format!("{{{}\"z\":0}}", "\"same\":0,".repeat(1_000_000));
    let (report, _) = run(Json::new(JsonOptions::default(), ()), many.as_bytes(), 1 << 16);
    assert_eq!(
        (report.valid, report.count("structure/json-duplicate-name")),
        (true, 999_999)
    );
    assert_eq!(
        report
            .findings
            .iter()
            .filter(|p| p.rule != "structure/long-line")
            .count(),
        20
    );
    let number = format!("[{}]", "9".repeat(1 << 20));
    let (report, _) = json(number.as_bytes(), 1000);
    assert_eq!(report.limits[0].name, "json-number-bytes");
    assert!(report.valid);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Into::into)),
        "(?s).{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("(?s).{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Valid texts and texts with a few bytes changed: the same answer as `serde_json`, whatever the chunks.
    #[test]
    fn agrees_with_serde(value in value(), pretty: bool, changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"{}[]:,\"\\u0eE.-+1tn \x01\xff"[..])), 0..3), chunk in 1_usize..12) {
        let mut bytes = if pretty { serde_json::to_vec_pretty(&value)? } else { serde_json::to_vec(&value)? };
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let (report, log) = json(&bytes, chunk);
        prop_assert_eq!((report.clone(), log), json(&bytes, usize::MAX));
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        // serde_json refuses numbers beyond f64 and half pairs, which are grammatical and findings here.
        let told = report.count("structure/json-number-range") + report.count("structure/json-surrogate") > 0;
        if !told {
            prop_assert_eq!(report.valid, theirs.is_ok(), "{:?} {:?}", String::from_utf8_lossy(&bytes), report.findings);
        } else {
            prop_assert!(report.valid || theirs.is_err());
        }
    }

    /// Every string comes with its meaning and its bytes.
    #[test]
    fn strings_are_found_where_they_are(text in "(?s).{0,20}", chunk in 1_usize..9) {
        let bytes = serde_json::to_vec(&[&text])?;
        let (_, log) = json(&bytes, chunk);
        prop_assert_eq!(&log.0[1].1, &format!("{:?} 0 true", text));
        let span = &log.0[1].2;
        let quoted = &bytes[span.start as usize - 1..span.end as usize + 1];
        prop_assert_eq!(serde_json::from_slice::<String>(quoted)?, text.clone());
        let raw = std::str::from_utf8(&quoted[1..quoted.len() - 1])?;
        let escaped = Text { raw, escaped: true, part: 0, last: true };
        for (at, _) in text.char_indices() {
            let rest = format!("\"{}\"", &raw[escaped.raw_index(at)..]);
            prop_assert_eq!(serde_json::from_str::<String>(&rest)?, &text[at..]);
        }
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(prop::sample::select(&b"{}[]:,\"\\ud80eE.-+1tn \r\n\x01\xff\xc3\xa9"[..]), 0..80), chunk in 1_usize..9) {
        prop_assert_eq!(json(&bytes, chunk), json(&bytes, usize::MAX));
        prop_assert_eq!(lines(&bytes, chunk), lines(&bytes, usize::MAX));
    }
}
