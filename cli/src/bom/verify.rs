//! `cofferdam bom verify`. Needs the file, the public key, and nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use cofferdam_encrypt::statement::StatementKey;
use cofferdam_schemas::bom::{Bom, Statement, Subject};
use cofferdam_schemas::dsse::{self, Envelope};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::make::said;
use crate::output::{Exit, Failure, json_line, printable};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// Checks signatures, form, counts and, with a folder, the files.
pub fn run(json: bool, bom: &Path, key: &Path, files: Option<&Path>) -> Result<Exit, Failure> {
    let bytes = read(bom)?;
    let key = StatementKey::read(key)?;
    let statement = open(&bytes, &key).map_err(|error| {
        let context = format!("{} does not hold", bom.display());
        Failure::new(Exit::Checks, error.context(context))
    })?;
    drop(bytes);
    let inputs = inputs(&statement.predicate);
    let looked = files
        .map(|folder| compare(folder, &statement.subject, &inputs))
        .transpose()?;
    let wrong = looked.as_ref().map_or(0, |looked| looked.wrong.len());
    if json {
        let wrong_file = |(name, what): &(String, String)| json!({"name": name, "reason": what});
        let files = looked.as_ref().map(|looked| {
            let list: Vec<_> = looked.wrong.iter().map(wrong_file).collect();
            json!({"same": looked.same, "wrong": list})
        });
        json_line(&json!({"valid": wrong == 0, "key": key.id(), "files": files, "statement": statement}))?;
    } else {
        show(&statement, &key, looked.as_ref());
    }
    Ok(if wrong == 0 { Exit::Ok } else { Exit::Checks })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(dsse::MOST_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(bytes)
}

/// The statement, once everything about it that needs no files holds. The payload is read only after its signatures.
fn open(bytes: &[u8], key: &StatementKey) -> anyhow::Result<Statement> {
    let envelope = Envelope::read(bytes)?;
    let payload = key.open(&envelope, dsse::IN_TOTO)?;
    drop(envelope);
    let statement: Statement =
        serde_json::from_slice(&payload).context("it is signed, but no bill of materials of this version")?;
    statement.check()?;
    if statement.predicate.made_by.key != key.id() {
        return Err(anyhow!("it names another key than the one that signed it"));
    }
    Ok(statement)
}

/// The file that was split. It is no subject, but where it lies beside its parts it is looked at too.
fn inputs(bom: &Bom) -> Vec<Subject> {
    let input = bom.split.as_ref().map(|split| &split.input);
    let subject = |file: &cofferdam_schemas::bom::File| Subject {
        name: file.name.clone(),
        digest: cofferdam_schemas::bom::Digest {
            sha256: file.sha256.clone(),
        },
    };
    input.map(subject).into_iter().collect()
}

struct Looked {
    same: usize,
    /// Names and what is wrong with them.
    wrong: Vec<(String, String)>,
}

/// Hashes each file once. Of a name that stands several times, the file is one of the versions.
fn compare(folder: &Path, subjects: &[Subject], inputs: &[Subject]) -> anyhow::Result<Looked> {
    if !folder.is_dir() {
        return Err(anyhow!("{} is no folder", folder.display()));
    }
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for subject in subjects {
        by_name
            .entry(&subject.name)
            .or_default()
            .push(subject.digest.sha256.as_str());
    }
    for input in inputs {
        if below(folder, &input.name).is_some_and(|path| path.exists()) {
            by_name
                .entry(&input.name)
                .or_default()
                .push(input.digest.sha256.as_str());
        }
    }
    let mut looked = Looked {
        same: 0,
        wrong: Vec::new(),
    };
    for (name, digests) in by_name {
        let wrong = match below(folder, name).map(|path| hash(&path)) {
            None => "its name leads out of the folder".to_owned(),
            Some(Err(error)) if error.kind() == ErrorKind::NotFound => "it is not there".to_owned(),
            Some(Err(error)) => format!("it cannot be read: {error}"),
            Some(Ok(found)) if digests.contains(&found.as_str()) => {
                looked.same += 1;
                continue;
            }
            Some(Ok(_)) => "its bytes are not those that were signed".to_owned(),
        };
        looked.wrong.push((name.to_owned(), wrong));
    }
    Ok(looked)
}

/// A name as a path below a folder; one that begins at the root is taken from the folder on.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

fn hash(path: &Path) -> std::io::Result<String> {
    // Before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    let mut file = File::open(path)?;
    let (mut sum, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(sum.finalize())),
            Ok(count) => sum.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn show(statement: &Statement, key: &StatementKey, looked: Option<&Looked>) {
    let bom = &statement.predicate;
    println!("signed by key {}: Ed25519 and ML-DSA-65 hold", key.id());
    let maker = &bom.made_by;
    let tenant = maker
        .tenant
        .as_ref()
        .map(|tenant| format!(" for tenant {tenant}"))
        .unwrap_or_default();
    let (program, version) = (printable(&maker.program), printable(&maker.version));
    println!("made {} by {program} {version}{tenant}", bom.made_at);
    match &bom.split {
        None => println!("{} documents: {}", bom.documents.len(), said(&bom.counts)),
        Some(split) => {
            println!(
                "{}: {} records: {}",
                printable(&split.input.name),
                split.input.records,
                said(&bom.counts)
            );
            for part in &split.parts {
                println!("  {}: {} records", printable(&part.file.name), part.file.records);
            }
        }
    }
    for set in &bom.versions {
        let named = set.iter().map(|(name, version)| format!("{name} {version}"));
        println!("checked with {}", printable(&named.collect::<Vec<_>>().join(", ")));
    }
    match looked {
        None => println!("files were not looked at (--files DIR)"),
        Some(Looked { same, wrong }) => {
            println!("{same} of {} files are the ones that were signed", same + wrong.len());
            for (name, what) in wrong {
                println!("  {}: {what}", printable(name));
            }
        }
    }
}
