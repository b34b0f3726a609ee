//! Crash points: named places at the durable steps where a test makes the process die.
//!
//! What Cofferdam promises about crashes rests on the order of a few steps, each of which leaves something that outlives the process. Every one of them has a
//! name here, and the code calls [`point`] just before and just after it. With `COFFERDAM_CRASH_AT=<name>:<before|after>[:<n>]` in the environment at start, the
//! process writes the point's name to standard error and kills itself with SIGKILL the n-th time it comes by (the first unless told): no destructor, no
//! flush, no answer, as when the machine's operator or the kernel does it. Nothing else can be asked of it, and unarmed a point is one relaxed load.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// The environment variable that arms a point.
pub const VARIABLE: &str = "COFFERDAM_CRASH_AT";

/// What a process that dies at a point writes before it, in front of `<name>:<before|after>`.
pub const LAST_WORDS: &str = "crash point ";

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A durable step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Point { $($(#[$doc])* $point,)* }

        impl Point {
            /// All of them, in the order in which a document, then a command, comes by.
            pub const ALL: &[Point] = &[$(Point::$point),*];

            /// Its name in [`VARIABLE`].
            pub const fn name(self) -> &'static str {
                match self { $(Point::$point => $name),* }
            }
        }
    };
}

points! {
    /// The bytes of a large object (landing, vault or outbox) are a file that was flushed and has its place.
    BlobSynced = "blob-synced",
    /// The index row and the ledger row of an upload are committed; the client has no answer yet.
    UploadAccepted = "upload-accepted",
    /// An object event is acknowledged by the broker.
    EventPublished = "event-published",
    /// The ledger knows that its rows were published.
    LedgerMarked = "ledger-marked",
    /// The sealed object stands in the vault.
    SealedDurable = "sealed-durable",
    /// It was read back and opened. Leaves nothing itself; all that follows relies on it.
    ReadBackOpened = "read-back-opened",
    /// A processor's result is acknowledged by the broker.
    ResultPublished = "result-published",
    /// The message a processor or command worked on is acknowledged to the broker.
    InputAcked = "input-acked",
    /// The state of an object that is open for long is written to `JOIN`.
    JoinSpilled = "join-spilled",
    /// The `done` is acknowledged by the broker.
    DonePublished = "done-published",
    /// Results have their rows.
    ResultsCommitted = "results-committed",
    /// The final state has its row.
    SinkCommitted = "sink-committed",
    /// The sealed copy of a quarantined object stands in the quarantine bucket, and its marker in the vault.
    Isolated = "isolated",
    /// The landing copy is deleted.
    PlaintextRetired = "plaintext-retired",
    /// The ledger rows of final objects are gone.
    LedgerClosed = "ledger-closed",
    /// The ledger row of a command is committed; the client has no answer yet.
    CommandAccepted = "command-accepted",
    /// A command is acknowledged by the broker.
    CommandPublished = "command-published",
    /// The opened copy stands in the outbox.
    OutboxWritten = "outbox-written",
    /// A command's result is acknowledged by the broker.
    CommandResultPublished = "command-result-published",
    /// A command's result has its row.
    CommandCommitted = "command-committed",
    /// The ledger row of a command is gone.
    CommandClosed = "command-closed",
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum When {
    /// It was not done.
    Before,
    /// It is done; nobody was told.
    After,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            When::Before => "before",
            When::After => "after",
        })
    }
}

/// Where to die: what [`VARIABLE`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CrashAt {
    /// The step.
    pub point: Point,
    /// The side of it.
    pub when: When,
    /// The how-manieth time it comes by, from 1.
    pub hit: u32,
}

/// [`VARIABLE`] names no crash point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{VARIABLE} is {text:?}: it takes <name>:<before|after>, or with a third part the how-manieth time (1 to 1000000); names are {}",
    names()
)]
pub struct NoSuchPoint {
    /// What was given.
    pub text: String,
}

fn names() -> String {
    let names: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
    names.join(", ")
}

impl FromStr for CrashAt {
    type Err = NoSuchPoint;

    fn from_str(text: &str) -> Result<Self, NoSuchPoint> {
        let read = || {
            let mut parts = text.split(':');
            let name = parts.next()?;
            let point = *Point::ALL.iter().find(|point| point.name() == name)?;
            let when = match parts.next()? {
                "before" => When::Before,
                "after" => When::After,
                _ => return None,
            };
            let hit = match parts.next() {
                None => 1,
                Some(number) => number.parse().ok().filter(|hit| (1..=1_000_000).contains(hit))?,
            };
            parts.next().is_none().then_some(CrashAt { point, when, hit })
        };
        read().ok_or_else(|| NoSuchPoint {
            text: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for CrashAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CrashAt { point, when, hit } = self;
        match hit {
            1 => write!(f, "{point}:{when}"),
            hit => write!(f, "{point}:{when}:{hit}"),
        }
    }
}

/// 0 while nothing is armed.
static ARMED: AtomicU32 = AtomicU32::new(0);
/// How many hits of the armed point are left.
static LEFT: AtomicU32 = AtomicU32::new(0);

const fn code(point: Point, when: When) -> u32 {
    1 + 2 * point as u32 + when as u32
}

/// Reads [`VARIABLE`], once at the start of a process that does work. Gives what is armed.
pub fn arm() -> Result<Option<CrashAt>, NoSuchPoint> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let at: CrashAt = text.to_string_lossy().parse()?;
    LEFT.store(at.hit, Ordering::Relaxed);
    ARMED.store(code(at.point, at.when), Ordering::Release);
    Ok(Some(at))
}

/// A durable step is about to be done, or was done. Returns unless exactly this is armed and it is the time.
#[inline]
pub fn point(point: Point, when: When) {
    let armed = ARMED.load(Ordering::Relaxed);
    if armed != 0 && armed == code(point, when) {
        hit(point, when);
    }
}

#[cold]
fn hit(point: Point, when: When) {
    // Others may come by at the same time: only one of them is the n-th, and those behind it live for another instant.
    if LEFT.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    let _ = writeln!(std::io::stderr().lock(), "{LAST_WORDS}{point}:{when}");
    // SAFETY: plain kill(2) on this process. SIGKILL cannot be caught, blocked or ignored.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    // The signal may reach another thread first; this one goes no further in any case.
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        let names: BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        let mut codes = BTreeSet::new();
        for &point in Point::ALL {
            for when in [When::Before, When::After] {
                assert!(codes.insert(code(point, when)) && code(point, when) > 0);
                for hit in [1, 2, 1_000_000] {
                    let at = CrashAt { point, when, hit };
                    assert_eq!(at.to_string().parse(), Ok(at));
                }
            }
        }
    }

    #[test]
    fn a_wrong_name_is_told_with_the_right_ones() {
        for text in [
            "",
            "sink-committed",
            "sink-commited:after",
            "sink-committed:later",
            "sink-committed:after:0",
            "sink-committed:after:1000001",
            "sink-committed:after:x",
            "sink-committed:after:1:1",
        ] {
            let error = text.parse::<CrashAt>().expect_err(text).to_string();
            for &point in Point::ALL {
                assert!(error.contains(point.name()), "{error}");
            }
        }
    }

    #[test]
    fn an_unarmed_point_returns() {
        for &at in Point::ALL {
            point(at, When::Before);
            point(at, When::After);
        }
    }
}
