//! Delivery: everything between a durable broker and a piece of work.
//!
//! * [`subject`]: what messages are published on, as types.
//! * [`topology`]: which streams and consumers there are, as data; [`provision`](provision()) makes the broker agree.
//! * [`Bus`]: one role's connection: publishing with ids and retries, the start-up self-check.
//! * [`worker`]: the one shell that pulls, keeps alive, settles and dead-letters. Processors, sinks and the normaliser
//!   run in it.
//! * [`dlq`]: looking at dead letters and replaying them.
//! * [`trim`]: removing what nobody needs any more.
//! * [`server`] and [`accounts`]: the supervised child server and who may do what on it.
//!
//! Nothing outside this crate names a stream, a subject or a consumer, and nothing outside [`worker`] acknowledges a
//! message.
//!
//! Delivery is at least once. A message is published under an id derived from what it says, is acknowledged by the
//! worker only after its effects are durable and its result has been acknowledged by the broker, and whatever is
//! delivered twice has the same effect twice. The broker's deduplication window saves work; correctness does not rest
//! on it.

pub mod accounts;
mod bus;
pub mod dlq;
mod error;
mod finality;
pub mod metrics;
mod provision;
pub mod server;
pub mod subject;
pub mod topology;
mod trace;
pub mod trim;
pub mod worker;

pub use bus::{Bus, DonePublished, JoinRecord, Login, Need, Published, StateWritten};
pub use error::{Drift, NatsError, PublishError};
pub use finality::{Finality, FinalityError};
pub use provision::{Report, check, provision};
pub use topology::{Topology, TopologySettings};
