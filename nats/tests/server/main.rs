//! The supervised server and its accounts, against the real nats-server. Without one the tests skip themselves.

// Helpers of tests fail by panicking; acknowledging is what a permission test is about; a skip is said around the
// capture, so that it is seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::explicit_write
)]

mod accounts;
mod hostile;
mod life;
mod support;
mod trouble;
