//! WebP chunks (Google, WebP Container Specification).

use super::{Found, TEXT, exif, readable};
use crate::inside::source::Source;

/// Chunks of one file.
const CHUNKS: usize = 100_000;

pub(super) fn walk(source: &Source) -> Found {
    let mut found = Found::default();
    let Some(head) = source.piece(0, 12) else { return found };
    let end = 8 + u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    found.end = 12;
    if end > source.len() {
        return found;
    }
    for _ in 0..CHUNKS {
        if found.end >= end {
            found.end = end;
            found.sound = true;
            return found;
        }
        let Some(chunk) = source.piece(found.end, 8) else {
            return found;
        };
        let length = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
        let at = found.end + 8;
        if at + length > source.len() {
            return found;
        }
        let body = || source.some(at, length.min(TEXT) as usize);
        let three = |bytes: &[u8], at: usize| {
            bytes.get(at..at + 3).map_or(0, |bytes| {
                u64::from(bytes[0]) | u64::from(bytes[1]) << 8 | u64::from(bytes[2]) << 16
            })
        };
        let two = |bytes: &[u8], at: usize| {
            bytes
                .get(at..at + 2)
                .map_or(0, |bytes| u64::from(bytes[0]) | u64::from(bytes[1]) << 8)
        };
        match &chunk[..4] {
            b"VP8X" => {
                let body = body();
                (found.width, found.height) = (three(&body, 4) + 1, three(&body, 7) + 1);
            }
            b"VP8 " if found.width == 0 => {
                let body = source.some(at, 10);
                (found.width, found.height) = (two(&body, 6) & 0x3fff, two(&body, 8) & 0x3fff);
            }
            b"VP8L" if found.width == 0 => {
                let body = source.some(at, 5);
                let bits = two(&body, 1) | two(&body, 3) << 16;
                (found.width, found.height) = ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
            }
            b"EXIF" => {
                let skip = if source.some(at, 6) == b"Exif\0\0" { 6 } else { 0 };
                exif::within(&source.window(at + skip, length.saturating_sub(skip)), &mut found);
            }
            b"XMP " => {
                let text = readable(&body());
                found.gps |= text.contains("exif:GPSLatitude");
                found.text(at, || Some(text));
            }
            _ => {}
        }
        found.end = at + length + (length & 1);
    }
    found
}
