//! Asking JetStream, with errors one can read.

use std::time::{Duration, Instant};

use async_nats::RequestErrorKind;
use async_nats::client::Request;
use async_nats::jetstream::consumer;
use base64::Engine as _;
use cofferdam_schemas::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Bus;
use crate::error::NatsError;

/// JetStream's codes for "is not there".
pub(crate) const NO_CONSUMER: u64 = 10014;
pub(crate) const NO_MESSAGE: u64 = 10037;
pub(crate) const NO_STREAM: u64 = 10059;

/// How long an administrative call may take: creating a stream waits for the disk.
const API_WAIT: Duration = Duration::from_secs(10);

/// A stream's contents, as far as they are looked at here.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    #[serde(rename = "first_ts")]
    pub(crate) first_timestamp: Timestamp,
    /// Its limit in bytes, from its settings; none when not above 0.
    #[serde(skip)]
    pub(crate) max_bytes: i64,
}

/// A stored message, as the API tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredMessage {
    pub(crate) seq: u64,
    pub(crate) subject: String,
    pub(crate) time: Timestamp,
    /// The header block as it is on the wire; empty when there is none.
    #[serde(default, rename = "hdrs", deserialize_with = "base64")]
    pub(crate) headers: Vec<u8>,
    #[serde(default, rename = "data", deserialize_with = "base64")]
    pub(crate) body: Vec<u8>,
}

impl StoredMessage {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let block = std::str::from_utf8(&self.headers).ok()?;
        block.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

fn base64<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(text)?;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(serde::de::Error::custom)
}

impl Bus {
    /// One call of JetStream's API. `what` completes "jetstream refuses to …".
    pub(crate) async fn api<T: DeserializeOwned>(&self, what: &str, call: &str, body: &Value) -> Result<T, NatsError> {
        let started = Instant::now();
        // Calls that take no arguments insist on an empty body.
        let payload = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::new().payload(payload.into()).timeout(Some(API_WAIT));
        let answer = tokio::select! {
            answer = self.client().send_request(format!("$JS.API.{call}"), request) => answer,
            violation = self.inner.watch.violation(started, call) => {
                return Err(NatsError::Permission { role: self.role().to_owned(), what: what.to_owned(), violation });
            }
        };
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut | RequestErrorKind::NoResponders => NatsError::NoAnswer {
                what: what.to_owned(),
                waited: started.elapsed(),
            },
            _ => NatsError::Client {
                what: what.to_owned(),
                source: Box::new(error),
            },
        })?;
        let unreadable = |source: serde_json::Error| NatsError::Client {
            what: what.to_owned(),
            source: Box::new(source),
        };
        let answer: Value = serde_json::from_slice(&answer.payload).map_err(unreadable)?;
        if let Some(error) = answer.get("error") {
            let code = error.get("err_code").and_then(Value::as_u64).unwrap_or_default();
            let description = error
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or("no reason given")
                .to_owned();
            return Err(NatsError::Refused {
                what: what.to_owned(),
                code,
                description,
            });
        }
        serde_json::from_value(answer).map_err(unreadable)
    }

    /// A consumer's settings and state.
    pub(crate) async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<consumer::Info, NatsError> {
        let what = format!("tell about consumer {stream}/{consumer}");
        match self
            .api(&what, &format!("CONSUMER.INFO.{stream}.{consumer}"), &Value::Null)
            .await
        {
            Err(NatsError::Refused {
                code: NO_CONSUMER | NO_STREAM,
                ..
            }) => Err(NatsError::Missing {
                what: format!("consumer {stream}/{consumer}"),
            }),
            other => other,
        }
    }

    /// What a stream holds.
    pub(crate) async fn stream_state(&self, stream: &str) -> Result<StreamState, NatsError> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default)]
            max_bytes: i64,
        }
        #[derive(Deserialize)]
        struct Info {
            config: Config,
            state: StreamState,
        }
        let call = format!("STREAM.INFO.{stream}");
        let info: Info = self
            .api(&format!("tell about stream {stream}"), &call, &Value::Null)
            .await?;
        Ok(StreamState {
            max_bytes: info.config.max_bytes,
            ..info.state
        })
    }

    /// The first message from a sequence on that a filter takes.
    pub(crate) async fn first_from(
        &self,
        stream: &str,
        from: u64,
        filter: &str,
    ) -> Result<Option<StoredMessage>, NatsError> {
        self.first(
            stream,
            serde_json::json!({ "seq": from.max(1), "next_by_subj": filter }),
        )
        .await
    }

    /// The first message that was stored at a time or later and that a filter takes.
    pub(crate) async fn first_since(
        &self,
        stream: &str,
        from: Timestamp,
        filter: &str,
    ) -> Result<Option<StoredMessage>, NatsError> {
        self.first(
            stream,
            serde_json::json!({ "start_time": from, "next_by_subj": filter }),
        )
        .await
    }

    async fn first(&self, stream: &str, body: Value) -> Result<Option<StoredMessage>, NatsError> {
        #[derive(Deserialize)]
        struct Found {
            message: StoredMessage,
        }
        match self
            .api::<Found>(
                &format!("read stream {stream}"),
                &format!("STREAM.MSG.GET.{stream}"),
                &body,
            )
            .await
        {
            Ok(found) => Ok(Some(found.message)),
            Err(NatsError::Refused { code: NO_MESSAGE, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the messages before a sequence, all or those a filter takes; returns how many.
    pub(crate) async fn purge(&self, stream: &str, filter: Option<&str>, before: u64) -> Result<u64, NatsError> {
        #[derive(Deserialize)]
        struct Answer {
            purged: u64,
        }
        let mut body = serde_json::json!({ "seq": before });
        // Without a sequence the server would remove everything; 0 counts as none.
        if before <= 1 {
            return Ok(0);
        }
        if let Some(filter) = filter {
            body["filter"] = filter.into();
        }
        let answer: Answer = self
            .api(
                &format!("trim stream {stream}"),
                &format!("STREAM.PURGE.{stream}"),
                &body,
            )
            .await?;
        Ok(answer.purged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_messages_are_read() {
        let text = serde_json::json!({
            "seq": 7, "subject": "dlq.v1.acme.EVT.work-hi.damaged", "time": "2026-01-01T00:00:00.5Z", "data": "eHl6",
            "hdrs": base64::engine::general_purpose::STANDARD.encode("NATS/1.0\r\nx-dlq-seq: 12\r\nce-id:1\r\n\r\n"),
        });
        let message: StoredMessage = serde_json::from_value(text).unwrap();
        assert_eq!(
            (message.body.as_slice(), message.header("X-Dlq-Seq")),
            (&b"xyz"[..], Some("12"))
        );
        assert_eq!((message.header("ce-id"), message.header("seq")), (Some("1"), None));
        let bare = serde_json::json!({ "seq": 1, "subject": "a", "time": "2026-01-01T00:00:00Z" });
        let message: StoredMessage = serde_json::from_value(bare).unwrap();
        assert_eq!((message.body.len(), message.header("any")), (0, None));
    }
}
