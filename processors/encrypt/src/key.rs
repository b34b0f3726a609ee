//! Keys and their ids.

use std::fmt;
use std::sync::{Arc, OnceLock};

use cofferdam_envelope::{Role, Stanza, StanzaAlg, label};
use cofferdam_schemas::{KeyId, TenantName};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::{
    Coins, Decapsulator, Encapsulated, Encapsulator, Kem, Provider, ProviderKind, validate_public_key,
};
use crate::error::{CryptoError, OpenError, OpenReason};
use crate::hpke;

/// Length of a data key in bytes.
pub const DEK_LEN: usize = 32;

/// The data key of one object: 32 random bytes, used for that object and never again. Zeroed when dropped; its `Debug` shows nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Dek([u8; DEK_LEN]);

impl Dek {
    /// From the bytes a key service opened.
    pub fn from_bytes(bytes: [u8; DEK_LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) fn random(provider: &dyn Provider) -> Result<Self, CryptoError> {
        let mut dek = Self([0; DEK_LEN]);
        provider.random(&mut dek.0)?;
        Ok(dek)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; DEK_LEN] {
        &self.0
    }
}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek(..)")
    }
}

fn first_16(hash: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hash[..16]);
    out
}

/// The id of a public key. `alg` is the stanza algorithm, for signers [`SignatureAlg::key_id_alg`](cofferdam_envelope::SignatureAlg::key_id_alg).
pub fn key_id(alg: u16, public: &[u8]) -> KeyId {
    KeyId(first_16(&Sha256::digest(label::key_id_input(alg, public))))
}

/// A tenant's id in the envelope.
pub fn tenant_id(name: &TenantName) -> [u8; 16] {
    first_16(&Sha256::digest(label::tenant_input(name.as_str())))
}

/// SHA-256, where the format asks for it.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A public key to seal to, and what its holder is to the object. Cheap to clone.
#[derive(Clone)]
pub struct RecipientKey {
    pub(crate) role: Role,
    pub(crate) alg: StanzaAlg,
    pub(crate) id: KeyId,
    pub(crate) public: Arc<[u8]>,
    ready: Ready,
}

/// A public key made ready for use, by the provider it was used with: reading it again for each object costs as much as some of the sealing.
type Ready = Arc<[OnceLock<Arc<dyn Encapsulator>>; ProviderKind::ALL.len()]>;

impl PartialEq for RecipientKey {
    fn eq(&self, other: &Self) -> bool {
        (self.role, self.alg, self.id, &self.public) == (other.role, other.alg, other.id, &other.public)
    }
}

impl Eq for RecipientKey {}

impl RecipientKey {
    /// Checks a public key and takes it. Fails if the algorithm is none that seals ([`CryptoError::Unsupported`]) or the key is none
    /// ([`CryptoError::PublicKey`]).
    pub fn new(role: Role, alg: StanzaAlg, public: &[u8]) -> Result<Self, CryptoError> {
        let kem = Kem::of(alg).ok_or(CryptoError::Unsupported {
            alg: alg.id(),
            provider: "this version",
        })?;
        validate_public_key(kem, public)?;
        Ok(Self::trusted(role, alg, public))
    }

    /// The MLKEM768-X25519 key of a pair this program made itself. Anybody else's key goes through [`Self::new`], which checks it.
    pub fn x_wing(role: Role, public: &[u8; 1216]) -> Self {
        Self::trusted(role, StanzaAlg::MlKem768X25519, public)
    }

    fn trusted(role: Role, alg: StanzaAlg, public: &[u8]) -> Self {
        Self {
            role,
            alg,
            id: key_id(alg.id(), public),
            public: public.into(),
            ready: Ready::default(),
        }
    }

    /// What the holder is to the object.
    pub fn role(&self) -> Role {
        self.role
    }
    /// How the data key is wrapped.
    pub fn alg(&self) -> StanzaAlg {
        self.alg
    }
    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }
    /// The public key.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Makes a shared secret for it.
    pub(crate) fn encapsulate(
        &self,
        provider: &dyn Provider,
        kem: Kem,
        coins: Coins<'_>,
    ) -> Result<Encapsulated, CryptoError> {
        let place = &self.ready[provider.kind() as usize];
        if let Some(key) = place.get() {
            return key.encapsulate(coins);
        }
        let made = provider.encapsulator(kem, &self.public)?;
        place.get_or_init(|| made).encapsulate(coins)
    }
}

impl fmt::Debug for RecipientKey {
    /// Without the key itself: 1,216 numbers say nothing that the id does not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, alg, id, .. } = self;
        f.debug_struct("RecipientKey")
            .field("role", role)
            .field("alg", alg)
            .field("id", id)
            .finish_non_exhaustive()
    }
}

/// A recipient's private key, made ready for use. Keep it as long as it is needed: making it costs as much as opening a stanza.
#[derive(Clone)]
pub struct RecipientSecret {
    provider: Arc<dyn Provider>,
    alg: StanzaAlg,
    id: KeyId,
    key: Arc<dyn Decapsulator>,
}

impl RecipientSecret {
    /// From the seed: 32 bytes for MLKEM768-X25519, 64 for ML-KEM-768.
    pub fn from_seed(provider: Arc<dyn Provider>, alg: StanzaAlg, seed: &[u8]) -> Result<Self, CryptoError> {
        let kem = Kem::of(alg).ok_or(CryptoError::Unsupported {
            alg: alg.id(),
            provider: provider.kind().as_str(),
        })?;
        let key = provider.decapsulator(kem, seed)?;
        let id = key_id(alg.id(), key.public());
        Ok(Self { provider, alg, id, key })
    }

    /// The id of its public key.
    pub fn id(&self) -> KeyId {
        self.id
    }
    /// The public key.
    pub fn public(&self) -> &[u8] {
        self.key.public()
    }
    /// The public key as a recipient.
    pub fn recipient(&self, role: Role) -> RecipientKey {
        RecipientKey {
            role,
            alg: self.alg,
            id: self.id,
            public: self.key.public().into(),
            ready: Ready::default(),
        }
    }

    /// Opens a stanza; `header` is the header hash `H`. Takes about 0.2 ms.
    pub fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError> {
        if stanza.alg != self.alg.id() || stanza.key_id != self.id.0 {
            return Err(OpenReason::NoStanza.into());
        }
        let (enc, _) = stanza.enc_and_ct().ok_or(OpenReason::Encapsulation)?;
        let shared = self.key.decapsulate(enc).map_err(|_| OpenReason::Encapsulation)?;
        hpke::unwrap_with_shared_secret(self.provider.as_ref(), &shared, stanza, header)
    }
}

impl fmt::Debug for RecipientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecipientSecret")
            .field("alg", &self.alg)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
