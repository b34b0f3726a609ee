//! What becomes of a message: one pure function.

use std::time::Duration;

use cofferdam_schemas::ErrorCode;

use super::Failure;

/// Why work failed, with the code a user would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Retry {
        code: ErrorCode,
        reason: String,
    },
    Reject {
        class: String,
        code: ErrorCode,
        reason: String,
    },
    Halt {
        reason: String,
    },
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry { reason } => Fault::Retry {
                code: ErrorCode::Unavailable,
                reason,
            },
            Failure::Reject { class, code, reason } => Fault::Reject { class, code, reason },
            Failure::Halt { reason } => Fault::Halt { reason },
        }
    }
}

/// How the work on a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Effects and result are durable.
    Done,
    /// The handler said no.
    Failed(Fault),
    /// The handler panicked, now for the `times`th time on this message.
    Panicked { times: u32 },
    /// The worker stops and did not wait for an end.
    Abandoned,
}

/// What is done with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Acknowledge.
    Ack,
    /// Give it back, to be delivered again after the delay.
    Retry { delay: Duration, reason: String },
    /// Give it back at once: another worker is to have it.
    Release,
    /// Dead-letter it.
    Bury {
        class: String,
        code: ErrorCode,
        reason: String,
    },
    /// Leave it, and stop the worker.
    Halt { reason: String },
}

impl Disposition {
    /// The word in metrics and spans.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Disposition::Ack => "done",
            Disposition::Retry { .. } => "retry",
            Disposition::Release => "released",
            Disposition::Bury { .. } => "dead",
            Disposition::Halt { .. } => "halt",
        }
    }
}

/// What the decision depends on besides the result.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Deliveries a message gets; `None` for no end.
    pub(crate) max_deliver: Option<u64>,
    /// Delays by attempt, the last repeats. Not empty.
    pub(crate) delays: Vec<Duration>,
    /// The worker is stopping: what fails now may have failed because of that.
    pub(crate) stopping: bool,
}

/// Panics on one message before it is poison. Fewer than the delivery limit: a panic is never the network's fault.
const PANIC_LIMIT: u32 = 3;

pub(crate) fn decide(ended: &Ended, attempt: u64, policy: &Policy) -> Disposition {
    let last = policy.max_deliver.is_some_and(|most| attempt >= most);
    match ended {
        Ended::Done => Disposition::Ack,
        Ended::Abandoned => Disposition::Release,
        Ended::Failed(Fault::Halt { reason }) => Disposition::Halt { reason: reason.clone() },
        Ended::Failed(Fault::Reject { class, code, reason }) => Disposition::Bury {
            class: class.clone(),
            code: *code,
            reason: reason.clone(),
        },
        Ended::Failed(Fault::Retry { code, reason }) => match (policy.stopping, last) {
            (true, _) => Disposition::Release,
            (false, true) => {
                let reason = format!("given up after {attempt} deliveries: {reason}");
                Disposition::Bury {
                    class: "exhausted".into(),
                    code: *code,
                    reason,
                }
            }
            (false, false) => Disposition::Retry {
                delay: delay(attempt, policy),
                reason: reason.clone(),
            },
        },
        // What the panic said stays in the log of the panic hook: it may quote the document.
        Ended::Panicked { times } => {
            if *times >= PANIC_LIMIT || last {
                let reason = format!("handler panicked on delivery {attempt}, {times} times in this process");
                Disposition::Bury {
                    class: "panic".into(),
                    code: ErrorCode::Internal,
                    reason,
                }
            } else {
                Disposition::Retry {
                    delay: delay(attempt, policy),
                    reason: "handler panicked".into(),
                }
            }
        }
    }
}

fn delay(attempt: u64, policy: &Policy) -> Duration {
    let at = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let delay = policy.delays.get(at).or(policy.delays.last());
    // A delay of zero would be an immediate redelivery, and six of those are over in milliseconds.
    delay
        .copied()
        .unwrap_or(Duration::from_secs(5))
        .max(Duration::from_millis(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry() -> Ended {
        Ended::Failed(Fault::Retry {
            code: ErrorCode::Unavailable,
            reason: "store is down".into(),
        })
    }
    fn reject() -> Ended {
        Ended::Failed(Fault::Reject {
            class: "schema".into(),
            code: ErrorCode::InvalidRequest,
            reason: "no".into(),
        })
    }
    fn halt() -> Ended {
        Ended::Failed(Fault::Halt {
            reason: "no key".into(),
        })
    }

    fn short(disposition: &Disposition) -> String {
        match disposition {
            Disposition::Ack => "ack".into(),
            Disposition::Retry { delay, .. } => format!("retry {}s", delay.as_secs()),
            Disposition::Release => "release".into(),
            Disposition::Bury { class, code, .. } => format!("bury {class}/{}", super::super::code_str(*code)),
            Disposition::Halt { .. } => "halt".into(),
        }
    }

    #[test]
    fn the_table() {
        // (result, attempt, delivery limit, stopping, disposition)
        let table: [(Ended, u64, Option<u64>, bool, &str); 26] = [
            (Ended::Done, 1, Some(6), false, "ack"),
            (Ended::Done, 6, Some(6), false, "ack"),
            (Ended::Done, 9, None, true, "ack"),
            (retry(), 1, Some(6), false, "retry 5s"),
            (retry(), 2, Some(6), false, "retry 30s"),
            (retry(), 3, Some(6), false, "retry 120s"),
            (retry(), 4, Some(6), false, "retry 600s"),
            (retry(), 5, Some(6), false, "retry 1800s"),
            (retry(), 6, Some(6), false, "bury exhausted/unavailable"),
            (retry(), 7, Some(6), false, "bury exhausted/unavailable"),
            (retry(), 1, Some(1), false, "bury exhausted/unavailable"),
            (retry(), 1_000_000, None, false, "retry 1800s"),
            (retry(), 2, Some(6), true, "release"),
            (retry(), 6, Some(6), true, "release"),
            (reject(), 1, Some(6), false, "bury schema/invalid-request"),
            (reject(), 1, None, true, "bury schema/invalid-request"),
            (reject(), 6, Some(6), false, "bury schema/invalid-request"),
            (halt(), 1, Some(6), false, "halt"),
            (halt(), 6, Some(6), true, "halt"),
            (Ended::Panicked { times: 1 }, 1, Some(6), false, "retry 5s"),
            (Ended::Panicked { times: 2 }, 2, Some(6), false, "retry 30s"),
            (Ended::Panicked { times: 3 }, 3, Some(6), false, "bury panic/internal"),
            (Ended::Panicked { times: 1 }, 6, Some(6), false, "bury panic/internal"),
            (Ended::Panicked { times: 1 }, 4, None, false, "retry 600s"),
            (Ended::Abandoned, 1, Some(6), true, "release"),
            (Ended::Abandoned, 6, Some(6), true, "release"),
        ];
        for (ended, attempt, max_deliver, stopping, expected) in table {
            let policy = Policy {
                max_deliver,
                delays: super::super::RETRY_DELAYS.to_vec(),
                stopping,
            };
            let found = short(&decide(&ended, attempt, &policy));
            assert_eq!(
                found, expected,
                "{ended:?}, attempt {attempt} of {max_deliver:?}, stopping {stopping}"
            );
        }
    }

    #[test]
    fn no_delay_is_zero() {
        let policy = Policy {
            max_deliver: None,
            delays: vec![Duration::ZERO],
            stopping: false,
        };
        let Disposition::Retry { delay, .. } = decide(&retry(), 1, &policy) else {
            panic!("not retried")
        };
        assert!(delay > Duration::ZERO);
    }
}
