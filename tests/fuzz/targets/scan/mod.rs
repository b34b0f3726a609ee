//! The engines that read text. Each target's first bytes choose settings; the rest is the document.

mod injection;
mod json;
mod packs;
mod phi;
mod reading;
mod report;
mod schema;
mod secrets;
mod tables;
mod text;

pub use injection::{injection, poison};
pub use json::{geojson, json, json_lines};
pub use packs::{injection_pack, phi_pack, secrets_pack, weights};
pub use phi::phi;
pub use reading::reading;
pub use schema::{document_schema, expressions, table_contract};
pub use secrets::secrets;
pub use tables::csv;
pub use text::text;

use cofferdam_scan::hit::Hit;

/// What holds of every hit.
fn hit(hit: &Hit, text: &str) {
    let span = &hit.span;
    assert!(
        span.start <= span.end && span.end <= text.len(),
        "{} at {span:?} of {}",
        hit.rule,
        text.len()
    );
    let whole = text.is_char_boundary(span.start) && text.is_char_boundary(span.end);
    assert!(whole, "{} at {span:?} cuts a character", hit.rule);
    assert!((0.0..=1.0).contains(&hit.confidence), "{} {}", hit.rule, hit.confidence);
    assert!(hit.rule.contains('/') && hit.rule.chars().count() <= 80);
    assert!(!hit.message.is_empty());
}

/// Bytes that choose, and the rest.
fn chosen<const N: usize>(data: &[u8]) -> Option<([u8; N], &[u8])> {
    data.split_first_chunk().map(|(chosen, rest)| (*chosen, rest))
}
