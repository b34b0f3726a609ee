//! Other scanners over the same bytes: detect-secrets, presidio-analyzer, gitleaks. One that is not there is said to be missing.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use cofferdam_scan::secrets::eval::Document;

const GITLEAKS: &str = "COFFERDAM_GITLEAKS";
const PYTHON: &str = "COFFERDAM_PEER_PYTHON";

/// What a peer found: document, first line, last line.
type Lines = Vec<(String, usize, usize)>;

fn program(peer: &str, variable: &str) -> Option<OsString> {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty());
    if named.is_none() {
        println!(
            "peer {peer} is not there: {variable} is not set; `cargo xtask bench` sets it where the peer installs, else it says why not"
        );
    }
    named
}

fn python(peer: &str, arguments: &[&str], path: &Path) -> Result<Option<String>, Box<dyn Error>> {
    let Some(python) = program(peer, PYTHON) else {
        return Ok(None);
    };
    let script = crate::file("../../../tests/peers/python/scan.py");
    let output = Command::new(python).arg(script).args(arguments).arg(path).output()?;
    if output.status.success() {
        return Ok(Some(String::from_utf8(output.stdout)?));
    }
    let why = String::from_utf8_lossy(&output.stderr);
    println!(
        "peer {peer} is not there: {}",
        why.lines().last().unwrap_or("no reason given")
    );
    Ok(None)
}

fn gitleaks(folder: &Path, report: &Path) -> Result<bool, Box<dyn Error>> {
    let Some(program) = program("gitleaks", GITLEAKS) else {
        return Ok(false);
    };
    let mut command = Command::new(program);
    command
        .args([
            "dir",
            "--no-banner",
            "--log-level",
            "error",
            "--exit-code",
            "0",
            "--report-format",
            "json",
            "--report-path",
        ])
        .args([report, folder])
        // One core, as ours.
        .env("GOMAXPROCS", "1");
    if command.status()?.success() {
        return Ok(true);
    }
    println!("peer gitleaks is not there: it failed");
    Ok(false)
}

/// What the peers for secrets find in `documents`, by name.
pub fn secrets(documents: &[Document]) -> Result<Vec<(&'static str, Lines)>, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let (folder, report) = (home.path().join("set"), home.path().join("report.json"));
    for document in documents {
        let path = folder.join(&document.name);
        std::fs::create_dir_all(path.parent().ok_or("a document without a folder")?)?;
        std::fs::write(path, &document.text)?;
    }
    let mut all = Vec::new();
    if gitleaks(&folder, &report)? {
        let found: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&report)?)?;
        let each = found.iter().filter_map(|found| {
            let path = Path::new(found["File"].as_str()?).strip_prefix(&folder).ok()?;
            let line = |field: &str| found[field].as_u64().map(|line| line as usize);
            Some((path.to_str()?.to_owned(), line("StartLine")?, line("EndLine")?))
        });
        all.push(("gitleaks", each.collect()));
    }
    if let Some(found) = python("detect-secrets", &["lines", "detect-secrets"], &folder)? {
        let each = found.lines().filter_map(|line| {
            let (line, path) = line.split_once('\t')?;
            let line = line.parse().ok()?;
            Some((path.to_owned(), line, line))
        });
        all.push(("detect-secrets", each.collect()));
    }
    Ok(all)
}

/// Megabytes in a CPU second of presidio (with a model, with its patterns only) or detect-secrets, loading apart.
pub fn python_speed(peer: &str, text: &str) -> Result<Option<f64>, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let path = home.path().join("text.txt");
    std::fs::write(&path, text)?;
    let said = python(peer, &["speed", peer], &path)?;
    let speed = said.as_deref().and_then(|said| {
        let (bytes, seconds) = said.lines().last()?.split_once(' ')?;
        Some(bytes.parse::<f64>().ok()? / 1e6 / seconds.parse::<f64>().ok()?)
    });
    Ok(speed)
}

/// Megabytes in a CPU second of gitleaks: what a folder with the text costs beyond an empty one.
pub fn gitleaks_speed(text: &str) -> Result<Option<f64>, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let report = home.path().join("report.json");
    let (empty, full) = (home.path().join("empty"), home.path().join("full"));
    for folder in [&empty, &full] {
        std::fs::create_dir(folder)?;
    }
    std::fs::write(full.join("text.txt"), text)?;
    let mut costs = [0.0; 2];
    for (cost, folder) in costs.iter_mut().zip([&empty, &full]) {
        let before = children()?;
        if !gitleaks(folder, &report)? {
            return Ok(None);
        }
        *cost = children()? - before;
    }
    Ok(Some(text.len() as f64 / 1e6 / (costs[1] - costs[0]).max(0.01)))
}

/// CPU seconds of the children that have ended, from the kernel's count of ticks (100 a second).
fn children() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // The name before the bracket may hold spaces; of the fields after it these are `cutime` and `cstime`.
    let (_, fields) = text.rsplit_once(") ").ok_or("no name in /proc/self/stat")?;
    let mut ticks = fields.split(' ').skip(13);
    let mut next = || -> Result<f64, Box<dyn Error>> { Ok(ticks.next().ok_or("too short")?.parse()?) };
    Ok((next()? + next()?) / 100.0)
}
