//! What speaks HTTP and S3 on a connection.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::S3Result;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::S3ServiceBuilder;
use tokio::io::{AsyncRead, AsyncWrite};

use super::EndpointSettings;
use super::service::{Service, Shared};
use super::stall::Stall;
use crate::error::BucketError;
use crate::s3::Backend;
use crate::s3::access::Keys;
use crate::store::Bucket;

/// XML in requests: the largest is a complete-multipart with 10,000 parts and their checksums.
pub(crate) const LARGEST_XML: usize = 4 * 1024 * 1024;
/// A file in a POST form, which `s3s` holds in memory.
const LARGEST_FORM_FILE: u64 = 16 * 1024 * 1024;

/// The endpoint without a listener: it speaks HTTP and S3 on whatever byte stream it is given. Clones share it.
#[derive(Clone)]
pub struct Door {
    service: Shared,
    http: http1::Builder,
    body_timeout: Duration,
}

impl Door {
    /// Of the settings, those that say how to listen are not looked at.
    pub fn new(bucket: Bucket, settings: &EndpointSettings) -> Result<Self, BucketError> {
        if settings.credentials.is_empty() {
            return Err(BucketError::Setting {
                name: "credentials",
                reason: "nobody could use the endpoint",
            });
        }
        let keys = Keys::new(settings.credentials.clone());
        let mut builder = S3ServiceBuilder::new(Backend {
            bucket,
            region: settings.region.clone(),
        });
        builder.set_auth(keys.clone());
        builder.set_access(keys);
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits()))));
        if let Some(domain) = &settings.domain {
            builder.set_host(Domain(format!(".{}", domain.to_ascii_lowercase())));
        }
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(settings.header_timeout)
            .max_header_size(32 * 1024)
            .max_buf_size(256 * 1024)
            .keep_alive(true);
        Ok(Self {
            service: Shared(Arc::new(Service::new(builder.build(), settings.body_timeout))),
            http,
            body_timeout: settings.body_timeout,
        })
    }

    /// Serves one connection to its end, requests one after the other. That the other side broke off or sent nonsense is no error.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        if let Err(error) = self.connection(stream).await {
            tracing::debug!(%error, "connection ended");
        }
    }

    pub(super) fn connection<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: T,
    ) -> http1::Connection<TokioIo<Stall<T>>, Shared> {
        let io = TokioIo::new(Stall::new(stream, self.body_timeout));
        self.http.serve_connection(io, self.service.clone())
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

fn limits() -> S3Config {
    let mut limits = S3Config::default();
    limits.xml_max_body_size = LARGEST_XML;
    limits.post_object_max_file_size = LARGEST_FORM_FILE;
    limits.form_max_field_size = 64 * 1024;
    limits.form_max_fields_size = 256 * 1024;
    limits.form_max_parts = 100;
    limits
}

/// Buckets as sub-domains. Any other host means the bucket is in the path.
struct Domain(String);

impl S3Host for Domain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        match name.to_ascii_lowercase().strip_suffix(&self.0) {
            Some(bucket) if !bucket.is_empty() => Ok(VirtualHost::new(&self.0[1..]).with_bucket(bucket.to_owned())),
            _ => Ok(VirtualHost::new(name)),
        }
    }
}
