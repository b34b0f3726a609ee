//! Sorting records into files by their verdict.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context, bail};
use cofferdam_schemas::Verdict;
use cofferdam_validate::Files;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Scanned;

/// Copies every record, byte for byte, into the file of its verdict, and says with hashes what is where.
pub(super) fn write(
    path: &Path,
    folder: &Path,
    header: Vec<u8>,
    all: &[Scanned],
    summary: &Value,
    files: &Files,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("jsonl");
    let mut source = BufReader::new(File::open(path)?);
    let mut parts = Vec::new();
    for part in ["clean", "review", "quarantine"] {
        let to = folder.join(format!("{part}.{extension}"));
        let file = File::create(&to).with_context(|| format!("{} cannot be written", to.display()))?;
        let mut out = Part {
            name: part,
            file: BufWriter::new(file),
            sha256: Sha256::new(),
            records: 0,
        };
        out.write(&header)?;
        parts.push(out);
    }
    let mut at = 0;
    for one in all {
        source.seek_relative(i64::try_from(one.start)? - at)?;
        let mut bytes = vec![0; usize::try_from(one.end - one.start)?];
        source.read_exact(&mut bytes)?;
        at = i64::try_from(one.end)?;
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        let part = match one.verdict {
            Verdict::Pass => 0,
            Verdict::Review | Verdict::Incomplete => 1,
            Verdict::Quarantine => 2,
        };
        parts[part].write(&bytes)?;
        parts[part].records += 1;
    }
    let mut listed = serde_json::Map::new();
    let mut written = 0;
    for mut part in parts {
        part.file.flush()?;
        part.file.get_ref().sync_all()?;
        written += part.records;
        let entry = json!({"records": part.records, "sha256": hex::encode(part.sha256.finalize())});
        listed.insert(format!("{}.{extension}", part.name), entry);
    }
    if written != all.len() {
        bail!(
            "{written} of {} records were written: do not use {}",
            all.len(),
            folder.display()
        );
    }
    let manifest = json!({
        "source": path.file_name().map(|name| name.to_string_lossy()), "records": all.len(), "files": listed,
        "summary": summary, "versions": files.engines().versions(),
    });
    let to = folder.join("manifest.json");
    std::fs::write(&to, format!("{manifest:#}\n")).with_context(|| format!("{} cannot be written", to.display()))
}

struct Part {
    name: &'static str,
    file: BufWriter<File>,
    sha256: Sha256,
    records: usize,
}

impl Part {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sha256.update(bytes);
        self.file.write_all(bytes)
    }
}
