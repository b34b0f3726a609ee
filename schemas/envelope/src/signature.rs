//! The signature block: who vouches for the object, and for which payload.

use crate::error::EnvelopeError;
use crate::geometry;
use crate::inclusion::Inclusion;
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
    /// The statement's place among those that were signed together; there exactly if the algorithm is [`SignatureAlg::Batch`].
    pub inclusion: Option<Inclusion>,
    /// The signature over [`crate::label::statement`], of a batch over [`crate::label::batch`].
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
        let inclusion = (alg == SignatureAlg::Batch)
            .then(|| Inclusion::read(&mut reader))
            .transpose()?;
        let found = reader.remaining();
        check_signature(alg, found)?;
        let signature = reader.take(found)?.to_vec();
        Ok(Self {
            alg,
            signer,
            certificate,
            payload_len,
            payload_root,
            inclusion,
            signature,
        })
    }

    /// The block as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        geometry::plaintext_len(self.payload_len)?;
        check_signature(self.alg, self.signature.len())?;
        if self.inclusion.is_some() != (self.alg == SignatureAlg::Batch) {
            return Err(EnvelopeError::Inclusion(self.alg.id()));
        }
        let mut out = Vec::with_capacity(Self::len_for(self.alg, self.certificate.len()));
        out.push(self.alg.id());
        out.extend_from_slice(&self.signer);
        out.extend_from_slice(&len_u16("certificate", self.certificate.len())?.to_be_bytes());
        out.extend_from_slice(&self.certificate);
        out.extend_from_slice(&self.payload_len.to_be_bytes());
        out.extend_from_slice(&self.payload_root);
        if let Some(inclusion) = &self.inclusion {
            inclusion.write(&mut out)?;
        }
        out.extend_from_slice(&self.signature);
        let (least, most) = (SIGNATURE_BLOCK_FIXED_LEN as u64, SIGNATURE_BLOCK_MAX_LEN as u64);
        bounded("signature block", out.len() as u64, least, most)?;
        Ok(out)
    }

    /// Length in bytes of a block, known before anything is signed; of a batch, only once it is known what is in it: this is without the statement's place.
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
            inclusion: None,
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
        // The signature's first bytes are no place in a tree.
        assert!(matches!(with(0, 3), EnvelopeError::Length { found: 0x0404, .. }));
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

    fn batch(size: u16, index: u16) -> SignatureBlock {
        let path = vec![[7; 32]; Inclusion::path_len(index, size)];
        SignatureBlock {
            alg: SignatureAlg::Batch,
            inclusion: Some(Inclusion { size, index, path }),
            ..block()
        }
    }

    #[test]
    fn batches_round_trip() {
        for (size, index, hashes) in [(1, 0, 0), (2, 1, 1), (5, 4, 1), (5, 3, 3), (256, 0, 8), (256, 255, 8)] {
            let bytes = batch(size, index).to_bytes().unwrap();
            assert_eq!(
                bytes.len(),
                SignatureBlock::len_for(SignatureAlg::Batch, 10) + 4 + 32 * hashes
            );
            assert_eq!(SignatureBlock::parse(&bytes), Ok(batch(size, index)));
        }
    }

    #[test]
    fn a_path_is_as_long_as_its_place_says() {
        let mut longer = batch(5, 3);
        longer.inclusion.as_mut().unwrap().path.push([8; 32]);
        assert_eq!(
            longer.to_bytes(),
            Err(EnvelopeError::PathLength { found: 4, expected: 3 })
        );
        // On the wire a path too long is a signature too long, and one that is missing hashes takes them from the signature.
        let mut bytes = batch(5, 3).to_bytes().unwrap();
        bytes.splice(73..73, [8; 32]);
        assert_eq!(
            SignatureBlock::parse(&bytes),
            Err(EnvelopeError::SignatureLength {
                found: 3405,
                expected: 3373
            })
        );
        bytes.drain(73..137);
        assert_eq!(
            SignatureBlock::parse(&bytes),
            Err(EnvelopeError::SignatureLength {
                found: 3341,
                expected: 3373
            })
        );
    }

    #[test]
    fn only_batches_have_a_place() {
        let alone = SignatureBlock {
            inclusion: batch(2, 0).inclusion,
            ..block()
        };
        assert_eq!(alone.to_bytes(), Err(EnvelopeError::Inclusion(1)));
        let lost = SignatureBlock {
            inclusion: None,
            ..batch(2, 0)
        };
        assert_eq!(lost.to_bytes(), Err(EnvelopeError::Inclusion(3)));
    }

    #[test]
    fn every_truncation_is_refused() {
        for block in [block(), batch(256, 9)] {
            let bytes = block.to_bytes().unwrap();
            for len in 0..bytes.len() {
                assert!(SignatureBlock::parse(&bytes[..len]).is_err(), "{len}");
            }
        }
    }

    #[test]
    fn certificate_has_a_limit() {
        let mut large = block();
        large.certificate = vec![0; 65_535];
        assert!(matches!(large.to_bytes(), Err(EnvelopeError::Length { .. })));
    }
}
