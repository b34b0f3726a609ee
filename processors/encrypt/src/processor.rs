//! The processor: a landing document goes in, a sealed object that was read back and opened stands in the vault.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use bytes::Bytes;
use cofferdam_processor::{
    CommandHandler, Conclusion, ConfigErrors, Deps, Document, ErrorClass, Job, ProcessError, Processor, StartError,
};
use cofferdam_schemas::{ErrorCode, KeyId, ObjectKey, SealedCopy};
use cofferdam_seams::crash::{self, Point, When};
use cofferdam_seams::{
    ByteStream, Clock, Locator, ObjectBody, ObjectError, ObjectMeta, PutOptions, Upload, quarantine,
};
use serde_json::json;

use crate::config::{Config, Plan};
use crate::crypto::{self, CryptoError, PrivateMetadata, SealError, SealRequest, Sealer, SignError};
use crate::delete::Delete;
use crate::keys::{KeyError, KeyRing, Opened};
use crate::opening::{Vault, VaultError, Verified, sealed_key};
use crate::pump::{PumpError, pump};
use crate::quarantine::{Destroy, Release};
use crate::retrieve::Retrieve;
use crate::signing::Signing;
use crate::sums::{Gathering, Hashing, Sealing, Sums};
use crate::sweep::{self, Sweep};

/// The commands this processor answers.
pub const VERBS: &[&str] = &["delete", "destroy", "release", "retrieve"];

const ALGORITHM: &str = "Cobblestone-256, MLKEM768-X25519, MLDSA65-Ed25519";
/// From this size on it is worth a question to the vault whether the work was done already before it is begun.
const LOOK_FIRST: u64 = 1 << 20;

/// Seals documents. See the crate.
pub struct Encrypt {
    vault: Vault,
    clock: Arc<dyn Clock>,
    signing: Signing,
    retrieve: Arc<Retrieve>,
    delete: Arc<Delete>,
    release: Arc<Release>,
    destroy: Arc<Destroy>,
}

/// Opens the key ring as [`Encrypt::start`] does, making it at the first start: for a program that wants to tell its
/// user where the keys are before anything else happens. Refuses to make a ring when the vault holds objects that an
/// earlier one sealed.
pub async fn prepare(plan: &Plan, deps: &Deps) -> Result<Opened, StartError> {
    let ring = plan.keys.ring(&deps.data_dir);
    if !ring.exists() {
        for tenant in &deps.tenants {
            let vault = &deps.stores.vault;
            let listed = match vault.store.list(&vault.bucket, &format!("{tenant}/"), None, 1000).await {
                Ok(listed) => listed,
                Err(ObjectError::NotFound { .. }) => Vec::new(),
                Err(error) => {
                    let what = "vault does not answer, so that nobody knows whether it holds objects of an earlier key ring; start again when it does".to_owned();
                    return Err(StartError::Missing {
                        what,
                        source: Some(Box::new(error)),
                    });
                }
            };
            if listed.iter().any(|l| l.key.as_str().ends_with(".sealed")) {
                return Err(cannot_start(KeyError::RingLost {
                    ring,
                    bucket: vault.bucket.to_string(),
                }));
            }
        }
    }
    let (plan, deps, now) = (plan.clone(), deps.clone(), deps.clock.now());
    let opening =
        tokio::task::spawn_blocking(move || plan.open_or_create(&deps.data_dir, &deps.config_dir, &deps.tenants, now));
    match opening.await {
        Ok(opened) => opened.map_err(cannot_start),
        Err(error) => Err(StartError::Missing {
            what: "key ring was not opened".to_owned(),
            source: Some(Box::new(error)),
        }),
    }
}

fn cannot_start(error: KeyError) -> StartError {
    let what = error.to_string();
    // The text has everything but what the file system said.
    let source = match error {
        KeyError::Io { source, .. } => Some(Box::new(source) as Box<dyn StdError + Send + Sync>),
        _ => None,
    };
    StartError::Missing { what, source }
}

impl Processor for Encrypt {
    const NAME: &'static str = "encrypt";
    const VERSION: &'static str = "1";
    type Config = Config;
    type Plan = Plan;

    fn plan(config: Config) -> Result<Plan, ConfigErrors> {
        config.try_into()
    }

    async fn start(plan: Plan, deps: &Deps) -> Result<Self, StartError> {
        let Opened { ring, notice } = prepare(&plan, deps).await?;
        if let Some(notice) = notice {
            tracing::warn!(ring = %ring.path().display(), "{notice}");
        }
        let (stores, clock) = (deps.stores.clone(), deps.clock.clone());
        let sweep = Sweep {
            outbox: stores.outbox.clone(),
            tenants: deps.tenants.clone(),
            ring: ring.clone(),
            clock: clock.clone(),
            every: sweep::EVERY,
        };
        tokio::spawn(sweep.run(deps.stop.clone()));
        let vault = Vault {
            place: stores.vault.clone(),
            ring,
            provider: crypto::provider(plan.provider),
        };
        let (catalog, outbox) = (deps.catalog.clone(), stores.outbox.clone());
        let retrieve = Arc::new(Retrieve {
            catalog: catalog.clone(),
            vault: vault.clone(),
            quarantine: stores.quarantine.clone(),
            outbox,
            clock: clock.clone(),
        });
        let release = Arc::new(Release {
            catalog: catalog.clone(),
            stores: stores.clone(),
            clock: clock.clone(),
        });
        let delete = Arc::new(Delete {
            catalog,
            stores,
            clock: clock.clone(),
        });
        Ok(Self {
            vault,
            clock,
            signing: Signing::new(plan.signatures),
            retrieve,
            destroy: Arc::new(Destroy { delete: delete.clone() }),
            delete,
            release,
        })
    }

    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        // Whatever is dropped here leaves nothing visible: an upload that was not finished never was.
        tokio::select! {
            result = self.run(job, &document) => result,
            () = job.cancelled.cancelled() => Err(ProcessError::Cancelled),
        }
    }

    fn commands(self: &Arc<Self>) -> Vec<Arc<dyn CommandHandler>> {
        vec![
            self.delete.clone(),
            self.destroy.clone(),
            self.release.clone(),
            self.retrieve.clone(),
        ]
    }
}

/// How sealing ended.
enum Made {
    /// The object is in the vault; what was sealed, to be compared with what is opened again.
    New { at: Locator, sha256: [u8; 32], size: u64 },
    /// Somebody was there first.
    Exists,
}

impl Made {
    fn new(at: Locator, meta: ObjectMeta, sha256: [u8; 32], size: u64) -> Self {
        let at = Locator {
            version: meta.version,
            etag: Some(meta.etag),
            ..at
        };
        Made::New { at, sha256, size }
    }
}

impl Encrypt {
    /// The key ring it uses.
    pub fn ring(&self) -> &KeyRing {
        &self.vault.ring
    }

    #[cfg(test)]
    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    async fn run(&self, job: &Job, document: &Document) -> Result<Conclusion, ProcessError> {
        let object = &job.object;
        let key = sealed_key(&object.tenant, &object.id).map_err(|error| internal(format!("vault key: {error}")))?;
        if (job.attempt > 1 || object.size >= LOOK_FIRST)
            && let Some(done) = self.reuse(job, document, &key).await?
        {
            return Ok(done);
        }
        // The second time is for a damaged leftover that was in the way of the first.
        for _ in 0..2 {
            match self.seal(job, document, &key).await {
                Ok(Made::New { at, sha256, size }) => {
                    crash::point(Point::ReadBackOpened, When::Before);
                    let opened = self.read_back(job, &at, sha256, size).await;
                    return opened.inspect(|_| crash::point(Point::ReadBackOpened, When::After));
                }
                Ok(Made::Exists) => {
                    if let Some(done) = self.reuse(job, document, &key).await? {
                        return Ok(done);
                    }
                }
                // The document is gone: perhaps because it was sealed, and retired, before this delivery.
                Err(error) if error.class() == ErrorClass::Superseded => {
                    return self.reuse(job, document, &key).await?.ok_or(error);
                }
                Err(error) => return Err(error),
            }
        }
        let source = ObjectError::PreconditionFailed {
            at: self.vault.place.at(key),
        };
        Err(ProcessError::Store { place: "vault", source })
    }

    /// Seals the document into the vault.
    async fn seal(&self, job: &Job, document: &Document, key: &ObjectKey) -> Result<Made, ProcessError> {
        let object = &job.object;
        let keys = self.vault.ring.tenant(&object.tenant).ok_or_else(|| {
            let reason = format!(
                "tenant {} has no keys: add it to the configuration, start again, and replay the dead letter",
                object.tenant
            );
            ProcessError::reject(ErrorCode::Forbidden, reason)
        })?;
        // Before anything is read: those who sign together wait for those who are on their way.
        let signer = self.signing.signer(&self.vault.ring, object.size);
        let ObjectBody { meta, stream, .. } = document.read().await.map_err(ProcessError::Document)?;
        if meta.size != object.size {
            return Err(corrupt(job, "size differs from what was announced"));
        }
        let sealed_at = u64::try_from(self.clock.now().unix_millis()).unwrap_or(0);
        let recipients = vec![keys.kem.recipient_key().clone(), keys.recovery.recipient_key().clone()];
        let mut request = SealRequest::new(*object.id.0.as_bytes(), object.tenant.clone(), sealed_at, recipients);
        let content_type = object.content_type.clone().or(meta.content_type);
        request.private = Some(PrivateMetadata {
            key: object.key.to_string(),
            content_type,
            user: meta.user,
        });
        let sealer = Sealer::new(self.vault.provider.as_ref(), &request, signer.as_ref()).map_err(cannot_seal)?;

        let at = self.vault.place.at(key.clone());
        let sealing = Sealing {
            sealer,
            sums: Sums::claimed(&job.object.checksums),
            size: 0,
        };
        if self.signing.batches(object.size) {
            return self.seal_small(job, stream, sealing, at, signer.as_ref()).await;
        }
        let options = PutOptions {
            content_type: Some("application/octet-stream".to_owned()),
            only_if_absent: true,
            reserve_head: sealing.sealer.head_len() as u64,
            size_hint: cofferdam_envelope::geometry::payload_len(object.size)
                .ok()
                .map(|payload| payload + sealing.sealer.head_len() as u64),
            ..PutOptions::default()
        };
        let mut upload = match self.vault.place.store.upload(&at, options).await {
            Err(ObjectError::PreconditionFailed { .. }) => return Ok(Made::Exists),
            upload => upload.map_err(in_vault)?,
        };
        let finished = match self.fill(job, stream, sealing, upload.as_mut(), signer.as_ref()).await {
            Ok((head, sha256)) => {
                crash::point(Point::SealedDurable, When::Before);
                let meta = upload.finish(head).await;
                meta.inspect(|_| crash::point(Point::SealedDurable, When::After))
                    .map(|meta| (meta, sha256))
            }
            Err(error) => {
                upload.abort().await;
                return Err(error);
            }
        };
        match finished {
            Ok((meta, sha256)) => Ok(Made::new(at, meta, sha256, object.size)),
            Err(ObjectError::PreconditionFailed { .. }) => Ok(Made::Exists),
            Err(error) => Err(in_vault(error)),
        }
    }

    /// Seals a small document in memory and writes the object at once: the length of its head depends on who is signed
    /// with it.
    async fn seal_small(
        &self,
        job: &Job,
        stream: ByteStream,
        sealing: Sealing,
        at: Locator,
        signer: &dyn crypto::Signer,
    ) -> Result<Made, ProcessError> {
        let size = job.object.size;
        let gathering = Gathering {
            sealing,
            payload: Vec::new(),
        };
        let Gathering { sealing, payload } = pump(stream, gathering, None).await.map_err(not_sealed)?;
        let (sealer, sha256) = complete(job, sealing).map_err(|error| *error)?;
        let sealed = sealer.finish_any(signer).await.map_err(cannot_seal)?;
        let body = Bytes::from([sealed.head, payload, sealed.tail].concat());
        let options = PutOptions {
            content_type: Some("application/octet-stream".to_owned()),
            only_if_absent: true,
            ..PutOptions::default()
        };
        crash::point(Point::SealedDurable, When::Before);
        let put = self.vault.place.put(at.key.clone(), body, options).await;
        match put.inspect(|_| crash::point(Point::SealedDurable, When::After)) {
            Ok(meta) => Ok(Made::new(at, meta, sha256, size)),
            Err(ObjectError::PreconditionFailed { .. }) => Ok(Made::Exists),
            Err(error) => Err(in_vault(error)),
        }
    }

    /// Everything between the beginning of the upload and its end: gives the head, and the plaintext's SHA-256.
    async fn fill(
        &self,
        job: &Job,
        stream: ByteStream,
        stage: Sealing,
        upload: &mut dyn Upload,
        signer: &dyn crypto::Signer,
    ) -> Result<(Bytes, [u8; 32]), ProcessError> {
        let sealing = pump(stream, stage, Some(upload)).await.map_err(not_sealed)?;
        let (sealer, sha256) = complete(job, sealing).map_err(|error| *error)?;
        let sealed = sealer.finish(signer).await.map_err(cannot_seal)?;
        upload.write(sealed.tail.into()).await.map_err(in_vault)?;
        Ok((sealed.head.into(), sha256))
    }

    /// Opens what was just written, as somebody will who wants it back.
    async fn read_back(
        &self,
        job: &Job,
        at: &Locator,
        sha256: [u8; 32],
        size: u64,
    ) -> Result<Conclusion, ProcessError> {
        let object = &job.object;
        let fault = |reason: &'static str| {
            tracing::error!(object = %object.id, reason, "sealed object does not open after it was written");
            in_vault(ObjectError::Corrupt {
                at: at.clone(),
                reason: "it does not open after it was written",
            })
        };
        match self.vault.verify(at, &object.tenant, &object.id).await {
            Ok(verified) if verified.sha256 == sha256 && verified.opener.plaintext_len() == size => {
                Ok(self.conclude(at, &verified))
            }
            Ok(_) => Err(fault("plaintext")),
            // All of them are tried again: the next attempt looks at what is there first.
            Err(VaultError::Missing) => Err(fault("missing")),
            Err(VaultError::Damaged(reason) | VaultError::Foreign(reason)) => Err(fault(reason)),
            Err(VaultError::Failed(error)) => Err(*error),
        }
    }

    /// Uses a sealed object that is there already. `None`: there is none (any more), seal.
    async fn reuse(&self, job: &Job, document: &Document, key: &ObjectKey) -> Result<Option<Conclusion>, ProcessError> {
        let object = &job.object;
        let at = self.vault.place.at(key.clone());
        let mut verified = self.vault.verify(&at, &object.tenant, &object.id).await;
        if let Err(VaultError::Damaged(_)) = verified
            && quarantine::is_marked(&self.vault.place, key).await.map_err(in_vault)?
        {
            // It was sealed, found dangerous and isolated before this delivery.
            let held = self.retrieve.quarantine.at(key.clone());
            verified = self.vault.verify(&held, &object.tenant, &object.id).await;
        }
        let reason = match verified {
            Ok(verified) => match self.sha256_of(job, document).await? {
                Some(landing) if landing != verified.sha256 => "other-plaintext",
                Some(_) | None => return Ok(Some(self.conclude(&at, &verified))),
            },
            Err(VaultError::Missing) => return Ok(None),
            Err(VaultError::Failed(error)) => return Err(*error),
            Err(VaultError::Foreign(reason)) => {
                let text = format!(
                    "sealed object {at} was made with keys that are not in the key ring ({reason}): restore the ring it belongs to, then replay"
                );
                return Err(ProcessError::reject(ErrorCode::CannotOpen, text));
            }
            Err(VaultError::Damaged(reason)) => reason,
        };
        // It goes only if there is something to seal instead.
        match document.head().await {
            Ok(_) => {
                tracing::warn!(object = %object.id, reason, "damaged sealed object is replaced");
                self.vault.place.store.delete(&at).await.map_err(in_vault)?;
                Ok(None)
            }
            Err(ObjectError::NotFound { .. } | ObjectError::PreconditionFailed { .. }) => {
                let text = format!(
                    "sealed object {at} is damaged ({reason}) and the document is gone: restore the sealed object from a backup, then replay"
                );
                Err(ProcessError::reject(ErrorCode::Damaged, text))
            }
            Err(error) => Err(ProcessError::Document(error)),
        }
    }

    /// SHA-256 of the landing document; `None` when it is gone.
    async fn sha256_of(&self, job: &Job, document: &Document) -> Result<Option<[u8; 32]>, ProcessError> {
        let stream = match document.read().await {
            Ok(body) => body.stream,
            Err(ObjectError::NotFound { .. } | ObjectError::PreconditionFailed { .. }) => return Ok(None),
            Err(error) => return Err(ProcessError::Document(error)),
        };
        let hashing = Hashing(Sums::claimed(&job.object.checksums));
        match pump(stream, hashing, None).await {
            Ok(Hashing(sums)) => sums
                .finish(&job.object.checksums)
                .map(Some)
                .map_err(|reason| corrupt(job, reason)),
            Err(PumpError::Read(source) | PumpError::Write(source)) => Err(ProcessError::Document(source)),
            Err(PumpError::Lost) => Err(ProcessError::Cancelled),
            Err(PumpError::Work(never)) => match never {},
        }
    }

    fn conclude(&self, at: &Locator, verified: &Verified) -> Conclusion {
        let Verified { opener, meta, sha256 } = verified;
        let sealed = SealedCopy {
            bucket: at.bucket.clone(),
            key: at.key.clone(),
            size: meta.size,
            plaintext_size: opener.plaintext_len(),
            plaintext_sha256: hex::encode(sha256),
            suite: format!("{:#06x}", opener.core().suite.id()),
            header: hex::encode(opener.header_hash()),
            payload_root: hex::encode(opener.payload_root()),
            recipients: opener.stanzas().iter().map(|s| KeyId(s.key_id)).collect(),
            signer: KeyId(opener.core().signer),
            opened_at: self.clock.now(),
        };
        let details = BTreeMap::from([
            ("algorithm".to_owned(), json!(ALGORITHM)),
            ("provider".to_owned(), json!(self.vault.provider.kind().as_str())),
            (
                "overhead_bytes".to_owned(),
                json!(meta.size.saturating_sub(opener.plaintext_len())),
            ),
        ]);
        Conclusion {
            sealed: Some(sealed),
            details,
            ..Conclusion::default()
        }
    }
}

fn not_sealed(error: PumpError<SealError>) -> ProcessError {
    match error {
        PumpError::Read(source) => ProcessError::Document(source),
        PumpError::Write(source) => in_vault(source),
        PumpError::Work(error) => cannot_seal(error),
        PumpError::Lost => ProcessError::Cancelled,
    }
}

/// Whether all of the document went through, and as what the store announced it. Gives its SHA-256.
fn complete(job: &Job, sealing: Sealing) -> Result<(Sealer, [u8; 32]), Box<ProcessError>> {
    let Sealing { sealer, sums, size } = sealing;
    if size != job.object.size {
        // The store said another size a moment ago: a broken transfer, which may be whole the next time.
        let source = ObjectError::unavailable(format!("transfer ended after {size} of {} bytes", job.object.size));
        return Err(Box::new(ProcessError::Document(source)));
    }
    let sha256 = sums
        .finish(&job.object.checksums)
        .map_err(|reason| Box::new(corrupt(job, reason)))?;
    Ok((sealer, sha256))
}

fn in_vault(source: ObjectError) -> ProcessError {
    ProcessError::Store { place: "vault", source }
}

fn internal(reason: String) -> ProcessError {
    ProcessError::Internal { reason }
}

fn corrupt(job: &Job, reason: &'static str) -> ProcessError {
    ProcessError::Document(ObjectError::Corrupt {
        at: Locator::from(&job.object),
        reason,
    })
}

fn cannot_seal(error: SealError) -> ProcessError {
    match error {
        SealError::Envelope(source) => {
            let text = format!("its name and metadata do not fit into a sealed object: {source}");
            ProcessError::reject(ErrorCode::LimitExceeded, text)
        }
        SealError::Sign(SignError::Unavailable(source)) => ProcessError::Dependency {
            what: "signing service",
            source,
        },
        SealError::Crypto(source @ CryptoError::Randomness) => ProcessError::Dependency {
            what: "random number generator",
            source: Box::new(source),
        },
        error @ (SealError::Recipients(_)
        | SealError::Metadata(_)
        | SealError::Crypto(_)
        | SealError::Sign(_)
        | SealError::Spent) => internal(format!("document cannot be sealed: {error}")),
    }
}
