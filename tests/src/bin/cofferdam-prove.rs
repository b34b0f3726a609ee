//! `cargo xtask prove`: the promises under random faults, for as long as one likes.
//!
//! One epoch is one instance in a fresh directory: some thousand documents go through it while a nemesis breaks things, then the faults stop, everything
//! settles, and the checker reads all that can be read. Load and faults are drawn from the epoch's seed, which is printed: `--seed S --epochs 1` runs an
//! epoch again (the machine's timing is not part of it). Ends with 1 at the first violation and keeps the epoch's directory.

#![allow(clippy::disallowed_methods)] // Threads of their own wait for programs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cofferdam_tests::prove::{Epoch, Summary, epoch};

const USAGE: &str = "usage: cargo xtask prove [--minutes N] [--seed S] [--epochs N] [--documents N] [--report FILE]";

struct Request {
    minutes: u64,
    seed: u64,
    epochs: u64,
    documents: usize,
    report: Option<PathBuf>,
}

fn request() -> anyhow::Result<Request> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut request = Request {
        minutes: 10,
        seed: clock.as_secs(),
        epochs: u64::MAX,
        documents: 2_000,
        report: None,
    };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--");
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .with_context(|| format!("{name} takes a value\n{USAGE}"))?;
        let number = || {
            value
                .parse::<u64>()
                .with_context(|| format!("{name} {value} is no number\n{USAGE}"))
        };
        match name.as_str() {
            "--minutes" => request.minutes = number()?,
            "--seed" => request.seed = number()?,
            "--epochs" => request.epochs = number()?,
            "--documents" => request.documents = usize::try_from(number()?)?.max(10),
            "--report" => request.report = Some(value.into()),
            _ => bail!("{name} is not an option\n{USAGE}"),
        }
    }
    Ok(request)
}

fn main() -> ExitCode {
    match prove() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn prove() -> anyhow::Result<bool> {
    let request = request()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let began = Instant::now();
    let until = began + Duration::from_secs(request.minutes * 60);
    let mut summary = Summary::default();
    let mut failure = None;
    for n in 0..request.epochs {
        if Instant::now() >= until {
            break;
        }
        let seed = request.seed.wrapping_add(n);
        let home = tempfile::Builder::new()
            .prefix(&format!("cofferdam-prove-{seed}-"))
            .tempdir()?;
        let end = runtime.block_on(epoch(
            home.path(),
            &Epoch {
                seed,
                documents: request.documents,
            },
        ));
        match end {
            Ok(done) => {
                println!("{}", done.line());
                summary.add(&done);
            }
            Err(error) => {
                let kept = home.keep();
                failure = Some(format!(
                    "epoch {seed}: {error:#}\nkept: {}\nagain: cargo xtask prove --seed {seed} --epochs 1 --documents {}",
                    kept.display(),
                    request.documents
                ));
                break;
            }
        }
    }
    let text = summary.report(request.seed, began.elapsed(), failure.as_deref());
    println!("\n{text}");
    if let Some(path) = &request.report {
        std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(failure.is_none())
}
