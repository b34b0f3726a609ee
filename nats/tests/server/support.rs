//! A server with all streams and consumers, clients of every role, and waiting.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use cofferdam_nats::accounts::{Accounts, Credentials, RoleFacts, roles};
use cofferdam_nats::server::{self, Server, ServerError, ServerSettings, find_binary};
use cofferdam_nats::topology::{Topology, TopologySettings};
use cofferdam_schemas::ids::{ProcessorName, TenantName};
use secrecy::ExposeSecret;
use tempfile::TempDir;

pub fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// The program, or `None` after saying that the test is skipped. Written around the test's capture, so that it is
/// seen.
pub fn program(test: &str) -> Option<PathBuf> {
    match find_binary(None) {
        Ok(path) => Some(path),
        Err(ServerError::NotFound) => {
            writeln!(std::io::stderr(), "skipped: server::{test}: no nats-server").unwrap();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub fn accounts(data: &Path) -> Accounts {
    let processors: [ProcessorName; 2] = [name("encrypt"), name("validate")];
    let table = roles(RoleFacts {
        processors: &processors,
        verbs: &[name("retrieve")],
        sinks: &["sqlite".to_owned()],
        sources: &[name("minio")],
    });
    Accounts::load_or_create(&data.join("secrets.json"), &[name("acme"), name("beta")], &table).unwrap()
}

pub fn settings(binary: &Path, data: &Path) -> ServerSettings {
    ServerSettings {
        max_store: 4 << 30,
        ..ServerSettings::new(binary, data)
    }
}

/// A server with all streams and consumers.
pub struct World {
    _data: TempDir,
    pub accounts: Accounts,
    pub server: Server,
}

impl World {
    pub async fn start(binary: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        let accounts = accounts(data.path());
        let server = server::start(settings(binary, data.path()), &accounts).await.unwrap();
        let world = World {
            _data: data,
            accounts,
            server,
        };
        let (provisioner, _) = world.role("provisioner").await;
        let jetstream = jetstream::new(provisioner);
        let topology = Topology::new(&TopologySettings {
            processors: vec![name("encrypt"), name("validate")],
            verbs: vec![name("retrieve")],
            sinks: vec!["sqlite".to_owned()],
            ..TopologySettings::default()
        });
        for stream in &topology.streams {
            jetstream.create_stream(stream.config.clone()).await.unwrap();
        }
        for consumer in &topology.consumers {
            jetstream
                .create_consumer_strict_on_stream(consumer.config.clone(), consumer.stream)
                .await
                .unwrap();
        }
        world
    }

    pub async fn role(&self, role: &str) -> (Client, Violations) {
        connect(&self.server.url(), &self.accounts.login(role).unwrap()).await
    }

    pub async fn tenant(&self, tenant: &str) -> (Client, Violations) {
        connect(
            &self.server.url(),
            &self.accounts.tenant_login(&name::<TenantName>(tenant)).unwrap(),
        )
        .await
    }
}

/// What the server has said about a connection.
#[derive(Clone, Default)]
pub struct Violations(Arc<Mutex<Vec<String>>>);

impl Violations {
    /// Waits until the server has refused something that has this in it.
    pub async fn wait_for(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let said = self.0.lock().unwrap().clone();
            if said.iter().any(|text| {
                text.to_lowercase().contains("permissions violation")
                    && text.to_lowercase().contains(&what.to_lowercase())
            }) {
                return;
            }
            assert!(Instant::now() < deadline, "no violation with {what:?} in {said:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn none(&self) {
        assert!(self.0.lock().unwrap().is_empty(), "{:?}", self.0.lock().unwrap());
    }
}

pub fn options(credentials: &Credentials, violations: &Violations) -> ConnectOptions {
    let said = violations.0.clone();
    ConnectOptions::with_user_and_password(
        credentials.user.clone(),
        credentials.password.expose_secret().to_owned(),
    )
    .custom_inbox_prefix(format!("_INBOX_{}", credentials.role))
    .request_timeout(Some(Duration::from_secs(5)))
    .reconnect_delay_callback(|_| Duration::from_millis(50))
    .event_callback(move |event| {
        if let async_nats::Event::ServerError(error) = &event {
            said.lock().unwrap().push(error.to_string());
        }
        std::future::ready(())
    })
}

pub async fn connect(url: &str, credentials: &Credentials) -> (Client, Violations) {
    let violations = Violations::default();
    (
        options(credentials, &violations).connect(url).await.unwrap(),
        violations,
    )
}

pub async fn publish(client: &Client, subject: &str, body: &'static str) {
    client
        .publish(subject.to_owned(), Bytes::from_static(body.as_bytes()))
        .await
        .unwrap();
    client.flush().await.unwrap();
}

/// Publishes to a stream and waits for its acknowledgement.
pub async fn store(client: &Client, subject: &str, body: &'static str) {
    jetstream::new(client.clone())
        .publish(subject.to_owned(), Bytes::from_static(body.as_bytes()))
        .await
        .unwrap()
        .await
        .unwrap();
}

/// Waits until the server has taken what a tenant's client sent before: `flush` only hands it to the operating
/// system. Nobody answers the request, and the server says so.
pub async fn settled(tenant: &Client) {
    let nobody = tenant.request("cmd.nobody", "".into()).await.unwrap_err();
    assert_eq!(nobody.kind(), async_nats::RequestErrorKind::NoResponders);
}

pub async fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn alive(pid: u32) -> bool {
    // A process that has ended and is not yet reaped has an empty command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

pub fn kill(pid: u32) {
    assert_eq!(unsafe { libc::kill(i32::try_from(pid).unwrap(), libc::SIGKILL) }, 0);
}
