//! The wire shapes: ids, times, CloudEvents, completion, and the generated documents.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod cloudevents;
mod done;
mod dsse;
mod generated;
mod ids;
mod objects;
mod time;
