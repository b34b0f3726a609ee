//! One suite for every object store: the embedded bucket in process, and the same bucket through its S3 endpoint and `aws-sdk-s3`.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_bucket::{Bucket, BucketSettings, Credential, EndpointSettings, Grants, serve};
use cofferdam_schemas::{BucketName, ObjectKey};
use cofferdam_seams::conformance::{at, bytes};
use cofferdam_seams::{Locator, ObjectError, ObjectStore, PutOptions, SystemClock};
use cofferdam_sinks::s3::{S3Settings, S3Store};
use tokio_util::sync::{CancellationToken, DropGuard};

async fn bucket() -> (Bucket, BucketName, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let settings = BucketSettings {
        data_dir: directory.path().to_owned(),
        inline_limit: 65_536,
        region: "us-east-1".into(),
        landing: vec![],
        clock: Arc::new(SystemClock),
    };
    let bucket = Bucket::open(settings).await.unwrap();
    let name = BucketName::new("bucket").unwrap();
    bucket.create_bucket(&name).await.unwrap();
    (bucket, name, directory)
}

struct Remote {
    url: String,
    inner: Bucket,
    _stop: DropGuard,
    _directory: tempfile::TempDir,
}

fn settings(remote: &Remote, secret: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(remote.url.clone()),
        region: "us-east-1".into(),
        credentials: Some(("test-key".into(), secret.to_owned().into())),
        force_path_style: true,
    }
}

fn credential() -> Credential {
    Credential {
        access_key_id: "test-key".into(),
        secret: "test-secret".to_owned().into(),
        grants: Grants::Operator,
    }
}

async fn remote() -> (Arc<S3Store>, BucketName, Remote) {
    let (inner, name, directory) = bucket().await;
    let stop = CancellationToken::new();
    let endpoint = EndpointSettings {
        credentials: vec![credential()],
        ..EndpointSettings::default()
    };
    let endpoint = serve(inner.clone(), endpoint, stop.clone()).await.unwrap();
    let remote = Remote {
        url: format!("http://{}", endpoint.addr()),
        inner,
        _stop: stop.drop_guard(),
        _directory: directory,
    };
    let store = S3Store::connect(settings(&remote, "test-secret")).await.unwrap();
    (Arc::new(store), name, remote)
}

mod in_process {
    async fn make() -> (
        std::sync::Arc<cofferdam_bucket::Bucket>,
        cofferdam_schemas::BucketName,
        tempfile::TempDir,
    ) {
        let (bucket, name, directory) = super::bucket().await;
        // For links: this store signs for an endpoint that need not run here.
        bucket.set_endpoint("http://127.0.0.1:9".to_owned(), super::credential());
        (std::sync::Arc::new(bucket), name, directory)
    }
    cofferdam_seams::object_store_conformance!(make);
}

mod over_http {
    use super::remote;
    cofferdam_seams::object_store_conformance!(remote);
}

#[tokio::test]
async fn a_link_works_for_anybody_and_names_the_file() {
    let (store, bucket, _remote) = remote().await;
    let place = at(&bucket, "über a+b.pdf");
    let mut upload = store.upload(&place, PutOptions::default()).await.unwrap();
    upload.write(bytes(1000)).await.unwrap();
    upload.finish(bytes::Bytes::new()).await.unwrap();
    let link = store
        .presign_get(&place, Duration::from_secs(60), Some("über \"x\".pdf"))
        .await
        .unwrap();
    let answer = reqwest::get(&link).await.unwrap();
    assert_eq!(answer.status(), 200);
    let disposition = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(
        disposition.contains("filename*=UTF-8''%C3%BCber%20%22x%22%2Epdf"),
        "{disposition}"
    );
    assert_eq!(answer.bytes().await.unwrap(), bytes(1000));
    let forged = reqwest::get(link.replace("a%2Bb", "a%2Bc")).await.unwrap();
    assert_eq!(forged.status(), 403);
    for wrong in [Duration::ZERO, Duration::from_secs(8 * 86_400)] {
        assert!(matches!(
            store.presign_get(&place, wrong, None).await,
            Err(ObjectError::InvalidRequest { .. })
        ));
    }
}

#[tokio::test]
async fn wrong_credentials_a_missing_bucket_and_silence_are_told_apart() {
    let (store, bucket, remote) = remote().await;
    let place = at(&bucket, "k");
    let stranger = S3Store::connect(settings(&remote, "wrong")).await.unwrap();
    assert!(matches!(
        stranger.head(&place).await,
        Err(ObjectError::AccessDenied { .. })
    ));
    assert!(matches!(stranger.ready().await, Err(ObjectError::AccessDenied { .. })));
    let elsewhere = Locator::new(BucketName::new("no-such-bucket").unwrap(), ObjectKey::new("k").unwrap());
    assert!(matches!(
        store.head(&elsewhere).await,
        Err(ObjectError::NotFound { .. })
    ));
    assert!(matches!(
        store.list(&elsewhere.bucket, "", None, 5).await,
        Err(ObjectError::NotFound { .. })
    ));
    assert!(
        matches!(store.delete(&elsewhere).await, Err(ObjectError::NotFound { .. })),
        "not a success"
    );
    // A port nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nobody = S3Settings {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        ..settings(&remote, "s")
    };
    let error = S3Store::connect(nobody).await.unwrap().head(&place).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}");
    let shown = format!("{error:?} {:?} {:?}", settings(&remote, "hunter2"), store);
    assert!(
        !shown.contains("hunter2") && !shown.contains("Authorization") && !shown.contains("Signature="),
        "{shown}"
    );
    let wrong = S3Settings {
        endpoint: Some("localhost:9000".into()),
        ..settings(&remote, "s")
    };
    assert!(matches!(
        S3Store::connect(wrong).await,
        Err(ObjectError::InvalidRequest { .. })
    ));
}

/// What a dropped upload began is taken back, so that parts do not pile up.
#[tokio::test]
async fn a_dropped_upload_leaves_no_parts() {
    let (store, bucket, remote) = remote().await;
    let client = reqwest_list(&remote, &bucket);
    let mut upload = store
        .upload(
            &at(&bucket, "half"),
            PutOptions {
                reserve_head: 100,
                ..PutOptions::default()
            },
        )
        .await
        .unwrap();
    upload.write(bytes(30 << 20)).await.unwrap();
    assert_eq!(client.uploads().await, 1);
    drop(upload);
    let began = std::time::Instant::now();
    while client.uploads().await > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "upload is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    remote.inner.close().await;
}

/// The list of unfinished uploads, asked for with a client of its own.
struct Lister {
    client: aws_sdk_s3::Client,
    bucket: String,
}

fn reqwest_list(remote: &Remote, bucket: &BucketName) -> Lister {
    let credentials = aws_sdk_s3::config::Credentials::new("test-key", "test-secret", None, None, "test");
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(&remote.url)
        .force_path_style(true)
        .build();
    Lister {
        client: aws_sdk_s3::Client::from_conf(config),
        bucket: bucket.to_string(),
    }
}

impl Lister {
    async fn uploads(&self) -> usize {
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
        listed.uploads().len()
    }
}

/// A damaged object is noticed by the checksum the store sends with it, not handed on.
#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    // A server that promises more than it sends.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let answer = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nLast-Modified: Tue, 02 Jan 2024 03:04:05 GMT\r\nContent-Length: 100\r\n\r\nshort";
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let settings = S3Settings {
        endpoint: Some(format!("http://{address}")),
        region: "us-east-1".into(),
        credentials: Some(("k".into(), "s".to_owned().into())),
        force_path_style: true,
    };
    let store = S3Store::connect(settings).await.unwrap();
    let body = store
        .get(&at(&BucketName::new("bucket").unwrap(), "k"), None)
        .await
        .unwrap();
    assert_eq!(body.range, 0..100);
    let error = cofferdam_seams::read_all(body.stream, 1 << 20).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}");
}
