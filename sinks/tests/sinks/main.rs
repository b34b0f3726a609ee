//! The sinks against what they really talk to: the embedded bucket's S3 endpoint, and a nats-server.

mod broker;
mod join;
mod metrics;
mod rows;
mod s3;
