//! What test programs say they did.

/// A test that did not run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// Sums over test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Those that failed, as far as their programs name them.
    pub(crate) failures: Vec<String>,
    pub(crate) skips: Vec<Skip>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
    }

    pub(crate) fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.skips.push(Skip {
            name: name.into(),
            reason: reason.into(),
        });
    }

    /// A program that failed without naming a test that did (a crash, a compile error, a summary cut off) has failed
    /// once.
    pub(crate) fn settle(&mut self, succeeded: bool) {
        if !succeeded && self.failed == 0 {
            self.failed = 1;
        }
    }
}

/// Reads the output of `cargo test … -- --show-output`: libtest's and libtest-mimic's.
///
/// A test that cannot run here says `skipped: <its name>: <why>`. It may say so before the run and be marked ignored
/// (then the line gives the reason), or say so while it runs and return, which its program counts as passed and we do
/// not. With `--show-output` libtest shows what passing tests printed; only those lines are of interest, so the rest
/// of these sections is not passed on.
#[derive(Default)]
pub(crate) struct CargoOutput {
    total: Counts,
    /// Of the program that is running: between `running 3 tests` and `test result:`.
    running: bool,
    in_successes: bool,
    announced: Vec<Skip>,
    said: Vec<Skip>,
    ignored: Vec<String>,
}

impl CargoOutput {
    /// Takes one line of the output. True if it is for people to see.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if let Some(skip) = skipped(line) {
            if self.running {
                self.said.push(skip)
            } else {
                self.announced.push(skip)
            }
            return true;
        }
        if let Some(name) = failed(line) {
            self.total.failures.push(name);
        } else if let Some(name) = ignored(line) {
            self.ignored.push(name);
        } else if let Some(result) = test_result(line) {
            self.program_ended(&result);
        } else if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.running = true;
        } else if self.running && line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" {
            self.in_successes = false;
        }
        !self.in_successes
    }

    /// Takes a line of the error stream: what a test writes there is not captured, and comes while it runs.
    pub(crate) fn diagnostic(&mut self, line: &str) {
        self.said.extend(skipped(line));
    }

    fn program_ended(&mut self, result: &TestResult) {
        (self.running, self.in_successes) = (false, false);
        self.total.passed += result.passed;
        self.total.failed += result.failed;
        // What was announced and not ignored was filtered out.
        let announced = std::mem::take(&mut self.announced);
        for name in self.ignored.drain(..) {
            let reason = announced
                .iter()
                .find(|skip| skip.name == name)
                .map_or("marked #[ignore]", |skip| &skip.reason);
            self.total.skip(name, reason);
        }
    }

    pub(crate) fn finish(mut self) -> Counts {
        let said = u64::try_from(self.said.len()).unwrap_or(u64::MAX);
        self.total.passed = self.total.passed.saturating_sub(said);
        self.total.skips.append(&mut self.said);
        self.total
    }
}

fn skipped(line: &str) -> Option<Skip> {
    let text = line.trim_start().strip_prefix("skipped: ")?;
    let (name, reason) = text.split_once(": ").unwrap_or((text, "no reason given"));
    Some(Skip {
        name: name.trim().to_owned(),
        reason: reason.trim().to_owned(),
    })
}

/// `test flows::large ... ignored`, also with a reason behind.
fn ignored(line: &str) -> Option<String> {
    let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    (result == "ignored" || result.starts_with("ignored,")).then(|| name.trim().to_owned())
}

/// `test flows::large ... FAILED`
fn failed(line: &str) -> Option<String> {
    let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    (result.trim() == "FAILED").then(|| name.trim().to_owned())
}

struct TestResult {
    passed: u64,
    failed: u64,
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`
fn test_result(line: &str) -> Option<TestResult> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word| {
        numbers
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some(TestResult {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

/// Reads the output of a test script: `skipped: <name>: <why>` for each test that could not run, and `N passed, N
/// failed, N skipped` as its last such line.
#[derive(Default)]
pub(crate) struct ScriptOutput {
    closed: Option<(u64, u64, u64)>,
    said: Vec<Skip>,
}

impl ScriptOutput {
    pub(crate) fn line(&mut self, line: &str) {
        self.said.extend(skipped(line));
        self.closed = closing(line).or(self.closed);
    }

    /// A script that never said how it went has failed, whatever its exit code.
    pub(crate) fn finish(self, name: &str) -> Counts {
        let Some((passed, failed, skipped)) = self.closed else {
            return Counts {
                failed: 1,
                ..Counts::default()
            };
        };
        let mut counts = Counts {
            passed,
            failed,
            skips: self.said,
            ..Counts::default()
        };
        // Each skip has a name, or continuous integration could not judge it.
        while u64::try_from(counts.skips.len()).unwrap_or(u64::MAX) < skipped {
            counts.skip(name, "the script does not say which test, nor why");
        }
        counts
    }
}

fn closing(line: &str) -> Option<(u64, u64, u64)> {
    let mut parts = line.trim().split(", ");
    let mut number = |word| parts.next()?.strip_suffix(word)?.trim().parse().ok();
    let counts = (number("passed")?, number("failed")?, number("skipped")?);
    parts.next().is_none().then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(name: &str, reason: &str) -> Skip {
        Skip {
            name: name.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn cargo(output: &str) -> (Counts, String) {
        let mut reader = CargoOutput::default();
        let shown: String = output
            .lines()
            .filter(|line| reader.line(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        (reader.finish(), shown)
    }

    #[test]
    fn programs_are_summed_and_chatter_of_passing_tests_is_left_out() {
        let (counts, shown) = cargo(
            "running 3 tests\ntest a ... ok\ntest c ... ignored\n\nsuccesses:\n\n---- a stdout ----\nnoise\nskipped: server::kill: no nats-server\n\nsuccesses:\n    a\n\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             running 2 tests\ntest b ... FAILED\ntest d ... ok\n\nfailures:\n\n---- b stdout ----\nwhy\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n",
        );
        assert_eq!((counts.passed, counts.failed), (3, 1));
        assert_eq!(counts.failures, ["b"]);
        assert_eq!(
            counts.skips,
            [skip("c", "marked #[ignore]"), skip("server::kill", "no nats-server")]
        );
        assert!(
            !shown.contains("noise") && shown.contains("why") && shown.contains("skipped: server::kill"),
            "{shown}"
        );
    }

    #[test]
    fn a_skip_that_was_announced_counts_once_and_only_if_it_was_to_run() {
        let (counts, _) = cargo(
            "skipped: flows::age: no age\nskipped: flows::other: no age\n\nrunning 2 tests\ntest flows::age  ... ignored\ntest flows::x    ... ok\n\n\
             test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 1 filtered out; finished in 1s\n",
        );
        assert_eq!(
            counts,
            Counts {
                passed: 1,
                failed: 0,
                failures: vec![],
                skips: vec![skip("flows::age", "no age")]
            }
        );
    }

    #[test]
    fn a_skip_on_the_error_stream_counts() {
        let mut reader = CargoOutput::default();
        reader.line("running 1 test");
        reader.diagnostic("skipped: server::kill: no nats-server");
        reader.diagnostic("warning: something else");
        reader.line("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s");
        assert_eq!(
            reader.finish(),
            Counts {
                passed: 0,
                failed: 0,
                failures: vec![],
                skips: vec![skip("server::kill", "no nats-server")]
            }
        );
    }

    #[test]
    fn a_crash_without_a_summary_is_a_failure() {
        let (mut counts, _) = cargo("running 3 tests\ntest a ... ok\n");
        counts.settle(false);
        assert_eq!((counts.passed, counts.failed), (0, 1));
        let (mut counts, _) =
            cargo("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n");
        counts.settle(false);
        assert_eq!(counts.failed, 2);
    }

    #[test]
    fn other_lines_are_not_results() {
        for line in [
            "test result",
            "test result: ok",
            "test result: ok. many passed; 0 failed; 0 ignored",
            "skipped",
            "it skipped: x",
        ] {
            let (counts, _) = cargo(line);
            assert_eq!(counts, Counts::default(), "{line}");
        }
    }

    fn script(output: &str) -> Counts {
        let mut reader = ScriptOutput::default();
        output.lines().for_each(|line| reader.line(line));
        reader.finish("python")
    }

    #[test]
    fn a_script_closes_with_its_counts() {
        let counts = script("test a ... ok\nskipped: b: no age\n12 passed, 2 failed, 2 skipped\n");
        assert_eq!((counts.passed, counts.failed), (12, 2));
        assert_eq!(counts.skips[0], skip("b", "no age"));
        assert_eq!((counts.skips.len(), counts.skips[1].name.as_str()), (2, "python"));
        for open in [
            "",
            "test a ... ok",
            "12 passed",
            "12 passed, 0 failed, 0 skipped, 1 more",
            "x passed, 0 failed, 0 skipped",
        ] {
            assert_eq!(
                script(open),
                Counts {
                    failed: 1,
                    ..Counts::default()
                },
                "{open}"
            );
        }
    }
}
