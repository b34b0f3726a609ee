//! `cofferdam bom`: what is signed can be checked by whoever has the public key, and what was changed afterwards is noticed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, ensure};
use cofferdam_tests::{Instance, Settings};
use serde_json::Value;

use super::scan::{canaries, cofferdam, document};
use crate::support::output;

#[track_caller]
fn ends(output: Output, code: i32, word: &str) -> anyhow::Result<String> {
    let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    ensure!(
        output.status.code() == Some(code) && text.contains(word),
        "ended with {:?}, not with {code} and {word:?}: {text}",
        output.status
    );
    Ok(text)
}

/// The statement, as `verify --json` prints it once it holds.
fn statement(home: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let told = output(cofferdam(home, &[&["--json"], arguments].concat())?)?;
    Ok(serde_json::from_str::<Value>(&told)?["statement"].clone())
}

/// Scan here, sign, verify; and everything that an auditor must be told.
pub fn files(home: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(home.join("in"))?;
    std::fs::write(home.join("in/letter.txt"), document())?;
    std::fs::write(home.join("in/notes.txt"), "plain notes\n")?;
    let scanned = cofferdam(home, &["--json", "scan", "in"])?;
    std::fs::write(home.join("scan.jsonl"), &scanned.stdout)?;

    let made = cofferdam(home, &["bom", "make", "--from", "scan.jsonl", "-o", "bom.json"])?;
    ends(made, 0, "bom.pub is for those who verify")?;
    let twice = cofferdam(home, &["bom", "make", "--from", "scan.jsonl", "-o", "bom.json"])?;
    ends(twice, 1, "--force")?;
    std::fs::rename(home.join("config/bom.pub"), home.join("bom.pub"))?;
    let verify = ["bom", "verify", "bom.json", "--key", "bom.pub"];
    ends(cofferdam(home, &verify)?, 0, "2 documents: 1 pass, 1 review")?;
    let with_files = [&verify[..], &["--files", "."]].concat();
    ends(cofferdam(home, &with_files)?, 0, "2 of 2 files")?;

    let statement = statement(home, &verify)?;
    let text = statement.to_string();
    ensure!(statement["_type"] == "https://in-toto.io/Statement/v1", "{text}");
    let documents = statement["predicate"]["documents"].as_array().context("no documents")?;
    ensure!(
        documents[0]["name"] == "in/letter.txt" && documents[0]["rules"].to_string().contains("phi/ssn"),
        "{text}"
    );
    for canary in canaries() {
        ensure!(!text.contains(&canary), "a value stands in the bill");
    }

    // Another key, another byte, another file.
    ends(cofferdam(home, &["bom", "keygen", "--out", "other"])?, 0, "is secret")?;
    ends(
        cofferdam(home, &["bom", "keygen", "--out", "other"])?,
        1,
        "is there already",
    )?;
    ends(
        cofferdam(home, &["bom", "verify", "bom.json", "--key", "other/bom.pub"])?,
        3,
        "said to be by key",
    )?;
    ends(
        cofferdam(home, &["bom", "verify", "bom.json", "--key", "other/bom.key"])?,
        1,
        "private key",
    )?;
    ends(
        cofferdam(home, &["bom", "verify", "none.json", "--key", "bom.pub"])?,
        1,
        "cannot be read",
    )?;
    let mut envelope: Value = serde_json::from_slice(&std::fs::read(home.join("bom.json"))?)?;
    let payload = envelope["payload"].as_str().context("no payload")?.to_owned();
    let (before, after) = payload.split_at(200);
    let other = if after.starts_with('A') { "B" } else { "A" };
    envelope["payload"] = format!("{before}{other}{}", &after[1..]).into();
    std::fs::write(home.join("changed.json"), envelope.to_string())?;
    let changed = cofferdam(home, &["bom", "verify", "changed.json", "--key", "bom.pub"])?;
    ends(changed, 3, "does not hold")?;
    std::fs::write(home.join("in/notes.txt"), "plain Notes\n")?;
    std::fs::remove_file(home.join("in/letter.txt"))?;
    let text = ends(cofferdam(home, &with_files)?, 3, "0 of 2 files")?;
    ensure!(
        text.contains("not there") && text.contains("not those that were signed"),
        "{text}"
    );

    // What is no scan, or no document.
    std::fs::write(home.join("empty.jsonl"), "\n")?;
    ends(
        cofferdam(home, &["bom", "make", "--from", "empty.jsonl"])?,
        1,
        "no document",
    )?;
    std::fs::write(home.join("bad.jsonl"), "{\"path\":\"a\"}\n")?;
    ends(cofferdam(home, &["bom", "make", "--from", "bad.jsonl"])?, 1, "line 1")?;
    Ok(())
}

/// The bill of a split says how many records went where.
pub fn split(home: &Path) -> anyhow::Result<()> {
    let text = format!(
        "{{\"text\":\"the tide came in\"}}\n\n{{\"text\":{}}}\n{{\"text\":\"the gauge was read\"}}",
        Value::from(document())
    );
    std::fs::write(home.join("set.jsonl"), &text)?;
    let scanned = cofferdam(home, &["scan", "set.jsonl", "--records", "--split", "parts"])?;
    ends(scanned, 4, "3 scanned")?;
    let verify = [
        "bom",
        "verify",
        "parts/bom.json",
        "--key",
        "config/bom.pub",
        "--files",
        "parts",
    ];
    ends(cofferdam(home, &verify)?, 0, "3 of 3 files")?;
    // The input, where it lies beside its parts.
    std::fs::write(home.join("parts/set.jsonl"), &text)?;
    ends(cofferdam(home, &verify)?, 0, "4 of 4 files")?;
    let statement = statement(home, &verify)?;
    let split = &statement["predicate"]["split"];
    ensure!(
        split["input"]["records"] == 3 && split["input"]["size"] == text.len() as u64,
        "{split}"
    );
    let records: BTreeMap<&str, u64> = split["parts"]
        .as_array()
        .context("no parts")?
        .iter()
        .filter_map(|part| Some((part["file"]["name"].as_str()?, part["file"]["records"].as_u64()?)))
        .collect();
    ensure!(
        records == BTreeMap::from([("clean.jsonl", 2), ("review.jsonl", 1), ("quarantine.jsonl", 0)]),
        "{records:?}"
    );
    ensure!(
        statement["subject"].as_array().is_some_and(|list| list.len() == 3),
        "{statement}"
    );
    let clean = std::fs::read_to_string(home.join("parts/clean.jsonl"))?;
    let fewer = clean.lines().next().context("no line")?;
    std::fs::write(home.join("parts/clean.jsonl"), format!("{fewer}\n"))?;
    ends(
        cofferdam(home, &verify)?,
        3,
        "clean.jsonl: its bytes are not those that were signed",
    )?;
    Ok(())
}

/// The rows of an instance, with what has no verdict named as such.
pub fn instance(home: &Path) -> anyhow::Result<()> {
    let instance = Instance::start(home, Settings::default())?;
    std::fs::write(home.join("letter.txt"), document())?;
    std::fs::write(home.join("notes.txt"), "plain notes\n")?;
    output(instance.cli(&["put", "letter.txt", "notes.txt"])?)?;
    output(instance.cli(&["put", "notes.txt", "--key", "other/notes.txt"])?)?;
    output(instance.cli(&["bom", "make", "-o", "all.json"])?)?;
    output(instance.cli(&["bom", "make", "other/", "--since", "2020-01-01", "-o", "other.json"])?)?;
    let verify = |bom: &str, more: &[&str]| {
        let arguments = [&["bom", "verify", bom, "--key", "config/bom.pub", "--json"], more].concat();
        let told: Value = serde_json::from_str(&output(instance.cli(&arguments)?)?)?;
        ensure!(told["valid"] == true, "{told}");
        Ok(told["statement"]["predicate"].clone())
    };
    let all = verify("all.json", &[])?;
    ensure!(
        all["counts"]["total"] == 3 && all["counts"]["review"] == 1 && all["counts"]["pass"] == 2,
        "{all}"
    );
    ensure!(all["made_by"]["tenant"] == "default", "{all}");
    for document in all["documents"].as_array().context("no documents")? {
        ensure!(
            document["state"] == "done" && document["sha256"].is_string() && document["versions"] == 0,
            "{document}"
        );
    }
    for canary in canaries() {
        ensure!(!all.to_string().contains(&canary), "a value stands in the bill");
    }
    std::fs::create_dir(home.join("other"))?;
    std::fs::copy(home.join("notes.txt"), home.join("other/notes.txt"))?;
    let other = verify("other.json", &["--files", "."])?;
    ensure!(
        other["counts"]["total"] == 1 && other["batch"]["prefix"] == "other/",
        "{other}"
    );

    // A list of ids, and a time at which there was nothing.
    let id = other["documents"][0]["object"].as_str().context("no id")?;
    output(instance.cli(&["bom", "make", "--object", id, "-o", "one.json"])?)?;
    ensure!(
        verify("one.json", &[])?["documents"] == other["documents"],
        "another document"
    );
    ends(
        instance.cli(&["bom", "make", "--until", "2020-01-01"])?,
        1,
        "no document",
    )?;
    ends(instance.cli(&["bom", "make", "--since", "yesterday"])?, 1, "no time")?;
    Ok(())
}
