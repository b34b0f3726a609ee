//! The processor and its commands, over stores, a catalog and a clock in memory.

mod deleting;
mod quarantining;
mod retrieving;
mod sealing;
mod starting;
mod stores;
mod sweeping;
mod written;

use std::sync::Arc;

use bytes::Bytes;
use cofferdam_processor::battery::{Case, Rig, Sample, Test};
use cofferdam_processor::{
    CommandHandler, CommandJob, Conclusion, Document, Job, ObjectRecord, ObjectState, ProcessError, Processor,
    Registration,
};
use cofferdam_schemas::{
    Command, CommandId, CommandOutcome, ObjectKey, ProcessorName, TenantName, Timestamp, Verdict, WireError,
};
use cofferdam_seams::{Clock, ObjectError, Place, PutOptions, read_all};
use tokio_util::sync::CancellationToken;

use crate::{Encrypt, VERBS};

#[tokio::test(flavor = "multi_thread")]
async fn battery() {
    for config in ["", "provider = \"aws-lc\""] {
        let case = Case::new(Registration::of::<Encrypt>(VERBS).unwrap());
        let case = case.configure(move |_| toml::from_str(config).unwrap());
        let case = case.skip(
            Test::Oversize,
            "sealing has no limit of its own: 4 PiB is beyond every store",
        );
        case.run().await.assert_passed();
    }
}

/// A started processor with its rig.
pub(super) struct Bench {
    pub(super) rig: Rig,
    pub(super) encrypt: Arc<Encrypt>,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    pub(super) async fn with(config: &str) -> Self {
        let rig = Rig::new();
        let encrypt = start(&rig, config).await.unwrap();
        Self { rig, encrypt }
    }

    pub(super) async fn land(&self, key: &str, body: impl Into<Vec<u8>>) -> (Job, Document) {
        let sample = Sample {
            name: key.to_owned(),
            key: key.to_owned(),
            content_type: Some("text/plain".to_owned()),
            body: body.into(),
        };
        self.rig.job(&ProcessorName::new("encrypt").unwrap(), &sample).await
    }

    pub(super) async fn process(&self, job: &Job, document: &Document) -> Result<Conclusion, ProcessError> {
        self.encrypt.process(job, document.clone()).await
    }

    /// Lands a document, seals it, and lets the catalog know that it is in this state.
    pub(super) async fn finished(&self, key: &str, body: impl Into<Vec<u8>>, state: ObjectState) -> ObjectRecord {
        let (job, document) = self.land(key, body).await;
        let conclusion = self.process(&job, &document).await.unwrap();
        let verdict = Some(if state == ObjectState::Quarantined {
            Verdict::Quarantine
        } else {
            Verdict::Pass
        });
        let record = ObjectRecord {
            object: job.object,
            state,
            verdict,
            sealed: conclusion.sealed,
            decisions: Vec::new(),
        };
        self.rig.record(record.clone());
        record
    }

    pub(super) fn handler(&self, verb: &str) -> Arc<dyn CommandHandler> {
        self.encrypt
            .commands()
            .into_iter()
            .find(|handler| handler.verb() == verb)
            .unwrap()
    }

    pub(super) fn command(&self, verb: &str, id: &str, body: serde_json::Value) -> CommandJob {
        let command = Command {
            id: CommandId::new(id).unwrap(),
            tenant: TenantName::new("default").unwrap(),
            verb: ProcessorName::new(verb).unwrap(),
            body,
            accepted_at: self.rig.clock.now(),
        };
        CommandJob {
            command,
            attempt: 1,
            cancelled: CancellationToken::new(),
        }
    }

    /// Sends a command and gives its answer.
    pub(super) async fn send(
        &self,
        verb: &str,
        id: &str,
        body: serde_json::Value,
    ) -> Result<CommandOutcome, WireError> {
        let handler = self.handler(verb);
        handler.check(&body).unwrap();
        handler.handle(&self.command(verb, id, body)).await.unwrap()
    }

    pub(super) async fn keys_in(&self, place: &Place) -> Vec<String> {
        let listed = place.store.list(&place.bucket, "", None, usize::MAX).await.unwrap();
        listed.into_iter().map(|l| l.key.to_string()).collect()
    }

    pub(super) fn vault(&self) -> &Place {
        &self.rig.deps.stores.vault
    }

    pub(super) fn outbox(&self) -> &Place {
        &self.rig.deps.stores.outbox
    }
}

pub(super) async fn start(rig: &Rig, config: &str) -> Result<Arc<Encrypt>, cofferdam_processor::StartError> {
    let plan = Encrypt::plan(toml::from_str(config).unwrap()).unwrap();
    Encrypt::start(plan, &rig.deps).await.map(Arc::new)
}

pub(super) async fn read(place: &Place, key: &str) -> Result<Vec<u8>, ObjectError> {
    let body = place.store.get(&place.at(ObjectKey::new(key).unwrap()), None).await?;
    Ok(read_all(body.stream, u64::MAX).await?.to_vec())
}

pub(super) async fn overwrite(place: &Place, key: &str, body: Vec<u8>) {
    place
        .put(ObjectKey::new(key).unwrap(), Bytes::from(body), PutOptions::default())
        .await
        .unwrap();
}

/// Text in which every position can be told from every other.
pub(super) fn text(len: usize) -> Vec<u8> {
    (0_u64..)
        .flat_map(|n| format!("{n:015}\n").into_bytes())
        .take(len)
        .collect()
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}
