//! One process a service, over a NATS server and an S3 store that are not ours.

#![allow(clippy::disallowed_methods)] // A thread that waits for processes of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cofferdam_tests::history::{Random, eicar};
use cofferdam_tests::{Direction, Fault, Feed, Instance, Proxy, RunFile, Settings, Tenant, tools};
use serde_json::json;

use crate::gateway::{Gateway, Place, free_port};
use crate::support::{PATIENCE, block_on, noise, until};

const SERVICES: [&str; 8] = [
    "normalise",
    "gateway",
    "join",
    "sink",
    "query",
    "dlq",
    "encrypt",
    "validate",
];

/// A process with a log of its own, killed when dropped.
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(name: &str, home: &Path, command: &mut Command) -> anyhow::Result<Process> {
        let log = home.join(format!("{name}.log"));
        let out = std::fs::File::create(&log)?;
        command
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Ok(Process {
            name: name.to_owned(),
            child: command.spawn()?,
            log,
        })
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM; it must end by itself, with exit code 0, in time.
    fn stop(&mut self) -> anyhow::Result<()> {
        // SAFETY: plain kill(2) on our own child.
        ensure!(unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGTERM) } == 0);
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.said());
                return Ok(());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(10),
                "{} did not end within 10 s:\n{}",
                self.name,
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn service(name: &str, home: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(tools::program("cofferdam")?);
    command
        .args(["--config", "roles.toml", "run", name])
        .env("COFFERDAM__CONFIG_DIR", home.join("config"));
    Process::start(name, home, &mut command)
}

/// Broker, foreign store, and a process for each service.
struct Deployment {
    services: Vec<Process>,
    gateway: Gateway,
    run: RunFile,
    _server: Process,
}

/// Where services find the broker and the store.
#[derive(Clone, Copy)]
struct Ends {
    broker: SocketAddr,
    store: SocketAddr,
}

impl Deployment {
    /// Starts everything. Services use the ends that `seen` makes of the real ones.
    async fn start(home: &Path, seen: impl FnOnce(Ends) -> anyhow::Result<Ends>) -> anyhow::Result<Deployment> {
        let place = Place::choose(home)?;
        let real = Ends {
            broker: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            store: place.address(),
        };
        let seen = seen(real)?;
        let sources = place.source(seen.store);
        // The first start on one machine makes users, passwords and keys; from then on the same files serve one process a service.
        let mut settings = Settings {
            config: Some(sources.clone()),
            ..Settings::default()
        };
        settings = settings.env("COFFERDAM__NATS__LISTEN", real.broker.to_string());
        let mut run = tokio::task::block_in_place(|| {
            let mut instance = Instance::start(home, settings)?;
            let run = instance.run.clone();
            instance.stop()?;
            anyhow::Ok(run)
        })?;
        let data = home.join("data");
        let roles = format!(
            r#"
            data_dir = {data:?}
            {sources}
            [objects]
            {}
            [http]
            listen = "127.0.0.1:0"
            [nats]
            url = "nats://{}"
            secrets_file = {:?}
            "#,
            place.store(seen.store),
            seen.broker,
            data.join("secrets.json")
        );
        std::fs::write(home.join("roles.toml"), roles)?;

        let mut server = Command::new(tools::nats_server().map_err(anyhow::Error::msg)?);
        server.arg("--config").arg(data.join("nats/run/server.conf"));
        let server = Process::start("nats-server", home, &mut server)?;
        let secrets = std::fs::read(data.join("secrets.json"))?;
        until("the broker answers", Duration::from_secs(20), || async {
            Ok(tokio::net::TcpStream::connect(real.broker).await.is_ok())
        })
        .await?;
        let url = format!("nats://{}", real.broker);
        let gateway = Gateway::start(home, &place, &url, &secrets, "gateway").await?;
        for bucket in ["uploads", "vault", "quarantine", "results", "outbox"] {
            gateway.s3.create_bucket().bucket(bucket).send().await?;
        }

        let mut provision = service("provision", home)?;
        let status = tokio::task::block_in_place(|| provision.child.wait())?;
        ensure!(status.success(), "provision: {}", provision.said());
        let mut services = Vec::new();
        for name in SERVICES {
            services.push(service(name, home)?);
        }
        for one in &mut services {
            until("a service is ready", Duration::from_secs(30), || async {
                Ok(one.said().contains("ready"))
            })
            .await
            .with_context(|| format!("{}:\n{}", one.name, one.said()))?;
            ensure!(one.child.try_wait()?.is_none(), "{} ended:\n{}", one.name, one.said());
        }
        run.nats.url = url;
        run.s3.endpoint = format!("http://{}", real.store);
        Ok(Deployment {
            services,
            gateway,
            run,
            _server: server,
        })
    }

    /// Puts a document into the foreign store; gives its entity tag.
    async fn put(&self, key: &str, body: Vec<u8>) -> anyhow::Result<String> {
        let put = self.gateway.s3.put_object().bucket("uploads").key(key);
        let put = put.body(body.into()).send().await?;
        Ok(put.e_tag().context("etag")?.trim_matches('"').to_owned())
    }

    /// Waits until so many documents have the final row `done`.
    async fn rows(&self, wanted: usize, patience: Duration) -> anyhow::Result<()> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let rows = rusqlite::Connection::open_with_flags(&self.run.database, flags)?;
        until("rows are there", patience, || async {
            let done: u32 = rows.query_row("SELECT count(*) FROM documents WHERE state = 'done'", [], |row| {
                row.get(0)
            })?;
            let done = done as usize;
            ensure!(done <= wanted, "{done} rows of {wanted} documents");
            Ok(done == wanted)
        })
        .await
    }

    /// Waits until the store that documents were dropped into has none of them any more.
    async fn retired(&self, patience: Duration) -> anyhow::Result<()> {
        until("landing copies are retired", patience, || async {
            let left = self.gateway.s3.list_objects_v2().bucket("uploads").send().await?;
            Ok(left.contents().is_empty())
        })
        .await
    }

    /// What all services said.
    fn said(&self) -> String {
        let each = |one: &Process| format!("--- {}\n{}", one.name, one.said());
        self.services.iter().map(each).collect()
    }

    /// Ends every service, which must do so in order.
    fn stop(mut self) -> anyhow::Result<()> {
        tokio::task::block_in_place(|| self.services.iter_mut().try_for_each(Process::stop))
    }
}

/// Documents dropped into the foreign store go through eight processes and come back; every process stops cleanly.
pub fn distributed(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let all = Deployment::start(home, Ok).await?;
        let tenant = Tenant::connect(&all.run).await?;
        let feed = Feed::start(&tenant).await?;
        for (key, body) in [("small.bin", noise(60, 900)), ("large.bin", noise(61, 3_000_000))] {
            let etag = all.put(key, body.clone()).await?;
            let heard = feed.done(key, &etag, PATIENCE).await.with_context(|| all.said())?;
            ensure!(heard.done[0]["state"] == "done", "{key}: {}", heard.done[0]);
            let back = tenant.retrieve(json!({"key": key, "bucket": "uploads"}), None).await?;
            ensure!(back.body[..] == body[..], "{key} came back different");
        }
        all.rows(2, PATIENCE).await?;
        all.retired(PATIENCE).await?;
        // What is quarantined is isolated by the sink, and released by the service of that command, over S3.
        let etag = all.put("virus.txt", eicar().into_bytes()).await?;
        let heard = feed.done("virus.txt", &etag, PATIENCE).await?;
        ensure!(heard.done[0]["state"] == "quarantined", "{}", heard.done[0]);
        let held = || all.gateway.s3.list_objects_v2().bucket("quarantine").send();
        until("the sealed copy is isolated", PATIENCE, || async {
            Ok(held().await?.contents().len() == 1)
        })
        .await?;
        let body = json!({"select": {"key": "virus.txt"}, "reason": "our own test"});
        tenant.command("release", &body).await?;
        let back = tenant.retrieve(json!({"key": "virus.txt"}), None).await?;
        ensure!(back.body == eicar().as_bytes(), "came back different");
        all.stop()
    })
}

/// How long connections are broken, documents meanwhile, and how long all may take to end afterwards: a delivery that went nowhere comes again
/// only after the longest of the consumers' patience.
const RAGE: Duration = Duration::from_secs(20);
const DROPPED: usize = 60;
const RECOVERY: Duration = Duration::from_secs(150);
/// By then every notification that was on its way has been delivered again, and how many of the gateway's own may be torn.
const DELIVERED: Duration = Duration::from_secs(45);
const TORN: usize = 4;

/// Connections of the services to the broker are cut, reset, half closed, slowed down, swallowed and refused: every document is done once.
pub fn broken_links(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let mut link = None;
        let all = Deployment::start(home, |real| {
            let link = link.insert(Proxy::start(real.broker, 81)?);
            Ok(Ends {
                broker: link.address(),
                ..real
            })
        })
        .await?;
        let link = link.context("no link")?;
        let before = link.accepted();
        let tenant = Tenant::connect(&all.run).await?;
        let feed = Feed::start(&tenant).await?;
        let mut random = Random::new(83);
        let (began, mut dropped) = (Instant::now(), Vec::new());
        while began.elapsed() < RAGE || dropped.len() < DROPPED {
            for _ in 0..4 {
                let (key, seed) = (format!("{:03}.bin", dropped.len()), dropped.len() as u64 + 100);
                let body = noise(seed, 100 + random.below(400_000) as usize);
                dropped.push((all.put(&key, body.clone()).await?, key, body));
            }
            let swallowed = strike(&link, &mut random);
            tokio::time::sleep(Duration::from_millis(200 + random.below(1_800))).await;
            link.heal();
            // What a network swallows TCP sends again, or it ends the connection: one that lives on without its bytes there is not.
            if swallowed {
                link.reset();
            }
        }
        let again = link.accepted() - before;
        ensure!(
            again > 3,
            "only {again} connections were made again: nothing was broken"
        );
        // With several requests at once this gateway now and then tears the key in a notification: it names an object that is not there, or none at all
        // (counted as `gone` and `unreadable`). Who dropped the document and hears nothing of it drops it again.
        let silent = |dropped: &[(String, String, Vec<u8>)]| -> Vec<usize> {
            let known = |at: &usize| feed.of(&dropped[*at].1, &dropped[*at].0).event.is_some();
            (0..dropped.len()).filter(|at| !known(at)).collect()
        };
        let patience = Instant::now() + DELIVERED;
        while !silent(&dropped).is_empty() && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let torn = silent(&dropped);
        ensure!(
            torn.len() <= TORN,
            "{} documents have no event:\n{}",
            torn.len(),
            all.said()
        );
        for at in torn {
            let (_, key, body) = &dropped[at];
            dropped[at].0 = all.put(key, body.clone()).await?;
        }
        all.rows(dropped.len(), RECOVERY).await.with_context(|| {
            let heard = dropped.iter().map(|(etag, key, _)| (key, feed.of(key, etag)));
            let open: Vec<String> = heard
                .filter(|(_, heard)| heard.done.is_empty())
                .map(|(key, heard)| {
                    let results: Vec<&String> = heard.results.keys().collect();
                    format!("{key}: event {}, results {results:?}", heard.event.is_some())
                })
                .collect();
            format!("{}\nnot done: {open:?}", all.said())
        })?;
        for (etag, key, body) in &dropped {
            let heard = feed.done(key, etag, PATIENCE).await?;
            ensure!(heard.done.len() == 1, "{key} was done {} times", heard.done.len());
            ensure!(heard.done[0]["state"] == "done", "{key}: {}", heard.done[0]);
            let back = tenant.retrieve(json!({"key": key, "bucket": "uploads"}), None).await?;
            ensure!(back.body == body[..], "{key} came back different");
        }
        all.retired(RECOVERY).await.with_context(|| all.said())?;
        all.stop()
    })
}

/// Breaks a link in one way of seven; says whether bytes are thrown away.
fn strike(link: &Proxy, random: &mut Random) -> bool {
    let direction = if random.below(2) == 0 {
        Direction::Up
    } else {
        Direction::Down
    };
    let kind = random.below(7);
    match kind {
        0 => link.reset(),
        1 => link.half_close(direction),
        2 => link.refuse(),
        3 => link.set_both(Fault::CutWithin(100_000)),
        4 => link.set(direction, Fault::CutWithin(2_000)),
        5 => link.set(direction, Fault::BlackHole),
        _ => link.set_both(Fault::Latency {
            base: Duration::from_millis(50),
            jitter: Duration::from_millis(200),
        }),
    }
    kind == 5
}
