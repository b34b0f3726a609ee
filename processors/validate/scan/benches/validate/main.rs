//! What the engines that read text find, and how fast they are.
//!
//! ```text
//! cargo bench -p cofferdam-scan --bench validate -- [phi] [injection] [secrets] [formats] [speed] [--quick]
//! cargo bench -p cofferdam-scan --bench validate -- train phi|injection
//! ```
//!
//! Scores come from grouped cross-validation: nothing that is like a text stands on both sides, and no threshold is chosen on what is
//! scored. Each figure is one line on standard output, `name value unit`; what is said beside goes to standard error. `cargo xtask bench
//! validate` adds the aims and the peers: `COFFERDAM_GITLEAKS` names the program, `COFFERDAM_PEER_PYTHON` a Python that has
//! `tests/peers/python/requirements.txt`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A bench that cannot go on ends.
#![allow(clippy::disallowed_methods)] // There is no runtime here to block.

#[allow(dead_code)] // Half of it are its tests.
#[path = "../../tests/formats.rs"]
mod formats;
mod peers;
mod scores;
mod speed;
mod train;

use std::error::Error;

type Bench = fn(quick: bool) -> Result<(), Box<dyn Error>>;

const BENCHES: [(&str, Bench); 5] = [
    ("phi", scores::phi),
    ("injection", scores::injection),
    ("secrets", scores::secrets),
    ("formats", scores::formats),
    ("speed", speed::all),
];

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [train, engine] = arguments.as_slice()
        && train == "train"
    {
        return train::train(engine);
    }
    let quick = arguments.iter().any(|a| a == "--quick");
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    if let Some(unknown) = names
        .iter()
        .find(|name| BENCHES.iter().all(|(known, _)| *known != name.as_str()))
    {
        let known: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no bench {unknown}; there are {}", known.join(", ")).into());
    }
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            eprintln!("--- {name}");
            bench(quick)?;
        }
    }
    Ok(())
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.3} {unit}");
}

/// A file of the crate.
fn file(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Both labelled sets of personal data: clinical queries, generated sentences.
fn phi_sets() -> Result<[Vec<cofferdam_scan::phi::Document>; 2], Box<dyn Error>> {
    use cofferdam_scan::phi::data::read;
    Ok([
        read(&file("data/phi/asq_phi_dev.jsonl"))?,
        read(&file("data/phi/presidio_synth_v2_dev.jsonl"))?,
    ])
}
