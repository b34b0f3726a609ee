//! A bucket store with its endpoint on a free port, an SDK client, and raw HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use bytes::Bytes;
use cofferdam_bucket::{Bucket, BucketSettings, Credential, Endpoint, EndpointSettings, Grants};
use cofferdam_schemas::{BucketName, ObjectKey, TenantName};
use cofferdam_seams::{Locator, SystemClock};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

pub const OPERATOR: (&str, &str) = ("OPERATOR", "operator-secret");
pub const TENANT: (&str, &str) = ("ACME", "acme-secret");
pub const REGION: &str = "us-east-1";

pub fn bucket_name(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

pub fn at(bucket: &str, key: &str) -> Locator {
    Locator::new(bucket_name(bucket), ObjectKey::new(key).unwrap())
}

/// Bytes that differ from place to place and from seed to seed.
pub fn bytes(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out.into()
}

pub struct Setup {
    pub dir: Arc<tempfile::TempDir>,
    pub bucket: Bucket,
    pub address: SocketAddr,
    pub client: Client,
    pub stop: CancellationToken,
    pub endpoint: Option<Endpoint>,
}

pub async fn open(dir: &tempfile::TempDir) -> Bucket {
    Bucket::open(settings(dir)).await.unwrap()
}

pub fn settings(dir: &tempfile::TempDir) -> BucketSettings {
    BucketSettings {
        data_dir: dir.path().to_owned(),
        inline_limit: 65_536,
        region: REGION.to_owned(),
        landing: vec![bucket_name("inbox").into()],
        clock: Arc::new(SystemClock),
    }
}

pub fn credentials() -> Vec<Credential> {
    let tenant = Grants::Tenant {
        tenant: TenantName::new("acme").unwrap(),
        landing: vec![bucket_name("inbox")],
        shared: vec![bucket_name("shared")],
        vault: bucket_name("vault"),
        results: bucket_name("results"),
        outbox: bucket_name("outbox"),
    };
    let make = |(id, secret): (&str, &str), grants| Credential {
        access_key_id: id.to_owned(),
        secret: secret.to_owned().into(),
        grants,
    };
    vec![make(OPERATOR, Grants::Operator), make(TENANT, tenant)]
}

impl Setup {
    /// With the buckets `inbox` (landing), `plain`, `vault`, `results` and `outbox`.
    pub async fn new() -> Self {
        Self::with(EndpointSettings::default()).await
    }

    pub async fn with(settings: EndpointSettings) -> Self {
        Self::over(settings, |bucket| bucket).await
    }

    /// Over a store that is opened differently.
    pub async fn over(settings: EndpointSettings, change: impl FnOnce(BucketSettings) -> BucketSettings) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let bucket = Bucket::open(change(self::settings(&dir))).await.unwrap();
        for name in ["inbox", "plain", "vault", "results", "outbox"] {
            bucket.create_bucket(&bucket_name(name)).await.unwrap();
        }
        let stop = CancellationToken::new();
        let settings = EndpointSettings {
            credentials: credentials(),
            ..settings
        };
        let endpoint = cofferdam_bucket::serve(bucket.clone(), settings, stop.clone())
            .await
            .unwrap();
        let address = endpoint.addr();
        bucket.set_endpoint(format!("http://{address}"), credentials().remove(0));
        let client = client(address, OPERATOR);
        Self {
            dir,
            bucket,
            address,
            client,
            stop,
            endpoint: Some(endpoint),
        }
    }

    pub fn raw(&self) -> Raw {
        Raw {
            address: self.address,
            key: OPERATOR,
        }
    }

    pub async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        self.client
            .put_object()
            .bucket(bucket)
            .key(key)
            .body(ByteStream::from(body.into()))
            .send()
            .await
            .unwrap();
    }

    pub async fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        match self.client.get_object().bucket(bucket).key(key).send().await {
            Ok(got) => Some(got.body.collect().await.unwrap().into_bytes()),
            Err(error) if code(&error) == "NoSuchKey" => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    pub async fn keys(&self, bucket: &str) -> Vec<String> {
        let page = self.client.list_objects_v2().bucket(bucket).send().await.unwrap();
        page.contents()
            .iter()
            .map(|object| object.key().unwrap().to_owned())
            .collect()
    }

    /// Blob files in the data directory, temporary ones included.
    pub fn files(&self) -> Vec<std::path::PathBuf> {
        files(&self.dir.path().join("blobs"))
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn files(under: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

/// Waits until something holds; files are removed a moment after an answer.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never came true: {what}");
}

pub fn client(address: SocketAddr, (id, secret): (&str, &str)) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(format!("http://{address}"))
        .region(Region::new(REGION))
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// The S3 error code of a failed call, or for HEAD (which has no body) its status.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or("none").to_owned(),
        _ => "not a service error".to_owned(),
    }
}

pub fn hex_sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// A client of our own, for what an SDK cannot be made to send.
#[derive(Clone)]
pub struct Raw {
    pub address: SocketAddr,
    pub key: (&'static str, &'static str),
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The message of an error.
    pub fn message(&self) -> String {
        let text = self.text();
        let message = text
            .split_once("<Message>")
            .and_then(|(_, rest)| rest.split_once("</Message>"));
        let unescaped = |text: &str| text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
        message.map(|(message, _)| unescaped(message)).unwrap_or_default()
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        let text = self.text();
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map(|(code, _)| code.to_owned()).unwrap_or_default()
    }
}

/// Signing state of a request, for signing its chunks.
pub struct Signed {
    pub head: String,
    pub key: Vec<u8>,
    pub stamp: String,
    pub scope: String,
    pub signature: String,
}

impl Raw {
    /// Signs a request by its headers. `target` is path and query as sent; the path must be encoded canonically.
    pub fn sign(&self, method: &str, target: &str, headers: &[(&str, &str)], payload: &str) -> Signed {
        let now = time::OffsetDateTime::now_utc();
        let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let stamp = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let scope = format!("{date}/{REGION}/s3/aws4_request");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                if pair.contains('=') {
                    pair.to_owned()
                } else {
                    format!("{pair}=")
                }
            })
            .collect();
        pairs.sort();
        let host = self.address.to_string();
        let mut all: Vec<(String, String)> = headers
            .iter()
            .map(|(n, v)| (n.to_ascii_lowercase(), (*v).to_owned()))
            .collect();
        all.push(("host".to_owned(), host));
        all.push(("x-amz-content-sha256".to_owned(), payload.to_owned()));
        all.push(("x-amz-date".to_owned(), stamp.clone()));
        let mut signed: Vec<&(String, String)> = all
            .iter()
            .filter(|(n, _)| n != "content-length" && n != "expect")
            .collect();
        signed.sort();
        let names: Vec<&str> = signed.iter().map(|(n, _)| n.as_str()).collect();
        let lines: String = signed.iter().map(|(n, v)| format!("{n}:{}\n", v.trim())).collect();
        let request = format!(
            "{method}\n{path}\n{}\n{lines}\n{}\n{payload}",
            pairs.join("&"),
            names.join(";")
        );
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex_sha256(request.as_bytes()));
        let mut key = hmac(format!("AWS4{}", self.key.1).as_bytes(), date.as_bytes());
        for part in [REGION, "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex::encode(hmac(&key, to_sign.as_bytes()));
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in &all {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}\r\n\r\n",
            self.key.0,
            names.join(";")
        ));
        Signed {
            head,
            key,
            stamp,
            scope,
            signature,
        }
    }

    /// Sends a signed request with its body's hash and length.
    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if method != "GET" && method != "HEAD" {
            headers.push(("content-length", &length));
        }
        let signed = self.sign(method, target, &headers, &hex_sha256(body));
        self.exchange(method, &[signed.head.as_bytes(), body]).await
    }

    /// Sends a browser's form: a policy signed for these very fields, and a file.
    pub async fn form(&self, bucket: &str, fields: &[(&str, &str)], file: &[u8]) -> Answer {
        let parts = self.form_parts(bucket, "multipart/form-data; boundary=B", fields, file);
        self.exchange("POST", &[&parts]).await
    }

    pub fn form_parts(&self, bucket: &str, kind: &str, fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
        let now = time::OffsetDateTime::now_utc();
        let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let stamp = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let credential = format!("{}/{date}/{REGION}/s3/aws4_request", self.key.0);
        let mut all: Vec<(String, String)> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        all.extend([
            ("x-amz-algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential".to_owned(), credential),
            ("x-amz-date".to_owned(), stamp),
        ]);
        let mut conditions: Vec<serde_json::Value> = all
            .iter()
            .map(|(n, v)| serde_json::json!(["eq", format!("${n}"), v]))
            .collect();
        conditions.push(serde_json::json!({"bucket": bucket}));
        let policy = serde_json::json!({"expiration": "2099-01-01T00:00:00Z", "conditions": conditions}).to_string();
        let policy = base64::engine::general_purpose::STANDARD.encode(policy);
        let mut key = hmac(format!("AWS4{}", self.key.1).as_bytes(), date.as_bytes());
        for part in [REGION, "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex::encode(hmac(&key, policy.as_bytes()));
        all.extend([("policy".to_owned(), policy), ("x-amz-signature".to_owned(), signature)]);
        let mut body = Vec::new();
        for (name, value) in all {
            let part = format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let part =
            "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: text/plain\r\n\r\n";
        body.extend_from_slice(part.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--B--\r\n");
        let head = format!(
            "POST /{bucket} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        [head.as_bytes(), &body].concat()
    }

    /// Sends bytes as they are and reads one answer.
    pub async fn exchange(&self, method: &str, parts: &[&[u8]]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        for part in parts {
            // The server may answer and close before it has read everything.
            if stream.write_all(part).await.is_err() {
                break;
            }
        }
        read_answer(&mut stream, method).await.expect("an answer")
    }
}

/// Reads one answer; `None` if the connection ends without one.
pub async fn read_answer(stream: &mut TcpStream, method: &str) -> Option<Answer> {
    let mut all = Vec::new();
    let mut chunk = vec![0; 65_536];
    let end = loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => all.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    };
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let mut body = all[end..].to_vec();
    let length = headers
        .iter()
        .find(|(n, _)| n == "content-length")
        .map(|(_, v)| v.parse::<usize>().unwrap());
    let none = method == "HEAD" || status == 304 || status == 204;
    while !none && length.is_none_or(|length| body.len() < length) {
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => body.extend_from_slice(&chunk[..n]),
            _ => break,
        }
    }
    Some(Answer { status, headers, body })
}
