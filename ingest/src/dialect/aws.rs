//! Amazon S3's own records, as they lie in SQS: keys form-encoded, no `s3:` prefix, ETag bare. A removal may carry no size and no ETag.
//! moto speaks the same, without sequencer and version id, and announces a completed multipart upload twice.

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
            dialect: Dialect::Aws,
            keys,
            size: |_, _, told| told,
        },
    )
}
