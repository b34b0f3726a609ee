use proptest::prelude::*;

use super::*;
use crate::structure::report::StructureReport;
use crate::structure::text::{TextOptions, TextScan};

#[derive(Default, Debug, PartialEq, Clone)]
struct Log {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    spans: Vec<Vec<std::ops::Range<u64>>>,
}

impl RowSink for Log {
    fn header(&mut self, names: &[String], _: &mut Collector) {
        self.names = names.to_vec();
    }
    fn row(&mut self, row: &Row<'_>, _: &mut Collector) {
        assert_eq!(row.number, self.rows.len() as u64 + 1);
        self.rows.push(row.cells().map(|cell| cell.text.to_owned()).collect());
        self.spans.push(row.cells().map(|cell| cell.span).collect());
    }
}

fn table(bytes: &[u8], options: CsvOptions, chunk: usize) -> (StructureReport, Log) {
    let mut scan = TextScan::new(Csv::new(options, Log::default()), TextOptions::default());
    bytes.chunks(chunk.max(1)).for_each(|part| scan.feed(part));
    let (report, engine) = scan.finish();
    (report, engine.sink)
}

fn guessed(text: &str) -> (StructureReport, Log) {
    table(text.as_bytes(), CsvOptions::default(), usize::MAX)
}

fn comma(header: bool) -> CsvOptions {
    let dialect = Dialect {
        delimiter: b',',
        header: Some(header),
    };
    CsvOptions {
        dialect: Some(dialect),
        ..CsvOptions::default()
    }
}

#[track_caller]
fn finds(text: &str, rule: &str, count: u64) -> Problem {
    let report = guessed(text).0;
    assert_eq!(report.count(rule), count, "{text:?} {report:?}");
    report
        .findings
        .into_iter()
        .find(|problem| problem.rule == rule)
        .unwrap()
}

#[test]
fn tables() {
    let (report, log) = guessed("name;note\r\na;\"x;\"\"y\"\"\"\r\n\r\nb;1,5\r\n");
    assert!(report.valid && report.findings.is_empty(), "{report:?}");
    assert_eq!(log.names, ["name", "note"]);
    assert_eq!(log.rows, [["a", "x;\"y\""], ["b", "1,5"]]);
    assert_eq!(log.spans[0], [11..12, 13..22]);
    assert_eq!(
        (
            report.facts["rows"],
            report.facts["columns"],
            report.facts["blank_lines"]
        ),
        (2, 2, 1)
    );
    assert_eq!(
        (report.words["delimiter"].as_str(), report.words["header"].as_str()),
        (";", "yes")
    );
    let cell = Cell {
        text: "x;\"y\"",
        span: 13..22,
        quoted: true,
        escaped: true,
    };
    assert_eq!([0, 2, 3].map(|index| cell.source(index)), [14, 16, 18]);
}

#[test]
fn findings() {
    let ragged = finds("a,b\n1,2\n3\n4,5,6\n", "structure/csv-ragged", 2);
    assert_eq!((ragged.line, ragged.cell.as_deref()), (Some(3), Some("row 2")));
    let stray = finds("a,b\n1,x\"y\n\"q\"r,2\n", "structure/csv-stray-quote", 2);
    assert_eq!((stray.line, stray.column, stray.span), (Some(2), Some(4), Some(7..8)));
    let unclosed = finds("a,b\n1,\"x\n2,3\n", "structure/csv-unclosed-quote", 1);
    assert_eq!((unclosed.line, unclosed.span), (Some(2), Some(6..13)));
    assert!(!guessed("a,b\n1,\"x\n2,3\n").0.valid);
    assert_eq!(
        finds("a,b,a\n1,2,3\n", "structure/csv-duplicate-name", 1)
            .field
            .as_deref(),
        Some("a")
    );
    assert_eq!(
        finds("a,,c\nx,y,z\n", "structure/csv-empty-name", 1).field.as_deref(),
        Some("column 2")
    );
    finds("a,b\n1,2\n3;4\n5,6\n", "structure/csv-delimiter", 1);
    let formula = finds("a,b\nx,\"=cmd|' /C calc'!A0\"\ny,-5\nz,=1+1\n", "active/formula", 2);
    assert_eq!(
        (formula.field.as_deref(), formula.line, formula.severity),
        (Some("b"), Some(2), Severity::High)
    );
    finds("a,b\n1,\0\n", "structure/nul", 1);
}

#[test]
fn a_row_has_a_limit() {
    let options = CsvOptions {
        row_bytes: 1000,
        row_cells: 10,
        ..comma(true)
    };
    let text = format!("a,b\n1,{}\n2,3\n{}\n", "x".repeat(5000), ",".repeat(30));
    let (report, log) = table(text.as_bytes(), options, 100);
    assert_eq!(
        (report.clone(), log.clone()),
        table(text.as_bytes(), options, usize::MAX)
    );
    let limits: Vec<_> = report.limits.iter().map(|limit| limit.name).collect();
    assert_eq!(limits, ["csv-row-bytes", "csv-row-cells"]);
    assert_eq!(log.rows[1], ["2", "3"]);
    assert_eq!(log.rows[0][1].len(), 999);
}

/// 100 MB in one cell, of which 16 MiB are kept.
#[test]
fn a_cell_without_end_is_bounded() {
    let mut scan = TextScan::new(Csv::new(comma(true), ()), TextOptions::default());
    scan.feed(b"a,b\n1,\"");
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        scan.feed(&chunk);
    }
    let (report, engine) = scan.finish();
    assert!(engine.text.capacity() <= 64 << 20);
    assert_eq!((report.valid, report.limits[0].name), (false, "csv-row-bytes"));
    assert_eq!(report.facts["bytes"], 7 + (100 << 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_csv_crate(bytes in prop::collection::vec(prop::sample::select(&b"ab,,\"\"\n\r \t;x"[..]), 0..60), chunk in 1_usize..9) {
        let (report, log) = table(&bytes, comma(false), chunk);
        prop_assert_eq!((report, log.clone()), table(&bytes, comma(false), usize::MAX));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&*bytes);
        let theirs: Vec<Vec<String>> = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        prop_assert_eq!(log.rows, theirs, "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn chunks_change_nothing(bytes in prop::collection::vec(prop::sample::select(&b"ab,;\"\n\r=(\t\xc3\xa9\xff\0"[..]), 0..80), chunk in 1_usize..9) {
        prop_assert_eq!(table(&bytes, CsvOptions::default(), chunk), table(&bytes, CsvOptions::default(), usize::MAX));
    }

    #[test]
    fn written_tables_are_read(rows in prop::collection::vec(prop::collection::vec("[a-zé0-9 \",\n]{1,8}", 3), 1..10), chunk in 1_usize..50) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row)?;
        }
        let bytes = writer.into_inner().unwrap();
        let (report, log) = table(&bytes, comma(false), chunk);
        prop_assert!(report.valid);
        prop_assert_eq!(report.count("structure/csv-ragged"), 0);
        prop_assert_eq!(log.rows, rows);
        for spans in &log.spans {
            prop_assert!(spans.windows(2).all(|pair| pair[0].end + 1 == pair[1].start));
        }
    }
}
