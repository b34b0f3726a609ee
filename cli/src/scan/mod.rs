//! `cofferdam scan`: the processor `validate` over files on this machine, with no server.

mod human;
mod records;
pub mod rules;
mod sarif;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use cofferdam_processor::Conclusion;
use cofferdam_schemas::{ScanLine, Verdict};
use cofferdam_validate::{Config, Files, Plan};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::{Global, Scan};
use crate::output::{Exit, Failure, json_line};

/// Runs the command.
pub async fn run(global: &Global, args: &Scan) -> Result<Exit, Failure> {
    let plan = plan(args)?;
    let key = match &args.hash_key {
        None => None,
        Some(path) => Some(std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?),
    };
    let schemas = args.schema.clone();
    let files = tokio::task::spawn_blocking(move || Files::new(plan, key)?.conforming(&schemas)).await?;
    let files = Arc::new(files.map_err(|error| Failure::new(Exit::Config, error))?);
    let mut unreadable = 0;
    let mut paths = Vec::new();
    for path in &args.paths {
        walk(path, true, &mut paths, &mut unreadable);
    }
    if args.records {
        return records::run(global, args, &files, &paths, unreadable).await;
    }
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let mut scans = futures::stream::iter(paths.into_iter().map(|path| {
        let files = files.clone();
        async move {
            let name = path.to_string_lossy().into_owned();
            let scanned = files.scan(&path, &name).await;
            (path, name, scanned)
        }
    }))
    .buffered(at_once);
    let mut worst = Verdict::Pass;
    let mut sarif = args.sarif.then(sarif::Log::new);
    let mut counts = human::Counts::default();
    while let Some((path, name, scanned)) = scans.next().await {
        let conclusion = match scanned {
            Ok(conclusion) => conclusion,
            Err(error) => {
                unreadable += 1;
                eprintln!("error: {:#}", anyhow::Error::from(error));
                continue;
            }
        };
        let verdict = conclusion.verdict.unwrap_or(Verdict::Pass);
        worst = worst.max(verdict);
        counts.add(verdict);
        match &mut sarif {
            Some(log) => log.add(&name, &conclusion),
            None if global.json => json_line(&document(&name, &conclusion))?,
            None => human::print(&path, &name, &conclusion)?,
        }
    }
    match sarif {
        Some(log) => json_line(&log.finish(files.engines()))?,
        None if !global.json => eprintln!("{counts}"),
        None => {}
    }
    Ok(end(worst, unreadable))
}

fn end(worst: Verdict, unreadable: usize) -> Exit {
    match worst {
        _ if unreadable > 0 => Exit::Failure,
        Verdict::Pass => Exit::Ok,
        Verdict::Review => Exit::Review,
        Verdict::Incomplete => Exit::Incomplete,
        Verdict::Quarantine => Exit::Checks,
    }
}

/// The policy file, if there is one, and what the command line says.
fn plan(args: &Scan) -> Result<Plan, Failure> {
    let mut config = match &args.policy {
        None => Config::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            toml::from_str(&text)
                .with_context(|| {
                    format!(
                        "{} is no policy: it takes the keys of [processors.validate]",
                        path.display()
                    )
                })
                .map_err(|error| Failure::new(Exit::Config, error))?
        }
    };
    config.packs.silence.extend(args.silence.iter().cloned());
    config.packs.without.extend(args.without.iter().cloned());
    for path in &args.yara {
        config.packs.yara.push(std::path::absolute(path)?);
    }
    let mut plan = config.plan().map_err(|error| Failure::new(Exit::Config, error))?;
    plan.policy.max_findings = args.max_findings.max(1);
    Ok(plan)
}

/// Files at and below a path, in the order of their names. Only what is named on the command line may be a link.
fn walk(path: &Path, named: bool, files: &mut Vec<PathBuf>, unreadable: &mut usize) {
    let kind = if named {
        std::fs::metadata(path)
    } else {
        std::fs::symlink_metadata(path)
    };
    let mut failed = |error: std::io::Error| {
        *unreadable += 1;
        eprintln!("error: {} cannot be read: {error}", path.display());
    };
    match kind {
        Err(error) => failed(error),
        Ok(kind) if kind.is_file() => files.push(path.to_owned()),
        Ok(kind) if kind.is_dir() => match std::fs::read_dir(path) {
            Err(error) => failed(error),
            Ok(entries) => {
                let mut below: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
                below.sort();
                for path in below {
                    walk(&path, false, files, unreadable);
                }
            }
        },
        // Devices, pipes, sockets, links: nothing a document is.
        Ok(_) if named => failed(std::io::Error::other("it is neither a file nor a folder")),
        Ok(_) => {}
    }
}

/// The line of `--json`.
pub fn document(path: &str, conclusion: &Conclusion) -> ScanLine {
    let mut facts = conclusion.details.clone();
    ScanLine {
        path: path.to_owned(),
        detected_type: take(&mut facts, "detected_type"),
        verdict: conclusion.verdict.unwrap_or(Verdict::Pass),
        risk: take(&mut facts, "risk").unwrap_or_default(),
        size: take(&mut facts, "size"),
        sha256: take(&mut facts, "sha256"),
        checked: take(&mut facts, "checked").unwrap_or_default(),
        not_checked: take(&mut facts, "not_checked").unwrap_or_default(),
        findings: conclusion.findings.clone(),
        scores: take(&mut facts, "scores").unwrap_or_default(),
        versions: take(&mut facts, "versions").unwrap_or_default(),
        facts,
    }
}

/// A detail that has a place of its own. One of an unexpected form stays among the facts, so that it is not lost.
fn take<T: DeserializeOwned>(details: &mut BTreeMap<String, Value>, name: &str) -> Option<T> {
    let taken = T::deserialize(details.get(name)?).ok()?;
    details.remove(name);
    Some(taken)
}
