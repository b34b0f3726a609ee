//! Multipart uploads that were begun and never ended.
//!
//! Their parts are real bytes that no listing shows. An upload is abandoned when neither it nor any part of it is younger than the given time: one that
//! is slow but alive stays.

use std::time::Duration;

use cofferdam_schemas::Timestamp;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::error::BucketError;
use crate::index::multipart;
use crate::store::Bucket;

/// How often to look.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Uploads looked up at a time.
const PAGE: u32 = 1_000;
/// Uploads removed at a time: each is a change of its own, since one may have 10,000 parts, and together they share the group commit.
const AT_ONCE: usize = 16;

/// Removes abandoned uploads at once and then every hour, until `stop`. A look that fails is tried again at the next.
pub async fn run_expiry(bucket: Bucket, after: Duration, stop: CancellationToken) -> Result<(), BucketError> {
    loop {
        match bucket.expire_uploads(after).await {
            Ok(0) => {}
            Ok(uploads) => tracing::info!(uploads, "removed multipart uploads that nobody went on with"),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot remove abandoned multipart uploads"
                )
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

impl Bucket {
    /// Removes the multipart uploads that nobody went on with for this long; returns how many.
    pub async fn expire_uploads(&self, after: Duration) -> Result<u64, BucketError> {
        let millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_unix_millis(self.now().unix_millis().saturating_sub(millis));
        let (mut removed, mut last) = (0, 0);
        loop {
            let page = self
                .look(move |connection| Ok(multipart::abandoned(connection, before, last, PAGE)?))
                .await?;
            let Some(end) = page.last() else { return Ok(removed) };
            last = *end;
            let expire = |id| self.commit(None, move |change| Ok(multipart::expire(change, id, before)?));
            removed += futures::stream::iter(page)
                .map(expire)
                .buffer_unordered(AT_ONCE)
                .try_fold(0, |count, gone| async move { Ok(count + u64::from(gone)) })
                .await?;
        }
    }
}
