//! Secrets, plain and encoded.

use std::sync::LazyLock;

use cofferdam_scan::secrets::{DecodeLimits, DecodedRun, Packs, decoded_runs, fingerprint, mask};

static PACKS: LazyLock<Packs> = LazyLock::new(|| Packs::builtin().expect("the packs built in"));

/// Bytes: depth, shortest run, longest run, most in all; the document's name, NUL, its text.
pub fn secrets(data: &[u8]) {
    let Some(([depth, shortest, run, total], data)) = super::chosen(data) else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let (path, text) = match text.split_once('\0') {
        Some((path, text)) => (Some(path), text),
        None => (None, &*text),
    };
    let scan = || {
        let mut out = Vec::new();
        (PACKS.scan(text, path, &mut out), out)
    };
    let (reached, hits) = scan();
    for hit in &hits {
        super::hit(hit, text);
        let value = &text[hit.span.clone()];
        // What is shown instead of it says nothing of a short one.
        assert!(value.chars().count() < 8 || !mask(value).contains(value));
        assert_eq!(fingerprint(Some(b"key"), value.as_bytes()).len(), 64);
    }
    assert!(
        hits.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start),
        "hits overlap or go back"
    );
    assert_eq!((reached, hits), scan());
    let limits = DecodeLimits {
        depth: usize::from(depth % 5),
        shortest: usize::from(shortest),
        run: usize::from(run) * 16,
        total: usize::from(total) * 64,
        runs: 100,
    };
    decoded(text, path, &limits);
    decoded(text, path, &DecodeLimits::default());
}

fn decoded(text: &str, path: Option<&str>, limits: &DecodeLimits) {
    let mut runs = decoded_runs(text, limits);
    let (mut total, mut count) = (0, 0);
    for DecodedRun { span, bytes, chain } in runs.by_ref() {
        assert!(span.start < span.end && span.end <= text.len(), "{span:?}");
        assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
        assert!((1..=limits.depth).contains(&chain.encodings().len()));
        assert!(bytes.len() <= limits.run);
        total += bytes.len();
        count += 1;
    }
    assert!(
        total <= limits.total && count <= limits.runs,
        "{count} runs of {total} bytes"
    );
    let mut hits = Vec::new();
    let reached = PACKS.scan_decoded(text, path, limits, &mut hits);
    assert_eq!(reached.names().is_empty(), !reached.any());
    for one in &hits {
        super::hit(&one.hit, text);
        assert!((1..=limits.depth).contains(&one.chain.encodings().len()));
    }
}
