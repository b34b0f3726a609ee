//! The three registries: suites, stanza algorithms, signature algorithms. A number, once given, never changes its meaning.

use crate::error::EnvelopeError;

/// What fixes payload, hashes and labels of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// 0x0001: Cobblestone-256 payload, HKDF-Expand-SHA-512 for keys, SHA-256 for the header hash, BLAKE3-256 for the payload root.
    CobblestoneBlake3,
}

impl Suite {
    /// All suites that can be read and written.
    pub const ALL: [Suite; 1] = [Suite::CobblestoneBlake3];

    /// The number on the wire.
    pub fn id(self) -> u16 {
        match self {
            Suite::CobblestoneBlake3 => 0x0001,
        }
    }

    /// The suite of a number. 0x0002 (0x0001 with a SHA-256 tree as payload root) and 0x00A0 (payload is a standard age file) are
    /// [reserved](EnvelopeError::ReservedSuite), every other one is [unknown](EnvelopeError::UnknownSuite).
    pub fn from_id(id: u16) -> Result<Self, EnvelopeError> {
        match id {
            0x0001 => Ok(Suite::CobblestoneBlake3),
            0x0002 | 0x00A0 => Err(EnvelopeError::ReservedSuite(id)),
            other => Err(EnvelopeError::UnknownSuite(other)),
        }
    }
}

/// How a stanza wraps the data key. A stanza whose algorithm is not listed is kept and skipped: a new kind of recipient must not stop
/// the others from opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StanzaAlg {
    /// 0x0001: HPKE with KEM 0x647a, MLKEM768-X25519 (X-Wing). The default.
    MlKem768X25519,
    /// 0x0002: HPKE with KEM 0x0050, MLKEM768-P256. Both halves can live in a hardware key service.
    MlKem768P256,
    /// 0x0003: HPKE with KEM 0x0041, ML-KEM-768 alone.
    MlKem768,
    /// 0x0010: an opaque blob of a symmetric key service.
    KmsSymmetric,
}

impl StanzaAlg {
    /// All registered stanza algorithms.
    pub const ALL: [StanzaAlg; 4] = [
        StanzaAlg::MlKem768X25519,
        StanzaAlg::MlKem768P256,
        StanzaAlg::MlKem768,
        StanzaAlg::KmsSymmetric,
    ];

    /// The number on the wire.
    pub fn id(self) -> u16 {
        match self {
            StanzaAlg::MlKem768X25519 => 0x0001,
            StanzaAlg::MlKem768P256 => 0x0002,
            StanzaAlg::MlKem768 => 0x0003,
            StanzaAlg::KmsSymmetric => 0x0010,
        }
    }

    /// The algorithm of a number, if it is registered.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.id() == id)
    }

    /// Length of HPKE's `enc` in bytes, for the algorithms that are HPKE.
    pub fn enc_len(self) -> Option<usize> {
        match self {
            StanzaAlg::MlKem768X25519 => Some(1120),
            StanzaAlg::MlKem768P256 => Some(1153),
            StanzaAlg::MlKem768 => Some(1088),
            StanzaAlg::KmsSymmetric => None,
        }
    }

    /// Length of the body in bytes, if the algorithm fixes it: `enc` and the 48 bytes of a sealed 32-byte key.
    pub fn body_len(self) -> Option<usize> {
        self.enc_len().map(|enc| enc + 48)
    }
}

/// How the signature block is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlg {
    /// 0x01: composite MLDSA65-Ed25519-SHA512 (draft-ietf-lamps-pq-composite-sigs-19).
    MlDsa65Ed25519,
    /// 0x02: ML-DSA-65 alone (FIPS 204).
    MlDsa65,
    /// 0x03: one composite signature, by a key of 0x01, over the root of a Merkle tree of up to 256 statements.
    Batch,
}

impl SignatureAlg {
    /// All signature algorithms in use.
    pub const ALL: [SignatureAlg; 3] = [SignatureAlg::MlDsa65Ed25519, SignatureAlg::MlDsa65, SignatureAlg::Batch];

    /// The number on the wire.
    pub fn id(self) -> u8 {
        match self {
            SignatureAlg::MlDsa65Ed25519 => 0x01,
            SignatureAlg::MlDsa65 => 0x02,
            SignatureAlg::Batch => 0x03,
        }
    }

    /// The algorithm of a number.
    pub fn from_id(id: u8) -> Result<Self, EnvelopeError> {
        match id {
            0x01 => Ok(SignatureAlg::MlDsa65Ed25519),
            0x02 => Ok(SignatureAlg::MlDsa65),
            0x03 => Ok(SignatureAlg::Batch),
            other => Err(EnvelopeError::UnknownSignatureAlg(other)),
        }
    }

    /// The algorithm whose keys make and verify these signatures: batches are signed with the keys that sign each by itself.
    pub fn key_alg(self) -> SignatureAlg {
        match self {
            SignatureAlg::MlDsa65Ed25519 | SignatureAlg::Batch => SignatureAlg::MlDsa65Ed25519,
            SignatureAlg::MlDsa65 => SignatureAlg::MlDsa65,
        }
    }

    /// The number that stands for the algorithm of its keys in a key id.
    pub fn key_id_alg(self) -> u16 {
        0x0100 + u16::from(self.key_alg().id())
    }

    /// Length of a public key in bytes.
    pub fn public_key_len(self) -> usize {
        match self.key_alg() {
            SignatureAlg::MlDsa65 => 1952,
            _ => 1952 + 32,
        }
    }

    /// Length of a signature in bytes, without what stands before it in a batch.
    pub fn signature_len(self) -> usize {
        match self.key_alg() {
            SignatureAlg::MlDsa65 => 3309,
            _ => 3309 + 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_entry() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_id(suite.id()), Ok(suite));
        }
        for alg in StanzaAlg::ALL {
            assert_eq!(StanzaAlg::from_id(alg.id()), Some(alg));
        }
        for alg in SignatureAlg::ALL {
            assert_eq!(SignatureAlg::from_id(alg.id()), Ok(alg));
        }
    }

    #[test]
    fn reserved_is_not_unknown() {
        assert_eq!(Suite::from_id(0x0002), Err(EnvelopeError::ReservedSuite(0x0002)));
        assert_eq!(Suite::from_id(0x00A0), Err(EnvelopeError::ReservedSuite(0x00A0)));
        assert_eq!(Suite::from_id(0x0000), Err(EnvelopeError::UnknownSuite(0)));
        assert_eq!(SignatureAlg::from_id(0x04), Err(EnvelopeError::UnknownSignatureAlg(4)));
        assert_eq!(SignatureAlg::from_id(0x00), Err(EnvelopeError::UnknownSignatureAlg(0)));
        assert_eq!(StanzaAlg::from_id(0x0004), None);
    }
}
