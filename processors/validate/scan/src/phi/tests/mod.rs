//! The engine as a whole.

mod finds;
mod hostile;
mod packs;

use std::sync::LazyLock;

use super::*;

pub(super) static PHI: LazyLock<Phi> = LazyLock::new(|| Phi::built_in().unwrap());

/// What is found in a text: rule and value.
pub(super) fn scan(text: &str) -> Vec<(String, String)> {
    let mut hits = Vec::new();
    PHI.scan(text, None, &mut hits);
    hits.into_iter()
        .map(|hit| (hit.rule.into_owned(), text[hit.span].to_owned()))
        .collect()
}

/// The finds of a text are exactly these, years beside names left out.
#[track_caller]
pub(super) fn check(text: &str, expected: &[(&str, &str)]) {
    let found: Vec<(String, String)> = scan(text)
        .into_iter()
        .filter(|(rule, _)| rule != "pii/person-year")
        .collect();
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(rule, value)| (rule.as_str(), value.as_str()))
        .collect();
    assert_eq!(found, expected, "{text}");
}
