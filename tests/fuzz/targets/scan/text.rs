//! Text in any encoding: a piece knows which bytes it came from.

use cofferdam_scan::structure::report::{Collector, Place};
use cofferdam_scan::structure::text::{Encoding, Engine, Piece, TextOptions};

use super::report::scan;

/// Encodings a document may be said to have; of the last, nothing is said.
const LABELS: [&str; 13] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "utf-32le",
    "windows-1252",
    "shift_jis",
    "gb18030",
    "big5",
    "euc-jp",
    "euc-kr",
    "iso-2022-jp",
    "koi8-r",
    "",
];

/// The text, and for each of its bytes where it came from.
#[derive(Default)]
struct Gather {
    text: String,
    from: Vec<u64>,
    end: u64,
}

impl Engine for Gather {
    fn piece(&mut self, piece: &Piece<'_>, _: &mut Collector) {
        assert_eq!(piece.at, self.text.len() as u64);
        for index in 0..piece.text.len() {
            let source = piece.source(index);
            assert!(self.from.last().is_none_or(|last| *last <= source), "goes back");
            self.from.push(source);
        }
        let end = piece.source(piece.text.len());
        assert!(end >= self.end && self.from.last().is_none_or(|last| *last <= end));
        self.end = end;
        assert!(!piece.replaced || piece.text == "\u{fffd}");
        self.text.push_str(piece.text);
    }

    fn finish(&mut self, end: Place, _: &mut Collector) {
        assert!(end.at >= self.end && end.line >= 1);
    }
}

/// Bytes: encoding, piece, the longest line in 16 bytes; the text.
pub fn text(data: &[u8]) {
    let Some(([label, piece, line], data)) = super::chosen(data) else {
        return;
    };
    let label = LABELS[usize::from(label) % LABELS.len()];
    let options = TextOptions {
        encoding: Encoding::for_label(label),
        long_line: u64::from(line) * 16 + 1,
        per_kind: usize::from(line % 8),
    };
    let (report, gathered) = scan(data, piece, options, Gather::default, |gather| {
        (gather.text, gather.from)
    });
    let (text, from) = gathered;
    assert!(from.iter().all(|at| *at < data.len() as u64));
    // A byte of a foreign letter becomes three of UTF-8, one of no meaning too.
    assert!(text.len() <= data.len() * 4 + 4);
    let mark = report.facts["byte_order_mark"] as usize;
    if report.words["encoding"].eq_ignore_ascii_case("utf-8") {
        assert_eq!(text, String::from_utf8_lossy(&data[mark..]));
    }
}
