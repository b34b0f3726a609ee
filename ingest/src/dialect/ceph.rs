//! Ceph RGW: Amazon's records with `eventSource` `ceph:s3`, sizes that may be strings, and keys plain (clients report raw `/` in them; a gateway that
//! encodes can be read with the source's `key_encoding`). Its additions (`eventId`, `opaqueData`, `metadata`, `tags`) are not read.

use serde_json::{Map, Value};

use super::records::{self, Rules};
use super::{Dialect, DialectError, KeyEncoding, Notification};

pub(super) fn parse(
    body: &Map<String, Value>,
    encoding: Option<KeyEncoding>,
) -> Result<Vec<Notification>, DialectError> {
    let keys = encoding.unwrap_or(KeyEncoding::Plain);
    records::parse(
        body,
        &Rules {
            dialect: Dialect::Ceph,
            keys,
            size: |_, _, told| told,
        },
    )
}
