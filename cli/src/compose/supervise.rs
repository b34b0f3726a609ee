//! Services as tasks: each is restarted when it fails, and all end together.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a service that failed waits, first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The services of a process.
pub struct Services {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    faults: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Services {
    /// None yet; they end when `stop` is cancelled.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            stop,
            faults: Arc::default(),
        }
    }

    /// Which services are down, and why.
    pub fn faults(&self) -> Arc<Mutex<BTreeMap<String, String>>> {
        self.faults.clone()
    }

    /// Starts a service. `run` is called again after a failure; its error is logged with its causes. A service that ends without an error before it is told to
    /// has nothing more to do.
    pub fn start<F, E>(&mut self, name: impl Into<String>, mut run: impl FnMut(CancellationToken) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), E>> + Send,
        E: Into<anyhow::Error> + Send,
    {
        let (name, stop, faults) = (name.into(), self.stop.clone(), self.faults.clone());
        self.tasks.spawn(async move {
            let mut rest = REST.0;
            while !stop.is_cancelled() {
                let began = std::time::Instant::now();
                let error = match run(stop.clone()).await {
                    Ok(()) => return,
                    Err(error) => format!("{:#}", error.into()),
                };
                if stop.is_cancelled() {
                    return;
                }
                if began.elapsed() > REST.1 {
                    rest = REST.0;
                }
                tracing::error!(
                    service = name,
                    error,
                    "service failed; it is started again in {} s",
                    rest.as_secs()
                );
                faults
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name.clone(), error);
                tokio::select! {
                    () = tokio::time::sleep(rest) => {}
                    () = stop.cancelled() => return,
                }
                rest = (rest * 2).min(REST.1);
                faults.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            }
        });
    }

    /// Waits until all have ended, but no longer than `patience`; then the rest is dropped. Tells whether all ended by themselves.
    pub async fn finish(mut self, patience: Duration) -> bool {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let finished = tokio::time::timeout(patience, all).await.is_ok();
        self.tasks.shutdown().await;
        finished
    }
}
