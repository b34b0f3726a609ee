//! Extensions of the core: typed values that readers may not know.

use crate::error::EnvelopeError;
use crate::read::{Reader, len_u16};

/// Bit 15 of a type: a reader that does not know it must refuse the object.
const CRITICAL: u16 = 0x8000;

/// The extensions that are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExtensionKind {
    /// 0x0001: the public encryption context, see [`encode_context`].
    Context,
    /// 0x0002: private metadata, sealed. At least the 16 bytes of its tag.
    PrivateMetadata,
    /// 0x0003: a 32-byte hash that finds the source without telling it.
    SourceLocatorHash,
    /// 0x0004: retention class, 1 to 64 bytes of ASCII.
    RetentionClass,
    /// 0x8005, critical: the 16-byte id of the erase token. Present exactly if the object is erasable.
    EraseTokenId,
}

impl ExtensionKind {
    /// All registered extensions.
    pub const ALL: [ExtensionKind; 5] = [
        ExtensionKind::Context,
        ExtensionKind::PrivateMetadata,
        ExtensionKind::SourceLocatorHash,
        ExtensionKind::RetentionClass,
        ExtensionKind::EraseTokenId,
    ];

    /// The type on the wire.
    pub fn id(self) -> u16 {
        match self {
            ExtensionKind::Context => 0x0001,
            ExtensionKind::PrivateMetadata => 0x0002,
            ExtensionKind::SourceLocatorHash => 0x0003,
            ExtensionKind::RetentionClass => 0x0004,
            ExtensionKind::EraseTokenId => 0x8005,
        }
    }

    /// The kind of a type, if it is registered.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    fn check(self, value: &[u8]) -> Result<(), EnvelopeError> {
        let refuse = |reason| {
            Err(EnvelopeError::ExtensionValue {
                kind: self.id(),
                reason,
            })
        };
        match self {
            ExtensionKind::Context => decode_context(value).map(drop),
            ExtensionKind::PrivateMetadata if value.len() < 16 => refuse("takes at least 16 bytes"),
            ExtensionKind::SourceLocatorHash if value.len() != 32 => refuse("takes 32 bytes"),
            ExtensionKind::RetentionClass if value.is_empty() || value.len() > 64 => refuse("takes 1 to 64 bytes"),
            ExtensionKind::RetentionClass if !value.iter().all(u8::is_ascii_graphic) => refuse("takes visible ASCII"),
            ExtensionKind::EraseTokenId if value.len() != 16 => refuse("takes 16 bytes"),
            _ => Ok(()),
        }
    }
}

/// One extension: its type and its value, at most 65,535 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The type; bit 15 set means critical.
    pub kind: u16,
    /// The value.
    pub value: Vec<u8>,
}

impl Extension {
    /// An extension of a registered kind.
    pub fn new(kind: ExtensionKind, value: Vec<u8>) -> Self {
        Self { kind: kind.id(), value }
    }
}

/// Checks order, criticality and the values of known kinds.
pub(crate) fn check(extensions: &[Extension]) -> Result<(), EnvelopeError> {
    let mut previous: Option<u16> = None;
    for extension in extensions {
        check_next(previous, extension.kind)?;
        check_value(extension.kind, &extension.value)?;
        previous = Some(extension.kind);
    }
    Ok(())
}

fn check_next(previous: Option<u16>, found: u16) -> Result<(), EnvelopeError> {
    match previous {
        Some(previous) if found <= previous => Err(EnvelopeError::ExtensionOrder { previous, found }),
        _ => Ok(()),
    }
}

fn check_value(kind: u16, value: &[u8]) -> Result<(), EnvelopeError> {
    match ExtensionKind::from_id(kind) {
        Some(known) => known.check(value),
        None if kind & CRITICAL != 0 => Err(EnvelopeError::UnknownCriticalExtension(kind)),
        None => Ok(()),
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Extension>, EnvelopeError> {
    let mut reader = Reader::new("extensions", bytes);
    let mut extensions: Vec<Extension> = Vec::new();
    while reader.remaining() > 0 {
        let kind = reader.u16()?;
        check_next(extensions.last().map(|last| last.kind), kind)?;
        let len = reader.u16()?;
        let value = reader.take(len.into())?;
        check_value(kind, value)?;
        extensions.push(Extension {
            kind,
            value: value.to_vec(),
        });
    }
    Ok(extensions)
}

pub(crate) fn write(extensions: &[Extension], out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
    check(extensions)?;
    for extension in extensions {
        out.extend_from_slice(&extension.kind.to_be_bytes());
        out.extend_from_slice(&len_u16("extension value", extension.value.len())?.to_be_bytes());
        out.extend_from_slice(&extension.value);
    }
    Ok(())
}

/// One entry of the encryption context: a name and a value, both public.
pub type ContextEntry = (String, String);

/// Writes an encryption context: `key 00 value`, entries separated by one more `00`, keys strictly ascending by their bytes. Neither
/// keys nor values hold a NUL, and no key is empty.
pub fn encode_context(entries: &[ContextEntry]) -> Result<Vec<u8>, EnvelopeError> {
    let mut out = Vec::new();
    for (n, (key, value)) in entries.iter().enumerate() {
        if key.contains('\0') || value.contains('\0') {
            return Err(context_error("names and values hold no NUL"));
        }
        if n > 0 {
            out.push(0);
        }
        out.extend_from_slice(key.as_bytes());
        out.push(0);
        out.extend_from_slice(value.as_bytes());
    }
    // The one set of rules is the reader's.
    decode_context(&out)?;
    Ok(out)
}

/// Reads an encryption context.
pub fn decode_context(value: &[u8]) -> Result<Vec<ContextEntry>, EnvelopeError> {
    let text = std::str::from_utf8(value).map_err(|_| context_error("is not UTF-8"))?;
    let mut fields = text.split('\0');
    let mut entries: Vec<ContextEntry> = Vec::new();
    while let Some(key) = fields.next() {
        let Some(value) = fields.next() else {
            return Err(context_error("a name has no value"));
        };
        if key.is_empty() {
            return Err(context_error("a name is empty"));
        }
        if entries.last().is_some_and(|(last, _)| last.as_str() >= key) {
            return Err(context_error("names do not rise"));
        }
        entries.push((key.to_owned(), value.to_owned()));
    }
    Ok(entries)
}

fn context_error(reason: &'static str) -> EnvelopeError {
    EnvelopeError::ExtensionValue {
        kind: ExtensionKind::Context.id(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> ContextEntry {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn context_of_one_entry_is_key_nul_value() {
        let bytes = encode_context(&[entry("purpose", "archive")]).unwrap();
        assert_eq!(bytes, b"purpose\0archive");
    }

    #[test]
    fn context_round_trips() {
        let entries = vec![entry("a", ""), entry("b", "1"), entry("dept", "räume")];
        assert_eq!(decode_context(&encode_context(&entries).unwrap()), Ok(entries));
    }

    #[test]
    fn context_has_one_form() {
        for bad in [
            &b""[..],
            b"a",
            b"\0v",
            b"a\0v\0",
            b"b\x001\0a\x002",
            b"a\x001\0a\x002",
            b"a\0\xff",
        ] {
            assert!(decode_context(bad).is_err(), "{bad:?}");
        }
        assert!(encode_context(&[entry("a\0b", "c")]).is_err());
        assert!(encode_context(&[]).is_err(), "an empty context is no extension");
    }

    #[test]
    fn order_and_criticality() {
        let check = |bytes: &[u8]| parse(bytes).unwrap_err();
        assert_eq!(
            check(&[0x00, 0x07, 0, 0, 0x00, 0x06, 0, 0]),
            EnvelopeError::ExtensionOrder { previous: 7, found: 6 }
        );
        assert_eq!(
            check(&[0x00, 0x07, 0, 0, 0x00, 0x07, 0, 0]),
            EnvelopeError::ExtensionOrder { previous: 7, found: 7 }
        );
        assert_eq!(
            check(&[0x80, 0x07, 0, 0]),
            EnvelopeError::UnknownCriticalExtension(0x8007)
        );
        assert!(matches!(
            check(&[0x00, 0x07, 0xff, 0xff, 1]),
            EnvelopeError::Truncated { .. }
        ));
        assert!(matches!(check(&[0x00, 0x07, 0]), EnvelopeError::Truncated { .. }));
        assert!(matches!(
            check(&[0x00, 0x03, 0, 1, 0]),
            EnvelopeError::ExtensionValue { kind: 3, .. }
        ));
        assert_eq!(
            parse(&[0x00, 0x07, 0, 1, 9]).unwrap(),
            [Extension {
                kind: 7,
                value: vec![9]
            }]
        );
    }
}
