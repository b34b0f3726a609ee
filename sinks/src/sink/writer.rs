//! Writing until it is written.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::hooks::{FinalHook, HookError};
use crate::metrics::SinkMetrics;
use crate::store::Store;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A store, and the patience to write to it.
#[derive(Clone)]
pub struct Writer {
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<SinkMetrics>,
    name: Arc<str>,
    stop: CancellationToken,
}

impl Writer {
    /// A writer of the sink of this name.
    pub fn new(store: Arc<dyn Store>, name: &str, stop: CancellationToken) -> Self {
        Self {
            store,
            metrics: Arc::new(SinkMetrics::new(name)),
            name: name.into(),
            stop,
        }
    }

    /// Repeats a write until it succeeds; `false` if the sink was stopped before.
    pub(super) async fn persist<F>(&self, kind: &'static str, messages: usize, write: impl Fn() -> F) -> bool
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        if messages == 0 {
            return true;
        }
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        while let Err(error) = write().await {
            self.metrics.failed(kind);
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(sink = %self.name, kind, messages, %error, cause, ?pause, "store does not take a batch, it is held and tried again");
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
        self.metrics.committed(kind, messages, began.elapsed());
        true
    }

    /// Runs a hook over all items; if that fails, over each alone. Gives which of the items went through.
    pub(super) async fn hook<T, F>(
        &self,
        hooks: &[Arc<dyn FinalHook>],
        items: &[T],
        call: impl Fn(Arc<dyn FinalHook>, Vec<T>) -> F,
    ) -> Vec<bool>
    where
        T: Clone,
        F: Future<Output = Result<(), HookError>>,
    {
        let mut through = vec![true; items.len()];
        for hook in hooks {
            let all: Vec<T> = items
                .iter()
                .zip(&through)
                .filter(|(_, through)| **through)
                .map(|(item, _)| item.clone())
                .collect();
            if all.is_empty() {
                break;
            }
            if self.call(call(hook.clone(), all)).await {
                continue;
            }
            for (item, through) in items.iter().zip(&mut through) {
                *through = *through && self.call(call(hook.clone(), vec![item.clone()])).await;
            }
        }
        through
    }

    async fn call(&self, work: impl Future<Output = Result<(), HookError>>) -> bool {
        match work.await {
            Ok(()) => true,
            Err(error) => {
                self.metrics.failed("hook");
                tracing::warn!(sink = %self.name, %error, cause = %error.source, "hook failed, it is tried again");
                false
            }
        }
    }
}
