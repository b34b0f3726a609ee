//! Commands: what a user asks for on `cmd.<verb>`, what is answered at once, and what comes of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::WireError;
use crate::ids::{BucketName, CommandId, ObjectId, ObjectKey, ProcessorName, TenantName};
use crate::result::Outcome;
use crate::timestamp::Timestamp;

/// Names one object of the tenant: by id, or by key (the newest finished version, in any landing bucket unless one is named).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// The object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// The key as it was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// The landing bucket, with `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketName>,
}

/// The body of `cmd.retrieve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrieveRequest {
    /// The client's own id for this command: sent twice, it is done once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// Which object.
    pub select: Selector,
    /// First byte wanted; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Byte after the last wanted; the end when absent or behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Seconds until the link and the outbox object expire: 60 to 604,800; 900 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u32>,
}

/// The body of `cmd.delete`: removes the sealed copy, and the landing and outbox copies with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// The client's own id for this command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// Which object.
    pub select: Selector,
}

/// The body of `cmd.release`: a quarantined object may be given out after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The client's own id for this command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// Which object.
    pub select: Selector,
    /// Why: 1 to 500 characters, kept with the object.
    pub reason: String,
}

/// The body of `cmd.destroy`: removes a quarantined object as `cmd.delete` does, and keeps the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestroyRequest {
    /// The client's own id for this command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// Which object.
    pub select: Selector,
    /// Why: 1 to 500 characters, kept with the object.
    pub reason: String,
}

/// A command on `CMD`, after the gateway has checked and accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// Unique within the tenant.
    pub id: CommandId,
    /// The tenant, from the subject the broker inserted it in, never from the body.
    pub tenant: TenantName,
    /// The verb, which is also the name of the service that answers it.
    pub verb: ProcessorName,
    /// The verb's own body.
    pub body: serde_json::Value,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

impl Command {
    /// The CloudEvents type.
    pub const TYPE: &'static str = "cofferdam.command.v1";
}

/// The immediate answer: the command is durable and will be worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Always true.
    pub accepted: bool,
    /// The command's id; its result event carries it.
    pub id: CommandId,
}

/// What a command did, by verb.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandOutcome {
    /// The object it concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// What the verb gives back, for example `url`, `expires_at`, `size`, `sha256` for `retrieve`.
    pub values: BTreeMap<String, serde_json::Value>,
}

/// The result of a command: on `RES` as `res.v1.<tenant>.<verb>.<outcome>.<pp>` and on `live.<verb>.<outcome>.<pp>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandResult {
    /// The command.
    pub id: CommandId,
    /// The tenant.
    pub tenant: TenantName,
    /// The verb.
    pub verb: ProcessorName,
    /// How it ended.
    pub outcome: Outcome,
    /// What it gave, when `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CommandOutcome>,
    /// Why not, when `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WireError>,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl CommandResult {
    /// The CloudEvents type.
    pub const TYPE: &'static str = "cofferdam.command.result.v1";
}
