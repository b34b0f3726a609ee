//! Publishing: one id until the broker has it.

use std::error::Error as _;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use cofferdam_schemas::cloudevent::Attributes;
use cofferdam_schemas::{Command, CommandResult, Done, ObjectEvent, Partition, ResultEvent, Timestamp};
use cofferdam_seams::{Clock, SystemClock};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use tracing::Instrument;

use super::Bus;
use crate::error::{Cause, PublishError};
use crate::subject::{Cmd, Evt, Join, Res};
use crate::topology::{CMD, EVT, JOIN, RES};
use crate::trace;
use crate::trim::DONE_KEPT;

/// How often an object (or a command) was published again to pass the deduplication window; absent when never.
pub(crate) const REDRIVE: &str = "cofferdam-redrive";

/// The message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its sequence in the stream; of the first copy when this one is a duplicate.
    pub seq: u64,
    /// A message with this id was there already.
    pub duplicate: bool,
}

/// What became of a `done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DonePublished {
    /// This call made the object final.
    New,
    /// It was final already: by another joiner, or by this one before an acknowledgement got lost.
    AlreadyThere,
}

/// A message on its way.
pub(crate) struct Outgoing {
    /// For metrics.
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    /// The stream that must take it, so that a wrong configuration is an error and not a loss.
    pub(crate) stream: &'static str,
    /// The `Nats-Msg-Id`.
    pub(crate) id: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The last sequence there must be in this domain of subjects.
    pub(crate) expect: Option<(String, u64)>,
}

macro_rules! publish_span {
    ($level:ident, $message:expr) => {
        tracing::$level!(
            "publish",
            otel.name = format!("send {}", $message.stream),
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.destination.name = $message.subject,
            messaging.message.id = $message.id,
        )
    };
}

/// What one attempt came to.
enum Attempt {
    Acked(PublishAck),
    WrongSequence,
    Failed(PublishError),
    /// It may be stored or not.
    Unknown(Cause),
}

impl Bus {
    /// Publishes an object event under `evt:<event id>`. With `redrive` above 0 the id differs, and the number travels
    /// into the results' ids.
    pub async fn publish_event(&self, event: &ObjectEvent, redrive: u32) -> Result<Published, PublishError> {
        let attributes = self.attributes(
            event.id.to_string(),
            event.verb.event_type(),
            event.object.id.to_string(),
            event.object.last_modified,
        );
        let id = format!("evt:{}", event.id);
        self.publish_json(
            "event",
            EVT,
            Evt::from(event).to_string(),
            id,
            attributes,
            event,
            redrive,
        )
        .await
    }

    /// Publishes a processor's result under `res:<result id>`.
    pub async fn publish_result(&self, result: &ResultEvent, redrive: u32) -> Result<Published, PublishError> {
        let attributes = self.attributes(
            result.id.to_string(),
            ResultEvent::TYPE,
            result.object.id.to_string(),
            result.finished_at,
        );
        let id = format!("res:{}", result.id);
        self.publish_json(
            "result",
            RES,
            Res::from(result).to_string(),
            id,
            attributes,
            result,
            redrive,
        )
        .await
    }

    /// Publishes an accepted command under `cmd:<tenant>:<id>`.
    pub async fn publish_command(&self, command: &Command, redrive: u32) -> Result<Published, PublishError> {
        self.publish_command_within(command, redrive, None).await
    }

    /// As [`Bus::publish_command`]; the broker removes a command that is still waiting when its time (whole seconds, 1
    /// at least) is up.
    pub async fn publish_command_within(
        &self,
        command: &Command,
        redrive: u32,
        time: Option<Duration>,
    ) -> Result<Published, PublishError> {
        let attributes = self.attributes(
            command.id.to_string(),
            Command::TYPE,
            command.id.to_string(),
            command.accepted_at,
        );
        let id = format!("cmd:{}:{}", command.tenant, command.id);
        let mut message = self.message(
            "command",
            CMD,
            Cmd::from(command).to_string(),
            id,
            attributes,
            command,
            redrive,
        )?;
        if let Some(time) = time {
            message
                .headers
                .insert("Nats-TTL", format!("{}s", time.as_secs().max(1)));
        }
        self.publish(message).await
    }

    /// Publishes a command's result under `res:cmd:<tenant>:<id>:<outcome>`.
    pub async fn publish_command_result(
        &self,
        result: &CommandResult,
        partition: Partition,
        redrive: u32,
    ) -> Result<Published, PublishError> {
        let attributes = self.attributes(
            format!("{}:{}", result.id, result.outcome),
            CommandResult::TYPE,
            result.id.to_string(),
            result.finished_at,
        );
        let id = format!("res:cmd:{}:{}:{}", result.tenant, result.id, result.outcome);
        let subject = Res::of_command(result, partition).to_string();
        self.publish_json("command-result", RES, subject, id, attributes, result, redrive)
            .await
    }

    /// Makes an object version final, exactly once however many joiners try: the message must be the first on its
    /// subject. For an object so old that an earlier `done` may have been trimmed, the store of final states is asked
    /// first, if there is one ([`Bus::with_finality`]).
    pub async fn publish_done(&self, done: &Done) -> Result<DonePublished, PublishError> {
        let object = &done.object;
        if may_be_trimmed(object.last_modified, SystemClock.now()) {
            let known = self.finished_before(&object.tenant, &object.id).await;
            let known = known.map_err(|error| PublishError::Unavailable {
                subject: Join::done(object).to_string(),
                attempts: 0,
                waited: Duration::ZERO,
                source: Some(Box::new(error)),
            })?;
            if known {
                return Ok(DonePublished::AlreadyThere);
            }
        }
        let finished = done
            .results
            .iter()
            .map(|r| r.finished_at)
            .max()
            .unwrap_or(object.last_modified);
        let attributes = self.attributes(
            format!("done:{}", object.id),
            Done::TYPE,
            object.id.to_string(),
            finished,
        );
        let subject = Join::done(object).to_string();
        let mut message = self.message(
            "done",
            JOIN,
            subject.clone(),
            format!("done:{}", object.id),
            attributes,
            done,
            0,
        )?;
        message.expect = Some((subject, 0));
        // The expected sequence is the guard. An id would be remembered by the server for nothing, 0.2 KB each.
        message.id = None;
        // A repeated attempt of our own is "already there" as well.
        Ok(match self.publish_expecting(message).await? {
            Some(_) => DonePublished::New,
            None => DonePublished::AlreadyThere,
        })
    }

    fn attributes(
        &self,
        id: String,
        event_type: &str,
        subject: String,
        time: cofferdam_schemas::Timestamp,
    ) -> Attributes {
        Attributes {
            id,
            source: format!("/cofferdam/{}", self.role()),
            event_type: event_type.to_owned(),
            subject,
            time,
        }
    }

    #[allow(clippy::too_many_arguments)] // One call site a kind of message, all above.
    async fn publish_json(
        &self,
        kind: &'static str,
        stream: &'static str,
        subject: String,
        id: String,
        attributes: Attributes,
        body: &impl Serialize,
        redrive: u32,
    ) -> Result<Published, PublishError> {
        let message = self.message(kind, stream, subject, id, attributes, body, redrive)?;
        self.publish(message).await
    }

    #[allow(clippy::too_many_arguments)] // As above.
    fn message(
        &self,
        kind: &'static str,
        stream: &'static str,
        subject: String,
        mut id: String,
        attributes: Attributes,
        body: &impl Serialize,
        redrive: u32,
    ) -> Result<Outgoing, PublishError> {
        let mut headers = HeaderMap::new();
        for (name, value) in attributes.headers() {
            headers.insert(name, value);
        }
        if redrive > 0 {
            headers.insert(REDRIVE, redrive.to_string());
            id = format!("{id}:r{redrive}");
        }
        let body = serde_json::to_vec(body).map_err(|error| PublishError::Rejected {
            subject: subject.clone(),
            reason: format!("body cannot be written as json: {error}"),
        })?;
        Ok(Outgoing {
            kind,
            subject,
            stream,
            id: Some(id),
            headers,
            body: body.into(),
            expect: None,
        })
    }

    /// Publishes until it is acknowledged, refused, or the deadline is over.
    pub(crate) async fn publish(&self, message: Outgoing) -> Result<Published, PublishError> {
        let subject = message.subject.clone();
        let wrong = || PublishError::Rejected {
            subject,
            reason: "the stream has another last sequence than expected".to_owned(),
        };
        self.publish_expecting(message).await?.ok_or_else(wrong)
    }

    /// As [`Bus::publish`]; `None` when the expected sequence was wrong.
    pub(crate) async fn publish_expecting(&self, mut message: Outgoing) -> Result<Option<Published>, PublishError> {
        // One that begins a trace always has ids, for logs and messages; within another span it is a detail.
        let span = if tracing::Span::current().is_none() {
            publish_span!(info_span, message)
        } else {
            publish_span!(debug_span, message)
        };
        if message.headers.get("traceparent").is_none() {
            // Without an interested subscriber the span is disabled and the caller's context goes on.
            let context = if span.is_disabled() {
                tracing::Span::current()
            } else {
                span.clone()
            };
            trace::inject(&context, &mut message.headers);
        }
        let kind = message.kind;
        let result = self.repeat(message).instrument(span).await;
        let outcome = match &result {
            Ok(Some(Published { duplicate: false, .. })) => "stored",
            Ok(Some(Published { duplicate: true, .. }) | None) => "duplicate",
            Err(PublishError::Backpressure { .. }) => "full",
            Err(PublishError::Unavailable { .. }) => "unavailable",
            Err(PublishError::TooLarge { .. } | PublishError::Rejected { .. }) => "refused",
        };
        self.metrics().published(kind, outcome);
        result
    }

    async fn repeat(&self, message: Outgoing) -> Result<Option<Published>, PublishError> {
        let started = Instant::now();
        let (subject, limit) = (message.subject.clone(), self.client().max_payload());
        let size = message.body.len();
        if size > limit {
            return Err(PublishError::TooLarge { subject, size, limit });
        }
        let publish = build(message);
        let mut pause = Duration::from_millis(50);
        let mut attempts = 0;
        let quoted = format!("\"{subject}\"");
        loop {
            attempts += 1;
            let attempt = tokio::select! {
                attempt = self.attempt(&subject, size, publish.clone()) => attempt,
                violation = self.inner.watch.violation(started, &quoted) => {
                    return Err(PublishError::Rejected { subject, reason: format!("role {} lacks a permission: {violation}", self.role()) });
                }
            };
            let cause = match attempt {
                Attempt::Acked(ack) => {
                    return Ok(Some(Published {
                        seq: ack.sequence,
                        duplicate: ack.duplicate,
                    }));
                }
                Attempt::WrongSequence => return Ok(None),
                Attempt::Failed(error) => return Err(error),
                Attempt::Unknown(cause) => cause,
            };
            if started.elapsed() + pause >= self.publish_deadline {
                return Err(PublishError::Unavailable {
                    subject,
                    attempts,
                    waited: started.elapsed(),
                    source: Some(cause),
                });
            }
            tracing::debug!(subject, attempts, error = %cause, "publish is not acknowledged, sending it again");
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn attempt(&self, subject: &str, size: usize, message: PublishMessage) -> Attempt {
        let sent = self.jetstream().send_publish(subject.to_owned(), message).await;
        let error = match sent {
            Ok(acknowledgement) => match acknowledgement.await {
                Ok(ack) => return Attempt::Acked(ack),
                Err(error) => error,
            },
            Err(error) => error,
        };
        match error.kind() {
            PublishErrorKind::WrongLastSequence => Attempt::WrongSequence,
            PublishErrorKind::WrongLastMessageId => Attempt::Failed(PublishError::Rejected {
                subject: subject.to_owned(),
                reason: error.to_string(),
            }),
            PublishErrorKind::MaxPayloadExceeded => {
                let limit = self.client().max_payload();
                Attempt::Failed(PublishError::TooLarge {
                    subject: subject.to_owned(),
                    size,
                    limit,
                })
            }
            // "No stream" is also what a server says that is still reading its streams after a restart.
            PublishErrorKind::StreamNotFound
            | PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::MaxAckPending => Attempt::Unknown(Box::new(error)),
            PublishErrorKind::Other => match error.source().and_then(|s| s.downcast_ref::<jetstream::Error>()) {
                Some(refusal) => refused(subject, refusal),
                None => Attempt::Unknown(Box::new(error)),
            },
        }
    }
}

/// Whether a `done` for an object of this time can have been trimmed: one that was published after it is kept for
/// [`DONE_KEPT`]. A time in the future is no time to rely on.
fn may_be_trimmed(last_modified: Timestamp, now: Timestamp) -> bool {
    let age = now.unix_millis().saturating_sub(last_modified.unix_millis());
    let sure = i64::try_from(DONE_KEPT.as_millis() / 2).unwrap_or(0);
    !(0..sure).contains(&age)
}

/// JetStream's answer, by its error code.
fn refused(subject: &str, refusal: &jetstream::Error) -> Attempt {
    let subject = subject.to_owned();
    let code = code_of(refusal);
    let description = description_of(refusal);
    match code {
        // Stream full; no resources; no storage; no memory.
        10077 | 10023 | 10047 | 10028 => Attempt::Failed(PublishError::Backpressure {
            subject,
            code,
            description,
        }),
        10071 | 10164 => Attempt::WrongSequence,
        // The same id is being stored right now.
        10158 => Attempt::Unknown(Box::new(refusal.clone())),
        _ if refusal.code() >= 500 => Attempt::Unknown(Box::new(refusal.clone())),
        _ => Attempt::Failed(PublishError::Rejected {
            subject,
            reason: format!("{description} (error {code})"),
        }),
    }
}

fn code_of(refusal: &jetstream::Error) -> u64 {
    serde_json::to_value(refusal)
        .ok()
        .and_then(|v| v.get("err_code")?.as_u64())
        .unwrap_or_default()
}

fn description_of(refusal: &jetstream::Error) -> String {
    let text = serde_json::to_value(refusal)
        .ok()
        .and_then(|v| Some(v.get("description")?.as_str()?.to_owned()));
    text.unwrap_or_else(|| "no reason given".to_owned())
}

fn build(message: Outgoing) -> PublishMessage {
    let mut headers = message.headers;
    headers.insert("Nats-Expected-Stream", message.stream);
    if let Some(id) = message.id {
        headers.insert("Nats-Msg-Id", encode_header(&id));
    }
    if let Some((domain, sequence)) = message.expect {
        headers.insert("Nats-Expected-Last-Subject-Sequence", sequence.to_string());
        if domain != message.subject {
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", domain);
        }
    }
    PublishMessage::build().payload(message.body).headers(headers)
}

const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// A text as a header value: percent-encoded as CloudEvents headers are, so that it is one line of ASCII.
pub(crate) fn encode_header(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: u64) -> jetstream::Error {
        serde_json::from_value(
            serde_json::json!({ "code": status, "err_code": code, "description": "maximum bytes exceeded" }),
        )
        .unwrap()
    }

    #[test]
    fn refusals_are_classified_by_code() {
        for code in [10077, 10023, 10047, 10028] {
            match refused("evt.v1", &refusal(503, code)) {
                Attempt::Failed(PublishError::Backpressure {
                    code: found,
                    description,
                    ..
                }) => {
                    assert_eq!((found, description.as_str()), (code, "maximum bytes exceeded"));
                }
                _ => panic!("{code} is not taken as full"),
            }
        }
        assert!(matches!(refused("x", &refusal(400, 10071)), Attempt::WrongSequence));
        assert!(matches!(refused("x", &refusal(503, 10008)), Attempt::Unknown(_)));
        assert!(matches!(refused("x", &refusal(409, 10158)), Attempt::Unknown(_)));
        assert!(matches!(
            refused("x", &refusal(400, 10060)),
            Attempt::Failed(PublishError::Rejected { .. })
        ));
    }

    #[test]
    fn only_a_young_object_needs_no_question() {
        let now = Timestamp::from_unix_millis(1_700_000_000_000);
        for (age_ms, asks) in [
            (0, false),
            (59_999, false),
            (60_000, true),
            (i64::MAX / 2, true),
            (-1, true),
        ] {
            assert_eq!(may_be_trimmed(now.plus_millis(-age_ms), now), asks, "{age_ms}");
        }
    }

    #[test]
    fn header_values_are_one_line_of_ascii() {
        assert_eq!(
            encode_header("a\r\nb c \"ü\" 100%"),
            "a%0D%0Ab%20c%20%22%C3%BC%22%20100%25"
        );
        assert_eq!(
            encode_header("res:00ff:encrypt:1.0:done:r2"),
            "res:00ff:encrypt:1.0:done:r2"
        );
    }
}
