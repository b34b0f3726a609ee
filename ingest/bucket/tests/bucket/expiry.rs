//! Multipart uploads that were begun and never ended.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_bucket::{BucketSettings, EndpointSettings};
use cofferdam_schemas::Timestamp;
use cofferdam_seams::ManualClock;

use crate::multipart::Upload;
use crate::support::*;

const DAY: i64 = 86_400_000;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

async fn with_clock() -> (Setup, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(1_795_000_000_000)));
    let settings = clock.clone();
    let setup = Setup::over(EndpointSettings::default(), |s| BucketSettings { clock: settings, ..s }).await;
    (setup, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_nobody_goes_on_with_are_removed_with_their_parts() {
    let (setup, clock) = with_clock().await;
    let abandoned = Upload::begin(&setup, "inbox", "abandoned").await;
    abandoned.part(1, bytes(1, 100_000)).await;
    abandoned.part(2, bytes(2, 100)).await;
    let empty = Upload::begin(&setup, "inbox", "empty").await;
    let slow = Upload::begin(&setup, "inbox", "slow").await;
    let first = slow.part(1, bytes(3, crate::multipart::PART)).await;
    clock.advance_millis(6 * DAY);
    let second = slow.part(2, bytes(4, 100_000)).await;
    assert_eq!(setup.bucket.expire_uploads(WEEK).await.unwrap(), 0);
    clock.advance_millis(DAY);
    assert_eq!(
        setup.bucket.expire_uploads(WEEK).await.unwrap(),
        0,
        "a week to the millisecond"
    );
    clock.advance_millis(1);
    let young = Upload::begin(&setup, "inbox", "young").await;
    assert_eq!(setup.bucket.expire_uploads(WEEK).await.unwrap(), 2);
    let left = setup
        .client
        .list_multipart_uploads()
        .bucket("inbox")
        .send()
        .await
        .unwrap();
    let mut keys: Vec<_> = left.uploads().iter().map(|u| u.key().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["slow", "young"]);
    eventually("the abandoned file is gone", || setup.files().len() == 2).await;
    // Whoever comes back is told, and leaves nothing behind.
    for upload in [&abandoned, &empty] {
        let part = setup
            .client
            .upload_part()
            .bucket("inbox")
            .key("abandoned")
            .upload_id(&upload.id);
        let part = part.part_number(3).body(bytes(5, 100_000).into()).send().await;
        assert_eq!(code(&part.unwrap_err()), "NoSuchUpload");
    }
    slow.complete(vec![first, second]).send().await.unwrap();
    assert_eq!(setup.keys("inbox").await, ["slow"]);
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 1);
    let abort = setup.client.abort_multipart_upload().bucket("inbox").key("young");
    abort.upload_id(&young.id).send().await.unwrap();
    assert_eq!(setup.files().len(), 2, "those of the completed one");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_begins_at_once_and_ends_when_told() {
    let (setup, clock) = with_clock().await;
    for n in 0..40_u64 {
        let upload = Upload::begin(&setup, "plain", "k").await;
        if n % 20 == 0 {
            upload.part(1, bytes(n, 70_000)).await;
        }
    }
    clock.advance_millis(8 * DAY);
    let stop = tokio_util::sync::CancellationToken::new();
    let sweep = tokio::spawn(cofferdam_bucket::run_expiry(setup.bucket.clone(), WEEK, stop.clone()));
    eventually("nothing is left", || setup.files().is_empty()).await;
    stop.cancel();
    sweep.await.unwrap().unwrap();
    let left = setup
        .client
        .list_multipart_uploads()
        .bucket("plain")
        .send()
        .await
        .unwrap();
    assert!(left.uploads().is_empty());
}
