//! Stock clients of an instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::instance::RunFile;

/// aws-sdk-s3 with its defaults, but for the path style.
pub fn s3_client(endpoint: &str, region: &str, id: &str, secret: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// A tenant's clients.
pub struct Tenant {
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// NATS.
    pub nats: async_nats::Client,
    /// The landing bucket.
    pub inbox: String,
    run: RunFile,
}

impl Tenant {
    /// Connects with what `run.json` says.
    pub async fn connect(run: &RunFile) -> anyhow::Result<Tenant> {
        let login = &run.nats.tenant;
        // The server may just be starting again.
        let until = Instant::now() + Duration::from_secs(15);
        let nats = loop {
            let options =
                async_nats::ConnectOptions::with_user_and_password(login.user.clone(), login.password.clone());
            match options.connect(&run.nats.url).await {
                Ok(nats) => break nats,
                Err(error) if Instant::now() > until => return Err(error).context("tenant login on NATS"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let s3 = s3_client(
            &run.s3.endpoint,
            &run.s3.region,
            &run.s3.access_key_id,
            &run.s3.secret_access_key,
        );
        Ok(Tenant {
            s3,
            nats,
            inbox: run.buckets.inbox.clone(),
            run: run.clone(),
        })
    }

    /// What the instance says about itself.
    pub fn run(&self) -> &RunFile {
        &self.run
    }

    /// Drops bytes into the inbox; gives the entity tag without quotes.
    pub async fn put(&self, key: &str, body: Vec<u8>) -> anyhow::Result<String> {
        let answer = self
            .s3
            .put_object()
            .bucket(&self.inbox)
            .key(key)
            .body(body.into())
            .send()
            .await?;
        Ok(answer.e_tag().context("no entity tag")?.trim_matches('"').to_owned())
    }

    /// A request on a subject of the tenant's, answered with JSON.
    pub async fn ask(&self, subject: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask_raw(subject, serde_json::to_vec(body)?).await
    }

    /// The same with any bytes.
    pub async fn ask_raw(&self, subject: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        let answer = tokio::time::timeout(
            Duration::from_secs(10),
            self.nats.request(subject.to_owned(), body.into()),
        )
        .await;
        let answer = answer.with_context(|| format!("no answer to {subject}"))??;
        Ok(serde_json::from_slice(&answer.payload)?)
    }

    /// Any command, and the values of its result event.
    pub async fn command(&self, verb: &str, body: &Value) -> anyhow::Result<Value> {
        let mut results = self.nats.subscribe(format!("live.{verb}.>")).await?;
        self.nats.flush().await?;
        let answer = self.ask(&format!("cmd.{verb}"), body).await?;
        let id = answer["id"]
            .as_str()
            .with_context(|| format!("not accepted: {answer}"))?
            .to_owned();
        let result = loop {
            let message = tokio::time::timeout(Duration::from_secs(120), results.next())
                .await
                .context("no result event")?;
            let event: Value = serde_json::from_slice(&message.context("feed ended")?.payload)?;
            if event["id"] == id.as_str() {
                break event;
            }
        };
        if result["outcome"] != "done" {
            bail!("{verb} was refused: {}", result["error"]);
        }
        Ok(result["result"]["values"].clone())
    }

    /// `cmd.retrieve`, its result event, and the bytes behind its link.
    pub async fn retrieve(&self, select: Value, range: Option<(u64, u64)>) -> anyhow::Result<Retrieved> {
        let mut body = json!({ "select": select });
        if let Some((start, end)) = range {
            body["start"] = start.into();
            body["end"] = end.into();
        }
        let values = self.command("retrieve", &body).await?;
        let url = values["url"].as_str().context("no url")?;
        let answer = reqwest::get(url).await?;
        anyhow::ensure!(answer.status().is_success(), "the outbox answers {}", answer.status());
        Ok(Retrieved {
            body: answer.bytes().await?,
            values,
        })
    }
}

/// What came back.
pub struct Retrieved {
    /// The bytes.
    pub body: bytes::Bytes,
    /// The values of the result event.
    pub values: Value,
}

/// What has been heard about one version, by key and entity tag.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// The object event.
    pub event: Option<Value>,
    /// Results by processor; the last one heard.
    pub results: BTreeMap<String, Value>,
    /// Every `done` heard.
    pub done: Vec<Value>,
}

/// Listens on `live.>` and remembers.
pub struct Feed {
    heard: Arc<Mutex<BTreeMap<(String, String), Heard>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// Begins to listen.
    pub async fn start(tenant: &Tenant) -> anyhow::Result<Feed> {
        let mut messages = tenant.nats.subscribe("live.>").await?;
        tenant.nats.flush().await?;
        let heard = Arc::new(Mutex::new(BTreeMap::<(String, String), Heard>::new()));
        let task = tokio::spawn({
            let heard = heard.clone();
            async move {
                while let Some(message) = messages.next().await {
                    let Ok(body) = serde_json::from_slice::<Value>(&message.payload) else {
                        continue;
                    };
                    let text = |name: &str| body["object"][name].as_str().unwrap_or_default().to_owned();
                    let known = (text("key"), text("etag"));
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    let entry = heard.entry(known).or_default();
                    let mut tokens = message.subject.split('.').skip(1);
                    match tokens.next() {
                        Some("event") => entry.event = Some(body),
                        Some("done") => entry.done.push(body),
                        Some(processor) => drop(entry.results.insert(processor.to_owned(), body)),
                        None => {}
                    }
                }
            }
        });
        Ok(Feed { heard, task })
    }

    /// What was heard of one version.
    pub fn of(&self, key: &str, etag: &str) -> Heard {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(key.to_owned(), etag.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until a version is done.
    pub async fn done(&self, key: &str, etag: &str, patience: Duration) -> anyhow::Result<Heard> {
        let until = Instant::now() + patience;
        loop {
            let heard = self.of(key, etag);
            if !heard.done.is_empty() {
                return Ok(heard);
            }
            anyhow::ensure!(
                Instant::now() < until,
                "{key} is not done after {} s: {heard:?}",
                patience.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
