//! `delete` removes every copy, may be repeated, and touches nothing else.

use cofferdam_schemas::ErrorCode;
use serde_json::json;

use super::*;

fn by_id(record: &ObjectRecord) -> serde_json::Value {
    json!({"select": {"object": record.object.id}})
}

#[tokio::test]
async fn every_copy_goes() {
    let bench = Bench::new().await;
    let other = bench.finished("other.txt", text(10), ObjectState::Done).await;
    let namesake = bench.finished("elsewhere/a.txt", text(20), ObjectState::Done).await;
    let record = bench.finished("in/a.txt", text(30), ObjectState::Done).await;
    for (id, record) in [("r1", &record), ("r2", &record), ("r3", &other), ("r4", &namesake)] {
        bench.send("retrieve", id, by_id(record)).await.unwrap();
    }
    let outcome = bench
        .send("delete", "d1", json!({"select": {"key": "in/a.txt"}}))
        .await
        .unwrap();
    assert_eq!(outcome.object, Some(record.object.id));
    assert_eq!(
        (&outcome.values["object"], &outcome.values["key"]),
        (&json!(record.object.id), &json!("in/a.txt"))
    );
    assert_eq!(outcome.values["outbox_copies"], 2);
    assert_eq!(bench.keys_in(bench.vault()).await.len(), 2);
    let left = bench.keys_in(bench.outbox()).await;
    assert!(
        left.len() == 2 && left[0].contains("/r3/") && left[1].contains("/r4/"),
        "{left:?}"
    );
    assert_eq!(bench.rig.landed().await.len(), 2);

    let refused = bench.send("retrieve", "r5", by_id(&record)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    assert!(refused.message.contains("was deleted"), "{}", refused.message);
    // Again, by the same command and by another.
    for id in ["d1", "d2"] {
        let again = bench.send("delete", id, by_id(&record)).await.unwrap();
        assert_eq!(again.values["outbox_copies"], 0);
    }
    assert_eq!(bench.keys_in(bench.vault()).await.len(), 2);
}

#[tokio::test]
async fn a_newer_document_under_the_same_key_stays() {
    let bench = Bench::new().await;
    let record = bench.finished("a.txt", text(10), ObjectState::Done).await;
    bench.land("a.txt", text(20)).await;
    bench.send("delete", "d1", by_id(&record)).await.unwrap();
    assert_eq!(bench.rig.landed().await.len(), 1);
}

#[tokio::test]
async fn final_states_only() {
    let bench = Bench::new().await;
    for (state, deletable) in [
        (ObjectState::Open, false),
        (ObjectState::Dead, false),
        (ObjectState::Done, true),
        (ObjectState::Released, true),
        (ObjectState::Superseded, true),
    ] {
        let record = bench.finished(state.as_str(), text(10), state).await;
        let answer = bench.send("delete", "d1", by_id(&record)).await;
        match answer {
            Ok(_) => assert!(deletable, "{state:?}"),
            Err(error) => {
                assert!(!deletable, "{state:?}");
                assert_eq!(
                    (error.code, error.details["state"].as_str()),
                    (ErrorCode::NotReady, state.as_str())
                );
                assert_eq!(error.request_id.as_str(), "d1");
            }
        }
        assert_eq!(
            read(bench.vault(), record.sealed.unwrap().key.as_str()).await.is_err(),
            deletable
        );
    }
}

#[tokio::test]
async fn whichever_step_fails_the_repeated_command_finishes() {
    let bench = Bench::new().await;
    let mut step = 0;
    loop {
        let record = bench
            .finished(&format!("{step}.txt"), text(10), ObjectState::Done)
            .await;
        bench
            .send("retrieve", &format!("r{step}"), by_id(&record))
            .await
            .unwrap();
        let (handler, job) = (bench.handler("delete"), bench.command("delete", "d", by_id(&record)));
        bench.rig.fail_step(step);
        let answer = handler.handle(&job).await;
        let met = bench.rig.steps() > step;
        bench.rig.heal();
        if let Err(error) = &answer {
            assert_eq!(
                error.class(),
                cofferdam_processor::ErrorClass::Retry,
                "step {step}: {error}"
            );
        }
        handler.handle(&job).await.unwrap().unwrap();
        assert!(bench.rig.effects().await.is_empty(), "step {step}");
        assert!(bench.rig.landed().await.is_empty(), "step {step}");
        if !met {
            break;
        }
        assert!(answer.is_err(), "step {step} failed and nobody noticed");
        step += 1;
    }
    assert!(step > 6, "only {step} steps");
}

#[tokio::test]
async fn bodies_are_checked() {
    let handler = Bench::new().await.handler("delete");
    handler
        .check(&json!({"id": "c1", "select": {"key": "a", "bucket": "inbox"}}))
        .unwrap();
    for body in [
        json!({}),
        json!({"select": {}}),
        json!({"select": {"key": "a"}, "force": true}),
        json!("a"),
    ] {
        assert!(handler.check(&body).is_err(), "{body}");
    }
}
