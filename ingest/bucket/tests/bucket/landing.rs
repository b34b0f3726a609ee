//! Landing buckets that several tenants share: not every key is taken.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use cofferdam_bucket::{BucketSettings, EndpointSettings, Landing, LandingKeys};
use cofferdam_seams::{ObjectError, ObjectStore};

use crate::support::*;

/// What `ingest` answers for a bucket whose keys begin with the tenant's name.
struct Tenants;

impl LandingKeys for Tenants {
    fn check(&self, key: &str) -> Result<(), String> {
        match key.split_once('/') {
            Some(("acme" | "zeta", _)) => Ok(()),
            _ => Err(format!("{key:?} begins with no tenant; write it below acme/ or zeta/")),
        }
    }
}

async fn shared() -> Setup {
    let setup = Setup::over(EndpointSettings::default(), |settings| BucketSettings {
        landing: vec![
            bucket_name("inbox").into(),
            Landing {
                bucket: bucket_name("shared"),
                keys: Some(Arc::new(Tenants)),
            },
        ],
        ..settings
    })
    .await;
    setup.bucket.create_bucket(&bucket_name("shared")).await.unwrap();
    setup
}

/// Neither objects nor uploads, blobs or ledger rows.
async fn nothing_is_there(setup: &Setup) {
    assert!(setup.keys("shared").await.is_empty());
    let uploads = setup.client.list_multipart_uploads().bucket("shared").send().await;
    assert!(uploads.unwrap().uploads().is_empty());
    eventually("no file", || setup.files().is_empty()).await;
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_nobody_are_refused_for_the_operator_too() {
    let setup = shared().await;
    let raw = setup.raw();
    setup.put("plain", "source", bytes(1, 100_000)).await;
    let before = setup.files().len();
    for key in ["report.pdf", "nobody/x", "acme", "/acme/x", "ACME/x", "acme%20/x"] {
        let target = format!("/shared/{key}");
        for size in [5, 100_000] {
            let answer = raw.send("PUT", &target, &[], &bytes(2, size)).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "InvalidRequest"),
                "{key}"
            );
            assert!(
                answer
                    .message()
                    .contains("begins with no tenant; write it below acme/ or zeta/"),
                "{}",
                answer.text()
            );
        }
        let answer = raw
            .send("PUT", &target, &[("x-amz-copy-source", "/plain/source")], b"")
            .await;
        assert_eq!(answer.code(), "InvalidRequest", "copy to {key}");
        let answer = raw.send("POST", &format!("{target}?uploads"), &[], b"").await;
        assert_eq!(answer.code(), "InvalidRequest", "upload of {key}");
    }
    let answer = raw.form("shared", &[("key", "nobody/x")], b"hello").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "InvalidRequest"), "form");
    // In process, where the inbox folder comes in.
    let upload = setup.bucket.upload(&at("shared", "nobody/x"), Default::default()).await;
    match upload.err() {
        Some(ObjectError::InvalidRequest { reason }) => assert!(reason.contains("begins with no tenant"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(setup.files().len(), before);
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("source")
        .send()
        .await
        .unwrap();
    nothing_is_there(&setup).await;
    // Told before the bytes are sent.
    let head = raw.sign(
        "PUT",
        "/shared/nobody/x",
        &[("content-length", "5000000"), ("expect", "100-continue")],
        "UNSIGNED-PAYLOAD",
    );
    assert_eq!(
        raw.exchange("PUT", &[head.head.as_bytes()]).await.code(),
        "InvalidRequest"
    );
    // And the rest goes on as before.
    setup.put("shared", "zeta/x", "hello").await;
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 1);
    setup.put("inbox", "nobody/x", "hello").await;
}

/// An upload that began while its tenant was configured cannot be completed when it no longer is; it can be given up, and objects can be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_let_in_before_is_not_completed_but_can_be_cleared_away() {
    use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
    let setup = shared().await;
    setup.put("shared", "zeta/old", "hello").await;
    let create = setup.client.create_multipart_upload().bucket("shared").key("zeta/m");
    let id = create.send().await.unwrap().upload_id.unwrap();
    let part = setup.client.upload_part().bucket("shared").key("zeta/m").upload_id(&id);
    let part = part
        .part_number(1)
        .body(ByteStream::from(bytes(1, 100_000)))
        .send()
        .await
        .unwrap();
    // As if the tenant had been called otherwise.
    let rename = rusqlite::Connection::open(setup.dir.path().join("bucket.db")).unwrap();
    rename.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    for table in ["uploads", "objects"] {
        rename
            .execute(
                &format!("UPDATE {table} SET key = CAST(replace(CAST(key AS TEXT), 'zeta', 'gone') AS BLOB)"),
                [],
            )
            .unwrap();
    }
    let part = CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
    let complete = setup
        .client
        .complete_multipart_upload()
        .bucket("shared")
        .key("gone/m")
        .upload_id(&id);
    let complete = complete.multipart_upload(CompletedMultipartUpload::builder().parts(part).build());
    assert_eq!(code(&complete.send().await.unwrap_err()), "InvalidRequest");
    assert_eq!(setup.keys("shared").await, ["gone/old"]);
    assert_eq!(setup.bucket.ledger().depth().await.unwrap().open, 1, "that of zeta/old");
    let abort = setup.client.abort_multipart_upload().bucket("shared").key("gone/m");
    abort.upload_id(&id).send().await.unwrap();
    setup
        .client
        .delete_object()
        .bucket("shared")
        .key("gone/old")
        .send()
        .await
        .unwrap();
    eventually("no file", || setup.files().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_its_own_part_of_a_shared_bucket() {
    let setup = shared().await;
    setup.put("shared", "zeta/secret", "secret").await;
    let tenant = client(setup.address, TENANT);
    let put = |key: &str| {
        let body = ByteStream::from_static(b"x");
        tenant.put_object().bucket("shared").key(key).body(body).send()
    };
    put("acme/mine").await.unwrap();
    for key in ["zeta/x", "nobody/x", "x", "acme-2/x", "acme"] {
        assert_eq!(code(&put(key).await.unwrap_err()), "AccessDenied", "{key}");
    }
    let list = async |prefix: Option<&str>| {
        let list = tenant
            .list_objects_v2()
            .bucket("shared")
            .set_prefix(prefix.map(Into::into));
        let page = list.send().await.map_err(|error| code(&error))?;
        Ok::<_, String>(
            page.contents()
                .iter()
                .map(|o| o.key().unwrap().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(list(Some("acme/")).await.unwrap(), ["acme/mine"]);
    for prefix in [None, Some(""), Some("acme"), Some("zeta/")] {
        assert_eq!(list(prefix).await.unwrap_err(), "AccessDenied", "{prefix:?}");
    }
    let get = tenant.get_object().bucket("shared").key("zeta/secret").send().await;
    assert_eq!(code(&get.unwrap_err()), "AccessDenied");
    let copy = tenant
        .copy_object()
        .bucket("shared")
        .key("acme/stolen")
        .copy_source("shared/zeta/secret");
    assert_eq!(code(&copy.send().await.unwrap_err()), "AccessDenied");
    let upload = tenant
        .create_multipart_upload()
        .bucket("shared")
        .key("acme/m")
        .send()
        .await
        .unwrap();
    let uploads = async |prefix: &str| {
        let list = tenant
            .list_multipart_uploads()
            .bucket("shared")
            .prefix(prefix)
            .send()
            .await;
        list.map(|page| page.uploads().len()).map_err(|error| code(&error))
    };
    assert_eq!(
        (uploads("acme/").await, uploads("").await),
        (Ok(1), Err("AccessDenied".to_owned()))
    );
    let abort = tenant.abort_multipart_upload().bucket("shared").key("acme/m");
    abort.upload_id(upload.upload_id().unwrap()).send().await.unwrap();
    tenant
        .delete_object()
        .bucket("shared")
        .key("acme/mine")
        .send()
        .await
        .unwrap();
    let delete = tenant.delete_object().bucket("shared").key("zeta/secret").send().await;
    assert_eq!(code(&delete.unwrap_err()), "AccessDenied");
    assert_eq!(setup.keys("shared").await, ["zeta/secret"]);
}
