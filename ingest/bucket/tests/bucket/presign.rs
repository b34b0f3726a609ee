//! Presigned URLs, ours and the SDK's.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use cofferdam_seams::{ObjectError, ObjectStore};

use crate::support::*;

const ODD: [&str; 22] = [
    "plain.txt",
    "with space",
    "a+b",
    "a%2Fb",
    "a%",
    "ü",
    "u\u{308}",
    "😀",
    "q?u=e&r#y",
    "'quoted'",
    "\"double\"",
    "a//b",
    "/lead",
    "trail/",
    "..",
    ".",
    "../../escape",
    "a/../b",
    "a/./b",
    "~tilde*(paren)",
    "semi;colon,comma",
    "back\\slash|pipe^`",
];

#[tokio::test(flavor = "multi_thread")]
async fn links_work_for_any_key_and_name_the_download() {
    let setup = Setup::new().await;
    let store: &dyn ObjectStore = &setup.bucket;
    let http = reqwest::Client::new();
    for key in ODD {
        let body = format!("body of {key:?}");
        let mut upload = store.upload(&at("outbox", key), Default::default()).await.unwrap();
        upload.write(body.clone().into()).await.unwrap();
        upload.finish(bytes::Bytes::new()).await.unwrap();
        let url = store
            .presign_get(&at("outbox", key), Duration::from_secs(60), Some("Größe \"1\".pdf"))
            .await
            .unwrap();
        assert!(url.is_ascii(), "{url}");
        let answer = http.get(&url).send().await.unwrap();
        let disposition = answer
            .headers()
            .get("content-disposition")
            .map(|value| value.to_str().unwrap().to_owned());
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!((status, text.as_str()), (200, body.as_str()), "{key:?} {url}");
        assert_eq!(
            disposition.as_deref(),
            Some("attachment; filename=\"Gr__e _1_.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%221%22.pdf")
        );
        let url = store
            .presign_get(&at("outbox", key), Duration::from_secs(60), None)
            .await
            .unwrap();
        assert_eq!(http.get(&url).send().await.unwrap().text().await.unwrap(), body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_were_changed_or_are_too_old_do_not_work() {
    let setup = Setup::new().await;
    let store: &dyn ObjectStore = &setup.bucket;
    setup.put("outbox", "a", "one").await;
    setup.put("outbox", "b", "two").await;
    let http = reqwest::Client::new();
    let status = async |url: &str| {
        let answer = http.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let url = store
        .presign_get(&at("outbox", "a"), Duration::from_secs(1), None)
        .await
        .unwrap();
    assert_eq!(status(&url).await.0, 200);
    for changed in [
        url.replace("/outbox/a", "/outbox/b"),
        url.replace("X-Amz-Expires=1", "X-Amz-Expires=100"),
        url.replace("us-east-1", "us-west-2"),
        format!("{url}&response-content-type=text%2Fhtml"),
        url.replace("OPERATOR", "ACME"),
    ] {
        let (code, text) = status(&changed).await;
        assert_eq!(code, 403, "{changed} {text}");
    }
    // Only for reading.
    assert_eq!(http.put(&url).body("x").send().await.unwrap().status().as_u16(), 403);
    assert_eq!(http.delete(&url).send().await.unwrap().status().as_u16(), 403);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (code, text) = status(&url).await;
    assert_eq!(code, 403);
    assert!(text.contains("expired"), "{text}");
    let none = store
        .presign_get(&at("outbox", "none"), Duration::from_secs(60), None)
        .await;
    assert!(matches!(none, Err(ObjectError::NotFound { .. })));
    let long = store
        .presign_get(&at("outbox", "a"), Duration::from_secs(604_801), None)
        .await;
    assert!(matches!(long, Err(ObjectError::InvalidRequest { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_links_work_for_reading_and_writing() {
    let setup = Setup::new().await;
    let http = reqwest::Client::new();
    let soon = || PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    for key in ["a b+c", "ü/😀", "q?u=e"] {
        let put = setup
            .client
            .put_object()
            .bucket("inbox")
            .key(key)
            .presigned(soon())
            .await
            .unwrap();
        let mut request = http.put(put.uri()).body("hello");
        for (name, value) in put.headers() {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
        let get = setup
            .client
            .get_object()
            .bucket("inbox")
            .key(key)
            .presigned(soon())
            .await
            .unwrap();
        assert_eq!(http.get(get.uri()).send().await.unwrap().text().await.unwrap(), "hello");
    }
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_may_be_good_for_a_week_and_no_longer() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    setup.put("plain", "k", "x").await;
    // Signed by hand: an SDK refuses it already.
    let now = time::OffsetDateTime::now_utc();
    let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
    let stamp = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
    let link = |expires: u32| {
        let scope = format!("{date}/{REGION}/s3/aws4_request");
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F{}&X-Amz-Date={stamp}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host",
            OPERATOR.0,
            scope.replace('/', "%2F")
        );
        let request = format!(
            "GET\n/plain/k\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
            setup.address
        );
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex_sha256(request.as_bytes()));
        let mut key = hmac(format!("AWS4{}", OPERATOR.1).as_bytes(), date.as_bytes());
        for part in [REGION, "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex::encode(hmac(&key, to_sign.as_bytes()));
        format!(
            "GET /plain/k?{query}&X-Amz-Signature={signature} HTTP/1.1\r\nhost: {}\r\n\r\n",
            setup.address
        )
    };
    assert_eq!(raw.exchange("GET", &[link(604_800).as_bytes()]).await.status, 200);
    assert_eq!(
        raw.exchange("GET", &[link(604_801).as_bytes()]).await.code(),
        "AuthorizationQueryParametersError"
    );
}
