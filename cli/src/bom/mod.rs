//! `cofferdam bom`: signed bills of materials, as in-toto statements in DSSE envelopes.

mod catalog;
mod lines;
mod make;
pub mod sign;
mod verify;

use cofferdam_schemas::Timestamp;
use cofferdam_schemas::bom::Document;

use crate::args::{Bom, Global};
use crate::output::{Exit, Failure};

/// What a batch was taken from gives: documents, and the sets of versions that they name.
#[derive(Default)]
struct Gathered {
    documents: Vec<Document>,
    versions: Versions,
}

/// Sets of versions, each once. There are as many as there were configurations, which is few.
#[derive(Default)]
struct Versions(Vec<std::collections::BTreeMap<String, String>>);

impl Versions {
    /// The place of a set.
    fn place(&mut self, set: std::collections::BTreeMap<String, String>) -> u32 {
        let found = self.0.iter().position(|known| *known == set);
        let place = found.unwrap_or_else(|| {
            self.0.push(set);
            self.0.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}

/// Runs the command.
pub async fn run(global: &Global, command: &Bom) -> Result<Exit, Failure> {
    match command {
        Bom::Keygen { out } => sign::keygen(global, out.as_deref()),
        Bom::Make(args) => make::run(global, args).await,
        Bom::Verify(args) => {
            let (json, bom, key, files) = (global.json, args.bom.clone(), args.key.clone(), args.files.clone());
            // Hashing files blocks.
            tokio::task::spawn_blocking(move || verify::run(json, &bom, &key, files.as_deref())).await?
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from(time::OffsetDateTime::now_utc())
}
