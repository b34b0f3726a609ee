//! The threads that share the windows of long texts.
//!
//! One pool serves the process, with one thread a core, so that however many long documents are in hand, no more windows are scanned at once than there are
//! cores. A child process may start no threads and scans by itself.

use std::sync::OnceLock;

use cofferdam_processor::cores::pool;
use rayon_core::ThreadPool;

/// Does the work for each item, for several at the same time, and gives the results in the order of the items.
///
/// # Panics
/// When the work does.
pub(super) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = if items.len() > 1 {
        POOL.get_or_init(|| pool("scan")).as_ref()
    } else {
        None
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        let double = |item: &u64| item * 2;
        assert_eq!(each(&items, double), items.iter().map(double).collect::<Vec<_>>());
        assert_eq!(each(&items[..1], double), [0]);
        assert_eq!(each(&items[..0], double), [0; 0]);
    }

    #[test]
    fn a_panic_is_the_callers_and_the_pool_goes_on() {
        let fail = |item: &u64| if *item == 3 { panic!("on purpose") } else { *item };
        let caught = std::panic::catch_unwind(|| each(&[1, 2, 3, 4], fail));
        assert!(caught.is_err());
        assert_eq!(each(&[1, 2], fail), [1, 2]);
    }
}
