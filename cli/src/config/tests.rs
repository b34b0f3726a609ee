//! Configuration: defaults hold, unknown keys are named, every problem is reported at once.

use std::path::PathBuf;

use super::*;

fn with(text: &str) -> (tempfile::TempDir, Global) {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = dir.path().join("c.toml");
    std::fs::write(&file, text).expect("written");
    let global = Global {
        config: Some(file),
        data: None,
        json: false,
    };
    (dir, global)
}

fn processors() -> Vec<Registration> {
    cofferdam_processors::list().expect("valid names")
}

#[track_caller]
fn problems(text: &str, expected: &[(&str, &str)]) {
    let (_dir, global) = with(text);
    let found = load(&global, &processors()).expect_err("must be refused").problems;
    for (key, message) in expected {
        let hit = found.iter().any(|p| p.key == *key && p.message.contains(message));
        assert!(hit, "expected {key}: {message} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn an_empty_file_is_valid() {
    let (_dir, global) = with("");
    let plan = load(&global, &processors()).expect("valid");
    assert_eq!(plan.inbox.as_str(), "inbox");
    assert_eq!(plan.required.len(), processors().len());
}

#[test]
fn a_mistyped_key_is_an_error_with_a_suggestion() {
    problems(
        "[s3]\nlisten_addr = \"127.0.0.1:1\"\n",
        &[("s3.listen_addr", "unknown key")],
    );
    problems(
        "[folder]\nsettle_sm = 5\n",
        &[("folder.settle_sm", "did you mean `settle_ms`?")],
    );
    problems("dat_dir = \"x\"\n", &[("dat_dir", "did you mean `data_dir`?")]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = "[retire]\npolicy = \"after\"\n[limits]\nconcurrency = 0\ngrace_s = 60\n[plan]\nrequired = [\"encrypt\", \"nonesuch\"]\n";
    problems(
        text,
        &[
            ("retire.after_s", "needed"),
            ("limits.concurrency", "1 to 1024"),
            ("limits.grace_s", "at most 9"),
            ("plan.required", "nonesuch"),
        ],
    );
}

#[test]
fn a_plan_that_seals_nothing_must_keep_the_plaintext() {
    problems("[plan]\nrequired = [\"validate\"]\n", &[("retire.policy", "keep")]);
}

#[test]
fn a_processors_own_table_is_checked() {
    problems(
        "[processors.nonesuch]\nx = 1\n",
        &[("processors.nonesuch", "no such processor")],
    );
    let (_dir, global) = with("[processors.validate]\nno_such_key = 1\n");
    let found = load(&global, &processors()).expect_err("refused").problems;
    assert_eq!(found.len(), 1);
    assert!(found[0].key.starts_with("processors.validate"), "{found:?}");
}

#[test]
fn a_missing_file_is_named() {
    let global = Global {
        config: Some(PathBuf::from("/no/such/file.toml")),
        data: None,
        json: false,
    };
    let problems = load(&global, &processors()).expect_err("refused");
    assert!(problems.to_string().contains("/no/such/file.toml"), "{problems}");
}

#[test]
fn the_configuration_round_trips() {
    let written = toml::to_string(&Raw::default()).expect("serialises");
    let (_dir, global) = with(&written);
    let plan = load(&global, &processors()).expect("valid");
    assert_eq!(toml::to_string(&plan.raw).expect("serialises"), written);
}

#[test]
fn show_names_the_origin() {
    let (_dir, global) = with("[limits]\nconcurrency = 3\n");
    let (figment, _) = layers(&global).expect("layers");
    let rows = show(&figment, true).expect("shown");
    let origin = |key: &str| {
        rows.iter()
            .find(|row| row.0 == key)
            .and_then(|row| row.2.clone())
            .expect("there")
    };
    assert!(
        origin("limits.concurrency").contains("c.toml"),
        "{}",
        origin("limits.concurrency")
    );
    assert_eq!(origin("limits.grace_s"), "default");
}

/// A source in whose table stands one more line.
fn source(line: &str) -> String {
    format!(
        "[[sources]]\nname = \"gateway\"\ndialect = \"versitygw\"\n{line}\n[sources.store]\nendpoint = \"http://127.0.0.1:7070\"\n"
    )
}

#[test]
fn a_source_may_write_keys_differently_from_its_dialect() {
    use cofferdam_ingest::dialect::KeyEncoding;
    let check = |line: &str, expected: Option<KeyEncoding>| {
        let (_dir, global) = with(&source(line));
        let plan = load(&global, &processors()).expect("valid");
        assert_eq!(plan.sources[0].key_encoding, expected, "{line}");
        let written = toml::to_string(&plan.raw).expect("serialises");
        let (_dir, global) = with(&written);
        let again = load(&global, &processors()).expect("valid");
        assert_eq!(again.sources[0].key_encoding, expected, "{written}");
    };
    check("", None);
    check("key_encoding = \"form\"", Some(KeyEncoding::Form));
    check("key_encoding = \"raw\"", Some(KeyEncoding::Plain));
    for wrong in ["\"plain\"", "\"Form\"", "\"\"", "true", "[\"raw\"]"] {
        let (_dir, global) = with(&source(&format!("key_encoding = {wrong}")));
        let problems = load(&global, &processors()).expect_err(wrong).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].key.starts_with("sources"), "{problems:?}");
    }
}

#[test]
fn uploads_expire_within_reason() {
    let (_dir, global) = with("");
    assert_eq!(
        load(&global, &processors()).expect("valid").raw.s3.uploads_expire_days,
        7
    );
    for days in ["0", "3651"] {
        let text = format!("[s3]\nuploads_expire_days = {days}\n");
        problems(&text, &[("s3.uploads_expire_days", "is 1 to 3650")]);
    }
    problems("[s3]\nuploads_expire_days = -1\n", &[("s3.uploads_expire_days", "")]);
}

#[test]
fn the_documented_example_is_valid() {
    let page = include_str!("../../../docs/configuration.md");
    let example = page
        .split("```toml")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let (_dir, global) = with(example);
    let plan = load(&global, &processors()).expect("valid");
    assert_eq!(plan.sources.len(), 1);
}
