//! `cargo xtask test`.

use std::process::ExitCode;
use std::time::Instant;

use crate::count::{Counts, Skip};
use crate::parts::{Context, PARTS, Part};
use crate::run::{Outcome, With, build, root};
use crate::{nats, tools};

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    filter: Option<String>,
    only: Option<String>,
}

impl Request {
    pub(crate) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--only" => {
                    let part = rest.next().ok_or("--only takes the name of a part")?;
                    if !PARTS.iter().any(|known| known.name == part) {
                        let known: Vec<_> = PARTS.iter().map(|part| part.name).collect();
                        return Err(format!("there is no part {part:?}; there are {}", known.join(", ")));
                    }
                    request.only = Some(part.clone());
                }
                option if option.starts_with('-') => return Err(format!("{option} is not an option of test")),
                filter if request.filter.is_none() => request.filter = Some(filter.to_owned()),
                extra => return Err(format!("one filter at most, and {extra:?} is a second")),
            }
        }
        Ok(request)
    }

    fn wants(&self, part: &Part) -> bool {
        match &self.only {
            Some(only) => only == part.name,
            None => part.filters || self.filter.is_none(),
        }
    }
}

/// Runs the parts, then prints `N passed, N failed, N skipped` as the last line.
pub(crate) fn all(request: &Request) -> Outcome<ExitCode> {
    let mut environment = tools::go_tools();
    match nats::server() {
        Ok(server) => environment.push(("COFFERDAM_NATS_SERVER", server.into_os_string())),
        Err(message) => eprintln!("{message}; tests that need it are skipped"),
    }
    match tools::test_python() {
        Ok(Some(python)) => environment.push(("COFFERDAM_PYTHON", python.into_os_string())),
        Ok(None) => {}
        Err(message) => eprintln!("{message}; tests that need Python are skipped"),
    }
    // Tests start the programs themselves, so these must be there, and new.
    build(With::Tests)?;
    let context = Context {
        filter: request.filter.as_deref(),
        environment: &environment,
    };
    let mut total = Counts::default();
    for part in &PARTS {
        if !request.wants(part) {
            continue;
        }
        let began = Instant::now();
        println!("--- part {}", part.name);
        let counts = (part.run)(&context).unwrap_or_else(|reason| {
            let mut counts = Counts::default();
            counts.skip(part.name, reason);
            counts
        });
        let (passed, failed, skipped) = (counts.passed, counts.failed, counts.skips.len());
        println!(
            "--- part {}: {passed} passed, {failed} failed, {skipped} skipped in {} s",
            part.name,
            began.elapsed().as_secs()
        );
        total.add(counts);
    }
    Ok(conclude(total))
}

fn conclude(total: Counts) -> ExitCode {
    let allowed = std::fs::read_to_string(root().join(".ci/allowed-skips")).unwrap_or_default();
    let strict = std::env::var_os("CI").is_some_and(|v| v == "true");
    let (tolerated, refused) = judge(&total.skips, &allowed, strict);
    for skip in &tolerated {
        println!("skipped {}: {}", skip.name, skip.reason);
    }
    for skip in &refused {
        println!(
            "FAILED {}: skipped ({}), which .ci/allowed-skips does not allow",
            skip.name, skip.reason
        );
    }
    for name in &total.failures {
        println!("FAILED {name}");
    }
    let failed = total.failed + u64::try_from(refused.len()).unwrap_or(u64::MAX);
    println!("{} passed, {failed} failed, {} skipped", total.passed, tolerated.len());
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// With `strict`, which continuous integration is, a skip is a failure unless the list names it: one `<name>: <why
/// that is right>` a line, `#` for comments.
fn judge<'a>(skips: &'a [Skip], allowed: &str, strict: bool) -> (Vec<&'a Skip>, Vec<&'a Skip>) {
    let names: Vec<&str> = allowed
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| Some(line.split_once(": ")?.0.trim()))
        .collect();
    skips
        .iter()
        .partition(|skip| !strict || names.contains(&skip.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Outcome<Request> {
        Request::parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments() {
        assert_eq!(parse(&[]), Ok(Request::default()));
        assert_eq!(
            parse(&["seal", "--only", "rust"]),
            Ok(Request {
                filter: Some("seal".into()),
                only: Some("rust".into())
            })
        );
        for wrong in [&["--only"][..], &["--only", "x"], &["--fast"], &["a", "b"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_named_skips_pass_in_ci() {
        let skips = [
            Skip {
                name: "a".into(),
                reason: "r".into(),
            },
            Skip {
                name: "b".into(),
                reason: "r".into(),
            },
        ];
        let list = "# a comment: x\na: macOS only\n";
        assert_eq!(judge(&skips, list, false).1.len(), 0);
        let (tolerated, refused) = judge(&skips, list, true);
        assert_eq!((tolerated[0].name.as_str(), refused[0].name.as_str()), ("a", "b"));
        // A name without a reason allows nothing.
        assert_eq!(judge(&skips, "a\n", true).1.len(), 2);
    }
}
