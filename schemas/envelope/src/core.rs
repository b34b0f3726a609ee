//! The core: what is fixed before the first byte is sealed, and what everything else is bound to.

use crate::error::EnvelopeError;
use crate::extension::{self, Extension, ExtensionKind};
use crate::read::{Reader, bounded, len_u16};
use crate::registry::Suite;

/// Length of the core without extensions, in bytes.
pub const CORE_FIXED_LEN: usize = 62;
/// The longest core, in bytes.
pub const CORE_MAX_LEN: usize = 65_536;
/// How much of the core the private metadata is bound to: all fields before the extensions' length.
pub(crate) const CORE_BOUND_LEN: usize = 60;

/// Flags of the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Bit 0: the signature block is not in the object but beside it.
    pub detached: bool,
    /// Bit 1: the data key also needs an erase token that lives elsewhere.
    pub erasable: bool,
}

impl Flags {
    fn from_bits(bits: u16) -> Result<Self, EnvelopeError> {
        if bits & !0b11 != 0 {
            return Err(EnvelopeError::UnknownFlags(bits));
        }
        Ok(Self {
            detached: bits & 0b01 != 0,
            erasable: bits & 0b10 != 0,
        })
    }

    /// The flags as written.
    pub fn bits(self) -> u16 {
        u16::from(self.detached) | u16::from(self.erasable) << 1
    }
}

/// The core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// Suite: payload, hashes, labels.
    pub suite: Suite,
    /// Flags.
    pub flags: Flags,
    /// Object id, a UUID of version 7. The format takes it as 16 opaque bytes.
    pub object: [u8; 16],
    /// Tenant id, see [`crate::label::tenant_input`].
    pub tenant: [u8; 16],
    /// When it was sealed, in Unix milliseconds.
    pub sealed_at: u64,
    /// Key id of the signer.
    pub signer: [u8; 16],
    /// Extensions, by strictly ascending type.
    pub extensions: Vec<Extension>,
}

impl Core {
    /// Reads a core; `bytes` is exactly the core.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        bounded("core", bytes.len() as u64, CORE_FIXED_LEN as u64, CORE_MAX_LEN as u64)?;
        let mut reader = Reader::new("core", bytes);
        let suite = Suite::from_id(reader.u16()?)?;
        let flags = Flags::from_bits(reader.u16()?)?;
        let object = reader.array()?;
        let tenant = reader.array()?;
        let sealed_at = reader.u64()?;
        let signer = reader.array()?;
        let ext_len = reader.u16()?;
        let extensions = extension::parse(reader.take(ext_len.into())?)?;
        reader.end()?;
        let core = Self {
            suite,
            flags,
            object,
            tenant,
            sealed_at,
            signer,
            extensions,
        };
        core.check_flags()?;
        Ok(core)
    }

    fn check_flags(&self) -> Result<(), EnvelopeError> {
        if self.flags.erasable != self.extension(ExtensionKind::EraseTokenId).is_some() {
            return Err(EnvelopeError::FlagMismatch(
                "erasable, and the erase token id go together",
            ));
        }
        Ok(())
    }

    /// The core as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        self.check_flags()?;
        let mut extensions = Vec::new();
        extension::write(&self.extensions, &mut extensions)?;
        let mut out = Vec::with_capacity(CORE_FIXED_LEN + extensions.len());
        out.extend_from_slice(&self.bound_bytes());
        out.extend_from_slice(&len_u16("extensions", extensions.len())?.to_be_bytes());
        out.extend_from_slice(&extensions);
        bounded("core", out.len() as u64, CORE_FIXED_LEN as u64, CORE_MAX_LEN as u64)?;
        Ok(out)
    }

    /// The first 60 bytes, to which the private metadata is bound: they are known before any extension is.
    pub fn bound_bytes(&self) -> [u8; CORE_BOUND_LEN] {
        let mut out = [0; CORE_BOUND_LEN];
        out[0..2].copy_from_slice(&self.suite.id().to_be_bytes());
        out[2..4].copy_from_slice(&self.flags.bits().to_be_bytes());
        out[4..20].copy_from_slice(&self.object);
        out[20..36].copy_from_slice(&self.tenant);
        out[36..44].copy_from_slice(&self.sealed_at.to_be_bytes());
        out[44..60].copy_from_slice(&self.signer);
        out
    }

    /// The value of an extension, if it is there.
    pub fn extension(&self, kind: ExtensionKind) -> Option<&[u8]> {
        self.extensions
            .iter()
            .find(|extension| extension.kind == kind.id())
            .map(|extension| extension.value.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core() -> Core {
        Core {
            suite: Suite::CobblestoneBlake3,
            flags: Flags::default(),
            object: [1; 16],
            tenant: [2; 16],
            sealed_at: 1_700_000_000_000,
            signer: [3; 16],
            extensions: vec![
                Extension::new(ExtensionKind::Context, b"a\0b".to_vec()),
                Extension {
                    kind: 0x0777,
                    value: vec![1, 2, 3],
                },
            ],
        }
    }

    #[test]
    fn round_trip_and_layout() {
        let bytes = core().to_bytes().unwrap();
        assert_eq!(bytes.len(), 62 + 4 + 3 + 4 + 3);
        assert_eq!(&bytes[..4], [0, 1, 0, 0]);
        assert_eq!(&bytes[4..20], [1; 16]);
        assert_eq!(&bytes[20..36], [2; 16]);
        assert_eq!(&bytes[36..44], 1_700_000_000_000u64.to_be_bytes());
        assert_eq!(&bytes[44..60], [3; 16]);
        assert_eq!(&bytes[60..62], [0, 14]);
        assert_eq!(bytes[..60], core().bound_bytes());
        assert_eq!(Core::parse(&bytes), Ok(core()));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let with = |at: usize, value: u8| {
            let mut bytes = core().to_bytes().unwrap();
            bytes[at] = value;
            Core::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(1, 2), EnvelopeError::ReservedSuite(2));
        assert_eq!(with(1, 0xA0), EnvelopeError::ReservedSuite(0xA0));
        assert_eq!(with(1, 3), EnvelopeError::UnknownSuite(3));
        assert_eq!(with(3, 4), EnvelopeError::UnknownFlags(4));
        assert_eq!(with(2, 0x80), EnvelopeError::UnknownFlags(0x8000));
        assert!(
            matches!(with(3, 2), EnvelopeError::FlagMismatch(_)),
            "erasable without a token id"
        );
        assert!(matches!(with(61, 15), EnvelopeError::Truncated { part: "core", .. }));
        assert!(matches!(
            with(61, 7),
            EnvelopeError::Trailing { part: "core", extra: 7 }
        ));
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let bytes = core().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(Core::parse(&bytes[..len]).is_err(), "{len}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Core::parse(&longer).is_err());
    }

    #[test]
    fn erasable_needs_its_token() {
        let mut core = core();
        core.flags.erasable = true;
        assert!(core.to_bytes().is_err());
        core.extensions
            .push(Extension::new(ExtensionKind::EraseTokenId, vec![7; 16]));
        let bytes = core.to_bytes().unwrap();
        assert_eq!(Core::parse(&bytes), Ok(core));
    }

    #[test]
    fn too_long_to_write() {
        let mut core = core();
        core.extensions = vec![Extension {
            kind: 0x0101,
            value: vec![0; 65_535],
        }];
        assert!(matches!(
            core.to_bytes(),
            Err(EnvelopeError::Length { part: "extensions", .. })
        ));
        core.extensions = vec![Extension {
            kind: 0x0101,
            value: vec![0; 65_536 - 62 - 4],
        }];
        assert_eq!(core.to_bytes().unwrap().len(), CORE_MAX_LEN);
    }
}
