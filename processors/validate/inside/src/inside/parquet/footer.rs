//! Whether lists in a footer, and groups of its schema, can be as long as they say, asked before the parser makes room for them.
//!
//! A footer is one struct in Thrift's compact protocol (Apache Thrift, "Thrift Compact protocol encoding"), in which an element takes a byte
//! or more; a file of a kilobyte can name lists of two thousand million, and columns in them. What else is wrong in it the parser says.

use parquet::errors::ParquetError;

use super::Source;

/// Magic and length at the end of a file.
const TAIL: u64 = 8;
/// Structs, lists and maps in each other: deeper than any field of the format.
const DEPTH: usize = 64;

/// Why the walk ended early.
enum Stop {
    /// A list, a map or a group is longer than what there is for it.
    Long,
    /// Something else is wrong, or unknown here.
    Other,
}

/// What a struct is.
#[derive(Clone, Copy)]
enum Of {
    Footer,
    /// One element of the schema, which has so many.
    Schema(u64),
    Other,
}

/// `FileMetaData.schema`.
const SCHEMA: i64 = 2;
/// `SchemaElement.num_children`.
const CHILDREN: i64 = 5;

/// Refuses a footer with a list that is longer than the footer, or a group of more elements than the schema has.
///
/// # Errors
/// That one.
pub(super) fn check(source: &Source) -> Result<(), ParquetError> {
    let tail = source.some(source.len().saturating_sub(TAIL), 8);
    let (Some(length), true) = (tail.first_chunk::<4>(), tail.ends_with(b"PAR1")) else {
        return Ok(());
    };
    let length = u32::from_le_bytes(*length);
    let Some(start) = source.len().checked_sub(TAIL + u64::from(length)) else {
        return Ok(());
    };
    let footer = source.some(start, length as usize);
    match (Compact { rest: &footer }).fields(Of::Footer, 0) {
        Err(Stop::Long) => Err(ParquetError::General(
            "a list or a group in the footer is longer than the footer".to_owned(),
        )),
        Ok(()) | Err(Stop::Other) => Ok(()),
    }
}

struct Compact<'a> {
    rest: &'a [u8],
}

impl Compact<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let (first, rest) = self.rest.split_first().ok_or(Stop::Other)?;
        self.rest = rest;
        Ok(*first)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Stop> {
        let bytes = usize::try_from(bytes).map_err(|_| Stop::Other)?;
        self.rest = self.rest.get(bytes..).ok_or(Stop::Other)?;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, Stop> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Stop::Other)
    }

    /// So many elements, which are not more than there are bytes.
    fn elements(&self, count: u64) -> Result<u64, Stop> {
        if count > self.rest.len() as u64 {
            return Err(Stop::Long);
        }
        Ok(count)
    }

    fn signed(&mut self) -> Result<i64, Stop> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn fields(&mut self, of: Of, depth: usize) -> Result<(), Stop> {
        let mut id = 0i64;
        loop {
            let head = self.byte()?;
            let kind = head & 15;
            if kind == 0 {
                return Ok(());
            }
            // a field that does not follow the one before closely gives its own number
            id = match head >> 4 {
                0 => self.signed()?,
                more => id.saturating_add(i64::from(more)),
            };
            match (of, id, kind) {
                // a truth value is its type
                (_, _, 1 | 2) => {}
                (Of::Footer, SCHEMA, 9 | 10) => self.list(true, depth)?,
                (Of::Schema(elements), CHILDREN, 4..=6) => {
                    if u64::try_from(self.signed()?).is_ok_and(|children| children > elements) {
                        return Err(Stop::Long);
                    }
                }
                _ => self.value(kind, Of::Other, depth)?,
            }
        }
    }

    fn list(&mut self, schema: bool, depth: usize) -> Result<(), Stop> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 {
            self.number()?
        } else {
            u64::from(head >> 4)
        };
        let of = if schema { Of::Schema(count) } else { Of::Other };
        for _ in 0..self.elements(count)? {
            self.value(head & 15, of, depth + 1)?;
        }
        Ok(())
    }

    fn value(&mut self, kind: u8, of: Of, depth: usize) -> Result<(), Stop> {
        if depth == DEPTH {
            return Err(Stop::Other);
        }
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let bytes = self.number()?;
                self.skip(bytes)
            }
            9 | 10 => self.list(false, depth),
            11 => {
                let count = self.number()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                for _ in 0..self.elements(count)? {
                    self.value(kinds >> 4, Of::Other, depth + 1)?;
                    self.value(kinds & 15, Of::Other, depth + 1)?;
                }
                Ok(())
            }
            12 => self.fields(of, depth + 1),
            13 => self.skip(16),
            _ => Err(Stop::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(footer: &[u8]) -> Source {
        let mut bytes = b"PAR1".to_vec();
        bytes.extend_from_slice(footer);
        bytes.extend_from_slice(&u32::try_from(footer.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(b"PAR1");
        Source::memory(bytes)
    }

    #[test]
    fn nothing_in_a_footer_is_longer_than_the_footer() {
        // field 1, an i32; field 2, a list of two structs, of which the first has a truth value and a text; the end
        let sound = [0x15, 0x02, 0x19, 0x2c, 0x11, 0x18, 0x01, b'a', 0x00, 0x00, 0x00];
        assert!(check(&file(&sound)).is_ok());
        // 15 says that the number follows: 2,000,000,000
        let long = [0x15, 0x02, 0x19, 0xfc, 0x80, 0xa8, 0xd6, 0xb9, 0x07, 0x00, 0x00];
        assert!(check(&file(&long)).is_err());
        // in a struct of a field that is not known
        let within = [0xfc, 0x19, 0xf3, 0x80, 0xa8, 0xd6, 0xb9, 0x07, 0x00, 0x00];
        assert!(check(&file(&within)).is_err());
        let map = [0x1b, 0x80, 0xa8, 0xd6, 0xb9, 0x07, 0x88, 0x00];
        assert!(check(&file(&map)).is_err());
        // field 2 of the footer: one element, whose field 5 says that it has 1, and that it has 1,000,000,000 children
        assert!(check(&file(&[0x29, 0x1c, 0x55, 0x02, 0x00, 0x00])).is_ok());
        assert!(check(&file(&[0x29, 0x1c, 0x55, 0x80, 0xa8, 0xd6, 0xb9, 0x07, 0x00, 0x00])).is_err());
        // field 5 of what is no element of the schema
        assert!(check(&file(&[0x39, 0x1c, 0x55, 0x80, 0xa8, 0xd6, 0xb9, 0x07, 0x00, 0x00])).is_ok());
        // for the parser to say: cut, no footer, deeper than any
        assert!(check(&file(&sound[..7])).is_ok());
        assert!(check(&Source::memory(b"PAR1".to_vec())).is_ok());
        assert!(check(&file(&[0x1c; 1_000])).is_ok());
    }
}
