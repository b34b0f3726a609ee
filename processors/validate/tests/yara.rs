//! YARA rules in a real child process. A program of its own, because it is its own child.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cofferdam_processor::Conclusion;
use cofferdam_schemas::{Finding, Verdict};
use cofferdam_validate::{Config, Engines, Files, child_main};
use libtest_mimic::{Arguments, Failed, Trial};

const RULES: &str = r#"
import "hash"
import "math"

rule marked {
    meta:
        description = "carries the mark of the tests"
        score = 65
        reference = "tests"
    strings:
        $mark = "harbour-mark-7731"
    condition:
        $mark
}

private rule short { condition: filesize < 100 }

rule short_and_marked {
    meta:
        category = "active"
        severity = "low"
        confidence = 0.5
    strings:
        $mark = "harbour-mark-7731"
    condition:
        short and $mark at 0 and uint32be(0) == 0x68617262 and math.entropy(0, filesize) > 1.0
}

rule named { condition: filename == "secret.bin" and extension == "bin" }

// printf 'known bytes' | sha256sum
rule known { condition: hash.sha256(0, filesize) == "25cb6d61356e5cada4238d160f3a77522e550e27a69758da40cd281c7ef2c8dc" }
"#;

const MARK: &[u8] = b"harbour-mark-7731";

type Test = fn() -> Result<(), Failed>;

fn main() -> ExitCode {
    if let Some(done) = child_main() {
        return if done.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let tests: [(&str, Test); 8] = [
        ("rules_find_in_a_child_process", rules_find_in_a_child_process),
        ("built_in_rules_are_in_force", built_in_rules_are_in_force),
        ("members_are_looked_at_like_files", members_are_looked_at_like_files),
        (
            "what_is_long_is_looked_at_in_blocks",
            what_is_long_is_looked_at_in_blocks,
        ),
        ("rules_can_be_silenced_and_left_out", rules_can_be_silenced_and_left_out),
        (
            "no_more_is_looked_at_than_the_policy_says",
            no_more_is_looked_at_than_the_policy_says,
        ),
        (
            "names_bear_on_verdicts_where_rules_read_them",
            names_bear_on_verdicts_where_rules_read_them,
        ),
        (
            "bad_rules_are_refused_with_their_line",
            bad_rules_are_refused_with_their_line,
        ),
    ];
    let tests = tests.into_iter().map(|(name, test)| Trial::test(name, test)).collect();
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// A folder, with rules in it and files to be looked at.
struct Place {
    folder: tempfile::TempDir,
    config: Config,
}

impl Place {
    fn new(rules: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("cofferdam-yara-").tempdir().unwrap();
        let rules_at = folder.path().join("rules/deep");
        std::fs::create_dir_all(&rules_at).unwrap();
        std::fs::write(rules_at.join("ours.yar"), rules).unwrap();
        let mut config = Config::default();
        config.packs.yara = vec![folder.path().join("rules")];
        Self { folder, config }
    }

    fn files(&self) -> Result<Files, String> {
        let plan = self.config.clone().plan().map_err(|error| error.to_string())?;
        Files::new(plan, Some(vec![7; 32])).map_err(|error| error.to_string())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn scan(&self, name: &str, bytes: &[u8]) -> Conclusion {
        self.scan_with(&self.files().unwrap(), name, bytes)
    }

    fn scan_with(&self, files: &Files, name: &str, bytes: &[u8]) -> Conclusion {
        let path = self.put(name, bytes);
        run(files, &path, name)
    }
}

fn run(files: &Files, path: &Path, name: &str) -> Conclusion {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(files.scan(path, name)).unwrap()
}

/// Rule, place inside, first byte.
fn found(conclusion: &Conclusion) -> Vec<(&str, Option<&str>, Option<u64>)> {
    let place = |found: &Finding| found.span.map(|span| span.start);
    let findings = conclusion.findings.iter();
    findings
        .map(|found| (found.rule.as_str(), found.inside.as_deref(), place(found)))
        .collect()
}

fn names(conclusion: &Conclusion, key: &str) -> Vec<String> {
    let names = conclusion.details[key].as_array().cloned().unwrap_or_default();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Text, noise and short files, with what rules say of themselves; conditions that need modules, sizes and integers are decided under the child's
/// confinement, in which no memory may be executable.
fn rules_find_in_a_child_process() -> Result<(), Failed> {
    let place = Place::new(RULES);
    let files = place.files()?;
    let text = [b"the tide came in, ".as_slice(), MARK, b" and went"].concat();
    let conclusion = place.scan_with(&files, "tide.txt", &text);
    assert_eq!(found(&conclusion), [("malware/marked", None, Some(18))]);
    let finding = &conclusion.findings[0];
    assert_eq!(finding.message, "carries the mark of the tests");
    assert_eq!(
        (finding.severity.as_str(), finding.citation.as_deref()),
        ("medium", Some("tests"))
    );
    assert_eq!(conclusion.verdict, Some(Verdict::Review));
    assert!(names(&conclusion, "checked").contains(&"yara".to_owned()));
    assert!(
        conclusion.details["versions"]["yara"]
            .as_str()
            .unwrap()
            .starts_with("yara-x@1.22.1 rules@")
    );

    let short = place.scan_with(&files, "short.bin", &[MARK, &[0, 1, 2, 255]].concat());
    let both = [
        ("malware/marked", None, Some(0)),
        ("active/short_and_marked", None, Some(0)),
    ];
    assert_eq!(found(&short), both);
    assert_eq!(short.findings[1].confidence, 0.5);

    let named = place.scan_with(&files, "secret.bin", &[0, 159, 146, 150]);
    assert_eq!(found(&named), [("malware/named", None, None)]);
    assert_eq!(named.verdict, Some(Verdict::Quarantine));
    let known = place.scan_with(&files, "anything", b"known bytes");
    assert_eq!(found(&known), [("malware/known", None, None)]);
    Ok(())
}

fn built_in_rules_are_in_force() -> Result<(), Failed> {
    let place = Place::new("rule nothing { condition: false }");
    let shell = hex::decode("3c3f706870206576616c28245f504f53545b2761275d293b203f3e")?;
    let conclusion = place.scan("index.php", &shell);
    assert!(
        found(&conclusion).contains(&("malware/webshell_php", None, Some(0))),
        "{:?}",
        found(&conclusion)
    );
    assert_eq!(conclusion.verdict, Some(Verdict::Quarantine));
    let clean = place.scan("clean.txt", b"Nothing at all to see here.\n");
    assert_eq!((clean.verdict, found(&clean)), (Some(Verdict::Pass), vec![]));
    Ok(())
}

/// A tape archive with one file.
fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut head = [0u8; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..108].copy_from_slice(b"0000644\0");
    head[108..116].copy_from_slice(b"0000000\0");
    head[116..124].copy_from_slice(b"0000000\0");
    head[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
    head[136..148].copy_from_slice(b"00000000000\0");
    head[148..156].copy_from_slice(b"        ");
    head[156] = b'0';
    head[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut all = [&head[..], bytes].concat();
    all.resize(all.len().div_ceil(512) * 512 + 1024, 0);
    all
}

fn members_are_looked_at_like_files() -> Result<(), Failed> {
    let place = Place::new(RULES);
    let inner = tar("notes/b.txt", &[b"so it says: ", MARK].concat());
    let outer = tar("a.tar", &inner);
    let conclusion = place.scan("outer.tar", &outer);
    let inside: Vec<_> = found(&conclusion)
        .into_iter()
        .filter(|(rule, ..)| *rule == "malware/marked")
        .collect();
    let member = ("malware/marked", Some("a.tar!/notes/b.txt"), Some(12));
    // The bytes of what is not packed are those of what it stands in, too.
    assert!(inside.contains(&member), "{inside:?}");
    assert!(names(&conclusion, "checked").contains(&"contents".to_owned()));
    assert!(names(&conclusion, "checked").contains(&"yara".to_owned()));
    Ok(())
}

fn what_is_long_is_looked_at_in_blocks() -> Result<(), Failed> {
    let place = Place::new(RULES);
    let files = place.files()?;
    let mut long = vec![b'.'; 40 << 20];
    // Where a block ends, and near the end.
    for at in [(32 << 20) + 256 * 1024 - 5, (40 << 20) - 20] {
        long[at..at + MARK.len()].copy_from_slice(MARK);
        let conclusion = place.scan_with(&files, "long.bin", &long);
        let marked = found(&conclusion)
            .into_iter()
            .find(|(rule, ..)| *rule == "malware/marked");
        assert_eq!(marked, Some(("malware/marked", None, Some(at as u64))));
        let whole = names(&conclusion, "not_checked");
        assert!(
            whole
                .iter()
                .any(|what| what.starts_with("yara: conditions on the whole")),
            "{whole:?}"
        );
        long[at..at + MARK.len()].fill(b'.');
    }
    assert!(
        !found(&place.scan_with(&files, "long.bin", &long))
            .iter()
            .any(|(rule, ..)| *rule == "malware/marked")
    );
    Ok(())
}

fn rules_can_be_silenced_and_left_out() -> Result<(), Failed> {
    let mut place = Place::new(RULES);
    place.config.packs.silence = ["malware/marked".to_owned()].into();
    assert_eq!(found(&place.scan("a.txt", &[b"see ", MARK].concat())), []);
    place.config.packs.silence.clear();
    place.config.packs.without = ["yara".to_owned()].into();
    let conclusion = place.scan("a.txt", &[b"see ", MARK].concat());
    assert_eq!(found(&conclusion), []);
    assert!(!names(&conclusion, "checked").contains(&"yara".to_owned()));
    Ok(())
}

fn no_more_is_looked_at_than_the_policy_says() -> Result<(), Failed> {
    let mut place = Place::new(RULES);
    place.config.max_bytes = 100;
    let conclusion = place.scan("long.txt", &[&[b'.'; 200], MARK].concat());
    assert_eq!(found(&conclusion), []);
    assert_eq!(conclusion.verdict, Some(Verdict::Incomplete));
    assert_eq!(conclusion.details["limit_yara_bytes"], 100);
    assert!(names(&conclusion, "not_checked").contains(&"yara: the last 117 bytes".to_owned()));
    Ok(())
}

/// What is remembered of bytes is remembered for the name too, or a verdict would be another document's.
fn names_bear_on_verdicts_where_rules_read_them() -> Result<(), Failed> {
    for (rules, differs) in [(RULES, true), ("rule nothing { condition: false }", false)] {
        let place = Place::new(rules);
        let engines = Engines::load(&place.config.packs)?;
        assert_eq!(engines.profile("a.bin") != engines.profile("b.bin"), differs);
    }
    Ok(())
}

fn bad_rules_are_refused_with_their_line() -> Result<(), Failed> {
    let cases = [
        ("rule a { condition: tru }", &["ours.yar:1", "tru"][..]),
        (
            "\n\nrule a { strings: $a = \"x\" condition: true }",
            &["ours.yar:3", "unused pattern"],
        ),
        ("include \"/etc/passwd\"", &["ours.yar:1", "include"]),
        (
            "\n\nprivate rule q { condition: true }\nrule a { meta: match_hex = \"00\" condition: uint8(0) == 1 }",
            &[
                "rule a in ",
                "ours.yar, line 4",
                "does not match its own example (match_hex",
            ],
        ),
        (
            "rule a { meta: pass_hex = \"01\" condition: uint8(0) == 1 }",
            &["line 1", "matches its own example (pass_hex"],
        ),
        (
            "rule a { meta: match_hex = \"0\" condition: true }",
            &["line 1", "pairs of hexadecimal digits"],
        ),
        (
            "private rule a { meta: match_hex = \"00\" condition: uint8(0) == 1 }\nrule b { condition: a }",
            &["rule a in ", "line 1", "does not match its own example"],
        ),
    ];
    for (rules, words) in cases {
        let Err(error) = Place::new(rules).files() else {
            return Err(format!("taken: {rules}").into());
        };
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {error}");
        }
    }
    let mut place = Place::new(RULES);
    place.config.packs.yara = vec![place.folder.path().join("none")];
    assert!(place.files().err().unwrap().contains("none cannot be read"));
    std::fs::create_dir(place.folder.path().join("none")).unwrap();
    assert!(
        place
            .files()
            .err()
            .unwrap()
            .contains("no file that ends in .yar or .yara")
    );
    Ok(())
}
