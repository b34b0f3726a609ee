//! Multipart uploads.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::Digest as _;

use crate::support::*;

pub const PART: usize = 5 * 1024 * 1024;

pub struct Upload<'a> {
    pub setup: &'a Setup,
    bucket: &'static str,
    key: &'static str,
    pub id: String,
}

impl<'a> Upload<'a> {
    pub async fn begin(setup: &'a Setup, bucket: &'static str, key: &'static str) -> Self {
        let created = setup
            .client
            .create_multipart_upload()
            .bucket(bucket)
            .key(key)
            .content_type("text/plain")
            .metadata("a", "1");
        let id = created.send().await.unwrap().upload_id.unwrap();
        Self { setup, bucket, key, id }
    }

    pub async fn part(&self, number: i32, body: Bytes) -> CompletedPart {
        let part = self
            .setup
            .client
            .upload_part()
            .bucket(self.bucket)
            .key(self.key)
            .upload_id(&self.id)
            .part_number(number);
        let done = part.body(ByteStream::from(body)).send().await.unwrap();
        CompletedPart::builder()
            .part_number(number)
            .set_e_tag(done.e_tag)
            .build()
    }

    pub fn complete(
        &self,
        parts: Vec<CompletedPart>,
    ) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder {
        let complete = self
            .setup
            .client
            .complete_multipart_upload()
            .bucket(self.bucket)
            .key(self.key)
            .upload_id(&self.id);
        complete.multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
    }
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    md5::Md5::digest(bytes).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_become_one_object_without_being_copied() {
    let setup = Setup::new().await;
    let body = bytes(1, 2 * PART + 1000);
    let upload = Upload::begin(&setup, "inbox", "m").await;
    // Out of order, and one of them twice.
    let third = upload.part(7, body.slice(2 * PART..)).await;
    upload.part(1, Bytes::from_static(b"to be replaced")).await;
    let first = upload.part(1, body.slice(..PART)).await;
    let second = upload.part(3, body.slice(PART..2 * PART)).await;
    upload.part(9, Bytes::from_static(b"not named")).await;
    assert_eq!(setup.get("inbox", "m").await, None, "nothing is visible before the end");
    let before: std::collections::BTreeSet<_> = setup.files().into_iter().collect();
    let done = upload.complete(vec![first, second, third]).send().await.unwrap();
    let tags = [md5(&body[..PART]), md5(&body[PART..2 * PART]), md5(&body[2 * PART..])].concat();
    let etag = format!("\"{}-3\"", hex::encode(md5(&tags)));
    assert_eq!(done.e_tag(), Some(etag.as_str()));
    assert_eq!(setup.get("inbox", "m").await.unwrap(), body);
    eventually("only the parts' files", || setup.files().len() == 2).await;
    assert!(
        setup.files().iter().all(|file| before.contains(file)),
        "the same files as before"
    );
    let head = setup
        .client
        .head_object()
        .bucket("inbox")
        .key("m")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.e_tag(), head.content_length()),
        (Some(etag.as_str()), Some(body.len() as i64))
    );
    assert_eq!(
        (head.content_type(), head.metadata().unwrap().len()),
        (Some("text/plain"), 1)
    );
    // Ranges over part borders.
    for range in [
        0..1,
        PART - 1..PART + 1,
        PART..2 * PART,
        100..body.len() - 100,
        body.len() - 1..body.len(),
    ] {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let got = setup
            .client
            .get_object()
            .bucket("inbox")
            .key("m")
            .range(header)
            .send()
            .await
            .unwrap();
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), body.slice(range));
    }
    let rows = setup.bucket.ledger().unpublished(0, 10).await.unwrap();
    assert_eq!(rows.len(), 1, "one event, at the end");
    assert_eq!(rows[0].payload["reason"], "CompleteMultipartUpload");
    // Again, as after a lost answer.
    let again = upload
        .complete(vec![CompletedPart::builder().part_number(1).build()])
        .send()
        .await
        .unwrap();
    assert_eq!(again.e_tag(), Some(etag.as_str()));
    setup
        .client
        .delete_object()
        .bucket("inbox")
        .key("m")
        .send()
        .await
        .unwrap();
    eventually("no file", || setup.files().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn part_numbers_read_parts() {
    let setup = Setup::new().await;
    let body = bytes(1, PART + 10);
    let upload = Upload::begin(&setup, "plain", "m").await;
    let parts = vec![
        upload.part(1, body.slice(..PART)).await,
        upload.part(2, body.slice(PART..)).await,
    ];
    upload.complete(parts).send().await.unwrap();
    let get = |number| {
        setup
            .client
            .get_object()
            .bucket("plain")
            .key("m")
            .part_number(number)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
    };
    let got = get(2).await.unwrap();
    assert_eq!(got.parts_count(), Some(2));
    assert_eq!(
        got.content_range(),
        Some(format!("bytes {PART}-{}/{}", PART + 9, PART + 10).as_str())
    );
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), body.slice(PART..));
    for number in [0, 3, -1] {
        let error = get(number).await.unwrap_err();
        assert_eq!(
            (code(&error).as_str(), error.raw_response().unwrap().status().as_u16()),
            ("InvalidPartNumber", 416)
        );
    }
    setup.put("plain", "single", "hello").await;
    let answer = setup.raw().send("GET", "/plain/single?partNumber=1", &[], b"").await;
    assert_eq!(
        (
            answer.status,
            answer.text().as_str(),
            answer.header("x-amz-mp-parts-count")
        ),
        (206, "hello", None)
    );
    let answer = setup
        .raw()
        .send("GET", "/plain/single?partNumber=1", &[("range", "bytes=0-1")], b"")
        .await;
    assert_eq!(answer.code(), "InvalidRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_for_completing() {
    let setup = Setup::new().await;
    let upload = Upload::begin(&setup, "inbox", "m").await;
    let small = upload.part(1, bytes(1, 1000)).await;
    let last = upload.part(2, bytes(2, 10)).await;
    let refused = async |parts: Vec<CompletedPart>| code(&upload.complete(parts).send().await.unwrap_err());
    assert_eq!(refused(vec![small.clone(), last.clone()]).await, "EntityTooSmall");
    assert_eq!(refused(vec![last.clone(), small.clone()]).await, "InvalidPartOrder");
    assert_eq!(refused(vec![small.clone(), small.clone()]).await, "InvalidPartOrder");
    assert_eq!(
        refused(vec![CompletedPart::builder().part_number(5).e_tag("x").build()]).await,
        "InvalidPart"
    );
    assert_eq!(
        refused(vec![CompletedPart::builder().part_number(1).e_tag("\"0\"").build()]).await,
        "InvalidPart"
    );
    let wrong_size = upload
        .complete(vec![last.clone()])
        .mpu_object_size(11)
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&wrong_size), "InvalidRequest");
    let wrong_sum = upload
        .complete(vec![last.clone()])
        .checksum_crc64_nvme(STANDARD.encode([1; 8]))
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&wrong_sum), "BadDigest");
    let answer = setup
        .raw()
        .send(
            "POST",
            &format!("/inbox/m?uploadId={}", upload.id),
            &[],
            b"<CompleteMultipartUpload>",
        )
        .await;
    assert_eq!(answer.code(), "MalformedXML");
    assert_eq!(setup.get("inbox", "m").await, None);
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 0);
    // Nothing of that has hurt the upload.
    setup.put("inbox", "m", "in the way").await;
    let condition = upload
        .complete(vec![last.clone()])
        .if_none_match("*")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&condition), "PreconditionFailed");
    upload.complete(vec![last]).send().await.unwrap();
    assert_eq!(setup.get("inbox", "m").await.unwrap(), bytes(2, 10));
    let late = setup
        .client
        .upload_part()
        .bucket("inbox")
        .key("m")
        .upload_id(&upload.id)
        .part_number(1);
    assert_eq!(
        code(&late.body(ByteStream::from_static(b"x")).send().await.unwrap_err()),
        "NoSuchUpload"
    );
    for number in [0, 10_001, -1] {
        let target = format!("/inbox/m?partNumber={number}&uploadId={}", upload.id);
        assert_eq!(
            setup.raw().send("PUT", &target, &[], b"x").await.code(),
            "InvalidArgument"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_uploads_leave_nothing() {
    let setup = Setup::new().await;
    let upload = Upload::begin(&setup, "plain", "m").await;
    upload.part(1, bytes(1, 100_000)).await;
    upload.part(2, bytes(1, 100)).await;
    assert_eq!(setup.files().len(), 1);
    setup
        .client
        .abort_multipart_upload()
        .bucket("plain")
        .key("m")
        .upload_id(&upload.id)
        .send()
        .await
        .unwrap();
    eventually("no file", || setup.files().is_empty()).await;
    let again = setup
        .client
        .abort_multipart_upload()
        .bucket("plain")
        .key("m")
        .upload_id(&upload.id)
        .send()
        .await;
    assert_eq!(code(&again.unwrap_err()), "NoSuchUpload");
    // A bucket with nothing but unfinished uploads is empty.
    let upload = Upload::begin(&setup, "plain", "m").await;
    upload.part(1, bytes(1, 100_000)).await;
    setup.client.delete_bucket().bucket("plain").send().await.unwrap();
    eventually("no file", || setup.files().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_part_is_not_kept() {
    let setup = Setup::new().await;
    let upload = Upload::begin(&setup, "inbox", "m").await;
    let raw = setup.raw();
    let body = bytes(1, 300_000);
    let target = format!("/inbox/m?partNumber=1&uploadId={}", upload.id);
    let signed = raw.sign("PUT", &target, &[("content-length", "300000")], &hex_sha256(&body));
    {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = tokio::net::TcpStream::connect(setup.address).await.unwrap();
        stream.write_all(signed.head.as_bytes()).await.unwrap();
        stream.write_all(&body[..200_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        if let Some(answer) = read_answer(&mut stream, "PUT").await {
            assert_eq!(answer.code(), "IncompleteBody");
        }
    }
    let parts = setup
        .client
        .list_parts()
        .bucket("inbox")
        .key("m")
        .upload_id(&upload.id)
        .send()
        .await
        .unwrap();
    assert!(parts.parts().is_empty());
    eventually("no file", || setup.files().is_empty()).await;
    let error = upload
        .complete(vec![CompletedPart::builder().part_number(1).build()])
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "InvalidPart");
}
