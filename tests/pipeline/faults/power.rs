//! Power cuts under load: nothing that was answered is lost; and without the ledger it would be.

use std::path::Path;

use anyhow::{Context, ensure};
use cofferdam_tests::{disk, power};

use crate::support::block_on;
use crate::{Test, test_if};

/// All of them. Together twenty cuts of what is shipped.
pub const TESTS: &[Test] = &[
    test_if("faults::power::cuts_lose_nothing_1", disk::unable, |home| cuts(home, 1)),
    test_if("faults::power::cuts_lose_nothing_2", disk::unable, |home| cuts(home, 2)),
    test_if("faults::power::cuts_lose_nothing_3", disk::unable, |home| cuts(home, 3)),
    test_if("faults::power::cuts_lose_nothing_4", disk::unable, |home| cuts(home, 4)),
    test_if(
        "faults::power::without_the_ledger_a_cut_loses_documents",
        disk::unable,
        without,
    ),
];

/// Five in a row, each on what the one before left.
fn cuts(home: &Path, series: u64) -> anyhow::Result<()> {
    let seed = power::seed(1).wrapping_mul(100).wrapping_add(series);
    println!("{}={} (series {series})", power::SEED, power::seed(1));
    block_on(async {
        let survived = power::cuts(home, seed, 5).await;
        let survived = survived.with_context(|| format!("{}={}", power::SEED, power::seed(1)))?;
        ensure!(survived.answered > 20, "there was hardly any load: {survived:?}");
        println!("series {series}: {survived:?}");
        Ok(())
    })
}

/// Shows that the other tests here can fail: a cut without the re-drive of the ledger, where nats-server flushes as it does by itself.
fn without(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let mut tried = Vec::new();
        for attempt in 0..3 {
            let seed = power::seed(1).wrapping_mul(100).wrapping_add(90 + attempt);
            let lost = power::lost_without_ledger(home, seed).await?;
            println!("lost without the re-drive: {lost:?}");
            if !lost.is_empty() {
                return Ok(());
            }
            tried.push(seed);
        }
        anyhow::bail!(
            "nothing was lost without the re-drive with seeds {tried:?}: either the cut cuts nothing, or the ledger is not needed"
        )
    })
}
