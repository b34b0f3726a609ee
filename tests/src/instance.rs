//! A running `cofferdam up`.

#![allow(clippy::disallowed_methods)] // Nothing else runs on the thread that waits for a program.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::tools;

/// `run.json` as a script reads it: this is a second reading of the documented interface, on purpose not the program's own type.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct RunFile {
    pub pid: i32,
    pub s3: S3,
    pub buckets: Buckets,
    pub inbox_folder: PathBuf,
    pub nats: Nats,
    pub http: String,
    pub database: PathBuf,
    pub keyring: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct S3 {
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Buckets {
    pub inbox: String,
    pub vault: String,
    pub quarantine: String,
    pub results: String,
    pub outbox: String,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Nats {
    pub url: String,
    pub websocket: String,
    pub tenant: TenantLogin,
    pub operator: OperatorLogin,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct TenantLogin {
    pub name: String,
    pub user: String,
    pub password: String,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct OperatorLogin {
    pub user: String,
    pub password: String,
}

/// How to start an instance.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// More environment, for example `COFFERDAM__RETIRE__POLICY=keep`.
    pub env: Vec<(String, String)>,
    /// A configuration file's text.
    pub config: Option<String>,
    /// More arguments behind `up`.
    pub args: Vec<String>,
    /// Where its log goes; `log` in its home unless set.
    pub log: Option<PathBuf>,
    /// Another program that contains the command line, for example one with one more processor.
    pub program: Option<PathBuf>,
}

impl Settings {
    /// One more environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

/// A running instance with its own directories. Killed, child server included, when dropped.
pub struct Instance {
    child: Child,
    /// What it says about itself.
    pub run: RunFile,
    /// The directory that holds `data`, `config` and `log`.
    pub home: PathBuf,
    settings: Settings,
}

impl Instance {
    /// Starts one in an empty directory and waits until it is ready.
    pub fn start(home: &Path, settings: Settings) -> anyhow::Result<Instance> {
        match Self::launch(home, settings)? {
            Launched::Ready(instance) => Ok(*instance),
            Launched::Ended { status, tail } => bail!("instance ended with {status} before it was ready:\n{tail}"),
        }
    }

    /// As [`Instance::start`], where it may end before it is ready.
    pub fn launch(home: &Path, settings: Settings) -> anyhow::Result<Launched> {
        let mut child = Self::spawn(home, &settings)?;
        let log = settings.log.clone().unwrap_or_else(|| home.join("log"));
        let Some(run) = Self::ready(&mut child, home, &log, Duration::from_secs(60))? else {
            let (status, tail) = (child.wait()?, tail(&log, 25));
            return Ok(Launched::Ended { status, tail });
        };
        let instance = Instance {
            child,
            run,
            home: home.to_owned(),
            settings,
        };
        Ok(Launched::Ready(Box::new(instance)))
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Where its log is.
    pub fn log_path(&self) -> PathBuf {
        self.settings.log.clone().unwrap_or_else(|| self.home.join("log"))
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The last lines of its log.
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log_path(), lines)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    fn spawn(home: &Path, settings: &Settings) -> anyhow::Result<Child> {
        std::fs::create_dir_all(home)?;
        let program = match &settings.program {
            Some(program) => program.clone(),
            None => tools::program("cofferdam")?,
        };
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(settings.log.clone().unwrap_or_else(|| home.join("log")))?;
        let _ = std::fs::remove_file(home.join("data/run.json"));
        let mut command = Command::new(program);
        if let Some(config) = &settings.config {
            std::fs::write(home.join("cofferdam.toml"), config)?;
            command.arg("--config").arg(home.join("cofferdam.toml"));
        }
        command
            .arg("--data")
            .arg(home.join("data"))
            .args(["up", "--quiet"])
            .args(&settings.args)
            .current_dir(home)
            .env("COFFERDAM__CONFIG_DIR", home.join("config"))
            .env(
                "COFFERDAM_NATS_SERVER",
                tools::nats_server().map_err(anyhow::Error::msg)?,
            )
            .env("COFFERDAM__S3__LISTEN", "127.0.0.1:0")
            .env("COFFERDAM__HTTP__LISTEN", "127.0.0.1:0")
            .env("COFFERDAM__NATS__LISTEN", "127.0.0.1:0")
            .env("COFFERDAM__NATS__WEBSOCKET_LISTEN", "127.0.0.1:0")
            .envs(settings.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .process_group(0);
        // SAFETY: prctl is async-signal-safe; it makes the kernel stop the instance when the test is killed.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        Ok(command.spawn()?)
    }

    /// Waits until it says that it is ready; `None` if it ends before.
    fn ready(child: &mut Child, home: &Path, log: &Path, patience: Duration) -> anyhow::Result<Option<RunFile>> {
        let until = Instant::now() + patience;
        loop {
            if let Ok(text) = std::fs::read(home.join("data/run.json")) {
                return serde_json::from_slice(&text).context("run.json").map(Some);
            }
            if child.try_wait()?.is_some() {
                return Ok(None);
            }
            if Instant::now() > until {
                let _ = child.kill();
                bail!(
                    "instance was not ready within {} s:\n{}",
                    patience.as_secs(),
                    tail(log, 25)
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL to the process, as a crash would: its child server goes with it. Returns once both are gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let server = self.server_pid();
        self.child.kill()?;
        self.child.wait()?;
        if let Some(server) = server {
            wait_gone(server, Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// SIGKILL to the child nats-server only.
    pub fn kill_server(&self) -> anyhow::Result<i32> {
        let pid = self.server_pid().context("no child nats-server found")?;
        // SAFETY: plain kill(2) on a process of this test.
        anyhow::ensure!(unsafe { libc::kill(pid, libc::SIGKILL) } == 0, "kill failed");
        Ok(pid)
    }

    /// The child nats-server's pid.
    pub fn server_pid(&self) -> Option<i32> {
        children(self.run.pid).into_iter().find(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                line.split('\0')
                    .next()
                    .is_some_and(|program| program.ends_with("nats-server"))
            })
        })
    }

    /// Starts it again on the same directories.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        *self = Self::start(&self.home, self.settings.clone())?;
        Ok(())
    }

    /// SIGTERM, and how long it took to end. It must end by itself with exit code 0.
    pub fn stop(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let server = self.server_pid();
        // SAFETY: plain kill(2) on our own child.
        anyhow::ensure!(unsafe { libc::kill(self.run.pid, libc::SIGTERM) } == 0, "kill failed");
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "instance ended with {status}:\n{}", self.log());
                break;
            }
            anyhow::ensure!(
                began.elapsed() < Duration::from_secs(20),
                "instance did not end within 20 s of SIGTERM"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(server) = server {
            wait_gone(server, Duration::from_secs(2))?;
        }
        Ok(began.elapsed())
    }

    /// Resident memory of the process (not of the child server), in bytes: now and at its highest.
    pub fn memory(&self) -> anyhow::Result<(u64, u64)> {
        crate::process::memory(self.run.pid)
    }

    /// Runs one of the people's commands against it.
    pub fn cli(&self, args: &[&str]) -> anyhow::Result<std::process::Output> {
        let mut command = Command::new(tools::program("cofferdam")?);
        command
            .arg("--data")
            .arg(self.data())
            .args(args)
            .current_dir(&self.home);
        command
            .env("COFFERDAM__CONFIG_DIR", self.home.join("config"))
            .stdin(Stdio::null());
        Ok(command.output()?)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a start ended.
pub enum Launched {
    /// It is ready.
    Ready(Box<Instance>),
    /// It ended before it was.
    Ended {
        /// How.
        status: ExitStatus,
        /// What it wrote last.
        tail: String,
    },
}

fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(lines).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Direct children of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|candidate| parent(*candidate) == Some(pid)).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Waits until a process is gone.
pub fn wait_gone(pid: i32, patience: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + patience;
    // SAFETY: signal 0 only asks whether the process is there.
    while unsafe { libc::kill(pid, 0) } == 0 && !is_zombie(pid) {
        anyhow::ensure!(
            Instant::now() < until,
            "process {pid} is still there after {} s",
            patience.as_secs()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn is_zombie(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}
