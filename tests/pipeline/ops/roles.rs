//! One process a service, over a NATS server and an S3 store that are not ours.

#![allow(clippy::disallowed_methods)] // A thread that waits for processes of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cofferdam_tests::history::eicar;
use cofferdam_tests::{Feed, Instance, Settings, Tenant, tools};
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

/// Documents dropped into the foreign store go through eight processes and come back; every process stops cleanly.
pub fn distributed(home: &Path) -> anyhow::Result<()> {
    let place = Place::choose(home)?;
    let nats_port = free_port()?;
    let sources = format!(
        r#"
        landing = [
            {{ bucket = "inbox", tenant = "default" }},
            {{ bucket = "uploads", tenant = "default", source = "gateway" }},
        ]
        [[sources]]
        name = "gateway"
        dialect = "versitygw"
        publishes = true
        [sources.store]
        {}
        "#,
        place.store()
    );
    // The first start on one machine makes users, passwords and keys; from then on the same files serve one process a service.
    let mut settings = Settings {
        config: Some(sources.clone()),
        ..Settings::default()
    };
    settings = settings.env("COFFERDAM__NATS__LISTEN", format!("127.0.0.1:{nats_port}"));
    let mut instance = Instance::start(home, settings)?;
    let mut run = instance.run.clone();
    instance.stop()?;
    let data = home.join("data");
    let url = format!("nats://127.0.0.1:{nats_port}");
    let roles = format!(
        r#"
        data_dir = {data:?}
        {sources}
        [objects]
        {}
        [http]
        listen = "127.0.0.1:0"
        [nats]
        url = "{url}"
        secrets_file = {:?}
        "#,
        place.store(),
        data.join("secrets.json")
    );
    std::fs::write(home.join("roles.toml"), roles)?;

    block_on(async {
        let mut server = Command::new(tools::nats_server().map_err(anyhow::Error::msg)?);
        server.arg("--config").arg(data.join("nats/run/server.conf"));
        let _server = Process::start("nats-server", home, &mut server)?;
        let secrets = std::fs::read(data.join("secrets.json"))?;
        until("the broker answers", Duration::from_secs(20), || async {
            Ok(tokio::net::TcpStream::connect(("127.0.0.1", nats_port)).await.is_ok())
        })
        .await?;
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

        run.nats.url.clone_from(&url);
        run.s3.endpoint = format!("http://127.0.0.1:{}", place.port);
        let tenant = Tenant::connect(&run).await?;
        let feed = Feed::start(&tenant).await?;
        for (key, body) in [("small.bin", noise(60, 900)), ("large.bin", noise(61, 3_000_000))] {
            let put = gateway
                .s3
                .put_object()
                .bucket("uploads")
                .key(key)
                .body(body.clone().into());
            let put = put.send().await?;
            let etag = put.e_tag().context("etag")?.trim_matches('"').to_owned();
            let heard = feed.done(key, &etag, PATIENCE).await.with_context(|| {
                services
                    .iter()
                    .map(|one| format!("--- {}\n{}", one.name, one.said()))
                    .collect::<String>()
            })?;
            ensure!(heard.done[0]["state"] == "done", "{key}: {}", heard.done[0]);
            let back = tenant.retrieve(json!({"key": key, "bucket": "uploads"}), None).await?;
            ensure!(back.body[..] == body[..], "{key} came back different");
        }
        let rows = rusqlite::Connection::open_with_flags(&run.database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        until("rows are there", PATIENCE, || async {
            let done: i64 = rows.query_row("SELECT count(*) FROM documents WHERE state = 'done'", [], |row| {
                row.get(0)
            })?;
            Ok(done == 2)
        })
        .await?;
        until("landing copies are retired", PATIENCE, || async {
            let left = gateway.s3.list_objects_v2().bucket("uploads").send().await?;
            Ok(left.contents().is_empty())
        })
        .await?;
        // What is quarantined is isolated by the sink, and released by the service of that command, over S3.
        let put = gateway.s3.put_object().bucket("uploads").key("virus.txt");
        let put = put.body(eicar().into_bytes().into()).send().await?;
        let etag = put.e_tag().context("etag")?.trim_matches('"').to_owned();
        let heard = feed.done("virus.txt", &etag, PATIENCE).await?;
        ensure!(heard.done[0]["state"] == "quarantined", "{}", heard.done[0]);
        let held = || gateway.s3.list_objects_v2().bucket("quarantine").send();
        until("the sealed copy is isolated", PATIENCE, || async {
            Ok(held().await?.contents().len() == 1)
        })
        .await?;
        let body = json!({"select": {"key": "virus.txt"}, "reason": "our own test"});
        tenant.command("release", &body).await?;
        let back = tenant.retrieve(json!({"key": "virus.txt"}), None).await?;
        ensure!(back.body == eicar().as_bytes(), "came back different");
        for one in &mut services {
            tokio::task::block_in_place(|| one.stop())?;
        }
        Ok(())
    })
}
