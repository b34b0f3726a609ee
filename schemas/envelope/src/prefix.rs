//! The first 20 bytes: magic, version, and the three lengths that find every other part.

use crate::core::{CORE_FIXED_LEN, CORE_MAX_LEN};
use crate::error::EnvelopeError;
use crate::read::{Reader, bounded};
use crate::recipients::{RECIPIENTS_MAX_LEN, RECIPIENTS_MIN_LEN};
use crate::signature::{SIGNATURE_BLOCK_FIXED_LEN, SIGNATURE_BLOCK_MAX_LEN};

/// Length of the prefix in bytes.
pub const PREFIX_LEN: usize = 20;
/// What every sealed object begins with.
pub const MAGIC_NAME: [u8; 6] = *b"SEALED";
/// The major version this crate reads and writes.
pub const MAJOR_VERSION: u16 = 1;
/// Name and major version: the first eight bytes, which also enter every hash that binds the header.
pub const MAGIC: [u8; 8] = *b"SEALED\x00\x01";

/// The prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Length of the core in bytes, 62 to 65,536.
    pub core_len: u32,
    /// Length of the recipients block with its MAC in bytes, at most 1 MiB.
    pub recipients_len: u32,
    /// Length of the signature block in bytes, at most 65,536; 0 if the signature is detached.
    pub signature_len: u32,
}

impl Prefix {
    /// Reads the prefix from the beginning of an object; more bytes may follow.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let mut reader = Reader::new("prefix", bytes);
        // Checked as far as it goes, so that "not a sealed object" is said before "too short".
        if !MAGIC_NAME.starts_with(&bytes[..bytes.len().min(MAGIC_NAME.len())]) {
            return Err(EnvelopeError::Magic);
        }
        reader.take(MAGIC_NAME.len())?;
        match reader.u16()? {
            MAJOR_VERSION => {}
            other => return Err(EnvelopeError::Version(other)),
        }
        let prefix = Self {
            core_len: reader.u32()?,
            recipients_len: reader.u32()?,
            signature_len: reader.u32()?,
        };
        prefix.check()?;
        Ok(prefix)
    }

    fn check(&self) -> Result<(), EnvelopeError> {
        bounded("core", self.core_len.into(), CORE_FIXED_LEN as u64, CORE_MAX_LEN as u64)?;
        bounded(
            "recipients",
            self.recipients_len.into(),
            RECIPIENTS_MIN_LEN as u64,
            RECIPIENTS_MAX_LEN as u64,
        )?;
        if self.signature_len != 0 {
            let (least, most) = (SIGNATURE_BLOCK_FIXED_LEN as u64, SIGNATURE_BLOCK_MAX_LEN as u64);
            bounded("signature block", self.signature_len.into(), least, most)?;
        }
        Ok(())
    }

    /// The prefix as bytes. Fails if a length is out of bounds.
    pub fn to_bytes(&self) -> Result<[u8; PREFIX_LEN], EnvelopeError> {
        self.check()?;
        let mut out = [0; PREFIX_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.core_len.to_be_bytes());
        out[12..16].copy_from_slice(&self.recipients_len.to_be_bytes());
        out[16..20].copy_from_slice(&self.signature_len.to_be_bytes());
        Ok(out)
    }

    /// Where the payload begins, in bytes from the beginning of the object. At most [`HEAD_MAX_LEN`](crate::HEAD_MAX_LEN).
    pub fn payload_offset(&self) -> usize {
        // Within bounds by construction; saturating keeps a hand-made value from wrapping on 32 bits.
        PREFIX_LEN
            .saturating_add(self.core_len as usize)
            .saturating_add(self.recipients_len as usize)
            .saturating_add(self.signature_len as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(core: u32, recipients: u32, signature: u32) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for len in [core, recipients, signature] {
            out.extend_from_slice(&len.to_be_bytes());
        }
        out
    }

    #[test]
    fn round_trip() {
        let prefix = Prefix {
            core_len: 62,
            recipients_len: 2417,
            signature_len: 3432,
        };
        assert_eq!(Prefix::parse(&prefix.to_bytes().unwrap()), Ok(prefix));
        assert_eq!(prefix.payload_offset(), 20 + 62 + 2417 + 3432);
    }

    #[test]
    fn lengths_have_limits() {
        let check = |core, recipients, signature, part: &str| match Prefix::parse(&bytes(core, recipients, signature)) {
            Err(EnvelopeError::Length { part: found, .. }) => assert_eq!(found, part),
            other => panic!("{other:?}"),
        };
        check(61, 2417, 0, "core");
        check(65_537, 2417, 0, "core");
        check(u32::MAX, u32::MAX, u32::MAX, "core");
        check(62, (1 << 20) + 1, 0, "recipients");
        check(62, 0, 0, "recipients");
        check(62, u32::MAX, 0, "recipients");
        check(62, 2417, 65_537, "signature block");
        check(62, 2417, 1, "signature block");
    }

    #[test]
    fn other_files_are_not_sealed_objects() {
        assert_eq!(Prefix::parse(b"%PDF-1.7 and so on and on"), Err(EnvelopeError::Magic));
        assert_eq!(Prefix::parse(b"x"), Err(EnvelopeError::Magic));
        assert_eq!(
            Prefix::parse(b"SEALED\x00\x02 and so on and on"),
            Err(EnvelopeError::Version(2))
        );
        assert!(matches!(Prefix::parse(b""), Err(EnvelopeError::Truncated { .. })));
        assert!(matches!(
            Prefix::parse(&bytes(62, 2417, 0)[..19]),
            Err(EnvelopeError::Truncated { has: 19, needs: 20, .. })
        ));
    }
}
