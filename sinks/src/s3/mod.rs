//! Objects in any store that speaks S3, through `aws-sdk-s3`.
//!
//! Works with AWS and with compatible servers; what they do differently is met here: entity tags with or without quotes, a `Range` on an empty object
//! (416), listings with percent-encoded keys, composite checksums (which say nothing about the whole object and are left out).
//!
//! An upload keeps its first part back until the head is known (see [`PutOptions::reserve_head`]), so that a sealed object, whose head is finished last,
//! is streamed once with bounded memory: two parts, 16 MiB unless the object is larger than 72 GiB. What fits into one part is one `PutObject`.

mod fault;
mod meta;
mod upload;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream as SdkStream;
use aws_sdk_s3::types::{ChecksumMode, EncodingType};
use bytes::Bytes;
use cofferdam_schemas::{BucketName, ObjectKey};
use cofferdam_seams::{
    ByteStream, Listed, Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore, PutOptions, Upload,
};
use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};

use fault::fault;
use upload::S3Upload;

/// A presigned URL lives seven days at most.
const LONGEST_LINK: Duration = Duration::from_secs(7 * 86_400);
/// Keys of one listing request.
const LIST_CHUNK: usize = 1000;

/// Where a store is, and as whom to use it.
#[derive(Clone)]
pub struct S3Settings {
    /// The endpoint's URL; AWS of the region when absent.
    pub endpoint: Option<String>,
    /// The region; compatible servers mostly take any.
    pub region: String,
    /// Access key id and secret. When absent, the default chain: environment, profile, container or instance role.
    pub credentials: Option<(String, SecretString)>,
    /// `https://host/bucket/key` instead of `https://bucket.host/key`; compatible servers mostly need it.
    pub force_path_style: bool,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Settings")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.credentials.as_ref().map(|(id, _)| id))
            .field("force_path_style", &self.force_path_style)
            .finish()
    }
}

/// [`ObjectStore`] over S3. Clones share connections.
#[derive(Clone)]
pub struct S3Store {
    client: Client,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").finish_non_exhaustive()
    }
}

impl S3Store {
    /// Prepares a client; connects when it is first used. Without credentials in the settings this looks for some, which may ask the network.
    pub async fn connect(settings: S3Settings) -> Result<S3Store, ObjectError> {
        let version = BehaviorVersion::v2026_01_12();
        let region = Region::new(settings.region.clone());
        let base = match &settings.credentials {
            Some((id, secret)) => {
                let credentials = Credentials::new(id, secret.expose_secret(), None, None, "cofferdam");
                aws_sdk_s3::config::Builder::new()
                    .behavior_version(version)
                    .region(region)
                    .credentials_provider(credentials)
            }
            None => {
                let found = aws_config::defaults(version).region(region).load().await;
                aws_sdk_s3::config::Builder::from(&found)
            }
        };
        // The read timeout is per answer's head; a body that stalls is ended by the client's stalled-stream protection.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(60))
            .build();
        let mut config = base
            .timeout_config(timeouts)
            .force_path_style(settings.force_path_style);
        if let Some(endpoint) = &settings.endpoint {
            if !(endpoint.starts_with("http://") || endpoint.starts_with("https://")) {
                return Err(ObjectError::InvalidRequest {
                    reason: format!("endpoint {endpoint} is not an http or https URL"),
                });
            }
            config = config.endpoint_url(endpoint);
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
        })
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn head(&self, at: &Locator) -> Result<ObjectMeta, ObjectError> {
        let request = self
            .client
            .head_object()
            .bucket(at.bucket.as_str())
            .key(at.key.as_str())
            .checksum_mode(ChecksumMode::Enabled);
        let request = request.set_version_id(version(at)).set_if_match(meta::quoted(at));
        let found = request.send().await.map_err(|error| fault(at, error))?;
        meta::of_head(at, &found)
    }

    async fn get(&self, at: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError> {
        if let Some(range) = range.as_ref().filter(|range| range.start >= range.end) {
            return self.nothing(at, range.start).await;
        }
        let request = self
            .client
            .get_object()
            .bucket(at.bucket.as_str())
            .key(at.key.as_str())
            .checksum_mode(ChecksumMode::Enabled);
        let request = request
            .set_version_id(version(at))
            .set_if_match(meta::quoted(at))
            .set_range(range.as_ref().map(range_header));
        let found = match request.send().await {
            Ok(found) => found,
            Err(error) => match (fault::status(&error), range) {
                (Some(416), Some(range)) => return self.nothing(at, range.start).await,
                _ => return Err(fault(at, error)),
            },
        };
        let (meta, there) = meta::of_get(at, &found)?;
        let wanted = range.map_or(0..meta.size, |range| range.start..range.end.min(meta.size));
        if there != wanted {
            return Err(ObjectError::unavailable(
                "store answered with another range than asked for",
            ));
        }
        Ok(ObjectBody {
            meta,
            range: wanted.clone(),
            stream: stream(at.clone(), found.body, wanted.end - wanted.start),
        })
    }

    async fn upload(&self, at: &Locator, options: PutOptions) -> Result<Box<dyn Upload>, ObjectError> {
        Ok(Box::new(S3Upload::new(self.clone(), at.clone(), options)?))
    }

    async fn delete(&self, at: &Locator) -> Result<(), ObjectError> {
        let request = self
            .client
            .delete_object()
            .bucket(at.bucket.as_str())
            .key(at.key.as_str());
        let request = request.set_version_id(version(at));
        let mut condition = None;
        if at.etag.is_some() {
            // Looked at first, because most servers ignore the condition on a delete.
            match self.head(at).await {
                // A version never changes, so nothing can come between.
                Ok(_) if at.version.is_some() => {}
                Ok(_) => condition = meta::quoted(at),
                Err(ObjectError::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let conditional = condition.is_some();
        let error = match request.clone().set_if_match(condition).send().await {
            Ok(_) => return Ok(()),
            // A server that says that it does not know conditions here: what was looked at has to do.
            Err(error) if conditional && fault::status(&error) == Some(501) => match request.send().await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            },
            Err(error) => error,
        };
        match fault(at, error) {
            // A missing bucket is a wrong configuration and must not look like success.
            ObjectError::NotFound { .. } if self.bucket_exists(&at.bucket).await? => Ok(()),
            error => Err(error),
        }
    }

    async fn list(
        &self,
        bucket: &BucketName,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError> {
        let at = place(bucket, prefix)?;
        let mut rows = Vec::new();
        let mut after = after.map(str::to_owned);
        while rows.len() < limit {
            let chunk = i32::try_from((limit - rows.len()).min(LIST_CHUNK)).unwrap_or(1000);
            let request = self
                .client
                .list_objects_v2()
                .bucket(bucket.as_str())
                .prefix(prefix)
                .max_keys(chunk);
            // Keys may hold what XML cannot.
            let request = request.encoding_type(EncodingType::Url).set_start_after(after.clone());
            let page = request.send().await.map_err(|error| fault(&at, error))?;
            let encoded = page.encoding_type() == Some(&EncodingType::Url);
            for row in page.contents() {
                rows.push(meta::listed(&at, row, encoded)?);
            }
            if page.is_truncated() != Some(true) || page.contents().is_empty() {
                break;
            }
            // By position, not by token: the same on every server, and what the trait's callers do.
            after = rows.last().map(|row| row.key.to_string());
        }
        Ok(rows)
    }

    async fn presign_get(
        &self,
        at: &Locator,
        expires: Duration,
        download_as: Option<&str>,
    ) -> Result<String, ObjectError> {
        if expires.is_zero() || expires > LONGEST_LINK {
            return Err(ObjectError::InvalidRequest {
                reason: "a link lives between one second and seven days".into(),
            });
        }
        let settings = PresigningConfig::expires_in(expires).map_err(|error| ObjectError::InvalidRequest {
            reason: error.to_string(),
        })?;
        let request = self
            .client
            .get_object()
            .bucket(at.bucket.as_str())
            .key(at.key.as_str())
            .set_version_id(version(at));
        let request = request.set_response_content_disposition(download_as.map(meta::disposition));
        let signed = request.presigned(settings).await.map_err(|error| fault(at, error))?;
        Ok(signed.uri().to_owned())
    }

    async fn ready(&self) -> Result<(), ObjectError> {
        match self.client.list_buckets().max_buckets(1).send().await {
            Ok(_) => Ok(()),
            // Credentials that may not list buckets are good credentials all the same.
            Err(error) if fault::is_denied_but_known(&error) => Ok(()),
            Err(error) => Err(fault(&place(&any_bucket()?, "")?, error)),
        }
    }
}

impl S3Store {
    /// What a range without bytes gives: nothing, if the object has the place where it begins.
    async fn nothing(&self, at: &Locator, start: u64) -> Result<ObjectBody, ObjectError> {
        let meta = self.head(at).await?;
        if start >= meta.size && start > 0 {
            return Err(ObjectError::InvalidRange { start, size: meta.size });
        }
        Ok(ObjectBody {
            meta,
            range: start..start,
            stream: futures::stream::empty().boxed(),
        })
    }

    async fn bucket_exists(&self, bucket: &BucketName) -> Result<bool, ObjectError> {
        let at = place(bucket, "")?;
        match self.client.head_bucket().bucket(bucket.as_str()).send().await {
            Ok(_) => Ok(true),
            Err(error) => match fault(&at, error) {
                ObjectError::NotFound { .. } => Ok(false),
                error => Err(error),
            },
        }
    }
}

fn version(at: &Locator) -> Option<String> {
    at.version.as_ref().map(ToString::to_string)
}

/// The header for a range that is not empty.
fn range_header(range: &Range<u64>) -> String {
    match i64::try_from(range.end) {
        Ok(end) => format!("bytes={}-{}", range.start, end - 1),
        Err(_) => format!("bytes={}-", range.start),
    }
}

/// A locator for errors of calls that concern a whole bucket.
fn place(bucket: &BucketName, prefix: &str) -> Result<Locator, ObjectError> {
    let key = if prefix.is_empty() { "*" } else { prefix };
    let key = ObjectKey::new(key).map_err(|error| ObjectError::InvalidRequest {
        reason: error.to_string(),
    })?;
    Ok(Locator::new(bucket.clone(), key))
}

fn any_bucket() -> Result<BucketName, ObjectError> {
    BucketName::new("any").map_err(ObjectError::unavailable)
}

/// The body, and an error if it ends early or does not end.
fn stream(at: Locator, body: SdkStream, length: u64) -> ByteStream {
    let next = |(at, mut body, left): (Locator, SdkStream, u64)| async move {
        let chunk: Option<Bytes> = body.try_next().await.map_err(|error| fault::of_body(&at, &error))?;
        match chunk {
            Some(chunk) => match left.checked_sub(chunk.len() as u64) {
                Some(left) => Ok(Some((chunk, (at, body, left)))),
                None => Err(ObjectError::Corrupt {
                    at,
                    reason: "more bytes than announced",
                }),
            },
            None if left > 0 => Err(ObjectError::unavailable("store ended the body early")),
            None => Ok(None),
        }
    };
    futures::stream::try_unfold((at, body, length), next).boxed()
}
