//! A load generator: signed requests made beforehand, sent over keep-alive connections.
//!
//! The protocol is that of a stock client (HTTP/1.1, path style, SigV4 with the payload's SHA-256), but the client costs little, because it shares
//! two cores with what is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use aws_sdk_s3::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use cofferdam_tests::RunFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One PUT, ready to be sent.
pub struct Put {
    /// The key.
    pub key: String,
    head: Vec<u8>,
    body: Arc<Vec<u8>>,
}

/// Signs PUTs of `bodies` into the inbox. The signatures hold for fifteen minutes.
pub fn sign_all(run: &RunFile, bodies: impl IntoIterator<Item = (String, Vec<u8>)>) -> anyhow::Result<Vec<Put>> {
    let identity = Credentials::new(&run.s3.access_key_id, &run.s3.secret_access_key, None, None, "bench").into();
    let host = run.s3.endpoint.strip_prefix("http://").context("endpoint")?;
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&run.s3.region)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()?
        .into();
    let one = |(key, body): (String, Vec<u8>)| {
        let path = format!("/{}/{key}", run.buckets.inbox);
        let length = body.len().to_string();
        let headers = [("host", host), ("content-length", &length)];
        let url = format!("{}{path}", run.s3.endpoint);
        let request = SignableRequest::new("PUT", url, headers.into_iter(), SignableBody::Bytes(&body))?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        let mut head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n");
        for (name, value) in instructions.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Ok(Put {
            key,
            head: head.into_bytes(),
            body: Arc::new(body),
        })
    };
    bodies.into_iter().map(one).collect()
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to the endpoint.
    pub async fn open(run: &RunFile) -> anyhow::Result<Connection> {
        let host = run.s3.endpoint.strip_prefix("http://").context("endpoint")?;
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Sends one PUT and reads its answer, which must be 200.
    pub async fn put(&mut self, put: &Put) -> anyhow::Result<()> {
        if put.body.len() <= 16 * 1024 {
            // One write, as a client with a buffered writer does.
            let mut whole = Vec::with_capacity(put.head.len() + put.body.len());
            whole.extend_from_slice(&put.head);
            whole.extend_from_slice(&put.body);
            self.stream.write_all(&whole).await?;
        } else {
            self.stream.write_all(&put.head).await?;
            self.stream.write_all(&put.body).await?;
        }
        self.buffer.clear();
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(
                self.stream.read_buf(&mut self.buffer).await? > 0,
                "the endpoint hung up"
            );
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(Ok(0), |length| length.trim().parse())?;
        while self.buffer.len() < end + length {
            ensure!(
                self.stream.read_buf(&mut self.buffer).await? > 0,
                "the endpoint hung up"
            );
        }
        if !head.starts_with("http/1.1 200") {
            bail!(
                "PUT of {} was answered: {}",
                put.key,
                String::from_utf8_lossy(&self.buffer)
            );
        }
        Ok(())
    }
}

/// Sends all, `connections` at a time, as fast as they are answered.
pub async fn send_all(run: &RunFile, puts: Arc<Vec<Put>>, connections: usize) -> anyhow::Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (puts, next) = (puts.clone(), next.clone());
        let mut connection = Connection::open(run).await?;
        tasks.spawn(async move {
            while let Some(put) = puts.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.put(put).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Sends one every `every`, whether or not the ones before are answered; gives when each was begun.
pub async fn send_paced(run: &RunFile, puts: Arc<Vec<Put>>, every: Duration) -> anyhow::Result<Vec<(String, Instant)>> {
    let (give_back, mut idle) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = tokio::task::JoinSet::new();
    let mut ticks = tokio::time::interval(every);
    let mut begun = Vec::with_capacity(puts.len());
    for n in 0..puts.len() {
        ticks.tick().await;
        let mut connection = match idle.try_recv() {
            Ok(connection) => connection,
            Err(_) => Connection::open(run).await?,
        };
        begun.push((puts[n].key.clone(), Instant::now()));
        let (puts, give_back) = (puts.clone(), give_back.clone());
        tasks.spawn(async move {
            connection.put(&puts[n]).await?;
            let _ = give_back.send(connection);
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(begun)
}
