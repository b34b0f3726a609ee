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
    Done {
        /// The sequence of the `done`.
        sequence: u64,
    },
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
    /// The last thing `JOIN` has about an object version, from the stream's leader.
    pub async fn join_record(&self, tenant: &TenantName, object: &ObjectId) -> Result<JoinRecord, NatsError> {
        let what = || "reading JOIN".to_owned();
        let stream = self.jetstream().get_stream_no_info(JOIN).await;
        let stream = stream.map_err(|source| NatsError::Client {
            what: what(),
            source: Box::new(source),
        })?;
        let subject = Join::either(tenant, object);
        let last = match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(last) => last,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(JoinRecord::Nothing),
            Err(source) => {
                return Err(NatsError::Client {
                    what: what(),
                    source: Box::new(source),
                });
            }
        };
        Ok(match last.subject.parse::<Join>()?.kind {
            JoinKind::State => JoinRecord::State {
                sequence: last.sequence,
                body: last.payload,
            },
            JoinKind::Done => JoinRecord::Done {
                sequence: last.sequence,
            },
        })
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
