//! versitygw: Amazon's records with the `s3:` prefix, but **keys plain**, ETags with quotes inside the string, never a version id, size 0 for everything
//! but a plain put, and a sequencer that counts events of the process from 1. Its `bucket.arn` contains the key and is not read.
//! An object is told apart by what HEAD says.

use cofferdam_schemas::Verb;
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
            dialect: Dialect::Versitygw,
            keys,
            size,
        },
    )
}

/// Only a plain put tells its size; 0 elsewhere means "unknown".
fn size(name: &str, verb: Verb, told: Option<u64>) -> Option<u64> {
    match (verb, name) {
        (Verb::Put, "ObjectCreated:Put") => told,
        _ => told.filter(|&size| size > 0),
    }
}
