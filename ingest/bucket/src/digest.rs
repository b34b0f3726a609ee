//! Checksums: the five of S3, MD5 for entity tags, BLAKE3 for those of our own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cofferdam_schemas::Checksums;
use crc_fast::CrcAlgorithm;
use md5::Digest as _;

use crate::error::Refusal;

/// A checksum algorithm of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// Its name in S3.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// Length of its value in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The CRC behind it; values of these can be combined without the bytes.
    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// The checksum of some bytes.
    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        let mut digests = Digests::new(&[self]);
        digests.update(bytes);
        digests.finish().values.remove(&self).unwrap_or_default()
    }

    /// The checksum of runs of bytes one after the other, from the checksum and length of each. `None` if the algorithm cannot, or a value has
    /// a wrong length.
    pub(crate) fn combine<'a>(self, runs: impl IntoIterator<Item = (&'a [u8], u64)>) -> Option<Vec<u8>> {
        let field = self.field()?;
        let (mut all, mut shift) = (0, (0, field.one()));
        for (value, length) in runs {
            if value.len() != self.len() {
                return None;
            }
            // Parts mostly have one size, whose shift is then computed once.
            if shift.0 != length {
                shift = (length, field.shift(length));
            }
            all = field.multiply(shift.1, all) ^ value.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        }
        Some(all.to_be_bytes()[8 - self.len()..].to_vec())
    }

    fn field(self) -> Option<Field> {
        match self {
            Self::Crc32 => Some(Field {
                bits: 32,
                polynomial: 0xEDB8_8320,
            }),
            Self::Crc32c => Some(Field {
                bits: 32,
                polynomial: 0x82F6_3B78,
            }),
            Self::Crc64Nvme => Some(Field {
                bits: 64,
                polynomial: 0x9A6C_9329_AC4B_C9B5,
            }),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Whether a multipart object can have one checksum over all its bytes.
    pub(crate) fn can_combine(self) -> bool {
        self.crc().is_some()
    }

    /// Reads a base64 value and checks its length.
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        BASE64.decode(text).ok().filter(|bytes| bytes.len() == self.len())
    }
}

/// Polynomials over GF(2) modulo that of a CRC, lowest power in the highest bit, as CRCs that take the lowest bit first have them.
///
/// A CRC (of those that begin and end with an inversion, as these three do) of A followed by B is that of A times x to the number of B's bits, plus
/// that of B. (`crc_fast` can combine too, by matrices and from nothing each time: completing 10,000 parts took ten seconds, on the writer's thread.)
#[derive(Clone, Copy)]
struct Field {
    bits: u32,
    /// Without its highest power.
    polynomial: u64,
}

impl Field {
    fn one(self) -> u64 {
        1 << (self.bits - 1)
    }

    fn multiply(self, a: u64, mut b: u64) -> u64 {
        let mut product = 0;
        for bit in (0..self.bits).rev() {
            if a >> bit & 1 == 1 {
                product ^= b;
            }
            b = if b & 1 == 1 { b >> 1 ^ self.polynomial } else { b >> 1 };
        }
        product
    }

    /// x to the power of eight times `bytes`.
    fn shift(self, mut bytes: u64) -> u64 {
        let mut power = self.one() >> 8;
        let mut result = self.one();
        while bytes > 0 {
            if bytes & 1 == 1 {
                result = self.multiply(power, result);
            }
            power = self.multiply(power, power);
            bytes >>= 1;
        }
        result
    }
}

/// Base64, as S3 writes checksums.
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Checksums being computed in one pass.
pub(crate) struct Digests {
    md5: Option<md5::Md5>,
    blake3: Option<Box<blake3::Hasher>>,
    sha1: Option<sha1::Sha1>,
    sha256: Option<sha2::Sha256>,
    crcs: Vec<(Algorithm, crc_fast::Digest)>,
}

impl Digests {
    pub(crate) fn new(algorithms: &[Algorithm]) -> Self {
        let mut digests = Self {
            md5: None,
            blake3: None,
            sha1: None,
            sha256: None,
            crcs: Vec::new(),
        };
        for algorithm in Algorithm::ALL.into_iter().filter(|a| algorithms.contains(a)) {
            match (algorithm, algorithm.crc()) {
                (Algorithm::Sha1, _) => digests.sha1 = Some(sha1::Sha1::new()),
                (Algorithm::Sha256, _) => digests.sha256 = Some(sha2::Sha256::new()),
                (_, Some(crc)) => digests.crcs.push((algorithm, crc_fast::Digest::new(crc))),
                (_, None) => {}
            }
        }
        digests
    }

    pub(crate) fn with_md5(mut self) -> Self {
        self.md5 = Some(md5::Md5::new());
        self
    }

    pub(crate) fn with_blake3(mut self) -> Self {
        self.blake3 = Some(Box::default());
        self
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(blake3) = &mut self.blake3 {
            blake3.update(bytes);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        for (_, crc) in &mut self.crcs {
            crc.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Sums {
        let mut values = BTreeMap::new();
        for (algorithm, crc) in self.crcs {
            values.insert(algorithm, crc.finalize().to_be_bytes()[8 - algorithm.len()..].to_vec());
        }
        if let Some(sha1) = self.sha1 {
            values.insert(Algorithm::Sha1, sha1.finalize().to_vec());
        }
        if let Some(sha256) = self.sha256 {
            values.insert(Algorithm::Sha256, sha256.finalize().to_vec());
        }
        Sums {
            md5: self.md5.map(|d| d.finalize().to_vec()),
            blake3: self.blake3,
            values,
        }
    }
}

/// Checksums of one run of bytes.
#[derive(Default)]
pub(crate) struct Sums {
    pub(crate) md5: Option<Vec<u8>>,
    /// Left open, so that a head written last can still go in.
    pub(crate) blake3: Option<Box<blake3::Hasher>>,
    pub(crate) values: BTreeMap<Algorithm, Vec<u8>>,
}

impl Sums {
    /// The values as the wire shape has them.
    pub(crate) fn claims(&self) -> Checksums {
        let mut claims = Checksums {
            md5: self.md5.as_ref().map(hex::encode),
            ..Checksums::default()
        };
        for (algorithm, value) in &self.values {
            *slot(&mut claims, *algorithm) = Some(hex::encode(value));
        }
        claims
    }
}

/// The place of an algorithm in the wire shape.
pub(crate) fn slot(claims: &mut Checksums, algorithm: Algorithm) -> &mut Option<String> {
    match algorithm {
        Algorithm::Crc32 => &mut claims.crc32,
        Algorithm::Crc32c => &mut claims.crc32c,
        Algorithm::Crc64Nvme => &mut claims.crc64nvme,
        Algorithm::Sha1 => &mut claims.sha1,
        Algorithm::Sha256 => &mut claims.sha256,
    }
}

/// A whole-object value of the wire shape, as bytes.
pub(crate) fn claim(claims: &Checksums, algorithm: Algorithm) -> Option<Vec<u8>> {
    let text = match algorithm {
        Algorithm::Crc32 => &claims.crc32,
        Algorithm::Crc32c => &claims.crc32c,
        Algorithm::Crc64Nvme => &claims.crc64nvme,
        Algorithm::Sha1 => &claims.sha1,
        Algorithm::Sha256 => &claims.sha256,
    };
    hex::decode(text.as_ref()?).ok()
}

/// What the sender says the checksums are.
#[derive(Debug, Default, Clone)]
pub(crate) struct Expected {
    pub(crate) md5: Option<Vec<u8>>,
    pub(crate) values: BTreeMap<Algorithm, Vec<u8>>,
}

impl Expected {
    /// Compares; a value that was stated but not computed is a mismatch too.
    pub(crate) fn verify(&self, sums: &Sums) -> Result<(), Refusal> {
        if self.md5.is_some() && self.md5 != sums.md5 {
            return Err(Refusal::BadDigest {
                checksum: "Content-MD5",
            });
        }
        for (algorithm, value) in &self.values {
            if sums.values.get(algorithm) != Some(value) {
                return Err(Refusal::BadDigest {
                    checksum: algorithm.name(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Check values of the published parameter sets (input `123456789`).
    #[test]
    fn values_are_those_of_the_standards() {
        let check =
            |algorithm: Algorithm, hex_value: &str| assert_eq!(hex::encode(algorithm.of(b"123456789")), hex_value);
        check(Algorithm::Crc32, "cbf43926");
        check(Algorithm::Crc32c, "e3069283");
        check(Algorithm::Crc64Nvme, "ae8b14860a799888");
        check(Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        check(
            Algorithm::Sha256,
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
        );
    }

    proptest::proptest! {
        #[test]
        fn combined_is_the_same_as_together(runs: Vec<Vec<u8>>) {
            let together = runs.concat();
            for algorithm in Algorithm::ALL.into_iter().filter(|a| a.can_combine()) {
                let sums: Vec<Vec<u8>> = runs.iter().map(|run| algorithm.of(run)).collect();
                let pairs = sums.iter().map(Vec::as_slice).zip(runs.iter().map(|run| run.len() as u64));
                proptest::prop_assert_eq!(algorithm.combine(pairs), Some(algorithm.of(&together)));
            }
        }
    }

    #[test]
    fn long_runs_combine_too() {
        let run = vec![7; 70_000];
        for algorithm in Algorithm::ALL.into_iter().filter(|a| a.can_combine()) {
            let sum = algorithm.of(&run);
            let all = algorithm.combine([(sum.as_slice(), 70_000); 3]);
            assert_eq!(
                all,
                Some(algorithm.of(&[run.clone(), run.clone(), run.clone()].concat()))
            );
        }
        assert_eq!(Algorithm::Sha1.combine([]), None);
        assert_eq!(Algorithm::Crc32.combine([(&[1, 2][..], 2)]), None);
    }

    #[test]
    fn a_stated_value_that_was_not_computed_is_a_mismatch() {
        let mut expected = Expected::default();
        expected.values.insert(Algorithm::Sha1, Algorithm::Sha1.of(b"x"));
        assert!(expected.verify(&Sums::default()).is_err());
    }

    #[test]
    fn values_of_a_wrong_length_are_not_read() {
        assert!(Algorithm::Crc32.decode(&base64(&[1, 2, 3])).is_none());
        assert!(Algorithm::Crc32.decode("!").is_none());
        assert_eq!(Algorithm::Crc32.decode("AAAAAQ==").unwrap(), [0, 0, 0, 1]);
    }
}
