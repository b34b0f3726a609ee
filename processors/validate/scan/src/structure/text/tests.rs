use proptest::prelude::*;

use super::*;

/// Decodes in chunks of the given length; gives the text and the source of each of its bytes.
fn decode(bytes: &[u8], encoding: Encoding, chunk: usize) -> (String, Vec<u64>, u64) {
    let mut decoder = Decoder::new(encoding, 0);
    let (mut text, mut sources, mut replaced) = (String::new(), Vec::new(), 0);
    let mut take = |piece: &Piece<'_>| {
        assert_eq!(piece.at, text.len() as u64);
        text.push_str(piece.text);
        sources.extend((0..piece.text.len()).map(|index| piece.source(index)));
        replaced += u64::from(piece.replaced);
    };
    for part in bytes.chunks(chunk.max(1)) {
        decoder.feed(part, &mut take);
    }
    decoder.finish(&mut take);
    assert_eq!(decoder.consumed(), bytes.len() as u64);
    (text, sources, replaced)
}

fn scan(bytes: &[u8], chunk: usize) -> StructureReport {
    let mut scan = TextScan::new((), TextOptions::default());
    bytes.chunks(chunk.max(1)).for_each(|part| scan.feed(part));
    scan.finish().0
}

#[test]
fn lines_and_characters() {
    let report = scan(b"a\r\nb\0c\nd\re\x01\x02\n", 3);
    assert_eq!(report.facts["lines"], 4);
    assert_eq!(report.facts["longest_line"], 3);
    assert_eq!(report.words["line_ends"], "mixed");
    assert_eq!(report.count("structure/nul"), 1);
    assert_eq!(report.count("structure/control"), 2);
    let nul = report.findings.iter().find(|p| p.rule == "structure/nul").unwrap();
    assert_eq!((nul.span.clone(), nul.line, nul.column), (Some(4..5), Some(2), Some(2)));
}

#[test]
fn no_lines_in_nothing() {
    let report = scan(b"", 1);
    assert_eq!((report.facts["lines"], report.valid), (0, true));
    assert_eq!(scan(b"x", 1).facts["lines"], 1);
    assert_eq!(scan(b"x\n", 1).facts["lines"], 1);
    assert_eq!(scan(b"x\n\ny", 1).facts["lines"], 3);
}

#[test]
fn broken_utf_8_has_a_place_and_a_number() {
    let mut text = "é".repeat(200).into_bytes();
    text.extend(b"\nab\xe2\x82 \xff\xfe");
    let report = scan(&text, 7);
    assert!(!report.valid);
    let problem = &report.findings[0];
    assert_eq!((problem.rule, problem.count), ("structure/encoding", 3));
    assert_eq!(
        (problem.span.clone(), problem.line, problem.column),
        (Some(403..405), Some(2), Some(3))
    );
}

#[test]
fn positions_are_those_of_the_document() {
    let mut bytes = b"\xff\xfe".to_vec();
    bytes.extend("ab\n\u{1f600}\u{0}".encode_utf16().flat_map(u16::to_le_bytes));
    let report = scan(&bytes, 1);
    assert_eq!(report.words["encoding"], "utf-16le");
    let nul = report.findings.iter().find(|p| p.rule == "structure/nul").unwrap();
    assert_eq!((nul.span.clone(), nul.line), (Some(12..14), Some(2)));
}

#[test]
fn long_lines_are_remarked_upon() {
    let report = scan(&vec![b'x'; (1 << 20) + 1], 1000);
    assert_eq!(report.count("structure/long-line"), 1);
    assert!(report.valid);
}

fn encodings() -> impl Strategy<Value = Encoding> {
    let labels = [
        "utf-8",
        "utf-16le",
        "utf-16be",
        "utf-32le",
        "utf-32be",
        "latin1",
        "windows-1253",
        "shift_jis",
        "gb18030",
        "big5",
        "euc-jp",
        "euc-kr",
        "iso-2022-jp",
        "koi8-r",
    ];
    prop::sample::select(labels.map(|label| Encoding::for_label(label).unwrap()).to_vec())
}

proptest! {
    #[test]
    fn chunks_change_nothing(bytes: Vec<u8>, encoding in encodings(), chunk in 1_usize..20) {
        let whole = decode(&bytes, encoding, usize::MAX);
        prop_assert_eq!(decode(&bytes, encoding, chunk), whole.clone());
        let (_, sources, _) = whole;
        prop_assert!(sources.is_sorted());
        prop_assert!(sources.iter().all(|source| *source < bytes.len().max(1) as u64));
    }

    #[test]
    fn utf_8_is_what_the_library_says(bytes: Vec<u8>, chunk in 1_usize..9) {
        let (text, _, _) = decode(&bytes, Encoding::Utf8, chunk);
        prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn other_encodings_too(text in "\\PC{0,40}", chunk in 1_usize..9) {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        prop_assert_eq!(decode(&units, Encoding::Utf16Be, chunk).0, text.clone());
        let four: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        let (found, sources, _) = decode(&four, Encoding::Utf32Le, chunk);
        prop_assert_eq!(&found, &text);
        for (number, (at, _)) in text.char_indices().enumerate() {
            prop_assert_eq!(sources[at], number as u64 * 4);
        }
        for label in ["gb18030", "windows-1252"] {
            let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, lossy) = encoding.encode(&text);
            if !lossy {
                prop_assert_eq!(decode(&bytes, Encoding::Legacy(encoding), chunk).0, text.clone());
            }
        }
    }

    #[test]
    fn reports_do_not_depend_on_chunks(bytes in prop::collection::vec(prop::sample::select(&b"ab\r\n\0\x01\xc3\xa9\xff"[..]), 0..60), chunk in 1_usize..9) {
        prop_assert_eq!(scan(&bytes, chunk), scan(&bytes, usize::MAX));
    }
}
