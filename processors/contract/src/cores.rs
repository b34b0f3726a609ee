//! Threads for work that is worth sharing.

use std::num::NonZero;
use std::sync::OnceLock;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

/// Threads for one kind of work, one a core, started when first asked for.
///
/// A process has one of these for each kind: however many documents are in hand, no more pieces are worked on at once than there are cores, and pieces of one kind
/// do not wait for those of another.
pub struct Cores {
    name: &'static str,
    pool: OnceLock<Option<ThreadPool>>,
}

impl Cores {
    /// None are started yet. The name is that of the threads.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            pool: OnceLock::new(),
        }
    }

    /// The threads. `None` on one core, or when none can be had, as in a confined child process: then who has the work does it.
    pub fn pool(&self) -> Option<&ThreadPool> {
        let made = self.pool.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            let name = self.name;
            let pool = ThreadPoolBuilder::new()
                .num_threads(cores)
                .thread_name(move |n| format!("{name}-{n}"))
                // Who waits for work that panicked is told; the process goes on.
                .panic_handler(drop);
            (cores > 1).then(|| pool.build().ok()).flatten()
        });
        made.as_ref()
    }

    /// Does the work for each item, for several at the same time, and gives the results in the order of the items.
    ///
    /// # Panics
    /// When the work does.
    pub fn each<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let pool = if items.len() > 1 { self.pool() } else { None };
        let Some(pool) = pool else {
            return items.iter().map(work).collect();
        };
        let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
        let work = &work;
        pool.scope(|scope| {
            for (item, result) in items.iter().zip(&mut results) {
                scope.spawn(move |_| *result = Some(work(item)));
            }
        });
        // The scope ends when all are there, or panics.
        results.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CORES: Cores = Cores::new("test");

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        let double = |item: &u64| item * 2;
        assert_eq!(CORES.each(&items, double), items.iter().map(double).collect::<Vec<_>>());
        assert_eq!(CORES.each(&items[..1], double), [0]);
        assert_eq!(CORES.each(&items[..0], double), [0; 0]);
    }

    #[test]
    fn a_panic_is_the_callers_and_the_threads_go_on() {
        let fail = |item: &u64| if *item == 3 { panic!("on purpose") } else { *item };
        let caught = std::panic::catch_unwind(|| CORES.each(&[1, 2, 3, 4], fail));
        assert!(caught.is_err());
        assert_eq!(CORES.each(&[1, 2], fail), [1, 2]);
    }
}
