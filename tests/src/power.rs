//! The power is cut under load, and what the disk holds is started again.
//!
//! Everything of the instance lies on the disk that is cut, key files included: they are made at the first start, and a key that reached the disk later than what it
//! sealed would be found here. Only the log lies outside, so that it can be read afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use crate::checker::{Checker, Expect, Report, Rows};
use crate::clients::Tenant;
use crate::disk::{self, Disk};
use crate::history::{History, Random};
use crate::instance::{Instance, Settings};

/// Set to try other moments and other documents.
pub const SEED: &str = "COFFERDAM_POWER_SEED";

/// What is dropped, often and seldom.
const SIZES: [usize; 8] = [0, 300, 1024, 4096, 20_000, 64 * 1024, 200 * 1024, 1_500_000];
/// Uploads at a time.
const CLIENTS: u64 = 6;
/// Of the disk: what the streams reserve must fit. Sparse.
const MIB: u64 = 4096;
/// What was delivered and not acknowledged comes again after 30 s.
const TO_END: Duration = Duration::from_secs(100);

/// The seed that the environment names, or this one.
pub fn seed(otherwise: u64) -> u64 {
    let named = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
    named.unwrap_or(otherwise)
}

fn settings(home: &Path) -> Settings {
    Settings {
        log: Some(home.join("log")),
        ..Settings::default()
    }
}

fn place(disk: &Disk) -> PathBuf {
    disk.path().join("instance")
}

/// Uploads and commands that go on until it is dropped.
struct Load {
    tasks: JoinSet<()>,
}

impl Load {
    /// `name` keeps its keys apart.
    fn start(history: &Arc<History>, tenant: &Arc<Tenant>, name: &str, random: &mut Random) -> Load {
        let mut tasks = JoinSet::new();
        for client in 0..CLIENTS {
            let (history, tenant, prefix) = (history.clone(), tenant.clone(), format!("{name}/{client}"));
            let mut random = Random::new(random.next());
            tasks.spawn(async move {
                for n in 0.. {
                    let size = SIZES[(random.below(8) * random.below(8) / 7) as usize];
                    if !history.put(&tenant, &format!("{prefix}/{n}"), size).await {
                        // Whatever is wrong with the instance, the moment of the cut shows.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            });
        }
        let (history, tenant, mut random) = (history.clone(), tenant.clone(), Random::new(random.next()));
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(60)).await;
                let Ok(rows) = Rows::read(tenant.run()) else { continue };
                let done: Vec<_> = rows.documents.iter().filter(|row| row.state == "done").collect();
                if let Some(row) = done.get(random.below(done.len() as u64) as usize) {
                    history.retrieve(&tenant, &row.key).await;
                }
            }
        });
        Load { tasks }
    }

    /// Takes note of answers that have arrived, then ends. What was not answered by now counts as unanswered.
    async fn end(mut self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.tasks.shutdown().await;
    }
}

/// Stops the instance where it is, takes the disk as it is, kills the instance.
async fn cut(instance: Instance, load: Load, disk: Disk, name: &str) -> anyhow::Result<Disk> {
    let server = instance.server_pid().context("no child server")?;
    disk::freeze(&[instance.run.pid, server])?;
    let after = disk.cut(name);
    load.end().await;
    let mut instance = instance;
    instance.kill()?;
    disk.unmount()?;
    after
}

/// What a series of cuts came to.
#[derive(Debug)]
pub struct Survived {
    /// Uploads that were answered before one of the cuts.
    pub answered: usize,
    /// Commands that were accepted.
    pub commands: usize,
    /// What the checker found in the end.
    pub report: Report,
}

/// Starts an instance on a new disk and puts load on it; cuts the power at a random moment and starts again on what is left, so many times. Then everything that was ever
/// answered must come to its end.
pub async fn cuts(home: &Path, seed: u64, count: usize) -> anyhow::Result<Survived> {
    disk::sweep(&std::env::temp_dir());
    let mut random = Random::new(seed);
    let history = Arc::new(History::new("power", seed));
    let mut disk = Disk::format(home, "disk", MIB)?;
    for round in 0..count {
        let instance =
            Instance::start(&place(&disk), settings(home)).with_context(|| format!("start after cut {round}"))?;
        let tenant = Arc::new(Tenant::connect(&instance.run).await?);
        let load = Load::start(&history, &tenant, &format!("round-{round}"), &mut random);
        // Early ones find the installation half made, later ones all stages busy.
        let moment = Duration::from_millis(100 + random.below(2_400));
        tokio::time::sleep(moment).await;
        disk = cut(instance, load, disk, &format!("disk-{}", round + 1)).await?;
    }
    let instance = Instance::start(&place(&disk), settings(home)).context("start after the last cut")?;
    let tenant = Tenant::connect(&instance.run).await?;
    let failed = history
        .put_all(
            &tenant,
            vec![("fresh/1".to_owned(), 5_000), ("fresh/2".to_owned(), 100_000)],
        )
        .await;
    ensure!(failed.is_empty(), "uploads fail without a fault: {failed:?}");
    let checker = Checker {
        instance: &instance,
        tenant: &tenant,
        history: &history,
        expect: Expect {
            power_cut: true,
            every: 5,
            ..Expect::default()
        },
    };
    let report = checker.settled(TO_END).await?;
    ensure!(
        report.states.keys().eq(["done"]) && report.letters == 0,
        "not all ended well: {report:?}"
    );
    let accepted = history.commands().iter().filter(|command| command.answered).count();
    drop(instance);
    disk.unmount()?;
    Ok(Survived {
        answered: history.answered(),
        commands: accepted,
        report,
    })
}

/// One cut under load with nats-server's own flush interval and without the re-drive: what was accepted and is never finished. In this mode the broker may also hand out too
/// little: a consumer whose position reached the disk when the stream's messages did not passes over the next ones.
pub async fn lost_without_ledger(home: &Path, seed: u64) -> anyhow::Result<Vec<String>> {
    disk::sweep(&std::env::temp_dir());
    let mut random = Random::new(seed);
    let history = Arc::new(History::new("without", seed));
    let settings = settings(home)
        .env("COFFERDAM__NATS__SYNC", "2m")
        .env("COFFERDAM_TEST_REDRIVE_OFF", "1");
    let disk = Disk::format(home, "with", MIB)?;
    let instance = Instance::start(&place(&disk), settings.clone())?;
    let tenant = Arc::new(Tenant::connect(&instance.run).await?);
    let load = Load::start(&history, &tenant, "load", &mut random);
    let until = Instant::now() + Duration::from_secs(20);
    // The moment at which it hurts: uploads are answered, their events are published and noted as such, and they have not ended.
    let under_way = |rows: &Rows| rows.ledger.iter().filter(|row| row.ends_with("published true")).count();
    while history.answered() < 10 || under_way(&Rows::read(&instance.run)?) < 3 {
        ensure!(Instant::now() < until, "nothing is ever under way");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let disk = cut(instance, load, disk, "without").await?;

    let instance = Instance::start(&place(&disk), settings)?;
    let tenant = Tenant::connect(&instance.run).await?;
    let checker = Checker {
        instance: &instance,
        tenant: &tenant,
        history: &history,
        expect: Expect::default(),
    };
    // Until nothing has changed for longer than unacknowledged messages take to come again: what then is open stays so.
    let (mut lost, mut quiet) = (checker.lost()?, Instant::now());
    while quiet.elapsed() < Duration::from_secs(35) && !lost.is_empty() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = checker.lost()?;
        if now.len() != lost.len() {
            (quiet, lost) = (Instant::now(), now);
        }
    }
    drop(instance);
    disk.unmount()?;
    Ok(lost)
}
