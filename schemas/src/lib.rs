//! The wire shapes of Cofferdam: what travels in a message, stands in a row or is answered to a user.
//!
//! Nothing here does I/O, reads a clock or draws randomness. Every shape is a plain value with a JSON form
//! (`serde`) and a JSON Schema (`schemars`, draft 2020-12). Breaking a shape means a new event type
//! (`….v2`), never a changed one.

pub mod bom;
pub mod checksum;
pub mod cloudevent;
pub mod command;
pub mod done;
pub mod dsse;
pub mod error;
pub mod event;
pub mod finding;
pub mod generate;
pub mod ids;
pub mod object;
pub mod plan;
pub mod query;
pub mod result;
pub mod scan;
pub mod timestamp;

pub use bom::{Bom, Statement};
pub use checksum::Checksums;
pub use command::{
    Accepted, Command, CommandOutcome, CommandResult, DeleteRequest, DestroyRequest, ReleaseRequest, RetrieveRequest,
    Selector,
};
pub use done::{Done, FinalState, ProcessorSummary};
pub use error::{ErrorCode, WireError};
pub use event::{ObjectEvent, Verb};
pub use finding::{Finding, Severity, Span, Verdict};
pub use ids::{
    BucketName, CommandId, ETag, EventId, IdError, KeyId, Lane, ObjectId, ObjectKey, Partition, ProcessorName,
    RequestId, ResultId, Sha256Hex, SourceName, TenantName, VersionId,
};
pub use object::{ObjectRef, Origin};
pub use plan::Plan;
pub use query::ObjectState;
pub use result::{Artefact, Outcome, ResultEvent, SealedCopy};
pub use scan::ScanLine;
pub use timestamp::Timestamp;
