//! `release` and `destroy`: a quarantined object's way out, with a reason, whatever fails on the way.

use cofferdam_schemas::ErrorCode;
use cofferdam_schemas::query::DecisionKind;
use cofferdam_seams::quarantine::{self, isolate};
use serde_json::json;

use super::*;

fn body(record: &ObjectRecord, reason: &str) -> serde_json::Value {
    json!({"select": {"object": record.object.id}, "reason": reason})
}

fn by_id(record: &ObjectRecord) -> serde_json::Value {
    json!({"select": {"object": record.object.id}})
}

impl Bench {
    fn quarantine(&self) -> &Place {
        &self.rig.deps.stores.quarantine
    }

    /// A quarantined object, isolated as the finaliser does it.
    async fn isolated(&self, key: &str) -> ObjectRecord {
        let record = self.finished(key, text(3000), ObjectState::Quarantined).await;
        let sealed = &record.sealed.as_ref().unwrap().key;
        assert!(isolate(self.vault(), self.quarantine(), sealed).await.unwrap());
        assert!(!isolate(self.vault(), self.quarantine(), sealed).await.unwrap());
        assert!(quarantine::is_marked(self.vault(), sealed).await.unwrap());
        record
    }

    async fn now(&self, record: &ObjectRecord) -> ObjectRecord {
        let select = cofferdam_schemas::Selector {
            object: Some(record.object.id),
            ..Default::default()
        };
        let tenant = &record.object.tenant;
        self.rig.deps.catalog.find(tenant, &select).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn released_it_is_given_out() {
    let bench = Bench::new().await;
    let record = bench.isolated("a.txt").await;
    let refused = bench.send("retrieve", "r1", by_id(&record)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Quarantined);
    let outcome = bench
        .send("release", "c1", body(&record, " false alarm "))
        .await
        .unwrap();
    assert_eq!(outcome.values["reason"], "false alarm");
    let now = bench.now(&record).await;
    assert_eq!((now.state, now.decisions.len()), (ObjectState::Released, 1));
    assert_eq!(
        (
            now.decisions[0].kind,
            now.decisions[0].command.as_str(),
            now.decisions[0].at
        ),
        (DecisionKind::Release, "c1", bench.rig.clock.now())
    );
    let sealed = &record.sealed.as_ref().unwrap().key;
    assert!(!quarantine::is_marked(bench.vault(), sealed).await.unwrap());
    bench.send("retrieve", "r2", by_id(&record)).await.unwrap();
    // The same command again says the same; another one has nothing to do.
    assert_eq!(
        bench.send("release", "c1", body(&record, "false alarm")).await.unwrap(),
        outcome
    );
    let refused = bench.send("release", "c2", body(&record, "again")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotQuarantined);
    let refused = bench.send("destroy", "c3", body(&record, "late")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotQuarantined);
    bench.send("delete", "c4", by_id(&record)).await.unwrap();
}

/// The decision is durable before the copy is back: what is asked for in between is read where it lies.
#[tokio::test]
async fn released_it_is_found_in_either_place() {
    let bench = Bench::new().await;
    let record = bench.isolated("a.txt").await;
    let sealed = record.sealed.clone().unwrap();
    bench.send("release", "c1", body(&record, "false alarm")).await.unwrap();
    assert!(isolate(bench.vault(), bench.quarantine(), &sealed.key).await.unwrap());
    for (n, range) in [json!({}), json!({"start": 1000, "end": 1010})].into_iter().enumerate() {
        let mut request = by_id(&record);
        request
            .as_object_mut()
            .unwrap()
            .extend(range.as_object().unwrap().clone());
        bench.send("retrieve", &format!("r{n}"), request).await.unwrap();
    }
    // And a destroyed one leaves nothing in either.
    bench.send("delete", "c2", by_id(&record)).await.unwrap();
    assert!(bench.keys_in(bench.quarantine()).await.is_empty());
}

#[tokio::test]
async fn destroyed_it_is_gone_and_the_reason_stays() {
    let bench = Bench::new().await;
    let record = bench.isolated("a.txt").await;
    let refused = bench.send("delete", "d1", by_id(&record)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Quarantined);
    assert!(refused.message.contains("destroy"), "{}", refused.message);
    let outcome = bench.send("destroy", "c1", body(&record, "malware")).await.unwrap();
    assert_eq!(outcome.values["reason"], "malware");
    assert!(bench.rig.effects().await.is_empty());
    let now = bench.now(&record).await;
    assert_eq!(
        (now.state, now.decisions[0].kind, now.decisions[0].reason.as_str()),
        (ObjectState::Deleted, DecisionKind::Destroy, "malware")
    );
    bench.send("destroy", "c1", body(&record, "malware")).await.unwrap();
    let refused = bench.send("retrieve", "r1", by_id(&record)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    let refused = bench
        .send("release", "c2", body(&record, "too late"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotQuarantined);
}

#[tokio::test]
async fn only_what_is_quarantined() {
    let bench = Bench::new().await;
    for (state, code) in [
        (ObjectState::Open, ErrorCode::NotReady),
        (ObjectState::Dead, ErrorCode::NotReady),
        (ObjectState::Done, ErrorCode::NotQuarantined),
        (ObjectState::Superseded, ErrorCode::NotQuarantined),
        (ObjectState::Deleted, ErrorCode::NotQuarantined),
    ] {
        let record = bench.finished(state.as_str(), text(10), state).await;
        for verb in ["release", "destroy"] {
            let refused = bench.send(verb, "c", body(&record, "because")).await.unwrap_err();
            assert_eq!(refused.code, code, "{verb} {state:?}");
        }
        assert!(read(bench.vault(), record.sealed.unwrap().key.as_str()).await.is_ok());
    }
}

#[tokio::test]
async fn a_reason_is_one_line() {
    let bench = Bench::new().await;
    for verb in ["release", "destroy"] {
        let handler = bench.handler(verb);
        let request = |reason: &str| json!({"select": {"key": "a"}, "reason": reason});
        handler.check(&request(&"ä".repeat(500))).unwrap();
        for bad in ["", "  ", "two\nlines", &"x".repeat(501)] {
            let refused = handler.check(&request(bad)).unwrap_err();
            assert!(refused.contains("reason"), "{refused}");
        }
        assert!(
            handler
                .check(&json!({"select": {"key": "a"}}))
                .unwrap_err()
                .contains("reason")
        );
    }
}

#[tokio::test]
async fn whichever_step_fails_the_repeated_command_finishes() {
    for verb in ["release", "destroy"] {
        let bench = Bench::new().await;
        let mut step = 0;
        loop {
            let record = bench.isolated(&format!("{step}.txt")).await;
            let sealed = record.sealed.clone().unwrap();
            let (handler, job) = (bench.handler(verb), bench.command(verb, "c", body(&record, "because")));
            bench.rig.fail_step(step);
            let answer = handler.handle(&job).await;
            let met = bench.rig.steps() > step;
            bench.rig.heal();
            // Until the object is destroyed, one of the places has it at every moment.
            let in_vault = quarantine::is_marked(bench.vault(), &sealed.key)
                .await
                .is_ok_and(|marked| !marked);
            let held = read(bench.quarantine(), sealed.key.as_str()).await.is_ok();
            if verb == "release" {
                assert!(in_vault || held, "step {step}");
            }
            handler.handle(&job).await.unwrap().unwrap();
            let in_vault = quarantine::is_marked(bench.vault(), &sealed.key)
                .await
                .is_ok_and(|marked| !marked);
            let held = read(bench.quarantine(), sealed.key.as_str()).await.is_ok();
            let released = verb == "release";
            assert_eq!((in_vault, held), (released, released), "{verb} step {step}");
            bench.send("delete", "d", by_id(&record)).await.unwrap();
            if !met {
                break;
            }
            assert!(answer.is_err(), "{verb} step {step} failed and nobody noticed");
            step += 1;
        }
        assert!(step > 6, "{verb}: only {step} steps");
    }
}

/// Seed 5000 of `prove`: an event that came again after its object was isolated was sealed again, into the vault and with another result.
#[tokio::test]
async fn what_is_isolated_is_not_sealed_again() {
    let bench = Bench::new().await;
    let (job, document) = bench.land("a.txt", text(3000)).await;
    let first = bench.process(&job, &document).await.unwrap();
    let sealed = first.sealed.clone().unwrap();
    assert!(isolate(bench.vault(), bench.quarantine(), &sealed.key).await.unwrap());
    for attempt in [1, 2] {
        let job = Job { attempt, ..job.clone() };
        let again = bench.process(&job, &document).await.unwrap().sealed.unwrap();
        assert_eq!(
            (&again.header, &again.bucket, again.size),
            (&sealed.header, &sealed.bucket, sealed.size)
        );
    }
    assert!(quarantine::is_marked(bench.vault(), &sealed.key).await.unwrap());
    assert_eq!(bench.keys_in(bench.quarantine()).await.len(), 1);
    // And when the plaintext has gone as well.
    bench.rig.remove(&job).await;
    let again = bench.process(&job, &document).await.unwrap().sealed.unwrap();
    assert_eq!(again.header, sealed.header);
}

/// Seed 5005 of `prove`: two isolations at once, by the sink and by the re-drive; the slower one took the marker of the faster for the sealed copy. Here one stands still
/// at each of its steps while everything else happens.
#[tokio::test]
async fn isolations_and_releases_at_once_lose_nothing() {
    for step in 0..40 {
        let bench = Bench::new().await;
        let record = bench.finished("a.txt", text(3000), ObjectState::Quarantined).await;
        let key = record.sealed.clone().unwrap().key;
        let (vault, held) = (bench.vault().clone(), bench.quarantine().clone());
        bench.rig.stall_step(step);
        let slow = tokio::spawn({
            let (vault, held, key) = (vault.clone(), held.clone(), key.clone());
            async move { isolate(&vault, &held, &key).await }
        });
        let stalled = bench.rig.stalled(&slow).await;
        if stalled {
            isolate(&vault, &held, &key).await.unwrap();
            bench.send("release", "c1", body(&record, "false alarm")).await.unwrap();
        }
        bench.rig.heal();
        slow.await.unwrap().unwrap();
        if !stalled {
            assert!(step > 4, "only {step} steps");
            return;
        }
        bench.send("retrieve", "r1", by_id(&record)).await.unwrap();
    }
    panic!("more steps than were thought of");
}
