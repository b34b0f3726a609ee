//! Bytes on a connection to the S3 endpoint: an answer or a closed connection, and soon. What one input leaves in the store is the next one's trouble too.
//!
//! Almost nothing gets behind the signature from here; the test that runs this on stable signs its requests.

use std::sync::LazyLock;
use std::time::Duration;

use cofferdam_bucket::{Bucket, BucketSettings, Credential, Door, EndpointSettings, Grants};
use cofferdam_schemas::BucketName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

/// The operator's access key and secret.
pub const OPERATOR: (&str, &str) = ("OPERATOR", "operator-secret");

struct House {
    runtime: Runtime,
    door: Door,
    /// Holds the store.
    _dir: tempfile::TempDir,
}

impl House {
    fn open() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let dir = tempfile::tempdir().expect("a directory");
        let settings = BucketSettings {
            data_dir: dir.path().to_owned(),
            inline_limit: 65_536,
            region: "us-east-1".to_owned(),
            landing: vec![BucketName::new("inbox").expect("a name").into()],
            clock: std::sync::Arc::new(cofferdam_seams::SystemClock),
        };
        let bucket = runtime.block_on(async {
            let bucket = Bucket::open(settings).await.expect("a store");
            for name in ["inbox", "plain"] {
                let name = BucketName::new(name).expect("a name");
                bucket.create_bucket(&name).await.expect("a bucket");
            }
            bucket
        });
        let settings = EndpointSettings {
            credentials: vec![Credential {
                access_key_id: OPERATOR.0.to_owned(),
                secret: OPERATOR.1.to_owned().into(),
                grants: Grants::Operator,
            }],
            header_timeout: Duration::from_millis(300),
            body_timeout: Duration::from_millis(300),
            ..EndpointSettings::default()
        };
        let door = Door::new(bucket, &settings).expect("a door");
        Self {
            runtime,
            door,
            _dir: dir,
        }
    }

    /// What comes back for these bytes, after which the client has no more to say.
    fn exchange(&self, input: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let (mut near, far) = tokio::io::duplex(64 * 1024);
            let door = self.door.clone();
            let serving = tokio::spawn(async move { door.serve(far).await });
            let (mut reading, mut writing) = tokio::io::split(&mut near);
            let mut output = Vec::new();
            let talk = async {
                let write = async {
                    // It may stop listening at any time.
                    let _ = writing.write_all(input).await;
                    let _ = writing.shutdown().await;
                };
                let (_, read) = tokio::join!(write, reading.read_to_end(&mut output));
                read
            };
            let ended = tokio::time::timeout(Duration::from_secs(20), talk).await;
            ended.expect("an answer or a closed connection").expect("readable");
            serving.await.expect("no panic");
            output
        })
    }
}

pub fn run(data: &[u8]) {
    static HOUSE: LazyLock<House> = LazyLock::new(House::open);
    let output = HOUSE.exchange(data);
    let shown = String::from_utf8_lossy(&output);
    assert!(output.is_empty() || output.starts_with(b"HTTP/1."), "{shown:?}");
    // A panic inside would be answered as an internal error.
    let internal = output.windows(13).any(|w| w == b"InternalError");
    assert!(!internal, "{:?}\n{shown}", String::from_utf8_lossy(data));
}
