//! Running other programs.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What goes wrong here is told to a person and ends the command.
pub(crate) type Outcome<T> = Result<T, String>;

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map(Path::to_owned).unwrap_or(here)
}

/// The build folder: ours lies in `<target>/debug/xtask`, wherever the configuration has put it.
pub(crate) fn target() -> PathBuf {
    let ours = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.parent()?.to_owned()));
    ours.unwrap_or_else(|| root().join("target"))
}

/// Programs that these commands fetch, by name and version.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// Cargo, at the root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// What is built beside the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// Nothing.
    Programs,
    /// The tests, in one call with the programs: what tests depend on switches features of shared dependencies on, and a
    /// second call with other features would build those twice.
    Tests,
}

/// Builds everything. Always with the same selection, so that the features of the dependencies are resolved once.
pub(crate) fn build(with: With) -> Outcome<()> {
    if !target().join("debug/cofferdam").exists() {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        eprintln!(
            "first build: about {} minutes on {cores} cores",
            (20 / cores).clamp(3, 20)
        );
    }
    let mut command = cargo();
    command.args(["build", "--workspace", "--locked"]);
    if with == With::Tests {
        command.args(["--bins", "--lib", "--tests"]);
    }
    succeed(&mut command)
}

/// Runs with our terminal; anything but success is an error.
pub(crate) fn succeed(command: &mut Command) -> Outcome<()> {
    let status = command
        .status()
        .map_err(|e| format!("cannot run {}: {e}", show(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status})", show(command)))
    }
}

/// Runs for its output. `None` if it cannot be run, fails or takes longer than the limit: the caller has another way.
pub(crate) fn quiet(command: &mut Command, limit: Duration) -> Option<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdout = child.stdout.take()?;
    // Read beside waiting, or a full pipe would stop the program for ever.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).ok().map(|_| text)
    });
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait().ok()? {
            Some(status) if status.success() => return reader.join().ok()?,
            Some(_) => return None,
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Stdout,
    Stderr,
}

/// Runs and hands over each line as it comes. Bytes that are not UTF-8 are replaced, never a reason to stop.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(From, &str)) -> Outcome<ExitStatus> {
    let fail = |e| format!("cannot run a test program: {e}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run {}: {e}", show(command)))?;
    let (sender, receiver) = mpsc::channel();
    let mut readers = Vec::new();
    if let Some(out) = child.stdout.take() {
        readers.push(forward(out, From::Stdout, sender.clone()));
    }
    if let Some(err) = child.stderr.take() {
        readers.push(forward(err, From::Stderr, sender.clone()));
    }
    drop(sender);
    for (from, line) in receiver {
        each(from, &line);
    }
    for reader in readers {
        let _ = reader.join();
    }
    child.wait().map_err(fail)
}

fn forward(
    source: impl Read + Send + 'static,
    from: From,
    sender: mpsc::Sender<(From, String)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while source.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            if sender
                .send((from, text.trim_end_matches(['\n', '\r']).to_owned()))
                .is_err()
            {
                return;
            }
            line.clear();
        }
    })
}

/// The command as a person would type it.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A program on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
