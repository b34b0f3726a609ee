//! Keys, stores and helpers that the tests share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cofferdam_encrypt::crypto::{
    CompositeSigner, Dek, Directory, Entropy, OpenError, OpenRequest, Opener, PrivateMetadata, Provider, ProviderKind,
    RecipientSecret, Role, SealRequest, Sealed, Sealer, Signer, Stanza, StanzaAlg, Unwrap, VerifyKey, provider,
};
use cofferdam_schemas::{KeyId, TenantName};
use futures::executor::block_on;

pub fn vectors() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/envelope/vectors"))
}

pub fn json(path: &str) -> serde_json::Value {
    let path = vectors().join("third-party").join(path);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

#[track_caller]
pub fn bytes(value: &serde_json::Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// Runs a test on every provider.
pub fn each_provider(test: impl Fn(Arc<dyn Provider>)) {
    for kind in ProviderKind::ALL {
        test(provider(kind));
    }
}

pub fn rust_crypto() -> Arc<dyn Provider> {
    provider(ProviderKind::RustCrypto)
}

/// Byte `i` is `i mod 251`, a prime, so that no two chunks are equal.
pub fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub fn tenant(name: &str) -> TenantName {
    TenantName::new(name).unwrap()
}

/// Private keys in memory.
#[derive(Default)]
pub struct Keys(pub HashMap<KeyId, RecipientSecret>);

impl Keys {
    pub fn of(secrets: &[&RecipientSecret]) -> Self {
        Self(secrets.iter().map(|&secret| (secret.id(), secret.clone())).collect())
    }
}

#[async_trait]
impl Unwrap for Keys {
    fn holds(&self, id: &KeyId) -> bool {
        self.0.contains_key(id)
    }
    async fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError> {
        self.0[&KeyId(stanza.key_id)].unwrap(stanza, header)
    }
}

/// Trusted signers.
pub struct Trust(pub Vec<VerifyKey>);

impl Directory for Trust {
    fn verifier(&self, signer: &KeyId) -> Option<VerifyKey> {
        self.0.iter().find(|key| key.key_id() == *signer).cloned()
    }
}

/// One tenant's keys and one signer, the same in every run.
pub struct World {
    pub provider: Arc<dyn Provider>,
    pub tenant: TenantName,
    pub object: [u8; 16],
    pub kem: RecipientSecret,
    pub recovery: RecipientSecret,
    pub signer: CompositeSigner,
    pub trust: Trust,
}

pub const TENANT_SEED: [u8; 32] = [0x11; 32];
pub const RECOVERY_SEED: [u8; 32] = [0x22; 32];
pub const SIGNER_ML_DSA_SEED: [u8; 32] = [0x33; 32];
pub const SIGNER_ED25519_SEED: [u8; 32] = [0x44; 32];
pub const ENTROPY_SEED: [u8; 32] = [0x55; 32];
pub const SEALED_AT: u64 = 1_790_000_000_000;
pub const OBJECT: [u8; 16] = *b"\x01\x99\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01";

impl World {
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        let secret =
            |seed: &[u8]| RecipientSecret::from_seed(provider.clone(), StanzaAlg::MlKem768X25519, seed).unwrap();
        let (kem, recovery) = (secret(&TENANT_SEED), secret(&RECOVERY_SEED));
        let signer = CompositeSigner::from_seeds(&SIGNER_ML_DSA_SEED, &SIGNER_ED25519_SEED).deterministic();
        let trust = Trust(vec![signer.verify_key()]);
        Self {
            provider,
            tenant: tenant("acme"),
            object: OBJECT,
            kem,
            recovery,
            signer,
            trust,
        }
    }

    /// A request with every optional part.
    pub fn request(&self) -> SealRequest {
        let recipients = vec![
            self.kem.recipient(Role::Tenant),
            self.recovery.recipient(Role::Recovery),
        ];
        let mut request = SealRequest::new(self.object, self.tenant.clone(), SEALED_AT, recipients);
        request.private = Some(PrivateMetadata {
            key: "reports/2026 Q3 Übersicht.pdf".into(),
            content_type: Some("application/pdf".into()),
            user: [("author".to_owned(), "somebody".to_owned())].into(),
        });
        request.context = vec![
            ("purpose".into(), "archive".into()),
            ("department".into(), "finance".into()),
        ];
        request
    }

    /// Seals with randomness that is the same in every run.
    pub fn seal(&self, request: &SealRequest, plaintext: &[u8]) -> SealedObject {
        self.seal_signed(request, plaintext, &self.signer)
    }

    pub fn seal_signed(&self, request: &SealRequest, plaintext: &[u8], signer: &dyn Signer) -> SealedObject {
        let entropy = Entropy::from_seed(self.provider.as_ref(), &ENTROPY_SEED).unwrap();
        let sealer = Sealer::with_entropy(self.provider.as_ref(), request, signer, entropy).unwrap();
        finish(sealer, plaintext, signer)
    }

    /// Seals with fresh randomness.
    pub fn seal_fresh(&self, plaintext: &[u8]) -> SealedObject {
        let sealer = Sealer::new(self.provider.as_ref(), &self.request(), &self.signer).unwrap();
        finish(sealer, plaintext, &self.signer)
    }

    pub fn open_request(&self) -> OpenRequest<'_> {
        OpenRequest::new(&self.tenant).object(self.object)
    }

    pub fn begin(&self, object: &[u8], request: &OpenRequest<'_>, keys: &dyn Unwrap) -> Result<Opener, OpenError> {
        let needs = Opener::needs(&object[..object.len().min(20)])?;
        let head = &object[..object.len().min(needs)];
        block_on(Opener::begin(self.provider.clone(), head, &self.trust, request, keys))
    }

    /// Opens in full, as a stream.
    pub fn open_with(&self, object: &[u8], request: &OpenRequest<'_>, keys: &dyn Unwrap) -> Result<Vec<u8>, OpenError> {
        let opener = self.begin(object, request, keys)?;
        let mut stream = opener.stream()?;
        let mut out = Vec::new();
        for piece in object[opener.consumed() as usize..].chunks(10_000) {
            stream.update(piece, &mut out)?;
        }
        stream.finish()?;
        assert_eq!(out.len() as u64, opener.plaintext_len());
        Ok(out)
    }
}

/// A sealed object as bytes, and what sealing said about it.
pub struct SealedObject {
    pub object: Vec<u8>,
    pub sealed: Sealed,
}

fn finish(mut sealer: Sealer, plaintext: &[u8], signer: &dyn Signer) -> SealedObject {
    let head_len = sealer.head_len();
    let mut payload = sealer.update(plaintext).unwrap();
    let sealed = block_on(sealer.finish(signer)).unwrap();
    payload.extend_from_slice(&sealed.tail);
    assert_eq!(sealed.head.len(), head_len, "the head's length is known in advance");
    assert_eq!(payload.len() as u64, sealed.summary.payload_len);
    let object = [sealed.head.as_slice(), &payload].concat();
    assert_eq!(object.len() as u64, sealed.summary.object_len());
    SealedObject { object, sealed }
}
