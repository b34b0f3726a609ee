//! The whole step as a document takes it: type, integrity, every engine that fits, the verdict.
//!
//! `cargo bench -p cofferdam-validate --bench step -- [--quick]`; `cargo xtask bench step` collects the figures. Each is one line on standard output,
//! `name value unit`.

#![allow(clippy::expect_used, clippy::unwrap_used)] // A bench that cannot go on ends.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use cofferdam_scan::injection::train::data;
use cofferdam_schemas::Verdict;
use cofferdam_validate::{Config, Files};

const MB: usize = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let said = |option: &str| std::env::args().any(|argument| argument == option);
    let (quick, alone) = (said("--quick"), said("--one-core"));
    if alone {
        one_core()?;
    } else {
        let mut again = Command::new(std::env::current_exe()?);
        let status = again.arg("--one-core").args(quick.then_some("--quick")).status()?;
        if !status.success() {
            return Err(format!("the part on one core failed ({status})").into());
        }
    }
    let folder = tempfile::Builder::new().prefix("cofferdam-bench-").tempdir()?;
    let files = Files::new(Config::default().plan()?, Some(vec![7; 32]))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scan = |path: &Path, name: &str| {
        let began = Instant::now();
        let conclusion = runtime.block_on(files.scan(path, name))?;
        Ok::<_, Box<dyn std::error::Error>>((began.elapsed().as_secs_f64(), conclusion))
    };

    let prose = prose()?;
    let text = folder.path().join("prose.txt");
    std::fs::write(&text, &prose[..prose.floor_char_boundary(MB)])?;
    scan(&text, "prose.txt")?;
    let mut took = Vec::new();
    for _ in 0..if quick { 50 } else { 400 } {
        took.push(scan(&text, "prose.txt")?.0 * 1e3);
    }
    took.sort_by(f64::total_cmp);
    for (name, share) in [("p50", 0.50), ("p99", 0.99)] {
        figure(
            &format!("step.text-1MB.{}{name}", if alone { "one-core." } else { "" }),
            took[((took.len() - 1) as f64 * share) as usize],
            "ms",
        );
    }
    if alone {
        return Ok(());
    }
    records(folder.path(), if quick { 20_000 } else { 100_000 })?;

    // Nothing fits it but its type, its sums and the signatures.
    let noise = folder.path().join("noise.bin");
    std::fs::write(&noise, bytes(64 * MB))?;
    let mut best = f64::MAX;
    for _ in 0..if quick { 5 } else { 20 } {
        best = best.min(scan(&noise, "noise.bin")?.0);
    }
    figure("step.type-and-integrity.rate", 64.0 * MB as f64 / best / 1e9, "GB/s");

    // A text that is longer than any memory: the most this program ever had resident, before it and after.
    let size = if quick { 256 << 20 } else { 10u64 << 30 };
    let long = folder.path().join("long.txt");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&long)?);
    for _ in 0..size / prose.len() as u64 + 1 {
        out.write_all(prose.as_bytes())?;
    }
    drop(out);
    let before = most_resident()?;
    let (took, conclusion) = scan(&long, "long.txt")?;
    let size = std::fs::metadata(&long)?.len();
    assert_ne!(
        conclusion.verdict,
        Some(Verdict::Incomplete),
        "{:?}",
        conclusion.details
    );
    assert_eq!(conclusion.details["bytes_looked_at"], size);
    figure("step.text-long.size", size as f64 / 1e9, "GB");
    figure("step.text-long.rate", size as f64 / took / 1e6, "MB/s");
    figure("step.text-long.memory", most_resident()? - before, "MB");
    Ok(())
}

/// From here on there is only one core.
fn one_core() -> Result<(), Box<dyn std::error::Error>> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let first = (0..1024).find(|cpu| allowed.is_set(*cpu)).ok_or("no core")?;
    let mut one = rustix::thread::CpuSet::new();
    one.set(first);
    Ok(rustix::thread::sched_setaffinity(None, &one)?)
}

/// Texts of half a kilobyte, each a document of its own, as a program: what it reads, compares and prints included.
fn records(folder: &Path, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let release = std::env::current_exe()?;
    let program = release.ancestors().nth(2).ok_or("no folder")?.join("cofferdam");
    let rows = data::parse(data::DEV)?;
    let fits = |row: &&data::Row| !row.attack() && (400..600).contains(&row.text.len());
    let texts: Vec<&str> = rows.iter().filter(fits).map(|row| row.text.as_str()).collect();
    let set = folder.join("set.jsonl");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&set)?);
    for (number, text) in texts.iter().cycle().take(count).enumerate() {
        // None is the same as another.
        let line = serde_json::json!({"text": format!("{number} {text} {}", texts[number * 7 % texts.len()].len())});
        writeln!(out, "{line}")?;
    }
    drop(out);
    let began = Instant::now();
    let mut scan = Command::new(program);
    scan.args(["--json", "scan", "--records", "--field", "text"]).arg(&set);
    let status = scan.stdout(Stdio::null()).status()?;
    // Three and more say what was found.
    if !matches!(status.code(), Some(0 | 3..=5)) {
        return Err(format!("the scan of the records failed ({status})").into());
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    figure("step.records.rate", rate / 1e3, "thousand documents/s");
    Ok(())
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.2} {unit}");
}

/// What people write: manuals and read-me files.
fn prose() -> Result<String, Box<dyn std::error::Error>> {
    let rows = [data::parse(data::DEV)?, data::parse(data::PROSE)?].concat();
    let texts = rows
        .iter()
        .filter(|row| matches!(row.family.as_str(), "own_readme" | "benign_docs_prose"));
    let mut all = String::new();
    for row in texts.cycle() {
        all.push_str(&row.text);
        all.push_str("\n\n");
        if all.len() >= MB + 4 {
            return Ok(all);
        }
    }
    Err("there is no prose".into())
}

/// Bytes of no kind.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// MB that this process had resident at most.
fn most_resident() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
