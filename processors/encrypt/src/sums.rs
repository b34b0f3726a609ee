//! What is computed over a document while it goes through.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use cofferdam_schemas::Checksums;
use md5::{Digest, Md5};

use crate::crypto::{SealError, Sealer, Workers};
use crate::pump::Stage;
use crate::workers::join;

/// SHA-256 of a plaintext as it goes by. By aws-lc whatever the provider of the sealing is: this is the one hash over
/// all bytes, twice a document, and on machines without SHA instructions aws-lc is the faster of the two.
pub(crate) struct Sha256(Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    pub(crate) fn finish(self) -> [u8; 32] {
        let mut sum = [0; 32];
        sum.copy_from_slice(self.0.finish().as_ref());
        sum
    }
}

/// Checksums of the plaintext: SHA-256 always; MD5 only when it is all the store claims, because it costs more than
/// sealing.
pub(crate) struct Sums {
    sha256: Sha256,
    md5: Option<Md5>,
}

impl Sums {
    pub(crate) fn claimed(claimed: &Checksums) -> Self {
        let md5 = (claimed.sha256.is_none() && claimed.md5.is_some()).then(Md5::new);
        Self {
            sha256: Sha256::new(),
            md5,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// Compares with what the store claims, and gives SHA-256. The error says what differs.
    pub(crate) fn finish(self, claimed: &Checksums) -> Result<[u8; 32], &'static str> {
        let sha256 = self.sha256.finish();
        let differs = |claim: &Option<String>, found: &[u8]| claim.as_ref().is_some_and(|c| *c != hex::encode(found));
        if differs(&claimed.sha256, &sha256) {
            return Err("SHA-256 differs from what the store claims");
        }
        if self.md5.is_some_and(|md5| differs(&claimed.md5, &md5.finalize())) {
            return Err("MD5 differs from what the store claims");
        }
        Ok(sha256)
    }
}

/// Seals, and sums up on the way.
pub(crate) struct Sealing {
    pub(crate) sealer: Sealer,
    pub(crate) sums: Sums,
    pub(crate) size: u64,
}

impl Stage for Sealing {
    type Error = SealError;
    fn turn(&mut self, input: Vec<Bytes>) -> Result<Bytes, SealError> {
        let pieces: Vec<&[u8]> = input.iter().map(|piece| &piece[..]).collect();
        let len = pieces.iter().map(|piece| piece.len()).sum();
        self.size += len as u64;
        let mut out = Vec::new();
        // The checksum goes over the bytes one after the other whatever is done, so that it is what takes longest on several cores.
        let (sums, sealer) = (&mut self.sums, &mut self.sealer);
        let ((), sealed) = Workers::default().run(len, |shared| {
            join(
                shared,
                || pieces.iter().for_each(|piece| sums.update(piece)),
                || sealer.update_all(&pieces, &mut out),
            )
        });
        sealed?;
        Ok(out.into())
    }
}

/// Seals, sums up, and keeps the payload: for small documents.
pub(crate) struct Gathering {
    pub(crate) sealing: Sealing,
    pub(crate) payload: Vec<u8>,
}

impl Stage for Gathering {
    type Error = SealError;
    fn turn(&mut self, input: Vec<Bytes>) -> Result<Bytes, SealError> {
        self.payload.extend_from_slice(&self.sealing.turn(input)?);
        Ok(Bytes::new())
    }
}

/// Only sums up.
pub(crate) struct Hashing(pub(crate) Sums);

impl Stage for Hashing {
    type Error = std::convert::Infallible;
    fn turn(&mut self, input: Vec<Bytes>) -> Result<Bytes, Self::Error> {
        input.iter().for_each(|chunk| self.0.update(chunk));
        Ok(Bytes::new())
    }
}
