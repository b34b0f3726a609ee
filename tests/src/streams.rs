//! Every message of a stream, read as the operator.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::instance::RunFile;

/// A message as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its sequence.
    pub sequence: u64,
    /// Its headers, first values.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: bytes::Bytes,
}

impl Stored {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The last token of its subject.
    pub fn last_token(&self) -> &str {
        self.subject.rsplit('.').next().unwrap_or_default()
    }
}

/// The streams of an instance.
pub struct Streams {
    client: async_nats::Client,
}

/// Messages asked for at a time.
const BATCH: u64 = 256;

impl Streams {
    /// Logs in as the operator of `run.json`.
    pub async fn connect(run: &RunFile) -> anyhow::Result<Streams> {
        let login = &run.nats.operator;
        let options = async_nats::ConnectOptions::with_user_and_password(login.user.clone(), login.password.clone());
        let client = options.connect(&run.nats.url).await.context("operator login")?;
        Ok(Streams { client })
    }

    /// Everything that is in a stream now. Batches of direct gets: the operator may make no consumer on it.
    pub async fn all(&self, stream: &str) -> anyhow::Result<Vec<Stored>> {
        let mut all = Vec::new();
        let mut next = 1;
        loop {
            let batch = self.batch(stream, next).await?;
            match batch.last() {
                Some(last) => next = last.sequence + 1,
                None => return Ok(all),
            }
            all.extend(batch);
        }
    }

    async fn batch(&self, stream: &str, from: u64) -> anyhow::Result<Vec<Stored>> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        let request = json!({"seq": from, "batch": BATCH, "next_by_subj": ">"}).to_string();
        self.client
            .publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, request.into())
            .await?;
        let mut batch = Vec::new();
        loop {
            let answer = tokio::time::timeout(Duration::from_secs(10), answers.next()).await;
            let answer = answer
                .with_context(|| format!("stream {stream} does not answer"))?
                .context("connection closed")?;
            match answer.status.map(|status| status.as_u16()) {
                None => {}
                // The end of the batch, or nothing from there on.
                Some(204 | 404) => return Ok(batch),
                Some(other) => bail!(
                    "reading {stream} is answered with {other} {:?}",
                    answer.description.unwrap_or_default()
                ),
            }
            let headers = answer.headers.unwrap_or_default();
            let headers: BTreeMap<String, String> = headers
                .iter()
                .filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string())))
                .collect();
            let number = headers.get("Nats-Sequence").and_then(|text| text.parse().ok());
            batch.push(Stored {
                subject: headers.get("Nats-Subject").cloned().context("no subject")?,
                sequence: number.context("no sequence")?,
                headers,
                body: answer.payload,
            });
        }
    }

    /// Publishes a message again where it was, under another id, as a re-drive does.
    pub async fn publish_again(&self, message: &Stored) -> anyhow::Result<()> {
        let mut headers = async_nats::HeaderMap::new();
        for (name, value) in message.headers.iter().filter(|(name, _)| !name.starts_with("Nats-")) {
            headers.insert(name.as_str(), value.as_str());
        }
        headers.insert("Nats-Msg-Id", format!("again:{}:{}", message.subject, message.sequence));
        let request = async_nats::Request::new()
            .headers(headers)
            .payload(message.body.clone());
        let answer = self.client.send_request(message.subject.clone(), request).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        anyhow::ensure!(
            answer["seq"].is_u64() && answer["duplicate"].is_null(),
            "not stored: {answer}"
        );
        Ok(())
    }

    /// Publishes a body of any kind; gives its sequence.
    pub async fn publish(&self, subject: &str, body: bytes::Bytes) -> anyhow::Result<u64> {
        let request = async_nats::Request::new().payload(body);
        let answer = self.client.send_request(subject.to_owned(), request).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        answer["seq"].as_u64().with_context(|| format!("not stored: {answer}"))
    }

    /// How many messages a consumer has not acknowledged yet.
    pub async fn left(&self, stream: &str, consumer: &str) -> anyhow::Result<u64> {
        let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}");
        let answer = self.client.request(subject, "".into()).await?;
        let info: Value = serde_json::from_slice(&answer.payload)?;
        let number = |name: &str| info[name].as_u64().with_context(|| format!("no {name} in {info}"));
        Ok(number("num_pending")? + number("num_ack_pending")?)
    }
}
