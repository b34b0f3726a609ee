//! One message as handlers see it.

use std::fmt;
use std::sync::{Arc, Weak};

use async_nats::subject::Subject;
use async_nats::{HeaderMap, Message, jetstream};
use bytes::Bytes;
use cofferdam_schemas::cloudevent::Attributes;
use cofferdam_schemas::{ErrorCode, TenantName, Timestamp};
use serde::de::DeserializeOwned;
use tracing::Span;

use super::Failure;
use crate::bus::{Bus, REDRIVE};
use crate::{subject, trace};

/// A delivered message. Its `Debug` shows neither body nor headers.
#[derive(Clone)]
pub struct Delivery {
    /// The subject it was published on.
    pub subject: String,
    /// Its CloudEvents attributes; `None` when it has none or they cannot be read.
    pub attributes: Option<Attributes>,
    /// The body.
    pub body: Bytes,
    /// The stream.
    pub stream: String,
    /// The consumer.
    pub consumer: String,
    /// Its sequence in the stream.
    pub stream_seq: u64,
    /// 1 for the first delivery.
    pub delivered: u64,
    /// When the broker stored it.
    pub stored_at: Timestamp,
    /// The same in microseconds since 1970: what sinks order writes by.
    pub stored_at_micros: i64,
    /// How often what it says was published again to pass the deduplication window.
    pub redrive: u32,
    pub(crate) headers: HeaderMap,
    ticket: Ticket,
}

/// What it takes to acknowledge a delivery, for handlers that do so later and need not keep the body. A delivery stays
/// alive as long as it or one of its tickets does; when the last is dropped unacknowledged, the message is given back.
#[derive(Clone)]
pub struct Ticket(Arc<Stub>);

pub(crate) struct Stub {
    pub(crate) sequence: u64,
    pub(crate) delivered: u64,
    /// `None` in tests of handlers, where there is no broker.
    pub(crate) reply: Option<Subject>,
    span: Span,
}

impl Ticket {
    /// The message's sequence in its stream.
    pub fn stream_seq(&self) -> u64 {
        self.0.sequence
    }
    pub(crate) fn stub(&self) -> &Stub {
        &self.0
    }
    /// What is left of a ticket that was dropped: enough to give the message back.
    pub(crate) fn remnant(sequence: u64, delivered: u64, reply: Option<Subject>) -> Self {
        Self(Arc::new(Stub {
            sequence,
            delivered,
            reply,
            span: Span::none(),
        }))
    }
    pub(crate) fn watch(&self) -> Weak<Stub> {
        Arc::downgrade(&self.0)
    }
}

impl AsRef<Ticket> for Ticket {
    fn as_ref(&self) -> &Ticket {
        self
    }
}

impl AsRef<Ticket> for Delivery {
    fn as_ref(&self) -> &Ticket {
        &self.ticket
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} x{})", self.0.sequence, self.0.delivered)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("subject", &self.subject)
            .field("stream_seq", &self.stream_seq)
            .field("delivered", &self.delivered)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// A delivery that did not come from a broker, for tests of handlers: acknowledging it does nothing.
    pub fn detached(
        subject: impl Into<String>,
        attributes: Option<Attributes>,
        body: Bytes,
        stream_seq: u64,
        stored_at: Timestamp,
    ) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in attributes.iter().flat_map(Attributes::headers) {
            headers.insert(name, value);
        }
        Self {
            subject: subject.into(),
            attributes,
            body,
            stream: String::new(),
            consumer: String::new(),
            stream_seq,
            delivered: 1,
            stored_at,
            stored_at_micros: stored_at.unix_millis().saturating_mul(1000),
            redrive: 0,
            headers,
            ticket: Ticket::remnant(stream_seq, 1, None),
        }
    }

    /// Takes a message that a pull brought. `None` if its reply subject is not that of a delivery.
    pub(crate) fn from_message(bus: &Bus, message: Message) -> Option<Self> {
        let message = jetstream::Message {
            context: bus.jetstream().clone(),
            message,
        };
        let info = message.info().ok()?;
        let nanos = info.published.unix_timestamp_nanos();
        let (stream, consumer) = (info.stream.to_owned(), info.consumer.to_owned());
        let (sequence, delivered) = (info.stream_sequence, u64::try_from(info.delivered).unwrap_or(1).max(1));
        let message = message.message;
        let headers = message.headers.unwrap_or_default();
        let attributes = Attributes::read(|name| headers.get(name).map(|v| v.as_str())).ok();
        // The subject of an event is the id of an object or of a command.
        let span = tracing::info_span!(
            "deliver",
            otel.name = format!("process {consumer}"),
            otel.kind = "consumer",
            messaging.system = "nats",
            messaging.destination.name = stream,
            processor = consumer,
            about = attributes.as_ref().map(|a| a.subject.as_str()),
            stream_sequence = sequence,
            attempt = delivered,
            outcome = tracing::field::Empty,
        );
        trace::continue_from(&span, &headers, delivered);
        let redrive = headers.get(REDRIVE).and_then(|v| v.as_str().parse().ok()).unwrap_or(0);
        Some(Self {
            subject: message.subject.to_string(),
            attributes,
            body: message.payload,
            stream,
            consumer,
            stream_seq: sequence,
            delivered,
            stored_at: Timestamp::from_unix_millis(i64::try_from(nanos / 1_000_000).unwrap_or(0)),
            stored_at_micros: i64::try_from(nanos / 1000).unwrap_or(0),
            redrive,
            headers,
            ticket: Ticket(Arc::new(Stub {
                sequence,
                delivered,
                reply: message.reply,
                span,
            })),
        })
    }

    /// The span of this delivery, a child of its sender's. It ends when the delivery and its tickets are dropped. What
    /// is published inside it belongs to the same trace.
    pub fn span(&self) -> &Span {
        &self.ticket.0.span
    }

    /// What acknowledges it.
    pub fn ticket(&self) -> Ticket {
        self.ticket.clone()
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }

    /// The tenant in the subject.
    pub fn tenant(&self) -> Option<TenantName> {
        subject::tenant_of(&self.subject)
    }

    /// The CloudEvents type.
    pub fn event_type(&self) -> Option<&str> {
        self.attributes.as_ref().map(|a| a.event_type.as_str())
    }

    /// Reads the body. A body that is not a `T` is rejected with class `schema`; the reason tells the place in it and
    /// not what stands there.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = match error.classify() {
                serde_json::error::Category::Syntax => "is not json",
                serde_json::error::Category::Data => "is json of another shape than its type",
                serde_json::error::Category::Eof => "ends too early",
                serde_json::error::Category::Io => "cannot be read",
            };
            self.off_schema(&format!(
                "body {kind} (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    /// Reads the body if the message has one of these CloudEvents types; anything else is rejected with class `schema`.
    pub fn decode_as<T: DeserializeOwned>(&self, types: &[&str]) -> Result<T, Failure> {
        match self.event_type() {
            Some(found) if types.contains(&found) => self.decode(),
            Some(_) => Err(self.off_schema("its event type is not known to this consumer")),
            None => Err(self.off_schema("it has no CloudEvents attributes")),
        }
    }

    /// The failure of a message that is not what its subject promises.
    pub(crate) fn off_schema(&self, reason: &str) -> Failure {
        Failure::Reject {
            class: "schema".into(),
            code: ErrorCode::InvalidRequest,
            reason: format!("message is not usable: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_schemas::Selector;

    use super::*;

    fn delivery(body: &'static str, event_type: Option<&str>) -> Delivery {
        let time = Timestamp::from_unix_millis(1_700_000_000_000);
        let attributes = event_type.map(|event_type| Attributes {
            id: "1".into(),
            source: "/test".into(),
            event_type: event_type.into(),
            subject: "s".into(),
            time,
        });
        Delivery::detached(
            "cmd.v1.acme.retrieve",
            attributes,
            Bytes::from_static(body.as_bytes()),
            7,
            time,
        )
    }

    #[test]
    fn what_cannot_be_read_is_rejected_without_quoting_it() {
        for body in [
            "{\"key\": \"SECRET\", \"SECRET\": 1}",
            "SECRET",
            "{\"key\": [\"SECRET\"]}",
            "{\"key\"",
        ] {
            let Err(Failure::Reject { class, reason, .. }) = delivery(body, None).decode::<Selector>() else {
                panic!("{body} is taken")
            };
            assert_eq!(class, "schema");
            assert!(!reason.contains("SECRET"), "{reason}");
        }
        assert!(delivery("{\"key\": \"a\"}", None).decode::<Selector>().is_ok());
    }

    #[test]
    fn unknown_types_are_rejected() {
        assert!(delivery("{}", Some("a.v1")).decode_as::<Selector>(&["a.v1"]).is_ok());
        for event_type in [Some("a.v2"), None] {
            let result = delivery("{}", event_type).decode_as::<Selector>(&["a.v1"]);
            assert!(matches!(result, Err(Failure::Reject { .. })), "{event_type:?}");
        }
    }

    #[test]
    fn debug_shows_no_body() {
        let text = format!("{:?}", delivery("{\"key\":\"SECRET\"}", Some("a.v1")));
        assert!(
            text.contains("cmd.v1.acme.retrieve") && !text.contains("SECRET"),
            "{text}"
        );
    }
}
