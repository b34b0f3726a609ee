//! The signature block: who vouches for the object, and for which payload.

use crate::error::EnvelopeError;
use crate::geometry;
use crate::read::{Reader, bounded, len_u16};
use crate::registry::SignatureAlg;

/// Length of the block without certificate and signature, in bytes.
pub const SIGNATURE_BLOCK_FIXED_LEN: usize = 1 + 16 + 2 + 8 + 32;
/// The longest block, in bytes.
pub const SIGNATURE_BLOCK_MAX_LEN: usize = 65_536;

/// The signature block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureBlock {
    /// How it is signed.
    pub alg: SignatureAlg,
    /// Key id of the signer, the same as in the core.
    pub signer: [u8; 16],
    /// The signer's epoch certificate; empty if the directory has it.
    pub certificate: Vec<u8>,
    /// Length of the payload in bytes, its 56-byte head included.
    pub payload_len: u64,
    /// Hash over the payload: BLAKE3-256 in suite 0x0001.
    pub payload_root: [u8; 32],
    /// The signature over [`crate::label::statement`].
    pub signature: Vec<u8>,
}

impl SignatureBlock {
    /// Reads a block; `bytes` is exactly the block.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let (least, most) = (SIGNATURE_BLOCK_FIXED_LEN as u64, SIGNATURE_BLOCK_MAX_LEN as u64);
        bounded("signature block", bytes.len() as u64, least, most)?;
        let mut reader = Reader::new("signature block", bytes);
        let alg = SignatureAlg::from_id(reader.u8()?)?;
        let signer = reader.array()?;
        let cert_len = usize::from(reader.u16()?);
        let certificate = reader.take(cert_len)?.to_vec();
        let payload_len = reader.u64()?;
        geometry::plaintext_len(payload_len)?;
        let payload_root = reader.array()?;
        let found = reader.remaining();
        check_signature(alg, found)?;
        let signature = reader.take(found)?.to_vec();
        Ok(Self {
            alg,
            signer,
            certificate,
            payload_len,
            payload_root,
            signature,
        })
    }

    /// The block as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        geometry::plaintext_len(self.payload_len)?;
        check_signature(self.alg, self.signature.len())?;
        let mut out = Vec::with_capacity(Self::len_for(self.alg, self.certificate.len()));
        out.push(self.alg.id());
        out.extend_from_slice(&self.signer);
        out.extend_from_slice(&len_u16("certificate", self.certificate.len())?.to_be_bytes());
        out.extend_from_slice(&self.certificate);
        out.extend_from_slice(&self.payload_len.to_be_bytes());
        out.extend_from_slice(&self.payload_root);
        out.extend_from_slice(&self.signature);
        let (least, most) = (SIGNATURE_BLOCK_FIXED_LEN as u64, SIGNATURE_BLOCK_MAX_LEN as u64);
        bounded("signature block", out.len() as u64, least, most)?;
        Ok(out)
    }

    /// Length in bytes of a block, known before anything is signed.
    pub fn len_for(alg: SignatureAlg, certificate_len: usize) -> usize {
        SIGNATURE_BLOCK_FIXED_LEN + certificate_len + alg.signature_len()
    }
}

fn check_signature(alg: SignatureAlg, found: usize) -> Result<(), EnvelopeError> {
    let expected = alg.signature_len();
    if found == expected {
        Ok(())
    } else {
        Err(EnvelopeError::SignatureLength { found, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> SignatureBlock {
        SignatureBlock {
            alg: SignatureAlg::MlDsa65Ed25519,
            signer: [1; 16],
            certificate: vec![2; 10],
            payload_len: 73,
            payload_root: [3; 32],
            signature: vec![4; 3373],
        }
    }

    #[test]
    fn round_trip_and_length() {
        let bytes = block().to_bytes().unwrap();
        assert_eq!(bytes.len(), SignatureBlock::len_for(SignatureAlg::MlDsa65Ed25519, 10));
        assert_eq!(SignatureBlock::parse(&bytes), Ok(block()));
        assert_eq!(SignatureBlock::len_for(SignatureAlg::MlDsa65Ed25519, 0), 3432);
    }

    #[test]
    fn refuses_each_defect() {
        let with = |at: usize, value: u8| {
            let mut bytes = block().to_bytes().unwrap();
            bytes[at] = value;
            SignatureBlock::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 3), EnvelopeError::ReservedSignatureAlg(3));
        assert_eq!(with(0, 9), EnvelopeError::UnknownSignatureAlg(9));
        assert_eq!(
            with(0, 2),
            EnvelopeError::SignatureLength {
                found: 3373,
                expected: 3309
            }
        );
        assert!(matches!(with(17, 0xff), EnvelopeError::Truncated { .. }));
        assert_eq!(with(36, 56), EnvelopeError::PayloadLength(56));
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = block().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(SignatureBlock::parse(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn certificate_has_a_limit() {
        let mut large = block();
        large.certificate = vec![0; 65_535];
        assert!(matches!(large.to_bytes(), Err(EnvelopeError::Length { .. })));
    }
}
