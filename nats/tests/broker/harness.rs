//! A server of one's own for each test, and documents to send through it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer};
use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_nats::worker::WorkerSettings;
use cofferdam_nats::{Bus, Login, Topology, TopologySettings, provision};
use cofferdam_processor::{AnyProcessor, CommandHandler, Conclusion, Document, Job, ProcessError, Stores};
use cofferdam_schemas::{
    BucketName, Checksums, ETag, Lane, ObjectEvent, ObjectKey, ObjectRef, Origin, Plan, ProcessorName, SourceName,
    TenantName, Timestamp, Verb,
};
use cofferdam_seams::memory::MemoryStore;
use cofferdam_seams::{Place, PutOptions, SystemClock};
use futures::StreamExt;
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A nats-server that dies with the test.
pub struct Server {
    child: Child,
    dir: TempDir,
    port: u16,
    binary: PathBuf,
}

pub fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("COFFERDAM_NATS_SERVER") {
        return Some(PathBuf::from(path));
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join("nats-server"))
        .find(|path| path.is_file())
}

impl Server {
    /// Starts one; `None`, and a line that says so, when there is no binary.
    pub async fn start() -> Option<Self> {
        Self::with("").await
    }

    /// Starts one with more configuration.
    pub async fn with(config: &str) -> Option<Self> {
        let Some(binary) = binary() else {
            println!("skipped: no nats-server (set COFFERDAM_NATS_SERVER)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nmax_payload: 1MB\njetstream {{ store_dir: \"{}\", sync_interval: \"100ms\", max_file_store: 8GB }}\n{config}\n",
            dir.path().join("store").display()
        );
        std::fs::write(dir.path().join("nats.conf"), text).unwrap();
        let child = spawn(&binary, &dir);
        let server = Self {
            child,
            dir,
            port,
            binary,
        };
        server.wait().await;
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    #[allow(dead_code)] // For the bench, which looks at its CPU time.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn wait(&self) {
        until("the server listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
        })
        .await;
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port and store.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.binary, &self.dir);
        self.wait().await;
    }

    pub async fn bus(&self, role: &str) -> Bus {
        Bus::connect(self.login(role, "")).await.unwrap()
    }

    pub fn login(&self, role: &str, password: &str) -> Login {
        Login {
            url: self.url(),
            user: role.into(),
            password: password.to_owned().into(),
            role: role.into(),
        }
    }

    pub async fn raw(&self) -> async_nats::Client {
        async_nats::connect(self.url()).await.unwrap()
    }

    /// Every message of a stream that a filter takes, oldest first.
    pub async fn stored(&self, stream: &str, filter: &str) -> Vec<Stored> {
        let context = jetstream::new(self.raw().await);
        let stream = context.get_stream(stream).await.unwrap();
        let config = consumer::pull::OrderedConfig {
            filter_subject: filter.to_owned(),
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let pending = consumer.cached_info().num_pending as usize;
        let messages = consumer.messages().await.unwrap().take(pending);
        messages
            .map(|message| {
                let message = message.unwrap();
                let headers = message.headers.clone().unwrap_or_default();
                Stored {
                    subject: message.subject.to_string(),
                    headers,
                    body: message.payload.clone(),
                }
            })
            .collect()
            .await
    }

    /// Waits until a filter takes so many messages of a stream.
    pub async fn eventually(&self, stream: &str, filter: &str, count: usize) -> Vec<Stored> {
        let started = Instant::now();
        loop {
            let stored = self.stored(stream, filter).await;
            if stored.len() >= count {
                return stored;
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{} of {count} messages on {filter}",
                stored.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn consumer(&self, stream: &str, name: &str) -> consumer::Info {
        let context = jetstream::new(self.raw().await);
        let consumer: consumer::PullConsumer = context.get_consumer_from_stream(name, stream).await.unwrap();
        consumer.cached_info().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &PathBuf, dir: &TempDir) -> Child {
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    Command::new(binary)
        .arg("-c")
        .arg(dir.path().join("nats.conf"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

pub struct Stored {
    pub subject: String,
    pub headers: async_nats::HeaderMap,
    pub body: Bytes,
}

impl Stored {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.as_str())
    }
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Waits for a condition, 30 s at most.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn name(text: &str) -> ProcessorName {
    ProcessorName::new(text).unwrap()
}

/// A processor `work`, a verb `fetch`, a sink `lite`; work is lost after one second of silence.
pub fn settings() -> TopologySettings {
    TopologySettings {
        processors: vec![name("work")],
        verbs: vec![name("fetch")],
        sinks: vec!["lite".into()],
        max_bytes: ["RAW", "EVT", "CMD", "RES", "JOIN", "DLQ", "ADV", "JOB"]
            .map(|s| (s.to_owned(), 64 << 20))
            .into(),
        processor_ack_wait: Duration::from_secs(1),
        processor_max_deliver: 4,
        ..TopologySettings::default()
    }
}

/// A server with the topology on it, and a connection.
pub async fn provisioned() -> Option<(Server, Bus)> {
    provisioned_with(&settings()).await
}

pub async fn provisioned_with(settings: &TopologySettings) -> Option<(Server, Bus)> {
    let server = Server::start().await?;
    let bus = server.bus("test").await;
    provision(&bus, &Topology::new(settings)).await.unwrap();
    Some((server, bus))
}

/// A landing store with documents in it.
pub struct Documents {
    pub store: MemoryStore,
    count: AtomicU32,
}

impl Documents {
    pub fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            count: AtomicU32::new(0),
        }
    }

    pub fn stores(&self) -> Stores {
        let place = |bucket: &str| Place {
            store: Arc::new(self.store.clone()),
            bucket: BucketName::new(bucket).unwrap(),
        };
        Stores {
            landing: BTreeMap::from([(
                SourceName::new("inbox").unwrap(),
                Arc::new(self.store.clone()) as Arc<dyn cofferdam_seams::ObjectStore>,
            )]),
            vault: place("vault"),
            quarantine: place("quarantine"),
            results: place("results"),
            outbox: place("outbox"),
        }
    }

    /// Stores a document and tells what the normaliser would say about it.
    pub async fn event(&self, body: &str) -> ObjectEvent {
        let bucket = BucketName::new("inbox").unwrap();
        let key = ObjectKey::new(format!("a key/{}.txt", self.count.fetch_add(1, Ordering::SeqCst))).unwrap();
        let place = Place {
            store: Arc::new(self.store.clone()),
            bucket: bucket.clone(),
        };
        let meta = place
            .put(
                key.clone(),
                Bytes::copy_from_slice(body.as_bytes()),
                PutOptions::default(),
            )
            .await
            .unwrap();
        event_of(bucket, key, meta.etag, meta.size, meta.last_modified)
    }
}

/// An event about a document that need not be there.
pub fn event(number: u32) -> ObjectEvent {
    let key = ObjectKey::new(format!("k{number}")).unwrap();
    event_of(
        BucketName::new("inbox").unwrap(),
        key,
        ETag::new("e").unwrap(),
        1,
        Timestamp::from_unix_millis(1_700_000_000_000),
    )
}

fn event_of(bucket: BucketName, key: ObjectKey, etag: ETag, size: u64, last_modified: Timestamp) -> ObjectEvent {
    let (tenant, source) = (TenantName::new("acme").unwrap(), SourceName::new("inbox").unwrap());
    let origin = Origin {
        tenant,
        source,
        bucket,
        key,
        version: None,
        etag,
        last_modified,
    };
    let id = origin.event_id(Verb::Put);
    let object = ObjectRef {
        id: origin.object_id(),
        tenant: origin.tenant,
        source: origin.source,
        bucket: origin.bucket,
        key: origin.key,
        version: None,
        etag: origin.etag,
        size,
        last_modified,
        content_type: None,
        checksums: Checksums::default(),
    };
    ObjectEvent {
        id,
        verb: Verb::Put,
        lane: Lane::Hi,
        object,
        plan: Plan::new([name("work")], "1"),
    }
}

type Work = Box<dyn Fn(Job, Document) -> BoxFuture<'static, Result<Conclusion, ProcessError>> + Send + Sync>;

/// A processor that does what the test says, and counts.
pub struct Scripted {
    name: ProcessorName,
    work: Work,
    pub calls: AtomicU32,
}

impl Scripted {
    pub fn new<F>(work: impl Fn(Job, Document) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Result<Conclusion, ProcessError>> + Send + 'static,
    {
        Arc::new(Self {
            name: name("work"),
            work: Box::new(move |job, document| Box::pin(work(job, document))),
            calls: AtomicU32::new(0),
        })
    }
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl AnyProcessor for Scripted {
    fn name(&self) -> &ProcessorName {
        &self.name
    }
    fn version(&self) -> &'static str {
        "1.0"
    }
    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.work)(job.clone(), document).await
    }
    fn commands(&self) -> Vec<Arc<dyn CommandHandler>> {
        Vec::new()
    }
}

pub fn quick(stop: &CancellationToken) -> WorkerSettings {
    WorkerSettings {
        concurrency: 2,
        stop: stop.clone(),
        grace: Duration::from_secs(5),
        delays: vec![Duration::from_millis(100)],
    }
}

/// A worker in the background.
pub struct Running {
    pub stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), cofferdam_nats::worker::WorkerError>>,
}

impl Running {
    pub fn processor(bus: &Bus, processor: Arc<dyn AnyProcessor>, documents: &Documents) -> Self {
        let stop = CancellationToken::new();
        let settings = quick(&stop);
        let work = cofferdam_nats::worker::run_processor(
            bus.clone(),
            processor,
            documents.stores(),
            Arc::new(SystemClock),
            Lane::Hi,
            settings,
        );
        Self {
            stop,
            task: tokio::spawn(work),
        }
    }

    pub fn spawn<F>(work: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), cofferdam_nats::worker::WorkerError>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let work = work(stop.clone());
        Self {
            stop,
            task: tokio::spawn(work),
        }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.end().await.unwrap();
    }

    /// Its own end.
    pub async fn end(self) -> Result<(), cofferdam_nats::worker::WorkerError> {
        tokio::time::timeout(Duration::from_secs(30), self.task)
            .await
            .expect("worker ends")
            .unwrap()
    }
}
