//! The sinks against what they really talk to: the embedded bucket's S3 endpoint, and a nats-server.

// Helpers of tests fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod broker;
mod join;
mod metrics;
mod rows;
mod s3;
