//! `kill -9` of the process, and of the child server, while 2,000 documents go through.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use cofferdam_tests::{Checker, Expect, History, Instance, Settings, Tenant};

use crate::support::{block_on, start, until};

const COUNT: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(300);

fn load(name: &str) -> Vec<(String, usize)> {
    let size = |n: usize| match n % 10 {
        0 => 100_000,
        1 => 0,
        rest => 500 * rest,
    };
    (0..COUNT).map(|n| (format!("{name}/{n:05}"), size(n))).collect()
}

/// Every answered upload is final, has exactly one `done`, and comes back equal.
async fn check(instance: &Instance, tenant: &Tenant, history: &History) -> anyhow::Result<()> {
    let checker = Checker {
        instance,
        tenant,
        history,
        expect: Expect {
            every: 20,
            ..Expect::default()
        },
    };
    let began = Instant::now();
    let report = checker.settled(PATIENCE).await?;
    println!(
        "all was done and checked after {:.1} s: {report:?}",
        began.elapsed().as_secs_f64()
    );
    ensure!(
        report.states.keys().eq(["done"]) && report.letters == 0,
        "not all ended well: {report:?}"
    );
    Ok(())
}

/// The whole process dies, its child server with it, three times while uploads go on.
pub fn process(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (mut instance, mut tenant) = start(home, Settings::default()).await?;
        let history = History::new("kill", 1);
        let mut open = load("p");
        for round in 0..3 {
            let half = open.len() / 2;
            let now = open.split_off(half);
            let pid = instance.run.pid;
            let killer = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(1_500 + 700 * round)).await;
                // SAFETY: plain kill(2) on the instance of this test.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            });
            let failed = history.put_all(&tenant, now).await;
            killer.await?;
            instance.kill()?;
            open.extend(failed);
            instance.restart()?;
            tenant = Tenant::connect(&instance.run).await?;
        }
        // What was not answered is put again; an upload that was committed but not answered makes a second version, which is right.
        let failed = history.put_all(&tenant, open).await;
        ensure!(failed.is_empty(), "uploads fail without a fault: {}", failed.len());
        ensure!(history.answered() == COUNT);
        check(&instance, &tenant, &history).await
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
        let history = History::new("kill-server", 1);
        let (failed, killed) = tokio::join!(history.put_all(&tenant, load("s")), killer);
        killed?;
        ensure!(
            failed.is_empty(),
            "uploads failed because the broker was down: {} of {COUNT}",
            failed.len()
        );
        let tenant = Tenant::connect(&instance.run).await?;
        check(&instance, &tenant, &history).await
    })
}
