//! `cargo xtask demo`: the main job on real files, from nothing to a table of results.
//!
//! Starts everything on free loopback ports in a temporary directory, drops files through a stock S3 client, follows each on the live feed, retrieves each with a command, compares. Among them is
//! one of each verdict: what is quarantined must not come back. Exits 0 only if every row is right, and leaves nothing behind.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cofferdam_tests::history::eicar;
use cofferdam_tests::{Feed, Instance, Settings, Tenant};
use serde_json::json;
use sha2::{Digest, Sha256};

struct Row {
    document: String,
    size: usize,
    found: String,
    sealed_in: String,
    verdict: String,
    why: String,
    retrieved: String,
    /// Whether it came back as it went in; of one that is quarantined, whether it was refused.
    right: bool,
}

/// A document and the verdict it is to have.
struct Sample {
    key: String,
    body: Vec<u8>,
    verdict: &'static str,
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(demo()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The sample files, and the ones that are made on the spot.
fn documents() -> anyhow::Result<Vec<Sample>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples");
    let sample = |key: &str, body: Vec<u8>, verdict| Sample {
        key: key.to_owned(),
        body,
        verdict,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("no samples in {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_file() && name != "README.md" && name != "make.py" {
            files.push(sample(name, std::fs::read(&path)?, "pass"));
        }
    }
    files.sort_by(|one, other| one.key.cmp(&other.key));
    ensure!(!files.is_empty(), "no samples in {}", folder.display());
    let odd = "odd names/a b+c%2Fd \u{1f512}.txt";
    files.push(sample("empty.bin", Vec::new(), "pass"));
    files.push(sample(
        odd,
        b"a key with spaces, plus, percent and an emoji\n".to_vec(),
        "pass",
    ));
    files.push(sample("big-100MB.bin", noise(100_000_000), "pass"));
    // Made-up people; numbers of the range that is never given out stand in two parts, so that scanners leave this source alone.
    let people = format!(
        "name,ssn,visit\nIda Thorne,{0}-4821,2026-03-04\nOwen Calder,{0}-7350,2026-03-05\n",
        "536-22"
    );
    files.push(sample("visits.csv", people.into_bytes(), "review"));
    files.push(sample("nested.gz", nested(20)?, "incomplete"));
    files.push(sample(
        "invoice.txt",
        format!("{}\n", eicar()).into_bytes(),
        "quarantine",
    ));
    Ok(files)
}

/// Gzip in gzip, deeper than anybody looks.
fn nested(depth: usize) -> std::io::Result<Vec<u8>> {
    (0..depth).try_fold(b"at the bottom\n".to_vec(), |inner, _| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&inner)?;
        packed.finish()
    })
}

/// Bytes that do not compress, from a fixed seed (xorshift64*).
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

async fn demo() -> anyhow::Result<bool> {
    let home = tempfile::Builder::new().prefix("cofferdam-demo-").tempdir()?;
    let began = Instant::now();
    let mut instance = Instance::start(home.path(), Settings::default())?;
    println!(
        "started in {:.1} s: S3 at {}, NATS at {}",
        began.elapsed().as_secs_f64(),
        instance.run.s3.endpoint,
        instance.run.nats.url
    );

    let tenant = Tenant::connect(&instance.run).await?;
    let feed = Feed::start(&tenant).await?;
    let mut dropped = Vec::new();
    for Sample { key, body, verdict } in documents()? {
        let etag = tenant
            .put(&key, body.clone())
            .await
            .with_context(|| format!("put {key}"))?;
        dropped.push((key, etag, body, verdict));
    }
    let mut rows = Vec::new();
    for (key, etag, body, expected) in dropped {
        let heard = feed.done(&key, &etag, Duration::from_secs(180)).await?;
        let done = &heard.done[0];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let time = |result: Option<&serde_json::Value>, name: &str| {
            result.and_then(|r| r[name].as_str()?.parse::<cofferdam_schemas::Timestamp>().ok())
        };
        let encrypt = heard.results.get("encrypt");
        let sealed_in = match (time(encrypt, "started_at"), time(encrypt, "finished_at")) {
            (Some(start), Some(end)) => format!("{} ms", end.unix_millis() - start.unix_millis()),
            _ => "-".to_owned(),
        };
        let began = Instant::now();
        let back = tenant.retrieve(json!({"object": done["object"]["id"]}), None).await;
        let quarantined = expected == "quarantine";
        let (retrieved, right) = match &back {
            Ok(back) => {
                let same = back.body[..] == body[..] && back.values["sha256"] == hex(&Sha256::digest(&body));
                (format!("{} ms", began.elapsed().as_millis()), same && !quarantined)
            }
            Err(error) if quarantined && format!("{error:#}").contains("\"quarantined\"") => {
                ("refused".to_owned(), true)
            }
            Err(error) => (format!("{error:#}"), false),
        };
        let found = heard
            .results
            .get("validate")
            .map(|r| text(&r["details"]["detected_type"]))
            .unwrap_or("-".into());
        let verdict = text(&done["verdict"]);
        let right = right && verdict == expected && (done["state"] == "quarantined") == quarantined;
        rows.push(Row {
            document: key,
            size: body.len(),
            found,
            sealed_in,
            why: heard.results.get("validate").map(why).unwrap_or_default(),
            verdict,
            retrieved,
            right,
        });
    }
    print(&rows);
    let right = rows.iter().all(|row| row.right);
    drop(feed);
    let took = instance.stop()?;
    println!(
        "stopped in {:.1} s; {}",
        took.as_secs_f64(),
        if right {
            "every document came back as it went in, but for the one that is quarantined"
        } else {
            "NOT every row is right"
        }
    );
    Ok(right)
}

/// What led to the verdict: the limits that were reached, and the rules that found something.
fn why(result: &serde_json::Value) -> String {
    let limit = result["details"]["limit"].as_str().map(str::to_owned);
    let findings = result["findings"].as_array().into_iter().flatten();
    let rules: BTreeSet<&str> = findings.filter_map(|finding| finding["rule"].as_str()).collect();
    let all: Vec<String> = limit.into_iter().chain(rules.into_iter().map(str::to_owned)).collect();
    all.join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn print(rows: &[Row]) {
    let head = [
        "document",
        "size",
        "type found",
        "sealed in",
        "verdict",
        "why",
        "retrieved",
        "right",
    ]
    .map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let right = if row.right { "yes" } else { "NO" };
        [
            row.document.clone(),
            row.size.to_string(),
            row.found.clone(),
            row.sealed_in.clone(),
            row.verdict.clone(),
            row.why.clone(),
            row.retrieved.clone(),
            right.to_owned(),
        ]
    });
    let table: Vec<[String; 8]> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    for row in &table {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        println!("{}", line.join("  ").trim_end());
    }
}
