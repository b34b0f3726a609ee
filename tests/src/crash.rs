//! The process dies at a crash point, and what it leaves is checked.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cofferdam_seams::crash::{CrashAt, LAST_WORDS, Point, VARIABLE};

use crate::checker::{Checker, Expect, Report, Rows};
use crate::clients::Tenant;
use crate::history::{DANGEROUS, History, Random, is_dangerous};
use crate::instance::{Instance, Launched, Settings, wait_gone};

/// Empty; in the database; in a file; in several parts of everything.
const SIZES: [usize; 4] = [0, 1024, 200 * 1024, (3 << 20) + 17];
/// The last of [`SIZES`] is larger, so that its verdict must say so.
const MAX_BYTES: u64 = 2 << 20;
/// A busy machine, and an object that has to be open for two seconds.
const TO_DIE: Duration = Duration::from_secs(30);
/// What a process that died has not acknowledged comes again after 30 s.
const TO_END: Duration = Duration::from_secs(100);

/// What happened.
#[derive(Debug)]
pub struct Story {
    /// Whether the second run died at its point: with everything done before, it may not come by.
    pub second_died: bool,
    /// What the checker found in the end.
    pub report: Report,
}

/// Runs an instance that dies at `first`, then one on its data that may die at `second`, then one that lives; drops documents into each and asks for some back. Fails
/// unless the first died there, and unless the checker is content in the end. The same arguments give the same documents.
pub async fn survive(home: &Path, first: CrashAt, second: Option<CrashAt>, seed: u64) -> anyhow::Result<Story> {
    let history = History::new("crash", seed);
    ensure!(
        run(home, &history, "first", first).await?,
        "{first} was not reached by {} uploads and {} commands",
        history.drops().len(),
        history.commands().len()
    );
    let second_died = match second {
        Some(second) => run(home, &history, "second", second).await?,
        None => false,
    };

    let instance = Instance::start(home, settings())?;
    let tenant = Tenant::connect(&instance.run).await?;
    // Fresh work flows.
    let failed = history.put_all(&tenant, load("last", &SIZES[1..3])).await;
    ensure!(failed.is_empty(), "uploads fail without a fault: {failed:?}");
    let checker = Checker {
        instance: &instance,
        tenant: &tenant,
        history: &history,
        expect: Expect {
            max_bytes: Some(MAX_BYTES),
            ..Expect::default()
        },
    };
    let report = checker.settled(TO_END).await?;
    ensure!(
        report.states.keys().eq(["done", "quarantined"]) && report.letters == 0,
        "not all ended well: {report:?}"
    );
    Ok(Story { second_died, report })
}

/// Two different crash points, for [`survive`].
pub fn pair(random: &mut Random) -> (CrashAt, CrashAt) {
    use cofferdam_seams::crash::When::{After, Before};
    let mut one = || CrashAt {
        point: Point::ALL[random.below(Point::ALL.len() as u64) as usize],
        when: if random.below(2) == 0 { Before } else { After },
        // The first run has five documents and four commands: what it comes by at all it comes by twice, but for the batches of the sinks.
        hit: 1,
    };
    (one(), one())
}

fn settings() -> Settings {
    Settings {
        config: Some(format!("[processors.validate]\nmax_bytes = {MAX_BYTES}\n")),
        ..Settings::default()
    }
}

fn load(name: &str, sizes: &[usize]) -> Vec<(String, usize)> {
    let plain = sizes.iter().map(|size| (format!("{name}/{size}"), *size));
    plain.chain([(format!("{name}/{DANGEROUS}"), 70 * 1024)]).collect()
}

/// One armed run. Tells whether it died at its point; any other end is an error.
async fn run(home: &Path, history: &History, name: &str, at: CrashAt) -> anyhow::Result<bool> {
    let mut settings = settings().env(VARIABLE, at.to_string());
    if at.point == Point::JoinSpilled {
        // Nobody validates: objects stay open.
        settings.args = vec!["--without".to_owned(), "validate".to_owned()];
    }
    let log = home.join("log");
    let before = std::fs::metadata(&log).map_or(0, |log| log.len());
    let mut instance = match Instance::launch(home, settings)? {
        Launched::Ready(instance) => instance,
        Launched::Ended { status, .. } => return died(&log, before, at, status),
    };
    let server = instance.server_pid();
    let tenant = Tenant::connect(&instance.run).await;
    let work = async {
        // A connection that fails is a process that dies.
        let Ok(tenant) = tenant else {
            return std::future::pending().await;
        };
        let failed = history.put_all(&tenant, load(name, &SIZES)).await;
        if !failed.is_empty() {
            return std::future::pending().await;
        }
        let database = &tenant.run().database;
        while database.is_file() && !all_done(tenant.run(), name) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let keys = load(name, &SIZES);
        let asked = keys.iter().filter(|(key, _)| !is_dangerous(key));
        let asked = asked.map(|(key, _)| history.retrieve(&tenant, key));
        futures::future::join_all(asked).await;
        let ids: Vec<_> = history.commands().into_iter().map(|command| command.id).collect();
        while !Rows::read(tenant.run()).is_ok_and(|rows| {
            rows.ledger.is_empty() && ids.iter().all(|id| rows.commands.iter().any(|row| row.id == *id))
        }) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::pin!(work);
    let until = Instant::now() + TO_DIE;
    let status = loop {
        if let Some(status) = instance.ended()? {
            break status;
        }
        tokio::select! {
            () = &mut work => {
                // All is done; an acknowledgement may still be on its way to its point.
                tokio::time::sleep(Duration::from_millis(300)).await;
                match instance.ended()? {
                    Some(status) => break status,
                    None => {
                        instance.kill()?;
                        return Ok(false);
                    }
                }
            }
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        if Instant::now() > until {
            let tail = instance.tail(30);
            instance.kill()?;
            bail!("{at} was not reached within {} s:\n{tail}", TO_DIE.as_secs());
        }
    };
    if let Some(server) = server {
        wait_gone(server, Duration::from_secs(10)).context("the server outlives its parent")?;
    }
    died(&log, before, at, status)
}

fn all_done(run: &crate::instance::RunFile, name: &str) -> bool {
    let prefix = format!("{name}/");
    Rows::read(run).is_ok_and(|rows| {
        let of = rows.documents.iter().filter(|row| row.key.starts_with(&prefix));
        of.filter(|row| matches!(&*row.state, "done" | "quarantined")).count() > SIZES.len()
    })
}

/// Whether it was this point that ended it: by SIGKILL, with its name as the last word.
fn died(log: &Path, before: u64, at: CrashAt, status: ExitStatus) -> anyhow::Result<bool> {
    let text = std::fs::read(log)?;
    let text = String::from_utf8_lossy(&text[text.len().min(before as usize)..]).into_owned();
    let words = format!("{LAST_WORDS}{}:{}", at.point, at.when);
    let tail: Vec<_> = text.lines().rev().take(20).collect();
    ensure!(
        status.signal() == Some(libc::SIGKILL) && text.lines().any(|line| line == words),
        "ended with {status} and without the words {words:?}:\n{}",
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    Ok(true)
}
