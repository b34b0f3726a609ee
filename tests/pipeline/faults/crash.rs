//! The process dies before and after each durable step, once each; what it leaves is finished by the next one.

#![allow(clippy::disallowed_methods)] // A thread of its own waits for a program.

use std::path::Path;

use anyhow::ensure;
use cofferdam_seams::crash::{CrashAt, Point, VARIABLE, When};
use cofferdam_tests::crash::survive;

use crate::support::block_on;
use crate::{Test, test};

/// The documents of all runs follow from it.
const SEED: u64 = 1;

fn dies(home: &Path, point: Point, when: When) -> anyhow::Result<()> {
    let at = CrashAt { point, when, hit: 1 };
    block_on(async { survive(home, at, None, SEED).await.map(drop) })
}

macro_rules! points {
    ($($name:literal = $point:ident,)*) => {
        /// All of them.
        pub const TESTS: &[Test] = &[
            test("faults::crash::a_wrong_name_is_refused", wrong_name),
            test("faults::crash::two_crashes_in_a_row", twice),
            $(
                test(concat!("faults::crash::before_", $name), |home| dies(home, Point::$point, When::Before)),
                test(concat!("faults::crash::after_", $name), |home| dies(home, Point::$point, When::After)),
            )*
        ];

        // A new point without its two tests does not compile.
        const _: () = assert!([$(Point::$point),*].len() == Point::ALL.len());
    };
}

points! {
    "blob_synced" = BlobSynced,
    "upload_accepted" = UploadAccepted,
    "event_published" = EventPublished,
    "ledger_marked" = LedgerMarked,
    "sealed_durable" = SealedDurable,
    "read_back_opened" = ReadBackOpened,
    "result_published" = ResultPublished,
    "input_acked" = InputAcked,
    "join_spilled" = JoinSpilled,
    "done_published" = DonePublished,
    "results_committed" = ResultsCommitted,
    "sink_committed" = SinkCommitted,
    "isolated" = Isolated,
    "plaintext_retired" = PlaintextRetired,
    "ledger_closed" = LedgerClosed,
    "command_accepted" = CommandAccepted,
    "command_published" = CommandPublished,
    "outbox_written" = OutboxWritten,
    "command_result_published" = CommandResultPublished,
    "command_committed" = CommandCommitted,
    "command_closed" = CommandClosed,
}

/// The second process dies as well, while it takes up what the first left.
fn twice(home: &Path) -> anyhow::Result<()> {
    let at = |point, when| CrashAt { point, when, hit: 1 };
    block_on(async {
        let (first, second) = (
            at(Point::ResultPublished, When::After),
            at(Point::SinkCommitted, When::Before),
        );
        let story = survive(home, first, Some(second), SEED).await?;
        ensure!(story.second_died, "the second run did not come by {second}");
        Ok(())
    })
}

/// A name that is none is an error at the start, and says which there are.
fn wrong_name(home: &Path) -> anyhow::Result<()> {
    let run = std::process::Command::new(cofferdam_tests::tools::program("cofferdam")?)
        .arg("--data")
        .arg(home.join("data"))
        .args(["up", "--quiet"])
        .env("COFFERDAM__CONFIG_DIR", home.join("config"))
        .env(VARIABLE, "sink-commited:after")
        .output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    ensure!(run.status.code() == Some(78), "ended with {}: {said}", run.status);
    for point in Point::ALL {
        ensure!(said.contains(point.name()), "{point} is not named: {said}");
    }
    Ok(())
}
