//! The embedded object store and its S3 endpoint.
//!
//! [`Bucket`] keeps objects in one directory: an index in SQLite (`bucket.db`, one writer, group commit) and blobs. Small objects live in the
//! database and share its commits; larger ones are files, written beside, checked, synced, renamed, and only then indexed. Nothing
//! is visible before all its checksums were compared, and nothing was answered before it is on disk.
//!
//! It is met in two ways: in process as [`cofferdam_seams::ObjectStore`], and over HTTP through [`serve`], which speaks S3.
//!
//! What is written to a *landing* bucket is noted in the [`Ledger`] by the same transaction. In a landing bucket without versions, an overwritten version
//! whose ledger row is still open is *held*: S3 clients no longer see it, but the pipeline reads it by its internal version id until the row
//! is closed. A delete by the user withdraws held versions too.
//!
//! | module | knows |
//! |---|---|
//! | `index` | the tables; pure functions on a transaction |
//! | `blobs` | files: writing, reading, sweeping |
//! | `store` | both together: [`Bucket`] |
//! | `objects` | `ObjectStore` in process |
//! | `expiry` | multipart uploads that were begun and never ended |
//! | `landing` | [`Landing`]: which keys a landing bucket takes |
//! | `ledger` | [`Ledger`] |
//! | `s3` | the S3 API over the store; access |
//! | `endpoint` | HTTP: limits, timeouts, metrics |
//!
//! `s3s` logs requests with their `Authorization` header at level debug, and every refused request as an error: programs must not
//! let its target (`s3s`) into their logs. This crate logs what is worth it itself.

mod blobs;
mod digest;
mod endpoint;
mod error;
mod expiry;
mod grants;
mod index;
mod landing;
mod ledger;
mod objects;
mod presign;
mod s3;
mod store;

pub use endpoint::{Door, Endpoint, EndpointSettings, serve, serve_on};
pub use error::{BucketError, Refusal};
pub use expiry::run_expiry;
pub use grants::{Credential, Grant, Grants};
pub use landing::{Landing, LandingKeys};
pub use ledger::{Accept, BucketRecord, Ledger, LedgerDepth, LedgerKind, LedgerRow};
pub use store::{Bucket, BucketSettings};
