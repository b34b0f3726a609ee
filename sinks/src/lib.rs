//! Durable results: the store and its SQLite form, the consumers that fill it, the joiner, the queries, and objects over S3.

mod catalog;
pub mod conformance;
mod error;
mod hooks;
pub mod join;
pub mod metrics;
pub mod query;
pub mod s3;
pub mod schema;
pub mod sink;
pub mod sqlite;
pub mod store;

pub use catalog::{StoreCatalog, select};
pub use error::StoreError;
pub use hooks::{FinalHook, HookError};
pub use join::run_join;
pub use query::run_query;
pub use sink::run_sink;
pub use sqlite::SqliteStore;
pub use store::{Stamped, Store};
