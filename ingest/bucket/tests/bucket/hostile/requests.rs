//! Requests whose parameters, keys and documents make no sense.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_make_no_sense_are_never_our_fault() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    setup.put("plain", "k", "hello").await;
    let mut faults: Vec<String> = Vec::new();
    let odd = [
        "-1",
        "0",
        "99999999999999999999",
        "1.5",
        "x",
        "%00",
        "%FF",
        "%0d%0a",
        "",
        "%F0%9F%98%80",
        "null",
        "..%2F..%2F",
    ];
    for (method, target, parameter) in [
        ("GET", "/plain?list-type=2", "max-keys"),
        ("GET", "/plain?list-type=2", "continuation-token"),
        ("GET", "/plain?list-type=2", "start-after"),
        ("GET", "/plain?list-type=2", "delimiter"),
        ("GET", "/plain?list-type=2", "prefix"),
        ("GET", "/plain?list-type=2", "encoding-type"),
        ("GET", "/plain?versions", "key-marker"),
        ("GET", "/plain?versions", "version-id-marker"),
        ("GET", "/plain?uploads", "upload-id-marker"),
        ("GET", "/plain?uploads", "max-uploads"),
        ("GET", "/plain/k?x-id=a", "versionId"),
        ("GET", "/plain/k?x-id=a", "partNumber"),
        ("GET", "/plain/k?x-id=a", "response-content-type"),
        ("GET", "/plain/k?x-id=a", "response-expires"),
        ("GET", "/plain/k?uploadId=a", "part-number-marker"),
        ("GET", "/plain/k?uploadId=a", "max-parts"),
        ("PUT", "/plain/k?uploadId=a", "partNumber"),
        ("PUT", "/plain/k?partNumber=1", "uploadId"),
        ("DELETE", "/plain/none?x-id=a", "versionId"),
        ("DELETE", "/plain/none?x-id=a", "uploadId"),
        ("GET", "/?x-id=a", "max-buckets"),
        ("GET", "/?x-id=a", "continuation-token"),
    ] {
        for value in odd {
            let target = format!("{target}&{parameter}={value}");
            let answer = raw.send(method, &target, &[], b"").await;
            if answer.status >= 500 && answer.status != 501 {
                faults.push(format!("{method} {target}: {}", answer.text()));
            }
        }
    }
    for (name, values) in [
        (
            "range",
            vec![
                "bytes=",
                "bytes=-",
                "bytes=9-5",
                "bytes=a-b",
                "bytes=0-0,1-1,2-2",
                "lines=1-2",
                "bytes=99999999999999999999-",
            ],
        ),
        ("if-match", vec!["", "\"", "*,*", "W/\"a\"", "\"a\", \"b\""]),
        ("if-none-match", vec!["", "\"", "x y"]),
        (
            "if-modified-since",
            vec!["", "yesterday", "Tue, 99 Xxx 9999 99:99:99 GMT"],
        ),
        ("x-amz-checksum-mode", vec!["", "MAYBE"]),
        (
            "x-amz-copy-source",
            vec![
                "",
                "/",
                "plain",
                "plain/",
                "/plain/%00",
                "/plain/%FF",
                "arn:aws:s3:::x",
                "plain/k?versionId=%00",
                "a?b?c",
                "../../etc/passwd",
            ],
        ),
        ("x-amz-copy-source-range", vec!["", "bytes=9-5", "x"]),
        ("x-amz-metadata-directive", vec!["", "SWAP"]),
        ("x-amz-tagging", vec!["=", "a=b&a=c", "%FF=1", "a=%00"]),
        ("x-amz-meta-a", vec!["=?UTF-8?B?!!!?=", "=?x?Q?=ff?=", "\u{1}"]),
        ("content-type", vec!["multipart/form-data", "x/y; a=\"", "\u{80}"]),
        ("expires", vec!["", "never"]),
        (
            "content-encoding",
            vec!["aws-chunked", "aws-chunked,aws-chunked", ",,,"],
        ),
    ] {
        for value in values {
            let method = if name.starts_with("if-") || name == "range" {
                "GET"
            } else {
                "PUT"
            };
            let answer = raw.send(method, "/inbox/odd", &[(name, value)], b"").await;
            if answer.status >= 500 && answer.status != 501 {
                faults.push(format!("{name}: {value}: {}", answer.text()));
            }
            if answer.status == 200 && method == "PUT" {
                // What was taken can be read and asked about.
                assert_eq!(
                    raw.send("GET", "/inbox/odd", &[], b"").await.status,
                    200,
                    "{name}: {value}"
                );
                setup
                    .client
                    .delete_object()
                    .bucket("inbox")
                    .key("odd")
                    .send()
                    .await
                    .unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let rows = setup.bucket.ledger().unpublished(0, 100).await.unwrap();
    setup
        .bucket
        .ledger()
        .close_rows(rows.iter().map(|row| row.seq).collect())
        .await
        .unwrap();
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    unharmed(&setup).await;
}

/// What was wrong: a version id that no header can hold was answered with an internal error, since the answer to a delete repeats it.
#[tokio::test(flavor = "multi_thread")]
async fn found_versions_that_no_header_can_hold_are_the_clients_fault() {
    let setup = Setup::new().await;
    let answer = setup.raw().send("DELETE", "/inbox/k?versionId=%00", &[], b"").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "InvalidArgument"));
    unharmed(&setup).await;
}

/// Keys at the edge, in every place where a key can stand.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_checked_wherever_they_stand() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let longest = format!("{}é", "k".repeat(1022));
    let too_long = format!("{}é", "k".repeat(1023));
    assert_eq!((longest.len(), too_long.len()), (1024, 1025));
    let encoded = |key: &str| key.replace('é', "%C3%A9");
    assert_eq!(
        raw.send("PUT", &format!("/plain/{}", encoded(&longest)), &[], b"x")
            .await
            .status,
        200
    );
    for method in ["PUT", "GET", "DELETE"] {
        let answer = raw
            .send(method, &format!("/inbox/{}", encoded(&too_long)), &[], b"")
            .await;
        assert_eq!(answer.code(), "KeyTooLongError", "{method}");
    }
    let from = |key: &str| format!("/plain/{}", encoded(key));
    let copy = raw
        .send("PUT", "/inbox/k", &[("x-amz-copy-source", &from(&too_long))], b"")
        .await;
    assert!((400..500).contains(&copy.status), "{}", copy.text());
    for key in [too_long.as_str(), "a&#0;b", ""] {
        let body = format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
        let answer = raw.send("POST", "/inbox?delete", &[], body.as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{key}: {}", answer.text());
    }
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key(&longest)
        .send()
        .await
        .unwrap();
    unharmed(&setup).await;
    // Twins that look alike stay two, in every operation.
    let (composed, decomposed) = ("%C3%A9", "e%CC%81");
    raw.send("PUT", &format!("/plain/{composed}"), &[], b"one").await;
    assert_eq!(
        raw.send("GET", &format!("/plain/{decomposed}"), &[], b"").await.code(),
        "NoSuchKey"
    );
    raw.send("PUT", &format!("/plain/{decomposed}"), &[], b"two").await;
    raw.send("DELETE", &format!("/plain/{composed}"), &[], b"").await;
    assert_eq!(
        raw.send("GET", &format!("/plain/{decomposed}"), &[], b"").await.text(),
        "two"
    );
    assert_eq!(setup.keys("plain").await, ["e\u{301}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_traps() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let deep = format!("{}{}", "<Delete>".repeat(100_000), "</Delete>".repeat(100_000));
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]><Delete><Object><Key>&b;</Key></Object></Delete>";
    let outside =
        "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><Delete><Object><Key>&a;</Key></Object></Delete>";
    let many = format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(1001));
    let empty_parts = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        "<Part/>".repeat(200_000)
    );
    let attributes = format!(
        "<Delete {}></Delete>",
        (0..50_000).map(|n| format!("a{n}=\"1\" ")).collect::<String>()
    );
    let text = format!("<Delete>{}</Delete>", "x".repeat(3_000_000));
    let upload = setup
        .client
        .create_multipart_upload()
        .bucket("plain")
        .key("m")
        .send()
        .await
        .unwrap();
    let complete = format!("/plain/m?uploadId={}", upload.upload_id().unwrap());
    for (target, body) in [
        ("/inbox?delete", deep.as_str()),
        ("/inbox?delete", entities),
        ("/inbox?delete", outside),
        ("/inbox?delete", &many),
        ("/inbox?delete", &attributes),
        ("/inbox?delete", &text),
        ("/inbox?delete", "\u{feff}<Delete/>"),
        ("/inbox?delete", "<?xml version=\"1.0\" encoding=\"UTF-16\"?><Delete/>"),
        (&complete, &empty_parts),
        (&complete, "<CompleteMultipartUpload/>"),
        (
            &complete,
            "<CompleteMultipartUpload><Part><PartNumber>4294967297</PartNumber></Part></CompleteMultipartUpload>",
        ),
        (
            &complete,
            "<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber></Part></CompleteMultipartUpload>",
        ),
        (
            &complete,
            "<CompleteMultipartUpload><Part><ETag>\"x\"</ETag></Part></CompleteMultipartUpload>",
        ),
    ] {
        let answer =
            tokio::time::timeout(Duration::from_secs(15), raw.send("POST", target, &[], body.as_bytes())).await;
        let answer = answer.expect("an answer in time");
        let shown = &body[..body.len().min(60)];
        assert!(
            (400..500).contains(&answer.status),
            "{shown}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains("root:"), "nothing of the machine's files");
    }
    let abort = setup.client.abort_multipart_upload().bucket("plain").key("m");
    abort.upload_id(upload.upload_id().unwrap()).send().await.unwrap();
    unharmed(&setup).await;
}
