//! Everyday commands: `cargo xtask <command>`. Needs cargo, and for some commands Python with pip; nothing is
//! installed outside `target/`.

// Everything here runs on threads of its own; there is no runtime to stop.
#![allow(clippy::disallowed_methods)]

mod bench;
mod checks;
mod count;
mod fuzz;
mod nats;
mod parts;
mod run;
mod test;
mod tools;

use std::process::ExitCode;

use run::Outcome;

const HELP: &str = "\
usage: cargo xtask <command>

  demo                    build, start everything, send the sample documents through, print what happened, stop
  up [--data DIR] [...]   build, start everything and keep it running; other arguments go to `cofferdam up`
  test [FILTER]           all tests; with a filter those whose name contains it
       [--only PART]      one part only: rust, python
  prove [--minutes N] [--seed S] [--report FILE]
                          the promises under random faults, with a report
  bench [NAME...]         measure and print; --quick for little of each, --save NAME keeps the run in docs/benchmarks,
                          --page writes docs/benchmarks.md anew from the kept runs
  train phi|injection     make the weights of an engine from its data; the same data and code give the same bytes
  fuzz [TARGET...]        every target of tests/fuzz under libFuzzer, with a table; --seconds N for each (60), --jobs N at once;
                          needs a nightly compiler and cargo-fuzz
  fetch-nats              fetch the pinned nats-server and print where it is
  ci fmt|clippy|docs|clean
                          one check of the continuous integration (.ci/run runs all)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let outcome = match (command.as_deref(), rest.as_slice()) {
        (None | Some("help" | "-h" | "--help"), _) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        (Some("demo"), rest) => start(&["cofferdam-demo"], rest),
        (Some("prove"), rest) => start(&["cofferdam-prove"], rest),
        (Some("up"), rest) => start(&["cofferdam", "up"], rest),
        (Some("test"), rest) => test::Request::parse(rest).and_then(|request| test::all(&request)),
        (Some("bench"), rest) => bench::Request::parse(rest).and_then(|request| bench::run(&request)),
        (Some("train"), [engine]) => train(engine),
        (Some("fuzz"), rest) => fuzz::Request::parse(rest).and_then(|request| fuzz::run(&request)),
        (Some("fetch-nats"), []) => nats::server().map(|path| {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }),
        (Some("ci"), [check]) => checks::run(check),
        (Some(other), _) => Err(format!(
            "`{other}` with these arguments is not a command; `cargo xtask` lists them"
        )),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("xtask: {message}");
        ExitCode::FAILURE
    })
}

/// Writes `rules/` of the text engines anew. The trainer is a word of their bench, which has the data at hand.
fn train(engine: &str) -> Outcome<ExitCode> {
    let mut command = run::cargo();
    command
        .args([
            "bench",
            "--profile",
            "dev",
            "--locked",
            "-p",
            "cofferdam-scan",
            "--bench",
            "validate",
            "--",
            "train",
        ])
        .arg(engine);
    run::succeed(&mut command).map(|()| ExitCode::SUCCESS)
}

/// Builds, then becomes the program: signals reach it directly, and its exit code is ours.
fn start(program: &[&str], rest: &[String]) -> Outcome<ExitCode> {
    let server = nats::server()?;
    run::build(run::With::Programs)?;
    let mut command = std::process::Command::new(run::target().join("debug").join(program[0]));
    command
        .args(&program[1..])
        .args(after_separator(rest))
        .env("COFFERDAM_NATS_SERVER", server);
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(format!("cannot run {}: {error}", command.get_program().display()))
}

/// `cargo xtask up -- --data X` and `cargo xtask up --data X` mean the same.
fn after_separator(rest: &[String]) -> &[String] {
    match rest {
        [first, rest @ ..] if first == "--" => rest,
        rest => rest,
    }
}
