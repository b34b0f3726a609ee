//! Attacks on models: the normaliser leads back to the text, and a batch remembers within bounds.

use std::sync::LazyLock;

use cofferdam_scan::injection::language::Language;
use cofferdam_scan::injection::normalise::{Clues, normalise, survey};
use cofferdam_scan::injection::poison::{Limits, Summary};
use cofferdam_scan::injection::{Injection, Score};

static INJECTION: LazyLock<Injection> = LazyLock::new(|| Injection::built_in().expect("pack and model built in"));
static LANGUAGE: LazyLock<Language> = LazyLock::new(|| INJECTION.language());

pub fn score(score: &Score, text: &str) {
    assert!((0.0..=1.0).contains(&score.document), "{}", score.document);
    assert!(!score.quarantine || score.review);
    let window = &score.window;
    assert!(window.start <= window.end && window.end <= text.len());
    assert!(
        text.is_char_boundary(window.start) && text.is_char_boundary(window.end),
        "{window:?}"
    );
}

/// Byte: which steps are tried besides those called for; the text.
pub fn injection(data: &[u8]) {
    let Some(([steps], data)) = super::chosen(data) else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let mut hits = Vec::new();
    let first = INJECTION.scan(&text, &mut hits);
    score(&first, &text);
    hits.iter().for_each(|hit| super::hit(hit, &text));
    let mut again = Vec::new();
    assert_eq!(INJECTION.scan(&text, &mut again), first);
    assert_eq!(again, hits);
    for strong in INJECTION.explain(&text, first.window.clone(), 5) {
        assert!(strong.span.start >= first.window.start && strong.span.end <= first.window.end);
        assert!(text.get(strong.span.clone()).is_some(), "{:?}", strong.span);
    }
    let mut hits = Vec::new();
    INJECTION.record(&text, &mut hits);
    hits.iter().for_each(|hit| super::hit(hit, &text));
    let asked = Clues {
        characters: steps & 1 != 0,
        encoded: steps & 2 != 0,
        spaced: steps & 4 != 0,
        leet: steps & 8 != 0,
        cipher: steps & 16 != 0,
    };
    mapped(&text, survey(&text));
    mapped(&text, asked);
}

fn mapped(text: &str, clues: Clues) {
    let Some(normal) = normalise(text, clues, &LANGUAGE) else {
        return;
    };
    let form = &normal.form;
    // The longest compatibility form is that of U+FDFA: 33 bytes for 3.
    assert!(form.text.len() <= text.len() * 11);
    let inside = |from: usize, to: usize| {
        let span = form.origin(from..to);
        assert!(
            span.start <= span.end && text.get(span.clone()).is_some(),
            "{from}..{to} leads to {span:?}"
        );
    };
    let ends: Vec<usize> = form
        .text
        .char_indices()
        .map(|(at, _)| at)
        .chain([form.text.len()])
        .collect();
    for pair in ends.windows(2) {
        inside(pair[0], pair[1]);
        inside(pair[0], form.text.len());
        inside(0, pair[1]);
        inside(pair[0], pair[0]);
    }
    for (step, span, traces) in normal.evidence.regions() {
        assert!(text.get(span.clone()).is_some(), "{step:?} {span:?}");
        assert!(traces >= 1);
    }
}

/// Bytes: most records, most words; the records by lines, each with a label before the first bar if it has one.
pub fn poison(data: &[u8]) {
    let Some(([records, words], data)) = super::chosen(data) else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let limits = Limits {
        records: usize::from(records),
        words: usize::from(words) * 8,
    };
    let run = || {
        let mut batch = INJECTION.batch(limits);
        let mut told = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let (label, body) = parts(line);
            let record = batch.add(body, label);
            assert_eq!(record.index, index);
            assert!(record.like.is_none_or(|like| like < index));
            record.hits.iter().for_each(|hit| super::hit(hit, body));
            told.push((record.hits, record.like));
        }
        (told, batch.finish())
    };
    let (told, summary) = run();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(summary.records, lines.len());
    assert!(summary.kept <= limits.records && summary.kept + summary.duplicates <= summary.records);
    assert!(summary.kept + summary.duplicates == summary.records || !summary.limits.is_empty());
    for (record, hits) in &summary.late {
        let (_, body) = parts(lines[*record]);
        hits.iter().for_each(|hit| super::hit(hit, body));
    }
    let (told_again, again) = run();
    assert_eq!(
        (told, &summary.late, numbers(&summary)),
        (told_again, &again.late, numbers(&again))
    );
}

fn parts(line: &str) -> (Option<&str>, &str) {
    line.split_once('|')
        .map_or((None, line), |(label, body)| (Some(label), body))
}

fn numbers(summary: &Summary) -> [usize; 7] {
    [
        summary.records,
        summary.kept,
        summary.duplicates,
        summary.near,
        summary.flips,
        summary.triggered,
        summary.outliers,
    ]
}
