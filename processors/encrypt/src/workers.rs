//! The threads that share the work on a large document.
//!
//! One pool serves the whole process, with one thread a core. Whoever seals or opens waits for it instead of working itself, so that however many documents are in
//! hand, no more threads compute than there are cores. Small pieces stay with the thread that has them: handing them over costs more than doing them.

use cofferdam_processor::cores::Cores;
use tokio::sync::oneshot;

/// From this many bytes on, work is shared.
pub(crate) const SHARED_FROM: usize = 256 * 1024;

/// Who works on the bytes of one document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Workers {
    /// The thread that calls, alone.
    Caller,
    /// All cores, from 256 KiB a call on. Makes the same bytes.
    #[default]
    Cores,
}

static CORES: Cores = Cores::new("seal");

impl Workers {
    /// Runs work on `len` bytes and tells it whether it may split itself with [`join`].
    pub(crate) fn run<R: Send>(self, len: usize, work: impl FnOnce(bool) -> R + Send) -> R {
        match (self, CORES.pool()) {
            (Workers::Cores, Some(pool)) if len >= SHARED_FROM => pool.install(|| work(true)),
            _ => work(false),
        }
    }
}

/// Does work away from the threads that serve everybody: on the pool, so that what is computed for all documents together is bounded by the cores, or where there is none
/// on a thread for blocking work. `None`: it panicked, or the runtime is shutting down.
pub(crate) async fn offload<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    match CORES.pool() {
        Some(pool) => {
            let (send, made) = oneshot::channel();
            pool.spawn(move || drop(send.send(work())));
            made.await.ok()
        }
        None => tokio::task::spawn_blocking(work).await.ok(),
    }
}

/// Does both, at the same time if `shared`.
pub(crate) fn join<A: Send, B: Send>(
    shared: bool,
    one: impl FnOnce() -> A + Send,
    two: impl FnOnce() -> B + Send,
) -> (A, B) {
    if shared {
        rayon_core::join(one, two)
    } else {
        (one(), two())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;

    #[test]
    fn shares_large_work_only() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let here = std::thread::current().id();
        let run = |workers: Workers, len| workers.run(len, |shared| (shared, std::thread::current().id() == here));
        assert_eq!(run(Workers::Caller, usize::MAX), (false, true));
        assert_eq!(run(Workers::Cores, SHARED_FROM - 1), (false, true));
        assert_eq!(run(Workers::Cores, SHARED_FROM), (cores > 1, cores == 1));
    }

    #[tokio::test]
    async fn offloaded_work_comes_back_or_is_lost() {
        assert_eq!(offload(|| 6 * 7).await, Some(42));
        assert_eq!(offload(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(offload(|| 1).await, Some(1), "the pool is still there");
    }

    /// However many callers there are, the pool has one thread a core.
    #[test]
    fn threads_are_bounded_by_the_cores() {
        let seen = std::sync::Mutex::new(std::collections::HashSet::new());
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    Workers::Cores.run(SHARED_FROM, |shared| {
                        let note = || {
                            // A thread of the pool, not of a runtime.
                            #[allow(clippy::disallowed_methods)]
                            std::thread::sleep(std::time::Duration::from_millis(1));
                            seen.lock().unwrap().insert(std::thread::current().id());
                        };
                        join(shared, note, note);
                    });
                });
            }
        });
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let most = if cores > 1 { cores } else { 16 };
        assert!(seen.into_inner().unwrap().len() <= most);
    }
}
