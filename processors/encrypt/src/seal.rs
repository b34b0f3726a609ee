//! Sealing: plaintext in, payload out, and at the end the head that goes before it.
//!
//! The head's length is known at once; its content is not, because the signature covers the payload's length and hash. Who writes the object therefore keeps room for the
//! head, or sends it last (on S3 as the first part of a multipart upload), or lets the signature be detached.

use cofferdam_envelope::geometry::SALT_LEN;
use cofferdam_envelope::{
    ContextEntry, Core, Extension, ExtensionKind, Flags, Head, PREFIX_LEN, Recipients, Role, SignatureAlg,
    SignatureBlock, Stanza, Suite, encode_context, label,
};
use cofferdam_schemas::{KeyId, TenantName};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{Coins, Kem, Provider, Workers};
use crate::derive;
use crate::error::{CryptoError, SealError};
use crate::escrow;
use crate::hpke;
use crate::key::{Dek, RecipientKey, sha256, tenant_id};
use crate::metadata::PrivateMetadata;
use crate::payload::PayloadSealer;
use crate::traits::{Signature, Signer};

/// What to seal, and for whom.
#[derive(Debug, Clone)]
pub struct SealRequest {
    /// The suite, by policy.
    pub suite: Suite,
    /// Object id (a UUID's bytes).
    pub object: [u8; 16],
    /// The tenant it belongs to.
    pub tenant: TenantName,
    /// When it is sealed, in Unix milliseconds.
    pub sealed_at: u64,
    /// Whom it is sealed for: at least one tenant key and one recovery key, at most 256 in all.
    pub recipients: Vec<RecipientKey>,
    /// Sealed in the head; `None` leaves it out.
    pub private: Option<PrivateMetadata>,
    /// Public and searchable: names and values without NUL, in any order; a name comes once.
    pub context: Vec<ContextEntry>,
    /// A hash that finds the source without telling it.
    pub source_locator_hash: Option<[u8; 32]>,
    /// Retention class, 1 to 64 visible ASCII characters.
    pub retention_class: Option<String>,
    /// Whether the signature block goes beside the object instead of into it.
    pub detached: bool,
}

impl SealRequest {
    /// A request with the default suite and no optional part.
    pub fn new(object: [u8; 16], tenant: TenantName, sealed_at: u64, recipients: Vec<RecipientKey>) -> Self {
        Self {
            suite: Suite::CobblestoneBlake3,
            object,
            tenant,
            sealed_at,
            recipients,
            private: None,
            context: Vec::new(),
            source_locator_hash: None,
            retention_class: None,
            detached: false,
        }
    }

    fn core(&self, signer: &KeyId) -> Core {
        Core {
            suite: self.suite,
            flags: Flags {
                detached: self.detached,
                erasable: false,
            },
            object: self.object,
            tenant: tenant_id(&self.tenant),
            sealed_at: self.sealed_at,
            signer: signer.0,
            extensions: Vec::new(),
        }
    }
}

/// The randomness of one object.
pub struct Entropy {
    dek: Dek,
    salt: [u8; SALT_LEN],
    /// Where the coins of ordinary stanzas come from; `None`: drawn by the provider.
    coins: Option<Zeroizing<[u8; 32]>>,
}

impl Entropy {
    /// Fresh, from the provider. What every object gets.
    pub fn fresh(provider: &dyn Provider) -> Result<Self, CryptoError> {
        let mut salt = [0; SALT_LEN];
        provider.random(&mut salt)?;
        Ok(Self {
            dek: Dek::random(provider)?,
            salt,
            coins: None,
        })
    }

    /// All of it from a seed, so that the same request gives the same bytes. For test vectors: whoever knows the seed opens the object.
    pub fn from_seed(provider: &dyn Provider, seed: &[u8; 32]) -> Result<Self, CryptoError> {
        let mut dek = Zeroizing::new([0; 32]);
        let mut salt = [0; SALT_LEN];
        let mut coins = Zeroizing::new([0; 32]);
        provider.hkdf_sha512_expand(seed, b"vector data key", dek.as_mut_slice())?;
        provider.hkdf_sha512_expand(seed, b"vector salt", &mut salt)?;
        provider.hkdf_sha512_expand(seed, b"vector coins", coins.as_mut_slice())?;
        Ok(Self {
            dek: Dek::from_bytes(*dek),
            salt,
            coins: Some(coins),
        })
    }

    fn stanza(
        &self,
        provider: &dyn Provider,
        recipient: &RecipientKey,
        header: &[u8; 32],
    ) -> Result<Stanza, CryptoError> {
        if hpke::has_derived_coins(recipient.role()) {
            return escrow::recovery_stanza(provider, &self.dek, recipient, header);
        }
        let Some(seed) = &self.coins else {
            return hpke::wrap(provider, recipient, header, &self.dek, Coins::Fresh);
        };
        let mut coins = Zeroizing::new([0; 64]);
        let coins = &mut coins[..Kem::of(recipient.alg()).map_or(64, Kem::coins_len)];
        let info = [&[recipient.role().id()][..], &recipient.id().0].concat();
        provider.hkdf_sha512_expand(seed.as_slice(), &info, coins)?;
        hpke::wrap(provider, recipient, header, &self.dek, Coins::Given(coins))
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

/// What there is to say about a sealed object. No secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealSummary {
    /// Header hash `H`.
    pub header_hash: [u8; 32],
    /// Object id.
    pub object: [u8; 16],
    /// Who signed.
    pub signer: KeyId,
    /// Whom it was sealed for, in the order of the stanzas.
    pub recipients: Vec<(Role, KeyId)>,
    /// Length of the plaintext in bytes.
    pub plaintext_len: u64,
    /// Length of the payload in bytes.
    pub payload_len: u64,
    /// BLAKE3-256 of the payload.
    pub payload_root: [u8; 32],
    /// Length of the head in bytes; the object is head and payload.
    pub head_len: usize,
}

impl SealSummary {
    /// Length of the object in bytes.
    pub fn object_len(&self) -> u64 {
        self.head_len as u64 + self.payload_len
    }
}

/// The end of sealing.
#[derive(Debug)]
pub struct Sealed {
    /// The last bytes of the payload.
    pub tail: Vec<u8>,
    /// The head, which goes before the payload.
    pub head: Vec<u8>,
    /// The signature block, if it was to be detached.
    pub detached: Option<Vec<u8>>,
    /// What there is to say about it.
    pub summary: SealSummary,
}

/// Seals one object in one pass. Synchronous, and bounded in memory: one chunk and the head.
pub struct Sealer {
    fixed: Fixed,
    /// `None` once an update failed.
    payload: Option<PayloadSealer>,
}

/// What does not change while the payload is sealed.
struct Fixed {
    core: Core,
    core_bytes: Vec<u8>,
    header: [u8; 32],
    recipients_bytes: Vec<u8>,
    recipients: Vec<(Role, KeyId)>,
    alg: SignatureAlg,
    certificate: Vec<u8>,
    head_len: usize,
}

impl Sealer {
    /// Begins an object with fresh randomness. Costs the encapsulations: about 0.15 ms a recipient.
    pub fn new(provider: &dyn Provider, request: &SealRequest, signer: &dyn Signer) -> Result<Self, SealError> {
        Self::with_entropy(provider, request, signer, Entropy::fresh(provider)?)
    }

    /// Begins an object with given randomness.
    pub fn with_entropy(
        provider: &dyn Provider,
        request: &SealRequest,
        signer: &dyn Signer,
        entropy: Entropy,
    ) -> Result<Self, SealError> {
        check_recipients(&request.recipients)?;
        let mut core = request.core(&signer.key_id());
        core.extensions = extensions(provider, request, &core, &entropy.dek)?;
        let core_bytes = core.to_bytes()?;
        let header = sha256(&label::header_input(&core_bytes));

        let stanzas = request
            .recipients
            .iter()
            .map(|recipient| entropy.stanza(provider, recipient, &header));
        let mut block = Recipients {
            revision: 0,
            stanzas: stanzas.collect::<Result<_, _>>()?,
            mac: [0; 32],
        };
        block.mac = derive::recipients_mac(provider, &entropy.dek, &header, &block.bytes_without_mac()?)?;
        let recipients_bytes = block.to_bytes()?;

        let (alg, certificate) = (signer.alg(), signer.certificate().to_vec());
        let signature_len = if request.detached {
            0
        } else {
            SignatureBlock::len_for(alg, certificate.len())
        };
        let head_len = PREFIX_LEN + core_bytes.len() + recipients_bytes.len() + signature_len;
        let payload = PayloadSealer::new(
            provider,
            entropy.dek.as_bytes(),
            &entropy.salt,
            &label::payload_context(&header),
        )?;
        let recipients = request
            .recipients
            .iter()
            .map(|recipient| (recipient.role(), recipient.id()))
            .collect();
        let fixed = Fixed {
            core,
            core_bytes,
            header,
            recipients_bytes,
            recipients,
            alg,
            certificate,
            head_len,
        };
        Ok(Self {
            fixed,
            payload: Some(payload),
        })
    }

    /// Length of the head in bytes when the statement is signed by itself: where the payload will begin in the object. Not known before the end with
    /// [`Self::finish_any`].
    pub fn head_len(&self) -> usize {
        self.fixed.head_len
    }

    /// Header hash `H`.
    pub fn header_hash(&self) -> [u8; 32] {
        self.fixed.header
    }

    /// Who does the work; [`Workers::Cores`] unless said otherwise.
    pub fn set_workers(&mut self, workers: Workers) {
        if let Some(payload) = &mut self.payload {
            payload.set_workers(workers);
        }
    }

    /// Seals more plaintext and appends payload bytes to `out`.
    pub fn update_into(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        self.update_all(&[plaintext], out)
    }

    /// The same for plaintext that lies in several pieces.
    pub fn update_all(&mut self, pieces: &[&[u8]], out: &mut Vec<u8>) -> Result<(), SealError> {
        let payload = self.payload.as_mut().ok_or(SealError::Spent)?;
        let updated = payload.update_all(pieces, out);
        if updated.is_err() {
            self.payload = None;
        }
        Ok(updated?)
    }

    /// Seals more plaintext and gives the payload bytes that are ready.
    pub fn update(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::new();
        self.update_into(plaintext, &mut out)?;
        Ok(out)
    }

    /// Seals the end of the plaintext. What comes back only lacks its signature; this part is synchronous, the signer may not be.
    pub fn finish_unsigned(self) -> Result<Unsigned, SealError> {
        let mut tail = Vec::new();
        let payload = self.payload.ok_or(SealError::Spent)?.finish(&mut tail)?;
        let fixed = self.fixed;
        let summary = SealSummary {
            header_hash: fixed.header,
            object: fixed.core.object,
            signer: KeyId(fixed.core.signer),
            recipients: fixed.recipients.clone(),
            plaintext_len: payload.plaintext_len,
            payload_len: payload.payload_len,
            payload_root: payload.payload_root,
            head_len: fixed.head_len,
        };
        let statement = label::statement(&label::Statement {
            header: &fixed.header,
            recipients: &sha256(&fixed.recipients_bytes),
            payload_len: payload.payload_len,
            payload_root: &payload.payload_root,
            signer: &fixed.core.signer,
        });
        Ok(Unsigned {
            fixed,
            tail,
            statement,
            summary,
        })
    }

    /// Seals the end of the plaintext and has it signed.
    pub async fn finish(self, signer: &dyn Signer) -> Result<Sealed, SealError> {
        let unsigned = self.finish_unsigned()?;
        let signature = signer.sign(unsigned.statement()).await?;
        unsigned.complete(signature)
    }

    /// The same, with whatever kind of signature suits the signer: the head may get longer than [`Self::head_len`] said.
    pub async fn finish_any(self, signer: &dyn Signer) -> Result<Sealed, SealError> {
        let unsigned = self.finish_unsigned()?;
        let signature = signer.sign_any(unsigned.statement()).await?;
        unsigned.complete_with(signature)
    }
}

/// An object that lacks its signature.
pub struct Unsigned {
    fixed: Fixed,
    tail: Vec<u8>,
    statement: Vec<u8>,
    summary: SealSummary,
}

impl Unsigned {
    /// What is to be signed under the origin context.
    pub fn statement(&self) -> &[u8] {
        &self.statement
    }

    /// Puts the head together with a signature over this statement alone. It is not verified here, only its length.
    pub fn complete(self, signature: Vec<u8>) -> Result<Sealed, SealError> {
        let alg = self.fixed.alg;
        self.complete_with(Signature::alone(alg, signature))
    }

    /// Puts the head together. The signature is not verified here, only its length.
    pub fn complete_with(self, signature: Signature) -> Result<Sealed, SealError> {
        let fixed = self.fixed;
        let block = SignatureBlock {
            alg: signature.alg,
            signer: fixed.core.signer,
            certificate: fixed.certificate,
            payload_len: self.summary.payload_len,
            payload_root: self.summary.payload_root,
            inclusion: signature.inclusion,
            signature: signature.bytes,
        };
        let block = block.to_bytes()?;
        let (inside, detached) = if fixed.core.flags.detached {
            (Vec::new(), Some(block))
        } else {
            (block, None)
        };
        let head = Head::assemble(&fixed.core_bytes, &fixed.recipients_bytes, &inside)?;
        let summary = SealSummary {
            head_len: head.len(),
            ..self.summary
        };
        Ok(Sealed {
            tail: self.tail,
            head,
            detached,
            summary,
        })
    }
}

fn check_recipients(recipients: &[RecipientKey]) -> Result<(), SealError> {
    let has = |role: Role| recipients.iter().any(|recipient| recipient.role() == role);
    if !has(Role::Tenant) {
        return Err(SealError::Recipients("a tenant key is missing"));
    }
    if !has(Role::Recovery) {
        return Err(SealError::Recipients("a recovery key is missing"));
    }
    Ok(())
}

fn extensions(
    provider: &dyn Provider,
    request: &SealRequest,
    core: &Core,
    dek: &Dek,
) -> Result<Vec<Extension>, SealError> {
    let mut extensions = Vec::new();
    if !request.context.is_empty() {
        let mut entries = request.context.clone();
        entries.sort();
        extensions.push(Extension::new(ExtensionKind::Context, encode_context(&entries)?));
    }
    if let Some(private) = &request.private {
        extensions.push(Extension::new(
            ExtensionKind::PrivateMetadata,
            private.seal(provider, dek, core)?,
        ));
    }
    if let Some(hash) = &request.source_locator_hash {
        extensions.push(Extension::new(ExtensionKind::SourceLocatorHash, hash.to_vec()));
    }
    if let Some(class) = &request.retention_class {
        extensions.push(Extension::new(ExtensionKind::RetentionClass, class.as_bytes().to_vec()));
    }
    Ok(extensions)
}
