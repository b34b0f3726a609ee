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
fn trimming_has_limits() {
    let text = "[nats.trim]\nevery_s = 0\nstart = 0.9\npressure = 0.9\nsettle_ms = 0\nmost = { DLQ = 5, RES = 0 }\n";
    problems(
        text,
        &[
            ("nats.trim.every_s", "1 to 3600"),
            ("nats.trim.pressure", "more than `start`"),
            ("nats.trim.settle_ms", "1000 to 60000"),
            ("nats.trim.most.DLQ", "there are RAW, EVT, CMD, RES, JOIN"),
            ("nats.trim.most.RES", "at least 1"),
        ],
    );
    problems(
        "[nats.trim]\nstart = nan\n",
        &[("nats.trim.start", "less than 1"), ("nats.trim.pressure", "start")],
    );
    problems("[nats.trim]\nreplay = 5\n", &[("nats.trim.replay", "unknown key")]);
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

/// Whatever stands in the file: problems that can be read, never a panic.
#[test]
fn hostile_files_are_refused_with_a_problem_that_can_be_read() {
    let deep = format!("a = {}", "[".repeat(200_000));
    let tables = format!("a = {}", "{ b = ".repeat(100_000));
    let dotted = format!("{}a = 1", "a.".repeat(100_000));
    let header = format!("[{}a]", "a.".repeat(100_000));
    let long = format!("data_dir = \"{}", "x".repeat(500_000));
    let key = format!("{} = 1", "k".repeat(500_000));
    let many: String = (0..50_000).map(|n| format!("k{n} = 1\n")).collect();
    let twice = "[s3]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"";
    let text = [
        deep.as_str(),
        &tables,
        &dotted,
        &header,
        &long,
        &key,
        &many,
        twice,
        "[s3]\n[s3]",
        "s3 = 1",
        // Serde takes a list for a struct: these were silently the defaults, or values in the order of our source.
        "s3 = []",
        "s3 = [\"127.0.0.1:1\"]",
        "objects = []",
        "tenants = [[\"default\"]]",
        "tenants = \"default\"",
        "tenants = [1]",
        "tenants = [{ name = \"UPPER\" }]",
        "tenants = [{ name = \"a/b\" }]",
        "tenants = []",
        "data_dir = 7",
        "data_dir = \"a\u{0}b\"",
        "[s3]\nlisten = \"localhost\"",
        "[s3]\nmax_connections = -1",
        "[s3]\nmax_connections = 99999999999999999999999",
        "[s3]\nmax_connections = 1e3",
        "[s3]\nuploads_expire_days = 4294967296",
        "[limits]\nconcurrency = nan",
        "[telemetry]\nsample_ratio = nan",
        "[telemetry]\nsample_ratio = inf",
        "[telemetry]\nsample_ratio = \"half\"",
        "[folder]\nsettle_ms = 1979-05-27T07:32:00Z",
        "[folder]\nbucket = \"..\"",
        "[[landing]]\nbucket = \"x\"",
        "[landing]\nbucket = \"inbox\"",
        "[processors]\nvalidate = 1",
        "[processors.\"\\u0000\"]\na = 1",
        "\u{feff}\u{feff}a = 1",
        "a = \"\"\"",
        "= 1",
        "\u{0}",
    ];
    let bytes: [&[u8]; 4] = [b"\xff\xfe", b"data_dir = \"\xc3\x28\"", b"\x00\x00\x00", &[0x7f; 3]];
    for body in text.map(str::as_bytes).into_iter().chain(bytes) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (_dir, global) = with("");
        std::fs::write(global.config.as_ref().expect("a file"), body).expect("written");
        let problems = load(&global, &processors()).expect_err(&shown);
        assert!(!problems.problems.is_empty(), "{shown}");
        if body != many.as_bytes() {
            let message = problems.to_string();
            assert!(
                message.len() < 5_000 && message.contains("c.toml"),
                "{shown}: {} bytes",
                message.len()
            );
        }
    }
    let (_dir, global) = with(&" ".repeat(1024 * 1024 + 1));
    let found = load(&global, &processors()).expect_err("too large").problems;
    assert!(
        found[0].message.contains("1048577 bytes, 1048576 are allowed"),
        "{found:?}"
    );
}

#[test]
fn hostile_variables_are_refused_by_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let check = |name: &[u8], value: &[u8], expected: Option<&str>| {
        let found = variable(OsStr::from_bytes(name), OsStr::from_bytes(value));
        let message = found.as_ref().map(|problem| problem.message.as_str());
        assert_eq!(message.is_some(), expected.is_some(), "{found:?}");
        assert!(
            message.unwrap_or_default().starts_with(expected.unwrap_or_default()),
            "{found:?}"
        );
    };
    let deep = "[".repeat(100_000);
    check(
        b"COFFERDAM__TENANTS",
        deep.as_bytes(),
        Some("is nested more than 16 deep"),
    );
    check(
        b"cofferdam__tenants",
        "{a=".repeat(17).as_bytes(),
        Some("is nested more than 16 deep"),
    );
    check(b"COFFERDAM__DATA_DIR", b"a\xff", Some("is not UTF-8"));
    check(b"COFFERDAM__\xff", b"1", Some("is not UTF-8"));
    check(
        b"COFFERDAM__TENANTS",
        "[{name=\"a\"},{name=\"b\"}]".repeat(100).as_bytes(),
        None,
    );
    check(b"PATH", b"\xff", None);
    check("COFFERDAMÄÄ".as_bytes(), deep.as_bytes(), None);
    check(b"C\xff", b"", None);
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
