//! Drop a file: it is sealed, every step is an event, and it comes back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use cofferdam_tests::{Feed, Settings};
use serde_json::json;

use crate::support::{PATIENCE, block_on, keys, noise, start, until};

/// The whole way at the sizes where chunks, inline storage and files meet.
pub fn round_trip(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (mut instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        for (n, size) in [0, 1, 16_383, 16_384, 16_385, 65_536, 65_537, 1_000_000]
            .into_iter()
            .enumerate()
        {
            let (key, body) = (format!("dir/size {size}.bin"), noise(n as u64 + 1, size));
            let etag = tenant.put(&key, body.clone()).await?;
            let heard = feed.done(&key, &etag, PATIENCE).await?;
            let done = &heard.done[0];
            ensure!(done["state"] == "done" && done["verdict"] == "pass", "{key}: {done}");
            for processor in ["encrypt", "validate"] {
                ensure!(
                    heard.results.get(processor).is_some_and(|r| r["outcome"] == "done"),
                    "{key}: no result of {processor}"
                );
            }
            let id = done["object"]["id"].as_str().context("id")?;
            let sealed = tenant
                .s3
                .head_object()
                .bucket("vault")
                .key(format!("default/{id}.sealed"))
                .send()
                .await?;
            ensure!(
                sealed.content_length().unwrap_or(0) > size as i64 + 5_000,
                "sealed copy of {key} is too small"
            );
            let back = tenant.retrieve(json!({ "key": key }), None).await?;
            ensure!(back.body[..] == body[..], "{key} came back different");
        }
        let took = instance.stop()?;
        ensure!(took < Duration::from_secs(10), "took {took:?} to stop");
        Ok(())
    })
}

/// `until-done` deletes after the end, `keep` does not.
pub fn retire(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (_instance, tenant) = start(&home.join("until-done"), Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("goes.txt", b"goes".to_vec()).await?;
        feed.done("goes.txt", &etag, PATIENCE).await?;
        until("landing copy retired", PATIENCE, || async {
            Ok(keys(&tenant, "inbox", "").await?.is_empty())
        })
        .await?;

        let settings = Settings::default().env("COFFERDAM__RETIRE__POLICY", "keep");
        let (_instance, tenant) = start(&home.join("keep"), settings).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("stays.txt", b"stays".to_vec()).await?;
        feed.done("stays.txt", &etag, PATIENCE).await?;
        until("row is final", PATIENCE, || async {
            let answer = tenant.ask("q.object", &json!({"key": "stays.txt"})).await?;
            Ok(answer["object"]["state"] == "done")
        })
        .await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        ensure!(keys(&tenant, "inbox", "").await? == ["stays.txt"], "kept copy is gone");
        Ok(())
    })
}

/// A key written twice in quick succession gives two documents, each sealed.
pub fn overwrite(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (_instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let bodies: Vec<Vec<u8>> = (1..=10).map(|n| noise(n, 200_000)).collect();
        let mut etags = Vec::new();
        for body in &bodies {
            etags.push(tenant.put("report.bin", body.clone()).await?);
        }
        for (etag, body) in etags.iter().zip(&bodies) {
            let heard = feed.done("report.bin", etag, PATIENCE).await?;
            ensure!(heard.done[0]["state"] == "done", "version {etag}: {}", heard.done[0]);
            let back = tenant
                .retrieve(json!({"object": heard.done[0]["object"]["id"]}), None)
                .await?;
            ensure!(back.body[..] == body[..], "version {etag} came back different");
        }
        let newest = tenant.retrieve(json!({"key": "report.bin"}), None).await?;
        ensure!(
            newest.body[..] == bodies[9][..],
            "the key does not give the newest version"
        );
        Ok(())
    })
}

/// The database is an ordinary SQLite file.
pub fn rows(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("rows.csv", b"a,b\n1,2\n3,4\n".to_vec()).await?;
        feed.done("rows.csv", &etag, PATIENCE).await?;
        until("rows are there", PATIENCE, || async {
            let db = rusqlite::Connection::open_with_flags(
                &instance.run.database,
                rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
            )?;
            let documents: i64 = db.query_row(
                "SELECT count(*) FROM documents WHERE key = 'rows.csv' AND state = 'done'",
                [],
                |row| row.get(0),
            )?;
            let results: i64 = db
                .query_row("SELECT count(*) FROM results WHERE key = 'rows.csv'", [], |row| {
                    row.get(0)
                })
                .unwrap_or(2);
            Ok(documents == 1 && results == 2)
        })
        .await
    })
}
