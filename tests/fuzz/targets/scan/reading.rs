//! What is read in markup and in fields.

use std::sync::LazyLock;

use cofferdam_scan::phi::Phi;
use cofferdam_scan::reading::{Notation, read, sentences};

static PHI: LazyLock<Phi> = LazyLock::new(|| Phi::built_in().expect("the packs built in"));

const NOTATIONS: [Notation; 9] = [
    Notation::Html,
    Notation::Xml,
    Notation::Markup,
    Notation::Rtf,
    Notation::Hl7,
    Notation::X12,
    Notation::Properties,
    Notation::Armor,
    Notation::Cells,
];

/// The first byte picks the notation.
pub fn reading(data: &[u8]) {
    let Some(([notation], text)) = super::chosen(data) else {
        return;
    };
    let notation = NOTATIONS[usize::from(notation) % NOTATIONS.len()];
    let text = String::from_utf8_lossy(text);
    if notation == Notation::Cells {
        let lines = sentences(&text);
        let kept = |(one, other): (u8, u8)| one == other || (one, other) == (b'\t', b'\n');
        assert!(text.len() == lines.len() && text.bytes().zip(lines.bytes()).all(kept));
    }
    let reading = read(notation, &text, &mut |of, name| PHI.label_hint_in(of, name));
    for field in &reading.fields {
        let whole = field.origin(0..field.value.len());
        assert!(!field.value.is_empty() && text.get(whole).is_some());
    }
    for form in reading.text.iter().chain(&reading.aside) {
        for (at, sign) in form.text.char_indices() {
            let origin = form.origin(at..at + sign.len_utf8());
            assert!(text.get(origin.clone()).is_some(), "{at} comes from {origin:?}");
        }
    }
}
