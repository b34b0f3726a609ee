//! Dead letters: looking at them and replaying them.
//!
//! `DLQ` holds a full copy of every message a worker gave up, with the reason in its headers. Replaying publishes the
//! copy where it came from, under an id that passes the deduplication window, and removes the letter: what is in `DLQ`
//! is what still waits for a person. A message that fails again makes a new letter, with a higher redrive number.

mod burial;

pub(crate) use burial::Burial;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use cofferdam_schemas::{TenantName, Timestamp};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::json;

use crate::bus::{Bus, Outgoing, Published, REDRIVE};
use crate::error::NatsError;
use crate::subject::Dlq;
use crate::topology::{CMD, DLQ, EVT, RAW, RES};

/// Which dead letters; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this tenant.
    pub tenant: Option<TenantName>,
    /// From this stream.
    pub stream: Option<String>,
    /// Given up by this consumer.
    pub consumer: Option<String>,
    /// For this class of reason.
    pub class: Option<String>,
    /// Only behind this sequence.
    pub after: u64,
    /// At most so many; 0 means 1,000.
    pub limit: usize,
}

impl Filter {
    fn subject(&self) -> String {
        let token = |text: &Option<String>| text.as_deref().unwrap_or("*").to_owned();
        let tenant = self.tenant.as_ref().map_or("*", TenantName::as_str);
        format!(
            "dlq.v1.{tenant}.{}.{}.{}",
            token(&self.stream),
            token(&self.consumer),
            token(&self.class)
        )
    }
}

/// A message that was given up.
#[derive(Clone, Serialize)]
pub struct DeadLetter {
    /// Its sequence in `DLQ`: how commands name it.
    pub seq: u64,
    /// When it was given up.
    pub at: Timestamp,
    /// Whose it is; `None` for what belongs to no tenant yet.
    pub tenant: Option<TenantName>,
    /// The stream it was in.
    pub stream: String,
    /// The consumer that gave it up.
    pub consumer: String,
    /// Its sequence there.
    pub stream_seq: u64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// `<class>/<code>`, for example `exhausted/unavailable`.
    pub reason: String,
    /// What the worker said last.
    pub error: String,
    /// The subject it was published on.
    pub subject: String,
    /// The id it was published under.
    pub message_id: Option<String>,
    /// When it was first stored.
    pub first_at: Timestamp,
    /// What it is about: the id of an object or of a command.
    pub about: Option<String>,
    /// Its CloudEvents type.
    pub event_type: Option<String>,
    /// How often it was published again already.
    pub redrive: u32,
    /// Its body.
    #[serde(skip)]
    pub body: Bytes,
    #[serde(skip)]
    headers: HeaderMap,
}

impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetter")
            .field("seq", &self.seq)
            .field("subject", &self.subject)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl DeadLetter {
    fn read(message: StreamMessage) -> Result<Self, NatsError> {
        let unusable = |reason: String| NatsError::Unusable {
            stream: DLQ,
            sequence: message.sequence,
            reason,
        };
        let get = |name: &str| message.headers.get(name).map(|value| value.as_str());
        let required = |name: &str| {
            get(name)
                .map(str::to_owned)
                .ok_or_else(|| unusable(format!("header {name} is missing")))
        };
        let number = |name: &str| {
            required(name)?
                .parse()
                .map_err(|_| unusable(format!("header {name} is no number")))
        };
        let text = |name: &str| get(name).map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned());
        let subject: Dlq = message.subject.parse()?;
        Ok(Self {
            seq: message.sequence,
            at: Timestamp::from(message.time),
            tenant: subject.tenant,
            stream: required(burial::STREAM)?,
            consumer: required(burial::CONSUMER)?,
            stream_seq: number(burial::SEQUENCE)?,
            deliveries: number(burial::DELIVERIES)?,
            reason: required(burial::REASON)?,
            error: text(burial::LAST_ERROR).unwrap_or_default(),
            subject: required(burial::SUBJECT)?,
            message_id: text(burial::MESSAGE_ID),
            first_at: required(burial::FIRST_AT)?
                .parse()
                .map_err(|_| unusable("its first time cannot be read".into()))?,
            about: text("ce-subject"),
            event_type: text("ce-type"),
            redrive: get(REDRIVE).and_then(|n| n.parse().ok()).unwrap_or(0),
            body: message.payload.clone(),
            headers: message.headers.clone(),
        })
    }

    /// The stream it goes back to. Not `JOIN`: a second `done` must be impossible, for people too.
    fn home(&self) -> Result<&'static str, NatsError> {
        [RAW, EVT, CMD, RES]
            .into_iter()
            .find(|name| *name == self.stream)
            .ok_or_else(|| NatsError::Unusable {
                stream: DLQ,
                sequence: self.seq,
                reason: format!("messages of stream {} cannot be replayed", self.stream),
            })
    }
}

/// Dead letters, oldest first.
pub async fn list(bus: &Bus, filter: &Filter) -> Result<Vec<DeadLetter>, NatsError> {
    let (subject, limit) = (filter.subject(), if filter.limit == 0 { 1000 } else { filter.limit });
    let mut letters = Vec::new();
    let mut from = filter.after + 1;
    while letters.len() < limit {
        let Some(message) = read(bus, from, Some(&subject)).await? else {
            break;
        };
        from = message.sequence + 1;
        let sequence = message.sequence;
        match DeadLetter::read(message) {
            Ok(letter) => letters.push(letter),
            // One that somebody else wrote there must not hide the others.
            Err(error) => tracing::warn!(sequence, error = %error, "dead letter cannot be read"),
        }
    }
    Ok(letters)
}

/// One dead letter.
pub async fn show(bus: &Bus, seq: u64) -> Result<DeadLetter, NatsError> {
    DeadLetter::read(
        read(bus, seq, None)
            .await?
            .ok_or(NatsError::NoDeadLetter { sequence: seq })?,
    )
}

/// Publishes the copy where it came from, with id `redrive:<n>:<first id>`, and removes the letter. Once is enough:
/// until the letter is removed, a second replay is a duplicate.
pub async fn replay(bus: &Bus, seq: u64) -> Result<Published, NatsError> {
    let letter = show(bus, seq).await?;
    let redrive = letter.redrive.saturating_add(1);
    let mut headers = HeaderMap::new();
    for (name, values) in letter.headers.iter() {
        if !burial::is_brokers(name.as_ref()) && !burial::is_ours(name.as_ref()) {
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    headers.insert(REDRIVE, redrive.to_string());
    let first = letter.message_id.as_deref().map_or_else(
        || format!("{}:{}", letter.stream, letter.stream_seq),
        |id| first_id(id).to_owned(),
    );
    let message = Outgoing {
        kind: "replay",
        subject: letter.subject.clone(),
        stream: letter.home()?,
        id: Some(format!("redrive:{redrive}:{first}")),
        headers,
        body: letter.body.clone(),
        expect: None,
    };
    let published = bus.publish(message).await?;
    let call = format!("STREAM.MSG.DELETE.{DLQ}");
    let deleted = bus
        .api::<serde_json::Value>(
            &format!("remove dead letter {seq}"),
            &call,
            &json!({ "seq": seq, "no_erase": true }),
        )
        .await;
    match deleted {
        // It is on its way; that it still stands in the list is all that is wrong.
        Err(error) => tracing::warn!(seq, error = %error, "replayed, but the dead letter could not be removed"),
        Ok(_) => tracing::info!(seq, subject = letter.subject, redrive, "dead letter replayed"),
    }
    Ok(published)
}

/// The id without what earlier replays put in front.
fn first_id(id: &str) -> &str {
    let mut id = id;
    while let Some((number, rest)) = id.strip_prefix("redrive:").and_then(|rest| rest.split_once(':')) {
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        id = rest;
    }
    id
}

/// The first letter from a sequence on that a filter takes: its sequence in `DLQ`, and that of its message in the stream
/// it was in, if it tells one.
pub(crate) async fn place(bus: &Bus, from: u64, filter: &str) -> Result<Option<(u64, Option<u64>)>, NatsError> {
    let letter = bus.first_from(DLQ, from, filter).await?;
    Ok(letter.map(|letter| {
        let about = letter.header(burial::SEQUENCE).and_then(|text| text.parse().ok());
        (letter.seq, about)
    }))
}

/// The message at a sequence, or with a filter the first from there on.
async fn read(bus: &Bus, seq: u64, filter: Option<&str>) -> Result<Option<StreamMessage>, NatsError> {
    let failed = |source| NatsError::Client {
        what: format!("reading {DLQ}"),
        source,
    };
    let stream = bus
        .jetstream()
        .get_stream_no_info(DLQ)
        .await
        .map_err(|e| failed(Box::new(e)))?;
    let request = stream.raw_message_builder().sequence(seq);
    let request = match filter {
        Some(filter) => request.next_by_subject(filter),
        None => request,
    };
    match request.send().await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(failed(Box::new(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lose_what_earlier_replays_added() {
        assert_eq!(first_id("evt:00ff"), "evt:00ff");
        assert_eq!(first_id("redrive:1:evt:00ff"), "evt:00ff");
        assert_eq!(first_id("redrive:12:redrive:1:evt:00ff"), "evt:00ff");
        assert_eq!(first_id("redrive:x:evt:00ff"), "redrive:x:evt:00ff");
    }

    #[test]
    fn filters_become_subjects() {
        assert_eq!(Filter::default().subject(), "dlq.v1.*.*.*.*");
        let filter = Filter {
            tenant: TenantName::new("acme").ok(),
            consumer: Some("encrypt-hi".into()),
            ..Filter::default()
        };
        assert_eq!(filter.subject(), "dlq.v1.acme.*.encrypt-hi.*");
    }
}
