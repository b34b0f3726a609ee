//! The background task that deletes retrieved copies whose time has passed.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_schemas::TenantName;
use cofferdam_seams::{Clock, Place};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::keys::KeyRing;
use crate::outbox;

/// How long an expired copy may stay at most, if the store answers. Its URL ends with its time in any case.
pub(crate) const EVERY: Duration = Duration::from_secs(15);

/// What is swept.
pub(crate) struct Sweep {
    pub(crate) outbox: Place,
    pub(crate) tenants: Vec<TenantName>,
    pub(crate) ring: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) every: Duration,
}

impl Sweep {
    /// Sweeps until it is stopped. An outbox that does not answer is a warning and is tried again. Renews the signing
    /// key on the way, when it is due.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = once(&self.outbox, &self.tenants, self.clock.as_ref()) => {}
            }
            renew(&self.ring, self.clock.as_ref()).await;
        }
    }
}

async fn once(place: &Place, tenants: &[TenantName], clock: &dyn Clock) {
    for tenant in tenants {
        match outbox::sweep(place, tenant, clock.now()).await {
            Ok(swept) if swept == outbox::Swept::default() => {}
            Ok(swept) => tracing::debug!(%tenant, deleted = swept.deleted, failed = swept.failed, "outbox swept"),
            Err(error) => tracing::warn!(%tenant, error = &error as &dyn std::error::Error, "outbox cannot be swept"),
        }
    }
}

async fn renew(ring: &KeyRing, clock: &dyn Clock) {
    let now = clock.now();
    if !ring.signer_ends_soon(now) {
        return;
    }
    let ring = ring.clone();
    match tokio::task::spawn_blocking(move || ring.renew_signer(now)).await {
        Ok(Ok(())) => tracing::warn!("signing key was renewed: back up the key ring again"),
        Ok(Err(error)) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "signing key cannot be renewed"
        ),
        Err(error) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "signing key cannot be renewed"
        ),
    }
}
