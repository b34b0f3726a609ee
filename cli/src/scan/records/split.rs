//! Sorting records into files by their verdict, with a signed bill of materials beside them.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use anyhow::{Context, bail};
use cofferdam_encrypt::keys::StatementKeyFile;
use cofferdam_schemas::bom::{self, Batch, Counts, Source, Split};
use cofferdam_schemas::{Sha256Hex, Verdict};
use cofferdam_validate::Files;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Scanned;
use crate::bom::sign::{Draft, sign};

/// The name of the bill.
const BOM: &str = "bom.json";
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// The file that was scanned, as it was then.
pub(super) struct Input<'a> {
    pub(super) path: &'a Path,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// What each part begins with.
    pub(super) header: &'a [u8],
    pub(super) records: &'a [Scanned],
}

/// Copies every record, byte for byte, into the file of its verdict, and signs what is where.
///
/// # Errors
/// When a file cannot be written, a record is in none, or the input is not any more what was scanned; then there is no bill.
pub(super) fn write(
    input: &Input<'_>,
    folder: &Path,
    summary: &Value,
    files: &Files,
    key: &StatementKeyFile,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let bill = folder.join(BOM);
    // One of an earlier split would speak of other files.
    match std::fs::remove_file(&bill) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be replaced", bill.display()));
        }
        _ => {}
    }
    let extension = input.path.extension().and_then(|e| e.to_str()).unwrap_or("jsonl");
    let mut parts = Vec::new();
    for name in ["clean", "review", "quarantine"] {
        let name = format!("{name}.{extension}");
        let to = folder.join(&name);
        if same_file(&to, input.path) {
            bail!("{} is the file that is to be split: name another folder", to.display());
        }
        let file = File::create(&to).with_context(|| format!("{} cannot be written", to.display()))?;
        let mut part = Part {
            name,
            file: BufWriter::new(file),
            sha256: Sha256::new(),
            size: 0,
            counts: Counts::default(),
        };
        part.write(input.header)?;
        parts.push(part);
    }
    copy(input, &mut parts)?;
    let mut counts = Counts::default();
    input.records.iter().for_each(|one| counts.add(Some(one.verdict)));
    let parts = parts.into_iter().map(Part::finish).collect::<anyhow::Result<_>>()?;
    let number = |name: &String, value: &Value| Some((name.clone(), value.as_u64()?));
    let numbers = summary.as_object().into_iter().flatten();
    let limits = summary["limits"].as_array().into_iter().flatten();
    let draft = Draft {
        batch: Batch::all(Source::Split),
        counts,
        versions: vec![files.engines().versions().clone()],
        documents: Vec::new(),
        split: Some(Split {
            input: bom::File {
                name: input
                    .path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                size: input.size,
                sha256: Sha256Hex::new(input.sha256.as_str())?,
                records: input.records.len() as u64,
            },
            parts,
            set: numbers.filter_map(|(name, value)| number(name, value)).collect(),
            limits: limits.filter_map(|limit| limit.as_str().map(str::to_owned)).collect(),
        }),
        tenant: None,
    };
    // A lost record makes a statement that contradicts itself, which is not signed.
    let bytes = sign(key, draft).with_context(|| format!("do not use {}", folder.display()))?;
    std::fs::write(&bill, bytes).with_context(|| format!("{} cannot be written", bill.display()))
}

/// Sorts the records. What stands between them (blank lines) is read too, so that the hash is of the whole input.
fn copy(input: &Input<'_>, parts: &mut [Part]) -> anyhow::Result<()> {
    let mut source = BufReader::with_capacity(CHUNK, File::open(input.path)?);
    let (mut sha256, mut at) = (Sha256::new(), 0);
    let changed = || {
        format!(
            "{} was changed while it was read: do not use what was written",
            input.path.display()
        )
    };
    for one in input.records {
        skip(
            &mut source,
            one.start.checked_sub(at).with_context(changed)?,
            &mut sha256,
        )
        .with_context(changed)?;
        let mut bytes = vec![0; usize::try_from(one.end - one.start)?];
        source.read_exact(&mut bytes).with_context(changed)?;
        sha256.update(&bytes);
        at = one.end;
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        let part = match one.verdict {
            Verdict::Pass => 0,
            Verdict::Review | Verdict::Incomplete => 1,
            Verdict::Quarantine => 2,
        };
        parts[part].write(&bytes)?;
        parts[part].counts.add(Some(one.verdict));
    }
    skip(
        &mut source,
        input.size.checked_sub(at).with_context(changed)?,
        &mut sha256,
    )
    .with_context(changed)?;
    if source.read(&mut [0])? != 0 || hex::encode(sha256.finalize()) != input.sha256 {
        bail!(changed());
    }
    Ok(())
}

fn skip(source: &mut impl Read, mut bytes: u64, sha256: &mut Sha256) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while bytes > 0 {
        let count = usize::try_from(bytes).unwrap_or(buffer.len()).min(buffer.len());
        source.read_exact(&mut buffer[..count])?;
        sha256.update(&buffer[..count]);
        bytes -= count as u64;
    }
    Ok(())
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

struct Part {
    name: String,
    file: BufWriter<File>,
    sha256: Sha256,
    size: u64,
    counts: Counts,
}

impl Part {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> anyhow::Result<bom::Part> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(bom::Part {
            file: bom::File {
                name: self.name,
                size: self.size,
                sha256: Sha256Hex::new(hex::encode(self.sha256.finalize()))?,
                records: self.counts.total,
            },
            counts: self.counts,
        })
    }
}
