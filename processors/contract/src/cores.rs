//! Threads for work that is worth sharing.

use std::num::NonZero;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

/// A pool of one thread a core. `None` on one core, or when no threads can be had: then who has the work does it.
///
/// A process makes one for each kind of work: pieces of one kind do not wait for those of another, the system shares the cores between them.
pub fn pool(name: &'static str) -> Option<ThreadPool> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let pool = ThreadPoolBuilder::new()
        .num_threads(cores)
        .thread_name(move |n| format!("{name}-{n}"))
        // Who waits for work that panicked is told; the process goes on.
        .panic_handler(drop);
    (cores > 1).then(|| pool.build().ok()).flatten()
}
