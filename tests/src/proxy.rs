//! A TCP proxy that breaks things on command, to stand between a service and its broker or store.
//!
//! It listens on loopback and forwards to one target. Faults are set while it runs, for each direction alone, and hold
//! for the connections there are and for new ones until [`Proxy::heal`]. Threads and blocking sockets, no runtime: it
//! goes on working while a runtime under test is stuck. What is random (jitter, [`Fault::CutWithin`]) is drawn from the
//! seed, the connection's number and the direction, so that a run can be repeated.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How soon a change is noticed.
const TICK: Duration = Duration::from_millis(10);
/// Bytes forwarded at a time.
const CHUNK: usize = 64 * 1024;
/// How long the target may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

/// A way through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
}

/// What is done to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// They are forwarded.
    #[default]
    None,
    /// Each piece (64 KiB at most) is forwarded after this time, and up to `jitter` more.
    Latency {
        /// At least.
        base: Duration,
        /// What chance adds.
        jitter: Duration,
    },
    /// So many more bytes of each connection are forwarded, then both its ends are closed in order.
    CutAfter(u64),
    /// As [`Fault::CutAfter`], with a number below this, drawn for each connection.
    CutWithin(u64),
    /// They are taken and thrown away. In the direction [`Direction::Up`], connections are accepted whether there is a
    /// target or not.
    BlackHole,
}

#[derive(Clone, Copy, Default)]
struct Plan {
    up: Fault,
    down: Fault,
    /// Counts changes, so that a connection knows when its counting begins anew.
    change: u64,
    refuse: bool,
    target: Option<SocketAddr>,
}

impl Plan {
    fn of(&self, direction: Direction) -> Fault {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }
}

/// One connection through the proxy.
struct Link {
    number: u64,
    client: TcpStream,
    target: TcpStream,
    /// To be dropped by its threads.
    dead: AtomicBool,
    /// Directions that were closed by [`Proxy::half_close`]: up, down.
    closed: [AtomicBool; 2],
    /// Threads that still forward.
    pumps: AtomicU64,
}

struct Shared {
    plan: Mutex<Plan>,
    changed: Condvar,
    links: Mutex<BTreeMap<u64, Arc<Link>>>,
    stop: AtomicBool,
    accepted: AtomicU64,
    forwarded: [AtomicU64; 2],
    seed: u64,
}

/// The proxy. Dropping it closes everything.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free loopback port and forwards to `target`, which need not be there yet.
    pub fn start(target: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let plan = Plan {
            target: Some(target),
            ..Plan::default()
        };
        let shared = Arc::new(Shared {
            plan: Mutex::new(plan),
            changed: Condvar::new(),
            links: Mutex::default(),
            stop: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            forwarded: Default::default(),
            seed,
        });
        let own = shared.clone();
        let listening = std::thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || own.listen(listener, address))?;
        Ok(Self {
            address,
            shared,
            listening: Some(listening),
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the fault of one direction.
    pub fn set(&self, direction: Direction, fault: Fault) {
        self.shared.change(|plan| match direction {
            Direction::Up => plan.up = fault,
            Direction::Down => plan.down = fault,
        });
    }

    /// Sets the fault of both directions.
    pub fn set_both(&self, fault: Fault) {
        self.shared.change(|plan| (plan.up, plan.down) = (fault, fault));
    }

    /// From now on new connections are refused, as if nobody listened. Those there are stay. Returns once it is so.
    pub fn refuse(&self) {
        self.shared.change(|plan| plan.refuse = true);
        self.until(|address| TcpStream::connect_timeout(&address, CONNECT).is_err());
    }

    /// Ends all connections with a reset (RST), towards both sides. New ones are accepted.
    pub fn reset(&self) {
        for link in self.shared.links().values() {
            link.kill();
        }
    }

    /// Ends one direction of all connections in order (FIN); the other goes on.
    pub fn half_close(&self, direction: Direction) {
        for link in self.shared.links().values() {
            link.closed[direction as usize].store(true, Ordering::SeqCst);
            // One that has ended meanwhile is closed already.
            let _ = link.receiver(direction).shutdown(Shutdown::Write);
        }
    }

    /// Forwards everything again, and accepts. Connections that were cut, reset or half closed stay so; one whose bytes
    /// were swallowed goes on with a gap, which a client with a protocol should notice.
    pub fn heal(&self) {
        let refused = self.shared.plan().refuse;
        self.shared
            .change(|plan| (plan.up, plan.down, plan.refuse) = (Fault::None, Fault::None, false));
        if refused {
            let accepted = self.shared.accepted.load(Ordering::SeqCst);
            self.until(|address| {
                let there = TcpStream::connect_timeout(&address, CONNECT).is_ok();
                there && self.shared.accepted.load(Ordering::SeqCst) > accepted
            });
        }
    }

    /// Another target for new connections, for example after a restart on another port.
    pub fn retarget(&self, target: SocketAddr) {
        self.shared.change(|plan| plan.target = Some(target));
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.shared.links().len()
    }

    /// Bytes forwarded so far in a direction.
    pub fn forwarded(&self, direction: Direction) -> u64 {
        self.shared.forwarded[direction as usize].load(Ordering::SeqCst)
    }

    fn until(&self, reached: impl Fn(SocketAddr) -> bool) {
        let end = Instant::now() + CONNECT;
        while !reached(self.address) && Instant::now() < end {
            self.shared.wait(TICK);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        self.reset();
        if let Some(listening) = self.listening.take() {
            // A panic in there was printed, and the proxy ends in any case.
            let _ = listening.join();
        }
    }
}

impl Shared {
    fn plan(&self) -> Plan {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Plan)) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut plan);
        plan.change += 1;
        self.changed.notify_all();
    }

    /// Waits, but not beyond the next change.
    fn wait(&self, time: Duration) {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout(plan, time));
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn listen(self: &Arc<Self>, listener: TcpListener, address: SocketAddr) {
        let mut listener = Some(listener);
        while !self.stopped() {
            if self.plan().refuse {
                listener = None;
                self.wait(TICK);
                continue;
            }
            let Some(open) = &listener else {
                // The port was ours a moment ago; on loopback nobody else takes it.
                listener = TcpListener::bind(address).ok();
                if listener.is_none() {
                    self.wait(TICK);
                }
                continue;
            };
            match open.set_nonblocking(true).and_then(|()| open.accept()) {
                Ok((client, _)) => self.accept(client),
                Err(_) => self.wait(TICK),
            }
        }
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst);
        let shared = self.clone();
        // Connecting takes time, and others want to be accepted meanwhile. Without a thread the client is closed.
        let _ = std::thread::Builder::new()
            .name(format!("fault-proxy-{number}"))
            .spawn(move || shared.connect(number, client));
    }

    fn connect(self: Arc<Self>, number: u64, client: TcpStream) {
        let target = loop {
            let plan = self.plan();
            match plan.target.map(|target| TcpStream::connect_timeout(&target, CONNECT)) {
                Some(Ok(target)) => break target,
                // Accepted and swallowed until somebody heals it.
                _ if plan.up == Fault::BlackHole && !self.stopped() => self.wait(TICK * 10),
                _ => {
                    linger_zero(&client);
                    return;
                }
            }
        };
        let link = Arc::new(Link {
            number,
            client,
            target,
            dead: AtomicBool::new(false),
            closed: Default::default(),
            pumps: AtomicU64::new(2),
        });
        for stream in [&link.client, &link.target] {
            let set = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_nodelay(true))
                .and_then(|()| stream.set_read_timeout(Some(TICK)))
                .and_then(|()| stream.set_write_timeout(Some(TICK)));
            if set.is_err() {
                return;
            }
        }
        self.links().insert(number, link.clone());
        // Stopped between the accept and here: `drop` did not see this one.
        if self.stopped() {
            link.kill();
        }
        let (shared, other) = (self.clone(), link.clone());
        let down = std::thread::Builder::new()
            .name(format!("fault-proxy-{number}-down"))
            .spawn(move || shared.pump(other, Direction::Down));
        if down.is_err() {
            link.kill();
        }
        self.pump(link, Direction::Up);
    }

    /// Forwards one direction of a connection to its end.
    fn pump(&self, link: Arc<Link>, direction: Direction) {
        let mut buffer = vec![0; CHUNK];
        let mut chance = Chance::new(self.seed, link.number, direction);
        let (mut change, mut left) = (u64::MAX, u64::MAX);
        while !link.dead.load(Ordering::SeqCst) {
            let read = match (&mut link.sender(direction)).read(&mut buffer) {
                Ok(read) => read,
                Err(error) if waits(&error) => continue,
                Err(_) => {
                    link.kill();
                    break;
                }
            };
            if read == 0 {
                // The end of one direction is not the end of the other.
                let _ = link.receiver(direction).shutdown(Shutdown::Write);
                break;
            }
            let plan = self.plan();
            let fault = plan.of(direction);
            if plan.change != change {
                change = plan.change;
                left = match fault {
                    Fault::CutAfter(bytes) => bytes,
                    Fault::CutWithin(bytes) => chance.below(bytes),
                    Fault::None | Fault::Latency { .. } | Fault::BlackHole => u64::MAX,
                };
            }
            if fault == Fault::BlackHole || link.closed[direction as usize].load(Ordering::SeqCst) {
                continue;
            }
            if let Fault::Latency { base, jitter } = fault {
                let more = chance.below(u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX).saturating_add(1));
                self.rest(&link, base.saturating_add(Duration::from_micros(more)));
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(read);
            if !self.forward(&link, direction, &buffer[..take]) {
                link.kill();
                break;
            }
            left = left.saturating_sub(take as u64);
            if take < read || left == 0 {
                for stream in [&link.client, &link.target] {
                    let _ = stream.shutdown(Shutdown::Both);
                }
                link.dead.store(true, Ordering::SeqCst);
                break;
            }
        }
        if link.pumps.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.links().remove(&link.number);
        }
    }

    /// Waits the whole time, unless the connection ends.
    fn rest(&self, link: &Link, time: Duration) {
        let end = Instant::now() + time;
        while !link.dead.load(Ordering::SeqCst) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.wait(left.min(TICK));
        }
    }

    fn forward(&self, link: &Link, direction: Direction, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && !link.dead.load(Ordering::SeqCst) {
            match (&mut link.receiver(direction)).write(bytes) {
                Ok(0) => return false,
                Ok(written) => {
                    bytes = &bytes[written..];
                    self.forwarded[direction as usize].fetch_add(written as u64, Ordering::SeqCst);
                }
                Err(error) if waits(&error) => {}
                Err(_) => return false,
            }
        }
        bytes.is_empty()
    }
}

impl Link {
    fn sender(&self, direction: Direction) -> &TcpStream {
        match direction {
            Direction::Up => &self.client,
            Direction::Down => &self.target,
        }
    }

    fn receiver(&self, direction: Direction) -> &TcpStream {
        match direction {
            Direction::Up => &self.target,
            Direction::Down => &self.client,
        }
    }

    /// Both ends are reset as soon as the threads let go of them.
    fn kill(&self) {
        linger_zero(&self.client);
        linger_zero(&self.target);
        self.dead.store(true, Ordering::SeqCst);
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Closing the socket then sends RST in place of FIN.
fn linger_zero(stream: &TcpStream) {
    let option = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // Safety: the descriptor is open as long as `stream` is borrowed; the option lives through the call and its size is
    // told. It fails only on a socket that is closed anyway.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const option).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn new(seed: u64, connection: u64, direction: Direction) -> Self {
        let mut chance = Self(seed ^ connection.wrapping_mul(0xd134_2543_de82_ef95) ^ ((direction as u64) << 63));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below a number; 0 for 0.
    fn below(&mut self, number: u64) -> u64 {
        self.next().checked_rem(number).unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
