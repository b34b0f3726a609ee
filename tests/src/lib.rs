//! What the end-to-end tests and the demo share: a running instance of the real program, and stock clients for it.
//!
//! Nothing here is in the tested process: the instance is `target/<profile>/cofferdam up` as a child, its S3 is reached with aws-sdk-s3, its NATS with async-nats,
//! its rows with SQLite, as any user's program would.

pub mod checker;
pub mod clients;
pub mod crash;
pub mod disk;
pub mod history;
pub mod instance;
pub mod power;
pub mod process;
pub mod prove;
pub mod proxy;
pub mod streams;
pub mod tools;

pub use checker::{Checker, Expect};
pub use clients::{Feed, Tenant, s3_client};
pub use history::History;
pub use instance::{Instance, RunFile, Settings};
pub use proxy::{Direction, Fault, Proxy};
