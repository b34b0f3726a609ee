//! The key ring while it is open.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use cofferdam_schemas::{KeyId, TenantName, Timestamp};
use secrecy::SecretString;
use serde::Serialize;

use super::age::{self, PUBLIC_LEN, Seed};
use super::content::{Content, Epoch, SignerEntry};
use super::disk::{self, Existing};
use super::error::KeyError;
use super::protection::{self, Header, Protection, Root};
use crate::crypto::{
    self, CompositeSigner, CryptoError, Provider, ProviderKind, RecipientKey, RecipientSecret, Role, Signer as _,
    StanzaAlg, VerifyKey,
};

/// One key pair of a tenant.
#[derive(Clone)]
pub struct KeyPair {
    pub(crate) seed: Seed,
    recipient: RecipientKey,
    epoch: u32,
    created: Timestamp,
}

impl KeyPair {
    fn new(role: Role, epoch: &Epoch) -> Self {
        let public = age::public_key(&epoch.seed.0);
        let recipient = RecipientKey::x_wing(role, &public);
        Self {
            seed: epoch.seed.0.clone(),
            recipient,
            epoch: epoch.epoch,
            created: epoch.created,
        }
    }
    /// What is sealed to.
    pub fn recipient_key(&self) -> &RecipientKey {
        &self.recipient
    }
    /// Counts up from 1.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
    /// When it was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }
    /// The secret as a person holds it: `AGE-SECRET-KEY-PQ-1…`. Whoever has it opens what was sealed to this key.
    pub fn identity(&self) -> SecretString {
        age::identity(&self.seed)
    }
    /// The public key as a person holds it: `age1pq1…`.
    pub fn recipient(&self) -> String {
        age::recipient(&self.public())
    }
    fn public(&self) -> Box<[u8; PUBLIC_LEN]> {
        age::public_key(&self.seed)
    }
    fn describe(&self) -> PublicKey {
        PublicKey {
            epoch: self.epoch,
            created: self.created,
            key_id: self.recipient.id(),
            recipient: self.recipient(),
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("id", &self.recipient.id())
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// The keys a tenant's documents are sealed to: the newest of each kind.
#[derive(Debug, Clone)]
pub struct TenantKeys {
    /// TENANT-KEM: opens in everyday use.
    pub kem: KeyPair,
    /// TENANT-RECOVERY: opens when the other is lost.
    pub recovery: KeyPair,
}

/// A public key of a tenant, for showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    /// Counts up from 1.
    pub epoch: u32,
    /// When it was made.
    pub created: Timestamp,
    /// Its id in sealed objects.
    pub key_id: KeyId,
    /// `age1pq1…`.
    pub recipient: String,
}

/// The public keys of a tenant, the newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantPublicKeys {
    /// The tenant.
    pub tenant: TenantName,
    /// TENANT-KEM.
    pub kem: Vec<PublicKey>,
    /// TENANT-RECOVERY.
    pub recovery: Vec<PublicKey>,
}

/// A signing key's public side: who verifies sealed objects without us needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerKey {
    /// Its id in sealed objects.
    pub key_id: KeyId,
    /// When it began to sign.
    pub not_before: Timestamp,
    /// When it ends to sign; what it signed stays valid.
    pub not_after: Timestamp,
    /// ML-DSA-65 (1,952 bytes), then Ed25519 (32 bytes), in hex.
    pub public: String,
}

/// Everything about the ring that is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicKeys {
    /// By tenant.
    pub tenants: Vec<TenantPublicKeys>,
    /// Signing keys, the newest last.
    pub signers: Vec<SignerKey>,
}

/// What a person has to know after the ring was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// There was no ring: it was made, and has to be backed up.
    FirstStart(FirstStart),
    /// The ring has new keys: the backup made before does not have them.
    BackUpAgain {
        /// The ring.
        ring: PathBuf,
        /// Tenants that had no keys before.
        tenants: Vec<TenantName>,
        /// Whether there is a new signing key.
        signer: bool,
    },
}

/// Where the new ring is, and what opens it. Losing either of the two loses every sealed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstStart {
    /// The ring.
    pub ring: PathBuf,
    /// The key file; `None` when it is a passphrase.
    pub key_file: Option<PathBuf>,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::FirstStart(FirstStart {
                ring,
                key_file: Some(key_file),
            }) => write!(
                f,
                "new keys were made; back up the key ring {} and the key file {}, in different places: who has both opens everything, who loses one loses everything",
                ring.display(),
                key_file.display()
            ),
            Notice::FirstStart(FirstStart { ring, key_file: None }) => write!(
                f,
                "new keys were made; back up the key ring {} and remember the passphrase: who has both opens everything, who loses one loses everything",
                ring.display()
            ),
            Notice::BackUpAgain { ring, tenants, signer } => {
                write!(f, "key ring {} has new keys (", ring.display())?;
                for (n, tenant) in tenants.iter().enumerate() {
                    write!(f, "{}{tenant}", if n == 0 { "tenants " } else { ", " })?;
                }
                match (signer, tenants.is_empty()) {
                    (true, true) => f.write_str("signing key")?,
                    (true, false) => f.write_str("; signing key")?,
                    (false, _) => {}
                }
                f.write_str("): back it up again")
            }
        }
    }
}

/// An open ring, and what there is to say about it.
#[derive(Debug)]
pub struct Opened {
    /// The ring.
    pub ring: KeyRing,
    /// For a person.
    pub notice: Option<Notice>,
}

/// Where a ring is and how it is used.
#[derive(Debug, Clone)]
pub struct RingSettings {
    /// The file.
    pub path: PathBuf,
    /// What opens it.
    pub protection: Protection,
    /// Who computes with its keys.
    pub provider: ProviderKind,
}

/// The key ring, open. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct KeyRing(Arc<Ring>);

struct Ring {
    path: PathBuf,
    provider: Arc<dyn Provider>,
    header: Header,
    root: Root,
    /// Held while the file is written, so that two writers of this process come one after the other.
    writing: Mutex<()>,
    keys: RwLock<Keys>,
}

/// The content, made ready for use.
pub(super) struct Keys {
    content: Content,
    newest: BTreeMap<TenantName, Arc<TenantKeys>>,
    /// Every private key there is, by the id of its public key.
    pub(super) held: HashMap<KeyId, Arc<Held>>,
    /// Oldest first.
    pub(super) signers: Vec<Arc<CompositeSigner>>,
    pub(super) verifiers: HashMap<KeyId, VerifyKey>,
}

/// One private key.
pub(super) struct Held {
    pub(super) tenant: TenantName,
    pub(super) recipient: RecipientKey,
    seed: Seed,
    /// Made at its first use: most tenants' keys, and all recovery keys, are not used between two starts.
    ready: OnceLock<RecipientSecret>,
}

impl Held {
    pub(super) fn secret(&self, provider: &Arc<dyn Provider>) -> Result<&RecipientSecret, CryptoError> {
        if let Some(ready) = self.ready.get() {
            return Ok(ready);
        }
        let made = RecipientSecret::from_seed(provider.clone(), StanzaAlg::MlKem768X25519, &self.seed[..])?;
        Ok(self.ready.get_or_init(|| made))
    }
}

impl Keys {
    fn new(content: Content) -> Self {
        let mut held = HashMap::new();
        let mut newest = BTreeMap::new();
        for (tenant, entry) in &content.tenants {
            let mut last = |role: Role, epochs: &[Epoch]| {
                let mut last = None;
                for pair in epochs.iter().map(|epoch| KeyPair::new(role, epoch)) {
                    let (seed, recipient) = (pair.seed.clone(), pair.recipient.clone());
                    let one = Held {
                        tenant: tenant.clone(),
                        recipient,
                        seed,
                        ready: OnceLock::new(),
                    };
                    held.insert(pair.recipient.id(), Arc::new(one));
                    last = Some(pair);
                }
                last
            };
            // `Content::is_complete` was checked: both are there.
            if let (Some(kem), Some(recovery)) = (last(Role::Tenant, &entry.kem), last(Role::Recovery, &entry.recovery))
            {
                newest.insert(tenant.clone(), Arc::new(TenantKeys { kem, recovery }));
            }
        }
        let signers = content.signers.iter().map(signer).collect::<Vec<_>>();
        let verifiers = signers.iter().map(|s| (s.key_id(), s.verify_key())).collect();
        Self {
            content,
            newest,
            held,
            signers,
            verifiers,
        }
    }
}

fn signer(entry: &SignerEntry) -> Arc<CompositeSigner> {
    Arc::new(CompositeSigner::from_seeds(&entry.ml_dsa_65.0, &entry.ed25519.0))
}

impl KeyRing {
    /// Opens the ring. When it is not there it is made, with a key file if one is wanted and missing. Tenants without
    /// keys get them, and a signing key that ends within 30 days a successor. Blocks; safe against other processes
    /// doing the same.
    pub fn open_or_create(settings: &RingSettings, tenants: &[TenantName], now: Timestamp) -> Result<Opened, KeyError> {
        let RingSettings {
            path,
            protection,
            provider,
        } = settings;
        let _lock = disk::lock(path)?;
        let (header, root, mut content, fresh) = match protection::read_ring(path, protection)? {
            Some((header, root, content)) => (header, root, content, false),
            None => {
                let header = Header::new(protection)?;
                let root = protection::root(path, &header, protection, true)?;
                (header, root, Content::default(), true)
            }
        };
        let added = content.add_tenants(tenants, now)?;
        let signer = content.renew_signer(now)?;
        if fresh || signer || !added.is_empty() {
            let existing = if fresh { Existing::Keep } else { Existing::Replace };
            if !protection::write_ring(path, &header, &root, &content, existing)? {
                return Err(KeyError::damaged(path, "it appeared while it was being made"));
            }
        }
        let notice = match (fresh, signer || !added.is_empty(), protection) {
            (true, _, Protection::KeyFile(key_file)) => Some(Notice::FirstStart(FirstStart {
                ring: path.clone(),
                key_file: Some(key_file.clone()),
            })),
            (true, _, Protection::Passphrase(_)) => Some(Notice::FirstStart(FirstStart {
                ring: path.clone(),
                key_file: None,
            })),
            (false, true, _) => Some(Notice::BackUpAgain {
                ring: path.clone(),
                tenants: added,
                signer,
            }),
            (false, false, _) => None,
        };
        Ok(Opened {
            ring: Self::new(path, *provider, header, root, content),
            notice,
        })
    }

    /// Opens a ring that is there and changes nothing, with the default provider; for people's commands.
    pub fn open(path: &Path, protection: &Protection) -> Result<KeyRing, KeyError> {
        let missing = || KeyError::io("read", path)(std::io::ErrorKind::NotFound.into());
        let (header, root, content) = protection::read_ring(path, protection)?.ok_or_else(missing)?;
        Ok(Self::new(path, ProviderKind::default(), header, root, content))
    }

    fn new(path: &Path, provider: ProviderKind, header: Header, root: Root, content: Content) -> Self {
        let (provider, keys) = (crypto::provider(provider), RwLock::new(Keys::new(content)));
        Self(Arc::new(Ring {
            path: path.to_owned(),
            provider,
            header,
            root,
            writing: Mutex::new(()),
            keys,
        }))
    }

    pub(super) fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn provider(&self) -> &Arc<dyn Provider> {
        &self.0.provider
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The keys a tenant's documents are sealed to; `None` when it has none yet.
    pub fn tenant(&self, tenant: &TenantName) -> Option<Arc<TenantKeys>> {
        self.keys().newest.get(tenant).cloned()
    }

    /// Everything that is no secret.
    pub fn public_keys(&self) -> PublicKeys {
        let keys = self.keys();
        let list = |role, epochs: &[Epoch]| epochs.iter().map(|e| KeyPair::new(role, e).describe()).collect();
        let tenants = keys.content.tenants.iter().map(|(tenant, entry)| TenantPublicKeys {
            tenant: tenant.clone(),
            kem: list(Role::Tenant, &entry.kem),
            recovery: list(Role::Recovery, &entry.recovery),
        });
        let signers = keys
            .content
            .signers
            .iter()
            .zip(&keys.signers)
            .map(|(entry, signer)| SignerKey {
                key_id: signer.key_id(),
                not_before: entry.not_before,
                not_after: entry.not_after,
                public: hex::encode(signer.public()),
            });
        PublicKeys {
            tenants: tenants.collect(),
            signers: signers.collect(),
        }
    }

    /// Makes keys for tenants that have none; says which these are. Blocks on the file.
    pub fn add_tenants(&self, tenants: &[TenantName], now: Timestamp) -> Result<Vec<TenantName>, KeyError> {
        self.change(|content| {
            content
                .add_tenants(tenants, now)
                .map(|added| (!added.is_empty(), added))
        })
    }

    /// Whether [`Self::renew_signer`] has something to do.
    pub fn signer_ends_soon(&self, now: Timestamp) -> bool {
        self.keys().content.signer_ends_soon(now)
    }

    /// Makes a successor when the signing key ends soon. Blocks on the file.
    pub fn renew_signer(&self, now: Timestamp) -> Result<(), KeyError> {
        self.change(|content| content.renew_signer(now).map(|made| (made, ())))
    }

    /// Changes the ring as it is in the file now (another process may have added keys), file first.
    fn change<T>(&self, change: impl FnOnce(&mut Content) -> Result<(bool, T), KeyError>) -> Result<T, KeyError> {
        let ring = &*self.0;
        let _writing = ring.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = disk::lock(&ring.path)?;
        let mut content = protection::read_content(&ring.path, &ring.root)?;
        let (changed, value) = change(&mut content)?;
        if changed {
            protection::write_ring(&ring.path, &ring.header, &ring.root, &content, Existing::Replace)?;
        }
        let keys = Keys::new(content);
        *ring.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(value)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}
