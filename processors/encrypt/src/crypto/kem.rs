//! The KEMs of draft-ietf-hpke-pq that stanzas use.

use cofferdam_envelope::StanzaAlg;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zeroize::Zeroizing;

/// Label of the X-Wing combiner: `\.//^\`.
pub(super) const X_WING_LABEL: &[u8; 6] = br"\.//^\";

/// Lengths in bytes of ML-KEM-768 and X25519.
pub(super) const ML_KEM_768_PUBLIC_LEN: usize = 1184;
pub(super) const ML_KEM_768_ENC_LEN: usize = 1088;
pub(super) const ML_KEM_768_SEED_LEN: usize = 64;
pub(super) const X25519_LEN: usize = 32;

/// A KEM of the HPKE registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kem {
    /// 0x647a: MLKEM768-X25519, also called X-Wing. A private key is a 32-byte seed.
    MlKem768X25519,
    /// 0x0041: ML-KEM-768 alone. A private key is the 64-byte seed `d ‖ z`.
    MlKem768,
}

impl Kem {
    /// All KEMs that the providers compute.
    pub const ALL: [Kem; 2] = [Kem::MlKem768X25519, Kem::MlKem768];

    /// The KEM of a stanza algorithm. MLKEM768-P256 (0x0050) is registered for keys that live in a hardware service, whose `Unwrap` combines the two halves
    /// itself; no provider computes it yet.
    pub fn of(alg: StanzaAlg) -> Option<Self> {
        match alg {
            StanzaAlg::MlKem768X25519 => Some(Kem::MlKem768X25519),
            StanzaAlg::MlKem768 => Some(Kem::MlKem768),
            _ => None,
        }
    }

    /// Its number in the HPKE registry.
    pub fn id(self) -> u16 {
        match self {
            Kem::MlKem768X25519 => 0x647a,
            Kem::MlKem768 => 0x0041,
        }
    }

    /// Length of a public key in bytes.
    pub fn public_len(self) -> usize {
        match self {
            Kem::MlKem768X25519 => ML_KEM_768_PUBLIC_LEN + X25519_LEN,
            Kem::MlKem768 => ML_KEM_768_PUBLIC_LEN,
        }
    }

    /// Length of a private key (a seed) in bytes.
    pub fn private_len(self) -> usize {
        match self {
            Kem::MlKem768X25519 => 32,
            Kem::MlKem768 => ML_KEM_768_SEED_LEN,
        }
    }

    /// Length of an encapsulation in bytes.
    pub fn enc_len(self) -> usize {
        match self {
            Kem::MlKem768X25519 => ML_KEM_768_ENC_LEN + X25519_LEN,
            Kem::MlKem768 => ML_KEM_768_ENC_LEN,
        }
    }

    /// How many bytes of randomness an encapsulation takes.
    pub fn coins_len(self) -> usize {
        match self {
            Kem::MlKem768X25519 => 64,
            Kem::MlKem768 => 32,
        }
    }
}

/// An X-Wing seed, expanded: ML-KEM-768's `d ‖ z`, then the X25519 scalar.
pub(super) struct ExpandedSeed(Zeroizing<[u8; ML_KEM_768_SEED_LEN + X25519_LEN]>);

impl ExpandedSeed {
    pub(super) fn new(seed: &[u8]) -> Self {
        let mut shake = shake::Shake256::default();
        shake.update(seed);
        let mut out = Zeroizing::new([0; ML_KEM_768_SEED_LEN + X25519_LEN]);
        shake.finalize_xof().read(out.as_mut_slice());
        Self(out)
    }

    pub(super) fn ml_kem(&self) -> &[u8] {
        &self.0[..ML_KEM_768_SEED_LEN]
    }

    pub(super) fn x25519(&self) -> &[u8] {
        &self.0[ML_KEM_768_SEED_LEN..]
    }
}
