//! Weights that belong to their data, and scores that stay.

use std::path::Path;

use cofferdam_scan::phi::data::{Document, read};
use cofferdam_scan::phi::evaluate::{STRUCTURED, evaluate};
use cofferdam_scan::phi::pack::BUILT_IN;
use cofferdam_scan::phi::{Phi, Tagger, tagger, train};

fn data() -> (Vec<Document>, Vec<Document>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/phi");
    (
        read(&folder.join("asq_phi_dev.jsonl")).unwrap(),
        read(&folder.join("presidio_synth_v2_dev.jsonl")).unwrap(),
    )
}

#[test]
fn the_weights_are_those_of_the_data() {
    let (clinical, generated) = data();
    let documents: Vec<&Document> = clinical.iter().chain(&generated).collect();
    let trained_on = Tagger::built_in().unwrap().trained_on();
    assert_eq!(
        trained_on,
        train::fingerprint(&documents)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    );
    // And the command makes them again.
    let phi = Phi::load_with(&BUILT_IN, None).unwrap();
    let bytes = train::train(&phi, &documents, &train::Settings::default());
    assert!(
        bytes == tagger::BUILT_IN,
        "run `cargo xtask train phi` and look at the scores"
    );
    assert!(bytes.len() <= 400_000);
}

#[test]
fn scores_on_unseen_groups_stay() {
    let (clinical, generated) = data();
    let evaluation = evaluate(&clinical, &generated, 5, &train::Settings::default()).unwrap();
    assert!(evaluation.clinical.all().f1() >= 0.95, "{}", evaluation.clinical);
    assert!(evaluation.clinical.flagged_share() <= 0.10, "{}", evaluation.clinical);
    assert!(
        evaluation.generated.micro(&STRUCTURED).f1() >= 0.93,
        "{}",
        evaluation.generated
    );
}
