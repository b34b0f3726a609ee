//! Scores.

use std::error::Error;

use cofferdam_scan::injection::evaluate::{Scores, evaluate as evaluate_injection};
use cofferdam_scan::injection::train::{Set, Settings};
use cofferdam_scan::phi;
use cofferdam_scan::phi::evaluate::STRUCTURED;
use cofferdam_scan::secrets::Packs;
use cofferdam_scan::secrets::eval::{Document, evaluate as evaluate_secrets, parse};
use cofferdam_schemas::Severity;

use crate::{figure, file, peers};

/// Folds of the cross-validation over templates.
const FOLDS: usize = 5;

/// Typed spans, matched one to one from half of their union on, in folds that share no template.
pub fn phi(_quick: bool) -> Result<(), Box<dyn Error>> {
    let [clinical, generated] = crate::phi_sets()?;
    let scores = phi::evaluate::evaluate(&clinical, &generated, FOLDS, &phi::train::Settings::default())?;
    eprintln!("clinical queries, {} groups\n{}", scores.groups.0, scores.clinical);
    eprintln!("generated sentences, {} groups\n{}", scores.groups.1, scores.generated);
    for (name, count) in [
        ("clinical", scores.clinical.all()),
        ("generated", scores.generated.all()),
        ("structured", scores.generated.micro(&STRUCTURED)),
    ] {
        figure(&format!("phi.{name}.f1"), count.f1(), "F1 of typed spans");
        figure(
            &format!("phi.{name}.precision"),
            count.precision(),
            "of the spans found",
        );
        figure(&format!("phi.{name}.recall"), count.recall(), "of the spans labelled");
    }
    figure(
        "phi.clinical.flagged",
        100.0 * scores.clinical.flagged_share(),
        "% of the clean queries",
    );
    Ok(())
}

/// New texts of known sources, and sources never seen.
pub fn injection(_quick: bool) -> Result<(), Box<dyn Error>> {
    let report = evaluate_injection(&Set::load()?, &Settings::default())?;
    eprintln!("{report}");
    for (name, scores) in [("duplicates", &report.by_cluster), ("source", &report.by_source)] {
        print(name, scores);
    }
    Ok(())
}

fn print(name: &str, scores: &Scores) {
    let figure =
        |part: &str, value: f32, unit: &str| figure(&format!("injection.{name}.{part}"), f64::from(value), unit);
    figure("auc", scores.auc, "area under the ROC curve");
    for (level, at) in [("review", scores.review), ("quarantine", scores.quarantine)] {
        figure(&format!("{level}.f1"), at.f1, "F1");
        figure(&format!("{level}.recall"), at.recall, "of the attacks");
        figure(
            &format!("{level}.flagged"),
            100.0 * at.false_positives,
            "% of the harmless texts",
        );
    }
    if let Some(docs) = scores.families.iter().find(|family| family.name == "benign_docs_prose") {
        figure(
            "documentation",
            100.0 * docs.review,
            "% of the documentation flagged for review",
        );
    }
}

/// A made-up set of leaky files, and whether the rules were written with it in view.
const SETS: [&str; 4] = ["leaky", "fresh", "third", "benign"];

pub fn secrets(_quick: bool) -> Result<(), Box<dyn Error>> {
    let packs = Packs::builtin()?;
    eprintln!(
        "the rules have since been changed because of all sets; before that `fresh` had 67 of 83 lines and `third` 30 of 36, see the heads of the files"
    );
    for set in SETS {
        let documents = parse(&std::fs::read_to_string(file(&format!("tests/data/{set}.txt")))?);
        for (kind, names) in [("named", true), ("unnamed", false)] {
            let scores = evaluate_secrets(&packs, &documents, Severity::Medium, names);
            let name = format!("secrets.{set}.{kind}");
            lines(&name, (scores.lines_found, scores.lines, scores.false_lines));
        }
        for (peer, found) in peers::secrets(&documents)? {
            let count = count(&documents, &found);
            lines(&format!("secrets.{set}.{peer}"), count);
        }
    }
    Ok(())
}

fn lines(name: &str, (found, marked, wrong): (usize, usize, usize)) {
    if marked > 0 {
        figure(
            &format!("{name}.lines"),
            100.0 * found as f64 / marked as f64,
            &format!("% of {marked} lines with a credential"),
        );
    }
    figure(&format!("{name}.false"), wrong as f64, "lines without one");
}

/// Marked lines found, marked lines, and findings beside them.
fn count(documents: &[Document], found: &[(String, usize, usize)]) -> (usize, usize, usize) {
    let mut sum = (0, 0, 0);
    for document in documents {
        let own: Vec<_> = found.iter().filter(|(name, ..)| *name == document.name).collect();
        let covers = |line: &usize| own.iter().any(|(_, first, last)| (first..=last).contains(&line));
        sum.0 += document.marked.iter().filter(|line| covers(line)).count();
        sum.1 += document.marked.len();
        let beside = |(_, first, last): &&&(String, usize, usize)| {
            !document.marked.iter().any(|line| (first..=last).contains(&line))
        };
        sum.2 += own.iter().filter(beside).count();
    }
    sum
}

/// The text formats here; containers have their own data and child process, and their test.
pub fn formats(_quick: bool) -> Result<(), Box<dyn Error>> {
    let outcomes = crate::formats::outcomes();
    for (path, outcome) in &outcomes {
        if let Err(what) = outcome {
            eprintln!("{path}: {what}");
        }
    }
    let right = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    figure(
        "formats.text.right",
        right as f64,
        &format!("of {} files", outcomes.len()),
    );
    eprintln!(
        "the 68 files in containers are judged by `cargo test -p cofferdam-inside every_sample_gives_its_outcome`"
    );
    Ok(())
}
