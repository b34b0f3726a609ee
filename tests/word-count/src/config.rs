//! What the operator writes under `[processors.word-count]`.

use cofferdam_processor::{ConfigErrors, ConfigProblem};
use serde::Deserialize;

/// The table as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Larger documents are refused. 1 GiB unless set.
    pub max_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_bytes: 1 << 30 }
    }
}

/// A configuration that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) max_bytes: u64,
}

impl Config {
    pub(crate) fn plan(self) -> Result<Plan, ConfigErrors> {
        if self.max_bytes == 0 {
            let key = "processors.word-count.max_bytes".to_owned();
            return Err(ConfigErrors(vec![ConfigProblem {
                key,
                message: "is 0; give at least 1".to_owned(),
            }]));
        }
        Ok(Plan {
            max_bytes: self.max_bytes,
        })
    }
}
