//! What can be wrong with a head.

/// Why bytes are not an envelope, or a value cannot be written as one. Each variant names one defect and carries the offending value;
/// none carries content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The bytes end inside a part.
    #[error("{part} ends early: needs {needs} bytes, has {has}")]
    Truncated {
        /// Which part.
        part: &'static str,
        /// Bytes it needs at least.
        needs: u64,
        /// Bytes that are there.
        has: u64,
    },
    /// Bytes are left over after a part.
    #[error("{part} has {extra} bytes too many")]
    Trailing {
        /// Which part.
        part: &'static str,
        /// How many are left over.
        extra: u64,
    },
    /// It does not begin with the magic: not a sealed object.
    #[error("not a sealed object")]
    Magic,
    /// A sealed object of another major version.
    #[error("envelope version {0} is not supported")]
    Version(u16),
    /// A length lies outside its limits.
    #[error("length of {part} is out of bounds: {found}, takes {least} to {most}")]
    Length {
        /// Which part.
        part: &'static str,
        /// What the field says.
        found: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// The suite is not registered.
    #[error("suite {0:#06x} is not known")]
    UnknownSuite(u16),
    /// The suite is registered, but nothing can be read or written with it yet.
    #[error("suite {0:#06x} is reserved")]
    ReservedSuite(u16),
    /// Flag bits without a meaning are set.
    #[error("flags {0:#06x} are not known")]
    UnknownFlags(u16),
    /// A flag says something that another part contradicts.
    #[error("flag contradicts the rest: {0}")]
    FlagMismatch(&'static str),
    /// Extension types must rise strictly, so that there is one order and no duplicate.
    #[error("extension {found:#06x} follows {previous:#06x}")]
    ExtensionOrder {
        /// The type before it.
        previous: u16,
        /// The type found.
        found: u16,
    },
    /// An extension that must be understood is not.
    #[error("critical extension {0:#06x} is not known")]
    UnknownCriticalExtension(u16),
    /// A known extension's value breaks its rule.
    #[error("extension {kind:#06x} is not valid: {reason}")]
    ExtensionValue {
        /// Its type.
        kind: u16,
        /// The rule that was broken.
        reason: &'static str,
    },
    /// The recipients block has another version.
    #[error("recipients version {0} is not supported")]
    RecipientsVersion(u8),
    /// Revision 0 belongs inside the object, later ones outside.
    #[error("recipients inside an object have revision 0, not {0}")]
    RecipientsRevision(u32),
    /// No stanza, or too many.
    #[error("recipients hold {0} stanzas, takes 1 to 256")]
    StanzaCount(usize),
    /// A stanza's role is not registered.
    #[error("stanza role {0} is not known")]
    UnknownRole(u8),
    /// A stanza's body has not the length its algorithm prescribes.
    #[error("stanza body of algorithm {alg:#06x} has {found} bytes, takes {expected}")]
    StanzaBody {
        /// The stanza's algorithm.
        alg: u16,
        /// Bytes found.
        found: usize,
        /// Bytes prescribed.
        expected: usize,
    },
    /// Two stanzas of one role, algorithm and key.
    #[error("two stanzas for the same role, algorithm and key")]
    DuplicateStanza,
    /// The signature algorithm is not registered.
    #[error("signature algorithm {0:#04x} is not known")]
    UnknownSignatureAlg(u8),
    /// The signature has not the length its algorithm prescribes.
    #[error("signature has {found} bytes, takes {expected}")]
    SignatureLength {
        /// Bytes found.
        found: usize,
        /// Bytes prescribed.
        expected: usize,
    },
    /// A path in a Merkle tree has not the length that the leaf's place prescribes.
    #[error("path has {found} hashes, takes {expected}")]
    PathLength {
        /// Hashes found.
        found: usize,
        /// Hashes prescribed.
        expected: usize,
    },
    /// An inclusion path stands beside an algorithm that has none, or is missing.
    #[error("signature algorithm {0:#04x} and inclusion path contradict each other")]
    Inclusion(u8),
    /// The signature block names another signer than the core.
    #[error("signature block and core name different signers")]
    SignerMismatch,
    /// No plaintext has a payload of this length.
    #[error("no payload is {0} bytes long")]
    PayloadLength(u64),
    /// A plaintext is longer than the 4 PiB that chunk numbers reach.
    #[error("plaintext of {0} bytes is too long")]
    PlaintextLength(u64),
    /// A range does not lie within the plaintext.
    #[error("range {start}..{end} does not lie within {len} bytes")]
    Range {
        /// First byte wanted.
        start: u64,
        /// The byte after the last wanted.
        end: u64,
        /// Length of the plaintext.
        len: u64,
    },
}
