//! `kill -9` of the process, and of the child server, while 2,000 documents go through.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cofferdam_tests::{Instance, Settings, Tenant};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::support::{block_on, noise, start, until};

const COUNT: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(300);

fn body(n: u64) -> Vec<u8> {
    let size = match n % 10 {
        0 => 100_000,
        1 => 0,
        n => 500 * n as usize,
    };
    let mut body = noise(n + 1, size);
    body.extend_from_slice(format!("document {n}").as_bytes());
    body
}

/// Puts document `n` until the endpoint has answered that it has it.
async fn put(tenant: &Tenant, name: &str, n: u64) -> bool {
    tenant
        .s3
        .put_object()
        .bucket("inbox")
        .key(format!("{name}/{n:05}"))
        .body(body(n).into())
        .send()
        .await
        .is_ok()
}

async fn put_all(tenant: &Tenant, name: &str, numbers: Vec<u64>) -> Vec<u64> {
    let puts = numbers
        .into_iter()
        .map(|n| async move { (n, put(tenant, name, n).await) });
    let ends: Vec<_> = futures::stream::iter(puts).buffer_unordered(16).collect().await;
    ends.into_iter().filter(|(_, ok)| *ok).map(|(n, _)| n).collect()
}

/// Every answered upload is final, has exactly one `done`, and comes back equal.
async fn check(instance: &Instance, tenant: &Tenant, name: &str, accepted: &[u64]) -> anyhow::Result<()> {
    let rows = |state: &'static str| {
        let database = instance.run.database.clone();
        let name = name.to_owned();
        async move {
            let db = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.busy_timeout(Duration::from_secs(5))?;
            let mut statement =
                db.prepare("SELECT key, object FROM documents WHERE key LIKE ?1 || '/%' AND state = ?2")?;
            let rows = statement.query_map((name, state), |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            anyhow::Ok(rows.collect::<Result<Vec<_>, _>>()?)
        }
    };
    let began = Instant::now();
    let wanted = accepted.len();
    until("every accepted document is done", PATIENCE, || async {
        // An upload that was committed but not answered has a second version, so the count alone says too little.
        Ok(rows("done").await?.len() >= wanted && rows("open").await?.is_empty())
    })
    .await
    .with_context(|| format!("{} accepted; log:\n{}", wanted, tail(instance)))?;
    println!(
        "{name}: {wanted} accepted documents were done {:.1} s after the restart",
        began.elapsed().as_secs_f64()
    );
    let done: BTreeMap<String, Vec<String>> =
        rows("done")
            .await?
            .into_iter()
            .fold(BTreeMap::new(), |mut all, (key, object)| {
                all.entry(key).or_insert_with(Vec::new).push(object);
                all
            });
    ensure!(
        rows("dead").await?.is_empty() && rows("superseded").await?.is_empty(),
        "not all are done"
    );

    // Exactly one `done` message for each object: counted in the stream itself, as the operator.
    let login = &instance.run.nats.operator;
    let operator = async_nats::ConnectOptions::with_user_and_password(login.user.clone(), login.password.clone())
        .connect(&instance.run.nats.url)
        .await?;
    let jetstream = async_nats::jetstream::new(operator);
    let stream = jetstream.get_stream("JOIN").await?;
    let mut subjects = stream.info_with_subjects("join.v1.done.>").await?;
    let mut dones = BTreeMap::new();
    while let Some(subject) = subjects.next().await {
        let (subject, count) = subject?;
        let object = subject.rsplit('.').next().unwrap_or_default().to_owned();
        dones.insert(object, count);
    }
    for n in accepted {
        let key = format!("{name}/{n:05}");
        let objects = done.get(&key).with_context(|| format!("{key} has no done row"))?;
        for object in objects {
            ensure!(
                dones.get(object) == Some(&1),
                "{key} ({object}) has {:?} done messages",
                dones.get(object)
            );
        }
    }
    let info = jetstream.get_stream("JOIN").await?.get_info().await?;
    ensure!(
        info.state.deleted_count.unwrap_or(0) == 0 || info.config.max_messages_per_subject == 1,
        "a done message was replaced"
    );

    // A sample comes back through the command, the rest is compared by the SHA-256 of what was opened after sealing.
    for n in accepted.iter().step_by(97) {
        let back = tenant.retrieve(json!({"key": format!("{name}/{n:05}")}), None).await?;
        ensure!(back.body[..] == body(*n)[..], "document {n} came back different");
    }
    for n in accepted {
        let key = format!("{name}/{n:05}");
        let answer: Value = tenant.ask("q.object", &json!({"key": key})).await?;
        let sha = sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            body(*n),
        ));
        let sha: String = sha.iter().map(|b| format!("{b:02x}")).collect();
        ensure!(
            answer.to_string().contains(&sha),
            "{key}: the sealed copy is of other bytes: {answer}"
        );
    }
    until("ledger is empty and landing copies are gone", PATIENCE, || async {
        Ok(crate::support::keys(tenant, "inbox", name).await?.is_empty())
    })
    .await
}

fn tail(instance: &Instance) -> String {
    let log = instance.log();
    let lines: Vec<_> = log.lines().rev().take(40).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// The whole process dies, its child server with it, three times while uploads go on.
pub fn process(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (mut instance, tenant) = start(home, Settings::default()).await?;
        let mut tenant = tenant;
        let mut accepted = Vec::new();
        let mut open: Vec<u64> = (0..COUNT).collect();
        for round in 0..3 {
            let half = open.len() / 2;
            let now = open.split_off(half);
            let pid = instance.run.pid;
            let killer = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(1_500 + 700 * round)).await;
                // SAFETY: plain kill(2) on the instance of this test.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            });
            let good = put_all(&tenant, "p", now.clone()).await;
            killer.await?;
            instance.kill()?;
            open.extend(now.into_iter().filter(|n| !good.contains(n)));
            accepted.extend(good);
            instance.restart()?;
            tenant = Tenant::connect(&instance.run).await?;
        }
        // What was not answered is put again; an upload that was committed but not answered makes a second version, which is right.
        let rest = put_all(&tenant, "p", open.clone()).await;
        ensure!(rest.len() == open.len(), "uploads fail without a fault");
        accepted.extend(rest);
        ensure!(accepted.len() as u64 == COUNT);
        check(&instance, &tenant, "p", &accepted).await
    })
}

/// The child server dies; the process starts it again by itself.
pub fn server(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (instance, tenant) = start(home, Settings::default()).await?;
        let killer = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                let old = instance.kill_server()?;
                until("a new server is there", Duration::from_secs(30), || async {
                    Ok(instance.server_pid().is_some_and(|pid| pid != old))
                })
                .await?;
            }
            anyhow::Ok(())
        };
        let (good, killed) = tokio::join!(put_all(&tenant, "s", (0..COUNT).collect()), killer);
        killed?;
        ensure!(
            good.len() as u64 == COUNT,
            "an upload failed because the broker was down: {} of {COUNT}",
            good.len()
        );
        let tenant = Tenant::connect(&instance.run).await?;
        check(&instance, &tenant, "s", &good).await
    })
}
