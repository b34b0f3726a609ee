//! The people's commands, run as the program.

#![allow(clippy::disallowed_methods)] // A thread of its own waits for a program.

use std::path::Path;

use anyhow::{Context, ensure};
use cofferdam_tests::{Instance, Settings};
use serde_json::Value;

use crate::support::{noise, output};

/// put, ls, status, get, watch, rm, health, dlq, config, completions.
pub fn commands(home: &Path) -> anyhow::Result<()> {
    let instance = Instance::start(home, Settings::default())?;
    let body = noise(5, 3_000_000);
    std::fs::write(home.join("report one.bin"), &body)?;
    std::fs::write(home.join("notes.txt"), "plain notes\n")?;

    let watching = std::thread::scope(|scope| -> anyhow::Result<String> {
        let watch = scope.spawn(|| instance.cli(&["watch", "--json", "--count", "4"]));
        std::thread::sleep(std::time::Duration::from_millis(800));
        let put = output(instance.cli(&["put", "report one.bin", "notes.txt"])?)?;
        ensure!(
            put.lines().count() == 2 && put.contains("done") && put.contains("report one.bin"),
            "{put}"
        );
        output(watch.join().map_err(|_| anyhow::anyhow!("watch panicked"))??)
    })?;
    ensure!(watching.lines().count() == 4, "{watching}");
    for line in watching.lines() {
        let event: Value = serde_json::from_str(line)?;
        ensure!(
            event["subject"].as_str().is_some_and(|s| s.starts_with("live.")),
            "{line}"
        );
    }

    let ls = output(instance.cli(&["ls"])?)?;
    ensure!(ls.contains("report one.bin") && ls.contains("notes.txt"), "{ls}");
    let rows: Vec<Value> = output(instance.cli(&["ls", "--json", "report"])?)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(rows.len() == 1, "{rows:?}");

    let status = output(instance.cli(&["status", "report one.bin"])?)?;
    for word in ["encrypt", "validate", "done"] {
        ensure!(status.contains(word), "no {word} in\n{status}");
    }
    let status: Value = serde_json::from_str(&output(instance.cli(&["status", "report one.bin", "--json"])?)?)?;
    ensure!(status.to_string().contains("\"encrypt\""), "{status}");

    output(instance.cli(&["get", "report one.bin", "-o", "back.bin"])?)?;
    ensure!(std::fs::read(home.join("back.bin"))? == body, "came back different");
    let exists = instance.cli(&["get", "report one.bin", "-o", "back.bin"])?;
    ensure!(!exists.status.success() && String::from_utf8_lossy(&exists.stderr).contains("--force"));
    for (range, expected) in [
        ("1000-1999", &body[1000..2000]),
        ("2999990-", &body[2_999_990..]),
        ("-7", &body[2_999_993..]),
    ] {
        let part = instance.cli(&["get", "report one.bin", "--range", range, "-o", "-"])?;
        ensure!(
            part.status.success() && part.stdout == expected,
            "range {range}: {}",
            String::from_utf8_lossy(&part.stderr)
        );
    }

    let missing = instance.cli(&["get", "no such document"])?;
    ensure!(
        missing.status.code() == Some(1) && String::from_utf8_lossy(&missing.stderr).contains("not-found"),
        "{missing:?}"
    );
    let ask = instance.cli(&["rm", "notes.txt"])?;
    ensure!(
        !ask.status.success() && String::from_utf8_lossy(&ask.stderr).contains("--yes"),
        "rm must not guess without a terminal"
    );
    output(instance.cli(&["rm", "notes.txt", "--yes"])?)?;
    let gone = instance.cli(&["get", "notes.txt"])?;
    ensure!(!gone.status.success(), "deleted document came back");

    ensure!(output(instance.cli(&["health"])?)?.contains("ok"));
    ensure!(
        output(instance.cli(&["dlq", "ls", "--fail-if-any", "--json"])?)?
            .trim()
            .is_empty()
    );
    output(instance.cli(&["config", "check"])?)?;
    ensure!(output(instance.cli(&["config", "show", "--origin"])?)?.contains("limits.concurrency"));
    std::fs::write(home.join("wrong.toml"), "[limits]\nconcurency = 3\n")?;
    let wrong = instance.cli(&["config", "check", "--config", "wrong.toml"])?;
    ensure!(
        wrong.status.code() == Some(78)
            && String::from_utf8_lossy(&wrong.stderr).contains("did you mean `concurrency`?"),
        "{wrong:?}"
    );
    for shell in ["bash", "zsh", "fish"] {
        ensure!(output(instance.cli(&["completions", shell])?)?.contains("cofferdam"));
    }
    Ok(())
}

/// Exported identities, and the key ring's own words about them.
pub fn keys(home: &Path) -> anyhow::Result<()> {
    let instance = Instance::start(home, Settings::default())?;
    let show = output(instance.cli(&["keys", "show", "--full"])?)?;
    ensure!(show.contains("age1pq1"), "{show}");
    ensure!(!show.contains("AGE-SECRET-KEY"), "show must not print secrets");
    let ask = instance.cli(&["keys", "export"])?;
    ensure!(!ask.status.success() && ask.stdout.is_empty(), "export must ask first");
    let tenant = output(instance.cli(&["keys", "export", "--yes"])?)?;
    let recovery = output(instance.cli(&["keys", "export", "--key", "recovery", "--yes"])?)?;
    for identity in [&tenant, &recovery] {
        ensure!(
            identity.lines().any(|line| line.starts_with("AGE-SECRET-KEY-PQ-1")),
            "no identity was printed"
        );
    }
    ensure!(tenant != recovery);

    // The second implementation opens what the instance sealed, with either key and nothing of ours.
    let Some(python) = cofferdam_tests::tools::find("COFFERDAM_PYTHON", "no-default-python") else {
        println!(
            "skipped: flows::people::keys (python opener): set COFFERDAM_PYTHON to a Python that has `cryptography` and `blake3`"
        );
        return Ok(());
    };
    let opener = Path::new(env!("CARGO_MANIFEST_DIR")).join("opener/open.py");
    let keys: Value = serde_json::from_str(&output(instance.cli(&["keys", "show", "--json", "--full"])?)?)?;
    let signer = keys["signers"][0]["public"]
        .as_str()
        .context("the signer's public key")?;
    std::fs::write(home.join("signer.hex"), signer)?;
    std::fs::write(home.join("tenant.txt"), &tenant)?;
    std::fs::write(home.join("recovery.txt"), &recovery)?;
    let open = |sealed: &Path, identity: &str, more: &[&str], expected: &[u8]| -> anyhow::Result<()> {
        let plain = home.join("opened");
        let run = std::process::Command::new(&python)
            .arg(&opener)
            .arg(sealed)
            .arg("--identity")
            .arg(home.join(identity))
            .arg("--signer")
            .arg(home.join("signer.hex"))
            .arg("--output")
            .arg(&plain)
            .args(more)
            .output()?;
        let name = sealed.display();
        ensure!(
            run.status.success(),
            "{name} with {identity}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        ensure!(
            std::fs::read(&plain)? == expected,
            "{name} with {identity} is different"
        );
        Ok(std::fs::remove_file(plain)?)
    };
    for size in [0, 1, 16_383, 16_384, 16_385, 1_000_000] {
        let body = noise(size as u64 + 11, size);
        let sealed = seal(&instance, &format!("size-{size}.bin"), &body)?;
        for identity in ["tenant.txt", "recovery.txt"] {
            open(&sealed, identity, &[], &body)?;
        }
    }
    let body = noise(12, 100_000_000);
    let sealed = seal(&instance, "size-100MB.bin", &body)?;
    for identity in ["tenant.txt", "recovery.txt"] {
        open(
            &sealed,
            identity,
            &["--range", "49999999-50070001"],
            &body[49_999_999..50_070_001],
        )?;
    }
    Ok(())
}

/// Drops a document, and brings its sealed copy from the vault.
fn seal(instance: &Instance, name: &str, body: &[u8]) -> anyhow::Result<std::path::PathBuf> {
    std::fs::write(instance.home.join(name), body)?;
    let put: Value = serde_json::from_str(&output(instance.cli(&["put", name, "--json"])?)?)?;
    let key = put["done"]["sealed"]["key"].as_str().context("sealed key")?;
    let sealed = instance.home.join(format!("{name}.sealed"));
    fetch(instance, key, &sealed)?;
    Ok(sealed)
}

fn fetch(instance: &Instance, key: &str, to: &Path) -> anyhow::Result<()> {
    crate::support::block_on(async {
        let run = &instance.run;
        let s3 = cofferdam_tests::s3_client(
            &run.s3.endpoint,
            &run.s3.region,
            &run.s3.access_key_id,
            &run.s3.secret_access_key,
        );
        let body = s3
            .get_object()
            .bucket(&run.buckets.vault)
            .key(key)
            .send()
            .await?
            .body
            .collect()
            .await?
            .into_bytes();
        Ok(std::fs::write(to, body)?)
    })
}
