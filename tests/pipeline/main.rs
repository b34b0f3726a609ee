//! The end-to-end tests: one binary, each test with an instance of its own in a directory of its own.
//!
//! A test that needs a program this machine does not have is skipped with the reason: a line `skipped: <name>: <reason>` that `cargo xtask test` counts.

#![allow(clippy::expect_used, clippy::unwrap_used)] // A panic is how a test fails.

mod faults;
mod flows;
mod gateway;
mod ops;
mod support;

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test needs besides this workspace.
pub enum Need {
    /// Nothing but nats-server, which every test needs.
    Nothing,
    /// A program, by environment variable or `PATH`.
    Program(&'static str, &'static str),
    /// Something of the machine; the reason when it is not there.
    Machine(fn() -> Option<String>),
}

/// A test.
pub struct Test {
    name: &'static str,
    need: Need,
    run: fn(&std::path::Path) -> anyhow::Result<()>,
}

/// A test that needs nothing special.
pub const fn test(name: &'static str, run: fn(&std::path::Path) -> anyhow::Result<()>) -> Test {
    Test {
        name,
        need: Need::Nothing,
        run,
    }
}

/// A test that needs a program.
pub const fn test_with(
    name: &'static str,
    variable: &'static str,
    program: &'static str,
    run: fn(&std::path::Path) -> anyhow::Result<()>,
) -> Test {
    Test {
        name,
        need: Need::Program(variable, program),
        run,
    }
}

/// A test that needs something of the machine.
pub const fn test_if(
    name: &'static str,
    unable: fn() -> Option<String>,
    run: fn(&std::path::Path) -> anyhow::Result<()>,
) -> Test {
    Test {
        name,
        need: Need::Machine(unable),
        run,
    }
}

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    // Two cores are the least a machine has; each test is a process tree of its own.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let list = arguments.list;
    let server = cofferdam_tests::tools::nats_server().err();
    let trials = [
        flows::TESTS,
        faults::TESTS,
        faults::crash::TESTS,
        faults::power::TESTS,
        ops::TESTS,
    ]
    .into_iter()
    .flatten()
    .map(|test| {
        let missing = server.clone().or_else(|| match test.need {
            Need::Nothing => None,
            Need::Machine(unable) => unable(),
            Need::Program(variable, program) => {
                let found = cofferdam_tests::tools::find(variable, program);
                found
                    .is_none()
                    .then(|| format!("no {program}: set {variable} or put it on PATH"))
            }
        });
        if let (Some(reason), false) = (&missing, list) {
            println!("skipped: {}: {reason}", test.name);
        }
        let (name, run) = (test.name, test.run);
        Trial::test(name, move || {
            let home = tempfile::Builder::new()
                .prefix(&format!("cofferdam-{}-", name.replace("::", "-")))
                .tempdir()
                .map_err(|e| Failed::from(e.to_string()))?;
            let result = run(home.path());
            if result.is_err() && std::env::var_os("COFFERDAM_TEST_KEEP").is_some() {
                println!("kept: {}", home.keep().display());
            }
            result.map_err(|error| Failed::from(format!("{error:#}")))
        })
        .with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
