//! Texts of several windows: findings depend neither on how the text arrives nor on where windows end.

use std::sync::OnceLock;

use super::*;
use crate::look::{Engines, Gather, Look, Outcome, Packs};

fn engines() -> Arc<Engines> {
    static ENGINES: OnceLock<Arc<Engines>> = OnceLock::new();
    ENGINES
        .get_or_init(|| Arc::new(Engines::load(&Packs::default()).unwrap()))
        .clone()
}

/// What is found in a text that arrives in chunks of so many bytes, at most so many listed.
pub(super) fn look(name: &str, body: &[u8], chunk: usize, most: usize) -> Outcome {
    let mut gather = Gather::new(most, Some(vec![7; 32]));
    let mut look = Look::new(engines(), name, None, Vec::new(), body.len() as u64);
    for chunk in body.chunks(chunk) {
        look.feed(chunk, &mut gather);
    }
    assert!(look.finish(&mut gather).text);
    gather.finish()
}

/// Lines of some width with a number of a person in every 37th; where they stand, first and last byte and line.
fn letter(bytes: usize) -> (String, Vec<(u64, u64, u64)>) {
    let mut text = String::new();
    let mut planted = Vec::new();
    let mut line = 0;
    while text.len() < bytes {
        line += 1;
        if line % 37 == 0 {
            text.push_str("Her SSN is ");
            planted.push((text.len() as u64, text.len() as u64 + 11, line));
            text.push_str(&format!("536-22-{:04}, as she says.\n", 1000 + line % 8999));
        } else {
            text.push_str(&format!(
                "{}\n",
                "the river was high that year ".repeat(1 + line as usize % 4)
            ));
        }
    }
    (text, planted)
}

fn numbers(outcome: &Outcome) -> Vec<(u64, u64, u64)> {
    let ssn = outcome.findings.iter().filter(|found| found.rule == "phi/ssn");
    ssn.map(|found| {
        let span = found.span.unwrap();
        (span.start, span.end, found.line.unwrap())
    })
    .collect()
}

#[test]
fn every_window_answers_for_its_part() {
    let (text, planted) = letter(2_500_000);
    let outcome = look("letter.txt", text.as_bytes(), 256 * 1024, 100_000);
    assert_eq!(numbers(&outcome), planted);
    // The same one line long: windows end between characters.
    let one = text.replace('\n', " ");
    let outcome = look("letter.txt", one.as_bytes(), 256 * 1024, 100_000);
    let first = planted.iter().map(|(start, end, _)| (*start, *end, 1));
    assert_eq!(numbers(&outcome), first.collect::<Vec<_>>());
}

#[test]
fn bytes_that_are_no_text_do_not_move_what_stands_behind_them() {
    let (text, _) = letter(600_000);
    let body: Vec<u8> = text
        .bytes()
        .map(|byte| if byte == b'v' { 0xff } else { byte })
        .collect();
    let planted = letter(600_000).1;
    assert_eq!(numbers(&look("letter.txt", &body, 10_000, 100_000)), planted);
    // Two bytes a character: places are those of the document.
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let moved = planted
        .iter()
        .map(|(start, end, line)| (start * 2 + 2, end * 2 + 2, *line));
    assert_eq!(
        numbers(&look("letter.txt", &wide, 10_001, 100_000)),
        moved.collect::<Vec<_>>()
    );
}

#[test]
fn a_document_gives_the_same_however_it_arrives() {
    let (text, _) = letter(1_500_000);
    let mut table = "visit,patient_ssn,note\n".to_owned();
    for (at, line) in text.lines().enumerate() {
        table.push_str(&format!("{at},219-09-{:04},{line}\n", 1000 + at % 8999));
    }
    for (name, body) in [("letter.txt", &text), ("visits.csv", &table)] {
        // As many findings as are listed: which of them are must not depend on it either.
        for most in [50, 100_000] {
            let whole = look(name, body.as_bytes(), body.len(), most);
            assert!(whole.findings.len() >= 50, "{name}: {}", whole.findings.len());
            for chunk in [999, 64 * 1024, 100_000, 256 * 1024] {
                assert!(
                    look(name, body.as_bytes(), chunk, most) == whole,
                    "{name} in chunks of {chunk}, {most}"
                );
            }
        }
    }
}
