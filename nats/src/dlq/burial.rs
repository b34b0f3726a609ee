//! Making a dead letter.

use async_nats::HeaderMap;
use bytes::Bytes;
use cofferdam_schemas::Timestamp;

use crate::bus::{Bus, Outgoing, Published, encode_header};
use crate::error::PublishError;
use crate::subject::{Dlq, tenant_of};
use crate::topology::DLQ;

pub(super) const STREAM: &str = "x-dlq-stream";
pub(super) const CONSUMER: &str = "x-dlq-consumer";
pub(super) const SEQUENCE: &str = "x-dlq-seq";
pub(super) const DELIVERIES: &str = "x-dlq-deliveries";
pub(super) const REASON: &str = "x-dlq-reason";
pub(super) const FIRST_AT: &str = "x-dlq-first-at";
pub(super) const LAST_ERROR: &str = "x-dlq-last-error";
pub(super) const SUBJECT: &str = "x-dlq-subject";
pub(super) const MESSAGE_ID: &str = "x-dlq-msg-id";

/// A message that is given up, and why.
pub(crate) struct Burial<'a> {
    pub(crate) stream: &'a str,
    pub(crate) consumer: &'a str,
    pub(crate) sequence: u64,
    pub(crate) deliveries: u64,
    pub(crate) subject: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) stored_at: Timestamp,
    pub(crate) class: &'a str,
    pub(crate) code: &'a str,
    pub(crate) reason: &'a str,
}

impl Burial<'_> {
    /// Publishes the full copy. The id names the delivery that failed, so that whoever notices it, and however often,
    /// makes one letter.
    pub(crate) async fn publish(&self, bus: &Bus) -> Result<Published, PublishError> {
        let subject = Dlq {
            tenant: tenant_of(self.subject),
            stream: self.stream.to_owned(),
            consumer: self.consumer.to_owned(),
            class: Dlq::class_token(self.class),
        };
        let message = Outgoing {
            kind: "dead-letter",
            subject: subject.to_string(),
            stream: DLQ,
            id: Some(format!("dlq:{}:{}:{}", self.stream, self.consumer, self.sequence)),
            headers: self.copied_headers(),
            body: self.body.clone(),
            expect: None,
        };
        bus.publish(message).await
    }

    /// The message's own headers and ours. The broker's (`Nats-…`) would be obeyed again; the id is kept under another
    /// name.
    fn copied_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in self.headers.iter() {
            if !is_brokers(name.as_ref()) {
                for value in values {
                    headers.append(name.clone(), value.clone());
                }
            }
        }
        if let Some(id) = self.headers.get("Nats-Msg-Id") {
            headers.insert(MESSAGE_ID, id.as_str());
        }
        headers.insert(STREAM, self.stream);
        headers.insert(CONSUMER, self.consumer);
        headers.insert(SEQUENCE, self.sequence.to_string());
        headers.insert(DELIVERIES, self.deliveries.to_string());
        headers.insert(REASON, format!("{}/{}", Dlq::class_token(self.class), self.code));
        headers.insert(FIRST_AT, self.stored_at.to_string());
        headers.insert(
            LAST_ERROR,
            encode_header(&self.reason.chars().take(1000).collect::<String>()),
        );
        headers.insert(SUBJECT, self.subject);
        headers
    }
}

pub(super) fn is_brokers(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"))
}

pub(super) fn is_ours(name: &str) -> bool {
    name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-dlq-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_keeps_the_messages_headers_and_none_of_the_brokers() {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", "evt:00ff");
        headers.insert("Nats-TTL", "5s");
        headers.insert("nats-expected-stream", "EVT");
        headers.insert("traceparent", "00-aa-bb-01");
        headers.insert("ce-id", "00ff");
        let burial = Burial {
            stream: "EVT",
            consumer: "encrypt-hi",
            sequence: 7,
            deliveries: 6,
            subject: "evt.v1.hi.acme.put.07",
            headers: &headers,
            body: Bytes::new(),
            stored_at: Timestamp::from_unix_millis(0),
            class: "exhausted",
            code: "unavailable",
            reason: "line\nbreak",
        };
        let copied = burial.copied_headers();
        let get = |name: &str| copied.get(name).map(|v| v.as_str().to_owned());
        assert_eq!(get("traceparent").as_deref(), Some("00-aa-bb-01"));
        assert_eq!(get("ce-id").as_deref(), Some("00ff"));
        assert_eq!(get(MESSAGE_ID).as_deref(), Some("evt:00ff"));
        assert_eq!(get(REASON).as_deref(), Some("exhausted/unavailable"));
        assert_eq!(get(LAST_ERROR).as_deref(), Some("line%0Abreak"));
        assert_eq!(get(FIRST_AT).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert!(copied.iter().all(|(name, _)| !is_brokers(name.as_ref())), "{copied:?}");
    }
}
