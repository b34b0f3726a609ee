//! The start-up self-check: each permission is exercised, and what the server says about it becomes a readable error.
//!
//! A violation is no answer to the call that violates: the call times out, and the reason arrives beside it. So every
//! check is sent, and then the violations that came in are looked through.

use std::time::{Duration, Instant};

use async_nats::client::Request;
use async_nats::{HeaderMap, RequestErrorKind};

use super::{ANSWER_WAIT, Bus};
use crate::accounts::RoleNeeds;
use crate::error::NatsError;

/// Something a role must be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Publish to a stream's subject. Wildcard tokens are filled in; nothing is stored.
    Publish(String),
    /// Subscribe to a subject.
    Subscribe(String),
    /// Pull from a consumer, acknowledge, and dead-letter what it gives up.
    Consume {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
    },
    /// Read single messages of a stream.
    Read(String),
    /// See the state of a consumer; `*` is any of the stream.
    Watch {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
    },
    /// Remove messages from a stream.
    Trim(String),
}

impl Need {
    /// What the table of roles says a role needs, but for bare API patterns, which the provisioning exercises itself.
    pub fn of(role: &RoleNeeds) -> Vec<Need> {
        let publish = role
            .publish
            .iter()
            .filter(|subject| !subject.starts_with('$'))
            .cloned()
            .map(Need::Publish);
        let subscribe = role.subscribe.iter().cloned().map(Need::Subscribe);
        let consume = role.consumers.iter().map(|(stream, consumer)| Need::Consume {
            stream: stream.clone(),
            consumer: consumer.clone(),
        });
        let read = role.reads.iter().cloned().map(Need::Read);
        let watch = role.watches.iter().map(|(stream, consumer)| Need::Watch {
            stream: stream.clone(),
            consumer: consumer.clone(),
        });
        let trim = role
            .trims
            .iter()
            .flat_map(|stream| [Need::Read(stream.clone()), Need::Trim(stream.clone())]);
        let all = publish.chain(subscribe).chain(consume).chain(read);
        all.chain(watch).chain(trim).collect()
    }

    /// What the server would name in a violation, without the wildcards of the need.
    fn subjects(&self) -> Vec<String> {
        match self {
            Need::Publish(pattern) => vec![format!("\"{}\"", concrete(pattern))],
            Need::Subscribe(subject) => vec![format!("\"{subject}\"")],
            Need::Consume { stream, consumer } => {
                vec![format!(".{stream}.{consumer}\""), format!(".{stream}.{consumer}.")]
            }
            Need::Read(stream) => vec![format!("STREAM.MSG.GET.{stream}\"")],
            Need::Watch { stream, consumer } => {
                vec![format!("CONSUMER.INFO.{stream}.{}\"", concrete(consumer))]
            }
            Need::Trim(stream) => vec![format!("STREAM.PURGE.{stream}\""), format!("STREAM.INFO.{stream}\"")],
        }
    }

    fn what(&self) -> String {
        match self {
            Need::Publish(subject) => format!("publish to {subject}"),
            Need::Subscribe(subject) => format!("subscribe to {subject}"),
            Need::Consume { stream, consumer } => format!("work for consumer {stream}/{consumer}"),
            Need::Read(stream) => format!("read stream {stream}"),
            Need::Watch { stream, consumer } => format!("look at consumer {stream}/{consumer}"),
            Need::Trim(stream) => format!("trim stream {stream}"),
        }
    }
}

/// How long violations may trail behind the last answer.
const TRAIL: Duration = Duration::from_millis(250);

impl Bus {
    /// Exercises every need, all at once. The first that fails is the error: a missing permission in the server's
    /// words, a consumer that is not provisioned, or a server that does not answer. Leaves nothing behind.
    pub async fn self_check(&self, needs: &[Need]) -> Result<(), NatsError> {
        let started = Instant::now();
        let results = futures::future::join_all(needs.iter().map(|need| self.exercise(need))).await;
        if !needs.is_empty() {
            tokio::time::sleep(TRAIL).await;
        }
        let violations = self.inner.watch.violations(started, |_| true);
        if let Some(violation) = violations.first() {
            let guilty = needs
                .iter()
                .find(|need| need.subjects().iter().any(|subject| violation.contains(subject)));
            let what = guilty.map_or_else(|| "do what it must".to_owned(), Need::what);
            return Err(NatsError::Permission {
                role: self.role().to_owned(),
                what,
                violation: violation.clone(),
            });
        }
        results.into_iter().collect()
    }

    async fn exercise(&self, need: &Need) -> Result<(), NatsError> {
        match need {
            Need::Publish(pattern) => self.exercise_publish(pattern).await,
            Need::Subscribe(subject) => {
                let failed = |source| NatsError::Client {
                    what: need.what(),
                    source,
                };
                let mut subscription = self
                    .client()
                    .subscribe(subject.clone())
                    .await
                    .map_err(|e| failed(Box::new(e)))?;
                subscription.unsubscribe().await.map_err(|e| failed(Box::new(e)))
            }
            Need::Consume { stream, consumer } => {
                self.consumer_info(stream, consumer).await?;
                // Neither of the two is a valid request, so neither takes or settles a message; both need the
                // permission.
                for subject in [
                    format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
                    format!("$JS.ACK.{stream}.{consumer}.check"),
                ] {
                    let reply = self.client().new_inbox();
                    let sent = self.client().publish_with_reply(subject, reply, "{".into()).await;
                    sent.map_err(|source| NatsError::Client {
                        what: need.what(),
                        source: Box::new(source),
                    })?;
                }
                self.exercise_publish(&format!("dlq.v1._.{stream}.{consumer}.check"))
                    .await
            }
            Need::Read(stream) => {
                let call = format!("STREAM.MSG.GET.{stream}");
                match self
                    .api::<serde_json::Value>(&need.what(), &call, &serde_json::json!({ "seq": u32::MAX }))
                    .await
                {
                    // There is no such message, which it could only say because we may ask.
                    Ok(_) | Err(NatsError::Refused { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Need::Watch { stream, consumer } => match self.consumer_info(stream, &concrete(consumer)).await {
                // Of any consumer, so of one that is not there.
                Err(NatsError::Missing { .. }) if consumer == "*" => Ok(()),
                other => other.map(|_| ()),
            },
            Need::Trim(stream) => {
                self.stream_state(stream).await?;
                // A contradiction, which the server refuses; if it did not, there is nothing on that subject.
                let nothing = serde_json::json!({ "seq": 1, "keep": 1, "filter": "_self-check" });
                match self
                    .api::<serde_json::Value>(&need.what(), &format!("STREAM.PURGE.{stream}"), &nothing)
                    .await
                {
                    Ok(_) | Err(NatsError::Refused { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// A publish that names a stream that cannot be: the server checks the permission, then refuses it.
    async fn exercise_publish(&self, pattern: &str) -> Result<(), NatsError> {
        let subject = concrete(pattern);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Stream", "_self-check");
        let request = Request::new()
            .headers(headers)
            .payload("{}".into())
            .timeout(Some(ANSWER_WAIT));
        let stored = ["raw.", "evt.", "cmd.", "res.", "join.", "dlq."]
            .iter()
            .any(|prefix| subject.starts_with(prefix));
        let started = Instant::now();
        let quoted = format!("\"{subject}\"");
        let answer = tokio::select! {
            answer = self.client().send_request(subject, request) => answer,
            // The check looks through the violations when all is done.
            _ = self.inner.watch.violation(started, &quoted) => return Ok(()),
        };
        match answer {
            Ok(_) => Ok(()),
            // Nobody listens, which the server could only say because we may publish.
            Err(error) if error.kind() == RequestErrorKind::NoResponders && !stored => Ok(()),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Err(NatsError::Missing {
                what: format!("a stream for {pattern}"),
            }),
            Err(_) => Err(NatsError::NoAnswer {
                what: format!("publish to {pattern}"),
                waited: ANSWER_WAIT,
            }),
        }
    }
}

/// A subject that a pattern matches, of a form that the stream takes.
fn concrete(pattern: &str) -> String {
    if pattern == "join.v1.>" {
        return "join.v1.state.check.check".to_owned();
    }
    let token = |token| if matches!(token, "*" | ">") { "check" } else { token };
    pattern.split('.').map(token).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_subjects() {
        assert_eq!(concrete("res.v1.*.encrypt.>"), "res.v1.check.encrypt.check");
        assert_eq!(concrete("evt.v1.>"), "evt.v1.check");
        assert_eq!(concrete("join.v1.>"), "join.v1.state.check.check");
        assert_eq!(concrete("raw.s3.minio"), "raw.s3.minio");
    }

    #[test]
    fn needs_follow_from_the_table_of_roles() {
        let mut role = RoleNeeds::new("encrypt");
        role.publish = vec!["res.v1.*.encrypt.>".into(), "$JS.API.>".into()];
        role.consumers = vec![("EVT".into(), "encrypt-hi".into())];
        role.reads = vec!["JOIN".into()];
        role.subscribe = vec!["q.v1.>".into()];
        assert_eq!(
            Need::of(&role),
            [
                Need::Publish("res.v1.*.encrypt.>".into()),
                Need::Subscribe("q.v1.>".into()),
                Need::Consume {
                    stream: "EVT".into(),
                    consumer: "encrypt-hi".into()
                },
                Need::Read("JOIN".into()),
            ]
        );
    }
}
