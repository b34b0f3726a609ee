//! The whole path, measured: the program as users run it, loaded through its doors.
//!
//! `cargo bench -p cofferdam-tests --bench pipeline -- [names] [--quick]`; `cargo xtask bench` builds the program first and collects the figures.
//! Each figure is one line on standard output, `name value unit`; what is said beside goes to standard error.

#![allow(clippy::expect_used, clippy::unwrap_used)] // A bench that cannot go on ends.

mod load;
mod million;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cofferdam_tests::process::cpu;
use cofferdam_tests::{Instance, Settings, Tenant};
use futures::StreamExt;

use load::{send_all, send_paced, sign_all};

/// How much of each.
struct Size {
    small: usize,
    paced: usize,
    large: usize,
    huge: u64,
    /// Further documents in a store, and how many it has by then.
    further: usize,
    known: u64,
}

const FULL: Size = Size {
    small: 20_000,
    paced: 3_000,
    large: 1_500,
    huge: 10 << 30,
    further: 2_000,
    known: 1_000_000,
};
const QUICK: Size = Size {
    small: 2_000,
    paced: 300,
    large: 150,
    huge: 1 << 30,
    further: 1_000,
    known: 100_000,
};

type Bench = fn(&Size) -> anyhow::Result<()>;

const BENCHES: [(&str, Bench); 6] = [
    ("small", small),
    ("latency", latency),
    ("large-memory", large_memory),
    ("large-disk", large_disk),
    ("memory", memory),
    ("million", million::million),
];

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let size = if arguments.iter().any(|a| a == "--quick") {
        QUICK
    } else {
        FULL
    };
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    if let Some(unknown) = names
        .iter()
        .find(|name| !BENCHES.iter().any(|(known, _)| *known == name.as_str()))
    {
        let known: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("there is no bench {unknown}; there are {}", known.join(", "));
    }
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            eprintln!("--- {name}");
            bench(&size).with_context(|| name.to_owned())?;
        }
    }
    Ok(())
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.2} {unit}");
}

/// Bytes that no other number has, and that do not compress.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
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

fn bodies(name: &str, count: usize, size: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let name = name.to_owned();
    (0..count).map(move |n| (format!("{name}/{n:07}"), noise(n as u64 + 1, size)))
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // One thread: the load takes as little of the two cores as it can.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

fn home(below: Option<&Path>) -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("cofferdam-bench-");
    Ok(match below {
        Some(folder) => builder.tempdir_in(folder)?,
        None => builder.tempdir()?,
    })
}

/// How many documents have their final row.
fn finished(run: &cofferdam_tests::RunFile) -> anyhow::Result<usize> {
    let db = rusqlite::Connection::open_with_flags(&run.database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(Duration::from_secs(5))?;
    let count: i64 = db.query_row("SELECT count(*) FROM documents WHERE state = 'done'", [], |row| {
        row.get(0)
    })?;
    Ok(usize::try_from(count)?)
}

/// Waits for that many `done` events, or, where some of the feed were dropped, for that many rows more than there were.
async fn all_done(
    instance: &Instance,
    done: &mut async_nats::Subscriber,
    (before, count): (usize, usize),
    mut each: impl FnMut(&serde_json::Value),
) -> anyhow::Result<Instant> {
    let mut heard = 0;
    while heard < count {
        match tokio::time::timeout(Duration::from_secs(5), done.next()).await {
            Ok(Some(message)) => {
                each(&serde_json::from_slice(&message.payload)?);
                heard += 1;
            }
            Ok(None) => anyhow::bail!("the feed ended"),
            Err(_) if finished(&instance.run)? >= before + count => break,
            Err(_) => {
                let rows = finished(&instance.run)?;
                eprintln!("{heard} of {count} heard, {rows} rows");
            }
        }
    }
    Ok(Instant::now())
}

/// CPU time so far of the program, its broker, and this load generator.
fn spent(instance: &Instance) -> anyhow::Result<[Duration; 3]> {
    let server = instance.server_pid().context("no broker")?;
    let own = i32::try_from(std::process::id())?;
    Ok([cpu(instance.run.pid)?, cpu(server)?, cpu(own)?])
}

/// Documents to put.
#[derive(Clone, Copy)]
struct Documents {
    count: usize,
    size: usize,
    connections: usize,
}

/// What they took.
struct Taken {
    /// Documents a second, to their end and to their answers.
    rate: f64,
    uploads: f64,
    /// Microseconds of CPU a document: the program, its broker, this load generator.
    cpu: [f64; 3],
}

/// Puts documents under keys that begin with `name` and follows them to their end. `before` is how many rows there are.
async fn put(instance: &Instance, name: &str, before: usize, documents: Documents) -> anyhow::Result<Taken> {
    let Documents {
        count,
        size,
        connections,
    } = documents;
    let tenant = Tenant::connect(&instance.run).await?;
    let mut done = tenant.nats.subscribe("live.done.>").await?;
    tenant.nats.flush().await?;
    let warm = Arc::new(sign_all(
        &instance.run,
        bodies(&format!("{name}/warm"), WARM.min(count), size),
    )?);
    send_all(&instance.run, warm.clone(), connections).await?;
    all_done(instance, &mut done, (before, warm.len()), |_| {}).await?;
    let before = before + warm.len();
    let puts = Arc::new(sign_all(&instance.run, bodies(&format!("{name}/run"), count, size))?);
    let spent_before = spent(instance)?;
    let began = Instant::now();
    let (run, all) = (instance.run.clone(), puts.clone());
    let sending = async {
        send_all(&run, all, connections).await?;
        anyhow::Ok(began.elapsed())
    };
    let (sent, end) = tokio::try_join!(sending, all_done(instance, &mut done, (before, count), |_| {}))?;
    let spent_after = spent(instance)?;
    let each = |n: usize| (spent_after[n] - spent_before[n]).as_secs_f64() * 1e6 / count as f64;
    Ok(Taken {
        rate: count as f64 / (end - began).as_secs_f64(),
        uploads: count as f64 / sent.as_secs_f64(),
        cpu: [each(0), each(1), each(2)],
    })
}

/// Documents before the first that is measured.
const WARM: usize = 100;

/// Puts documents into an instance of their own; gives documents a second.
fn through(name: &str, below: Option<&Path>, documents: Documents) -> anyhow::Result<f64> {
    let home = home(below)?;
    let instance = Instance::start(home.path(), Settings::default())?;
    let taken = block_on(put(&instance, "all", 0, documents))?;
    figure(&format!("{name}.throughput"), taken.rate, "documents/s");
    figure(&format!("{name}.uploads"), taken.uploads, "documents/s");
    for (part, each) in ["program", "broker", "load"].into_iter().zip(taken.cpu) {
        figure(&format!("{name}.cpu.{part}"), each, "us/document");
    }
    Ok(taken.rate)
}

/// 4 KiB documents, as many at once as it takes.
fn small(size: &Size) -> anyhow::Result<()> {
    through(
        "small-4KiB",
        None,
        Documents {
            count: size.small,
            size: 4096,
            connections: 64,
        },
    )
    .map(drop)
}

/// 100 documents of 4 KiB a second: from the beginning of the PUT to `done`.
fn latency(size: &Size) -> anyhow::Result<()> {
    let home = home(None)?;
    let instance = Instance::start(home.path(), Settings::default())?;
    block_on(async {
        let tenant = Tenant::connect(&instance.run).await?;
        let mut done = tenant.nats.subscribe("live.done.>").await?;
        tenant.nats.flush().await?;
        let warm = Arc::new(sign_all(&instance.run, bodies("warm", 100, 4096))?);
        send_all(&instance.run, warm.clone(), 4).await?;
        all_done(&instance, &mut done, (0, warm.len()), |_| {}).await?;
        let puts = Arc::new(sign_all(&instance.run, bodies("run", size.paced, 4096))?);
        let mut ends = HashMap::new();
        let hear = all_done(&instance, &mut done, (100, size.paced), |event| {
            let key = event["object"]["key"].as_str().unwrap_or_default().to_owned();
            ends.insert(key, Instant::now());
        });
        let (begun, _) = tokio::try_join!(send_paced(&instance.run, puts, Duration::from_millis(10)), hear)?;
        let mut times: Vec<Duration> = begun
            .iter()
            .filter_map(|(key, at)| Some(*ends.get(key)? - *at))
            .collect();
        ensure!(
            times.len() == size.paced,
            "{} of {} were heard",
            times.len(),
            size.paced
        );
        times.sort();
        for (name, share) in [("p50", 0.50), ("p90", 0.90), ("p99", 0.99), ("max", 1.0)] {
            let at = ((times.len() as f64 * share) as usize).min(times.len() - 1);
            figure(
                &format!("latency-100-a-second.{name}"),
                times[at].as_secs_f64() * 1e3,
                "ms",
            );
        }
        Ok(())
    })
}

const MB: usize = 1_000_000;

fn large_memory(size: &Size) -> anyhow::Result<()> {
    let rate = through(
        "large-1MB.memory",
        Some(Path::new("/dev/shm")),
        Documents {
            count: size.large,
            size: MB,
            connections: 8,
        },
    )?;
    figure("large-1MB.memory.bytes", rate, "MB/s");
    Ok(())
}

/// The same on the disk, against what the disk takes: every byte is written twice (landing and sealed), each file synced.
fn large_disk(size: &Size) -> anyhow::Result<()> {
    let folder = home(None)?;
    let disk = disk(folder.path(), size.large)?;
    figure("large-1MB.disk.possible", disk / 2.0, "MB/s");
    let rate = through(
        "large-1MB.disk",
        None,
        Documents {
            count: size.large,
            size: MB,
            connections: 8,
        },
    )?;
    figure("large-1MB.disk.bytes", rate, "MB/s");
    figure("large-1MB.disk.share", rate / (disk / 2.0), "of possible");
    Ok(())
}

/// MB/s of files of 1 MB, eight at a time, each written and synced, as many as there will be.
fn disk(folder: &Path, count: usize) -> anyhow::Result<f64> {
    let body = noise(7, MB);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let write = || -> anyhow::Result<()> {
            loop {
                let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if n >= count * 2 {
                    return Ok(());
                }
                let path: PathBuf = folder.join(n.to_string());
                let mut file = std::fs::File::create(&path)?;
                std::io::Write::write_all(&mut file, &body)?;
                file.sync_all()?;
            }
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(write)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    Ok((count * 2) as f64 / began.elapsed().as_secs_f64())
}

/// Idle, with the broker; and what sealing one huge document adds.
fn memory(size: &Size) -> anyhow::Result<()> {
    let home = home(None)?;
    let instance = Instance::start(home.path(), Settings::default())?;
    let both = |which: fn((u64, u64)) -> u64| -> anyhow::Result<f64> {
        let server = instance.server_pid().context("no broker")?;
        let all = which(instance.memory()?) + which(cofferdam_tests::process::memory(server)?);
        Ok(all as f64 / 1e6)
    };
    block_on(async {
        let tenant = Tenant::connect(&instance.run).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        figure("memory.idle", both(|(now, _)| now)?, "MB");
        let before = instance.memory()?.0;
        let mut done = tenant.nats.subscribe("live.done.>").await?;
        tenant.nats.flush().await?;
        let path = home.path().join("huge");
        let file = std::fs::File::create(&path)?;
        file.set_len(size.huge)?;
        let began = Instant::now();
        let put = instance.cli(&["put", "--no-wait", "huge"])?;
        ensure!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
        all_done(&instance, &mut done, (0, 1), |_| {}).await?;
        let took = began.elapsed().as_secs_f64();
        figure("memory.huge.rate", size.huge as f64 / 1e6 / took, "MB/s");
        figure(
            "memory.huge.above-idle",
            (instance.memory()?.1 as f64 - before as f64) / 1e6,
            "MB",
        );
        Ok(())
    })
}
