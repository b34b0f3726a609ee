//! Asking JetStream, with errors one can read.

use std::time::{Duration, Instant};

use async_nats::RequestErrorKind;
use async_nats::client::Request;
use async_nats::jetstream::consumer;
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
    #[serde(rename = "first_ts")]
    pub(crate) first_timestamp: Timestamp,
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
        struct Info {
            state: StreamState,
        }
        let call = format!("STREAM.INFO.{stream}");
        let info: Info = self
            .api(&format!("tell about stream {stream}"), &call, &Value::Null)
            .await?;
        Ok(info.state)
    }

    /// When the first message from a sequence on that a filter takes was stored; `None` when there is none.
    pub(crate) async fn stored_at(
        &self,
        stream: &str,
        from: u64,
        filter: &str,
    ) -> Result<Option<Timestamp>, NatsError> {
        #[derive(Deserialize)]
        struct Found {
            message: Stored,
        }
        #[derive(Deserialize)]
        struct Stored {
            time: Timestamp,
        }
        let body = serde_json::json!({ "seq": from, "next_by_subj": filter });
        match self
            .api::<Found>(
                &format!("read stream {stream}"),
                &format!("STREAM.MSG.GET.{stream}"),
                &body,
            )
            .await
        {
            Ok(found) => Ok(Some(found.message.time)),
            Err(NatsError::Refused { code: NO_MESSAGE, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
