//! Tables as text.

use cofferdam_scan::structure::csv::{Csv, CsvOptions, Dialect, Row, RowSink, guess, judge_formula};
use cofferdam_scan::structure::report::Collector;
use cofferdam_scan::structure::text::TextOptions;

use super::report::scan;

#[derive(Default, PartialEq, Debug)]
struct Rows {
    header: Option<Vec<String>>,
    rows: Vec<(u64, Option<u64>, Vec<String>)>,
    text: usize,
    cells: usize,
    end: u64,
    finished: Option<bool>,
}

impl RowSink for Rows {
    fn header(&mut self, names: &[String], _: &mut Collector) {
        assert!(self.header.is_none() && self.rows.is_empty());
        self.header = Some(names.to_vec());
    }

    fn row(&mut self, row: &Row<'_>, _: &mut Collector) {
        assert_eq!(row.number, self.rows.len() as u64 + 1);
        assert!(!row.is_empty());
        let mut texts = Vec::new();
        for cell in row.cells() {
            assert!(
                cell.span.start >= self.end && cell.span.start <= cell.span.end,
                "{:?} after {}",
                cell.span,
                self.end
            );
            self.end = cell.span.end;
            for index in [0, cell.text.len() / 2, cell.text.len()] {
                assert!(cell.span.contains(&cell.source(index)) || cell.source(index) == cell.span.end);
            }
            self.text += cell.text.len();
            let _ = judge_formula(cell.text);
            texts.push(cell.text.to_owned());
        }
        self.cells += texts.len();
        self.rows.push((row.number, row.line, texts));
    }

    fn finish(&mut self, whole: bool, _: &mut Collector) {
        assert!(self.finished.is_none());
        self.finished = Some(whole);
    }
}

/// Bytes: piece, delimiter, longest row in 4 bytes, most cells; the table.
pub fn csv(data: &[u8]) {
    let Some(([piece, delimiter, bytes, cells], data)) = super::chosen(data) else {
        return;
    };
    let header = [None, Some(true), Some(false)][usize::from(bytes) % 3];
    let given = b",;\t|".get(usize::from(delimiter) % 5).copied();
    let options = CsvOptions {
        dialect: given.map(|delimiter| Dialect { delimiter, header }),
        row_bytes: usize::from(bytes) * 4,
        row_cells: usize::from(cells) + 1,
    };
    let (report, rows) = scan(
        data,
        piece,
        TextOptions::default(),
        || Csv::new(options, Rows::default()),
        |csv| csv.sink,
    );
    // Bytes of the document become cells once, whatever their encoding.
    assert!(rows.text <= data.len() * 4 && rows.cells <= data.len() + 1);
    let longest = |row: &(u64, Option<u64>, Vec<String>)| {
        row.2.len() <= options.row_cells && row.2.iter().map(String::len).sum::<usize>() <= options.row_bytes
    };
    assert!(rows.rows.iter().all(longest));
    let whole = rows.finished.expect("the table ends");
    assert!(whole || !report.valid || !report.limits.is_empty());
    assert!(b",;\t|".contains(&guess(&String::from_utf8_lossy(data))));
}
