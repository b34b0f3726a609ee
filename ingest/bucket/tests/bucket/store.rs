//! The store in process.

use std::sync::Arc;

use bytes::Bytes;
use cofferdam_schemas::BucketName;
use cofferdam_seams::{ObjectError, ObjectStore, PutOptions, read_all};

use crate::support::*;

async fn make() -> (Arc<dyn ObjectStore>, BucketName, Setup) {
    let setup = Setup::new().await;
    (Arc::new(setup.bucket.clone()), bucket_name("plain"), setup)
}

cofferdam_seams::object_store_conformance!(make);

async fn write(setup: &Setup, key: &str, head: Bytes, body: Bytes) -> cofferdam_seams::ObjectMeta {
    let options = PutOptions {
        reserve_head: head.len() as u64,
        ..PutOptions::default()
    };
    let mut upload = setup.bucket.upload(&at("plain", key), options).await.unwrap();
    for chunk in body.chunks(10_007) {
        upload.write(body.slice_ref(chunk)).await.unwrap();
    }
    upload.finish(head).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_objects_are_rows_and_large_ones_files() {
    let setup = Setup::new().await;
    write(&setup, "at the limit", bytes(0, 1000), bytes(1, 64_536)).await;
    assert!(setup.files().is_empty());
    write(&setup, "above", bytes(0, 1000), bytes(1, 64_537)).await;
    assert_eq!(setup.files().len(), 1);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&setup.files()[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else reads it");
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_of_objects_with_a_head_are_those_of_all_bytes() {
    let setup = Setup::new().await;
    for size in [0, 500, 300_000] {
        let (head, body) = (bytes(1, 777), bytes(2, size));
        let meta = write(&setup, "k", head.clone(), body.clone()).await;
        let all = [&head[..], &body[..]].concat();
        assert_eq!(
            meta.checksums.crc64nvme,
            Some(hex::encode(crc_fast::crc64_nvme(&all).to_be_bytes()))
        );
        let etag = meta.etag.as_str();
        assert!(
            etag.starts_with("b3") && etag.len() == 34 && !etag.contains('-'),
            "{etag}"
        );
        assert_eq!(
            setup.get("plain", "k").await.unwrap(),
            all,
            "and the SDK, which compares, agrees"
        );
        let same = write(&setup, "other", head, body).await;
        assert_eq!(same.etag, meta.etag, "the same bytes have the same entity tag");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_damaged_is_told() {
    let setup = Setup::new().await;
    write(&setup, "short", Bytes::new(), bytes(1, 1_000_000)).await;
    let file = setup.files().remove(0);
    std::fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(500_000)
        .unwrap();
    let body = setup.bucket.get(&at("plain", "short"), None).await.unwrap();
    let read = read_all(body.stream, 1 << 30).await;
    assert!(matches!(read, Err(ObjectError::Corrupt { .. })), "{read:?}");
    std::fs::remove_file(&file).unwrap();
    let gone = setup.bucket.get(&at("plain", "short"), None).await.map(|_| ());
    assert!(matches!(gone, Err(ObjectError::Corrupt { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_is_swept_at_the_next_start() {
    let setup = Setup::new().await;
    write(&setup, "k", Bytes::new(), bytes(1, 100_000)).await;
    setup.stop.cancel();
    setup.bucket.close().await;
    let kept = setup.files().remove(0);
    // A file renamed but never indexed, and a temporary one.
    let orphan = kept.parent().unwrap().join(format!("{}.blob", "f".repeat(32)));
    std::fs::write(&orphan, b"orphan").unwrap();
    let elsewhere = setup.dir.path().join("blobs/00/11");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::write(elsewhere.join(format!("0011{}.blob", "a".repeat(28))), b"orphan").unwrap();
    std::fs::write(setup.dir.path().join("blobs/tmp/half"), b"half").unwrap();
    let again = open(&setup.dir).await;
    assert_eq!(setup.files(), [kept]);
    let body = again.get(&at("plain", "k"), None).await.unwrap();
    assert_eq!(read_all(body.stream, 1 << 20).await.unwrap(), bytes(1, 100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_all_or_nothing() {
    let setup = Setup::new().await;
    for n in 0..60_u64 {
        let bucket = setup.bucket.clone();
        let task = tokio::spawn(async move {
            let mut upload = bucket
                .upload(&at("plain", &format!("k{n}")), PutOptions::default())
                .await
                .unwrap();
            upload.write(bytes(n, 150_000)).await.unwrap();
            upload.finish(Bytes::new()).await.unwrap();
        });
        tokio::time::sleep(std::time::Duration::from_micros(n * 150)).await;
        task.abort();
        let _ = task.await;
    }
    // Commits under way go on to their end.
    setup.bucket.create_bucket(&bucket_name("last")).await.unwrap();
    for (n, key) in setup
        .keys("plain")
        .await
        .iter()
        .map(|key| (key[1..].parse::<u64>().unwrap(), key))
    {
        assert_eq!(setup.get("plain", key).await.unwrap(), bytes(n, 150_000), "{key}");
    }
    let count = setup.keys("plain").await.len();
    eventually("one file an object", || setup.files().len() == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_small_whatever_the_object() {
    let setup = Setup::new().await;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap_or("VmRSS: 0 kB")
            .to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let chunk = bytes(1, 1_000_000);
    let before = resident();
    let mut upload = setup
        .bucket
        .upload(&at("plain", "big"), PutOptions::default())
        .await
        .unwrap();
    let mut most = before;
    for _ in 0..400 {
        upload.write(chunk.clone()).await.unwrap();
        most = most.max(resident());
    }
    upload.finish(Bytes::new()).await.unwrap();
    let mut body = setup.bucket.get(&at("plain", "big"), None).await.unwrap().stream;
    let mut read = 0;
    while let Some(chunk) = futures::StreamExt::next(&mut body).await {
        read += chunk.unwrap().len();
        most = most.max(resident());
    }
    assert_eq!(read, 400_000_000);
    // Other tests run in the same process; their objects are a few dozen megabytes together.
    assert!(most < before + 250, "{before} MiB before, {most} MiB at most");
}
