//! Documents out of the lines that `cofferdam scan --json` printed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context, bail};
use cofferdam_schemas::ScanLine;
use cofferdam_schemas::bom::{Document, MOST_DOCUMENTS};

use super::Gathered;

/// The longest line: ten thousand findings have about 5 MB.
const LONGEST: u64 = 64 << 20;

/// Reads them all.
///
/// # Errors
/// When a line is none, naming it; a batch with a part left out is not signed.
pub fn read(path: &Path) -> anyhow::Result<Gathered> {
    let shown = path.display();
    let mut input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        Box::new(BufReader::new(file))
    };
    let mut gathered = Gathered::default();
    let mut bytes = Vec::new();
    for number in 1_u64.. {
        bytes.clear();
        let count = input
            .by_ref()
            .take(LONGEST + 1)
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("{shown} cannot be read"))?;
        if count == 0 {
            break;
        }
        if count as u64 > LONGEST {
            bail!("{shown}, line {number}: longer than {LONGEST} bytes");
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if gathered.documents.len() == MOST_DOCUMENTS {
            bail!("{shown} has more than {MOST_DOCUMENTS} documents: make several bills");
        }
        // The reader's error is dropped, it could repeat a part of the line.
        let line: ScanLine = serde_json::from_slice(&bytes).ok().with_context(|| {
            format!("{shown}, line {number}: it is no line of `scan --json` for a file (records are signed by `scan --records --split`)")
        })?;
        let document = document(line, &mut gathered);
        gathered.documents.push(document);
    }
    Ok(gathered)
}

fn document(line: ScanLine, gathered: &mut Gathered) -> Document {
    let unlisted = line
        .facts
        .get("findings_not_listed")
        .and_then(|n| n.as_u64())
        .unwrap_or(0);
    Document {
        name: line.path,
        bucket: None,
        object: None,
        state: None,
        size: line.size,
        sha256: line.sha256,
        verdict: Some(line.verdict),
        risk: Some(line.risk),
        findings: (line.findings.len() as u64).saturating_add(unlisted),
        rules: line.findings.into_iter().map(|finding| finding.rule).collect(),
        versions: Some(gathered.versions.place(line.versions)),
        checked_at: None,
    }
}
