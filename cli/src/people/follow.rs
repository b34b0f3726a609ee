//! Follows documents to their end on the live feed, with the query service as a fallback: live messages are sent at most once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cofferdam_schemas::{BucketName, Done, ETag, ObjectEvent, ObjectId, ObjectKey, ResultEvent};
use futures::StreamExt;
use tokio::sync::watch;

use crate::client::Session;

/// A version as its uploader knows it.
pub type Known = (BucketName, ObjectKey, ETag);

/// What has been seen of one document.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Its id, once the event was seen.
    pub object: Option<ObjectId>,
    /// The processors that are required.
    pub required: Vec<String>,
    /// Each processor's outcome.
    pub results: BTreeMap<String, String>,
    /// The end.
    pub done: Option<Done>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<BTreeMap<Known, Seen>>,
    ids: Mutex<BTreeMap<ObjectId, Known>>,
}

/// Listens from before the upload.
pub struct Follower {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Begins to listen.
    pub async fn start(session: &Session) -> anyhow::Result<Follower> {
        let mut messages = session.nats.subscribe("live.>").await?;
        session.nats.flush().await?;
        let shared = Arc::new(Shared::default());
        let (change, changed) = watch::channel(0_u64);
        let task = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Some(message) = messages.next().await {
                    shared.take(message.subject.as_str(), &message.payload);
                    change.send_modify(|n| *n += 1);
                }
            }
        });
        Ok(Follower { shared, changed, task })
    }

    /// What is known of a document so far.
    pub fn seen(&self, known: &Known) -> Seen {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(known)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until something was heard, or a while has passed.
    pub async fn heard(&self, at_most: Duration) {
        let mut changed = self.changed.clone();
        changed.mark_unchanged();
        let _ = tokio::time::timeout(at_most, changed.changed()).await;
    }
}

impl Shared {
    fn take(&self, subject: &str, body: &[u8]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if subject.starts_with("live.event.") {
            if let Ok(event) = serde_json::from_slice::<ObjectEvent>(body) {
                let known = (
                    event.object.bucket.clone(),
                    event.object.key.clone(),
                    event.object.etag.clone(),
                );
                self.ids
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(event.object.id, known.clone());
                let entry = seen.entry(known).or_default();
                entry.object = Some(event.object.id);
                entry.required = event.plan.required.iter().map(ToString::to_string).collect();
            }
        } else if subject.starts_with("live.done.") {
            if let Ok(done) = serde_json::from_slice::<Done>(body) {
                let known = (
                    done.object.bucket.clone(),
                    done.object.key.clone(),
                    done.object.etag.clone(),
                );
                let entry = seen.entry(known).or_default();
                entry.object = Some(done.object.id);
                entry.done = Some(done);
            }
        } else if let Ok(result) = serde_json::from_slice::<ResultEvent>(body) {
            let known = (
                result.object.bucket.clone(),
                result.object.key.clone(),
                result.object.etag.clone(),
            );
            let entry = seen.entry(known).or_default();
            entry.object = Some(result.object.id);
            entry.required = result.plan.required.iter().map(ToString::to_string).collect();
            entry
                .results
                .insert(result.processor.to_string(), result.outcome.to_string());
        }
    }
}
