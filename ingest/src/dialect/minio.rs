//! MinIO, and RustFS: Amazon's records below `EventName` and `Key`, keys form-encoded with `/` as `%2F`. The size is left out when it is 0. Changes of
//! tags come as `ObjectCreated:PutTagging`, and a delete marker as `DeleteMarkerCreated`, also when the marker itself is deleted.
//!
//! The top-level `Key` (`bucket/key`, plain) is not read: it says the same, for one record only.

use cofferdam_schemas::Verb;
use serde_json::{Map, Value};

use super::records::{self, Rules};
use super::{Dialect, DialectError, KeyEncoding, Notification};

pub(super) fn parse(
    body: &Map<String, Value>,
    encoding: Option<KeyEncoding>,
) -> Result<Vec<Notification>, DialectError> {
    let keys = encoding.unwrap_or(KeyEncoding::Form);
    records::parse(
        body,
        &Rules {
            dialect: Dialect::Minio,
            keys,
            size,
        },
    )
}

/// Absent means 0 where there is an object; a removal has none.
fn size(_: &str, verb: Verb, told: Option<u64>) -> Option<u64> {
    match verb {
        Verb::Del => told,
        Verb::Put | Verb::Meta | Verb::Restore => Some(told.unwrap_or(0)),
    }
}
