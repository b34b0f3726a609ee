//! Notifications of foreign stores: the first byte picks dialect and encoding, the rest is the body. An answer is no larger than its body allows.

use cofferdam_ingest::dialect::{Dialect, KeyEncoding, MAX_RECORDS, parse_with};

pub fn run(data: &[u8]) {
    let Some((pick, body)) = data.split_first() else { return };
    let pick = usize::from(*pick);
    let dialect = Dialect::ALL[pick % Dialect::ALL.len()];
    let encodings = [None, Some(KeyEncoding::Form), Some(KeyEncoding::Plain)];
    match parse_with(dialect, encodings[pick / Dialect::ALL.len() % encodings.len()], body) {
        Ok(read) => assert!(!read.is_empty() && read.len() <= MAX_RECORDS),
        // It may be quoted in a log line, so it stays short.
        Err(fault) => assert!(fault.to_string().len() < 800),
    }
}
