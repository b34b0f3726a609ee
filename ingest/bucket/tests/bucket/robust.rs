//! Bad connections, limits, stopping.

use std::time::{Duration, Instant};

use cofferdam_bucket::EndpointSettings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

fn impatient() -> EndpointSettings {
    EndpointSettings {
        header_timeout: Duration::from_millis(500),
        body_timeout: Duration::from_millis(500),
        grace: Duration::from_secs(2),
        ..EndpointSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_body_leaves_nothing() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for size in [1000, 500_000] {
        let body = bytes(1, size);
        let length = size.to_string();
        for payload in [hex_sha256(&body), "UNSIGNED-PAYLOAD".to_owned()] {
            let signed = raw.sign("PUT", "/inbox/k", &[("content-length", &length)], &payload);
            let mut stream = TcpStream::connect(setup.address).await.unwrap();
            stream.write_all(signed.head.as_bytes()).await.unwrap();
            stream.write_all(&body[..size / 2]).await.unwrap();
            stream.shutdown().await.unwrap();
            if let Some(answer) = read_answer(&mut stream, "PUT").await {
                assert_eq!(answer.code(), "IncompleteBody");
            }
        }
    }
    // The chunked encoding ends early, in the middle of a chunk and between two.
    for body in [&b"5\r\nhel"[..], b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n\r\n"] {
        let length = body.len().to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-decoded-content-length", "10"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let signed = raw.sign("PUT", "/inbox/k", &headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let answer = raw.exchange("PUT", &[signed.head.as_bytes(), body]).await;
        assert_eq!(answer.code(), "IncompleteBody", "{}", String::from_utf8_lossy(body));
    }
    for body in [&b"zz\r\nhello\r\n0\r\n\r\n"[..], b"5hello"] {
        let length = body.len().to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let signed = raw.sign("PUT", "/inbox/k", &headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let answer = raw.exchange("PUT", &[signed.head.as_bytes(), body]).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    assert!(setup.keys("inbox").await.is_empty());
    eventually("no file", || setup.files().is_empty()).await;
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_is_given_up() {
    let setup = Setup::with(impatient()).await;
    let raw = setup.raw();
    let signed = raw.sign("PUT", "/inbox/k", &[("content-length", "1000000")], "UNSIGNED-PAYLOAD");
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(signed.head.as_bytes()).await.unwrap();
    stream.write_all(&bytes(1, 300_000)).await.unwrap();
    let begun = Instant::now();
    let answer = read_answer(&mut stream, "PUT").await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (400, "RequestTimeout"));
    assert!(begun.elapsed() < Duration::from_secs(10));
    eventually("no file", || setup.files().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_do_not_come_and_readers_that_do_not_read_are_cut() {
    let setup = Setup::with(impatient()).await;
    let mut slow = TcpStream::connect(setup.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is closed");

    setup.put("plain", "k", bytes(1, 30_000_000)).await;
    let signed = setup.raw().sign("GET", "/plain/k", &[], &hex_sha256(b""));
    let mut lazy = TcpStream::connect(setup.address).await.unwrap();
    lazy.write_all(signed.head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut got = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), lazy.read_to_end(&mut got)).await;
    assert!(ended.is_ok() && got.len() < 30_000_000, "it got {} bytes", got.len());
    // And the others are served as before.
    assert_eq!(setup.get("plain", "k").await.unwrap().len(), 30_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_allowed_wait_their_turn() {
    let setup = Setup::with(EndpointSettings {
        max_connections: 2,
        ..impatient()
    })
    .await;
    setup.put("plain", "k", "hello").await;
    let raw = setup.raw();
    let gets = (0..10).map(|_| {
        let raw = raw.clone();
        async move {
            let mut headers = raw.sign("GET", "/plain/k", &[], &hex_sha256(b"")).head;
            headers = headers.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            raw.exchange("GET", &[headers.as_bytes()]).await.status
        }
    });
    let statuses = tokio::time::timeout(Duration::from_secs(30), futures::future::join_all(gets))
        .await
        .unwrap();
    assert_eq!(statuses, [200; 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_is_limited_and_odd_requests_get_errors() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let huge = vec![b' '; 5 * 1024 * 1024];
    let answer = raw.send("POST", "/plain?delete", &[], &huge).await;
    assert_eq!(answer.code(), "MaxMessageLengthExceeded");
    for body in [
        &b""[..],
        b"<Delete>",
        b"<Other/>",
        b"\xff\xfe",
        b"<Delete><Object><Key>a</Key></Object></Delete><x/>",
    ] {
        let answer = raw.send("POST", "/plain?delete", &[], body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    let signed = raw.sign(
        "POST",
        "/plain?delete",
        &[("content-length", "4")],
        &hex_sha256(b"other"),
    );
    let answer = raw.exchange("POST", &[signed.head.as_bytes(), b"<a/>"]).await;
    assert_eq!(answer.status, 400, "not what was signed: {}", answer.text());
    for (method, target) in [
        ("PATCH", "/plain/k"),
        ("POST", "/plain/k"),
        ("POST", "/"),
        ("OPTIONS", "/plain"),
    ] {
        let answer = raw.send(method, target, &[], b"").await;
        assert!(
            answer.status >= 400 && answer.status < 600 && !answer.code().is_empty(),
            "{method} {target}"
        );
    }
    let long = format!("GET /plain/{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    assert!(raw.exchange("GET", &[long.as_bytes()]).await.status >= 400);
    let answer = raw.exchange("GET", &[b"nonsense\r\n\r\n"]).await;
    assert_eq!(answer.status, 400);
    setup.put("plain", "still", "serving").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_is_told_before_the_bytes_are_sent() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let signed = raw.sign(
        "PUT",
        "/plain/k",
        &[("content-length", "5368709121"), ("expect", "100-continue")],
        "UNSIGNED-PAYLOAD",
    );
    let answer = raw.exchange("PUT", &[signed.head.as_bytes()]).await;
    assert_eq!(answer.code(), "EntityTooLarge");
    let signed = raw.sign(
        "PUT",
        "/nowhere/k",
        &[("content-length", "5368709120"), ("expect", "100-continue")],
        "UNSIGNED-PAYLOAD",
    );
    assert_eq!(
        raw.exchange("PUT", &[signed.head.as_bytes()]).await.code(),
        "NoSuchBucket"
    );
}

/// A client that sends on without looking still gets to see why it was refused.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_clients_that_are_still_sending() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let body = bytes(1, 4_000_000);
    for _ in 0..5 {
        let answer = raw.send("PUT", "/nowhere/k", &[], &body).await;
        assert_eq!(answer.code(), "NoSuchBucket");
        let stranger = Raw {
            key: ("NOBODY", "x"),
            ..raw.clone()
        };
        assert_eq!(
            stranger.send("PUT", "/plain/k", &[], &body).await.code(),
            "InvalidAccessKeyId"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_is_under_way() {
    let mut setup = Setup::with(impatient()).await;
    let raw = setup.raw();
    let body = bytes(1, 400_000);
    let signed = raw.sign("PUT", "/inbox/k", &[("content-length", "400000")], &hex_sha256(&body));
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(signed.head.as_bytes()).await.unwrap();
    stream.write_all(&body[..200_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // An idle connection does not hold it up.
    let _idle = TcpStream::connect(setup.address).await.unwrap();
    setup.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(setup.address).await.is_err(), "nobody new is let in");
    stream.write_all(&body[200_000..]).await.unwrap();
    assert_eq!(read_answer(&mut stream, "PUT").await.unwrap().status, 200);
    let begun = Instant::now();
    setup.endpoint.take().unwrap().join().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_make_no_sense_are_refused() {
    let setup = Setup::new().await;
    let none = cofferdam_bucket::serve(setup.bucket.clone(), EndpointSettings::default(), setup.stop.clone()).await;
    assert!(matches!(
        none,
        Err(cofferdam_bucket::BucketError::Setting {
            name: "credentials",
            ..
        })
    ));
    let taken = EndpointSettings {
        listen: setup.address,
        credentials: credentials(),
        ..EndpointSettings::default()
    };
    let taken = cofferdam_bucket::serve(setup.bucket.clone(), taken, setup.stop.clone()).await;
    assert!(matches!(taken, Err(cofferdam_bucket::BucketError::Listen { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once() {
    let setup = Setup::new().await;
    let work = (0..200_u64).map(|n| {
        let setup = &setup;
        async move {
            let key = format!("k{}", n % 50);
            let body = bytes(n, if n % 3 == 0 { 100_000 } else { 2000 });
            setup.put("inbox", &key, body).await;
            setup.get("inbox", &key).await.unwrap();
        }
    });
    futures::StreamExt::for_each_concurrent(futures::stream::iter(work), 32, |task| task).await;
    assert_eq!(setup.keys("inbox").await.len(), 50);
    let rows = setup.bucket.ledger().unpublished(0, 1000).await.unwrap();
    assert_eq!(rows.len(), 200, "one row a write");
    assert!(rows.is_sorted_by_key(|row| row.seq));
}
