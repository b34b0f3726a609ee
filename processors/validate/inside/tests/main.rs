//! The engine through its real child process: every shared sample, hostile files made on the spot, mutations, and children that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
mod dicom;
mod formats;
mod fuzzed;
mod hostile;
mod mail;
mod mutation;
mod records;
mod sandbox;
mod sqlite;
mod wire;
