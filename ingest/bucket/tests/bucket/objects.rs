//! Objects: what goes with them, copies, deletes, forms.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, Delete, MetadataDirective, ObjectIdentifier, TaggingDirective};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn everything_given_comes_back() {
    let setup = Setup::new().await;
    let put = setup
        .client
        .put_object()
        .bucket("plain")
        .key("k")
        .body(ByteStream::from_static(b"hello"));
    let put = put
        .content_type("application/pdf")
        .content_encoding("gzip")
        .content_language("de")
        .content_disposition("inline")
        .cache_control("max-age=5")
        .expires(DateTime::from_secs(4_000_000_000))
        .metadata("Colour", "blue")
        .metadata("note", "grün ✓")
        .tagging("a=1&b=two%20words");
    let done = put.send().await.unwrap();
    assert_eq!(done.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(done.version_id(), None);
    let head = setup
        .client
        .head_object()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("application/pdf"));
    assert_eq!(
        head.content_encoding(),
        Some("gzip"),
        "without the encoding of the transfer"
    );
    assert_eq!(head.content_language(), Some("de"));
    assert_eq!(head.content_disposition(), Some("inline"));
    assert_eq!(head.cache_control(), Some("max-age=5"));
    assert_eq!(head.expires_string(), Some("Tue, 02 Oct 2096 07:06:40 GMT"));
    assert_eq!(head.content_length(), Some(5));
    let user = head.metadata().unwrap();
    assert_eq!(user.get("colour").map(String::as_str), Some("blue"));
    assert_eq!(user.len(), 2);
    let got = setup.client.get_object().bucket("plain").key("k").send().await.unwrap();
    assert_eq!(
        (got.content_type(), got.tag_count()),
        (Some("application/pdf"), Some(2))
    );
    setup.put("plain", "bare", "x").await;
    let bare = setup.raw().send("PUT", "/plain/bare", &[], b"x").await;
    assert_eq!(bare.status, 200);
    let head = setup.raw().send("HEAD", "/plain/bare", &[], b"").await;
    assert_eq!(head.header("content-type"), Some("binary/octet-stream"));
    assert!(head.header("x-amz-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_metadata_and_tags() {
    let setup = Setup::new().await;
    let put = || {
        setup
            .client
            .put_object()
            .bucket("plain")
            .key("k")
            .body(ByteStream::from_static(b"x"))
    };
    let error = put().metadata("long", "v".repeat(2049)).send().await.unwrap_err();
    assert_eq!(code(&error), "MetadataTooLarge");
    let many: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
    assert_eq!(
        code(&put().tagging(many.join("&")).send().await.unwrap_err()),
        "InvalidTag"
    );
    assert_eq!(code(&put().tagging("a=1&a=2").send().await.unwrap_err()), "InvalidTag");
    assert!(setup.keys("plain").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_and_deleting_leave_no_files() {
    let setup = Setup::new().await;
    for n in 0..3 {
        setup.put("plain", "k", bytes(n, 100_000)).await;
    }
    assert_eq!(setup.get("plain", "k").await.unwrap(), bytes(2, 100_000));
    eventually("one file", || setup.files().len() == 1).await;
    let deleted = setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!((deleted.delete_marker(), deleted.version_id()), (None, None));
    eventually("no file", || setup.files().is_empty()).await;
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    let error = setup
        .client
        .delete_object()
        .bucket("nowhere")
        .key("k")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_keeps_what_it_reads() {
    let setup = Setup::new().await;
    let body = bytes(1, 8_000_000);
    setup.put("plain", "k", body.clone()).await;
    let got = setup.client.get_object().bucket("plain").key("k").send().await.unwrap();
    setup.put("plain", "k", "other").await;
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), body);
    eventually("the old file goes when its reader does", || setup.files().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_share_bytes_and_outlive_their_source() {
    let setup = Setup::new().await;
    for size in [100, 100_000] {
        let body = bytes(1, size);
        let put = setup
            .client
            .put_object()
            .bucket("plain")
            .key("k ü")
            .body(ByteStream::from(body.clone()));
        put.content_type("text/plain")
            .metadata("a", "1")
            .tagging("t=1")
            .send()
            .await
            .unwrap();
        let copy = || {
            setup
                .client
                .copy_object()
                .bucket("vault")
                .copy_source("plain/k%20%C3%BC")
        };
        let done = copy().key("same").send().await.unwrap();
        assert!(done.copy_object_result().unwrap().e_tag().is_some());
        let replaced = copy()
            .key("replaced")
            .metadata_directive(MetadataDirective::Replace)
            .content_type("text/html");
        replaced
            .metadata("b", "2")
            .tagging_directive(TaggingDirective::Replace)
            .tagging("u=2")
            .send()
            .await
            .unwrap();
        let hashed = copy()
            .key("hashed")
            .checksum_algorithm(ChecksumAlgorithm::Sha1)
            .send()
            .await
            .unwrap();
        assert!(hashed.copy_object_result().unwrap().checksum_sha1().is_some());
        setup
            .client
            .delete_object()
            .bucket("plain")
            .key("k ü")
            .send()
            .await
            .unwrap();
        for key in ["same", "replaced", "hashed"] {
            assert_eq!(setup.get("vault", key).await.unwrap(), body, "{key}");
        }
        let same = setup
            .client
            .head_object()
            .bucket("vault")
            .key("same")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (
                same.content_type(),
                same.metadata().unwrap().get("a").map(String::as_str)
            ),
            (Some("text/plain"), Some("1"))
        );
        let other = setup
            .client
            .head_object()
            .bucket("vault")
            .key("replaced")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (other.content_type(), other.metadata().unwrap().len()),
            (Some("text/html"), 1)
        );
        let tags = setup
            .client
            .get_object_tagging()
            .bucket("vault")
            .key("replaced")
            .send()
            .await
            .unwrap();
        assert_eq!(tags.tag_set()[0].key(), "u");
        eventually("copies take no room", || {
            setup.files().len() == usize::from(size > 65_536)
        })
        .await;
        for key in ["same", "replaced", "hashed"] {
            setup
                .client
                .delete_object()
                .bucket("vault")
                .key(key)
                .send()
                .await
                .unwrap();
        }
        eventually("the last copy takes the file with it", || setup.files().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copying_onto_itself() {
    let setup = Setup::new().await;
    setup.put("plain", "k", bytes(1, 100_000)).await;
    let copy = || {
        setup
            .client
            .copy_object()
            .bucket("plain")
            .key("k")
            .copy_source("plain/k")
    };
    assert_eq!(code(&copy().send().await.unwrap_err()), "InvalidRequest");
    copy()
        .metadata_directive(MetadataDirective::Replace)
        .metadata("new", "1")
        .send()
        .await
        .unwrap();
    assert_eq!(setup.get("plain", "k").await.unwrap(), bytes(1, 100_000));
    assert_eq!(setup.files().len(), 1);
    let error = setup
        .client
        .copy_object()
        .bucket("plain")
        .key("x")
        .copy_source("plain/none")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_many() {
    let setup = Setup::new().await;
    let keys = ["a", "b c", "d&<e>\"'", "ü", "😀", " lead", "trail ", "tab\tx", "x//y"];
    for key in keys {
        setup.put("plain", key, key.to_owned()).await;
    }
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().set_objects(Some(
        keys.iter()
            .map(|key| object(key))
            .chain([object("never there")])
            .collect(),
    ));
    let done = setup
        .client
        .delete_objects()
        .bucket("plain")
        .delete(delete.build().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!((done.deleted().len(), done.errors().len()), (keys.len() + 1, 0));
    assert!(setup.keys("plain").await.is_empty(), "{:?}", setup.keys("plain").await);
    setup.put("plain", "a", "x").await;
    let quiet = Delete::builder().objects(object("a")).quiet(true).build().unwrap();
    let done = setup
        .client
        .delete_objects()
        .bucket("plain")
        .delete(quiet)
        .send()
        .await
        .unwrap();
    assert!(done.deleted().is_empty());
    assert!(setup.keys("plain").await.is_empty());
    let many = Delete::builder()
        .set_objects(Some((0..1001).map(|n| object(&n.to_string())).collect()))
        .build()
        .unwrap();
    let error = setup
        .client
        .delete_objects()
        .bucket("plain")
        .delete(many)
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "MalformedXML");
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets() {
    let setup = Setup::new().await;
    let client = &setup.client;
    client.create_bucket().bucket("new-bucket").send().await.unwrap();
    client.head_bucket().bucket("new-bucket").send().await.unwrap();
    let names: Vec<String> = client
        .list_buckets()
        .send()
        .await
        .unwrap()
        .buckets()
        .iter()
        .map(|bucket| bucket.name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["inbox", "new-bucket", "outbox", "plain", "results", "vault"]);
    let location = client.get_bucket_location().bucket("new-bucket").send().await.unwrap();
    assert!(
        location
            .location_constraint()
            .is_none_or(|location| location.as_str().is_empty())
    );
    let raw = setup.raw();
    assert_eq!(raw.send("PUT", "/UPPER", &[], b"").await.code(), "InvalidBucketName");
    assert_eq!(raw.send("PUT", "/a..b", &[], b"").await.code(), "InvalidBucketName");
    assert_eq!(raw.send("GET", "/nowhere/k", &[], b"").await.code(), "NoSuchBucket");
    assert_eq!(raw.send("GET", "/nowhere", &[], b"").await.code(), "NoSuchBucket");
    assert_eq!(raw.send("PUT", "/nowhere/k", &[], b"x").await.code(), "NoSuchBucket");
    client.delete_bucket().bucket("new-bucket").send().await.unwrap();
    assert_eq!(
        code(&client.delete_bucket().bucket("new-bucket").send().await.unwrap_err()),
        "NoSuchBucket"
    );
    setup.bucket.create_bucket(&bucket_name("plain")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_as_sub_domains() {
    let setup = Setup::new().await;
    setup.put("plain", "a/b", "hello").await;
    let raw = setup.raw();
    let host = format!("plain.localhost:{}", setup.address.port());
    let signed = Raw { ..raw.clone() }.sign("GET", "/a/b", &[], &hex_sha256(b""));
    // Signed for the address: the host is part of what is signed, so this must fail …
    let head = signed
        .head
        .replace(&format!("host: {}", setup.address), &format!("host: {host}"));
    assert_eq!(
        raw.exchange("GET", &[head.as_bytes()]).await.code(),
        "SignatureDoesNotMatch"
    );
    // … and with the SDK, which signs for the host it names, it works.
    let config = setup.client.config().to_builder().force_path_style(false);
    let client = aws_sdk_s3::Client::from_conf(
        config
            .endpoint_url(format!("http://localhost:{}", setup.address.port()))
            .build(),
    );
    match client.get_object().bucket("plain").key("a/b").send().await {
        Ok(got) => assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello"),
        // Where the resolver does not know names below localhost there is nothing to test.
        Err(error) => assert!(error.as_service_error().is_none(), "{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_browsers_land_too() {
    use base64::Engine as _;
    let setup = Setup::new().await;
    let raw = setup.raw();
    let now = time::OffsetDateTime::now_utc();
    let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
    let stamp = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
    let credential = format!("{}/{date}/{REGION}/s3/aws4_request", OPERATOR.0);
    let form = |key: &str, signed: bool| {
        let policy = format!(
            r#"{{"expiration":"2099-01-01T00:00:00Z","conditions":[{{"bucket":"inbox"}},["starts-with","$key","form/"],{{"x-amz-algorithm":"AWS4-HMAC-SHA256"}},{{"x-amz-credential":"{credential}"}},{{"x-amz-date":"{stamp}"}},["content-length-range",1,1000]]}}"#
        );
        let policy = base64::engine::general_purpose::STANDARD.encode(policy);
        let mut signing = hmac(format!("AWS4{}", OPERATOR.1).as_bytes(), date.as_bytes());
        for part in [REGION, "s3", "aws4_request"] {
            signing = hmac(&signing, part.as_bytes());
        }
        let signature = hex::encode(hmac(&signing, policy.as_bytes()));
        let mut fields = vec![("key", key.to_owned())];
        if signed {
            fields.extend([
                ("policy", policy),
                ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
                ("x-amz-credential", credential.clone()),
                ("x-amz-date", stamp.clone()),
                ("x-amz-signature", signature),
            ]);
        }
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str(&format!(
                "--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        body.push_str("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\nhello form\r\n--B--\r\n");
        let head = format!(
            "POST /inbox HTTP/1.1\r\nhost: {}\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n",
            setup.address,
            body.len()
        );
        format!("{head}{body}")
    };
    let answer = raw.exchange("POST", &[form("form/a", true).as_bytes()]).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(setup.get("inbox", "form/a").await.unwrap(), "hello form");
    let elsewhere = raw.exchange("POST", &[form("other/a", true).as_bytes()]).await;
    assert_eq!(elsewhere.code(), "InvalidPolicyDocument", "the policy says where");
    assert_eq!(
        raw.exchange("POST", &[form("form/b", false).as_bytes()]).await.code(),
        "AccessDenied"
    );
    assert_eq!(setup.keys("inbox").await, ["form/a"]);
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 1);
}
