//! What happened to an object: the message on `EVT`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{EventId, IdError, Lane};
use crate::object::ObjectRef;
use crate::plan::Plan;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// A version was written.
    Put,
    /// A key or version was removed by its owner.
    Del,
    /// Tags or metadata changed.
    Meta,
    /// A version came back from an archive tier.
    Restore,
}

impl Verb {
    /// The token in subjects.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Put => "put",
            Verb::Del => "del",
            Verb::Meta => "meta",
            Verb::Restore => "restore",
        }
    }
    /// The CloudEvents type of an event with this verb.
    pub fn event_type(self) -> &'static str {
        match self {
            Verb::Put => "cofferdam.object.put.v1",
            Verb::Del => "cofferdam.object.del.v1",
            Verb::Meta => "cofferdam.object.meta.v1",
            Verb::Restore => "cofferdam.object.restore.v1",
        }
    }
}
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for Verb {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        [Verb::Put, Verb::Del, Verb::Meta, Verb::Restore]
            .into_iter()
            .find(|v| v.as_str() == text)
            .ok_or_else(|| IdError {
                kind: "verb",
                reason: "is put, del, meta or restore",
                text: text.chars().take(80).collect(),
            })
    }
}

/// One canonical object event. Its bytes never travel: readers fetch them from the landing store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectEvent {
    /// Derived from what happened, so that a repeated notification repeats the id.
    pub id: EventId,
    /// What happened.
    pub verb: Verb,
    /// Which queue it waits in.
    pub lane: Lane,
    /// To which version.
    pub object: ObjectRef,
    /// What has to be done before the version is done.
    pub plan: Plan,
}
