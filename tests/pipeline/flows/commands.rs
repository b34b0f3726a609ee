//! Commands over NATS, as any client sends them.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use cofferdam_tests::history::eicar;
use cofferdam_tests::{Feed, Settings};
use futures::StreamExt;
use serde_json::json;

use crate::support::{PATIENCE, block_on, keys, noise, start, text, until};

/// A range in the middle of a large object, and at its edges.
pub fn ranges(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (_instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let body = noise(7, 20_000_000);
        let etag = tenant.put("large.bin", body.clone()).await?;
        feed.done("large.bin", &etag, PATIENCE).await?;
        for (start, end) in [
            (0, 1),
            (16_383, 16_385),
            (9_999_999, 10_050_001),
            (19_999_999, 20_000_000),
            (19_990_000, 30_000_000),
        ] {
            let back = tenant.retrieve(json!({"key": "large.bin"}), Some((start, end))).await?;
            let expected = &body[start as usize..(end as usize).min(body.len())];
            ensure!(
                back.body[..] == *expected,
                "range {start}..{end} came back different ({} bytes)",
                back.body.len()
            );
        }
        let error = tenant
            .retrieve(json!({"key": "large.bin"}), Some((20_000_000, 20_000_001)))
            .await
            .err();
        ensure!(
            error.is_some_and(|e| e.to_string().contains("invalid-range")),
            "a range behind the end must be refused"
        );
        Ok(())
    })
}

/// A client that repeats its command id gets the same answer and one result.
pub fn idempotent(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (_instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("once.txt", b"once".to_vec()).await?;
        feed.done("once.txt", &etag, PATIENCE).await?;
        let mut results = tenant.nats.subscribe("live.retrieve.>").await?;
        tenant.nats.flush().await?;
        let body = json!({"id": "client-1", "select": {"key": "once.txt"}});
        for _ in 0..3 {
            let answer = tenant.ask("cmd.retrieve", &body).await?;
            ensure!(answer == json!({"accepted": true, "id": "client-1"}), "{answer}");
        }
        let other = tenant
            .ask(
                "cmd.retrieve",
                &json!({"id": "client-1", "select": {"key": "other.txt"}}),
            )
            .await?;
        ensure!(
            other["code"] == "invalid-request",
            "another body under the same id must be refused: {other}"
        );
        let first = tokio::time::timeout(PATIENCE, results.next()).await?;
        ensure!(first.is_some());
        let second = tokio::time::timeout(Duration::from_secs(3), results.next()).await;
        ensure!(second.is_err(), "one command has two results");
        ensure!(
            keys(&tenant, "outbox", "default/").await?.len() == 1,
            "one command has two outbox objects"
        );
        Ok(())
    })
}

/// The outbox object goes when its time is over.
pub fn expiry(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (_instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("short.txt", b"short".to_vec()).await?;
        feed.done("short.txt", &etag, PATIENCE).await?;
        let mut results = tenant.nats.subscribe("live.retrieve.>").await?;
        tenant.nats.flush().await?;
        let refused = tenant
            .ask("cmd.retrieve", &json!({"select": {"key": "short.txt"}, "expires_s": 1}))
            .await?;
        ensure!(refused["code"] == "invalid-request", "{refused}");
        tenant
            .ask(
                "cmd.retrieve",
                &json!({"select": {"key": "short.txt"}, "expires_s": 60}),
            )
            .await?;
        let message = tokio::time::timeout(PATIENCE, results.next()).await?.expect("a result");
        let event: serde_json::Value = serde_json::from_slice(&message.payload)?;
        let url = text(&event["result"]["values"], "url")?.to_owned();
        ensure!(reqwest::get(&url).await?.status().is_success(), "link does not work");
        until(
            "outbox is empty and the link dead",
            Duration::from_secs(100),
            || async {
                Ok(keys(&tenant, "outbox", "default/").await?.is_empty()
                    && !reqwest::get(&url).await?.status().is_success())
            },
        )
        .await
    })
}

/// EICAR is sealed, out of its tenant's reach, and not given out until somebody releases it and says why.
pub fn quarantine(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (_instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("virus.txt", eicar().into_bytes()).await?;
        let heard = feed.done("virus.txt", &etag, PATIENCE).await?;
        let done = &heard.done[0];
        ensure!(
            done["state"] == "quarantined" && done["verdict"] == "quarantine",
            "{done}"
        );
        ensure!(
            done["sealed"]["key"].is_string(),
            "quarantined documents are sealed too: {done}"
        );
        let refused = |what: &'static str, answer: anyhow::Result<serde_json::Value>, code: &'static str| {
            let error = answer.err().map(|error| error.to_string()).unwrap_or_default();
            ensure!(error.contains(&format!("\"{code}\"")), "{what}: {error:?}");
            Ok(())
        };
        let by_key = |key: &str| json!({"select": {"key": key}});
        let because = |key: &str| json!({"select": {"key": key}, "reason": "checked by hand, ticket 7"});
        refused(
            "retrieve",
            tenant.command("retrieve", &by_key("virus.txt")).await,
            "quarantined",
        )?;
        refused(
            "delete",
            tenant.command("delete", &by_key("virus.txt")).await,
            "quarantined",
        )?;
        let answer = tenant.ask("cmd.release", &by_key("virus.txt")).await?;
        ensure!(answer["code"] == "invalid-request", "without a reason: {answer}");

        // The row is written before the copy is moved: the move is seen a moment later.
        until("the sealed copy leaves the vault", PATIENCE, || async {
            let key = keys(&tenant, "vault", "default/").await?.remove(0);
            let body = tenant.s3.get_object().bucket("vault").key(key).send().await?.body;
            Ok(body.collect().await?.to_vec() == cofferdam_seams::quarantine::MARKER)
        })
        .await?;
        ensure!(
            keys(&tenant, "quarantine", "default/").await.is_err(),
            "a tenant sees the quarantine"
        );
        ensure!(
            keys(&tenant, &tenant.inbox, "").await?.is_empty(),
            "the plaintext is still there"
        );

        tenant.command("release", &because("virus.txt")).await?;
        let back = tenant.retrieve(json!({"key": "virus.txt"}), None).await?;
        ensure!(back.body == eicar().as_bytes(), "came back different");
        refused(
            "release",
            tenant.command("release", &because("virus.txt")).await,
            "not-quarantined",
        )?;
        let answer = tenant.ask("q.object", &json!({"key": "virus.txt"})).await?;
        ensure!(
            answer["object"]["state"] == "released"
                && answer["object"]["verdict"] == "quarantine"
                && answer["timeline"].as_array().is_some_and(|steps| steps
                    .iter()
                    .any(|step| step["kind"] == "released" && step["reason"] == "checked by hand, ticket 7")),
            "{answer}"
        );

        let etag = tenant.put("worm.txt", format!("{} ", eicar()).into_bytes()).await?;
        feed.done("worm.txt", &etag, PATIENCE).await?;
        // Heard of a moment before its row is there.
        until("it is listed", PATIENCE, || async {
            let listed = tenant.ask("q.objects", &json!({"state": "quarantined"})).await?;
            Ok(listed["objects"].as_array().is_some_and(|all| all.len() == 1))
        })
        .await?;
        let listed = tenant.ask("q.objects", &json!({"state": "quarantined"})).await?;
        let id = listed["objects"][0]["id"].clone();
        tenant.command("destroy", &because("worm.txt")).await?;
        let answer = tenant.ask("q.object", &json!({"object": id})).await?;
        ensure!(answer["object"]["state"] == "deleted", "{answer}");
        refused(
            "retrieve",
            tenant.command("retrieve", &json!({"select": {"object": id}})).await,
            "not-found",
        )?;
        Ok(())
    })
}
