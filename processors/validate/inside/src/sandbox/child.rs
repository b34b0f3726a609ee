//! One child, from the parent's side.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::answer::{AnswerBounds, AnswerFault, Answered, read_answer, read_frame};
use super::super::frame::{FromChild, Setup};
use super::{Breach, InForce, Settings};

/// What of a child's last words is read, to tell why it died. They are never passed on.
const LAST_WORDS: u64 = 4_096;
/// How long a child that has closed its socket is waited for.
const DEATH: Duration = Duration::from_secs(2);

pub(super) struct Child {
    process: tokio::process::Child,
    socket: UnixStream,
    bounds_cpu: u64,
    pub cpu_before: Duration,
    pub in_force: InForce,
    pub documents: u64,
}

impl Child {
    /// Hands a document over.
    pub async fn send(&mut self, request: &[u8], document: &(impl AsFd + Sync)) -> io::Result<()> {
        self.allow_cpu()?;
        let length = u32::try_from(request.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut frame = length.to_le_bytes().to_vec();
        frame.extend_from_slice(request);
        let sent = loop {
            self.socket.writable().await?;
            let tried = self.socket.try_io(Interest::WRITABLE, || {
                let descriptors = [document.as_fd()];
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&descriptors));
                Ok(sendmsg(
                    &self.socket,
                    &[IoSlice::new(&frame)],
                    &mut control,
                    SendFlags::NOSIGNAL,
                )?)
            });
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => break other?,
            }
        };
        self.socket.write_all(&frame[sent..]).await
    }

    /// Processor time is counted over the whole life of a process, so the limit moves with it.
    #[cfg(target_os = "linux")]
    fn allow_cpu(&mut self) -> io::Result<()> {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = self
            .process
            .id()
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
            .ok_or(io::ErrorKind::NotFound)?;
        self.cpu_before = self.cpu();
        let current = Some(
            self.cpu_before
                .as_secs()
                .saturating_add(self.bounds_cpu)
                .saturating_add(1),
        );
        prlimit(Some(pid), Resource::Cpu, Rlimit { current, maximum: None })?;
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn allow_cpu(&mut self) -> io::Result<()> {
        let _ = self.bounds_cpu;
        Ok(())
    }

    /// Processor time so far (proc(5), fields 14 and 15 of `stat`, in hundredths on every Linux); zero where that is not told.
    pub fn cpu(&self) -> Duration {
        let read = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()?)).ok()?;
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let user: u64 = fields.nth(11)?.parse().ok()?;
            let system: u64 = fields.next()?.parse().ok()?;
            Some(Duration::from_millis(user.saturating_add(system).saturating_mul(10)))
        };
        read().unwrap_or_default()
    }

    /// Most memory that was resident so far (proc(5), `VmHWM`).
    pub fn peak_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()?
            .checked_mul(1_024)
    }

    /// Reads one answer, until the deadline. A child that is not done by then is killed, and what it had sent is read to its end: it is
    /// no less true for having been late.
    pub async fn answer<S: DeserializeOwned>(
        &mut self,
        bounds: AnswerBounds,
        until: Instant,
        take: &mut (impl FnMut(S) + Send),
    ) -> Result<Answered, AnswerFault> {
        let Self { process, socket, .. } = self;
        let mut answer = pin!(read_answer(socket, bounds, take));
        if let Ok(ended) = timeout_at(until, &mut answer).await {
            return ended;
        }
        let _ = process.start_kill();
        match timeout(DEATH, answer).await {
            // It was done in the very moment.
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(AnswerFault::Breach(breach))) => Err(AnswerFault::Breach(breach)),
            Ok(Err(AnswerFault::Closed)) | Err(_) => Err(AnswerFault::Breach(Breach::Wall)),
        }
    }

    /// Ends it and tells why it broke.
    pub async fn end(mut self, fault: AnswerFault) -> Breach {
        if let AnswerFault::Breach(breach) = fault {
            // It is killed when dropped as well; this also reaps it.
            let _ = timeout(DEATH, self.process.kill()).await;
            return breach;
        }
        let Ok(Ok(status)) = timeout(DEATH, self.process.wait()).await else {
            let _ = timeout(DEATH, self.process.kill()).await;
            return Breach::Protocol;
        };
        let mut words = Vec::new();
        if let Some(stderr) = self.process.stderr.take() {
            let _ = timeout(DEATH, stderr.take(LAST_WORDS).read_to_end(&mut words)).await;
        }
        let said = |text: &str| String::from_utf8_lossy(&words).contains(text);
        match status.signal() {
            Some(_) if said("memory allocation of") => Breach::Memory,
            Some(_) if said("has overflowed its stack") => Breach::Stack,
            Some(libc::SIGXCPU) => Breach::Cpu,
            // Nobody else kills it but the system when memory runs out.
            Some(libc::SIGKILL) => Breach::Memory,
            Some(signal) => Breach::Signal(signal),
            None => Breach::Exit(status.code().unwrap_or(-1)),
        }
    }
}

/// Starts children from one thread that lives as long as the pool: a child dies with the *thread* that started it, and those of the
/// runtime come and go.
pub(super) struct Spawner {
    orders: mpsc::Sender<Order>,
}

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<tokio::process::Child>>,
}

impl Spawner {
    pub fn start() -> Self {
        let (orders, incoming) = mpsc::channel::<Order>();
        // Without the thread the channel is closed, and every start says so.
        let _ = std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            while let Ok(mut order) = incoming.recv() {
                let _entered = order.runtime.enter();
                let _ = order.answer.send(order.command.spawn());
            }
        });
        Self { orders }
    }

    /// Starts a child and waits until it is confined.
    pub async fn child(&self, settings: &Settings) -> io::Result<Child> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = UnixStream::from_std(ours)?;
        let mut command = Command::new(&settings.program);
        command
            .args(&settings.args)
            // Secrets of the parent are in its environment.
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let (answer, process) = oneshot::channel();
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.orders
            .send(Order {
                command,
                runtime: Handle::current(),
                answer,
            })
            .map_err(|_| gone())?;
        let process = process.await.map_err(|_| gone())??;
        let mut child = Child {
            process,
            socket,
            bounds_cpu: settings.bounds.cpu_seconds,
            cpu_before: Duration::ZERO,
            in_force: InForce::default(),
            documents: 0,
        };
        let setup = Setup {
            bounds: settings.bounds.clone(),
            parent: std::process::id(),
            frame_bytes: settings.frame_bytes,
            material: settings.material.len() as u64,
        };
        let setup = serde_json::to_vec(&setup)?;
        child.socket.write_all(&(setup.len() as u32).to_le_bytes()).await?;
        let ready = timeout(settings.start, async {
            let said = &mut child.socket;
            said.write_all(&setup).await.map_err(|_| AnswerFault::Closed)?;
            said.write_all(&settings.material)
                .await
                .map_err(|_| AnswerFault::Closed)?;
            read_frame(said, settings.frame_bytes).await
        })
        .await;
        match ready {
            Ok(Ok(frame)) => match serde_json::from_slice::<FromChild<()>>(&frame)? {
                FromChild::Ready(in_force) => child.in_force = in_force,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            },
            Ok(Err(_)) => return Err(gone()),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
        Ok(child)
    }
}
