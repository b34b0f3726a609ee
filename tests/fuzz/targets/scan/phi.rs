//! Personal data.

use std::sync::LazyLock;

use cofferdam_scan::hit::Hit;
use cofferdam_scan::phi::Phi;

static PHI: LazyLock<Phi> = LazyLock::new(|| Phi::built_in().expect("the packs built in"));

/// The name of a column, NUL, the text.
pub fn phi(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (label, text) = match text.split_once('\0') {
        Some((label, text)) => (Some(label), text),
        None => (None, &*text),
    };
    let run = |label| {
        let mut out = Vec::new();
        PHI.scan(text, label, &mut out);
        out
    };
    let hits = run(label);
    check(&hits, text);
    assert!(
        hits.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start),
        "hits overlap or go back"
    );
    assert_eq!(hits, run(label));
    let Some(hint) = label.and_then(|label| PHI.label_hint(label)) else {
        return;
    };
    assert!(hint.rule().starts_with("phi/") || hint.rule().contains('/'));
    let mut hits = Vec::new();
    PHI.scan_labelled(text, hint, &mut hits);
    check(&hits, text);
}

fn check(hits: &[Hit], text: &str) {
    for hit in hits {
        super::hit(hit, text);
        assert!(!hit.span.is_empty());
    }
}
