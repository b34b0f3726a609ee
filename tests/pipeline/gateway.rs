//! versitygw: an S3 server that is not ours, and publishes its notifications to NATS itself.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use cofferdam_tests::{s3_client, tools};
use serde_json::Value;

use crate::support::until;

/// What the gateway is logged in with.
pub const USER: &str = "gateway-user";
const SECRET: &str = "gateway-secret";

/// A port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Where a gateway will be, and the file with its secret: configuration needs both before it runs.
pub struct Place {
    /// Its port.
    pub port: u16,
    /// The file that holds the secret of [`USER`].
    pub secret_file: std::path::PathBuf,
}

impl Place {
    /// Below `home/gateway`.
    pub fn choose(home: &Path) -> anyhow::Result<Place> {
        std::fs::create_dir_all(home.join("gateway/files"))?;
        let secret_file = home.join("gateway/secret");
        std::fs::write(&secret_file, format!("{SECRET}\n"))?;
        Ok(Place {
            port: free_port()?,
            secret_file,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The lines of configuration with which documents dropped into its bucket `uploads` come from the source `gateway`.
    pub fn source(&self, at: SocketAddr) -> String {
        format!(
            r#"
            landing = [
                {{ bucket = "inbox", tenant = "default" }},
                {{ bucket = "uploads", tenant = "default", source = "gateway" }},
            ]
            [[sources]]
            name = "gateway"
            dialect = "versitygw"
            publishes = true
            [sources.store]
            {}
            "#,
            self.store(at)
        )
    }

    /// The lines of configuration that name it as a store, at its own address or at that of something before it.
    pub fn store(&self, at: SocketAddr) -> String {
        format!(
            "endpoint = \"http://{at}\"\naccess_key_id = \"{USER}\"\nsecret_access_key_file = {:?}\n",
            self.secret_file
        )
    }
}

/// A running gateway, killed when dropped.
pub struct Gateway {
    server: Child,
    /// A client of it.
    pub s3: aws_sdk_s3::Client,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Gateway {
    /// Starts one that publishes on `raw.s3.<source>` with the login that `secrets` (the text of `secrets.json`) has for that source, and
    /// waits until it answers.
    pub async fn start(
        home: &Path,
        place: &Place,
        nats: &str,
        secrets: &[u8],
        source: &str,
    ) -> anyhow::Result<Gateway> {
        let program = tools::find("COFFERDAM_VERSITYGW", "versitygw").context("versitygw")?;
        let secrets: Value = serde_json::from_slice(secrets)?;
        let user = format!("source_{source}");
        let password = secrets["nats"]["roles"][&user]
            .as_str()
            .context("the source's password in secrets.json")?;
        let nats = nats.replacen("nats://", &format!("nats://{user}:{password}@"), 1);
        let log = std::fs::File::create(home.join("gateway/log"))?;
        let address = place.address().to_string();
        let server = Command::new(program)
            .args(["--access", USER, "--secret", SECRET, "--port", &address])
            .args(["--event-nats-url", &nats])
            .args(["--event-nats-topic", &format!("raw.s3.{source}")])
            .arg("posix")
            .arg(home.join("gateway/files"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let s3 = s3_client(&format!("http://{address}"), "us-east-1", USER, SECRET);
        let gateway = Gateway { server, s3 };
        until("the gateway answers", Duration::from_secs(30), || async {
            Ok(gateway.s3.list_buckets().send().await.is_ok())
        })
        .await?;
        Ok(gateway)
    }
}
