//! Errors as users and clients see them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::RequestId;
use crate::timestamp::Timestamp;

/// What kind of error it is. Stable: clients decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request cannot be read: not JSON, a missing or a wrong field.
    InvalidRequest,
    /// There is no such command or query.
    UnknownCommand,
    /// The object is not there, or not this tenant's.
    NotFound,
    /// The object is known but not finished yet.
    NotReady,
    /// The object is quarantined and not released.
    Quarantined,
    /// The object is not in quarantine, so that there is nothing to release or destroy.
    NotQuarantined,
    /// The caller may not do this.
    Forbidden,
    /// The range does not lie within the object.
    InvalidRange,
    /// A limit was reached.
    LimitExceeded,
    /// The bytes are not what the store or the seal says they are.
    Damaged,
    /// The sealed object cannot be opened: not ours, not for this key, or changed. Deliberately one code for all of these.
    CannotOpen,
    /// A store or server that is needed does not answer; try again.
    Unavailable,
    /// The broker or a store is full; try again later.
    Backpressure,
    /// Our fault.
    Internal,
}

/// An error on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WireError {
    /// The kind.
    pub code: ErrorCode,
    /// One sentence for a person: what, where, and what to do next.
    pub message: String,
    /// Values that belong to it, by name. Never document content, never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// When it happened.
    pub time: Timestamp,
    /// The request it answers.
    pub request_id: RequestId,
}
