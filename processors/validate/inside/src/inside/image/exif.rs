//! TIFF directories, of which Exif is made (TIFF 6.0, 2; Exif 3.0, 4.6).

use super::{FIELDS, Found, readable};
use crate::inside::limits::LimitName;
use crate::inside::source::Source;

/// Longest text of one field.
const FIELD: u32 = 64 << 10;

struct Reader<'a> {
    source: &'a Source,
    little: bool,
}

impl Reader<'_> {
    fn u16(&self, at: u64) -> Option<u16> {
        let bytes = self.source.piece(at, 2)?;
        let two = [bytes[0], bytes[1]];
        Some(if self.little {
            u16::from_le_bytes(two)
        } else {
            u16::from_be_bytes(two)
        })
    }

    fn u32(&self, at: u64) -> Option<u32> {
        let bytes = self.source.piece(at, 4)?;
        let four = [bytes[0], bytes[1], bytes[2], bytes[3]];
        Some(if self.little {
            u32::from_le_bytes(four)
        } else {
            u32::from_be_bytes(four)
        })
    }
}

/// Looks at the Exif data of a picture. Its texts are left to who looks at the picture itself.
pub(super) fn within(source: &Source, picture: &mut Found) {
    let used = picture.fields;
    let found = walk(source, used);
    picture.gps |= found.gps;
    picture.cut = picture.cut.or(found.cut);
    picture.fields = found.fields;
}

/// A TIFF file.
pub(super) fn document(source: &Source) -> Found {
    walk(source, 0)
}

/// Walks all directories. `used` fields were read before.
fn walk(source: &Source, used: usize) -> Found {
    let mut found = Found {
        fields: used,
        ..Found::default()
    };
    let Some(order) = source.piece(0, 2) else { return found };
    let reader = Reader {
        source,
        little: order == b"II",
    };
    let Some(first) = reader.u32(4) else { return found };
    let mut stack = vec![(u64::from(first), false)];
    let mut seen = std::collections::HashSet::new();
    found.sound = true;
    found.end = source.len();
    while let Some((at, gps)) = stack.pop() {
        if at == 0 || !seen.insert(at) {
            continue;
        }
        found.fields += 1;
        let Some(count) = reader.u16(at) else {
            found.sound = false;
            continue;
        };
        // An empty directory of places says nothing.
        found.gps |= gps && count > 1;
        for entry in 0..u64::from(count) {
            // Directories may lie over each other, and so be more than the file.
            found.fields += 1;
            if found.fields > FIELDS {
                found.cut = Some(LimitName::Entries);
                return found;
            }
            let field = at + 2 + entry * 12;
            let (Some(tag), Some(kind), Some(length), Some(value)) = (
                reader.u16(field),
                reader.u16(field + 2),
                reader.u32(field + 4),
                reader.u32(field + 8),
            ) else {
                found.sound = false;
                break;
            };
            // A short number stands at the beginning of its four bytes.
            let number = if kind == 3 {
                reader.u16(field + 8).map_or(0, u64::from)
            } else {
                value.into()
            };
            match tag {
                0x0100 if found.width == 0 => found.width = number,
                0x0101 if found.height == 0 => found.height = number,
                0x8769 => stack.push((value.into(), false)),
                0x8825 => stack.push((value.into(), true)),
                0x010e | 0x013b | 0x8298 | 0x9286 if length > 4 => {
                    found.text(value.into(), || {
                        let text = source.some(value.into(), length.min(FIELD) as usize);
                        Some(readable(&text).replace('\0', " "))
                    });
                }
                _ => {}
            }
        }
        if let Some(next) = reader.u32(at + 2 + u64::from(count) * 12)
            && !gps
        {
            stack.push((next.into(), false));
        }
    }
    found
}
