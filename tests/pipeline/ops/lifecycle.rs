//! Start, stop, start again.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use cofferdam_tests::{Feed, Instance, Settings, Tenant};
use serde_json::json;

use crate::support::{PATIENCE, block_on, noise, start, until};

/// A stop in the middle of the work, and a second start, lose and repeat nothing.
pub fn resume(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (mut instance, tenant) = start(home, Settings::default()).await?;
        for n in 0..200 {
            tenant.put(&format!("doc-{n:03}"), noise(n + 1, 20_000)).await?;
        }
        let took = instance.stop()?;
        ensure!(took < Duration::from_secs(10), "took {took:?} to drain");
        ensure!(
            !instance.data().join("run.json").exists(),
            "run.json must go with the instance"
        );
        instance.restart()?;
        let tenant = Tenant::connect(&instance.run).await?;
        until("all are done", PATIENCE, || async {
            let db = rusqlite::Connection::open_with_flags(
                &instance.run.database,
                rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
            )?;
            let done: i64 = db.query_row("SELECT count(*) FROM documents WHERE state = 'done'", [], |row| {
                row.get(0)
            })?;
            Ok(done == 200)
        })
        .await?;
        let back = tenant.retrieve(json!({"key": "doc-123"}), None).await?;
        ensure!(back.body[..] == noise(124, 20_000)[..]);
        // Nothing is repeated: a third start has nothing to do.
        instance.stop()?;
        instance.restart()?;
        let tenant = Tenant::connect(&instance.run).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("last", b"last".to_vec()).await?;
        feed.done("last", &etag, PATIENCE).await?;
        ensure!(feed.of("doc-123", "").event.is_none());
        let db =
            rusqlite::Connection::open_with_flags(&instance.run.database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let all: i64 = db.query_row("SELECT count(*) FROM documents", [], |row| row.get(0))?;
        ensure!(all == 201 || all == 200, "{all} documents");
        Ok(())
    })
}

/// Two on one data directory.
pub fn second(home: &Path) -> anyhow::Result<()> {
    let first = Instance::start(home, Settings::default())?;
    let second = first.cli(&["up", "--quiet"])?;
    let error = String::from_utf8_lossy(&second.stderr);
    ensure!(
        !second.status.success() && error.contains(&format!("pid {}", first.run.pid)),
        "{error}"
    );
    ensure!(
        first.data().join("run.json").exists(),
        "the second must leave the first's run.json alone"
    );
    Ok(())
}

/// Ports that are taken.
pub fn ports(home: &Path) -> anyhow::Result<()> {
    let taken: Vec<TcpListener> = (0..4)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    let address = |n: usize| taken[n].local_addr().map(|a| a.to_string());
    let settings = Settings::default()
        .env("COFFERDAM__S3__LISTEN", address(0)?)
        .env("COFFERDAM__HTTP__LISTEN", address(1)?)
        .env("COFFERDAM__NATS__LISTEN", address(2)?)
        .env("COFFERDAM__NATS__WEBSOCKET_LISTEN", address(3)?);
    let instance = Instance::start(home, settings)?;
    let run = &instance.run;
    for (n, url) in [&run.s3.endpoint, &run.http, &run.nats.url, &run.nats.websocket]
        .into_iter()
        .enumerate()
    {
        ensure!(!url.contains(&address(n)?), "{url} is taken");
    }
    block_on(async {
        let tenant = Tenant::connect(run).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("a", b"a".to_vec()).await?;
        feed.done("a", &etag, PATIENCE).await.map(drop)
    })
}

/// run.json as documented.
pub fn run_file(home: &Path) -> anyhow::Result<()> {
    let instance = Instance::start(home, Settings::default())?;
    let path = instance.data().join("run.json");
    ensure!(std::fs::metadata(&path)?.permissions().mode() & 0o777 == 0o600);
    let run: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    for pointer in [
        "/pid",
        "/s3/endpoint",
        "/s3/region",
        "/s3/access_key_id",
        "/s3/secret_access_key",
        "/buckets/inbox",
        "/buckets/vault",
        "/buckets/results",
        "/buckets/outbox",
        "/inbox_folder",
        "/nats/url",
        "/nats/websocket",
        "/nats/tenant/name",
        "/nats/tenant/user",
        "/nats/tenant/password",
        "/nats/operator/user",
        "/nats/operator/password",
        "/http",
        "/database",
    ] {
        ensure!(
            run.pointer(pointer)
                .is_some_and(|value| !value.is_null() && value != ""),
            "no {pointer}"
        );
    }
    let database = run["database"].as_str().context("database")?;
    ensure!(Path::new(database).is_file());
    for name in ["s3.json", "secrets.json"] {
        ensure!(
            std::fs::metadata(instance.data().join(name))?.permissions().mode() & 0o077 == 0,
            "{name} can be read by others"
        );
    }
    Ok(())
}
