//! The narrow traits through which the rest of Cofferdam meets the outside: object bytes ([`ObjectStore`]) and time ([`Clock`]).
//!
//! One trait for object bytes serves the embedded bucket in process and S3 over the network (ruling 5), so that processors
//! know neither. [`memory::MemoryStore`] is for tests of code above the trait.

mod clock;
pub mod conformance;
pub mod crash;
pub mod memory;
mod objects;
pub mod quarantine;

pub use clock::{Clock, ManualClock, SystemClock};
pub use objects::{
    ByteStream, Listed, Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore, Place, PutOptions, Upload, read_all,
};
