//! The two messages of an object version on `JOIN`, for the joiner.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use cofferdam_schemas::{ObjectId, TenantName};

use super::{Bus, Outgoing};
use crate::error::{NatsError, PublishError};
use crate::subject::{Join, JoinKind};
use crate::topology::JOIN;

/// What `JOIN` has about an object version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinRecord {
    /// Nothing.
    Nothing,
    /// It was spilled.
    State {
        /// The sequence the next state must expect.
        sequence: u64,
        /// The state, as it was written.
        body: Bytes,
    },
    /// It is final.
    Done,
}

/// What became of a state that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWritten {
    /// It is there, at this sequence.
    At(u64),
    /// Somebody wrote since (or this call did, and the acknowledgement got lost): read again, merge, write again.
    Conflict,
}

impl Bus {
    /// The last thing `JOIN` has about an object version, from the stream's leader. What the store of final states knows
    /// counts as well: a `done` does not stay for ever.
    pub async fn join_record(&self, tenant: &TenantName, object: &ObjectId) -> Result<JoinRecord, NatsError> {
        let what = || "reading JOIN".to_owned();
        let stream = self.jetstream().get_stream_no_info(JOIN).await;
        let stream = stream.map_err(|source| NatsError::Client {
            what: what(),
            source: Box::new(source),
        })?;
        let subject = Join::either(tenant, object);
        let last = match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(last) => Some(last),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
            Err(source) => {
                return Err(NatsError::Client {
                    what: what(),
                    source: Box::new(source),
                });
            }
        };
        let record = match last {
            None => JoinRecord::Nothing,
            Some(last) => match last.subject.parse::<Join>()?.kind {
                JoinKind::Done => return Ok(JoinRecord::Done),
                JoinKind::State => JoinRecord::State {
                    sequence: last.sequence,
                    body: last.payload,
                },
            },
        };
        // Only objects that are open for long are looked up, so there is no need to be sparing.
        let finished = self.finished_before(tenant, object).await;
        let finished = finished.map_err(|source| NatsError::Client {
            what: what(),
            source: Box::new(source),
        })?;
        Ok(if finished { JoinRecord::Done } else { record })
    }

    /// Writes the state of an open object version if the last message about it is still the one at `expected` (0: there
    /// is none, and no `done` either).
    pub async fn write_join_state(
        &self,
        tenant: &TenantName,
        object: &ObjectId,
        body: Bytes,
        expected: u64,
    ) -> Result<StateWritten, PublishError> {
        let message = Outgoing {
            kind: "join-state",
            subject: Join {
                kind: JoinKind::State,
                tenant: tenant.clone(),
                object: *object,
            }
            .to_string(),
            stream: JOIN,
            id: None,
            headers: HeaderMap::new(),
            body,
            expect: Some((Join::either(tenant, object), expected)),
        };
        Ok(self
            .publish_expecting(message)
            .await?
            .map_or(StateWritten::Conflict, |published| StateWritten::At(published.seq)))
    }
}
