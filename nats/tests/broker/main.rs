//! The crate against a real nats-server: `COFFERDAM_NATS_SERVER`, or `nats-server` on the path. Without one every test
//! says so and passes.

// Helpers of tests fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bus;
mod dead_letters;
mod harness;
mod provisioning;
mod roles;
mod sinks;
mod telemetry;
mod trim;
mod workers;
