//! Removing the states of finished objects.
//!
//! An object that was open for long leaves a state on `JOIN`, and its `done` does not remove it.

use crate::bus::Bus;
use crate::error::NatsError;
use crate::subject::{Join, JoinKind};
use crate::topology::JOIN;

/// States looked at in one sweep.
const MOST: usize = 500;

/// Goes round all states, a part at a time.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next: u64,
}

impl Sweep {
    pub(super) async fn run(&mut self, bus: &Bus) -> Result<u64, NatsError> {
        let mut removed = 0;
        for _ in 0..MOST {
            let Some(message) = bus.first_from(JOIN, self.next.max(1), Join::ALL_STATES).await? else {
                self.next = 0;
                break;
            };
            self.next = message.seq + 1;
            let Ok(state) = message.subject.parse::<Join>() else {
                continue;
            };
            if is_final(bus, &state).await? {
                removed += bus.purge(JOIN, Some(&message.subject), message.seq + 1).await?;
            }
        }
        if removed > 0 {
            tracing::debug!(removed, "states of finished objects are removed");
        }
        Ok(removed)
    }
}

/// A `done` is there, or was. Nobody writes a state after that, so what is read here stays true.
async fn is_final(bus: &Bus, state: &Join) -> Result<bool, NatsError> {
    let done = Join {
        kind: JoinKind::Done,
        ..state.clone()
    };
    if bus.first_from(JOIN, 1, &done.to_string()).await?.is_some() {
        return Ok(true);
    }
    bus.finished_before(&state.tenant, &state.object)
        .await
        .map_err(|source| NatsError::Client {
            what: "asking for a final state".to_owned(),
            source: Box::new(source),
        })
}
