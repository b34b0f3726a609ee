//! The consumers that fill a store: events, results, final states.
//!
//! A message is acknowledged once its rows are durable and its hooks have run. A store that is down is no fault of the messages: they are held, kept
//! alive at the broker, and written when it is back, however long that takes. A message that cannot be read is dead-lettered alone.

mod done;
mod events;
mod read;
mod results;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use cofferdam_nats::Bus;
use cofferdam_nats::topology::{EVT, JOIN, RES, sink_done_consumer, sink_events_consumer, sink_results_consumer};
use cofferdam_nats::worker::{Batch, BatchSettings, WorkerError, run_batch};
use cofferdam_seams::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

pub use done::DoneSink;
pub use events::EventSink;
pub use results::ResultSink;
pub use writer::Writer;

pub(crate) use read::{read, refuse};

use crate::hooks::FinalHook;
use crate::store::Store;

/// How long a message whose hook failed waits.
const DELAYS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

fn settings(stop: &CancellationToken) -> BatchSettings {
    BatchSettings {
        stop: stop.clone(),
        delays: DELAYS.to_vec(),
        ..BatchSettings::default()
    }
}

/// Runs the three consumers of a sink until it is stopped, or one of them ends with an error, which ends all.
pub async fn run_sink(
    bus: Bus,
    store: Arc<dyn Store>,
    hooks: Vec<Arc<dyn FinalHook>>,
    name: &str,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // Stops the other two when one ends.
    let stop = stop.child_token();
    let writer = Writer::new(store, name, stop.clone());
    let run = |stream: &'static str, consumer: String, handler: Box<dyn Batch>| {
        let (bus, stop) = (bus.clone(), stop.clone());
        async move {
            let ended = run_batch(bus, stream, &consumer, handler, settings(&stop)).await;
            stop.cancel();
            ended
        }
    };
    let events = run(
        EVT,
        sink_events_consumer(name),
        Box::new(EventSink::new(writer.clone())),
    );
    let results = run(
        RES,
        sink_results_consumer(name),
        Box::new(ResultSink::new(writer.clone(), hooks.clone())),
    );
    let done = run(
        JOIN,
        sink_done_consumer(name),
        Box::new(DoneSink::new(writer, hooks, clock)),
    );
    let (events, results, done) = tokio::join!(events, results, done);
    events.and(results).and(done)
}

#[cfg(test)]
mod tests;
