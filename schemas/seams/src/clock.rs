//! Time as a dependency.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_schemas::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// Milliseconds that the machine's clock is said to be off, for tests of what a wrong clock does and nothing else. Signatures of S3 requests are judged by
/// the real time.
const OFFSET: &str = "COFFERDAM_TEST_CLOCK_OFFSET_MS";

fn offset() -> i64 {
    static READ: OnceLock<i64> = OnceLock::new();
    *READ.get_or_init(|| {
        std::env::var(OFFSET)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    })
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_millis(now.saturating_add(offset()))
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at a time.
    pub fn at(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.unix_millis()))
    }
    /// Moves forward (or, with a negative number, back).
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}
