//! Conditional requests, ranges, overrides.

use aws_sdk_s3::primitives::{ByteStream, DateTime};

use crate::support::*;

const ETAG: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

#[tokio::test(flavor = "multi_thread")]
async fn reads_on_condition() {
    let setup = Setup::new().await;
    setup.put("plain", "k", "hello").await;
    let raw = setup.raw();
    let check = async |headers: &[(&str, &str)], expected: u16| {
        for method in ["GET", "HEAD"] {
            let answer = raw.send(method, "/plain/k", headers, b"").await;
            assert_eq!(answer.status, expected, "{method} {headers:?}");
            if expected == 304 {
                assert_eq!(answer.header("etag"), Some(ETAG), "a cache needs the entity tag");
                assert!(answer.body.is_empty());
            }
        }
    };
    check(&[("if-match", ETAG)], 200).await;
    check(&[("if-match", "*")], 200).await;
    check(&[("if-match", "\"0\"")], 412).await;
    check(&[("if-none-match", ETAG)], 304).await;
    check(&[("if-none-match", "*")], 304).await;
    check(&[("if-none-match", "\"0\"")], 200).await;
    check(&[("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT")], 200).await;
    check(&[("if-modified-since", "Wed, 21 Oct 2099 07:28:00 GMT")], 304).await;
    check(&[("if-unmodified-since", "Wed, 21 Oct 2015 07:28:00 GMT")], 412).await;
    check(&[("if-unmodified-since", "Wed, 21 Oct 2099 07:28:00 GMT")], 200).await;
    check(
        &[
            ("if-match", ETAG),
            ("if-unmodified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ],
        200,
    )
    .await;
    check(
        &[
            ("if-none-match", ETAG),
            ("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ],
        304,
    )
    .await;
    let head = raw.send("HEAD", "/plain/k", &[], b"").await;
    let modified = head.header("last-modified").unwrap().to_owned();
    check(&[("if-modified-since", &modified)], 304).await;
    check(&[("if-unmodified-since", &modified)], 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_on_condition() {
    let setup = Setup::new().await;
    let put = |body: &'static str| {
        setup
            .client
            .put_object()
            .bucket("plain")
            .key("k")
            .body(ByteStream::from_static(body.as_bytes()))
    };
    let error = put("no").if_match(ETAG).send().await.unwrap_err();
    assert_eq!(code(&error), "NoSuchKey");
    put("hello").if_none_match("*").send().await.unwrap();
    let error = put("again").if_none_match("*").send().await.unwrap_err();
    assert_eq!(
        (code(&error).as_str(), error.raw_response().unwrap().status().as_u16()),
        ("PreconditionFailed", 412)
    );
    let error = put("other").if_match("\"0\"").send().await.unwrap_err();
    assert_eq!(code(&error), "PreconditionFailed");
    assert_eq!(setup.get("plain", "k").await.unwrap(), "hello");
    put("second").if_match(ETAG).send().await.unwrap();
    assert_eq!(setup.get("plain", "k").await.unwrap(), "second");
    let error = put("x").if_none_match("\"abc\"").send().await.unwrap_err();
    assert_eq!(code(&error), "NotImplemented");
    let error = setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .if_match(ETAG)
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "PreconditionFailed");
    assert_eq!(setup.get("plain", "k").await.unwrap(), "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_create_at_once_one_wins() {
    let setup = Setup::new().await;
    let tries = (0..16).map(|n| {
        let put = setup.client.put_object().bucket("plain").key("k").if_none_match("*");
        put.body(ByteStream::from(bytes(n, 80_000))).send()
    });
    let results = futures::future::join_all(tries).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    eventually("the losers' files are gone", || setup.files().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_on_condition() {
    let setup = Setup::new().await;
    setup.put("plain", "k", "hello").await;
    let copy = || {
        setup
            .client
            .copy_object()
            .bucket("plain")
            .key("copy")
            .copy_source("plain/k")
    };
    let past = DateTime::from_secs(1_000_000_000);
    for refused in [
        copy().copy_source_if_match("\"0\""),
        copy().copy_source_if_none_match(ETAG),
        copy().copy_source_if_unmodified_since(past),
        copy().copy_source_if_modified_since(DateTime::from_secs(4_000_000_000)),
    ] {
        assert_eq!(code(&refused.send().await.unwrap_err()), "PreconditionFailed");
    }
    assert_eq!(setup.get("plain", "copy").await, None);
    copy()
        .copy_source_if_match(ETAG)
        .copy_source_if_modified_since(past)
        .send()
        .await
        .unwrap();
    assert_eq!(setup.get("plain", "copy").await.unwrap(), "hello");
    // On the destination.
    let raw = setup.raw();
    let answer = raw
        .send(
            "PUT",
            "/plain/copy",
            &[("x-amz-copy-source", "plain/k"), ("if-none-match", "*")],
            b"",
        )
        .await;
    assert_eq!(answer.code(), "PreconditionFailed");
    let answer = raw
        .send(
            "PUT",
            "/plain/new",
            &[("x-amz-copy-source", "plain/k"), ("if-none-match", "*")],
            b"",
        )
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for size in [10_usize, 70_000, 700_000] {
        let body = bytes(2, size);
        setup.put("plain", "k", body.clone()).await;
        let last = size - 1;
        let cases = [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=2-5".to_owned(), 2..6),
            (format!("bytes={last}-"), last..size),
            ("bytes=0-".to_owned(), 0..size),
            (format!("bytes=3-{}", size * 2), 3..size),
            ("bytes=-4".to_owned(), size - 4..size),
            (format!("bytes=-{}", size * 2), 0..size),
        ];
        for (header, expected) in cases {
            let answer = raw.send("GET", "/plain/k", &[("range", &header)], b"").await;
            assert_eq!(answer.status, 206, "{header}");
            assert_eq!(answer.body, body[expected.clone()], "{header}");
            let range = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
            assert_eq!(answer.header("content-range"), Some(range.as_str()));
            let head = raw.send("HEAD", "/plain/k", &[("range", &header)], b"").await;
            assert_eq!(
                (head.status, head.header("content-length")),
                (206, Some(expected.len().to_string().as_str()))
            );
        }
        for header in [
            format!("bytes={size}-"),
            format!("bytes={}-{}", size + 5, size + 9),
            "bytes=-0".to_owned(),
        ] {
            let answer = raw.send("GET", "/plain/k", &[("range", &header)], b"").await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (416, "InvalidRange"),
                "{header}"
            );
            assert_eq!(answer.header("content-range"), Some(format!("bytes */{size}").as_str()));
        }
    }
    setup.put("plain", "empty", "").await;
    assert_eq!(
        raw.send("GET", "/plain/empty", &[("range", "bytes=0-")], b"")
            .await
            .status,
        416
    );
    assert_eq!(raw.send("GET", "/plain/empty", &[], b"").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_can_be_dressed_differently() {
    let setup = Setup::new().await;
    setup.put("plain", "k", "hello").await;
    let query = "response-cache-control=no-store&response-content-disposition=attachment%3B%20filename%3D%22x.pdf%22&response-content-encoding=gzip&response-content-language=de&response-content-type=text%2Fplain&response-expires=Wed%2C%2021%20Oct%202099%2007%3A28%3A00%20GMT";
    for method in ["GET", "HEAD"] {
        let answer = setup.raw().send(method, &format!("/plain/k?{query}"), &[], b"").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-disposition", "attachment; filename=\"x.pdf\""),
            ("content-encoding", "gzip"),
            ("content-language", "de"),
            ("content-type", "text/plain"),
            ("expires", "Wed, 21 Oct 2099 07:28:00 GMT"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method}");
        }
    }
}
