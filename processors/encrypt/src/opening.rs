//! Sealed objects in the vault: found, opened, read.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cofferdam_processor::ProcessError;
use cofferdam_schemas::{IdError, KeyId, ObjectId, ObjectKey, TenantName};
use cofferdam_seams::{ByteStream, Locator, ObjectError, ObjectMeta, Place, read_all};
use futures::StreamExt;

use crate::crypto::{
    OpenError, OpenReason, OpenRequest, Opener, PayloadOpener, Provider, RangeOpener, Refused, Role, Untrusted, Workers,
};
use crate::keys::KeyRing;
use crate::pump::{PumpError, Stage, pump};
use crate::sums::Sha256;
use crate::wipe::Wiped;
use crate::workers::join;

/// What is read of an object before it is known where its payload begins: head and first chunks of nearly every object.
const FIRST: u64 = 64 * 1024;

/// The vault, and what opens the objects in it.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) place: Place,
    pub(crate) ring: KeyRing,
    pub(crate) provider: Arc<dyn Provider>,
}

/// Where an object's sealed copy is.
pub(crate) fn sealed_key(tenant: &TenantName, object: &ObjectId) -> Result<ObjectKey, IdError> {
    ObjectKey::new(format!("{tenant}/{object}.sealed"))
}

/// Why a sealed object was not opened.
#[derive(Debug)]
pub(crate) enum VaultError {
    /// It is not there.
    Missing,
    /// What is there is not what was sealed, or names another object.
    Damaged(&'static str),
    /// It was sealed or signed with keys that this ring does not have, or in a way this version does not read. It may
    /// be perfectly good.
    Foreign(&'static str),
    /// Something did not answer, or the fault is ours.
    Failed(Box<ProcessError>),
}

impl VaultError {
    fn failed(error: ProcessError) -> Self {
        VaultError::Failed(Box::new(error))
    }
}

impl From<ObjectError> for VaultError {
    fn from(source: ObjectError) -> Self {
        match source {
            ObjectError::NotFound { .. } => VaultError::Missing,
            ObjectError::Corrupt { .. } => VaultError::Damaged("store"),
            ObjectError::PreconditionFailed { .. }
            | ObjectError::InvalidRange { .. }
            | ObjectError::AccessDenied { .. }
            | ObjectError::TooLarge { .. }
            | ObjectError::InvalidRequest { .. }
            | ObjectError::Full { .. }
            | ObjectError::Unavailable { .. } => VaultError::failed(ProcessError::Store { place: "vault", source }),
        }
    }
}

impl From<OpenError> for VaultError {
    fn from(error: OpenError) -> Self {
        let reason = error.audit();
        match error {
            OpenError::Untrusted(Untrusted::UnknownSigner) | OpenError::CannotOpen(OpenReason::NoStanza) => {
                VaultError::Foreign(reason)
            }
            OpenError::Refused(Refused::Suite(_) | Refused::SignatureAlg(_) | Refused::Erasable) => {
                VaultError::Foreign(reason)
            }
            OpenError::Refused(Refused::Tenant | Refused::Object)
            | OpenError::Envelope(_)
            | OpenError::Untrusted(Untrusted::KeyMismatch | Untrusted::Missing | Untrusted::Signature)
            | OpenError::CannotOpen(_)
            | OpenError::PayloadChanged => VaultError::Damaged(reason),
            OpenError::Unavailable(source) => VaultError::failed(ProcessError::Dependency {
                what: "key service",
                source,
            }),
            error @ (OpenError::Range(_) | OpenError::Crypto(_)) => VaultError::failed(ProcessError::Internal {
                reason: format!("sealed object cannot be read: {error}"),
            }),
        }
    }
}

impl From<PumpError<OpenError>> for VaultError {
    fn from(error: PumpError<OpenError>) -> Self {
        match error {
            PumpError::Read(source) => source.into(),
            PumpError::Work(error) => error.into(),
            PumpError::Write(source) => VaultError::failed(ProcessError::Store {
                place: "outbox",
                source,
            }),
            PumpError::Lost => VaultError::failed(ProcessError::Cancelled),
        }
    }
}

/// A sealed object after steps 1 to 6 of opening.
pub(crate) struct OpenedHead {
    pub(crate) opener: Opener,
    pub(crate) meta: ObjectMeta,
    /// The object's bytes from [`Opener::consumed`] on, as far as they were asked for.
    pub(crate) rest: ByteStream,
    /// How far they go.
    pub(crate) read_to: u64,
}

/// What a whole sealed object turned out to be.
pub(crate) struct Verified {
    pub(crate) opener: Opener,
    pub(crate) meta: ObjectMeta,
    pub(crate) sha256: [u8; 32],
}

impl Vault {
    /// Opens the head of a sealed object, and with `all` asks for all of its bytes; otherwise for about its first 64
    /// KiB.
    pub(crate) async fn head(
        &self,
        at: &Locator,
        tenant: &TenantName,
        object: &ObjectId,
        all: bool,
    ) -> Result<OpenedHead, VaultError> {
        let mut range = (!all).then_some(0..FIRST);
        let (body, mut first) = loop {
            let mut body = self.place.store.get(at, range.clone()).await?;
            let (first, needs) = take_head(&mut body.stream).await?;
            match &range {
                // A head longer than what was asked for: ask again, once, for exactly enough.
                Some(asked) if first.len() < needs && asked.end < body.meta.size && asked.end < needs as u64 => {
                    range = Some(0..needs as u64);
                }
                _ => break (body, first),
            }
        };
        let request = OpenRequest::new(tenant)
            .object(*object.0.as_bytes())
            .object_len(body.meta.size);
        let door = self.ring.door(tenant);
        let opener = Opener::begin(self.provider.clone(), &first, &self.ring, &request, &door).await?;
        let left = first.split_off((opener.consumed() as usize).min(first.len())).freeze();
        let rest = futures::stream::iter((!left.is_empty()).then_some(Ok(left)))
            .chain(body.stream)
            .boxed();
        Ok(OpenedHead {
            opener,
            meta: body.meta,
            rest,
            read_to: body.range.end,
        })
    }

    /// Reads a sealed object in full and checks everything there is to check, the recovery stanza included: whoever has
    /// the recovery key can open it, too.
    pub(crate) async fn verify(
        &self,
        at: &Locator,
        tenant: &TenantName,
        object: &ObjectId,
    ) -> Result<Verified, VaultError> {
        let OpenedHead { opener, meta, rest, .. } = self.head(at, tenant, object, true).await?;
        let stage = pump(rest, Whole::checking(&opener)?, None).await?;
        let sha256 = stage.finish()?;
        self.prove_escrow(&opener, tenant)?;
        Ok(Verified { opener, meta, sha256 })
    }

    fn prove_escrow(&self, opener: &Opener, tenant: &TenantName) -> Result<(), VaultError> {
        let mut recovery = opener.stanzas().iter().filter(|s| s.role == Role::Recovery).peekable();
        if recovery.peek().is_none() {
            return Err(VaultError::Damaged("no-recovery-stanza"));
        }
        for stanza in recovery {
            let key = self
                .ring
                .recovery(tenant, &KeyId(stanza.key_id))
                .ok_or(VaultError::Foreign("unknown-recovery-key"))?;
            if !opener.prove_escrow(&key) {
                return Err(VaultError::Damaged("recovery-stanza"));
            }
        }
        Ok(())
    }

    /// The object's bytes a range needs: from those that were read with the head if they suffice, otherwise with one
    /// more request.
    pub(crate) async fn fetch(
        &self,
        at: &Locator,
        head: OpenedHead,
        range: &RangeOpener,
    ) -> Result<ByteStream, VaultError> {
        let (wanted, consumed) = (range.fetch(), head.opener.consumed());
        if wanted.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        if wanted.start >= consumed && wanted.end <= head.read_to {
            let read = read_all(head.rest, head.read_to - consumed).await?;
            let part =
                slice(&read, wanted.start - consumed..wanted.end - consumed).ok_or(VaultError::Damaged("truncated"))?;
            return Ok(futures::stream::iter([Ok(part)]).boxed());
        }
        // The same object as the head came from, whatever was written since.
        let at = Locator {
            etag: Some(head.meta.etag),
            version: head.meta.version,
            ..at.clone()
        };
        Ok(self.place.store.get(&at, Some(wanted)).await?.stream)
    }
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Option<Bytes> {
    let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
    (end <= bytes.len()).then(|| bytes.slice(start..end))
}

/// Reads until the head (and the payload's first bytes) is there, or the stream ends; says how many bytes it takes.
async fn take_head(stream: &mut ByteStream) -> Result<(BytesMut, usize), VaultError> {
    let mut first = BytesMut::new();
    let mut needs = Opener::needs(&first)?;
    while first.len() < needs {
        match stream.next().await {
            Some(chunk) => first.extend_from_slice(&chunk?),
            // The parser says what is missing.
            None => break,
        }
        needs = Opener::needs(&first)?;
    }
    Ok((first, needs))
}

/// Opens a whole payload.
pub(crate) struct Whole {
    payload: PayloadOpener,
    sha256: Sha256,
    /// Whether somebody wants the plaintext.
    given: bool,
    /// What was opened last and is not in the checksum yet: it gets there while the next bytes are opened.
    last: Plaintext,
    /// Where the plaintext goes next when nobody wants it.
    scratch: Wiped,
}

enum Plaintext {
    Given(Bytes),
    Kept(Wiped),
}

impl Plaintext {
    fn bytes(&self) -> &[u8] {
        match self {
            Plaintext::Given(bytes) => bytes,
            Plaintext::Kept(bytes) => bytes,
        }
    }
}

impl Whole {
    /// Gives the plaintext on.
    pub(crate) fn giving(opener: &Opener) -> Result<Self, OpenError> {
        Ok(Self {
            payload: opener.stream()?,
            sha256: Sha256::new(),
            given: true,
            last: Plaintext::Given(Bytes::new()),
            scratch: Wiped::default(),
        })
    }
    /// Only checks.
    pub(crate) fn checking(opener: &Opener) -> Result<Self, OpenError> {
        Ok(Self {
            given: false,
            ..Self::giving(opener)?
        })
    }
    /// Step 8: only now the plaintext may be used. Gives its SHA-256.
    pub(crate) fn finish(mut self) -> Result<[u8; 32], OpenError> {
        self.payload.finish()?;
        self.sha256.update(self.last.bytes());
        Ok(self.sha256.finish())
    }
}

impl Stage for Whole {
    type Error = OpenError;
    fn turn(&mut self, input: Vec<Bytes>) -> Result<Bytes, OpenError> {
        let len = input.iter().map(Bytes::len).sum();
        let mut out = std::mem::take(&mut *self.scratch);
        out.clear();
        out.reserve(len);
        let (sha256, payload, last) = (&mut self.sha256, &mut self.payload, &self.last);
        let ((), opened) = Workers::default().run(len, |shared| {
            join(
                shared,
                || sha256.update(last.bytes()),
                || payload.update_all(&input, &mut out),
            )
        });
        if self.given {
            opened?;
            let given = Bytes::from(out);
            self.last = Plaintext::Given(given.clone());
            return Ok(given);
        }
        let out = Wiped::from(out);
        opened?;
        if let Plaintext::Kept(mut before) = std::mem::replace(&mut self.last, Plaintext::Kept(out)) {
            before.clear();
            self.scratch = before;
        }
        Ok(Bytes::new())
    }
}

/// Opens a range.
pub(crate) struct Part(pub(crate) RangeOpener);

impl Stage for Part {
    type Error = OpenError;
    fn turn(&mut self, input: Vec<Bytes>) -> Result<Bytes, OpenError> {
        let mut out = Vec::new();
        self.0.update_all(&input, &mut out)?;
        Ok(out.into())
    }
}
