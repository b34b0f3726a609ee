//! Arbitrary and adversarial text.

use proptest::prelude::*;

use super::*;
use crate::phi::{OVERLAP, WINDOW};

/// CPU seconds of this thread, in ticks of 10 ms.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    (fields[11] + fields[12]) / 100.0
}

fn sound(text: &str) {
    let mut hits = Vec::new();
    PHI.scan(text, Some("some.label"), &mut hits);
    let mut last = 0;
    for hit in &hits {
        assert!(
            text.is_char_boundary(hit.span.start)
                && text.is_char_boundary(hit.span.end)
                && hit.span.start < hit.span.end
        );
        assert!(hit.span.start >= last, "overlap");
        assert!((0.0..=1.0).contains(&hit.confidence));
        last = hit.span.end;
    }
    if let Some(hint) = PHI.label_hint(text) {
        PHI.scan_labelled(text, hint, &mut hits);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_scanned(text in any::<String>()) {
        sound(&text);
    }

    #[test]
    fn text_of_telling_pieces_is_scanned(pieces in prop::collection::vec(prop::sample::select(vec![
        "0", "1", "19", "2023", "536-90-4399", "4111 1111", "@", ".", "-", "/", ":", "::", "://", "www.", "(", ")", "+", " ", "\n", ", ", "’", "“", "é",
        "Å", "漢", "\u{a0}", "\u{2003}", "Dr.", "Anna", "S.", "van", "Smith", "'s", "Hospital", "St.", "Street", "Box", "P.O. ", "April", "May", "of", "th",
        "MRN", "SSN", "policy", "zip", "x", "^", "%B", ";", "=", "GB", "ZIP", "NY", "Apt", "yo", "90", "-year-old", "fe80", "\u{301}", "ß",
    ]), 0..60)) {
        sound(&pieces.concat());
    }
}

/// A megabyte of anything takes less than this many CPU seconds, debug assertions and slow machines included. Quadratic time would be hours.
const BOUND: f64 = 15.0;

#[test]
fn a_megabyte_of_anything_is_linear() {
    let pieces = [
        "1",
        "1 ",
        "12 34 ",
        "@",
        "a@",
        "a@b.c",
        ".",
        "a.",
        "A",
        "A ",
        "Aa",
        "Anna ",
        "Anna Smith ",
        "Dr. ",
        "://",
        "http://",
        ":",
        "1:",
        "1.",
        "1-",
        "(",
        "é",
        "’",
        "“A",
        "\n",
        "MRN ",
        "MRN 1234567 ",
        "April 1 ",
        "1 Main Street ",
        "Box 1 ",
        "van ",
        "Anna van ",
        "4111111111111111 ",
        "GB82 ",
        "%B4",
        "Hospital ",
        "New York ",
        "St. ",
        "a1",
        "2001:db8:",
        "漢",
        " ",
        "1x",
    ];
    for piece in pieces {
        let text = piece.repeat((1 << 20) / piece.len());
        let start = cpu();
        sound(&text);
        let seconds = cpu() - start;
        assert!(seconds < BOUND, "{piece:?} took {seconds} CPU seconds");
    }
}

#[test]
fn a_long_text_is_found_as_its_parts_are() {
    // Finds on both sides of the first cut, in its overlap, and at the end.
    let filler = "nothing of note happens in this line of text\n";
    let mut text = filler.repeat(WINDOW / filler.len() - OVERLAP / filler.len());
    let mut expected = 0;
    while text.len() < WINDOW + OVERLAP {
        text.push_str("SSN 536-90-4399 and no more\n");
        expected += 1;
    }
    text.push_str(&filler.repeat(WINDOW / filler.len()));
    text.push_str("SSN 536-90-4399");
    let mut hits = Vec::new();
    PHI.scan(&text, None, &mut hits);
    assert_eq!(hits.len(), expected + 1);
    assert!(hits.iter().all(|hit| &text[hit.span.clone()] == "536-90-4399"));
    assert!(hits.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
}
