//! What one record shows by itself.

use std::collections::HashMap;

use cofferdam_schemas::Severity;

use crate::hit::Hit;
use crate::injection::features::word_hash;
use crate::injection::language::Language;

/// Fewest words on which repetition is judged.
const WORDS: usize = 20;
/// Share of one word, or of one three-word sequence, that is repetition.
const REPEATED: f32 = 0.5;
/// Words at the end that are compared with what stands before.
const TAIL: usize = 24;
/// Bits a character by which the end must be less likely than the rest.
const LEAP: f32 = 1.8;

/// Splits a text in word hashes with their places: lower case, digits folded.
pub(super) fn words(text: &str) -> Vec<(u64, usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push((word_hash(&text[from..at]), from, at));
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        words.push((word_hash(&text[from..]), from, text.len()));
    }
    words
}

/// The largest share one word or one sequence of three words has.
pub fn repetition(words: &[(u64, usize, usize)]) -> f32 {
    if words.len() < WORDS {
        return 0.0;
    }
    let mut single: HashMap<u64, u32> = HashMap::new();
    let mut triple: HashMap<(u64, u64, u64), u32> = HashMap::new();
    for (word, ..) in words {
        *single.entry(*word).or_default() += 1;
    }
    for three in words.windows(3) {
        *triple.entry((three[0].0, three[1].0, three[2].0)).or_default() += 1;
    }
    let most = single.values().max().copied().unwrap_or(0) as f32 / words.len() as f32;
    let often = triple.values().max().copied().unwrap_or(0) as f32 * 3.0 / words.len() as f32;
    most.max(if triple.values().any(|n| *n > 4) {
        often.min(1.0)
    } else {
        0.0
    })
}

/// Findings on one record: repetition, and an end no language has.
pub fn check(text: &str, language: &Language, out: &mut Vec<Hit>) {
    let words = words(text);
    let share = repetition(&words);
    if share >= REPEATED {
        out.push(Hit {
            rule: "poison/repetition".into(),
            severity: Severity::Low,
            confidence: share.min(1.0),
            span: 0..text.len(),
            message: "one word or phrase makes up half of the record".into(),
            remediation: Some("leave the record out of training, or keep one copy of the phrase".into()),
            citation: Some("OWASP LLM04:2025; MITRE ATLAS AML.T0020".into()),
        });
    }
    if words.len() >= 2 * WORDS {
        // at least 2 * WORDS words, so this one is there
        let from = words[words.len() - TAIL.min(words.len() / 2)].1;
        let (head, tail) = text.split_at(from);
        let leap = language.mean(tail.chars()) - language.mean(head.chars());
        if leap > LEAP {
            out.push(Hit {
                rule: "poison/suffix".into(),
                severity: Severity::Medium,
                confidence: (0.4 + 0.2 * (leap - LEAP)).min(0.9),
                span: from..text.len(),
                message: "the end of the record is far less like language than the rest".into(),
                remediation: Some("compare the record with its source".into()),
                citation: Some("OWASP LLM04:2025; arXiv 2309.00614".into()),
            });
        }
    }
}
