//! The ten faults found in the ready-made S3 server; each must not be found here.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn fault_01_a_wrong_checksum_leaves_nothing_behind() {
    let setup = Setup::new().await;
    for (name, size) in [("small", 100), ("large", 300_000)] {
        let body = bytes(1, size);
        let wrong_sha = STANDARD.encode([7; 32]);
        let put = || {
            setup
                .client
                .put_object()
                .bucket("inbox")
                .key(name)
                .body(ByteStream::from(body.clone()))
        };
        let error = put().checksum_sha256(&wrong_sha).send().await.unwrap_err();
        assert_eq!(code(&error), "BadDigest");
        let error = put().content_md5(STANDARD.encode([7; 16])).send().await.unwrap_err();
        assert_eq!(code(&error), "BadDigest");
        assert_eq!(setup.get("inbox", name).await, None);
    }
    assert!(setup.keys("inbox").await.is_empty());
    eventually("temporary files are gone", || setup.files().is_empty()).await;
    assert_eq!(
        setup.bucket.ledger().depth().await.unwrap().open,
        0,
        "no event of what was not stored"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_02_keys_are_not_paths() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for key in ["../../escape", "..", "../plain/x", "/etc/passwd", "a/../b"] {
        // Encoded slashes, so that no client in between tidies the path.
        let target = format!("/inbox/{}", key.replace('/', "%2F").replace("..", "%2E%2E"));
        let canonical = format!("/inbox/{key}");
        let signed = raw.sign("PUT", &canonical, &[("content-length", "4")], &hex_sha256(b"body"));
        let head = signed.head.replacen(&canonical, &target, 1);
        let answer = raw.exchange("PUT", &[head.as_bytes(), b"body"]).await;
        assert_eq!(answer.status, 200, "{key}: {}", answer.text());
    }
    let mut keys = setup.keys("inbox").await;
    keys.sort();
    assert_eq!(keys, ["..", "../../escape", "../plain/x", "/etc/passwd", "a/../b"]);
    assert!(setup.keys("plain").await.is_empty());
    assert!(!setup.dir.path().join("escape").exists() && !setup.dir.path().parent().unwrap().join("escape").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_03_keys_that_look_alike_are_different() {
    let setup = Setup::new().await;
    let keys = [
        "x/y", "x//y", "x///y", "x/./y", "é", "e\u{301}", "A", "a", "a ", " a", "a+b", "a b", "a%20b", "a%2Bb", "😀",
        "a\\b",
    ];
    for key in keys {
        setup.put("inbox", key, format!("body of {key:?}")).await;
    }
    for key in keys {
        assert_eq!(
            setup.get("inbox", key).await.unwrap(),
            format!("body of {key:?}"),
            "{key:?}"
        );
    }
    let mut listed = setup.keys("inbox").await;
    listed.sort();
    let mut expected = keys.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(listed, expected);
    setup
        .client
        .delete_object()
        .bucket("inbox")
        .key("x//y")
        .send()
        .await
        .unwrap();
    assert!(setup.get("inbox", "x/y").await.is_some() && setup.get("inbox", "x//y").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_04_a_key_may_continue_another_and_be_1024_bytes_long() {
    let setup = Setup::new().await;
    let long = "k".repeat(1024);
    let emoji = "😀".repeat(256);
    for key in ["p", "p/q", "p/q/r", "p/", &long, &emoji] {
        setup.put("inbox", key, key.to_owned()).await;
    }
    for key in ["p", "p/q", "p/q/r", "p/", &long, &emoji] {
        assert_eq!(setup.get("inbox", key).await.unwrap(), key.as_bytes());
    }
    let too_long = "k".repeat(1025);
    let error = setup
        .client
        .put_object()
        .bucket("inbox")
        .key(&too_long)
        .body(ByteStream::from_static(b"x"))
        .send()
        .await;
    assert_eq!(code(&error.unwrap_err()), "KeyTooLongError");
    let answer = setup.raw().send("PUT", "/inbox/a%00b", &[], b"x").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "InvalidURI"));
    let answer = setup.raw().send("PUT", "/inbox/a%FFb", &[], b"x").await;
    assert_eq!(answer.status, 400, "not UTF-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_05_a_bucket_that_is_not_empty_is_not_deleted_and_slashes_make_no_folders() {
    let setup = Setup::new().await;
    setup.put("plain", "folder/", "").await;
    let error = setup.client.delete_bucket().bucket("plain").send().await.unwrap_err();
    assert_eq!(code(&error), "BucketNotEmpty");
    assert_eq!(setup.get("plain", "folder/").await.unwrap(), "");
    let head = setup
        .client
        .head_object()
        .bucket("plain")
        .key("folder/")
        .send()
        .await
        .unwrap();
    assert_eq!(head.e_tag(), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
    let page = setup.client.list_objects_v2().bucket("plain").send().await.unwrap();
    assert_eq!(page.contents()[0].e_tag(), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("folder/")
        .send()
        .await
        .unwrap();
    setup.client.delete_bucket().bucket("plain").send().await.unwrap();
    let error = setup.client.head_bucket().bucket("plain").send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_06_listing_20_000_keys_takes_a_moment() {
    let setup = Setup::new().await;
    let store: &dyn cofferdam_seams::ObjectStore = &setup.bucket;
    let begun = Instant::now();
    let writes = (0..20_000).map(|n| async move {
        let mut upload = store
            .upload(&at("plain", &format!("d{}/{n:06}", n % 7)), Default::default())
            .await
            .unwrap();
        upload.write(bytes(n, 50)).await.unwrap();
        upload.finish(bytes::Bytes::new()).await.unwrap();
    });
    futures::StreamExt::for_each_concurrent(futures::stream::iter(writes), 256, |write| write).await;
    eprintln!("20,000 small objects written durably in {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut pages = setup.client.list_objects_v2().bucket("plain").into_paginator().send();
    let (mut keys, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        count += 1;
        keys.extend(
            page.unwrap()
                .contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
    }
    let took = begun.elapsed();
    eprintln!("20,000 keys listed in {count} pages in {took:?}");
    assert_eq!((keys.len(), count), (20_000, 20));
    assert!(keys.is_sorted());
    // 26 s was the fault; a scan costs some ten milliseconds a page even on a busy machine.
    assert!(took < Duration::from_secs(8), "{took:?}");
    let begun = Instant::now();
    let page = setup
        .client
        .list_objects_v2()
        .bucket("plain")
        .delimiter("/")
        .send()
        .await
        .unwrap();
    assert_eq!(page.common_prefixes().len(), 7);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "folding does not read what it folds"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_07_what_sdks_expect_is_there() {
    let setup = Setup::new().await;
    setup.put("plain", "k", "hello").await;
    let page = setup.client.list_objects().bucket("plain").send().await.unwrap();
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    assert_eq!(page.contents()[0].e_tag(), Some(etag));
    let error = setup
        .client
        .get_object()
        .bucket("plain")
        .key("k")
        .if_none_match(etag)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 304);
    let error = setup.client.create_bucket().bucket("plain").send().await.unwrap_err();
    assert_eq!(code(&error), "BucketAlreadyOwnedByYou");
    // The checksum over all bytes of a multipart object.
    let created = setup
        .client
        .create_multipart_upload()
        .bucket("plain")
        .key("m")
        .send()
        .await
        .unwrap();
    let id = created.upload_id().unwrap();
    let body = bytes(3, 5 * 1024 * 1024 + 17);
    let mut parts = Vec::new();
    for (number, part) in [(1, body.slice(..5 * 1024 * 1024)), (2, body.slice(5 * 1024 * 1024..))] {
        let upload = setup
            .client
            .upload_part()
            .bucket("plain")
            .key("m")
            .upload_id(id)
            .part_number(number);
        let done = upload.body(ByteStream::from(part)).send().await.unwrap();
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(done.e_tag)
                .build(),
        );
    }
    let complete = setup
        .client
        .complete_multipart_upload()
        .bucket("plain")
        .key("m")
        .upload_id(id);
    complete
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        .send()
        .await
        .unwrap();
    let head = setup.client.head_object().bucket("plain").key("m");
    let head = head
        .checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    let whole = crc_fast::crc64_nvme(&body).to_be_bytes();
    assert_eq!(head.checksum_crc64_nvme(), Some(STANDARD.encode(whole).as_str()));
    assert_eq!(head.checksum_type().unwrap().as_str(), "FULL_OBJECT");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_08_the_missing_operations_exist_and_encryption_is_not_ignored() {
    use aws_sdk_s3::types::{
        BucketVersioningStatus, Event, NotificationConfiguration, ObjectAttributes, QueueConfiguration,
        ServerSideEncryption, Tag, Tagging, VersioningConfiguration,
    };
    let setup = Setup::new().await;
    let client = &setup.client;
    setup.put("plain", "k", "hello").await;
    assert!(
        client
            .list_multipart_uploads()
            .bucket("plain")
            .send()
            .await
            .unwrap()
            .uploads()
            .is_empty()
    );

    let tags = Tagging::builder()
        .tag_set(Tag::builder().key("colour").value("blue & green").build().unwrap())
        .build()
        .unwrap();
    client
        .put_object_tagging()
        .bucket("plain")
        .key("k")
        .tagging(tags)
        .send()
        .await
        .unwrap();
    let got = client
        .get_object_tagging()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (got.tag_set()[0].key(), got.tag_set()[0].value()),
        ("colour", "blue & green")
    );
    assert_eq!(
        client
            .get_object()
            .bucket("plain")
            .key("k")
            .send()
            .await
            .unwrap()
            .tag_count(),
        Some(1)
    );
    client
        .delete_object_tagging()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    assert!(
        client
            .get_object_tagging()
            .bucket("plain")
            .key("k")
            .send()
            .await
            .unwrap()
            .tag_set()
            .is_empty()
    );

    assert!(
        client
            .get_bucket_versioning()
            .bucket("plain")
            .send()
            .await
            .unwrap()
            .status()
            .is_none()
    );
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    client
        .put_bucket_versioning()
        .bucket("plain")
        .versioning_configuration(enabled)
        .send()
        .await
        .unwrap();
    let status = client.get_bucket_versioning().bucket("plain").send().await.unwrap();
    assert_eq!(status.status(), Some(&BucketVersioningStatus::Enabled));

    let empty = client
        .get_bucket_notification_configuration()
        .bucket("plain")
        .send()
        .await
        .unwrap();
    assert!(empty.queue_configurations().is_empty());
    let queue = QueueConfiguration::builder()
        .id("mine")
        .queue_arn("arn:aws:sqs:us-east-1:1:q<&>")
        .events(Event::S3ObjectCreated);
    let configuration = NotificationConfiguration::builder()
        .queue_configurations(queue.build().unwrap())
        .build();
    client
        .put_bucket_notification_configuration()
        .bucket("plain")
        .notification_configuration(configuration)
        .send()
        .await
        .unwrap();
    let got = client
        .get_bucket_notification_configuration()
        .bucket("plain")
        .send()
        .await
        .unwrap();
    assert_eq!(
        got.queue_configurations()[0].queue_arn(),
        "arn:aws:sqs:us-east-1:1:q<&>"
    );
    assert_eq!(got.queue_configurations()[0].events(), [Event::S3ObjectCreated]);

    let attributes = client.get_object_attributes().bucket("plain").key("k");
    let attributes = attributes
        .object_attributes(ObjectAttributes::Etag)
        .object_attributes(ObjectAttributes::ObjectSize);
    let attributes = attributes
        .object_attributes(ObjectAttributes::Checksum)
        .send()
        .await
        .unwrap();
    assert_eq!(
        attributes.e_tag().map(|tag| tag.trim_matches('"')),
        Some("5d41402abc4b2a76b9719d911017c592")
    );
    assert_eq!(attributes.object_size(), Some(5));
    assert!(attributes.checksum().is_some());

    for encryption in [ServerSideEncryption::Aes256, ServerSideEncryption::AwsKms] {
        let put = client
            .put_object()
            .bucket("plain")
            .key("e")
            .body(ByteStream::from_static(b"x"));
        let error = put.server_side_encryption(encryption).send().await.unwrap_err();
        assert_eq!(code(&error), "NotImplemented");
    }
    assert_eq!(setup.get("plain", "e").await, None);
    let error = client
        .get_bucket_lifecycle_configuration()
        .bucket("plain")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "NotImplemented");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_09_an_answered_put_is_on_disk() {
    let setup = Setup::new().await;
    let (small, large) = (bytes(1, 1000), bytes(2, 1_000_000));
    setup.put("inbox", "small", small.clone()).await;
    setup.put("inbox", "large", large.clone()).await;
    // What a crash at this moment leaves: the files as they are, and what the process would still have removed or moved.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["bucket.db", "bucket.db-wal"] {
        std::fs::copy(setup.dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    let files = setup.files();
    assert_eq!(files.len(), 1, "one object in the database, one file: {files:?}");
    for file in files {
        let copy = crashed.path().join(file.strip_prefix(setup.dir.path()).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(&file, copy).unwrap();
    }
    let again = open(&crashed).await;
    let store: &dyn cofferdam_seams::ObjectStore = &again;
    for (key, body) in [("small", small), ("large", large)] {
        let got = store.get(&at("inbox", key), None).await.unwrap();
        assert_eq!(cofferdam_seams::read_all(got.stream, 1 << 30).await.unwrap(), body);
    }
    assert_eq!(again.ledger().depth().await.unwrap().open, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_10_presigned_urls_of_old_signatures_work_too() {
    // Stock boto3 presigns for unknown endpoints with Signature Version 2.
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let setup = Setup::new().await;
    setup.put("inbox", "a b+ü.txt", "hello").await;
    let expires = time::OffsetDateTime::now_utc().unix_timestamp() + 60;
    let sign = |expires: i64| {
        let path = "/inbox/a%20b%2B%C3%BC.txt";
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(OPERATOR.1.as_bytes()).unwrap();
        mac.update(format!("GET\n\n\n{expires}\n{path}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!(
            "{path}?AWSAccessKeyId={}&Signature={signature}&Expires={expires}",
            OPERATOR.0
        )
    };
    let get = async |target: String| {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", setup.address);
        setup.raw().exchange("GET", &[head.as_bytes()]).await
    };
    let answer = get(sign(expires)).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(get(sign(expires - 120)).await.code(), "AccessDenied");
    assert_eq!(
        get(sign(expires).replace("a%20b", "a%20c")).await.code(),
        "SignatureDoesNotMatch"
    );
    let far = time::OffsetDateTime::now_utc().unix_timestamp() + 8 * 24 * 3600;
    assert_eq!(
        get(sign(far)).await.status,
        400,
        "no longer than a week, as for the new signatures"
    );
}
