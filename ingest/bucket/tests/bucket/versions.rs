//! Buckets with versions.

use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier, VersioningConfiguration};

use crate::support::*;

async fn set(setup: &Setup, bucket: &str, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    setup
        .client
        .put_bucket_versioning()
        .bucket(bucket)
        .versioning_configuration(configuration)
        .send()
        .await
        .unwrap();
}

async fn put(setup: &Setup, body: &str) -> Option<String> {
    let put = setup
        .client
        .put_object()
        .bucket("plain")
        .key("k")
        .body(body.as_bytes().to_vec().into());
    put.send().await.unwrap().version_id
}

async fn get(setup: &Setup, version: &str) -> Result<String, String> {
    let got = setup
        .client
        .get_object()
        .bucket("plain")
        .key("k")
        .version_id(version)
        .send()
        .await;
    match got {
        Ok(got) => Ok(String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap()),
        Err(error) => Err(code(&error)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_makes_a_version() {
    let setup = Setup::new().await;
    assert_eq!(put(&setup, "before").await, None);
    set(&setup, "plain", BucketVersioningStatus::Enabled).await;
    let one = put(&setup, "one").await.unwrap();
    let two = put(&setup, "two").await.unwrap();
    assert_ne!(one, two);
    assert_eq!(setup.get("plain", "k").await.unwrap(), "two");
    assert_eq!(get(&setup, &one).await.unwrap(), "one");
    assert_eq!(get(&setup, "null").await.unwrap(), "before");
    assert_eq!(get(&setup, "0000000000000fff").await.unwrap_err(), "NoSuchVersion");
    assert_eq!(get(&setup, "nonsense").await.unwrap_err(), "NoSuchVersion");

    let marker = setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(marker.delete_marker(), Some(true));
    let marker = marker.version_id.unwrap();
    assert_eq!(setup.get("plain", "k").await, None);
    assert!(setup.keys("plain").await.is_empty());
    let answer = setup.raw().send("GET", "/plain/k", &[], b"").await;
    assert_eq!(
        (answer.status, answer.header("x-amz-delete-marker")),
        (404, Some("true"))
    );
    assert_eq!(get(&setup, &marker).await.unwrap_err(), "MethodNotAllowed");
    assert_eq!(get(&setup, &two).await.unwrap(), "two");

    let listed = setup
        .client
        .list_object_versions()
        .bucket("plain")
        .send()
        .await
        .unwrap();
    let ids: Vec<&str> = listed
        .versions()
        .iter()
        .map(|version| version.version_id().unwrap())
        .collect();
    assert_eq!(ids, [two.as_str(), one.as_str(), "null"]);
    assert_eq!(listed.delete_markers()[0].version_id(), Some(marker.as_str()));
    assert_eq!(listed.delete_markers()[0].is_latest(), Some(true));

    // Removing the marker brings the key back; removing the newest version brings the one before.
    let undone = setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .version_id(&marker)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (undone.delete_marker(), undone.version_id()),
        (Some(true), Some(marker.as_str()))
    );
    assert_eq!(setup.get("plain", "k").await.unwrap(), "two");
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .version_id(&two)
        .send()
        .await
        .unwrap();
    assert_eq!(setup.get("plain", "k").await.unwrap(), "one");
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .version_id(&two)
        .send()
        .await
        .unwrap();
    assert_eq!(
        code(&setup.client.delete_bucket().bucket("plain").send().await.unwrap_err()),
        "BucketNotEmpty"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_buckets_replace_the_null_version() {
    let setup = Setup::new().await;
    set(&setup, "plain", BucketVersioningStatus::Enabled).await;
    let one = put(&setup, "one").await.unwrap();
    set(&setup, "plain", BucketVersioningStatus::Suspended).await;
    assert_eq!(put(&setup, "two").await.as_deref(), Some("null"));
    assert_eq!(put(&setup, "three").await.as_deref(), Some("null"));
    assert_eq!(get(&setup, "null").await.unwrap(), "three");
    assert_eq!(get(&setup, &one).await.unwrap(), "one");
    let marker = setup
        .client
        .delete_object()
        .bucket("plain")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (marker.delete_marker(), marker.version_id()),
        (Some(true), Some("null"))
    );
    assert_eq!(get(&setup, "null").await.unwrap_err(), "MethodNotAllowed");
    assert_eq!(setup.get("plain", "k").await, None);
    let listed = setup
        .client
        .list_object_versions()
        .bucket("plain")
        .send()
        .await
        .unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_in_pages() {
    let setup = Setup::new().await;
    set(&setup, "plain", BucketVersioningStatus::Enabled).await;
    for key in ["a", "b/1", "b/2", "c"] {
        for n in 0..3 {
            setup.put("plain", key, format!("{key}{n}")).await;
        }
    }
    setup
        .client
        .delete_object()
        .bucket("plain")
        .key("a")
        .send()
        .await
        .unwrap();
    for size in [1, 2, 3, 100] {
        let (mut seen, mut key, mut version) = (Vec::new(), None, None);
        loop {
            let page = setup.client.list_object_versions().bucket("plain").max_keys(size);
            let page = page
                .set_key_marker(key)
                .set_version_id_marker(version)
                .send()
                .await
                .unwrap();
            seen.extend(
                page.versions()
                    .iter()
                    .map(|v| (v.key().unwrap().to_owned(), v.version_id().unwrap().to_owned())),
            );
            seen.extend(
                page.delete_markers()
                    .iter()
                    .map(|v| (v.key().unwrap().to_owned(), v.version_id().unwrap().to_owned())),
            );
            if page.is_truncated != Some(true) {
                break;
            }
            (key, version) = (page.next_key_marker, page.next_version_id_marker);
        }
        let total = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), total), (13, 13), "pages of {size}");
    }
    let folded = setup
        .client
        .list_object_versions()
        .bucket("plain")
        .delimiter("/")
        .send()
        .await
        .unwrap();
    assert_eq!((folded.versions().len(), folded.common_prefixes().len()), (6, 1));
    let error = setup
        .client
        .list_object_versions()
        .bucket("plain")
        .version_id_marker("x")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), "InvalidArgument");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_can_be_copied_and_deleted_together() {
    let setup = Setup::new().await;
    set(&setup, "plain", BucketVersioningStatus::Enabled).await;
    let one = put(&setup, "one").await.unwrap();
    let two = put(&setup, "two").await.unwrap();
    let copy = setup
        .client
        .copy_object()
        .bucket("vault")
        .key("old")
        .copy_source(format!("plain/k?versionId={one}"));
    assert_eq!(copy.send().await.unwrap().copy_source_version_id(), Some(one.as_str()));
    assert_eq!(setup.get("vault", "old").await.unwrap(), "one");
    let object = |version: Option<&str>| {
        ObjectIdentifier::builder()
            .key("k")
            .set_version_id(version.map(Into::into))
            .build()
            .unwrap()
    };
    let delete = Delete::builder()
        .objects(object(Some(&one)))
        .objects(object(Some(&two)))
        .objects(object(None))
        .build()
        .unwrap();
    let done = setup
        .client
        .delete_objects()
        .bucket("plain")
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!(done.deleted().len(), 3);
    assert!(done.deleted()[2].delete_marker_version_id().is_some());
    let listed = setup
        .client
        .list_object_versions()
        .bucket("plain")
        .send()
        .await
        .unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (0, 1));
}
