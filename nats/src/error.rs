//! What goes wrong between us and the broker.

use std::fmt;
use std::time::Duration;

use crate::subject::SubjectError;

/// A cause whose type callers do not decide by.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Setting up, asking or looking something up at the broker failed.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// There is no connection. The URL carries no credentials.
    #[error("cannot connect to nats at {url} as {role}")]
    Connect {
        /// Where.
        url: String,
        /// As whom.
        role: String,
        /// What failed.
        #[source]
        source: Cause,
    },
    /// The server lacks features this program stands on.
    #[error("nats-server {found} at {url} is too old: at least {least} is needed, 2.15.1 recommended")]
    ServerTooOld {
        /// Where.
        url: String,
        /// Its version.
        found: String,
        /// The oldest that works.
        least: &'static str,
    },
    /// The account configuration does not let this role do what it must.
    #[error(
        "role {role} may not {what}: {violation}; grant it to the user {role} in the server's account configuration"
    )]
    Permission {
        /// The role.
        role: String,
        /// What it tried to do.
        what: String,
        /// What the server said.
        violation: String,
    },
    /// No answer in time. On a live connection that usually means a missing permission or a JetStream that is not up
    /// yet.
    #[error("nats does not answer to {what} within {waited:?}")]
    NoAnswer {
        /// What was asked.
        what: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The stream or consumer is not there: `provision` has not run, or somebody deleted it.
    #[error("{what} is not provisioned")]
    Missing {
        /// Which stream or consumer.
        what: String,
    },
    /// JetStream refuses.
    #[error("jetstream refuses to {what}: {description} (error {code})")]
    Refused {
        /// What was asked.
        what: String,
        /// JetStream's error code (`err_code`).
        code: u64,
        /// JetStream's words.
        description: String,
    },
    /// Streams or consumers exist with settings that cannot be changed in place.
    #[error("{} of streams or consumers cannot be repaired in place: {}", count(.0.len(), "setting"), list(.0))]
    Drift(Vec<Drift>),
    /// There is no such dead letter.
    #[error("there is no dead letter {sequence}")]
    NoDeadLetter {
        /// Its sequence in `DLQ`.
        sequence: u64,
    },
    /// A dead letter (or another stored message) lacks what it must carry.
    #[error("stored message {sequence} in {stream} cannot be used: {reason}")]
    Unusable {
        /// The stream.
        stream: &'static str,
        /// Its sequence.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A subject is not one of ours.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Publishing failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The client failed.
    #[error("{what} failed")]
    Client {
        /// What was tried.
        what: String,
        /// What failed.
        #[source]
        source: Cause,
    },
}

/// A setting of a stream or consumer that is not as the topology says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// `stream EVT` or `consumer EVT/encrypt-hi`.
    pub what: String,
    /// The setting, by its name in JetStream's API.
    pub field: String,
    /// What the topology says, as JSON.
    pub wanted: String,
    /// What the server has, as JSON.
    pub found: String,
    /// What to do about it; empty when it was repaired.
    pub remedy: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} is {} but must be {}",
            self.what, self.field, self.found, self.wanted
        )?;
        if self.remedy.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.remedy)
        }
    }
}

/// A message was not published, or nobody knows whether it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The stream or the server's disk is full (JetStream errors 10077, 10023, 10047). Callers slow down and tell their
    /// own callers.
    #[error("stream for {subject} is full: {description} (error {code})")]
    Backpressure {
        /// The subject.
        subject: String,
        /// JetStream's error code.
        code: u64,
        /// JetStream's words.
        description: String,
    },
    /// No acknowledgement before the deadline, although the same id was sent again and again. The message may be
    /// stored; publishing it again with the same id is harmless.
    #[error("no acknowledgement for {subject} within {waited:?}, tried {attempts} times")]
    Unavailable {
        /// The subject.
        subject: String,
        /// How often it was sent.
        attempts: u32,
        /// How long it was tried.
        waited: Duration,
        /// The last failure.
        #[source]
        source: Option<Cause>,
    },
    /// The message is larger than the server takes.
    #[error("message for {subject} has {size} bytes, the server takes {limit}")]
    TooLarge {
        /// The subject.
        subject: String,
        /// Bytes of the body.
        size: usize,
        /// Bytes the server takes, headers included.
        limit: usize,
    },
    /// The server will never take it: no permission, no such stream, a body that cannot be made.
    #[error("message for {subject} is refused: {reason}")]
    Rejected {
        /// The subject.
        subject: String,
        /// Why.
        reason: String,
    },
}

fn count(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

fn list(drift: &[Drift]) -> String {
    drift.iter().map(Drift::to_string).collect::<Vec<_>>().join("; ")
}

/// An error and its causes in one line, each said once, cut to 400 characters.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // The client's own errors print their source themselves.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(field: &str, remedy: &str) -> Drift {
        Drift {
            what: "stream EVT".into(),
            field: field.into(),
            wanted: "\"new\"".into(),
            found: "\"old\"".into(),
            remedy: remedy.into(),
        }
    }

    #[test]
    fn drift_names_field_wanted_found_and_remedy() {
        let one = NatsError::Drift(vec![drift("discard", "delete it")]);
        assert_eq!(
            one.to_string(),
            "1 setting of streams or consumers cannot be repaired in place: stream EVT: discard is \"old\" but must be \"new\" (delete it)"
        );
        let two = NatsError::Drift(vec![drift("discard", ""), drift("storage", "")]);
        assert!(two.to_string().starts_with("2 settings of"), "{two}");
        assert!(two.to_string().contains("; stream EVT: storage"), "{two}");
    }

    #[test]
    fn chain_says_each_cause_once() {
        let inner = std::io::Error::other("disk is gone");
        let error = NatsError::Client {
            what: "reading".into(),
            source: Box::new(inner),
        };
        assert_eq!(chain(&error), "reading failed: disk is gone");
    }
}
