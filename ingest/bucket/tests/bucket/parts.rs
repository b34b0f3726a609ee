//! Multipart uploads: checksums, copied parts, listings, the most parts.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectAttributes,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use crate::multipart::{PART, Upload};
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn checksums_over_parts_and_over_everything() {
    let setup = Setup::new().await;
    let body = bytes(3, PART + 77);
    let halves = [body.slice(..PART), body.slice(PART..)];
    let crc32 = |bytes: &[u8]| (crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes) as u32).to_be_bytes();
    let composite_sha = {
        let parts: Vec<u8> = halves
            .iter()
            .flat_map(|half| sha2::Sha256::digest(half).to_vec())
            .collect();
        format!("{}-2", STANDARD.encode(sha2::Sha256::digest(parts)))
    };
    let composite_crc = format!(
        "{}-2",
        STANDARD.encode(crc32(&[crc32(&halves[0]), crc32(&halves[1])].concat()))
    );
    let whole_crc = STANDARD.encode(crc32(&body));
    let cases = [
        (ChecksumAlgorithm::Sha256, None, composite_sha, "COMPOSITE"),
        (ChecksumAlgorithm::Crc32, None, composite_crc, "COMPOSITE"),
        (
            ChecksumAlgorithm::Crc32,
            Some(ChecksumType::FullObject),
            whole_crc,
            "FULL_OBJECT",
        ),
    ];
    for (algorithm, kind, expected, type_text) in cases {
        let created = setup
            .client
            .create_multipart_upload()
            .bucket("plain")
            .key("m")
            .checksum_algorithm(algorithm.clone());
        let created = created.set_checksum_type(kind).send().await.unwrap();
        assert_eq!(created.checksum_type().unwrap().as_str(), type_text);
        let id = created.upload_id().unwrap();
        let mut parts = Vec::new();
        for (number, half) in (1..).zip(&halves) {
            let part = setup
                .client
                .upload_part()
                .bucket("plain")
                .key("m")
                .upload_id(id)
                .part_number(number);
            let done = part
                .checksum_algorithm(algorithm.clone())
                .body(ByteStream::from(half.clone()))
                .send()
                .await
                .unwrap();
            let part = CompletedPart::builder()
                .part_number(number)
                .set_e_tag(done.e_tag.clone());
            parts.push(
                part.set_checksum_sha256(done.checksum_sha256)
                    .set_checksum_crc32(done.checksum_crc32)
                    .build(),
            );
        }
        let listed = setup
            .client
            .list_parts()
            .bucket("plain")
            .key("m")
            .upload_id(id)
            .send()
            .await
            .unwrap();
        assert_eq!(
            listed.parts()[0].checksum_sha256().is_some(),
            algorithm == ChecksumAlgorithm::Sha256
        );
        let mut wrong = parts.clone();
        wrong[0] = CompletedPart::builder()
            .part_number(1)
            .checksum_crc32(STANDARD.encode([0; 4]))
            .build();
        let complete = |parts| {
            let complete = setup
                .client
                .complete_multipart_upload()
                .bucket("plain")
                .key("m")
                .upload_id(id);
            complete.multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        };
        assert_eq!(code(&complete(wrong).send().await.unwrap_err()), "InvalidPart");
        let done = complete(parts).send().await.unwrap();
        let shown = if algorithm == ChecksumAlgorithm::Sha256 {
            done.checksum_sha256()
        } else {
            done.checksum_crc32()
        };
        assert_eq!(shown, Some(expected.as_str()));
        let got = setup
            .client
            .get_object()
            .bucket("plain")
            .key("m")
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        let shown = if algorithm == ChecksumAlgorithm::Sha256 {
            got.checksum_sha256()
        } else {
            got.checksum_crc32()
        };
        assert_eq!(shown, Some(expected.as_str()));
        assert_eq!(got.checksum_type().unwrap().as_str(), type_text);
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), body);
        let attributes = setup
            .client
            .get_object_attributes()
            .bucket("plain")
            .key("m")
            .max_parts(1);
        let attributes = attributes
            .object_attributes(ObjectAttributes::ObjectParts)
            .send()
            .await
            .unwrap();
        let parts = attributes.object_parts().unwrap();
        assert_eq!(
            (parts.total_parts_count(), parts.is_truncated(), parts.parts().len()),
            (Some(2), Some(true), 1)
        );
        assert_eq!(parts.parts()[0].size(), Some(PART as i64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_can_be_copied_from_objects() {
    let setup = Setup::new().await;
    let body = bytes(1, PART + 5000);
    setup.put("vault", "src é", body.clone()).await;
    let upload = Upload::begin(&setup, "plain", "m").await;
    let copy = |number: i32, range: Option<String>| {
        let copy = setup
            .client
            .upload_part_copy()
            .bucket("plain")
            .key("m")
            .upload_id(&upload.id)
            .part_number(number);
        copy.copy_source("vault/src%20%C3%A9").set_copy_source_range(range)
    };
    let first = copy(1, None).send().await.unwrap();
    let second = copy(2, Some("bytes=10-1009".into())).send().await.unwrap();
    for range in ["bytes=0-99999999", "bytes=5-1", "bytes=5-"] {
        assert_eq!(
            code(&copy(3, Some(range.into())).send().await.unwrap_err()),
            "InvalidArgument",
            "{range}"
        );
    }
    let tag = |result: Option<aws_sdk_s3::types::CopyPartResult>| result.unwrap().e_tag;
    let parts = [(1, tag(first.copy_part_result)), (2, tag(second.copy_part_result))];
    let parts = parts.map(|(number, etag)| CompletedPart::builder().part_number(number).set_e_tag(etag).build());
    upload.complete(parts.to_vec()).send().await.unwrap();
    assert_eq!(
        setup.get("plain", "m").await.unwrap(),
        [&body[..], &body[10..1010]].concat()
    );
    // And a multipart object can be copied whole.
    setup
        .client
        .copy_object()
        .bucket("vault")
        .key("copy")
        .copy_source("plain/m")
        .send()
        .await
        .unwrap();
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("m")
        .send()
        .await
        .unwrap();
    assert_eq!(
        setup.get("vault", "copy").await.unwrap(),
        [&body[..], &body[10..1010]].concat()
    );
    setup
        .client
        .delete_object()
        .bucket("vault")
        .key("copy")
        .send()
        .await
        .unwrap();
    eventually("only the source's file is left", || setup.files().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_parts_are_listed_in_pages() {
    let setup = Setup::new().await;
    let mut ids = Vec::new();
    for key in ["a", "b/1", "b/2", "c", "c"] {
        let created = setup
            .client
            .create_multipart_upload()
            .bucket("plain")
            .key(key)
            .send()
            .await
            .unwrap();
        ids.push((key.to_owned(), created.upload_id.unwrap()));
    }
    let (mut seen, mut key_marker, mut id_marker) = (Vec::new(), None, None);
    loop {
        let page = setup.client.list_multipart_uploads().bucket("plain").max_uploads(2);
        let page = page
            .set_key_marker(key_marker)
            .set_upload_id_marker(id_marker)
            .send()
            .await
            .unwrap();
        assert!(page.uploads().len() <= 2);
        seen.extend(
            page.uploads()
                .iter()
                .map(|upload| (upload.key().unwrap().to_owned(), upload.upload_id().unwrap().to_owned())),
        );
        if page.is_truncated() != Some(true) {
            break;
        }
        (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
    }
    assert_eq!(seen, ids);
    let folded = setup
        .client
        .list_multipart_uploads()
        .bucket("plain")
        .delimiter("/")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (folded.uploads().len(), folded.common_prefixes()[0].prefix()),
        (3, Some("b/"))
    );
    let id = &ids[0].1;
    for number in 1..=5 {
        let part = setup
            .client
            .upload_part()
            .bucket("plain")
            .key("a")
            .upload_id(id)
            .part_number(number * 2);
        part.body(ByteStream::from(bytes(number as u64, 10)))
            .send()
            .await
            .unwrap();
    }
    let (mut numbers, mut marker) = (Vec::new(), None);
    loop {
        let page = setup
            .client
            .list_parts()
            .bucket("plain")
            .key("a")
            .upload_id(id)
            .max_parts(2);
        let page = page.set_part_number_marker(marker).send().await.unwrap();
        numbers.extend(page.parts().iter().map(|part| part.part_number().unwrap()));
        if page.is_truncated() != Some(true) {
            break;
        }
        marker = page.next_part_number_marker;
    }
    assert_eq!(numbers, [2, 4, 6, 8, 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_parts() {
    let setup = Setup::new().await;
    // Rows as 10,000 parts of 5 MiB would make them, without the bytes: what is tested is the last step.
    let upload = Upload::begin(&setup, "plain", "m").await;
    upload.part(1, bytes(1, 10)).await;
    {
        let connection = rusqlite::Connection::open(setup.dir.path().join("bucket.db")).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection
            .execute_batch(
                "WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
                 INSERT INTO upload_parts SELECT p.upload, n.n, 5242880, p.blob, p.sums, p.modified FROM n, upload_parts p WHERE p.number = 1;
                 UPDATE upload_parts SET size = 5242880;
                 UPDATE blobs SET refs = 10000;",
            )
            .unwrap();
    }
    let parts = (1..=10_000)
        .map(|number| CompletedPart::builder().part_number(number).build())
        .collect();
    let begun = std::time::Instant::now();
    upload.complete(parts).send().await.unwrap();
    eprintln!("10,000 parts completed in {:?}", begun.elapsed());
    let head = setup
        .client
        .head_object()
        .bucket("plain")
        .key("m")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(10_000 * 5_242_880));
    assert!(head.e_tag().unwrap().ends_with("-10000\""));
}
