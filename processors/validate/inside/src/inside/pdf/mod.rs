//! PDF (ISO 32000-2): structure, active content, embedded files, every stream, and the text of the pages.
//!
//! Two readers are used. `lopdf` follows the cross-reference table, as a viewer does. A plain search for streams then finds what that
//! table does not mention: earlier revisions, and whatever else was put there.

mod content;
mod objects;
mod pages;
mod raw;

use lopdf::{Document, LoadOptions};

use super::limits::LimitName;
use super::place::Place;
use super::rules;
use super::source::Source;
use super::walk::Walk;

/// Bytes after `%%EOF` that writers leave: a line end.
const LINE_END: usize = 2;
/// The header has to be within so many bytes (implementation notes to ISO 32000-1, 7.5.2).
const HEADER: usize = 1_024;

/// Looks into a PDF.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) {
    let memory = if source.is_memory() { 0 } else { source.len() };
    if walk.budget.hold(memory).is_err() {
        walk.limit(LimitName::WholeBytes, place, Some(source.len()));
        // Streams need no table, so that they are still scanned.
        raw::streams(walk, source, place, &|_| false, depth);
        return;
    }
    let bytes = source.whole();
    surroundings(walk, &bytes, source, place);
    let limit = usize::try_from(walk.limits().part_bytes).unwrap_or(usize::MAX);
    let options = LoadOptions {
        max_decompressed_size: Some(limit),
        ..LoadOptions::default()
    };
    let loaded = walk.guard(place, |_| Document::load_mem_with_options(&bytes, options));
    match loaded {
        Some(Ok(document)) => {
            let known: std::collections::HashSet<usize> = document
                .objects
                .values()
                .filter_map(|object| object.as_stream().ok()?.start_position)
                .collect();
            let locked = document.is_encrypted();
            if locked {
                walk.report(&rules::ENCRYPTED, place);
            }
            let unpacked = walk.guard(place, |walk| objects::look(walk, &document, place, locked, depth));
            if !locked {
                walk.guard(place, |walk| pages::look(walk, &document, place, unpacked.unwrap_or(0)));
            }
            drop(document);
            if !locked {
                raw::streams(walk, source, place, &|at| known.contains(&at), depth);
            }
        }
        Some(Err(error)) => {
            let locked = matches!(
                error,
                lopdf::Error::Decryption(_)
                    | lopdf::Error::InvalidPassword
                    | lopdf::Error::UnsupportedSecurityHandler(_)
            );
            walk.report(if locked { &rules::ENCRYPTED } else { &rules::BROKEN }, place);
            raw::streams(walk, source, place, &|_| false, depth);
        }
        None => raw::streams(walk, source, place, &|_| false, depth),
    }
    walk.budget.release(memory);
}

/// What stands before the header and behind the end.
fn surroundings(walk: &mut Walk<'_>, bytes: &[u8], source: &Source, place: &Place) {
    let header = bytes[..bytes.len().min(HEADER)]
        .windows(5)
        .position(|five| five == b"%PDF-");
    match header {
        None => walk.report_at(&rules::BROKEN, place, 0),
        Some(0) => {}
        Some(at) => walk.report_at(&rules::LEADING, place, at as u64),
    }
    let from = bytes.len().saturating_sub(64 << 10);
    let end = bytes[from..]
        .windows(5)
        .rposition(|five| five == b"%%EOF")
        .map(|at| from + at + 5);
    let Some(end) = end else {
        return walk.report(&rules::TRUNCATED, place);
    };
    let after = &bytes[end..];
    if after.iter().any(|byte| !byte.is_ascii_whitespace() && *byte != 0) {
        walk.report_at(&rules::TRAILING, place, end as u64);
        super::zip::hidden(walk, source, place, end as u64, after.len() as u64);
    } else if after.len() > LINE_END + 1_024 {
        walk.report_at(&rules::PADDING, place, end as u64);
    }
}
