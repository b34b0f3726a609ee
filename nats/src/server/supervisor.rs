//! The thread that owns the child.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Counter;
use serde_json::Value;
use tokio::sync::oneshot;

use super::error::ServerError;
use super::files::Files;
use super::health::{self, Health};
use super::ports::{self, Ports};
use super::{Facts, RESTARTS, ServerSettings, ServerState, Shared, binary, child, config, definitions};

/// How soon an exit is seen.
const TICK: Duration = Duration::from_millis(50);
const HEALTH_EVERY: Duration = Duration::from_secs(2);
/// A health check may fail for a moment; this long is an illness that only a restart ends.
const ILL_FOR: Duration = Duration::from_secs(10);
/// Longer, because a machine under load may be slow without being ill.
const SILENT_FOR: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A child that was ready this long has earned a new beginning of the pauses.
const STEADY: Duration = Duration::from_secs(30);

/// Everything the thread needs.
pub(super) struct Supervisor {
    settings: ServerSettings,
    accounts: Value,
    shared: Arc<Shared>,
    stop: Receiver<()>,
    restarts: Counter<u64>,
}

/// Why a start led to nothing.
enum NotStarted {
    /// It ended by itself.
    Ended(String),
    /// It took too long.
    Late(String),
    /// The caller does not want it any more.
    Stop,
    /// It could not even be made.
    Error(ServerError),
}

/// Why a running child is no longer running.
enum Over {
    Stop,
    Failed(String),
}

/// Says that the child is gone, whatever way the thread ends, so that nobody waits for ever.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.pid.store(0, Ordering::Release);
        self.0.state.send_replace(ServerState::Stopped);
    }
}

impl Supervisor {
    pub(super) fn new(settings: ServerSettings, accounts: Value, shared: Arc<Shared>, stop: Receiver<()>) -> Self {
        let restarts = opentelemetry::global::meter("cofferdam")
            .u64_counter(RESTARTS.trim_end_matches("_total"))
            .with_description("how often the embedded nats-server was started again")
            .build();
        Self {
            settings,
            accounts,
            shared,
            stop,
            restarts,
        }
    }

    /// The thread's whole life.
    pub(super) fn run(self, ready: oneshot::Sender<Result<Facts, ServerError>>) {
        let _farewell = Farewell(self.shared.clone());
        let (files, facts, child) = match self.first_start() {
            Ok(started) => started,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        self.shared.state.send_replace(ServerState::Ready);
        tracing::info!(version = %facts.version, port = facts.ports.client, sync = %self.settings.sync, "nats-server is ready");
        // A caller that has gone has dropped the stop channel too, which the loop sees.
        let _ = ready.send(Ok(facts.clone()));
        self.keep_running(&files, &facts, child);
    }

    fn first_start(&self) -> Result<(Files, Facts, Child), ServerError> {
        let version = binary::check(&self.settings.binary)?;
        let files = Files::prepare(&self.settings.data_dir)?;
        child::end_leftover(&files, self.settings.stop_timeout)?;
        files.check_store(version)?;
        let mended = definitions::mend(&files.root).map_err(|source| ServerError::File {
            action: "look for half-written definitions in",
            path: files.root.clone(),
            source,
        })?;
        if !mended.is_empty() {
            tracing::warn!(
                definitions = mended.join(" "),
                "a power cut left definitions half-written; they are put aside and made anew"
            );
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let ports = self.settings.preferred.choose().map_err(|source| ServerError::File {
                action: "find a free port on",
                path: "127.0.0.1".into(),
                source,
            })?;
            let max_store = files.room(self.settings.max_store)?;
            let facts = Facts {
                version,
                ports,
                max_store,
                log: files.log.clone(),
            };
            let log_before = log_length(&files);
            match self.start_child(&files, &facts) {
                Ok(child) => return Ok((files, facts, child)),
                Err(NotStarted::Stop) => return Err(ServerError::GivenUp),
                Err(NotStarted::Error(error)) => return Err(error),
                // Somebody was quicker between our choice and the server's: choose again.
                Err(NotStarted::Ended(_)) if tries < 5 && says_port_taken(&files, log_before) => {}
                Err(NotStarted::Ended(reason)) => {
                    return Err(ServerError::Failed {
                        reason,
                        log: files.log.clone(),
                        tail: files.tail(),
                    });
                }
                Err(NotStarted::Late(reason)) => {
                    return Err(ServerError::NotReady {
                        waited: self.settings.start_timeout,
                        reason,
                        log: files.log.clone(),
                        tail: files.tail(),
                    });
                }
            }
        }
    }

    /// Writes the configuration, makes the process and waits until it answers.
    fn start_child(&self, files: &Files, facts: &Facts) -> Result<Child, NotStarted> {
        let file = |action, path: &std::path::Path| {
            let path = path.to_owned();
            move |source| NotStarted::Error(ServerError::File { action, path, source })
        };
        let text = config::render(&self.settings, &self.accounts, files, &facts.ports, facts.max_store);
        crate::accounts::private::write(&files.config, text.as_bytes()).map_err(file("write", &files.config))?;
        ports::forget(&files.run).map_err(file("clear", &files.run))?;
        let mut child = child::spawn(&self.settings.binary, files).map_err(NotStarted::Error)?;
        match self.wait_ready(&mut child, files, &facts.ports) {
            Ok(()) => {
                self.shared.pid.store(child.id(), Ordering::Release);
                Ok(child)
            }
            Err(why) => {
                child::end(&mut child, self.settings.stop_timeout);
                Err(why)
            }
        }
    }

    fn wait_ready(&self, child: &mut Child, files: &Files, expected: &Ports) -> Result<(), NotStarted> {
        let deadline = Instant::now() + self.settings.start_timeout;
        let mut reason = "it does not listen yet".to_owned();
        while Instant::now() < deadline {
            if self.told_to_stop(TICK / 5) {
                return Err(NotStarted::Stop);
            }
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(NotStarted::Ended(format!("it ended with {status}"))),
                Err(e) => return Err(NotStarted::Ended(format!("it cannot be waited for: {e}"))),
            }
            let Some(found) = ports::read(&files.run, child.id()) else {
                continue;
            };
            if found != *expected {
                return Err(NotStarted::Ended(format!(
                    "it listens on {found:?}, not on {expected:?}"
                )));
            }
            match health::ask(found.monitor) {
                Health::Good => return Ok(()),
                Health::Bad(text) | Health::Silent(text) => reason = text,
            }
        }
        Err(NotStarted::Late(reason))
    }

    fn keep_running(&self, files: &Files, facts: &Facts, mut child: Child) {
        let mut pause = FIRST_PAUSE;
        loop {
            let since = Instant::now();
            let reason = match self.watch(&mut child, facts.ports.monitor) {
                Over::Stop => {
                    self.shared.pid.store(0, Ordering::Release);
                    if !child::end(&mut child, self.settings.stop_timeout) {
                        tracing::warn!(waited = ?self.settings.stop_timeout, "nats-server did not stop in time and was killed");
                    }
                    return;
                }
                Over::Failed(reason) => reason,
            };
            self.shared.pid.store(0, Ordering::Release);
            if since.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            match self.start_again(files, facts, reason, &mut pause) {
                Some(again) => child = again,
                None => return,
            }
        }
    }

    /// Watches until it ends, is too ill to go on, or is no longer wanted. A child that failed has ended when this
    /// returns.
    fn watch(&self, child: &mut Child, monitor: u16) -> Over {
        let mut next_check = Instant::now() + HEALTH_EVERY;
        let mut ill_since: Option<Instant> = None;
        loop {
            if self.told_to_stop(TICK) {
                return Over::Stop;
            }
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Over::Failed(format!("nats-server ended with {status}")),
                Err(e) => {
                    child::end(child, self.settings.stop_timeout);
                    return Over::Failed(format!("nats-server cannot be waited for: {e}"));
                }
            }
            if Instant::now() < next_check {
                continue;
            }
            let health = health::ask(monitor);
            next_check = Instant::now() + HEALTH_EVERY;
            let (text, limit) = match health {
                Health::Good => {
                    ill_since = None;
                    continue;
                }
                Health::Bad(text) => (text, ILL_FOR),
                Health::Silent(text) => (text, SILENT_FOR),
            };
            let since = *ill_since.get_or_insert_with(Instant::now);
            tracing::warn!(reason = %text, ill_for = ?since.elapsed(), "nats-server is not well");
            if since.elapsed() >= limit {
                child::end(child, self.settings.stop_timeout);
                return Over::Failed(text);
            }
        }
    }

    /// Starts the child again on its old ports until it is ready. `None` if it is no longer wanted.
    fn start_again(&self, files: &Files, facts: &Facts, mut reason: String, pause: &mut Duration) -> Option<Child> {
        for attempt in 1.. {
            self.shared.state.send_replace(ServerState::Restarting {
                reason: reason.clone(),
                attempt,
            });
            self.shared.restarts.fetch_add(1, Ordering::Relaxed);
            self.restarts.add(1, &[]);
            tracing::warn!(reason = %reason, attempt, pause = ?*pause, "starting nats-server again");
            if self.told_to_stop(*pause) {
                return None;
            }
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            reason = match self.start_child(files, facts) {
                Ok(child) => {
                    self.shared.state.send_replace(ServerState::Ready);
                    tracing::info!(attempt, "nats-server is ready again");
                    return Some(child);
                }
                Err(NotStarted::Stop) => return None,
                Err(NotStarted::Ended(reason)) => format!("{reason}; its log ends with:\n{}", files.tail()),
                Err(NotStarted::Late(reason)) => reason,
                Err(NotStarted::Error(error)) => match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                },
            };
            // Somebody must act: clients know this port and no other.
            tracing::error!(reason = %reason, attempt, "nats-server does not start");
        }
        None
    }

    /// Waits this long, or until told to stop: then true.
    fn told_to_stop(&self, wait: Duration) -> bool {
        !matches!(self.stop.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
    }
}

fn log_length(files: &Files) -> u64 {
    std::fs::metadata(&files.log).map_or(0, |m| m.len())
}

/// Whether the log, as far as it is new, says that a port is taken. The log may have been renamed at its size limit,
/// then all of it is new.
fn says_port_taken(files: &Files, before: u64) -> bool {
    let Ok(log) = std::fs::read(&files.log) else {
        return false;
    };
    let start = usize::try_from(before)
        .ok()
        .filter(|start| *start <= log.len())
        .unwrap_or(0);
    String::from_utf8_lossy(&log[start..]).contains("address already in use")
}
