//! `tests/word-count` is a processor that was added by one folder and one line.

use std::path::Path;

use anyhow::ensure;
use cofferdam_tests::{Feed, Settings, tools};

use crate::support::{PATIENCE, block_on, output, start};

/// It appears as sub-command, consumer, subject, plan entry and metric.
pub fn appears(home: &Path) -> anyhow::Result<()> {
    let program = tools::program("cofferdam-with-word-count")?;
    let help = output(std::process::Command::new(&program).args(["run", "--help"]).output()?)?;
    ensure!(help.contains("processor"), "{help}");
    let unknown = std::process::Command::new(&program)
        .args(["run", "nonesuch"])
        .current_dir(home)
        .output()?;
    ensure!(
        String::from_utf8_lossy(&unknown.stderr).contains("word-count"),
        "`run` must list it: {}",
        String::from_utf8_lossy(&unknown.stderr)
    );
    block_on(async {
        let settings = Settings {
            program: Some(program),
            ..Settings::default()
        };
        let (instance, tenant) = start(home, settings).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("poem.txt", b"one two three\nfour five\n".to_vec()).await?;
        let heard = feed.done("poem.txt", &etag, PATIENCE).await?;
        let result = heard
            .results
            .get("word-count")
            .expect("its result is on live.word-count.>");
        ensure!(result["details"]["words"] == 5, "{result}");
        let plan = heard.done[0]["plan"]["required"].to_string();
        ensure!(plan.contains("word-count"), "{plan}");
        let login = &instance.run.nats.operator;
        let operator = async_nats::ConnectOptions::with_user_and_password(login.user.clone(), login.password.clone())
            .connect(&instance.run.nats.url)
            .await?;
        let stream = async_nats::jetstream::new(operator).get_stream("EVT").await?;
        for lane in ["hi", "bulk"] {
            stream.consumer_info(format!("word-count-{lane}")).await?;
        }
        let metrics = reqwest::get(format!("{}/metrics", instance.run.http))
            .await?
            .text()
            .await?;
        ensure!(
            metrics
                .lines()
                .any(|line| line.starts_with("cofferdam_") && line.contains("word-count")),
            "no metric names it"
        );
        Ok(())
    })
}
