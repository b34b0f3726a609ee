//! Makes the weights in `rules/` from the data in `data/`. The same data and code give the same bytes.

use std::error::Error;

use cofferdam_scan::injection::train::{Set, Settings, train as train_injection};
use cofferdam_scan::phi::{Phi, Tagger, pack, train as phi};

pub fn train(engine: &str) -> Result<(), Box<dyn Error>> {
    let (path, bytes) = match engine {
        "phi" => ("rules/phi-tagger.bin", tagger()?),
        "injection" => ("rules/injection.model", injection()?),
        other => return Err(format!("nothing is trained for {other}; there are phi, injection").into()),
    };
    std::fs::write(crate::file(path), &bytes)?;
    println!("{path}: {} bytes", bytes.len());
    Ok(())
}

fn tagger() -> Result<Vec<u8>, Box<dyn Error>> {
    let documents = crate::phi_sets()?.concat();
    let engine = Phi::load_with(&pack::BUILT_IN, None)?;
    let bytes = phi::train(
        &engine,
        &documents.iter().collect::<Vec<_>>(),
        &phi::Settings::default(),
    );
    println!("trained on {}", Tagger::read(&bytes)?.trained_on());
    Ok(bytes)
}

fn injection() -> Result<Vec<u8>, Box<dyn Error>> {
    let set = Set::load()?;
    let model = train_injection(&set, &Settings::default())?;
    println!(
        "{} texts, review from {:.3}, quarantine from {:.3}, length penalty {:.3}",
        set.dev.len() + set.extra.len(),
        model.review,
        model.quarantine,
        model.length_penalty
    );
    Ok(model.to_bytes())
}
