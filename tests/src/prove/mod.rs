//! One epoch of `prove`, and what all of them add up to.

mod nemesis;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::checker::{Checker, Expect, Report};
use crate::clients::Tenant;
use crate::history::{DANGEROUS, History, Random, is_dangerous};
use nemesis::Nemesis;

/// What an epoch is made of.
#[derive(Debug, Clone)]
pub struct Epoch {
    /// Load and faults follow from it.
    pub seed: u64,
    /// Uploads tried under faults.
    pub documents: usize,
}

/// An epoch without a violation.
#[derive(Debug)]
pub struct Done {
    seed: u64,
    took: Duration,
    /// From the end of the faults until everything had ended.
    settled: Duration,
    uploads: usize,
    answered: usize,
    bytes: u64,
    commands: usize,
    poison: usize,
    letters: usize,
    faults: BTreeMap<&'static str, usize>,
    report: Report,
}

impl Done {
    /// For people who watch.
    pub fn line(&self) -> String {
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        format!(
            "epoch {}: {} of {} uploads answered, {} commands, settled in {:.1} s, {:.0} s in all; {}",
            self.seed,
            self.answered,
            self.uploads,
            self.commands,
            self.settled.as_secs_f64(),
            self.took.as_secs_f64(),
            faults.join(", ")
        )
    }
}

/// The sums over epochs.
#[derive(Debug, Default)]
pub struct Summary {
    epochs: usize,
    uploads: usize,
    answered: usize,
    bytes: u64,
    commands: usize,
    poison: usize,
    letters: usize,
    results: usize,
    repeated: usize,
    unanswered: usize,
    opened: usize,
    searched: usize,
    longest: Duration,
    states: BTreeMap<String, usize>,
    faults: BTreeMap<&'static str, usize>,
}

impl Summary {
    /// Takes one more.
    pub fn add(&mut self, done: &Done) {
        self.epochs += 1;
        self.uploads += done.uploads;
        self.answered += done.answered;
        self.bytes += done.bytes;
        self.commands += done.commands;
        self.poison += done.poison;
        self.letters += done.letters;
        self.results += done.report.results;
        self.repeated += done.report.repeated;
        self.unanswered += done.report.unanswered;
        self.opened += done.report.opened;
        self.searched += done.report.searched;
        self.longest = self.longest.max(done.settled);
        for (state, count) in &done.report.states {
            *self.states.entry(state.clone()).or_default() += count;
        }
        for (name, count) in &done.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }

    /// A page a reader can check.
    pub fn report(&self, seed: u64, took: Duration, failure: Option<&str>) -> String {
        let mut text = String::from("# Under fire\n\n");
        let states: Vec<String> = self
            .states
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        let rows = [
            ("first seed", seed.to_string()),
            ("epochs", self.epochs.to_string()),
            ("time", format!("{} min", took.as_secs() / 60)),
            ("uploads tried", self.uploads.to_string()),
            ("uploads answered", self.answered.to_string()),
            (
                "taken without an answer reaching the client",
                self.unanswered.to_string(),
            ),
            ("bytes", format!("{:.1} GB", self.bytes as f64 / 1e9)),
            ("final states", states.join(", ")),
            ("accepted uploads without a final state (I1)", "0".to_owned()),
            ("second `done` of a version (I2)", "0".to_owned()),
            ("results in rows, all agreeing (I3)", self.results.to_string()),
            (
                "results published more than once, with the same content",
                self.repeated.to_string(),
            ),
            ("plaintexts gone without an opened sealed copy (I4)", "0".to_owned()),
            ("documents brought back and compared", self.opened.to_string()),
            (
                "files searched for plaintext, none found (I5)",
                self.searched.to_string(),
            ),
            ("commands", self.commands.to_string()),
            ("poisonous messages", self.poison.to_string()),
            ("dead letters, all of them poison", self.letters.to_string()),
            (
                "longest time to settle after the faults",
                format!("{:.1} s", self.longest.as_secs_f64()),
            ),
        ];
        text.push_str("| what | |\n|---|---|\n");
        for (name, value) in rows {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text.push_str("\n| fault | times |\n|---|---|\n");
        for (name, count) in &self.faults {
            let _ = writeln!(text, "| {name} | {count} |");
        }
        match failure {
            Some(failure) => {
                let _ = writeln!(
                    text,
                    "\n**A violation was found**; the zeros above are of the epochs before it.\n\n```\n{failure}\n```"
                );
            }
            None => text.push_str("\nNo violation was found: the checker ends the run at the first.\n"),
        }
        text
    }
}

/// Mostly small; some in files; a few of several parts.
fn size(random: &mut Random) -> usize {
    match random.below(100) {
        0..=2 => 0,
        3..=74 => random.below(8_000) as usize,
        75..=94 => 60_000 + random.below(20_000) as usize,
        95..=98 => 200_000 + random.below(400_000) as usize,
        _ => 2_000_000 + random.below(2_000_000) as usize,
    }
}

/// Uploads at a time.
const CLIENTS: usize = 12;
/// How long what is accepted may take to end once the faults have stopped: a held message is delivered again after 60 s, a lost one is re-driven after a
/// minute or two, and a batch may be retried in between.
const SETTLE: Duration = Duration::from_secs(420);

/// Runs one epoch; an error is a violation, or a fault of the bench itself.
pub async fn epoch(home: &Path, epoch: &Epoch) -> anyhow::Result<Done> {
    let began = Instant::now();
    let history = Arc::new(History::new("prove", epoch.seed));
    let mut random = Random::new(epoch.seed);
    let load: Vec<(String, usize)> = (0..epoch.documents)
        .map(|n| {
            // One in twenty is a new version of an earlier one.
            let n = if random.below(20) == 0 {
                random.below(n as u64 + 1) as usize
            } else {
                n
            };
            // One key in fifty is of malware, whose size has room for it.
            let dangerous = n.is_multiple_of(50);
            let end = if dangerous { DANGEROUS } else { "" };
            let least = if dangerous { 1024 } else { 0 };
            (format!("prove/{n:06}{end}"), size(&mut random).max(least))
        })
        .collect();
    let mut nemesis = Nemesis::start(home, random.clone()).await?;
    let over = Arc::new(AtomicBool::new(false));
    let loading = tokio::spawn({
        let (history, over, clients) = (history.clone(), over.clone(), nemesis.clients());
        async move {
            let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let load = Arc::new(load);
            let mut tasks = tokio::task::JoinSet::new();
            for client in 0..CLIENTS {
                let (history, next, load, clients) = (history.clone(), next.clone(), load.clone(), clients.clone());
                tasks.spawn(async move {
                    while let Some((key, size)) = load.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let tenant = clients.borrow().clone();
                        if !history.put(&tenant, key, *size).await {
                            // As a client does that was refused: a short rest. Whether it is tried again is up to chance; the checker knows both.
                            tokio::time::sleep(Duration::from_millis(200)).await;
                        } else if client == 0 && !is_dangerous(key) {
                            history.retrieve(&tenant, key).await;
                        }
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
            over.store(true, Ordering::SeqCst);
        }
    });
    let faults = nemesis.rage(&over).await;
    let log = || nemesis.tail(30);
    let faults = faults.with_context(|| format!("log:\n{}", log()))?;
    loading.await?;
    nemesis.heal().await?;

    let tenant = Tenant::connect(&nemesis.instance().run).await?;
    let fresh: Vec<_> = (0..20).map(|n| (format!("fresh/{n}"), 5_000 + n)).collect();
    let failed = history.put_all(&tenant, fresh).await;
    ensure!(failed.is_empty(), "uploads fail without a fault: {failed:?}");
    let checker = Checker {
        instance: nemesis.instance(),
        tenant: &tenant,
        history: &history,
        expect: Expect {
            every: 25,
            ..nemesis.expect()
        },
    };
    let healed = Instant::now();
    let report = checker.settled(SETTLE).await?;
    let settled = healed.elapsed();
    let letters = nemesis.poison_is_buried().await?;
    let drops = history.drops();
    Ok(Done {
        seed: epoch.seed,
        took: began.elapsed(),
        settled,
        uploads: drops.len(),
        answered: history.answered(),
        bytes: drops.iter().map(|drop| drop.size).sum(),
        commands: history.commands().len(),
        poison: nemesis.poison(),
        letters,
        faults,
        report,
    })
}
