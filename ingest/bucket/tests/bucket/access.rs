//! Who may do what.

use aws_sdk_s3::primitives::ByteStream;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn tenants_see_only_their_own() {
    let setup = Setup::new().await;
    for (bucket, key) in [
        ("vault", "acme/1"),
        ("vault", "acme-2/1"),
        ("vault", "other/1"),
        ("outbox", "acme/x"),
        ("plain", "acme/1"),
    ] {
        setup.put(bucket, key, "secret").await;
    }
    let tenant = client(setup.address, TENANT);
    let get = async |bucket: &str, key: &str| {
        tenant
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map(drop)
            .map_err(|e| code(&e))
    };
    assert_eq!(get("vault", "acme/1").await, Ok(()));
    assert_eq!(get("outbox", "acme/x").await, Ok(()));
    for (bucket, key) in [
        ("vault", "other/1"),
        ("vault", "acme-2/1"),
        ("vault", "acme"),
        ("vault", "none"),
        ("plain", "acme/1"),
        ("nowhere", "acme/1"),
    ] {
        assert_eq!(get(bucket, key).await, Err("AccessDenied".into()), "{bucket}/{key}");
    }
    // Landing: all of it.
    tenant
        .put_object()
        .bucket("inbox")
        .key("mine")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    tenant.list_objects_v2().bucket("inbox").send().await.unwrap();
    tenant.delete_object().bucket("inbox").key("mine").send().await.unwrap();
    // Elsewhere: no writing, not even below the own prefix.
    for bucket in ["vault", "results", "outbox", "plain"] {
        let put = tenant
            .put_object()
            .bucket(bucket)
            .key("acme/new")
            .body(ByteStream::from_static(b"x"))
            .send()
            .await;
        assert_eq!(code(&put.unwrap_err()), "AccessDenied", "{bucket}");
        let delete = tenant.delete_object().bucket(bucket).key("acme/1").send().await;
        assert_eq!(code(&delete.unwrap_err()), "AccessDenied", "{bucket}");
    }
    // Listing needs the prefix.
    let list = async |prefix: Option<&str>| {
        let list = tenant
            .list_objects_v2()
            .bucket("vault")
            .set_prefix(prefix.map(Into::into))
            .send()
            .await;
        list.map(|page| page.contents().len()).map_err(|e| code(&e))
    };
    assert_eq!(list(Some("acme/")).await, Ok(1));
    for prefix in [None, Some(""), Some("a"), Some("acme"), Some("other/")] {
        assert_eq!(list(prefix).await, Err("AccessDenied".into()), "{prefix:?}");
    }
    for result in [
        tenant
            .list_objects()
            .bucket("vault")
            .send()
            .await
            .map(drop)
            .map_err(|e| code(&e)),
        tenant
            .list_object_versions()
            .bucket("vault")
            .send()
            .await
            .map(drop)
            .map_err(|e| code(&e)),
        tenant
            .list_multipart_uploads()
            .bucket("vault")
            .prefix("acme/")
            .send()
            .await
            .map(drop)
            .map_err(|e| code(&e)),
        tenant
            .head_bucket()
            .bucket("vault")
            .send()
            .await
            .map(drop)
            .map_err(|e| code(&e)),
    ]
    .into_iter()
    .take(3)
    {
        assert_eq!(result, Err("AccessDenied".into()));
    }
    tenant.list_multipart_uploads().bucket("inbox").send().await.unwrap();
    let names: Vec<String> = tenant
        .list_buckets()
        .send()
        .await
        .unwrap()
        .buckets()
        .iter()
        .map(|bucket| bucket.name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["inbox", "outbox", "results", "vault"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_cannot_go_round() {
    let setup = Setup::new().await;
    setup.put("vault", "other/1", "secret").await;
    setup.put("vault", "acme/1", "own").await;
    let tenant = client(setup.address, TENANT);
    // By copying what they may not read to where they may.
    let copy = tenant
        .copy_object()
        .bucket("inbox")
        .key("stolen")
        .copy_source("vault/other/1")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&copy), "AccessDenied");
    tenant
        .copy_object()
        .bucket("inbox")
        .key("own")
        .copy_source("vault/acme/1")
        .send()
        .await
        .unwrap();
    let upload = tenant
        .create_multipart_upload()
        .bucket("inbox")
        .key("m")
        .send()
        .await
        .unwrap();
    let part = tenant
        .upload_part_copy()
        .bucket("inbox")
        .key("m")
        .upload_id(upload.upload_id().unwrap())
        .part_number(1);
    assert_eq!(
        code(&part.copy_source("vault/other/1").send().await.unwrap_err()),
        "AccessDenied"
    );
    // By naming another bucket's upload, or deleting by a list.
    let object = aws_sdk_s3::types::ObjectIdentifier::builder()
        .key("other/1")
        .build()
        .unwrap();
    let delete = aws_sdk_s3::types::Delete::builder().objects(object).build().unwrap();
    let error = tenant
        .delete_objects()
        .bucket("vault")
        .delete(delete)
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "AccessDenied");
    // By operations that are not theirs.
    let raw = Raw {
        address: setup.address,
        key: TENANT,
    };
    for (method, target) in [
        ("PUT", "/new-bucket"),
        ("DELETE", "/inbox"),
        ("PUT", "/inbox?versioning"),
        ("GET", "/inbox?notification"),
        ("PUT", "/inbox?notification"),
        ("GET", "/inbox?policy"),
        ("PUT", "/inbox?policy"),
        ("GET", "/inbox?acl"),
        ("PUT", "/inbox/k?acl"),
        ("GET", "/vault/acme/1?acl"),
        ("PUT", "/inbox?lifecycle"),
        ("POST", "/vault/acme/1?restore"),
        ("GET", "/vault/acme%2F..%2Fother/1?tagging"),
    ] {
        let answer = raw.send(method, target, &[], b"").await;
        assert!(
            matches!(answer.code().as_str(), "AccessDenied" | "SignatureDoesNotMatch"),
            "{method} {target}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(setup.get("vault", "other/1").await.unwrap(), "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let setup = Setup::new().await;
    setup.put("plain", "k", "secret").await;
    let raw = setup.raw();
    let head = format!("GET /plain/k HTTP/1.1\r\nhost: {}\r\n\r\n", setup.address);
    let answer = raw.exchange("GET", &[head.as_bytes()]).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "AccessDenied"));
    let head = format!(
        "PUT /plain/new HTTP/1.1\r\nhost: {}\r\ncontent-length: 1\r\n\r\nx",
        setup.address
    );
    assert_eq!(raw.exchange("PUT", &[head.as_bytes()]).await.code(), "AccessDenied");
    let wrong_secret = Raw {
        key: (OPERATOR.0, "wrong"),
        ..raw.clone()
    };
    assert_eq!(
        wrong_secret.send("GET", "/plain/k", &[], b"").await.code(),
        "SignatureDoesNotMatch"
    );
    let unknown = Raw {
        key: ("NOBODY", "wrong"),
        ..raw.clone()
    };
    assert_eq!(
        unknown.send("GET", "/plain/k", &[], b"").await.code(),
        "InvalidAccessKeyId"
    );
    let signed = raw.sign("GET", "/plain/k", &[], &hex_sha256(b""));
    let other = signed.head.replace("/plain/k", "/plain/x");
    assert_eq!(
        raw.exchange("GET", &[other.as_bytes()]).await.code(),
        "SignatureDoesNotMatch"
    );
    assert_eq!(setup.keys("plain").await, ["k"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_sub_resources_do_not_become_plain_operations() {
    let setup = Setup::new().await;
    setup.put("plain", "k", "secret").await;
    let raw = setup.raw();
    for (method, target) in [
        ("DELETE", "/plain/k?legal-hold"),
        ("DELETE", "/plain/k?acl"),
        ("DELETE", "/plain?notification"),
        ("DELETE", "/plain?object-lock"),
        ("PUT", "/plain/k?partNumber=1"),
        ("PUT", "/plain/k?renameObject"),
        ("GET", "/plain/k?encryption"),
        ("PUT", "/plain?abac"),
    ] {
        let answer = raw.send(method, target, &[], b"").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (501, "NotImplemented"),
            "{method} {target}"
        );
    }
    assert_eq!(setup.get("plain", "k").await.unwrap(), "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_by_prefix() {
    use cofferdam_bucket::{Credential, EndpointSettings, Grant, Grants};
    let setup = Setup::new().await;
    let grant = Grant {
        bucket: bucket_name("inbox"),
        prefix: "acme/".to_owned(),
        write: true,
    };
    let credential = Credential {
        access_key_id: TENANT.0.into(),
        secret: TENANT.1.to_owned().into(),
        grants: Grants::Only(vec![grant]),
    };
    let settings = EndpointSettings {
        credentials: vec![credential],
        ..EndpointSettings::default()
    };
    let endpoint = cofferdam_bucket::serve(setup.bucket.clone(), settings, setup.stop.clone())
        .await
        .unwrap();
    let tenant = client(endpoint.addr(), TENANT);
    tenant
        .put_object()
        .bucket("inbox")
        .key("acme/1")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    let put = tenant
        .put_object()
        .bucket("inbox")
        .key("other/1")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await;
    assert_eq!(code(&put.unwrap_err()), "AccessDenied");
    for keys in [vec!["acme/1", "other/1"], vec!["other/1"]] {
        let objects = keys
            .iter()
            .map(|key| {
                aws_sdk_s3::types::ObjectIdentifier::builder()
                    .key(*key)
                    .build()
                    .unwrap()
            })
            .collect();
        let delete = aws_sdk_s3::types::Delete::builder()
            .set_objects(Some(objects))
            .build()
            .unwrap();
        assert_eq!(
            code(
                &tenant
                    .delete_objects()
                    .bucket("inbox")
                    .delete(delete)
                    .send()
                    .await
                    .unwrap_err()
            ),
            "AccessDenied"
        );
    }
    assert_eq!(
        setup.keys("inbox").await,
        ["acme/1"],
        "nothing of a refused list was deleted"
    );
}
