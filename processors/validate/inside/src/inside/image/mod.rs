//! Pictures: their headers, the walk over their parts, what is said in them and what stands behind them. No pixel is decoded.

mod exif;
mod gif;
mod jpeg;
mod png;
mod riff;

use super::kind::Kind;
use super::limits::LimitName;
use super::place::Place;
use super::rules;
use super::source::Source;
use super::walk::Walk;

/// Longest text of one part.
const TEXT: u64 = 1 << 20;
/// Bytes of all texts of a picture that are kept.
const TEXTS: usize = 4 << 20;
/// Fields and directories of a picture's metadata that are read.
const FIELDS: usize = 100_000;

/// What the walk over the parts found.
#[derive(Default)]
struct Found {
    width: u64,
    height: u64,
    /// Byte after the last part.
    end: u64,
    /// Whether the parts ended as they should.
    sound: bool,
    checksum: bool,
    gps: bool,
    texts: Vec<(u64, String)>,
    /// Bytes of `texts`.
    kept: usize,
    /// Fields and directories of metadata that were read.
    fields: usize,
    /// A bound that was reached.
    cut: Option<LimitName>,
}

impl Found {
    /// Keeps the text of the part at `at`, unless there is too much of it already.
    fn text(&mut self, at: u64, text: impl FnOnce() -> Option<String>) {
        if self.kept > TEXTS {
            self.cut = Some(LimitName::TextBytes);
        } else if let Some(text) = text() {
            self.kept += text.len();
            self.texts.push((at, text));
        }
    }
}

/// Looks at a picture.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, kind: Kind, place: &Place, depth: u32) {
    let found = match kind {
        Kind::Png => png::walk(source),
        Kind::Jpeg => jpeg::walk(source),
        Kind::Gif => gif::walk(source),
        Kind::Webp => riff::walk(source),
        Kind::Tiff => exif::document(source),
        _ => bitmap(source),
    };
    let _ = depth;
    if !found.sound {
        // A part that says it is longer than the file ends beyond it.
        walk.report_at(&rules::TRUNCATED, place, found.end.min(source.len()));
    }
    if found.checksum {
        walk.report(&rules::CHECKSUM, place);
    }
    if found.width.saturating_mul(found.height) > walk.limits().pixels {
        walk.report(&rules::BOMB, place);
        walk.limit(LimitName::Pixels, place, None);
    }
    if found.sound && (found.width == 0 || found.height == 0) && kind != Kind::Tiff {
        walk.report(&rules::BROKEN, place);
    }
    if found.gps {
        walk.report(&rules::GPS, place);
    }
    if let Some(name) = found.cut {
        walk.limit(name, place, None);
    }
    for (at, text) in &found.texts {
        walk.text(&place.child(&format!("text at {at}")), text);
    }
    let after = source.len().saturating_sub(found.end);
    if found.sound && after > 0 && kind != Kind::Tiff {
        let tail = source.some(found.end, 64 << 10);
        let blank = tail.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace());
        walk.report_at(if blank { &rules::PADDING } else { &rules::TRAILING }, place, found.end);
        if !blank {
            super::zip::hidden(walk, source, place, found.end, after);
        }
    }
}

fn bitmap(source: &Source) -> Found {
    let Some(head) = source.piece(0, 26) else {
        return Found::default();
    };
    let side =
        |at: usize| u64::from(i32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]).unsigned_abs());
    let size = u64::from(u32::from_le_bytes([head[2], head[3], head[4], head[5]]));
    // Writers leave the size zero or wrong; a file shorter than it is cut.
    let end = if size == 0 { source.len() } else { size };
    Found {
        width: side(18),
        height: side(22),
        end: end.min(source.len()),
        sound: end <= source.len(),
        ..Found::default()
    }
}

/// Latin-1 or UTF-8.
fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
