//! A nats-server of one's own for each test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer};
use cofferdam_nats::{Bus, Login, Topology, TopologySettings, provision};
use cofferdam_schemas::Done;
use cofferdam_sinks::conformance::fixture::name;
use futures::StreamExt;
use tempfile::TempDir;

/// A server that dies with the test.
pub struct Server {
    child: Child,
    directory: TempDir,
    binary: PathBuf,
    port: u16,
}

fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("COFFERDAM_NATS_SERVER") {
        return Some(PathBuf::from(path));
    }
    let found = |directory: PathBuf| directory.join("nats-server");
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(found)
        .find(|path| path.is_file())
}

/// A server with our topology, and a connection; `None`, and a line that says so, where there is no server to run.
pub async fn provisioned() -> Option<(Server, Bus)> {
    let Some(binary) = binary() else {
        println!("skipped: no nats-server (set COFFERDAM_NATS_SERVER)");
        return None;
    };
    let directory = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let store = directory.path().join("store");
    let config = format!(
        "listen: \"127.0.0.1:{port}\"\nmax_payload: 1MB\njetstream {{ store_dir: {store:?}, sync_interval: \"100ms\", max_file_store: 8GB }}\n"
    );
    std::fs::write(directory.path().join("nats.conf"), config).unwrap();
    let child = start(&binary, &directory);
    let server = Server {
        child,
        directory,
        binary,
        port,
    };
    let bus = server.bus("test").await;
    let settings = TopologySettings {
        processors: vec![name("encrypt"), name("validate")],
        verbs: vec![name("retrieve")],
        sinks: vec!["sqlite".into()],
        max_bytes: ["RAW", "EVT", "CMD", "RES", "JOIN", "DLQ", "ADV", "JOB"]
            .map(|stream| (stream.to_owned(), 64 << 20))
            .into(),
        ..TopologySettings::default()
    };
    provision(&bus, &Topology::new(&settings)).await.unwrap();
    Some((server, bus))
}

fn start(binary: &PathBuf, directory: &TempDir) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.path().join("log"))
        .unwrap();
    Command::new(binary)
        .arg("-c")
        .arg(directory.path().join("nats.conf"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Server {
    pub async fn bus(&self, role: &str) -> Bus {
        let url = format!("nats://127.0.0.1:{}", self.port);
        Bus::connect(Login {
            url,
            user: role.into(),
            password: String::new().into(),
            role: role.into(),
        })
        .await
        .unwrap()
    }

    /// kill -9, and the same server again on its store.
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = start(&self.binary, &self.directory);
    }

    async fn context(&self) -> jetstream::Context {
        jetstream::new(
            async_nats::connect(format!("nats://127.0.0.1:{}", self.port))
                .await
                .unwrap(),
        )
    }

    /// The messages of `JOIN` that a filter takes: subject and body.
    pub async fn join(&self, filter: &str) -> Vec<(String, Vec<u8>)> {
        let stream = self.context().await.get_stream("JOIN").await.unwrap();
        let config = consumer::pull::OrderedConfig {
            filter_subject: filter.to_owned(),
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let pending = consumer.cached_info().num_pending as usize;
        let messages = consumer.messages().await.unwrap().take(pending);
        messages
            .map(|message| message.map(|m| (m.subject.to_string(), m.payload.to_vec())).unwrap())
            .collect()
            .await
    }

    pub async fn done(&self) -> Vec<Done> {
        self.join("join.v1.done.>")
            .await
            .iter()
            .map(|(_, body)| serde_json::from_slice(body).unwrap())
            .collect()
    }

    /// How many `done` were ever stored: replaced and removed ones would be counted too.
    pub async fn stored_in_join(&self) -> u64 {
        let mut stream = self.context().await.get_stream("JOIN").await.unwrap();
        stream.info().await.unwrap().state.last_sequence
    }

    /// Messages a consumer has neither delivered nor had acknowledged.
    pub async fn open(&self, stream: &str, name: &str) -> u64 {
        let consumer: consumer::PullConsumer = self
            .context()
            .await
            .get_consumer_from_stream(name, stream)
            .await
            .unwrap();
        let info = consumer.cached_info();
        info.num_pending + info.num_ack_pending as u64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition, 60 s at most.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within 60 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
