//! `cargo xtask ci <check>`: what continuous integration asks beside the tests.

use std::process::{Command, ExitCode};

use crate::run::{Outcome, cargo, root, show, succeed};

pub(crate) fn run(check: &str) -> Outcome<ExitCode> {
    match check {
        "fmt" => succeed(cargo().args(["fmt", "--all", "--check"])),
        // What is behind the feature too: nothing else looks at that.
        "clippy" => [
            &["--workspace"][..],
            &["--package", "cofferdam-validate", "--features", "yara"],
        ]
        .into_iter()
        .try_for_each(|selection| {
            let mut command = cargo();
            command.arg("clippy").args(selection);
            succeed(command.args(["--all-targets", "--locked", "--", "-D", "warnings"]))
        }),
        "docs" => succeed(
            cargo()
                .args(["doc", "--workspace", "--no-deps", "--locked"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
        "clean" => clean(),
        other => Err(format!(
            "there is no check {other:?}; there are fmt, clippy, docs, clean"
        )),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Tests and builds leave the checkout as it was: generated files are checked in as they are generated, and nothing
/// is written beside `target/`.
fn clean() -> Outcome<()> {
    let mut git = Command::new("git");
    git.args(["status", "--porcelain"]).current_dir(root());
    let output = git.output().map_err(|e| format!("cannot run {}: {e}", show(&git)))?;
    if !output.status.success() {
        return Err(format!(
            "{} failed: {}",
            show(&git),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let changes = String::from_utf8_lossy(&output.stdout);
    if changes.trim().is_empty() {
        Ok(())
    } else {
        Err(format!("the checkout has changed:\n{}", changes.trim_end()))
    }
}
