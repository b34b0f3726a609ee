//! Python, Go, and what tests use of them. Everything lands in `target/tools`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::run::{Outcome, on_path, quiet, root, succeed, tools};

/// A Python that has pip: the one on `PATH`, or one of our own made with the pip that Python brings along.
pub(crate) fn python_with_pip() -> Outcome<PathBuf> {
    let has_pip = |python: &Path| {
        quiet(
            Command::new(python).args(["-m", "pip", "--version"]),
            Duration::from_secs(60),
        )
        .is_some()
    };
    let found: Vec<PathBuf> = ["python3", "python"].into_iter().filter_map(on_path).collect();
    if let Some(python) = found.iter().find(|python| has_pip(python)) {
        return Ok(python.clone());
    }
    let venv = tools().join("venv");
    let own = venv.join("bin/python");
    for python in found {
        if (own.exists() || make_venv(&python, &venv).is_ok()) && has_pip(&own) {
            return Ok(own);
        }
    }
    Err("there is no Python 3 with pip".to_owned())
}

fn make_venv(python: &Path, venv: &Path) -> Outcome<()> {
    succeed(Command::new(python).args(["-m", "venv", "--clear"]).arg(venv))
}

/// The Python of the tests, with what `tests/python/requirements.txt` lists. `None` if there is no such file.
pub(crate) fn test_python() -> Outcome<Option<PathBuf>> {
    let list = root().join("tests/python/requirements.txt");
    if !list.exists() {
        return Ok(None);
    }
    python_with(&list, &tools().join("venv")).map(Some)
}

/// The Python of a virtual environment with what a list of requirements names; installed when the list has changed.
fn python_with(list: &Path, venv: &Path) -> Outcome<PathBuf> {
    let wanted = std::fs::read_to_string(list).map_err(|e| format!("cannot read {}: {e}", list.display()))?;
    let (python, stamp) = (venv.join("bin/python"), venv.join("requirements.installed"));
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if !python.exists() {
        let base = on_path("python3")
            .or_else(|| on_path("python"))
            .ok_or("there is no Python 3")?;
        make_venv(&base, venv)?;
    }
    let name = list.strip_prefix(root()).unwrap_or(list).display();
    eprintln!("installing the packages of {name}");
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ])
    .arg(list);
    succeed(&mut pip)?;
    std::fs::write(&stamp, wanted).map_err(|e| format!("cannot write {}: {e}", stamp.display()))?;
    Ok(python)
}

/// What the engines that read text are compared with, as variables of the bench. One that cannot be had is left out, and why is said here.
pub(crate) fn scanners() -> Vec<(&'static str, OsString)> {
    let mut found: Vec<(&str, OsString)> = [GITLEAKS].iter().filter_map(go_tool).collect();
    // Apart from the packages of the tests: these bring a hundred of their own.
    let list = root().join("tests/peers/python/requirements.txt");
    match python_with(&list, &tools().join("venv-peers")) {
        Ok(python) => found.push(("COFFERDAM_PEER_PYTHON", python.into_os_string())),
        Err(reason) => eprintln!("detect-secrets and presidio-analyzer: {reason}; the bench goes without them"),
    }
    found
}

/// Not a tool of the tests: it takes minutes to build.
const GITLEAKS: GoTool = GoTool {
    variable: "COFFERDAM_GITLEAKS",
    program: "gitleaks",
    package: "github.com/zricethezav/gitleaks/v8",
    version: "v8.30.1",
};

/// A program that tests use if it is there, built from source with Go.
struct GoTool {
    /// The variable that tells tests where it is.
    variable: &'static str,
    program: &'static str,
    package: &'static str,
    version: &'static str,
}

const GO_TOOLS: [GoTool; 3] = [
    GoTool {
        variable: "COFFERDAM_VERSITYGW",
        program: "versitygw",
        package: "github.com/versity/versitygw/cmd/versitygw",
        version: "v1.8.0",
    },
    GoTool {
        variable: "COFFERDAM_AGE",
        program: "age",
        package: "filippo.io/age/cmd/age",
        version: "v1.3.1",
    },
    GoTool {
        variable: "COFFERDAM_AGE_KEYGEN",
        program: "age-keygen",
        package: "filippo.io/age/cmd/age-keygen",
        version: "v1.3.1",
    },
];

/// Where each of the Go programs is. One that cannot be had is left out; the tests that need it skip themselves and
/// say so. A variable that is set already is left alone.
pub(crate) fn go_tools() -> Vec<(&'static str, OsString)> {
    GO_TOOLS
        .iter()
        .filter(|tool| std::env::var_os(tool.variable).is_none())
        .filter_map(go_tool)
        .collect()
}

fn go_tool(tool: &GoTool) -> Option<(&'static str, OsString)> {
    let folder = tools().join(format!("{}-{}", tool.program, tool.version));
    let program = folder.join(tool.program);
    if !program.exists()
        && let Err(reason) = go_install(&format!("{}@{}", tool.package, tool.version), &folder)
    {
        eprintln!("{} {}: {reason}; what needs it is skipped", tool.program, tool.version);
        return None;
    }
    Some((tool.variable, program.into_os_string()))
}

/// Builds a Go program into a folder.
pub(crate) fn go_install(package: &str, into: &Path) -> Outcome<()> {
    let go = on_path("go").ok_or("Go is not installed")?;
    std::fs::create_dir_all(into).map_err(|e| format!("cannot make {}: {e}", into.display()))?;
    eprintln!("building {package}");
    // Outside the project, so that no go.mod or go.work above it is looked at.
    let mut install = Command::new(go);
    install
        .args(["install", package])
        .env("GOBIN", into)
        .env("GOWORK", "off")
        .env("GOFLAGS", "")
        .env("CGO_ENABLED", "0")
        .current_dir(into);
    if quiet(&mut install, Duration::from_secs(15 * 60)).is_some() {
        Ok(())
    } else {
        Err("go install failed".to_owned())
    }
}
