//! `cofferdam scan --records`: each record of a set is a document of its own, and the set is looked at as a whole besides.

mod read;
mod split;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use cofferdam_encrypt::keys::StatementKeyFile;
use cofferdam_processor::cores::Cores;
use cofferdam_schemas::{Finding, Severity, Span, Verdict};
use cofferdam_validate::{Batch, BatchLimits, Files, Outline};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::read::{Fields, Reader, Record};
use super::human::Counts;
use crate::args::{Global, Scan};
use crate::bom::sign;
use crate::output::{Exit, Failure, json_line, on_terminal, printable};

/// Records that are scanned while those before are compared.
const BLOCK: usize = 2_048;
/// Records that a thread takes at a time.
const PART: usize = 32;

/// What is kept of a record that was scanned.
struct Scanned {
    start: u64,
    end: u64,
    line: u64,
    verdict: Verdict,
    risk: u8,
    findings: Vec<Finding>,
    injection: Option<f64>,
    like: Option<usize>,
}

/// Runs the command.
pub async fn run(
    global: &Global,
    args: &Scan,
    files: &Arc<Files>,
    paths: &[PathBuf],
    unreadable: usize,
) -> Result<Exit, Failure> {
    if args.split.is_some()
        && paths
            .iter()
            .any(|path| path.extension().is_some_and(|end| end == "parquet"))
    {
        let text = "--split copies lines of JSON lines, CSV or TSV; of a Parquet file, `--json --records` says which rows are which";
        return Err(Failure::text(Exit::Failure, text));
    }
    if args.split.is_some() && paths.len() != 1 {
        return Err(Failure::text(Exit::Failure, "--split takes one file of records"));
    }
    // Before the work, which may be long: a key that cannot be used is told at once.
    let mut split = match &args.split {
        None => None,
        Some(folder) => Some((folder.clone(), sign::key(global, &args.key)?)),
    };
    let mut worst = Verdict::Pass;
    for path in paths {
        let (files, path, json) = (files.clone(), path.clone(), global.json);
        let fields = Fields {
            text: args.field.clone(),
            label: args.label.clone(),
        };
        // There is one path when there is a split.
        let split = split.take();
        let work = tokio::task::spawn_blocking(move || one(&files, &path, &fields, split, json));
        worst = worst.max(work.await??);
    }
    Ok(super::end(worst, unreadable))
}

fn one(
    files: &Files,
    path: &Path,
    fields: &Fields,
    split: Option<(PathBuf, StatementKeyFile)>,
    json: bool,
) -> anyhow::Result<Verdict> {
    let name = path.to_string_lossy().into_owned();
    let size = std::fs::metadata(path)
        .with_context(|| format!("{name} cannot be read"))?
        .len();
    let bar = if on_terminal() && !json {
        ProgressBar::new(size)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        bar.set_style(style);
    }
    let mut reader = Reader::open(path, fields)?;
    let language = files.engines().language();
    let mut batch = language
        .as_ref()
        .map(|language| Batch::new(BatchLimits::default(), language));
    let compared = batch.is_some();
    let mut all: Vec<Scanned> = Vec::new();
    let mut before: Vec<Ready> = Vec::new();
    let mut block = reader.block(fields, BLOCK)?;
    while let Some(last) = block.last() {
        bar.set_position(last.end);
        // While all threads scan these records, this one compares those before with each other and reads the next.
        let (scanned, next) = std::thread::scope(|scope| {
            let scanning = scope.spawn(|| scan_block(files, &name, &block, compared));
            let ready = std::mem::take(&mut before).into_iter();
            all.extend(ready.map(|ready| compare(ready, batch.as_mut())));
            let next = reader.block(fields, BLOCK);
            (scanning.join(), next)
        });
        let scanned = scanned.map_err(|_| anyhow::anyhow!("the scan of {name} ended unexpectedly"))?;
        before = block.into_iter().zip(scanned).collect();
        block = next?;
    }
    all.extend(before.into_iter().map(|ready| compare(ready, batch.as_mut())));
    bar.finish_and_clear();
    let mut summary = Value::Null;
    if let Some(batch) = batch {
        let told = batch.finish();
        summary = json!({
            "records": told.records, "duplicates": told.duplicates, "near_duplicates": told.near, "label_flips": told.flips,
            "triggered": told.triggered, "outliers": told.outliers, "limits": told.limits,
        });
        for (index, hits) in told.late {
            if let Some(one) = all.get_mut(index) {
                one.findings.extend(hits.into_iter().map(|hit| finding(hit, "")));
            }
        }
    }
    let mut counts = Counts::default();
    let mut worst = Verdict::Pass;
    for one in &mut all {
        one.findings.retain(|finding| files.engines().reports(&finding.rule));
        let incomplete = one.verdict == Verdict::Incomplete;
        one.verdict = files.policy().verdict(&one.findings, incomplete);
        one.risk = cofferdam_validate::risk(&one.findings);
        counts.add(one.verdict);
        worst = worst.max(one.verdict);
    }
    for (number, one) in all.iter().enumerate() {
        if json {
            json_line(&json!({
                "path": name, "record": number + 1, "line": one.line, "verdict": one.verdict, "risk": one.risk,
                "duplicate_of": one.like.map(|like| like + 1),
                "scores": one.injection.map_or_else(|| json!({}), |score| json!({"injection": score})),
                "findings": one.findings,
            }))?;
        } else if one.verdict != Verdict::Pass {
            let rules: std::collections::BTreeSet<&str> = one.findings.iter().map(|f| f.rule.as_str()).collect();
            let rules = rules.into_iter().collect::<Vec<_>>().join(" ");
            println!("{}:{}: {} ({rules})", printable(&name), one.line, one.verdict.as_str());
        }
    }
    if let Some((folder, key)) = split {
        let scanned = split::Input {
            path,
            size: reader.size(),
            sha256: reader.sha256(),
            header: &reader.header,
            records: &all,
        };
        split::write(&scanned, &folder, &summary, files, &key)?;
    }
    if json {
        json_line(&json!({"path": name, "summary": summary, "versions": files.engines().versions()}))?;
    } else {
        eprintln!("{}: {counts}; {summary}", printable(&name));
    }
    Ok(worst)
}

/// A record and what is known of it alone.
type Ready = (Record, (Scanned, Option<Outline>));

fn scan_block(files: &Files, name: &str, block: &[Record], compared: bool) -> Vec<(Scanned, Option<Outline>)> {
    static CORES: Cores = Cores::new("records");
    let scan = |record: &Record| {
        (
            scan_one(files, name, record),
            compared.then(|| Outline::of(&record.text)),
        )
    };
    let parts: Vec<&[Record]> = block.chunks(PART).collect();
    let scanned = CORES.each(&parts, |part| -> Vec<_> {
        // A panic is a fault of ours: the record is not lost but incomplete.
        let guarded = |record| catch_unwind(AssertUnwindSafe(|| scan(record)));
        let lost = |record| (failed(record, "the scan ended unexpectedly"), None);
        part.iter()
            .map(|record| guarded(record).unwrap_or_else(|_| lost(record)))
            .collect()
    });
    scanned.into_iter().flatten().collect()
}

/// Adds what the records before it say of a record.
fn compare((record, (mut one, outline)): Ready, batch: Option<&mut Batch<'_>>) -> Scanned {
    if let Some(batch) = batch {
        // Of a record whose scan was lost nothing is compared.
        let outline = outline.unwrap_or_else(|| Outline::of(""));
        let told = batch.add_outlined(&record.text, outline, record.label.as_deref());
        one.like = told.like;
        let hits = told.hits.into_iter();
        one.findings.extend(hits.map(|hit| finding(hit, &record.text)));
    }
    one
}

fn failed(record: &Record, reason: &'static str) -> Scanned {
    let finding = Finding::new("structure/record", Severity::Medium, 1.0, reason);
    Scanned {
        start: record.start,
        end: record.end,
        line: record.line,
        verdict: Verdict::Incomplete,
        risk: 0,
        findings: vec![finding],
        injection: None,
        like: None,
    }
}

fn scan_one(files: &Files, name: &str, record: &Record) -> Scanned {
    if let Some(reason) = record.broken {
        return failed(record, reason);
    }
    let conclusion = files.scan_text(&record.text, name);
    let score = conclusion
        .details
        .get("scores")
        .and_then(|scores| scores["injection"].as_f64());
    Scanned {
        start: record.start,
        end: record.end,
        line: record.line,
        verdict: conclusion.verdict.unwrap_or(Verdict::Pass),
        risk: 0,
        findings: conclusion.findings,
        injection: score,
        like: None,
    }
}

/// What looking at the set says of a record; of one whose text is gone without the place.
fn finding(hit: cofferdam_validate::Hit, text: &str) -> Finding {
    let span = hit.span.clone();
    let mut finding = Finding::from(hit);
    finding.span = (!text.is_empty()).then_some(Span {
        start: span.start as u64,
        end: span.end as u64,
    });
    finding
}
