//! PNG chunks (W3C PNG, third edition, 5 and 11).

use std::io::Read;

use super::{Found, TEXT, exif, readable};
use crate::inside::source::Source;

pub(super) fn walk(source: &Source) -> Found {
    let mut found = Found {
        end: 8,
        ..Found::default()
    };
    let mut piece = vec![0; 64 << 10];
    while let Some(head) = source.piece(found.end, 8) {
        let length = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let kind = [head[4], head[5], head[6], head[7]];
        let body = found.end + 8;
        let Some(stored) = source.piece(body + length, 4) else {
            return found;
        };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&kind);
        let mut at = 0;
        while at < length {
            let room = (length - at).min(piece.len() as u64) as usize;
            let Ok(count @ 1..) = source.read_at(body + at, &mut piece[..room]) else {
                return found;
            };
            crc.update(&piece[..count]);
            at += count as u64;
        }
        found.checksum |= crc.finalize().to_be_bytes() != stored[..];
        let read = || source.some(body, length.min(TEXT) as usize);
        match &kind {
            b"IHDR" if length == 13 => {
                let sides = read();
                let side = |at: usize| {
                    sides.get(at..at + 4).map_or(0, |four| {
                        u64::from(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
                    })
                };
                (found.width, found.height) = (side(0), side(4));
            }
            b"tEXt" => found.text(body, || Some(readable(&read()).replace('\0', ": "))),
            b"iTXt" => found.text(body, || international(&read())),
            b"zTXt" => found.text(body, || packed(&read())),
            b"eXIf" => exif::within(&source.window(body, length), &mut found),
            b"IEND" => {
                found.end = body + length + 4;
                found.sound = true;
                return found;
            }
            _ => {}
        }
        found.end = body + length + 4;
    }
    found
}

fn inflate(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::new();
    // What is cut or broken still counts as far as it goes.
    let _ = flate2::read::ZlibDecoder::new(bytes).take(TEXT).read_to_end(&mut out);
    (!out.is_empty()).then(|| readable(&out))
}

/// Keyword, method, packed text.
fn packed(body: &[u8]) -> Option<String> {
    let end = body.iter().position(|byte| *byte == 0)?;
    inflate(body.get(end + 2..)?)
}

/// Keyword, whether packed, method, language, translated keyword, text.
fn international(body: &[u8]) -> Option<String> {
    let end = body.iter().position(|byte| *byte == 0)?;
    let is_packed = *body.get(end + 1)? == 1;
    let mut rest = body.get(end + 3..)?;
    for _ in 0..2 {
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest = &rest[end + 1..];
    }
    if is_packed { inflate(rest) } else { Some(readable(rest)) }
}
