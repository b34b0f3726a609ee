//! What goes wrong: processes, connections, the disk, the broker's memory, the clock.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cofferdam_seams::crash::{CrashAt, Point, VARIABLE, When};
use serde_json::Value;
use tokio::sync::watch;

use crate::checker::Expect;
use crate::clients::Tenant;
use crate::disk::{self, Disk, freeze};
use crate::history::Random;
use crate::instance::{Instance, Launched, RunFile, Settings};
use crate::proxy::{Direction, Fault, Proxy};
use crate::streams::{Stored, Streams};

/// The clock trait's offset, see `SystemClock`.
const CLOCK: &str = "COFFERDAM_TEST_CLOCK_OFFSET_MS";
/// The disk's size, when it can be a small one.
const DISK_MIB: u64 = 3_072;
/// Who reads every event, and so buries one that cannot be read.
const READERS: [&str; 3] = ["encrypt-hi", "validate-hi", "sink-sqlite-events"];

/// One kind of fault, and how often it is drawn.
const KINDS: [(&str, u64); 16] = [
    ("process killed", 10),
    ("broker killed", 10),
    ("process stopped and continued", 6),
    ("broker stopped and continued", 6),
    ("orderly restart", 4),
    ("death at a crash point", 12),
    ("client connections cut after some bytes", 8),
    ("client connections reset", 8),
    ("client connections half closed", 4),
    ("client connections slow", 4),
    ("client connections swallowed", 3),
    ("disk full", 4),
    ("messages repeated out of order", 8),
    ("messages lost", 4),
    ("clock set off", 3),
    ("started with yesterday's data", 3),
];

/// See the module.
pub struct Nemesis {
    instance: Instance,
    home: PathBuf,
    log: PathBuf,
    disk: Option<Disk>,
    random: Random,
    s3: Proxy,
    nats: Proxy,
    clients: watch::Sender<Arc<Tenant>>,
    /// Sequences of events nobody can read.
    poison: Vec<u64>,
    /// Such events whose publishing was not answered: they may be there.
    perhaps: usize,
    /// Whether this epoch loses messages; then it has no poison, which might be lost as well.
    loses: bool,
    lost: bool,
    day_passed: bool,
    faults: BTreeMap<&'static str, usize>,
}

fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let at = url.split_once("://").map_or(url, |(_, at)| at);
    at.parse().with_context(|| format!("{url} has no address"))
}

impl Nemesis {
    /// Starts the instance, on a small disk of its own where the machine allows that, and proxies before it.
    pub async fn start(home: &Path, mut random: Random) -> anyhow::Result<Nemesis> {
        let disk = match disk::unable() {
            None => Some(Disk::format(home, "small", DISK_MIB)?),
            Some(_) => None,
        };
        let log = home.join("log");
        let home = disk.as_ref().map_or(home, Disk::path).join("instance");
        let instance = tokio::task::block_in_place(|| Instance::start(&home, settings(&log)))?;
        let seed = random.next();
        let s3 = Proxy::start(address(&instance.run.s3.endpoint)?, seed)?;
        let nats = Proxy::start(address(&instance.run.nats.url)?, seed.wrapping_add(1))?;
        let tenant = Tenant::connect(&through(&instance.run, &s3, &nats)).await?;
        let loses = random.below(3) == 0;
        Ok(Nemesis {
            instance,
            home,
            log,
            disk,
            random,
            s3,
            nats,
            clients: watch::Sender::new(Arc::new(tenant)),
            poison: Vec::new(),
            perhaps: 0,
            loses,
            lost: false,
            day_passed: false,
            faults: BTreeMap::new(),
        })
    }

    /// The clients to use; they change with every restart.
    pub fn clients(&self) -> watch::Receiver<Arc<Tenant>> {
        self.clients.subscribe()
    }

    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Its last words.
    pub fn tail(&self, lines: usize) -> String {
        self.instance.tail(lines)
    }

    /// What the checker may not expect any more.
    pub fn expect(&self) -> Expect {
        Expect {
            power_cut: self.lost,
            refusals: true,
            day_passed: self.day_passed,
            ..Expect::default()
        }
    }

    /// Events that nobody can read.
    pub fn poison(&self) -> usize {
        self.poison.len()
    }

    /// Breaks things until the load is over. Gives what was done, and how often.
    pub async fn rage(&mut self, over: &AtomicBool) -> anyhow::Result<BTreeMap<&'static str, usize>> {
        let total: u64 = KINDS.iter().map(|(_, weight)| weight).sum();
        while !over.load(Ordering::SeqCst) {
            let rest = 300 + self.random.below(2_200);
            tokio::time::sleep(Duration::from_millis(rest)).await;
            if !self.loses && self.random.below(3) == 0 {
                self.poison_one().await?;
            }
            let mut drawn = self.random.below(total);
            let kind = KINDS.iter().find(|(_, weight)| match drawn.checked_sub(*weight) {
                Some(left) => {
                    drawn = left;
                    false
                }
                None => true,
            });
            let Some((kind, _)) = kind else { continue };
            if self.strike(kind).await.with_context(|| (*kind).to_owned())? {
                *self.faults.entry(kind).or_default() += 1;
            }
        }
        Ok(self.faults.clone())
    }

    /// Ends every fault that lasts.
    pub async fn heal(&mut self) -> anyhow::Result<()> {
        self.s3.heal();
        self.nats.heal();
        // One more restart, so that no offset of the clock and no armed point is left.
        tokio::task::block_in_place(|| self.instance.kill())?;
        self.begin(settings(&self.log)).await
    }

    /// Every event that nobody can read has exactly one dead letter a reader, and there are no others. Gives how many letters there are.
    pub async fn poison_is_buried(&self) -> anyhow::Result<usize> {
        let streams = Streams::connect(&self.instance.run).await?;
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            let letters = streams.all("DLQ").await?;
            match self.buried(&letters) {
                Ok(()) => return Ok(letters.len()),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    fn buried(&self, letters: &[Stored]) -> anyhow::Result<()> {
        let header = |letter: &Stored, name: &str| letter.headers.get(name).cloned().unwrap_or_default();
        for sequence in &self.poison {
            for reader in READERS {
                let own = letters.iter().filter(|letter| {
                    header(letter, "x-dlq-stream") == "EVT"
                        && header(letter, "x-dlq-consumer") == reader
                        && header(letter, "x-dlq-seq") == sequence.to_string()
                });
                let count = own.count();
                ensure!(count == 1, "event {sequence} has {count} dead letters of {reader}");
            }
        }
        let known = self.poison.len() * READERS.len();
        let most = known + self.perhaps * READERS.len();
        let stranger = letters.iter().find(|letter| {
            let number = header(letter, "x-dlq-seq").parse().unwrap_or(0);
            !self.poison.contains(&number)
        });
        ensure!(
            (known..=most).contains(&letters.len()),
            "I1: {} dead letters, {known} to {most} expected; one is {:?}",
            letters.len(),
            stranger.map(|letter| (&letter.subject, &letter.headers))
        );
        Ok(())
    }

    async fn strike(&mut self, kind: &str) -> anyhow::Result<bool> {
        let a_while = Duration::from_millis(500 + self.random.below(2_500));
        match kind {
            "process killed" => {
                tokio::task::block_in_place(|| self.instance.kill())?;
                self.begin(settings(&self.log)).await?;
            }
            "broker killed" => {
                if self.instance.server_pid().is_none() {
                    return Ok(false);
                }
                self.instance.kill_server()?;
            }
            "process stopped and continued" => self.stop(self.instance.run.pid, a_while * 3).await?,
            "broker stopped and continued" => match self.instance.server_pid() {
                Some(pid) => self.stop(pid, a_while * 3).await?,
                None => return Ok(false),
            },
            "orderly restart" => {
                tokio::task::block_in_place(|| self.instance.stop())?;
                self.begin(settings(&self.log)).await?;
            }
            "death at a crash point" => return self.crash().await,
            "client connections cut after some bytes" => {
                let most = 1 + self.random.below(100_000);
                self.connections(Fault::CutWithin(most), a_while).await;
            }
            "client connections reset" => {
                self.s3.reset();
                self.nats.reset();
            }
            "client connections half closed" => {
                let direction = if self.random.below(2) == 0 {
                    Direction::Up
                } else {
                    Direction::Down
                };
                self.s3.half_close(direction);
                self.nats.half_close(direction);
            }
            "client connections slow" => {
                let base = Duration::from_millis(20 + self.random.below(200));
                let fault = Fault::Latency { base, jitter: base };
                self.connections(fault, a_while).await;
            }
            "client connections swallowed" => {
                self.connections(Fault::BlackHole, a_while).await;
                // Whose bytes were swallowed waits for an answer that never comes.
                self.s3.reset();
                self.nats.reset();
            }
            "disk full" => return self.fill(a_while * 2).await,
            "messages repeated out of order" => return self.repeat().await,
            "messages lost" => {
                if !self.loses {
                    return Ok(false);
                }
                let stream = ["EVT", "RES", "CMD"][self.random.below(3) as usize];
                return self.lose(stream).await;
            }
            "clock set off" => {
                let offset = self.random.below(600_000).cast_signed() - 300_000;
                tokio::task::block_in_place(|| self.instance.kill())?;
                self.begin(settings(&self.log).env(CLOCK, offset.to_string())).await?;
            }
            "started with yesterday's data" => {
                // Everything in hand is a day old: windows are over, links and copies have expired. Clients' signatures are a day old too, so
                // that nothing is taken until the clock is right again.
                tokio::task::block_in_place(|| self.instance.kill())?;
                self.day_passed = true;
                let day = Duration::from_secs(86_400).as_millis().to_string();
                self.begin(settings(&self.log).env(CLOCK, day)).await?;
                tokio::time::sleep(a_while).await;
                tokio::task::block_in_place(|| self.instance.kill())?;
                self.begin(settings(&self.log)).await?;
            }
            other => anyhow::bail!("no fault {other}"),
        }
        Ok(true)
    }

    /// Starts the instance again after it has ended, and connects clients to it.
    async fn begin(&mut self, settings: Settings) -> anyhow::Result<()> {
        self.instance = tokio::task::block_in_place(|| Instance::start(&self.home, settings))?;
        self.connect().await
    }

    async fn connect(&mut self) -> anyhow::Result<()> {
        self.s3.retarget(address(&self.instance.run.s3.endpoint)?);
        self.nats.retarget(address(&self.instance.run.nats.url)?);
        let tenant = Tenant::connect(&through(&self.instance.run, &self.s3, &self.nats)).await?;
        self.clients.send_replace(Arc::new(tenant));
        Ok(())
    }

    async fn stop(&self, pid: i32, time: Duration) -> anyhow::Result<()> {
        tokio::task::block_in_place(|| freeze(&[pid]))?;
        tokio::time::sleep(time).await;
        // SAFETY: plain kill(2) on a process of this instance.
        ensure!(unsafe { libc::kill(pid, libc::SIGCONT) } == 0, "cannot continue {pid}");
        Ok(())
    }

    /// A restart, armed: it dies at the point, whenever it comes by, or is killed after a while.
    async fn crash(&mut self) -> anyhow::Result<bool> {
        let at = CrashAt {
            point: Point::ALL[self.random.below(Point::ALL.len() as u64) as usize],
            when: if self.random.below(2) == 0 {
                When::Before
            } else {
                When::After
            },
            hit: 1 + u32::try_from(self.random.below(40))?,
        };
        tokio::task::block_in_place(|| self.instance.kill())?;
        let armed = settings(&self.log).env(VARIABLE, at.to_string());
        let mut died = true;
        match tokio::task::block_in_place(|| Instance::launch(&self.home, armed))? {
            // It died before it was ready: that is what was wanted.
            Launched::Ended { .. } => {}
            Launched::Ready(instance) => {
                self.instance = *instance;
                // It may die at any moment, so a client that cannot connect is no fault.
                if self.connect().await.is_ok() {
                    let until = Instant::now() + Duration::from_secs(8);
                    while self.instance.ended()?.is_none() && Instant::now() < until {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                died = self.instance.ended()?.is_some();
                tokio::task::block_in_place(|| self.instance.kill())?;
            }
        }
        self.begin(settings(&self.log)).await?;
        Ok(died)
    }

    async fn connections(&self, fault: Fault, time: Duration) {
        self.s3.set_both(fault);
        self.nats.set_both(fault);
        tokio::time::sleep(time).await;
        self.s3.heal();
        self.nats.heal();
    }

    /// Fills the disk to the last block, and takes the filling away after a while.
    async fn fill(&mut self, time: Duration) -> anyhow::Result<bool> {
        let Some(disk) = &self.disk else { return Ok(false) };
        let path = disk.path().join("ballast");
        let fill = || -> anyhow::Result<()> {
            let mut file = std::fs::File::create(&path)?;
            for size in [1 << 20, 4096] {
                let block = vec![0xa5; size];
                while file.write_all(&block).is_ok() {}
            }
            Ok(())
        };
        tokio::task::block_in_place(fill)?;
        tokio::time::sleep(time).await;
        std::fs::remove_file(&path)?;
        // SQLite and the bucket go on by themselves; a broker that was latched by it is started again by its parent.
        if self.instance.ended()?.is_some() {
            anyhow::bail!(
                "the process ended because the disk was full:\n{}",
                self.instance.tail(20)
            );
        }
        Ok(true)
    }

    /// Publishes some of the newest messages again, in another order and under other ids, as if the dedup window were empty.
    async fn repeat(&mut self) -> anyhow::Result<bool> {
        let Ok(streams) = Streams::connect(&self.instance.run).await else {
            return Ok(false);
        };
        let stream = ["EVT", "RES", "CMD"][self.random.below(3) as usize];
        let Ok(all) = streams.all(stream).await else {
            return Ok(false);
        };
        let all: Vec<_> = all
            .into_iter()
            .filter(|message| !self.poison.contains(&message.sequence) || stream != "EVT")
            .collect();
        let mut newest: Vec<_> = all.into_iter().rev().take(100).collect();
        for n in (1..newest.len()).rev() {
            newest.swap(n, self.random.below(n as u64 + 1) as usize);
        }
        let mut repeated = false;
        for message in newest.iter().take(30) {
            // One that was repeated before has the same id again and is not stored; a broker that is away takes none.
            repeated |= streams.publish_again(message).await.is_ok();
        }
        Ok(repeated)
    }

    /// Empties a stream, as a power cut may: what was in it must come again from the ledger.
    async fn lose(&mut self, stream: &str) -> anyhow::Result<bool> {
        let secrets: Value = serde_json::from_slice(&std::fs::read(self.instance.data().join("secrets.json"))?)?;
        let password = secrets["nats"]["roles"]["provisioner"]
            .as_str()
            .context("the provisioner's password")?;
        let options = async_nats::ConnectOptions::with_user_and_password("provisioner".to_owned(), password.to_owned())
            .custom_inbox_prefix("_INBOX_provisioner");
        let Ok(client) = options.connect(&self.instance.run.nats.url).await else {
            return Ok(false);
        };
        let asked = client.request(format!("$JS.API.STREAM.PURGE.{stream}"), "".into());
        let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(5), asked).await else {
            return Ok(false);
        };
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        self.lost |= answer["purged"].as_u64().unwrap_or(0) > 0;
        Ok(self.lost)
    }

    /// An event that nobody can read.
    async fn poison_one(&mut self) -> anyhow::Result<()> {
        let Ok(streams) = Streams::connect(&self.instance.run).await else {
            return Ok(());
        };
        let body: bytes::Bytes = match self.random.below(4) {
            0 => "".into(),
            1 => "{\"id\": 7, \"object\": []}".into(),
            2 => vec![0xff; 200].into(),
            _ => vec![b'['; 60_000].into(),
        };
        match streams.publish("evt.v1.hi.default.put.00", body).await {
            Ok(sequence) => self.poison.push(sequence),
            Err(_) => self.perhaps += 1,
        }
        Ok(())
    }
}

fn settings(log: &Path) -> Settings {
    Settings {
        log: Some(log.to_owned()),
        ..Settings::default()
    }
}

/// The same instance behind the proxies.
fn through(run: &RunFile, s3: &Proxy, nats: &Proxy) -> RunFile {
    let mut run = run.clone();
    run.s3.endpoint = format!("http://{}", s3.address());
    run.nats.url = format!("nats://{}", nats.address());
    run
}
