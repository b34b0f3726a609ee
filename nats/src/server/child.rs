//! The operating system's side: making the process, ending it, and finding one that a former run left behind.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::error::ServerError;
use super::files::Files;

/// Variables of the Go runtime and the time zone of the log. The rest of our environment may hold credentials and is
/// none of the server's business.
const PASSED_ON: [&str; 5] = ["GOMAXPROCS", "GOMEMLIMIT", "GOGC", "TZ", "TMPDIR"];

/// Starts the server on its configuration. The calling thread must live as long as the child.
pub(super) fn spawn(binary: &Path, files: &Files) -> Result<Child, ServerError> {
    let fail = |action, path: &Path| {
        let path = path.to_owned();
        move |source| ServerError::File { action, path, source }
    };
    let open = || {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&files.output)
    };
    let output = open().map_err(fail("write", &files.output))?;
    let errors = output.try_clone().map_err(fail("write", &files.output))?;
    let mut command = Command::new(binary);
    command
        .arg("-c")
        .arg(&files.config)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    command.env_clear().envs(
        PASSED_ON
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    // Its own group: Ctrl-C on the terminal is for us, and the server must outlast the draining.
    command.process_group(0);
    #[cfg(target_os = "linux")]
    die_with_us(&mut command);
    let child = command.spawn().map_err(fail("run", binary))?;
    crate::accounts::private::write(&files.pid, format!("{}\n", child.id()).as_bytes())
        .map_err(fail("write", &files.pid))?;
    Ok(child)
}

/// Asks the kernel to kill the child when the thread that made it ends. Killed rather than asked to stop: a second
/// start may follow at once, and two servers on one store destroy it. What the server has acknowledged survives its
/// death; only a power cut can take it.
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    let parent = std::process::id();
    let in_child = move || {
        // SAFETY: both are plain system calls, allowed between fork and exec.
        let (set, now) = unsafe {
            (
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0),
                libc::getppid(),
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        // We died before the call: nobody would ever send the signal.
        if u32::try_from(now) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(in_child) };
}

/// Asks the child to stop, and kills it when it takes too long. Always reaps it. True if it stopped by itself.
///
/// The signal is SIGTERM. The server's lame-duck mode (SIGUSR2) would add nothing to a single server, lasts at least
/// 30 s while clients are connected, and makes it deaf to SIGTERM.
pub(super) fn end(child: &mut Child, patience: Duration) -> bool {
    // Reaped already: its pid may be somebody else's by now.
    if matches!(child.try_wait(), Ok(Some(_))) {
        return true;
    }
    send(child.id(), libc::SIGTERM);
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(_)) => return true,
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Ends the server that a killed parent has left on this store. On Linux the kernel has done it already, except when
/// the parent's death is only an instant ago.
pub(super) fn end_leftover(files: &Files, patience: Duration) -> Result<(), ServerError> {
    let Ok(text) = std::fs::read_to_string(&files.pid) else {
        return Ok(());
    };
    let Ok(pid) = text.trim().parse::<u32>() else {
        return Ok(());
    };
    if !is_ours(pid, &files.config) {
        return Ok(());
    }
    tracing::warn!(pid, "a nats-server of a former run is still there; ending it");
    for (signal, patience) in [(libc::SIGTERM, patience), (libc::SIGKILL, Duration::from_secs(5))] {
        send(pid, signal);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !is_ours(pid, &files.config) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Err(ServerError::StillRunning {
        pid,
        store: files.root.clone(),
    })
}

/// Whether the process runs on our configuration: the pid alone may by now be somebody else's.
fn is_ours(pid: u32, config: &Path) -> bool {
    command_line(pid).is_some_and(|line| line.contains(&*config.to_string_lossy()))
}

#[cfg(target_os = "linux")]
fn command_line(pid: u32) -> Option<String> {
    // Empty for a process that has ended and is not reaped yet.
    Some(String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/cmdline")).ok()?).replace('\0', " "))
}

#[cfg(not(target_os = "linux"))]
fn command_line(pid: u32) -> Option<String> {
    let output = Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn send(pid: u32, signal: i32) {
    if let Ok(pid) = libc::pid_t::try_from(pid)
        && pid > 0
    {
        // SAFETY: a plain system call. The pid is a child not yet reaped, or was checked to run on our configuration.
        unsafe { libc::kill(pid, signal) };
    }
}
