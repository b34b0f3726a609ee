//! Opening, in the one order there is:
//!
//! 1. parse with the limits; refuse unknown versions, suites, flags and critical extensions;
//! 2. find the signer in the trusted directory and verify the signature;
//! 3. compare tenant and object with what the caller may have;
//! 4. choose a stanza by key id, decapsulate, open it;
//! 5. check the MAC over the recipients;
//! 6. check the payload's key commitment;
//! 7. chunks: authenticate, then release;
//! 8. after a full read, compare the signed hash of the payload.
//!
//! Nothing secret is touched before the signature holds. Steps 4 to 7 have one outward error.

use std::ops::Range;
use std::sync::Arc;

use cofferdam_envelope::geometry::{self, PAYLOAD_HEAD_LEN};
use cofferdam_envelope::{
    ContextEntry, Core, EnvelopeError, ExtensionKind, Head, PREFIX_LEN, Role, SignatureAlg, SignatureBlock, Stanza,
    StanzaAlg, Suite, decode_context, label,
};
use cofferdam_schemas::{KeyId, TenantName};
use subtle::ConstantTimeEq;

use crate::crypto::Provider;
use crate::derive::{self, PayloadKeys};
use crate::error::{OpenError, OpenReason, Refused, Untrusted};
use crate::escrow::escrow_proof;
use crate::key::{Dek, RecipientKey, sha256, tenant_id};
use crate::metadata::PrivateMetadata;
use crate::payload::{self, PayloadOpener, RangeOpener};
use crate::traits::{Directory, Unwrap};

/// What a tenant's policy allows to be opened. An allow-list, not "whatever parses".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPolicy {
    /// Suites.
    pub suites: Vec<Suite>,
    /// How the data key may be wrapped.
    pub stanza_algs: Vec<StanzaAlg>,
    /// How the object may be signed.
    pub signature_algs: Vec<SignatureAlg>,
    /// In which roles we may open.
    pub roles: Vec<Role>,
}

impl Default for OpenPolicy {
    /// What sealing makes: suite 0x0001, MLKEM768-X25519, the composite signature by itself or over a batch; every role.
    fn default() -> Self {
        Self {
            suites: vec![Suite::CobblestoneBlake3],
            stanza_algs: vec![StanzaAlg::MlKem768X25519],
            signature_algs: vec![SignatureAlg::MlDsa65Ed25519, SignatureAlg::Batch],
            roles: Role::ALL.to_vec(),
        }
    }
}

/// What the caller expects of an object.
#[derive(Debug, Clone)]
pub struct OpenRequest<'a> {
    /// The tenant on whose behalf it is opened.
    pub tenant: &'a TenantName,
    /// The object id, if the caller knows which object it asked for.
    pub object: Option<[u8; 16]>,
    /// The object's length as its store tells it; compared with the signed one.
    pub object_len: Option<u64>,
    /// The signature block, if it is detached.
    pub detached: Option<&'a [u8]>,
    /// What may be opened.
    pub policy: OpenPolicy,
}

impl<'a> OpenRequest<'a> {
    /// Any object of a tenant, by the default policy.
    pub fn new(tenant: &'a TenantName) -> Self {
        Self {
            tenant,
            object: None,
            object_len: None,
            detached: None,
            policy: OpenPolicy::default(),
        }
    }

    /// One object.
    pub fn object(self, object: [u8; 16]) -> Self {
        Self {
            object: Some(object),
            ..self
        }
    }

    /// An object of this length.
    pub fn object_len(self, len: u64) -> Self {
        Self {
            object_len: Some(len),
            ..self
        }
    }
}

/// A head after steps 1 to 3: signed by somebody trusted, and the caller's. Nothing is decrypted yet.
#[derive(Debug)]
pub struct VerifiedHead {
    provider: Arc<dyn Provider>,
    head: Head,
    block: SignatureBlock,
    header: [u8; 32],
    recipients_without_mac: Vec<u8>,
    payload_head: [u8; PAYLOAD_HEAD_LEN],
    payload_offset: u64,
    plaintext_len: u64,
    policy: OpenPolicy,
}

impl VerifiedHead {
    /// Steps 1 to 3. `bytes` are the first bytes of the object, at least as many as [`Opener::needs`] says; more do no harm. Synchronous, about 0.15 ms.
    pub fn verify(
        provider: Arc<dyn Provider>,
        bytes: &[u8],
        directory: &dyn Directory,
        request: &OpenRequest<'_>,
    ) -> Result<Self, OpenError> {
        // 1
        let head = Head::parse(bytes).map_err(OpenError::Envelope)?;
        let payload_offset = head.prefix.payload_offset();
        let payload_head = bytes[payload_offset..].first_chunk::<PAYLOAD_HEAD_LEN>().ok_or({
            let needs = (payload_offset + PAYLOAD_HEAD_LEN) as u64;
            OpenError::Envelope(EnvelopeError::Truncated {
                part: "payload",
                needs,
                has: bytes.len() as u64,
            })
        })?;
        let block = match (&head.signature, request.detached) {
            (Some(block), _) => block.clone(),
            (None, Some(bytes)) => head.parse_detached(bytes).map_err(OpenError::Envelope)?,
            (None, None) => return Err(Untrusted::Missing.into()),
        };
        let plaintext_len = geometry::plaintext_len(block.payload_len).map_err(OpenError::Envelope)?;
        let core = &head.core;
        if !request.policy.suites.contains(&core.suite) {
            return Err(Refused::Suite(core.suite.id()).into());
        }
        if core.flags.erasable {
            return Err(Refused::Erasable.into());
        }
        // 2
        if !request.policy.signature_algs.contains(&block.alg) {
            return Err(Refused::SignatureAlg(block.alg.id()).into());
        }
        let header = sha256(&label::header_input(&bytes[head.core_range.clone()]));
        let recipients = &bytes[head.recipients_range.clone()];
        verify_signature(directory, core, &block, &header, recipients)?;
        // 3
        if !bool::from(core.tenant.ct_eq(&tenant_id(request.tenant))) {
            return Err(Refused::Tenant.into());
        }
        if request.object.is_some_and(|object| object != core.object) {
            return Err(Refused::Object.into());
        }
        check_len(request.object_len, payload_offset as u64, block.payload_len)?;

        let recipients_without_mac = recipients[..recipients.len() - cofferdam_envelope::MAC_LEN].to_vec();
        let (payload_head, payload_offset) = (*payload_head, payload_offset as u64);
        let policy = request.policy.clone();
        let verified = Self {
            provider,
            block,
            header,
            recipients_without_mac,
            payload_head,
            payload_offset,
            plaintext_len,
            policy,
            head,
        };
        Ok(verified)
    }

    /// The core.
    pub fn core(&self) -> &Core {
        &self.head.core
    }

    /// Who can unwrap the data key.
    pub fn stanzas(&self) -> &[Stanza] {
        &self.head.recipients.stanzas
    }

    /// Steps 4 to 6: unwraps the data key and checks everything that hangs on it.
    pub async fn unlock(self, unwrap: &dyn Unwrap) -> Result<Opener, OpenError> {
        let (dek, role, key_id) = self.data_key(unwrap).await?;
        self.unlock_with(dek, role, key_id)
    }

    /// Step 4. A stanza that does not open does not hide another that does.
    async fn data_key(&self, unwrap: &dyn Unwrap) -> Result<(Dek, Role, KeyId), OpenError> {
        let mut failed = OpenError::CannotOpen(OpenReason::NoStanza);
        for stanza in &self.head.recipients.stanzas {
            let key_id = KeyId(stanza.key_id);
            let allowed = StanzaAlg::from_id(stanza.alg).is_some_and(|alg| self.policy.stanza_algs.contains(&alg));
            if !allowed || !self.policy.roles.contains(&stanza.role) || !unwrap.holds(&key_id) {
                continue;
            }
            match unwrap.unwrap(stanza, &self.header).await {
                Ok(dek) => return Ok((dek, stanza.role, key_id)),
                // "Try again" must not be lost behind a stanza that will never open.
                Err(error @ OpenError::Unavailable(_)) => failed = error,
                Err(error @ OpenError::CannotOpen(_)) if !matches!(failed, OpenError::Unavailable(_)) => failed = error,
                Err(OpenError::CannotOpen(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Err(failed)
    }

    /// Steps 5 and 6. Synchronous.
    fn unlock_with(self, dek: Dek, role: Role, key_id: KeyId) -> Result<Opener, OpenError> {
        let provider = self.provider.as_ref();
        // 5
        let mac = derive::recipients_mac(provider, &dek, &self.header, &self.recipients_without_mac)
            .map_err(OpenError::Crypto)?;
        if !bool::from(mac.ct_eq(&self.head.recipients.mac)) {
            return Err(OpenReason::RecipientsMac.into());
        }
        // 6
        let context = label::payload_context(&self.header);
        let keys = payload::unlock(provider, dek.as_bytes(), &self.payload_head, &context)?;
        let sealed = self.head.core.extension(ExtensionKind::PrivateMetadata);
        let private = sealed
            .map(|sealed| PrivateMetadata::open(provider, &dek, &self.head.core, sealed))
            .transpose()?;
        Ok(Opener {
            verified: self,
            dek,
            role,
            key_id,
            keys,
            private,
        })
    }
}

fn verify_signature(
    directory: &dyn Directory,
    core: &Core,
    block: &SignatureBlock,
    header: &[u8; 32],
    recipients: &[u8],
) -> Result<(), Untrusted> {
    let signer = KeyId(core.signer);
    let key = if block.certificate.is_empty() {
        directory.verifier(&signer)
    } else {
        directory.verifier_certified(&signer, &block.certificate, core.sealed_at)
    };
    let key = key.ok_or(Untrusted::UnknownSigner)?;
    if key.key_id() != signer || key.alg() != block.alg.key_alg() {
        return Err(Untrusted::KeyMismatch);
    }
    let statement = label::statement(&label::Statement {
        header,
        recipients: &sha256(recipients),
        payload_len: block.payload_len,
        payload_root: &block.payload_root,
        signer: &core.signer,
    });
    if key.verify_statement(&statement, block.inclusion.as_ref(), &block.signature) {
        Ok(())
    } else {
        Err(Untrusted::Signature)
    }
}

fn check_len(object_len: Option<u64>, payload_offset: u64, payload_len: u64) -> Result<(), OpenReason> {
    let signed = payload_offset.saturating_add(payload_len);
    match object_len {
        Some(len) if len < signed => Err(OpenReason::Truncated),
        Some(len) if len > signed => Err(OpenReason::Trailing),
        _ => Ok(()),
    }
}

/// An object after steps 1 to 6: its payload can be read, as a whole or in parts.
pub struct Opener {
    verified: VerifiedHead,
    dek: Dek,
    role: Role,
    key_id: KeyId,
    keys: PayloadKeys,
    private: Option<PrivateMetadata>,
}

impl Opener {
    /// How many bytes from the beginning of an object [`Self::begin`] takes, by what is known of it so far: with fewer than 20 bytes the answer is 20, then the real
    /// one. At most about 1.2 MB; for objects of this system 6 to 8 kB. Fails at once if this is no sealed object.
    pub fn needs(first: &[u8]) -> Result<usize, OpenError> {
        match Head::len_from(first) {
            Ok(head) => Ok(head + PAYLOAD_HEAD_LEN),
            Err(EnvelopeError::Truncated { .. }) => Ok(PREFIX_LEN),
            Err(error) => Err(OpenError::Envelope(error)),
        }
    }

    /// Steps 1 to 6. `bytes` are the object's first bytes, at least [`Self::needs`].
    pub async fn begin(
        provider: Arc<dyn Provider>,
        bytes: &[u8],
        directory: &dyn Directory,
        request: &OpenRequest<'_>,
        unwrap: &dyn Unwrap,
    ) -> Result<Self, OpenError> {
        VerifiedHead::verify(provider, bytes, directory, request)?
            .unlock(unwrap)
            .await
    }

    /// The core.
    pub fn core(&self) -> &Core {
        &self.verified.head.core
    }
    /// The private metadata, if the object has any.
    pub fn private(&self) -> Option<&PrivateMetadata> {
        self.private.as_ref()
    }
    /// The public context.
    pub fn context(&self) -> Vec<ContextEntry> {
        // Parsed once already: a value that does not decode is not accepted into a core.
        self.core()
            .extension(ExtensionKind::Context)
            .and_then(|value| decode_context(value).ok())
            .unwrap_or_default()
    }
    /// Length of the plaintext in bytes, as signed.
    pub fn plaintext_len(&self) -> u64 {
        self.verified.plaintext_len
    }
    /// Length of the payload in bytes, as signed.
    pub fn payload_len(&self) -> u64 {
        self.verified.block.payload_len
    }
    /// BLAKE3-256 of the payload, as signed.
    pub fn payload_root(&self) -> [u8; 32] {
        self.verified.block.payload_root
    }
    /// Where the payload begins in the object: the head's length.
    pub fn payload_offset(&self) -> u64 {
        self.verified.payload_offset
    }
    /// How many bytes of the object were taken already; [`Self::stream`] goes on here.
    pub fn consumed(&self) -> u64 {
        self.verified.payload_offset + PAYLOAD_HEAD_LEN as u64
    }
    /// Header hash `H`.
    pub fn header_hash(&self) -> [u8; 32] {
        self.verified.header
    }
    /// In which role it was opened.
    pub fn role(&self) -> Role {
        self.role
    }
    /// With which key it was opened.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }
    /// Who can unwrap the data key.
    pub fn stanzas(&self) -> &[Stanza] {
        self.verified.stanzas()
    }

    /// Whether the object also opens with this recovery key, which comes from the trusted directory: its recovery stanza is the one that this key and the data key
    /// make. Costs about one encapsulation.
    pub fn prove_escrow(&self, recovery: &RecipientKey) -> bool {
        let provider = self.verified.provider.as_ref();
        let for_it = |stanza: &&Stanza| stanza.role == Role::Recovery && stanza.key_id == recovery.id().0;
        match self.stanzas().iter().find(for_it) {
            Some(stanza) => escrow_proof(provider, &self.dek, recovery, stanza, &self.verified.header),
            None => false,
        }
    }

    /// Reads the whole payload. Give it the object's bytes from [`Self::consumed`] on, and finish it.
    pub fn stream(&self) -> Result<PayloadOpener, OpenError> {
        let verified = &self.verified;
        let root = Some(verified.block.payload_root);
        PayloadOpener::with_keys(
            self.keys.clone(),
            &verified.payload_head,
            verified.block.payload_len,
            root,
        )
    }

    /// Reads a range of the plaintext. Fetch what [`RangeOpener::fetch`] says and give it that.
    pub fn range(&self, range: Range<u64>) -> Result<RangeOpener, OpenError> {
        let verified = &self.verified;
        RangeOpener::new(
            self.keys.clone(),
            range,
            verified.block.payload_len,
            verified.payload_offset,
        )
    }
}
