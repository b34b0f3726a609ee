//! `cofferdam scan --records`: each record of a set is a document of its own, and the set is looked at as a whole besides.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use cofferdam_schemas::{Finding, Severity, Span, Verdict};
use cofferdam_validate::{Batch, BatchLimits, Files};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::human::{Counts, plain};
use crate::args::{Global, Scan};
use crate::output::{Exit, Failure, json_line, on_terminal, printable};

/// Records scanned together.
const BLOCK: usize = 512;
/// Longest record; a longer one is `incomplete`.
const LONGEST: usize = 16 << 20;

/// Where a record stands in its file, and what of it is scanned.
struct Record {
    start: u64,
    end: u64,
    /// From 1.
    line: u64,
    text: String,
    label: Option<String>,
    /// What is wrong with its form.
    broken: Option<&'static str>,
}

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
    if args.split.is_some() && paths.len() != 1 {
        return Err(Failure::text(Exit::Failure, "--split takes one file of records"));
    }
    let mut worst = Verdict::Pass;
    for path in paths {
        let (files, path, json) = (files.clone(), path.clone(), global.json);
        let fields = Fields {
            text: args.field.clone(),
            label: args.label.clone(),
        };
        let split = args.split.clone();
        let work = tokio::task::spawn_blocking(move || one(&files, &path, &fields, split.as_deref(), json));
        worst = worst.max(work.await??);
    }
    Ok(super::end(worst, unreadable))
}

struct Fields {
    text: Option<String>,
    label: Option<String>,
}

fn one(files: &Files, path: &Path, fields: &Fields, split: Option<&Path>, json: bool) -> anyhow::Result<Verdict> {
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
    let mut reader = Reader::open(path)?;
    let language = files.engines().language();
    let mut batch = language
        .as_ref()
        .map(|language| Batch::new(BatchLimits::default(), language));
    let mut all: Vec<Scanned> = Vec::new();
    loop {
        let block = reader.block(fields, BLOCK)?;
        let Some(last) = block.last() else { break };
        bar.set_position(last.end);
        let mut scanned = scan_block(files, &name, &block);
        if let Some(batch) = &mut batch {
            for (record, one) in block.iter().zip(&mut scanned) {
                let told = batch.add(&record.text, record.label.as_deref());
                one.like = told.like;
                one.findings
                    .extend(told.hits.into_iter().map(|hit| finding(hit, &record.text)));
            }
        }
        all.extend(scanned);
    }
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
    if let Some(folder) = split {
        write_split(path, folder, reader.header.clone(), &all, &summary, files)?;
    }
    if json {
        json_line(&json!({"path": name, "summary": summary, "versions": files.engines().versions()}))?;
    } else {
        eprintln!("{}: {counts}; {summary}", printable(&name));
    }
    Ok(worst)
}

fn scan_block(files: &Files, name: &str, block: &[Record]) -> Vec<Scanned> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let share = block.len().div_ceil(threads).max(1);
    let scan =
        |records: &[Record]| -> Vec<Scanned> { records.iter().map(|record| scan_one(files, name, record)).collect() };
    let mut scanned = Vec::with_capacity(block.len());
    std::thread::scope(|scope| {
        let parts: Vec<_> = block
            .chunks(share)
            .map(|part| scope.spawn(move || scan(part)))
            .collect();
        for (part, records) in parts.into_iter().zip(block.chunks(share)) {
            // A panic is a fault of ours: the records are not lost but incomplete.
            let done = part.join();
            scanned.extend(done.unwrap_or_else(|_| {
                records
                    .iter()
                    .map(|record| failed(record, "the scan ended unexpectedly"))
                    .collect()
            }));
        }
    });
    scanned
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

/// Reads records with the places they stand at.
struct Reader {
    kind: Kind,
    /// The bytes of a table's header, which each part of a split begins with.
    header: Vec<u8>,
}

enum Kind {
    Lines {
        file: BufReader<File>,
        at: u64,
        line: u64,
    },
    Table {
        csv: Box<csv::Reader<File>>,
        names: csv::StringRecord,
    },
}

impl Reader {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut file = File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or("")
            .to_ascii_lowercase();
        let delimiter = match extension.as_str() {
            "csv" => Some(b','),
            "tsv" | "tab" => Some(b'\t'),
            "parquet" => bail!(
                "{shown}: --records reads JSON lines, CSV and TSV; a Parquet file is scanned cell by cell without --records"
            ),
            _ => None,
        };
        let Some(delimiter) = delimiter else {
            let file = BufReader::new(file);
            return Ok(Self {
                kind: Kind::Lines { file, at: 0, line: 0 },
                header: Vec::new(),
            });
        };
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(file.try_clone()?);
        let names = csv
            .headers()
            .with_context(|| format!("{shown}: the header is not readable"))?
            .clone();
        let mut header = vec![0; usize::try_from(csv.position().byte())?];
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut header)?;
        let end = csv.position().byte();
        file.seek(SeekFrom::Start(0))?;
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(file);
        csv.headers()?;
        debug_assert_eq!(csv.position().byte(), end);
        Ok(Self {
            kind: Kind::Table {
                csv: Box::new(csv),
                names,
            },
            header,
        })
    }

    fn block(&mut self, fields: &Fields, most: usize) -> anyhow::Result<Vec<Record>> {
        let mut block = Vec::new();
        while block.len() < most {
            let record = match &mut self.kind {
                Kind::Lines { file, at, line } => next_line(file, at, line, fields)?,
                Kind::Table { csv, names } => next_row(csv, names, fields)?,
            };
            match record {
                Some(record) => block.push(record),
                None => break,
            }
        }
        Ok(block)
    }
}

fn next_line(
    file: &mut BufReader<File>,
    at: &mut u64,
    line: &mut u64,
    fields: &Fields,
) -> anyhow::Result<Option<Record>> {
    loop {
        let (start, mut bytes) = (*at, Vec::new());
        let count = file.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut bytes)?;
        if count == 0 {
            return Ok(None);
        }
        *at += count as u64;
        *line += 1;
        let mut broken = None;
        if count > LONGEST {
            broken = Some("the record is longer than 16 MiB and was not looked at");
            let mut rest = Vec::new();
            while bytes.last() != Some(&b'\n') {
                rest.clear();
                let more = file.by_ref().take(1 << 20).read_until(b'\n', &mut rest)?;
                *at += more as u64;
                if more == 0 || rest.last() == Some(&b'\n') {
                    break;
                }
            }
            bytes.clear();
        } else if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let mut record = Record {
            start,
            end: *at,
            line: *line,
            text: String::new(),
            label: None,
            broken,
        };
        if broken.is_none() {
            match serde_json::from_slice::<Value>(&bytes) {
                Err(_) => record.broken = Some("the line is no JSON"),
                Ok(value) => {
                    record.label = fields.label.as_deref().and_then(|name| pick(&value, name)).map(plain);
                    match &fields.text {
                        None => gather(&value, &mut record.text),
                        Some(name) => match pick(&value, name) {
                            Some(value) => gather(value, &mut record.text),
                            None => record.broken = Some("the record does not have the field"),
                        },
                    }
                }
            }
        }
        return Ok(Some(record));
    }
}

fn pick<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(name) {
        return Some(found);
    }
    name.split('.').try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

/// All text of a value: a string as it is, of anything larger each string on a line.
fn gather(value: &Value, text: &mut String) {
    match value {
        Value::String(one) => {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(one);
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, text)),
        Value::Object(members) => members.values().for_each(|member| gather(member, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn next_row(csv: &mut csv::Reader<File>, names: &csv::StringRecord, fields: &Fields) -> anyhow::Result<Option<Record>> {
    let start = csv.position().byte();
    let line = csv.position().line();
    let mut row = csv::ByteRecord::new();
    if !csv.read_byte_record(&mut row)? {
        return Ok(None);
    }
    let column = |name: &str| {
        let at = names.iter().position(|known| known == name);
        at.with_context(|| {
            format!(
                "there is no column {name:?}; there are {}",
                names.iter().collect::<Vec<_>>().join(", ")
            )
        })
    };
    let cell = |at: usize| row.get(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = match &fields.text {
        Some(name) => cell(column(name)?),
        None => Some(row.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")),
    };
    let label = match &fields.label {
        Some(name) => cell(column(name)?),
        None => None,
    };
    Ok(Some(Record {
        start,
        end: csv.position().byte(),
        line,
        broken: text.is_none().then_some("the row does not have the column"),
        text: text.unwrap_or_default(),
        label,
    }))
}

/// Copies every record, byte for byte, into the file of its verdict, and says with hashes what is where.
fn write_split(
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
