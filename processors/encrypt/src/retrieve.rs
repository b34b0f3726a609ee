//! The command `retrieve`: opens a sealed object, or a part of it, into the outbox, and gives a link to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_processor::{Catalog, CommandHandler, CommandJob, ObjectRecord, ObjectState, ProcessError};
use cofferdam_schemas::{
    CommandOutcome, ErrorCode, ObjectId, RetrieveRequest, SealedCopy, Selector, Timestamp, Verdict, WireError,
};
use cofferdam_seams::crash::{self, Point, When};
use cofferdam_seams::{Clock, Locator, ObjectError, ObjectMeta, Place, PutOptions, Upload};
use serde_json::json;

use crate::commands::{Refusal, Stop, answer, check_selector, find, not_ready, read};
use crate::opening::{OpenedHead, Part, Vault, VaultError, Whole};
use crate::outbox;
use crate::pump::pump;

/// Seconds a link lives unless the request says otherwise.
const DEFAULT_EXPIRES_S: u32 = 900;
const LEAST_EXPIRES_S: u32 = 60;
const MOST_EXPIRES_S: u32 = 604_800;

/// Opens sealed objects for their owners.
pub(crate) struct Retrieve {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) vault: Vault,
    pub(crate) quarantine: Place,
    pub(crate) outbox: Place,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What of the document is wanted, of how much there is.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    start: u64,
    end: u64,
    total: u64,
}

impl Wanted {
    fn is_whole(self) -> bool {
        self.start == 0 && self.end == self.total
    }
}

fn check(request: &RetrieveRequest) -> Result<(), String> {
    check_selector(&request.select)?;
    let expires = request.expires_s.unwrap_or(DEFAULT_EXPIRES_S);
    if !(LEAST_EXPIRES_S..=MOST_EXPIRES_S).contains(&expires) {
        return Err(format!(
            "expires_s is {expires}: it takes {LEAST_EXPIRES_S} to {MOST_EXPIRES_S}"
        ));
    }
    if let (start, Some(end)) = (request.start.unwrap_or(0), request.end)
        && start >= end
    {
        return Err(format!(
            "start {start} is not before end {end}: end is the byte after the last"
        ));
    }
    Ok(())
}

#[async_trait]
impl CommandHandler for Retrieve {
    fn verb(&self) -> &'static str {
        "retrieve"
    }

    fn check(&self, body: &serde_json::Value) -> Result<(), String> {
        check(&read(body)?)
    }

    async fn handle(&self, job: &CommandJob) -> Result<Result<CommandOutcome, WireError>, ProcessError> {
        answer(self.retrieve(job), job, self.clock.as_ref()).await
    }
}

impl Retrieve {
    async fn retrieve(&self, job: &CommandJob) -> Result<CommandOutcome, Stop> {
        let invalid = |text| Refusal::new(ErrorCode::InvalidRequest, text);
        let request: RetrieveRequest = read(&job.command.body).map_err(invalid)?;
        check(&request).map_err(invalid)?;
        let mut record = find(&self.catalog, job, &request.select).await?;

        // From the time of acceptance, not of delivery: the same command always has the same outbox key.
        let accepted = u64::try_from(job.command.accepted_at.unix_millis() / 1000).unwrap_or(0);
        let expiry = accepted + u64::from(request.expires_s.unwrap_or(DEFAULT_EXPIRES_S));
        let expires_at = Timestamp::from_unix_millis(i64::try_from(expiry * 1000).unwrap_or(i64::MAX));
        let name = outbox::file_name(&record.object.key);
        let key = outbox::key(&job.command.tenant, expiry, &job.command.id, &name).map_err(|error| {
            ProcessError::Internal {
                reason: format!("outbox key: {error}"),
            }
        })?;
        let at = self.outbox.at(key);
        self.remaining(expires_at)?;
        let meta = match self.outbox.store.head(&at).await {
            Ok(meta) => meta,
            Err(ObjectError::NotFound { .. }) => {
                let sealed = available(&record)?;
                let wanted = wanted(&request, sealed)?;
                self.open_into(&at, &record, sealed, wanted).await?
            }
            Err(error) => return Err(in_outbox(error).into()),
        };
        // A version that is named is the one that is meant.
        if request.select.object.is_none()
            && let Some(earlier) = self.earlier(job, &record, &meta).await?
        {
            record = earlier;
        }
        let sealed = available(&record)?;
        let wanted = wanted(&request, sealed)?;

        // Two commands with one id: the gateway stops them, and should it not, the second does not get the first one's
        // bytes.
        let labels = labels(&record, sealed, wanted);
        if labels.iter().any(|(name, value)| meta.user.get(name) != Some(value)) {
            let text = format!(
                "command id {} was used before, for other bytes: send this one with an id of its own",
                job.command.id
            );
            return Err(Refusal::new(ErrorCode::InvalidRequest, text).into());
        }

        // Again: opening may have taken long.
        let left = self.remaining(expires_at)?;
        let url = self
            .outbox
            .store
            .presign_get(&at, left, Some(&name))
            .await
            .map_err(in_outbox)?;
        let mut values = BTreeMap::from([
            ("url".to_owned(), json!(url)),
            ("expires_at".to_owned(), json!(expires_at)),
            ("size".to_owned(), json!(meta.size)),
            ("start".to_owned(), json!(wanted.start)),
            ("end".to_owned(), json!(wanted.end)),
            ("total_size".to_owned(), json!(wanted.total)),
            ("key".to_owned(), json!(record.object.key)),
        ]);
        if let Some(content_type) = &record.object.content_type {
            values.insert("content_type".to_owned(), json!(content_type));
        }
        if wanted.is_whole() {
            values.insert("sha256".to_owned(), json!(sealed.plaintext_sha256));
        }
        Ok(CommandOutcome {
            object: Some(record.object.id),
            values,
        })
    }

    /// The version that an earlier delivery of the same command took, when the key has a newer one by now: whatever is
    /// delivered again has the result of the first time.
    async fn earlier(
        &self,
        job: &CommandJob,
        record: &ObjectRecord,
        meta: &ObjectMeta,
    ) -> Result<Option<ObjectRecord>, Stop> {
        let taken = meta.user.get(outbox::META_OBJECT);
        let Some(taken) = taken.and_then(|id| id.parse::<ObjectId>().ok()) else {
            return Ok(None);
        };
        if taken == record.object.id {
            return Ok(None);
        }
        let select = Selector {
            object: Some(taken),
            ..Selector::default()
        };
        let found = self.catalog.find(&job.command.tenant, &select).await?;
        let same = |found: &ObjectRecord| {
            let (one, other) = (&found.object, &record.object);
            (&one.tenant, &one.bucket, &one.key) == (&other.tenant, &other.bucket, &other.key)
        };
        // Of another key: somebody used the id twice, which is refused by whoever compares the labels.
        Ok(found.filter(same))
    }

    fn remaining(&self, expires_at: Timestamp) -> Result<Duration, Refusal> {
        let left = expires_at.unix_millis() - self.clock.now().unix_millis();
        // A URL that lives for less than a second is none.
        match u64::try_from(left / 1000) {
            Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
            _ => Err(Refusal::new(
                ErrorCode::LimitExceeded,
                "the command waited longer than its link was to live: send it again",
            )
            .with("expires_at", expires_at)),
        }
    }

    /// Opens what is wanted into the outbox. Nothing is visible there before everything that can be checked was right.
    async fn open_into(
        &self,
        at: &Locator,
        record: &ObjectRecord,
        sealed: &SealedCopy,
        wanted: Wanted,
    ) -> Result<ObjectMeta, Stop> {
        let options = PutOptions {
            content_type: record.object.content_type.clone(),
            user: labels(record, sealed, wanted),
            only_if_absent: true,
            reserve_head: 0,
            size_hint: Some(wanted.end - wanted.start),
        };
        let mut upload = match self.outbox.store.upload(at, options).await {
            Err(ObjectError::PreconditionFailed { .. }) => return self.there(at).await,
            upload => upload.map_err(in_outbox)?,
        };
        if let Err(error) = self.fill(upload.as_mut(), record, sealed, wanted).await {
            upload.abort().await;
            return Err(self.refuse(error, record));
        }
        crash::point(Point::OutboxWritten, When::Before);
        let finished = upload.finish(Bytes::new()).await;
        match finished.inspect(|_| crash::point(Point::OutboxWritten, When::After)) {
            // The same command, delivered twice, was faster there.
            Err(ObjectError::PreconditionFailed { .. }) => self.there(at).await,
            finished => Ok(finished.map_err(in_outbox)?),
        }
    }

    async fn there(&self, at: &Locator) -> Result<ObjectMeta, Stop> {
        Ok(self.outbox.store.head(at).await.map_err(in_outbox)?)
    }

    async fn fill(
        &self,
        upload: &mut dyn Upload,
        record: &ObjectRecord,
        sealed: &SealedCopy,
        wanted: Wanted,
    ) -> Result<(), VaultError> {
        let from = Locator::new(sealed.bucket.clone(), sealed.key.clone());
        let object = &record.object;
        let whole = wanted.is_whole();
        let (from, head) = match self.vault.head(&from, &object.tenant, &object.id, whole).await {
            // Released, and not yet brought back: the marker is no envelope.
            Err(VaultError::Damaged(_)) if record.state == ObjectState::Released => {
                let held = self.quarantine.at(sealed.key.clone());
                let head = self.vault.head(&held, &object.tenant, &object.id, whole).await?;
                (held, head)
            }
            head => (from, head?),
        };
        if head.opener.plaintext_len() != wanted.total {
            return Err(VaultError::Damaged("size-in-catalog"));
        }
        if wanted.is_whole() {
            let OpenedHead { opener, rest, .. } = head;
            let stage = pump(rest, Whole::giving(&opener)?, Some(upload)).await?;
            let sha256 = stage.finish()?;
            if hex::encode(sha256) != sealed.plaintext_sha256 {
                return Err(VaultError::Damaged("sha256-in-catalog"));
            }
        } else {
            let range = head.opener.range(wanted.start..wanted.end)?;
            let stream = self.vault.fetch(&from, head, &range).await?;
            let Part(range) = pump(stream, Part(range), Some(upload)).await?;
            range.finish()?;
        }
        Ok(())
    }

    /// What the caller is told: one text for everything that does not open, the reason goes to the log.
    fn refuse(&self, error: VaultError, record: &ObjectRecord) -> Stop {
        let id = record.object.id;
        let (code, reason) = match error {
            VaultError::Failed(error) => return (*error).into(),
            VaultError::Missing => (ErrorCode::Damaged, "missing"),
            VaultError::Damaged(reason) | VaultError::Foreign(reason) => (ErrorCode::CannotOpen, reason),
        };
        tracing::error!(tenant = %record.object.tenant, object = %id, reason, "sealed object does not open");
        let message = match code {
            ErrorCode::Damaged => {
                format!("the sealed copy of object {id} is not in the vault: whoever runs the system has to restore it")
            }
            _ => format!(
                "the sealed copy of object {id} cannot be opened: whoever runs the system finds the reason in the log"
            ),
        };
        Refusal::new(code, message).with("object", id).into()
    }
}

/// What a copy in the outbox says about itself.
fn labels(record: &ObjectRecord, sealed: &SealedCopy, wanted: Wanted) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (outbox::META_OBJECT.to_owned(), record.object.id.to_string()),
        (
            outbox::META_RANGE.to_owned(),
            format!("{}-{}", wanted.start, wanted.end),
        ),
    ]);
    if wanted.is_whole() {
        labels.insert(outbox::META_SHA256.to_owned(), sealed.plaintext_sha256.clone());
    }
    labels
}

fn in_outbox(source: ObjectError) -> ProcessError {
    ProcessError::Store {
        place: "outbox",
        source,
    }
}

/// The sealed copy of an object that may be given out.
fn available(record: &ObjectRecord) -> Result<&SealedCopy, Refusal> {
    let id = record.object.id;
    let quarantined = || {
        let message =
            format!("object {id} is quarantined and has not been released; `cofferdam status {id}` shows why");
        Refusal::new(ErrorCode::Quarantined, message).with("object", id)
    };
    match record.state {
        ObjectState::Released => {}
        ObjectState::Deleted => {
            return Err(Refusal::new(ErrorCode::NotFound, format!("object {id} was deleted")).with("object", id));
        }
        _ if record.verdict == Some(Verdict::Quarantine) => return Err(quarantined()),
        ObjectState::Done | ObjectState::Superseded => {}
        ObjectState::Quarantined => return Err(quarantined()),
        ObjectState::Open | ObjectState::Dead => return Err(not_ready(record)),
    }
    record.sealed.as_ref().ok_or_else(|| {
        let message = match record.state {
            ObjectState::Superseded => {
                format!("object {id} was replaced or removed at its source before it was sealed")
            }
            _ => format!("object {id} was not sealed: `encrypt` was not in its plan"),
        };
        Refusal::new(ErrorCode::NotFound, message).with("object", id)
    })
}

fn wanted(request: &RetrieveRequest, sealed: &SealedCopy) -> Result<Wanted, Refusal> {
    let total = sealed.plaintext_size;
    let wanted = Wanted {
        start: request.start.unwrap_or(0),
        // An end behind the document's is brought to it, as HTTP does (RFC 9110, 14.1.2).
        end: request.end.unwrap_or(total).min(total),
        total,
    };
    if wanted.start >= wanted.end && !wanted.is_whole() {
        let message = format!("range begins at {} but the document has {total} bytes", wanted.start);
        return Err(Refusal::new(ErrorCode::InvalidRange, message).with("size", total));
    }
    Ok(wanted)
}
