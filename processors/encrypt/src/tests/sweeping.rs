//! Copies in the outbox go when their time has passed, and not before.

use std::time::Duration;

use super::*;
use crate::outbox::{self, Swept};
use crate::sweep::Sweep;

const NOW_S: i64 = 1_767_225_600;

async fn copy(bench: &Bench, tenant: &str, expiry: i64, name: &str) -> String {
    let key = format!("{tenant}/{expiry:010}/{name}/document");
    overwrite(bench.outbox(), &key, b"x".to_vec()).await;
    key
}

async fn sweep(bench: &Bench, now_s: i64) -> Swept {
    outbox::sweep(bench.outbox(), &TenantName::new("default").unwrap(), at(now_s * 1000))
        .await
        .unwrap()
}

#[tokio::test]
async fn only_what_has_expired_and_only_the_tenants_own() {
    let bench = Bench::new().await;
    copy(&bench, "default", NOW_S - 100, "old").await;
    copy(&bench, "default", NOW_S, "now").await;
    let kept = copy(&bench, "default", NOW_S + 1, "next").await;
    let other = copy(&bench, "default-2", NOW_S - 100, "other").await;
    let strange = "default/readme.txt".to_owned();
    overwrite(bench.outbox(), &strange, b"x".to_vec()).await;
    assert_eq!(sweep(&bench, NOW_S).await, Swept { deleted: 2, failed: 0 });
    assert_eq!(bench.keys_in(bench.outbox()).await, [other, kept, strange]);
    assert_eq!(sweep(&bench, NOW_S).await, Swept::default());
}

#[tokio::test]
async fn more_than_a_page() {
    let bench = Bench::new().await;
    for n in 0..2050 {
        copy(&bench, "default", NOW_S - n, "x").await;
    }
    assert_eq!(
        sweep(&bench, NOW_S).await,
        Swept {
            deleted: 2050,
            failed: 0
        }
    );
    assert!(bench.keys_in(bench.outbox()).await.is_empty());
}

#[tokio::test]
async fn one_that_cannot_be_deleted_does_not_stop_the_others() {
    let bench = Bench::new().await;
    for n in 1..=3 {
        copy(&bench, "default", NOW_S - n, "x").await;
    }
    // Step 0 is the listing; each delete is two steps, the first before its effect.
    bench.rig.fail_step(3);
    assert_eq!(sweep(&bench, NOW_S).await, Swept { deleted: 2, failed: 1 });
    bench.rig.heal();
    assert_eq!(sweep(&bench, NOW_S).await, Swept { deleted: 1, failed: 0 });
}

/// Waits until the outbox holds so many objects.
async fn until(bench: &Bench, count: usize) {
    for _ in 0..2000 {
        // Not through the rig's store: its steps are counted.
        if bench.rig.effects().await.len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?} instead of {count} objects", bench.rig.effects().await);
}

#[tokio::test]
async fn the_task_runs_until_it_is_stopped() {
    let bench = Bench::new().await;
    // The one the processor started sweeps much more seldom than this test takes; it is stopped all the same.
    bench.rig.deps.stop.cancel();
    let sweep = Sweep {
        outbox: bench.outbox().clone(),
        tenants: bench.rig.deps.tenants.clone(),
        ring: bench.encrypt_ring(),
        clock: bench.rig.deps.clock.clone(),
        every: Duration::from_millis(2),
    };
    let signer = crate::crypto::Signer::key_id(bench.encrypt_ring().signer().as_ref());
    let stop = CancellationToken::new();
    let task = tokio::spawn(sweep.run(stop.clone()));
    copy(&bench, "default", NOW_S + 10, "x").await;
    copy(&bench, "default", NOW_S - 10, "y").await;
    until(&bench, 1).await;
    bench.rig.clock.advance_millis(11_000);
    until(&bench, 0).await;
    // A store that fails is asked again.
    copy(&bench, "default", NOW_S + 20, "z").await;
    bench.rig.fail_step(0);
    while bench.rig.steps() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bench.rig.clock.advance_millis(11_000);
    until(&bench, 0).await;
    // A year later there is a new signing key.
    bench.rig.clock.advance_millis(364 * 24 * 3600 * 1000);
    for _ in 0..2000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if crate::crypto::Signer::key_id(bench.encrypt_ring().signer().as_ref()) != signer {
            break;
        }
    }
    assert_ne!(
        crate::crypto::Signer::key_id(bench.encrypt_ring().signer().as_ref()),
        signer
    );
    stop.cancel();
    task.await.unwrap();
}
