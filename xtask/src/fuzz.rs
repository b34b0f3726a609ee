//! `cargo xtask fuzz`: every target of `tests/fuzz` under libFuzzer for a while, and a table of what came of it.
//!
//! Optional: it needs a nightly compiler and cargo-fuzz, which tests do not. On stable the same targets run with bytes from proptest.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::run::{From, Outcome, lines, quiet, root, show, succeed};

/// Sound documents to begin with, by the beginning of a target's name.
const SEEDS: [(&str, &str); 3] = [
    ("envelope", "schemas/envelope/vectors/sealed"),
    ("inside_", "processors/validate/inside/data/formats"),
    ("scan_", "processors/validate/scan/data/formats"),
];

/// A longer input finds nothing that these do not, and costs time.
const LONGEST: u32 = 70_000;

/// What one input may take, under a sanitizer, in seconds.
const SLOWEST: u32 = 25;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    names: Vec<String>,
    /// For each target.
    seconds: u32,
    /// Targets at once.
    jobs: usize,
}

impl Request {
    pub(crate) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self {
            names: Vec::new(),
            seconds: 60,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut number = || {
                let value = rest.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                value.ok_or(format!("{argument} takes a number above zero"))
            };
            match argument.as_str() {
                "--seconds" => request.seconds = number()?,
                "--jobs" => request.jobs = number()? as usize,
                option if option.starts_with('-') => return Err(format!("{option} is not an option of fuzz")),
                name => request.names.push(name.to_owned()),
            }
        }
        Ok(request)
    }
}

/// What came of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ran {
    executions: u64,
    /// Edges seen.
    coverage: u64,
    /// Files with inputs that broke it.
    broken: Vec<String>,
}

impl Ran {
    /// Takes what a line of libFuzzer's says.
    fn line(&mut self, line: &str) {
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = count.trim().parse().unwrap_or(0);
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            self.broken.push(file.trim().to_owned());
        } else if let Some((_, rest)) = line.split_once(" cov: ") {
            let count = rest.split_whitespace().next().and_then(|n| n.parse().ok());
            self.coverage = count.unwrap_or(self.coverage);
        }
    }
}

/// Builds, runs and prints the table. Fails if a target broke.
pub(crate) fn run(request: &Request) -> Outcome<ExitCode> {
    let folder = root().join("tests/fuzz");
    let program = build(&folder)?;
    let known = quiet(Command::new(&program).env_remove("TARGET"), Duration::from_secs(60))
        .ok_or_else(|| format!("{} does not name its targets", program.display()))?;
    let known: Vec<&str> = known.lines().collect();
    if let Some(name) = request.names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no target {name}; there are {}", known.join(", ")));
    }
    let asked = |name: &&str| request.names.is_empty() || request.names.iter().any(|wanted| wanted == name);
    let waiting: Mutex<Vec<&str>> = Mutex::new(known.iter().copied().filter(asked).rev().collect());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..request.jobs {
            scope.spawn(|| {
                while let Some(name) = waiting.lock().ok().and_then(|mut names| names.pop()) {
                    let ran = one(&program, &folder, name, request.seconds);
                    if let Ok(mut results) = results.lock() {
                        results.push((name, ran));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().map_err(|e| e.to_string())?;
    results.sort_by_key(|(name, _)| *name);
    println!("| target | executions in {} s | edges | broken by |", request.seconds);
    println!("|---|---:|---:|---|");
    let mut clean = true;
    for (name, ran) in results {
        // One that ended in another way than over an input is as bad, and hides nothing of the others.
        let ran = ran.unwrap_or_else(|reason| Ran {
            broken: vec![reason],
            ..Ran::default()
        });
        clean &= ran.broken.is_empty();
        let broken = if ran.broken.is_empty() {
            "nothing".to_owned()
        } else {
            ran.broken.join(", ")
        };
        println!("| {name} | {} | {} | {broken} |", ran.executions, ran.coverage);
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The program with all targets in it.
fn build(folder: &Path) -> Outcome<PathBuf> {
    let mut command = Command::new("cargo");
    command
        .args(["+nightly", "fuzz", "build", "--fuzz-dir", ".", "targets"])
        .current_dir(folder)
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    succeed(&mut command).map_err(|error| {
        format!("{error}; it needs `rustup toolchain install nightly` and `cargo +nightly install cargo-fuzz`")
    })?;
    let targets = folder.join("target");
    let built = std::fs::read_dir(&targets).map_err(|e| format!("cannot read {}: {e}", targets.display()))?;
    built
        .flatten()
        .map(|entry| entry.path().join("release/targets"))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("{} has no program `targets`", targets.display()))
}

/// Runs one target.
fn one(program: &Path, folder: &Path, name: &str, seconds: u32) -> Outcome<Ran> {
    let make = |kind: &str| {
        let path = folder.join(kind).join(name);
        std::fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        Outcome::Ok(path)
    };
    let artifacts = make("artifacts")?;
    let mut command = Command::new(program);
    command
        .env("TARGET", name)
        .env("ASAN_OPTIONS", "detect_odr_violation=0")
        .arg(make("corpus")?)
        .args(
            SEEDS
                .iter()
                .filter(|(prefix, _)| name.starts_with(prefix))
                .map(|(_, seeds)| root().join(seeds)),
        )
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-timeout={SLOWEST}"))
        // What parsers of third parties allocate is bounded by the child process they run in, which a fuzzer is not.
        .arg(format!(
            "-rss_limit_mb={}",
            if name.starts_with("inside_") { 2048 } else { 1024 }
        ))
        .arg("-print_final_stats=1")
        .stdin(Stdio::null());
    let mut ran = Ran::default();
    let mut said = Vec::new();
    let status = lines(&mut command, |from, line| {
        if from == From::Stderr {
            ran.line(line);
            said.push(line.to_owned());
        }
    })?;
    eprintln!("{name}: {} executions, {} edges", ran.executions, ran.coverage);
    if !status.success() {
        for line in said.iter().skip(said.len().saturating_sub(40)) {
            eprintln!("{name}: {line}");
        }
        if ran.broken.is_empty() {
            return Err(format!("{} failed ({status})", show(&command)));
        }
    }
    Ok(ran)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &[&str]) -> Outcome<Request> {
        Request::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let read = request(&["envelope", "--seconds", "5", "--jobs", "3"]).unwrap();
        assert_eq!(
            (read.names, read.seconds, read.jobs),
            (vec!["envelope".to_owned()], 5, 3)
        );
        assert!(request(&["--seconds"]).unwrap_err().contains("above zero"));
        assert!(request(&["--jobs", "0"]).unwrap_err().contains("above zero"));
        assert!(request(&["--fast"]).unwrap_err().contains("--fast"));
    }

    #[test]
    fn what_libfuzzer_says_is_read() {
        let mut ran = Ran::default();
        for line in [
            "#2\tINITED cov: 1210 ft: 1220 corp: 1/1b exec/s: 0 rss: 60Mb",
            "#4096\tpulse  cov: 1530 ft: 2220 corp: 9/80b lim: 43 exec/s: 2048 rss: 70Mb",
            "artifact_prefix='artifacts/pdf/'; Test unit written to artifacts/pdf/crash-0a",
            "stat::number_of_executed_units: 4711",
        ] {
            ran.line(line);
        }
        let broken = vec!["artifacts/pdf/crash-0a".to_owned()];
        assert_eq!(
            ran,
            Ran {
                executions: 4711,
                coverage: 1530,
                broken
            }
        );
    }
}
