//! JPEG segments (ITU-T T.81, annex B) and the metadata in them (Exif 3.0; XMP part 3).

use std::io::{BufRead, BufReader};

use super::{Found, TEXT, exif, readable};
use crate::inside::source::Source;

/// Segments of one file.
const SEGMENTS: usize = 100_000;

pub(super) fn walk(source: &Source) -> Found {
    let mut found = Found {
        end: 2,
        ..Found::default()
    };
    for _ in 0..SEGMENTS {
        let Some(head) = source.piece(found.end, 2) else {
            return found;
        };
        if head[0] != 0xff {
            return found;
        }
        let marker = head[1];
        match marker {
            // Fill.
            0xff => found.end += 1,
            0xd9 => {
                found.end += 2;
                found.sound = true;
                return found;
            }
            0x01 | 0xd0..=0xd8 => found.end += 2,
            _ => {
                let Some(size) = source.piece(found.end + 2, 2) else {
                    return found;
                };
                let length = u64::from(u16::from_be_bytes([size[0], size[1]]));
                if length < 2 || found.end + 2 + length > source.len() {
                    return found;
                }
                segment(source, marker, found.end + 4, length - 2, &mut found);
                found.end += 2 + length;
                if marker == 0xda {
                    found.end = scan(source, found.end);
                }
            }
        }
    }
    found
}

fn segment(source: &Source, marker: u8, at: u64, length: u64, found: &mut Found) {
    let read = || source.some(at, length.min(TEXT) as usize);
    match marker {
        0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
            let body = read();
            let side = |at: usize| {
                body.get(at..at + 2)
                    .map_or(0, |two| u64::from(u16::from_be_bytes([two[0], two[1]])))
            };
            (found.height, found.width) = (side(1), side(3));
        }
        0xe1 => {
            let body = read();
            if body.starts_with(b"Exif\0\0") {
                exif::within(&source.window(at + 6, length - 6), found);
            } else if let Some(end) = body.iter().position(|byte| *byte == 0) {
                let text = readable(&body[end + 1..]);
                found.gps |= text.contains("exif:GPSLatitude");
                found.text(at, || Some(text));
            }
        }
        0xed => found.text(at, || {
            Some(readable(&read()).replace(|letter: char| letter.is_control(), " "))
        }),
        0xfe => found.text(at, || Some(readable(&read()))),
        _ => {}
    }
}

/// Where the packed pixels end: at the next marker that is not part of them.
fn scan(source: &Source, from: u64) -> u64 {
    let mut reader = BufReader::with_capacity(64 << 10, source.window(from, u64::MAX));
    let mut at = from;
    let mut escaped = false;
    loop {
        let Ok(bytes) = reader.fill_buf() else { return at };
        if bytes.is_empty() {
            return source.len();
        }
        let count = bytes.len();
        for (index, byte) in bytes.iter().enumerate() {
            if escaped && !matches!(byte, 0 | 0xff | 0xd0..=0xd7) {
                return at + index as u64 - 1;
            }
            escaped = *byte == 0xff;
        }
        at += count as u64;
        reader.consume(count);
    }
}
