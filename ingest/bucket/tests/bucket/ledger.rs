//! The ledger, and versions held for it.

use std::time::Duration;

use cofferdam_bucket::{Accept, BucketRecord, LedgerKind, LedgerRow};
use cofferdam_schemas::{Timestamp, Verb};
use cofferdam_seams::{Locator, ObjectError, ObjectStore, read_all};
use serde_json::json;

use crate::support::*;

fn record(row: &LedgerRow) -> BucketRecord {
    assert_eq!(row.kind, LedgerKind::Upload);
    serde_json::from_value(row.payload.clone()).unwrap()
}

async fn records(setup: &Setup) -> Vec<(i64, BucketRecord)> {
    let rows = setup.bucket.ledger().unpublished(0, 1000).await.unwrap();
    rows.iter().map(|row| (row.seq, record(row))).collect()
}

/// As the pipeline reads: exactly the version the event speaks of.
async fn read(setup: &Setup, record: &BucketRecord) -> Result<bytes::Bytes, ObjectError> {
    let at = Locator {
        bucket: record.bucket.clone(),
        key: record.key.clone(),
        version: Some(record.version.clone()),
        etag: Some(record.etag.clone()),
    };
    let body = setup.bucket.get(&at, None).await?;
    read_all(body.stream, 1 << 30).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_writing_to_a_landing_bucket_is_noted_and_no_other_bucket() {
    let setup = Setup::new().await;
    setup.put("plain", "k", "x").await;
    assert!(records(&setup).await.is_empty());
    let put = setup
        .client
        .put_object()
        .bucket("inbox")
        .key("put")
        .content_type("text/plain")
        .metadata("a", "1");
    put.body(b"hello".to_vec().into()).send().await.unwrap();
    setup
        .client
        .copy_object()
        .bucket("inbox")
        .key("copy")
        .copy_source("plain/k")
        .send()
        .await
        .unwrap();
    let mut upload = setup
        .bucket
        .upload(&at("inbox", "folder"), Default::default())
        .await
        .unwrap();
    upload.write(bytes::Bytes::from_static(b"file")).await.unwrap();
    let meta = upload.finish(bytes::Bytes::new()).await.unwrap();
    setup
        .client
        .delete_object()
        .bucket("inbox")
        .key("put")
        .send()
        .await
        .unwrap();
    setup
        .client
        .delete_object()
        .bucket("inbox")
        .key("never there")
        .send()
        .await
        .unwrap();
    let found = records(&setup).await;
    let summary: Vec<_> = found
        .iter()
        .map(|(_, r)| (r.reason.as_str(), r.key.as_str(), r.verb))
        .collect();
    assert_eq!(
        summary,
        [
            ("PutObject", "put", Verb::Put),
            ("CopyObject", "copy", Verb::Put),
            ("InboxFolder", "folder", Verb::Put),
            ("DeleteObject", "put", Verb::Del)
        ]
    );
    let first = &found[0].1;
    assert_eq!((first.size, first.content_type.as_deref()), (5, Some("text/plain")));
    assert_eq!(first.etag.as_str(), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(first.user.get("a").map(String::as_str), Some("1"));
    assert_eq!(
        found[3].1.version, first.version,
        "the delete names the version that went"
    );
    assert_eq!(found[3].1.last_modified, first.last_modified);
    assert_eq!(Some(found[2].1.version.clone()), meta.version);
    assert_eq!(found[2].1.etag, meta.etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_loses_nothing_until_the_row_is_closed() {
    let setup = Setup::new().await;
    let ledger = setup.bucket.ledger();
    let bodies = [bytes(1, 100_000), bytes(2, 100), bytes(3, 200_000)];
    for body in &bodies {
        setup.put("inbox", "k", body.clone()).await;
    }
    let found = records(&setup).await;
    assert_eq!(found.len(), 3);
    for ((_, record), body) in found.iter().zip(&bodies) {
        assert_eq!(read(&setup, record).await.unwrap(), body);
    }
    // Hidden from S3, also by version id.
    assert_eq!(setup.get("inbox", "k").await.unwrap(), bodies[2]);
    let id = found[0].1.version.as_str();
    let hidden = setup
        .client
        .get_object()
        .bucket("inbox")
        .key("k")
        .version_id(id)
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&hidden), "NoSuchVersion");
    let held = Locator {
        version: Some(found[0].1.version.clone()),
        ..at("inbox", "k")
    };
    let link = setup.bucket.presign_get(&held, Duration::from_secs(60), None).await;
    assert!(matches!(link, Err(ObjectError::NotFound { .. })));
    // Published and parked rows still hold.
    ledger
        .mark_published(
            found
                .iter()
                .map(|(seq, r)| (*seq, Some(format!("id-{}", r.version))))
                .collect(),
        )
        .await
        .unwrap();
    let subject = |n: usize| vec![format!("id-{}", found[n].1.version)];
    ledger.park(LedgerKind::Upload, subject(1)).await.unwrap();
    assert_eq!(read(&setup, &found[1].1).await.unwrap(), bodies[1]);
    assert_eq!(setup.files().len(), 2);
    // Closing releases exactly that version.
    ledger.close(LedgerKind::Upload, subject(0)).await.unwrap();
    assert!(matches!(
        read(&setup, &found[0].1).await,
        Err(ObjectError::NotFound { .. })
    ));
    assert_eq!(read(&setup, &found[1].1).await.unwrap(), bodies[1]);
    eventually("its file goes", || setup.files().len() == 1).await;
    ledger.close(LedgerKind::Upload, subject(1)).await.unwrap();
    // The current version stays when its row is closed …
    ledger.close(LedgerKind::Upload, subject(2)).await.unwrap();
    assert_eq!(setup.get("inbox", "k").await.unwrap(), bodies[2]);
    assert_eq!(ledger.depth().await.unwrap().open, 0);
    // … and is replaced at once afterwards.
    setup.put("inbox", "k", "new").await;
    assert!(matches!(
        read(&setup, &found[2].1).await,
        Err(ObjectError::NotFound { .. })
    ));
    eventually("no file", || setup.files().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_by_the_user_withdraws_held_versions_too() {
    let setup = Setup::new().await;
    setup.put("inbox", "k", bytes(1, 100_000)).await;
    setup.put("inbox", "k", bytes(2, 100_000)).await;
    setup.put("inbox", "other", "stays").await;
    setup
        .client
        .delete_object()
        .bucket("inbox")
        .key("k")
        .send()
        .await
        .unwrap();
    let found = records(&setup).await;
    let deleted: Vec<_> = found
        .iter()
        .filter(|(_, r)| r.verb == Verb::Del)
        .map(|(_, r)| r.version.clone())
        .collect();
    assert_eq!(
        deleted,
        [found[0].1.version.clone(), found[1].1.version.clone()],
        "each version is withdrawn by name"
    );
    for n in [0, 1] {
        assert!(matches!(
            read(&setup, &found[n].1).await,
            Err(ObjectError::NotFound { .. })
        ));
    }
    assert_eq!(read(&setup, &found[2].1).await.unwrap(), "stays");
    eventually("no file", || setup.files().is_empty()).await;
    // The rows of the puts stay until somebody closes them; that is no error though their versions are gone.
    let seqs: Vec<i64> = found.iter().map(|(seq, _)| *seq).collect();
    setup.bucket.ledger().close_rows(seqs).await.unwrap();
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipelines_own_clearing_away_is_not_noted() {
    let setup = Setup::new().await;
    setup.put("inbox", "k", "one").await;
    setup.put("inbox", "k", "two").await;
    let found = records(&setup).await;
    let exact = |n: usize| Locator {
        bucket: bucket_name("inbox"),
        key: found[n].1.key.clone(),
        version: Some(found[n].1.version.clone()),
        etag: Some(found[n].1.etag.clone()),
    };
    setup.bucket.delete(&exact(0)).await.unwrap();
    assert_eq!(
        setup.get("inbox", "k").await.unwrap(),
        "two",
        "only the held version went"
    );
    setup.bucket.delete(&exact(1)).await.unwrap();
    assert_eq!(setup.get("inbox", "k").await, None);
    setup.bucket.delete(&exact(1)).await.unwrap();
    assert_eq!(records(&setup).await.len(), 2, "no rows for deletes");
    // Without a version it is what a user does.
    setup.put("inbox", "k", "three").await;
    setup.bucket.delete(&at("inbox", "k")).await.unwrap();
    assert_eq!(records(&setup).await.last().unwrap().1.verb, Verb::Del);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_their_way() {
    let setup = Setup::new().await;
    let ledger = setup.bucket.ledger();
    let mut news = ledger.notified();
    assert!(!news.has_changed().unwrap());
    let accept = async |id: &str| {
        ledger
            .accept(LedgerKind::Command, id.to_owned(), json!({ "id": id }))
            .await
            .unwrap()
    };
    let Accept::New(first) = accept("t/1").await else {
        panic!("it is new")
    };
    assert!(news.has_changed().unwrap());
    news.mark_unchanged();
    assert_eq!(accept("t/1").await, Accept::Exists(first));
    assert!(!news.has_changed().unwrap(), "nothing was added");
    let Accept::New(second) = accept("t/2").await else {
        panic!("it is new")
    };
    assert!(second > first);
    // The same subject in another kind is another thing.
    let foreign = ledger
        .accept(LedgerKind::Foreign, "t/1".to_owned(), json!([1]))
        .await
        .unwrap();
    assert!(matches!(foreign, Accept::New(_)));

    let rows = ledger.unpublished(0, 2).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [first, second]);
    assert_eq!(rows[0].payload, json!({ "id": "t/1" }));
    assert_eq!((rows[0].redrives, rows[0].published_at), (0, None));
    assert_eq!(ledger.unpublished(second, 10).await.unwrap().len(), 1);

    ledger
        .mark_published(vec![(first, None), (second, None)])
        .await
        .unwrap();
    assert_eq!(ledger.unpublished(0, 10).await.unwrap().len(), 1);
    assert!(
        ledger
            .overdue(Timestamp::from_unix_millis(0), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let later = Timestamp::from_unix_millis(i64::MAX);
    assert_eq!(ledger.overdue(later, 10).await.unwrap().len(), 2);
    assert_eq!(ledger.overdue(later, 1).await.unwrap()[0].seq, first);
    let before = ledger.overdue(later, 10).await.unwrap()[0].published_at.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(ledger.mark_redriven(first).await.unwrap(), 1);
    assert_eq!(ledger.mark_redriven(first).await.unwrap(), 2);
    let overdue = ledger.overdue(later, 10).await.unwrap();
    assert_eq!(
        overdue.iter().map(|row| row.seq).collect::<Vec<_>>(),
        [second, first],
        "the longest waiting first"
    );
    assert!(overdue[1].published_at.unwrap() > before && overdue[1].redrives == 2);

    ledger
        .park(LedgerKind::Command, vec!["t/1".into(), "never there".into()])
        .await
        .unwrap();
    assert_eq!(ledger.overdue(later, 10).await.unwrap().len(), 1);
    assert_eq!(accept("t/1").await, Accept::Exists(first), "parked is not forgotten");
    let depth = ledger.depth().await.unwrap();
    assert_eq!((depth.open, depth.parked), (2, 1));
    assert!(depth.oldest.is_some());
    ledger
        .close(LedgerKind::Command, vec!["t/1".into(), "t/2".into()])
        .await
        .unwrap();
    assert_eq!(ledger.mark_redriven(first).await.unwrap(), 0, "final by now");
    let depth = ledger.depth().await.unwrap();
    assert_eq!((depth.open, depth.parked), (1, 0), "the foreign row has its own life");
    assert!(
        matches!(accept("t/1").await, Accept::New(seq) if seq > second),
        "numbers are never used twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_survives_the_process() {
    let setup = Setup::new().await;
    setup.put("inbox", "k", bytes(1, 100_000)).await;
    setup.put("inbox", "k", "new").await;
    let found = records(&setup).await;
    setup.bucket.close().await;
    let again = open(&setup.dir).await;
    assert_eq!(again.ledger().depth().await.unwrap().open, 2);
    let held = Locator {
        version: Some(found[0].1.version.clone()),
        ..at("inbox", "k")
    };
    let body = again.get(&held, None).await.unwrap();
    assert_eq!(
        read_all(body.stream, 1 << 20).await.unwrap(),
        bytes(1, 100_000),
        "the sweep spares what is held"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn landing_with_versions() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    let setup = Setup::new().await;
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    setup
        .client
        .put_bucket_versioning()
        .bucket("inbox")
        .versioning_configuration(enabled)
        .send()
        .await
        .unwrap();
    let put = setup
        .client
        .put_object()
        .bucket("inbox")
        .key("k")
        .body(b"one".to_vec().into())
        .send()
        .await
        .unwrap();
    setup.put("inbox", "k", "two").await;
    setup
        .client
        .delete_object()
        .bucket("inbox")
        .key("k")
        .send()
        .await
        .unwrap();
    let found = records(&setup).await;
    assert_eq!(
        found[0].1.version.as_str(),
        put.version_id().unwrap(),
        "public and internal ids are the same"
    );
    assert_eq!(
        (found[2].1.verb, &found[2].1.version),
        (Verb::Del, &found[1].1.version),
        "the version that was hidden"
    );
    assert_eq!(
        read(&setup, &found[0].1).await.unwrap(),
        "one",
        "old versions stay readable"
    );
    setup
        .client
        .delete_object()
        .bucket("inbox")
        .key("k")
        .version_id(put.version_id().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(records(&setup).await[3].1.version.as_str(), put.version_id().unwrap());
}
