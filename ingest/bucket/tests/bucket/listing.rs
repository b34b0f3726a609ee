//! Listings.

use aws_sdk_s3::types::EncodingType;

use crate::support::*;

async fn fill(setup: &Setup) {
    for key in ["a", "a/1", "a/2", "a/b/3", "b", "c/4", "ü", "😀 + %2F"] {
        setup.put("plain", key, key.to_owned()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prefix_delimiter_and_start() {
    let setup = Setup::new().await;
    fill(&setup).await;
    let list = async |prefix: &str, delimiter: Option<&str>, after: Option<&str>| {
        let list = setup.client.list_objects_v2().bucket("plain").prefix(prefix);
        let page = list
            .set_delimiter(delimiter.map(Into::into))
            .set_start_after(after.map(Into::into))
            .send()
            .await
            .unwrap();
        let keys: Vec<String> = page
            .contents()
            .iter()
            .map(|object| object.key().unwrap().to_owned())
            .collect();
        let prefixes: Vec<String> = page
            .common_prefixes()
            .iter()
            .map(|prefix| prefix.prefix().unwrap().to_owned())
            .collect();
        assert_eq!(page.key_count(), Some((keys.len() + prefixes.len()) as i32));
        (keys.join("|"), prefixes.join("|"))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(list("", None, None).await.0, "a|a/1|a/2|a/b/3|b|c/4|ü|😀 + %2F");
    assert_eq!(list("", Some("/"), None).await, pair("a|b|ü|😀 + %2F", "a/|c/"));
    assert_eq!(list("a/", Some("/"), None).await, pair("a/1|a/2", "a/b/"));
    assert_eq!(list("a", Some("/"), None).await, pair("a", "a/"));
    assert_eq!(list("", None, Some("a/2")).await.0, "a/b/3|b|c/4|ü|😀 + %2F");
    assert_eq!(list("", Some("/"), Some("a/")).await, pair("b|ü|😀 + %2F", "c/"));
    assert_eq!(list("zzz", None, None).await, pair("", ""));
    assert_eq!(
        list("", Some("2"), None).await,
        pair("a|a/1|a/b/3|b|c/4|ü", "a/2|😀 + %2")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_both_versions_add_up() {
    let setup = Setup::new().await;
    fill(&setup).await;
    for size in 1..5 {
        for delimiter in [None, Some("/".to_owned())] {
            let (mut second, mut token) = (Vec::new(), None);
            loop {
                let page = setup
                    .client
                    .list_objects_v2()
                    .bucket("plain")
                    .max_keys(size)
                    .set_delimiter(delimiter.clone());
                let page = page.set_continuation_token(token).send().await.unwrap();
                assert!(page.key_count().unwrap() <= size);
                second.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
                second.extend(
                    page.common_prefixes()
                        .iter()
                        .map(|prefix| prefix.prefix().unwrap().to_owned()),
                );
                token = page.next_continuation_token;
                if token.is_none() {
                    assert_eq!(page.is_truncated, Some(false));
                    break;
                }
            }
            let (mut first, mut marker) = (Vec::new(), None);
            loop {
                let page = setup
                    .client
                    .list_objects()
                    .bucket("plain")
                    .max_keys(size)
                    .set_delimiter(delimiter.clone());
                let page = page.set_marker(marker).send().await.unwrap();
                first.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
                first.extend(
                    page.common_prefixes()
                        .iter()
                        .map(|prefix| prefix.prefix().unwrap().to_owned()),
                );
                if page.is_truncated != Some(true) {
                    break;
                }
                marker = page.next_marker;
            }
            second.sort();
            first.sort();
            let expected: &[&str] = match delimiter {
                None => &["a", "a/1", "a/2", "a/b/3", "b", "c/4", "ü", "😀 + %2F"],
                Some(_) => &["a", "a/", "b", "c/", "ü", "😀 + %2F"],
            };
            assert_eq!(second, expected);
            assert_eq!(first, expected);
        }
    }
    let none = setup
        .client
        .list_objects_v2()
        .bucket("plain")
        .max_keys(0)
        .send()
        .await
        .unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
    let bad = setup
        .client
        .list_objects_v2()
        .bucket("plain")
        .continuation_token("no token")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&bad), "InvalidArgument");
    let negative = setup
        .client
        .list_objects_v2()
        .bucket("plain")
        .max_keys(-1)
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&negative), "InvalidArgument");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_can_be_encoded() {
    let setup = Setup::new().await;
    fill(&setup).await;
    setup.put("plain", "line\u{1}feed", "x").await;
    let page = setup
        .client
        .list_objects_v2()
        .bucket("plain")
        .encoding_type(EncodingType::Url)
        .prefix("😀")
        .send()
        .await
        .unwrap();
    assert_eq!(page.contents()[0].key(), Some("%F0%9F%98%80%20%2B%20%252F"));
    assert_eq!(page.prefix(), Some("%F0%9F%98%80"));
    let page = setup
        .client
        .list_objects_v2()
        .bucket("plain")
        .encoding_type(EncodingType::Url)
        .prefix("line")
        .send()
        .await
        .unwrap();
    assert_eq!(
        page.contents()[0].key(),
        Some("line%01feed"),
        "characters XML cannot have"
    );
    let answer = setup
        .raw()
        .send("GET", "/plain?encoding-type=base64&list-type=2", &[], b"")
        .await;
    assert_eq!(answer.code(), "InvalidArgument");
}

#[tokio::test(flavor = "multi_thread")]
async fn held_and_unfinished_things_are_not_listed() {
    let setup = Setup::new().await;
    setup.put("inbox", "k", "one").await;
    setup.put("inbox", "k", "two").await;
    setup
        .client
        .create_multipart_upload()
        .bucket("inbox")
        .key("m")
        .send()
        .await
        .unwrap();
    assert_eq!(setup.keys("inbox").await, ["k"]);
    let versions = setup
        .client
        .list_object_versions()
        .bucket("inbox")
        .send()
        .await
        .unwrap();
    assert_eq!(versions.versions().len(), 1);
    assert_eq!(
        (versions.versions()[0].version_id(), versions.versions()[0].is_latest()),
        (Some("null"), Some(true))
    );
}
