//! The bucket as its users meet it: over HTTP with the AWS SDK and with raw requests, and in process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod checksums;
mod conditions;
mod expiry;
mod faults;
mod hostile;
mod landing;
mod ledger;
mod listing;
mod multipart;
mod objects;
mod parts;
mod presign;
mod robust;
mod store;
mod support;
mod versions;
