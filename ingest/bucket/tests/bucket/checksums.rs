//! Every kind of checksum, right and wrong, as header and as trailer.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::*;

/// Header name and value of each checksum of some bytes.
fn all(body: &[u8]) -> Vec<(&'static str, String)> {
    use sha2::Digest as _;
    let crc = |algorithm| crc_fast::checksum(algorithm, body);
    vec![
        (
            "x-amz-checksum-crc32",
            STANDARD.encode((crc(crc_fast::CrcAlgorithm::Crc32IsoHdlc) as u32).to_be_bytes()),
        ),
        (
            "x-amz-checksum-crc32c",
            STANDARD.encode((crc(crc_fast::CrcAlgorithm::Crc32Iscsi) as u32).to_be_bytes()),
        ),
        (
            "x-amz-checksum-crc64nvme",
            STANDARD.encode(crc(crc_fast::CrcAlgorithm::Crc64Nvme).to_be_bytes()),
        ),
        ("x-amz-checksum-sha1", STANDARD.encode(sha1::Sha1::digest(body))),
        ("x-amz-checksum-sha256", STANDARD.encode(sha2::Sha256::digest(body))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_verified_stored_and_given_back() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for size in [0, 11, 200_000] {
        let (body, other) = (bytes(5, size), bytes(6, size + 1));
        for ((name, right), (_, wrong)) in all(&body).into_iter().zip(all(&other)) {
            let answer = raw.send("PUT", "/plain/wrong", &[(name, &wrong)], &body).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "BadDigest"), "{name}");
            let answer = raw.send("PUT", "/plain/right", &[(name, &right)], &body).await;
            assert_eq!(
                (answer.status, answer.header(name)),
                (200, Some(right.as_str())),
                "{name}: {}",
                answer.text()
            );
            for method in ["GET", "HEAD"] {
                let answer = raw
                    .send(method, "/plain/right", &[("x-amz-checksum-mode", "ENABLED")], b"")
                    .await;
                assert_eq!(
                    (answer.status, answer.header(name)),
                    (200, Some(right.as_str())),
                    "{method} {name}"
                );
                assert_eq!(answer.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
                let without = raw.send(method, "/plain/right", &[], b"").await;
                assert_eq!(without.header(name), None, "only on request");
            }
        }
    }
    assert_eq!(setup.keys("plain").await, ["right"]);
    eventually("only the one large object is left", || setup.files().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_contradicting_checksums_are_refused() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let check = async |headers: &[(&str, &str)], expected: &str| {
        let answer = raw.send("PUT", "/plain/k", headers, b"hello").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, expected), "{headers:?}");
    };
    check(&[("x-amz-checksum-crc32", "AAAA")], "InvalidRequest").await;
    check(&[("x-amz-checksum-crc32", "?")], "InvalidRequest").await;
    check(&[("content-md5", "AAAA")], "InvalidDigest").await;
    check(&[("content-md5", "!!")], "InvalidDigest").await;
    let both = all(b"hello");
    check(&[(both[0].0, &both[0].1), (both[1].0, &both[1].1)], "InvalidRequest").await;
    check(&[("x-amz-sdk-checksum-algorithm", "CRC32")], "InvalidRequest").await;
    check(&[("x-amz-sdk-checksum-algorithm", "MD4")], "InvalidRequest").await;
    assert!(setup.keys("plain").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signed_hash_of_the_body_is_verified() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for size in [5, 200_000] {
        let body = bytes(1, size);
        let length = body.len().to_string();
        let signed = raw.sign(
            "PUT",
            "/inbox/k",
            &[("content-length", &length)],
            &hex_sha256(b"something else"),
        );
        let answer = raw.exchange("PUT", &[signed.head.as_bytes(), &body]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "XAmzContentSHA256Mismatch"),
            "{}",
            answer.text()
        );
    }
    assert!(setup.keys("inbox").await.is_empty());
}

/// A body in the `aws-chunked` encoding without signatures, with a trailer.
fn chunked(body: &[u8], chunk: usize, trailer: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for part in body.chunks(chunk) {
        out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("0\r\n{trailer}\r\n\r\n").as_bytes());
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_are_verified_whatever_the_size_of_chunks() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for size in [1, 1000, 3_000_000] {
        let body = bytes(9, size);
        // The last is how some clients send: everything as one chunk.
        for chunk in [8192, size] {
            for (name, right) in all(&body) {
                let put = async |trailer: &str| {
                    let encoded = chunked(&body, chunk, trailer);
                    let (length, decoded) = (encoded.len().to_string(), body.len().to_string());
                    let headers = [
                        ("content-encoding", "aws-chunked"),
                        ("content-length", length.as_str()),
                        ("x-amz-decoded-content-length", decoded.as_str()),
                        ("x-amz-trailer", name),
                    ];
                    let signed = raw.sign("PUT", "/plain/k", &headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
                    raw.exchange("PUT", &[signed.head.as_bytes(), &encoded]).await
                };
                let answer = put(&format!("{name}:{right}")).await;
                assert_eq!(answer.status, 200, "{name} {size} {chunk}: {}", answer.text());
                assert_eq!(setup.get("plain", "k").await.unwrap(), body);
                setup
                    .client
                    .delete_object()
                    .bucket("plain")
                    .key("k")
                    .send()
                    .await
                    .unwrap();
                let wrong = all(b"other").into_iter().find(|(n, _)| *n == name).unwrap().1;
                assert_eq!(put(&format!("{name}:{wrong}")).await.code(), "BadDigest", "{name}");
                assert_eq!(
                    put("").await.code(),
                    "InvalidRequest",
                    "the announced trailer is missing"
                );
                assert_eq!(setup.get("plain", "k").await, None);
            }
        }
    }
    let head = setup.client.head_object().bucket("plain").key("k").send().await;
    assert!(head.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_chunks_are_verified() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let body = bytes(4, 150_000);
    let put = async |tamper: bool, kind: &str, chunk_size: usize| {
        let trailer = kind.ends_with("TRAILER");
        let overhead: usize = body
            .chunks(chunk_size)
            .map(|c| format!("{:x}", c.len()).len() + c.len() + 85 + 4)
            .sum::<usize>()
            + 90;
        let crc = all(&body).remove(0).1;
        let tail = format!(
            "x-amz-checksum-crc32:{crc}\r\nx-amz-trailer-signature:{}\r\n\r\n",
            "0".repeat(64)
        );
        let length = (overhead + if trailer { tail.len() } else { 0 }).to_string();
        let decoded = body.len().to_string();
        let mut headers = vec![
            ("content-length", length.as_str()),
            ("x-amz-decoded-content-length", decoded.as_str()),
        ];
        if trailer {
            headers.push(("x-amz-trailer", "x-amz-checksum-crc32"));
        }
        let signed = raw.sign("PUT", "/plain/k", &headers, kind);
        let mut previous = signed.signature.clone();
        let mut out = Vec::new();
        let empty = hex_sha256(b"");
        for (n, chunk) in body.chunks(chunk_size).chain([&[][..]]).enumerate() {
            let hash = hex_sha256(chunk);
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{empty}\n{hash}",
                signed.stamp, signed.scope
            );
            previous = hex::encode(hmac(&signed.key, text.as_bytes()));
            let mut sent = chunk.to_vec();
            if tamper && n == 1 && !sent.is_empty() {
                sent[0] ^= 1;
            }
            out.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(&sent);
            if !(trailer && chunk.is_empty()) {
                out.extend_from_slice(b"\r\n");
            }
        }
        if trailer {
            let lines = format!("x-amz-checksum-crc32:{crc}\n");
            let text = format!(
                "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{previous}\n{}",
                signed.stamp,
                signed.scope,
                hex_sha256(lines.as_bytes())
            );
            let signature = hex::encode(hmac(&signed.key, text.as_bytes()));
            out.extend_from_slice(
                format!("x-amz-checksum-crc32:{crc}\r\nx-amz-trailer-signature:{signature}\r\n\r\n").as_bytes(),
            );
        }
        // The length in the head was estimated before; say the true one (it is not signed).
        let head = signed.head.replace(
            &format!("content-length: {length}\r\n"),
            &format!("content-length: {}\r\n", out.len()),
        );
        raw.exchange("PUT", &[head.as_bytes(), &out]).await
    };
    for kind in [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    ] {
        let answer = put(false, kind, 65_536).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
        assert_eq!(setup.get("plain", "k").await.unwrap(), body);
        setup
            .client
            .delete_object()
            .bucket("plain")
            .key("k")
            .send()
            .await
            .unwrap();
        let answer = put(true, kind, 65_536).await;
        assert_eq!(answer.code(), "SignatureDoesNotMatch", "{kind}");
        assert_eq!(setup.get("plain", "k").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_own_checksums_work_both_ways() {
    let setup = Setup::new().await;
    for algorithm in ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"] {
        for size in [10, 500_000] {
            let body = bytes(8, size);
            let put = setup
                .client
                .put_object()
                .bucket("plain")
                .key("k")
                .body(ByteStream::from(body.clone()));
            put.checksum_algorithm(ChecksumAlgorithm::from(algorithm))
                .send()
                .await
                .unwrap();
            // The SDK compares while it reads.
            let got = setup
                .client
                .get_object()
                .bucket("plain")
                .key("k")
                .checksum_mode(ChecksumMode::Enabled)
                .send()
                .await
                .unwrap();
            assert_eq!(got.body.collect().await.unwrap().into_bytes(), body, "{algorithm}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_knows_the_checksums_over_all_bytes() {
    let setup = Setup::new().await;
    setup
        .client
        .put_object()
        .bucket("inbox")
        .key("k")
        .checksum_algorithm(ChecksumAlgorithm::Sha256);
    let put = setup
        .client
        .put_object()
        .bucket("inbox")
        .key("k")
        .body(ByteStream::from_static(b"123456789"));
    put.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let rows = setup.bucket.ledger().unpublished(0, 10).await.unwrap();
    let record: cofferdam_bucket::BucketRecord = serde_json::from_value(rows[0].payload.clone()).unwrap();
    assert_eq!(
        record.checksums.md5.as_deref(),
        Some("25f9e794323b453885f5181f1b624d0b")
    );
    assert_eq!(
        record.checksums.sha256.as_deref(),
        Some("15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225")
    );
    assert_eq!(record.checksums.crc64nvme.as_deref(), Some("ae8b14860a799888"));
}
