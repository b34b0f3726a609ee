//! What a processor is asked for, and what it answers.

use std::collections::BTreeMap;

use cofferdam_schemas::{Artefact, EventId, Finding, ObjectRef, Plan, SealedCopy, Verdict};
use tokio_util::sync::CancellationToken;

/// One document to process.
#[derive(Debug, Clone)]
pub struct Job {
    /// The event that asks for it. The same event delivered again is the same job.
    pub event: EventId,
    /// The object version.
    pub object: ObjectRef,
    /// The plan of that version.
    pub plan: Plan,
    /// 1 for the first delivery. For logs only: results must not depend on it.
    pub attempt: u32,
    /// Cancelled when the service stops and will not wait any longer.
    pub cancelled: CancellationToken,
}

/// What a processor concludes about a document it has finished with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conclusion {
    /// The conclusion, if this processor draws one.
    pub verdict: Option<Verdict>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The sealed copy, if one was made.
    pub sealed: Option<SealedCopy>,
    /// Files that were made; they are durable already.
    pub artefacts: Vec<Artefact>,
    /// What else there is to say, flat and small.
    pub details: BTreeMap<String, serde_json::Value>,
}
