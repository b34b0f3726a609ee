//! Where a statement stands in the tree over which a batch was signed: algorithm 0x03.

use crate::error::EnvelopeError;
use crate::read::{Reader, bounded};

/// The most statements that are signed together.
pub const BATCH_MAX: u16 = 256;
/// The longest path: a tree of 256 leaves has eight levels above them.
pub const PATH_MAX: usize = 8;
/// Length of a hash in the tree in bytes.
pub const NODE_LEN: usize = 32;

/// A leaf's place in a Merkle tree (RFC 9162, 2.1), and the hashes that lead from it to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Number of leaves: 1 to 256.
    pub size: u16,
    /// This leaf's, counted from 0: less than `size`.
    pub index: u16,
    /// The siblings from the leaf upwards: exactly [`Inclusion::path_len`] of them.
    pub path: Vec<[u8; NODE_LEN]>,
}

impl Inclusion {
    /// How many hashes lead from a leaf to the root: 0 to 8. `index` and `size` fix it, so that a path has no length of its own that could lie.
    pub fn path_len(index: u16, size: u16) -> usize {
        let (mut index, mut size, mut len) = (u32::from(index), u32::from(size), 0);
        while size > 1 && index < size {
            // The left subtree has the largest power of two that is smaller than the size.
            let left = 1 << (31 - (size - 1).leading_zeros());
            (index, size) = if index < left {
                (index, left)
            } else {
                (index - left, size - left)
            };
            len += 1;
        }
        len
    }

    /// Length of the encoding in bytes.
    pub fn encoded_len(&self) -> usize {
        4 + NODE_LEN * self.path.len()
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, EnvelopeError> {
        let (size, index) = (reader.u16()?, reader.u16()?);
        check(size, index)?;
        let path = (0..Self::path_len(index, size))
            .map(|_| reader.array())
            .collect::<Result<_, _>>()?;
        Ok(Self { size, index, path })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        check(self.size, self.index)?;
        let expected = Self::path_len(self.index, self.size);
        if self.path.len() != expected {
            let found = self.path.len();
            return Err(EnvelopeError::PathLength { found, expected });
        }
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend(self.path.iter().flatten());
        Ok(())
    }
}

fn check(size: u16, index: u16) -> Result<(), EnvelopeError> {
    bounded("batch", u64::from(size), 1, u64::from(BATCH_MAX))?;
    bounded("leaf index", u64::from(index), 0, u64::from(size) - 1).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PATH(m, D[n]) as RFC 9162 (2.1.3.1) writes it.
    fn by_the_rfc(index: u16, size: u16) -> usize {
        if size == 1 {
            return 0;
        }
        let left = (1..size).rev().find(|k| k.is_power_of_two()).unwrap();
        1 + if index < left {
            by_the_rfc(index, left)
        } else {
            by_the_rfc(index - left, size - left)
        }
    }

    #[test]
    fn path_lengths_are_those_of_the_rfc() {
        for size in 1..=BATCH_MAX {
            for index in 0..size {
                let len = Inclusion::path_len(index, size);
                assert_eq!(len, by_the_rfc(index, size), "{index} of {size}");
                assert!(len <= PATH_MAX);
            }
        }
        // Nonsense ends, too.
        assert_eq!(Inclusion::path_len(u16::MAX, u16::MAX), 0);
        assert_eq!(Inclusion::path_len(0, 0), 0);
    }

    #[test]
    fn refuses_what_no_tree_has() {
        let read = |bytes: &[u8]| Inclusion::read(&mut Reader::new("signature block", bytes));
        for (size, index) in [(0u16, 0u16), (257, 0), (u16::MAX, 0), (1, 1), (5, 5), (256, 256)] {
            let bytes = [&size.to_be_bytes()[..], &index.to_be_bytes(), &[0; 1024]].concat();
            assert!(
                matches!(read(&bytes), Err(EnvelopeError::Length { .. })),
                "{index} of {size}"
            );
        }
        assert!(matches!(read(&[0, 3, 0, 1, 9]), Err(EnvelopeError::Truncated { .. })));
        let one = Inclusion {
            size: 1,
            index: 0,
            path: vec![],
        };
        assert_eq!(read(&[0, 1, 0, 0]), Ok(one.clone()));
        let mut out = Vec::new();
        let longer = Inclusion {
            path: vec![[0; 32]],
            ..one
        };
        assert_eq!(
            longer.write(&mut out),
            Err(EnvelopeError::PathLength { found: 1, expected: 0 })
        );
    }
}
