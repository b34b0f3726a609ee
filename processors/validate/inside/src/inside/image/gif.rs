//! GIF blocks (GIF89a specification, 1990).

use super::{Found, TEXT, readable};
use crate::inside::source::Source;

/// Blocks of one file.
const BLOCKS: usize = 200_000;

pub(super) fn walk(source: &Source) -> Found {
    let mut found = Found::default();
    let Some(head) = source.piece(6, 7) else { return found };
    let side = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
    (found.width, found.height) = (side(0), side(2));
    found.end = 13 + colours(head[4]);
    for _ in 0..BLOCKS {
        let Some(kind) = source.piece(found.end, 1) else {
            return found;
        };
        match kind[0] {
            0x3b => {
                found.end += 1;
                found.sound = true;
                return found;
            }
            0x21 => {
                let Some(label) = source.piece(found.end + 1, 1) else {
                    return found;
                };
                let mut text = (label[0] == 0xfe).then(Vec::new);
                let at = found.end + 2;
                let Some(end) = blocks(source, at, text.as_mut()) else {
                    return found;
                };
                if let Some(bytes) = text {
                    found.text(at, || Some(readable(&bytes)));
                }
                found.end = end;
            }
            0x2c => {
                let Some(image) = source.piece(found.end + 1, 9) else {
                    return found;
                };
                let Some(end) = blocks(source, found.end + 10 + colours(image[8]) + 1, None) else {
                    return found;
                };
                found.end = end;
            }
            _ => return found,
        }
    }
    found
}

/// Bytes of a table of colours.
fn colours(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Goes over sub-blocks; the place after them.
fn blocks(source: &Source, mut at: u64, mut text: Option<&mut Vec<u8>>) -> Option<u64> {
    loop {
        let length = source.piece(at, 1)?[0];
        at += 1;
        if length == 0 {
            return Some(at);
        }
        if let Some(text) = &mut text
            && (text.len() as u64) < TEXT
        {
            text.extend(source.piece(at, length.into())?);
        }
        at += u64::from(length);
        if at > source.len() {
            return None;
        }
    }
}
