//! I5: plaintext and secrets are found nowhere they must not be.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use cofferdam_tests::{Feed, Settings};
use serde_json::json;

use crate::support::{PATIENCE, block_on, start};

fn files(folder: &Path, all: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, all)?;
        } else if path.is_file() {
            all.push(path);
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// A known secret string in a small and in a large file: afterwards it is in no file of the installation, no log, no argument, no row.
pub fn nowhere(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        // Everything is logged, so that a leak would show.
        let settings = Settings::default()
            .env("COFFERDAM__LOG__FILTER", "trace")
            .env("COFFERDAM__LOG__FORMAT", "json");
        let (mut instance, tenant) = start(home, settings).await?;
        let feed = Feed::start(&tenant).await?;
        let needle = b"correct-horse-battery-staple-4f1c9";
        let small = [b"name,secret\nx,", &needle[..], b"\n"].concat();
        let large = [vec![b'.'; 200_000], needle.to_vec(), vec![b'.'; 200_000]].concat();
        for (key, body) in [("small.csv", small), ("large.txt", large)] {
            let etag = tenant.put(key, body.clone()).await?;
            let heard = feed.done(key, &etag, PATIENCE).await?;
            ensure!(
                !heard
                    .event
                    .iter()
                    .chain(heard.results.values())
                    .chain(&heard.done)
                    .any(|m| holds(m.to_string().as_bytes(), needle)),
                "in a message"
            );
            let back = tenant.retrieve(json!({ "key": key }), None).await?;
            ensure!(holds(&back.body, needle) && back.body[..] == body[..]);
        }
        let arguments = std::fs::read(format!("/proc/{}/cmdline", instance.run.pid))?;
        ensure!(!holds(&arguments, needle));
        let passwords = [
            instance.run.nats.tenant.password.clone(),
            instance.run.nats.operator.password.clone(),
            instance.run.s3.secret_access_key.clone(),
        ];
        let server = instance.server_pid().unwrap_or_default();
        for pid in [instance.run.pid, server] {
            let line = std::fs::read(format!("/proc/{pid}/cmdline"))?;
            ensure!(
                !passwords.iter().any(|password| holds(&line, password.as_bytes())),
                "a password stands in a process's arguments"
            );
        }
        // The landing copies are retired and the outbox copies are withdrawn before the files are searched.
        for (key, bucket) in [("small.csv", "inbox"), ("large.txt", "inbox")] {
            crate::support::until("landing copy retired", PATIENCE, || async {
                Ok(crate::support::keys(&tenant, bucket, key).await?.is_empty())
            })
            .await?;
        }
        let outbox = crate::support::keys(&tenant, "outbox", "default/").await?;
        ensure!(outbox.len() == 2);
        let secrets: serde_json::Value = serde_json::from_slice(&std::fs::read(instance.data().join("s3.json"))?)?;
        let operator = &secrets["operator"];
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let s3 = cofferdam_tests::s3_client(
            &instance.run.s3.endpoint,
            &instance.run.s3.region,
            &text(&operator["access_key_id"]),
            &text(&operator["secret_access_key"]),
        );
        for key in outbox {
            s3.delete_object().bucket("outbox").key(key).send().await?;
        }
        instance.stop()?;

        let mut all = Vec::new();
        files(home, &mut all)?;
        ensure!(
            all.iter().any(|p| p.ends_with("cofferdam.db"))
                && all.iter().any(|p| p.starts_with(home.join("data/nats"))),
            "{all:?}"
        );
        for path in &all {
            let bytes = std::fs::read(path)?;
            ensure!(!holds(&bytes, needle), "plaintext in {}", path.display());
            let log = path.ends_with("log") || path.extension().is_some_and(|e| e == "log");
            let store = path.starts_with(home.join("data/nats/jetstream"))
                || path.extension().is_some_and(|e| e == "db" || e == "db-wal");
            if log || store {
                ensure!(
                    !passwords.iter().any(|password| holds(&bytes, password.as_bytes())),
                    "a password in {}",
                    path.display()
                );
                ensure!(!holds(&bytes, b"AGE-SECRET-KEY"), "a key in {}", path.display());
            }
        }
        ensure!(
            !holds(instance.log().as_bytes(), b"X-Amz-Signature"),
            "a presigned URL was logged"
        );
        Ok(())
    })
}
