//! The S3 endpoint: HTTP/1.1 over a bucket store.

mod body;
mod service;
mod stall;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::S3Result;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::S3ServiceBuilder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::error::BucketError;
use crate::grants::Credential;
use crate::s3::Backend;
use crate::s3::access::Keys;
use crate::store::Bucket;

use service::{Service, Shared};
use stall::Stall;

/// XML in requests: the largest is a complete-multipart with 10,000 parts and their checksums.
pub(crate) const LARGEST_XML: usize = 4 * 1024 * 1024;
/// A file in a POST form, which `s3s` holds in memory.
const LARGEST_FORM_FILE: u64 = 16 * 1024 * 1024;

/// How the endpoint listens.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Where. Port 0 takes a free one. Without TLS and rate limits this belongs on loopback or behind a proxy.
    pub listen: SocketAddr,
    /// The region it says it is in; requests signed for any region are taken.
    pub region: String,
    /// Who may do what.
    pub credentials: Vec<Credential>,
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long a request's head may take, and a connection may be idle.
    pub header_timeout: Duration,
    /// How long a body may not move, in either direction.
    pub body_timeout: Duration,
    /// How long requests under way may take when it stops; then they are cut.
    pub grace: Duration,
    /// `bucket.<domain>` is understood as that bucket, besides `/bucket` in the path.
    pub domain: Option<String>,
}

impl Default for EndpointSettings {
    /// A free loopback port, `us-east-1`, 512 connections, 30 s for heads, 60 s for bodies, 10 s to stop, `*.localhost`. Without credentials, which
    /// must be given.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            region: "us-east-1".to_owned(),
            credentials: Vec::new(),
            max_connections: 512,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            domain: Some("localhost".to_owned()),
        }
    }
}

/// A running endpoint.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Endpoint {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns when it was told to stop and the last request is answered or cut.
    pub async fn join(self) {
        if self.task.await.is_err() {
            tracing::error!("s3 endpoint ended by a panic");
        }
    }
}

/// Offers a bucket store over S3 until `stop` is cancelled.
pub async fn serve(
    bucket: Bucket,
    settings: EndpointSettings,
    stop: CancellationToken,
) -> Result<Endpoint, BucketError> {
    let failed = |source| BucketError::Listen {
        address: settings.listen,
        source,
    };
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    serve_on(bucket, listener, settings, stop).await
}

/// Like [`serve`], on a listener that is bound already; `settings.listen` is not looked at.
pub async fn serve_on(
    bucket: Bucket,
    listener: TcpListener,
    settings: EndpointSettings,
    stop: CancellationToken,
) -> Result<Endpoint, BucketError> {
    if settings.credentials.is_empty() {
        return Err(BucketError::Setting {
            name: "credentials",
            reason: "nobody could use the endpoint",
        });
    }
    if settings.max_connections == 0 {
        return Err(BucketError::Setting {
            name: "max_connections",
            reason: "must not be 0",
        });
    }
    let failed = |source| BucketError::Listen {
        address: settings.listen,
        source,
    };
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "s3 endpoint listens beyond loopback without TLS");
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
    let service = Shared(Arc::new(Service::new(builder.build(), settings.body_timeout)));
    Ok(Endpoint {
        address,
        task: tokio::spawn(accept(listener, service, settings, stop)),
    })
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

async fn accept(listener: TcpListener, service: Shared, settings: EndpointSettings, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_header_size(32 * 1024)
        .max_buf_size(256 * 1024)
        .keep_alive(true);
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream: TcpStream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually no more file descriptors: give the others time to end.
                tracing::warn!(%error, "cannot accept connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Stall::new(stream, settings.body_timeout));
        let connection = graceful.watch(http.serve_connection(io, service.clone()));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests were cut, they took longer than the time to stop"
        );
    }
    connections.shutdown().await;
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
