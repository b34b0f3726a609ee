//! Which processors an object version needs before it is done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ProcessorName, hash_fields};

/// Fixed by the normaliser when the object is accepted, carried by the event and repeated in every result. A processor that is
/// added later therefore never changes an object in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The processors whose result is required, sorted, without repeats.
    pub required: Vec<ProcessorName>,
    /// The version of the policy that made this plan.
    pub policy: String,
}

impl Plan {
    /// A plan over a set of processors.
    pub fn new(required: impl IntoIterator<Item = ProcessorName>, policy: impl Into<String>) -> Self {
        let mut required: Vec<_> = required.into_iter().collect();
        required.sort();
        required.dedup();
        Self {
            required,
            policy: policy.into(),
        }
    }
    /// 16 hex digits that change when the plan does.
    pub fn hash(&self) -> String {
        let mut fields = vec![self.policy.as_bytes()];
        fields.extend(self.required.iter().map(|name| name.as_str().as_bytes()));
        hex::encode(&hash_fields(&fields)[..8])
    }
}
