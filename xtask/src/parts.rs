//! The parts of the test suite, in the order they run.

use std::process::Command;

use crate::count::{CargoOutput, Counts, ScriptOutput};
use crate::run::{From, Outcome, cargo, lines, root};
use crate::tools::test_python;

/// What a part is given.
pub(crate) struct Context<'a> {
    /// Only tests whose name contains this.
    pub(crate) filter: Option<&'a str>,
    /// Where the programs are that tests may use.
    pub(crate) environment: &'a [(&'static str, std::ffi::OsString)],
}

/// One part: a new one is a function here and a line in the table.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Whether it knows filters. One that does not is left out when there is a filter, unless it is asked for by
    /// name.
    pub(crate) filters: bool,
    /// Runs it, passing its output on. An error is a part that could not be started: a skip, which continuous
    /// integration does not allow.
    pub(crate) run: fn(&Context<'_>) -> Outcome<Counts>,
}

pub(crate) const PARTS: [Part; 3] = [
    Part {
        name: "rust",
        filters: true,
        run: rust,
    },
    Part {
        name: "yara",
        filters: true,
        run: yara,
    },
    Part {
        name: "python",
        filters: false,
        run: python,
    },
];

fn rust(context: &Context<'_>) -> Outcome<Counts> {
    cargo_tests(context, &["--workspace"])
}

/// What is behind the feature `yara`, which the programs that people get by default are built without. With the same selection as everything else, so that
/// what the feature does not touch is not built again.
fn yara(context: &Context<'_>) -> Outcome<Counts> {
    let selection = ["--workspace", "--features", "cofferdam-validate/yara", "--test", "yara"];
    cargo_tests(context, &selection)
}

fn cargo_tests(context: &Context<'_>, selection: &[&str]) -> Outcome<Counts> {
    let mut command = cargo();
    command
        .arg("test")
        .args(selection)
        .args(["--locked", "--no-fail-fast", "--"])
        .args(context.filter)
        .arg("--show-output");
    command.envs(context.environment.iter().cloned());
    let mut output = CargoOutput::default();
    let status = lines(&mut command, |from, line| {
        if from == From::Stderr {
            output.diagnostic(line);
            eprintln!("{line}");
        } else if output.line(line) {
            println!("{line}");
        }
    })?;
    let mut counts = output.finish();
    counts.settle(status.success());
    Ok(counts)
}

/// The whole system through stock clients. The script has no filter.
fn python(context: &Context<'_>) -> Outcome<Counts> {
    let python = test_python()?.ok_or("tests/python/requirements.txt is not there")?;
    let mut command = Command::new(python);
    command
        .arg("tests/python/stock_clients.py")
        .arg(crate::run::target().join("debug/cofferdam"))
        .current_dir(root());
    command.envs(context.environment.iter().cloned());
    let mut output = ScriptOutput::default();
    let status = lines(&mut command, |_, line| {
        println!("{line}");
        output.line(line);
    })?;
    let mut counts = output.finish("python");
    counts.settle(status.success());
    Ok(counts)
}
