//! Signatures: replayed elsewhere, later, or with something added.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_request_is_good_for_nothing_else() {
    let setup = Setup::new().await;
    setup.put("plain", "other", "other").await;
    let raw = setup.raw();
    let body = b"hello";
    let signed = raw.sign("PUT", "/inbox/k", &[("content-length", "5")], &hex_sha256(body));
    let replay = |from: &str, to: &str| signed.head.replacen(from, to, 1);
    for (what, head) in [
        ("another key", replay("/inbox/k", "/inbox/k2")),
        ("another bucket", replay("/inbox/k", "/plain/k")),
        (
            "a key that looks the same once tidied",
            replay("/inbox/k", "/inbox/./k"),
        ),
        ("doubled slash", replay("/inbox/k", "/inbox//k")),
        ("another method", replay("PUT", "DELETE")),
        ("a sub-resource", replay("/inbox/k", "/inbox/k?tagging")),
        (
            "an upload's part",
            replay("/inbox/k", "/inbox/k?partNumber=1&uploadId=x"),
        ),
        (
            "another host",
            replay(&format!("host: {}", setup.address), "host: plain.localhost"),
        ),
        (
            "another hash of the body",
            replay(&hex_sha256(body), "UNSIGNED-PAYLOAD"),
        ),
        ("another time", replay(&signed.stamp, "20200101T000000Z")),
        ("another region", replay("/us-east-1/", "/us-west-1/")),
        ("somebody else's name", replay("Credential=OPERATOR", "Credential=ACME")),
        (
            "a shorter signature",
            replay(&signed.signature, &signed.signature[..63]),
        ),
        ("an empty signature", replay(&signed.signature, "")),
    ] {
        let answer = send(&setup, &[head.as_bytes(), body]).await.expect(what);
        assert!((400..500).contains(&answer.status), "{what}: {}", answer.text());
    }
    let answer = send(&setup, &[signed.head.as_bytes(), b"HELLO"]).await.unwrap();
    assert_eq!(answer.code(), "XAmzContentSHA256Mismatch", "another body");
    assert_eq!(setup.get("plain", "other").await.unwrap(), "other");
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("other")
        .send()
        .await
        .unwrap();
    unharmed(&setup).await;
}

/// What was wrong: headers that nobody had signed were obeyed. Whoever held a link to put one object, or saw a request, could add
/// `x-amz-copy-source` and have anything copied that the signer may read.
#[tokio::test(flavor = "multi_thread")]
async fn found_headers_that_nobody_signed_are_refused() {
    let setup = Setup::new().await;
    setup.put("plain", "secret", "secret").await;
    let raw = setup.raw();
    let link = setup.client.put_object().bucket("inbox").key("mine");
    let link = link
        .presigned(PresigningConfig::expires_in(Duration::from_secs(600)).unwrap())
        .await
        .unwrap();
    let target = link.uri().split_once(&setup.address.to_string()).unwrap().1;
    let signed = raw.sign("PUT", "/inbox/mine", &[("content-length", "0")], &hex_sha256(b""));
    let by_link = format!(
        "PUT {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n",
        setup.address
    );
    let by_header = signed.head.trim_end_matches("\r\n").to_owned() + "\r\n";
    for head in [&by_link, &by_header] {
        for added in [
            "x-amz-copy-source: /plain/secret",
            "X-Amz-Copy-Source: plain/secret",
            "x-amz-meta-owner: somebody",
            "x-amz-tagging: a=b",
            "x-amz-checksum-crc32: AAAAAA==",
        ] {
            let answer = send(&setup, &[head.as_bytes(), added.as_bytes(), b"\r\n\r\n"])
                .await
                .unwrap();
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (403, "AccessDenied"),
                "{added}"
            );
            assert!(answer.message().contains("not signed"), "{}", answer.text());
        }
    }
    // The host must be part of it, or the bucket could be changed by it.
    let without = signed.head.replacen("SignedHeaders=host;", "SignedHeaders=", 1);
    assert!(send(&setup, &[without.as_bytes()]).await.unwrap().status >= 400);
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("secret")
        .send()
        .await
        .unwrap();
    unharmed(&setup).await;
    // What nobody needs to sign does no harm, and the link does what it is for.
    let answer = send(
        &setup,
        &[by_link.as_bytes(), b"user-agent: x\r\nx-amzn-trace-id: y\r\n\r\n"],
    )
    .await
    .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(setup.keys("inbox").await, ["mine"]);
}

/// What was wrong: the older signature in a header was good for ever, since nobody compared its date with the time.
#[tokio::test(flavor = "multi_thread")]
async fn found_old_signatures_in_headers_are_refused() {
    use base64::Engine as _;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let setup = Setup::new().await;
    for date in ["Tue, 27 Mar 2007 19:36:42 +0000", "Wed, 25 Nov 2026 17:00:00 +0000"] {
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(OPERATOR.1.as_bytes()).unwrap();
        mac.update(format!("PUT\n\n\n{date}\n/inbox/k").as_bytes());
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        let head = format!(
            "PUT /inbox/k HTTP/1.1\r\nhost: {}\r\ndate: {date}\r\ncontent-length: 2\r\nauthorization: AWS {}:{signature}\r\n\r\nhi",
            setup.address, OPERATOR.0
        );
        let answer = send(&setup, &[head.as_bytes()]).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (400, "InvalidRequest"));
        assert!(answer.message().contains("AWS4-HMAC-SHA256"), "{}", answer.text());
    }
    unharmed(&setup).await;
}

/// What was wrong: the limit of a week was looked for in the query as it was sent, and an encoded `Expires` was not seen.
#[tokio::test(flavor = "multi_thread")]
async fn found_the_limit_for_links_cannot_be_hidden_from() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for expires in [
        "X-Amz-Expires=9999999",
        "X-Amz-Expires=%39999999",
        "X-Amz-E%78pires=9999999",
    ] {
        let now = time::OffsetDateTime::now_utc();
        let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let stamp = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let scope = format!("{date}/{REGION}/s3/aws4_request");
        let query = |expires: &str| {
            format!(
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F{}&X-Amz-Date={stamp}&{expires}&X-Amz-SignedHeaders=host&list-type=2",
                raw.key.0,
                scope.replace('/', "%2F")
            )
        };
        // Signed as it is meant, sent as it was hidden.
        let canonical = query("X-Amz-Expires=9999999");
        let request = format!(
            "GET\n/plain\n{canonical}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
            setup.address
        );
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex_sha256(request.as_bytes()));
        let mut key = hmac(format!("AWS4{}", raw.key.1).as_bytes(), date.as_bytes());
        for part in [REGION, "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex::encode(hmac(&key, text.as_bytes()));
        let head = format!(
            "GET /plain?{}&X-Amz-Signature={signature} HTTP/1.1\r\nhost: {}\r\n\r\n",
            query(expires),
            setup.address
        );
        let answer = send(&setup, &[head.as_bytes()]).await.unwrap();
        assert_eq!(
            answer.code(),
            "AuthorizationQueryParametersError",
            "{expires}: {}",
            answer.text()
        );
    }
}

/// The chunks of one signed body: replayed in another order, twice, from another request, or with the last one cut off.
#[tokio::test(flavor = "multi_thread")]
async fn signed_chunks_cannot_be_moved() {
    const KIND: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let setup = Setup::new().await;
    let raw = setup.raw();
    let chunks = |signed: &Signed, body: &[u8]| {
        let mut previous = signed.signature.clone();
        let parts = body.chunks(8192).chain([&[][..]]);
        let signed = parts.map(|chunk| {
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{}\n{}",
                signed.stamp,
                signed.scope,
                hex_sha256(b""),
                hex_sha256(chunk)
            );
            previous = hex::encode(hmac(&signed.key, text.as_bytes()));
            let line = format!("{:x};chunk-signature={previous}\r\n", chunk.len());
            [line.as_bytes(), chunk, b"\r\n"].concat()
        });
        signed.collect::<Vec<_>>()
    };
    let body = bytes(1, 3 * 8192);
    let length = (3 * (8192 + 4 + 85 + 4 - 4 + 4) + 90).to_string();
    let put = async |order: &[(usize, usize)], decoded: usize| {
        let decoded = decoded.to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-decoded-content-length", decoded.as_str()),
        ];
        let one = raw.sign("PUT", "/inbox/k", &headers, KIND);
        let two = raw.sign("PUT", "/inbox/other", &headers, KIND);
        let pools = [chunks(&one, &body), chunks(&two, &body)];
        let sent: Vec<u8> = order.iter().flat_map(|(pool, n)| pools[*pool][*n].clone()).collect();
        let head = one.head.replacen(
            &format!("content-length: {length}\r\n"),
            &format!("content-length: {}\r\n", sent.len()),
            1,
        );
        send(&setup, &[head.as_bytes(), &sent])
            .await
            .map(|answer| answer.status)
    };
    for (what, order, decoded) in [
        ("another order", vec![(0, 1), (0, 0), (0, 2), (0, 3)], body.len()),
        ("one twice", vec![(0, 0), (0, 0), (0, 1), (0, 2), (0, 3)], 4 * 8192),
        ("one left out", vec![(0, 0), (0, 2), (0, 3)], 2 * 8192),
        (
            "one of another request",
            vec![(0, 0), (1, 1), (0, 2), (0, 3)],
            body.len(),
        ),
        (
            "all of another request",
            vec![(1, 0), (1, 1), (1, 2), (1, 3)],
            body.len(),
        ),
        ("the last ones cut off", vec![(0, 0), (0, 1)], body.len()),
        (
            "more behind the end",
            vec![(0, 0), (0, 1), (0, 2), (0, 3), (0, 0)],
            4 * 8192,
        ),
    ] {
        let status = put(&order, decoded).await;
        assert!(matches!(status, Some(400 | 403)), "{what}: {status:?}");
    }
    unharmed(&setup).await;
    assert_eq!(put(&[(0, 0), (0, 1), (0, 2), (0, 3)], body.len()).await, Some(200));
    assert_eq!(setup.get("inbox", "k").await.unwrap(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_within_its_time_is_the_same_object_again() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let body = bytes(3, 100_000);
    let signed = raw.sign("PUT", "/inbox/k", &[("content-length", "100000")], &hex_sha256(&body));
    for _ in 0..3 {
        let answer = send(&setup, &[signed.head.as_bytes(), &body]).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(setup.get("inbox", "k").await.unwrap(), body);
    // Each is an upload that was answered, as on S3; who writes only what is absent is safe from it.
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 3);
    let absent = setup.client.put_object().bucket("inbox").key("k").if_none_match("*");
    let again = absent.body(ByteStream::from(body)).send().await;
    assert_eq!(code(&again.unwrap_err()), "PreconditionFailed");
}
