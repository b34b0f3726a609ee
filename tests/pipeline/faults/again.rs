//! Messages that come again when everything is over.

use std::path::Path;

use anyhow::ensure;
use cofferdam_tests::streams::Streams;
use cofferdam_tests::{Checker, Expect, History, Settings};

use crate::support::{PATIENCE, block_on, start, until};

/// The event of a document that is done, and whose landing copy is gone, is delivered once more: after a crash that took the acknowledgement, or by a re-drive that was quicker
/// than the final row. Found by the crash point before `done-published`: validate then had a second result, `superseded`, beside its first.
pub fn event(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (instance, tenant) = start(home, Settings::default()).await?;
        let history = History::new("again", 1);
        let load = [0, 1024, 200_000].map(|size| (format!("again/{size}"), size));
        ensure!(history.put_all(&tenant, load.to_vec()).await.is_empty());
        let checker = Checker {
            instance: &instance,
            tenant: &tenant,
            history: &history,
            expect: Expect::default(),
        };
        checker.settled(PATIENCE).await?;

        let streams = Streams::connect(&instance.run).await?;
        let events = streams.all("EVT").await?;
        ensure!(events.len() == 3, "{} events", events.len());
        for event in &events {
            streams.publish_again(event).await?;
        }
        let read = ["encrypt-hi", "validate-hi"].map(|name| ("EVT", name)).into_iter();
        for (stream, consumer) in read.chain([("RES", "join"), ("RES", "sink-sqlite"), ("JOIN", "done-sqlite")]) {
            until("consumers have nothing left", PATIENCE, || async {
                Ok(streams.left(stream, consumer).await? == 0)
            })
            .await?;
        }
        ensure!(
            streams.all("EVT").await?.len() == 6,
            "the events were not taken a second time"
        );
        let report = checker.settled(PATIENCE).await?;
        ensure!(
            report.states.get("done") == Some(&3) && report.results == 6,
            "{report:?}"
        );
        Ok(())
    })
}
