//! The S3 endpoint: HTTP/1.1 over a bucket store.

mod body;
mod door;
mod service;
mod stall;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::error::BucketError;
use crate::grants::Credential;
use crate::store::Bucket;

pub use door::Door;
pub(crate) use door::LARGEST_XML;

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
    if settings.max_connections == 0 {
        return Err(BucketError::Setting {
            name: "max_connections",
            reason: "must not be 0",
        });
    }
    let door = Door::new(bucket, &settings)?;
    let failed = |source| BucketError::Listen {
        address: settings.listen,
        source,
    };
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "s3 endpoint listens beyond loopback without TLS");
    }
    Ok(Endpoint {
        address,
        task: tokio::spawn(accept(listener, door, settings, stop)),
    })
}

async fn accept(listener: TcpListener, door: Door, settings: EndpointSettings, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
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
        let connection = graceful.watch(door.connection(stream));
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
