//! `retrieve` gives out exactly what was sealed, to whom it belongs, for the time that was asked for.

use std::sync::Mutex;

use cofferdam_processor::ErrorClass;
use cofferdam_schemas::{ErrorCode, ObjectId};
use cofferdam_seams::ObjectStore;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::stores::{Short, Spy};
use super::*;
use crate::retrieve::Retrieve;

const NOW_S: u64 = 1_767_225_600;

fn key_of(outcome: &CommandOutcome) -> String {
    outcome.values["url"]
        .as_str()
        .unwrap()
        .strip_prefix("memory:outbox/")
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_whole_document() {
    let bench = Bench::new().await;
    for size in [0, 1, 16_384, 70_000, (2 << 20) + 5] {
        let body = text(size);
        let record = bench
            .finished(&format!("in/{size} päge.txt"), body.clone(), ObjectState::Done)
            .await;
        let id = format!("c{size}");
        let outcome = bench
            .send("retrieve", &id, json!({"select": {"object": record.object.id}}))
            .await
            .unwrap();
        let key = key_of(&outcome);
        assert_eq!(key, format!("default/{}/{id}/{size} päge.txt", NOW_S + 900));
        assert!(read(bench.outbox(), &key).await.unwrap() == body, "{size}");
        let v = &outcome.values;
        assert_eq!(
            (&v["size"], &v["start"], &v["end"], &v["total_size"]),
            (&json!(size), &json!(0), &json!(size), &json!(size))
        );
        assert_eq!(v["sha256"], hex::encode(Sha256::digest(&body)));
        assert_eq!(
            (&v["content_type"], &v["key"]),
            (&json!("text/plain"), &json!(record.object.key))
        );
        assert_eq!(v["expires_at"], json!(at((NOW_S as i64 + 900) * 1000)));
        assert_eq!(outcome.object, Some(record.object.id));
        let meta = bench
            .outbox()
            .store
            .head(&bench.outbox().at(ObjectKey::new(key).unwrap()))
            .await
            .unwrap();
        assert_eq!(meta.content_type.as_deref(), Some("text/plain"));
    }
}

#[tokio::test]
async fn the_same_command_gives_the_same_copy() {
    let bench = Bench::new().await;
    let record = bench.finished("a.txt", text(100), ObjectState::Done).await;
    let body = json!({"select": {"object": record.object.id}, "expires_s": 600});
    let job = bench.command("retrieve", "c1", body);
    let first = bench.handler("retrieve").handle(&job).await.unwrap().unwrap();
    let effects = bench.rig.effects().await;
    bench.rig.clock.advance_millis(300_000);
    let second = bench.handler("retrieve").handle(&job).await.unwrap().unwrap();
    assert_eq!(first, second);
    assert_eq!(bench.rig.effects().await, effects);
    // All at once.
    let (handler, job) = (
        bench.handler("retrieve"),
        CommandJob {
            command: Command {
                id: CommandId::new("c2").unwrap(),
                ..job.command
            },
            ..job
        },
    );
    let both = futures::future::join_all((0..4).map(|_| handler.handle(&job))).await;
    let both: Vec<_> = both.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert!(both.iter().all(|one| *one == both[0]));
    assert_eq!(bench.keys_in(bench.outbox()).await.len(), 2);
}

/// Found by `cargo xtask prove --seed 302`: the second delivery of a command by key took the newer version, met the
/// first one's copy under its id, and turned a result that was `done` into a refusal.
#[tokio::test]
async fn a_command_by_key_keeps_the_version_it_took_first() {
    let bench = Bench::new().await;
    let older = bench.finished("a.txt", text(100), ObjectState::Done).await;
    let body = json!({"select": {"key": "a.txt"}});
    let first = bench.send("retrieve", "c1", body.clone()).await.unwrap();
    assert_eq!(first.object, Some(older.object.id));
    let newer = bench.finished("a.txt", text(200), ObjectState::Done).await;
    assert_eq!(bench.send("retrieve", "c1", body.clone()).await.unwrap(), first);
    let other = bench.send("retrieve", "c2", body).await.unwrap();
    assert_eq!(other.object, Some(newer.object.id));
    // Who names a version gets that one or none: here the id was used for the older.
    let named = json!({"select": {"object": newer.object.id}});
    let refused = bench.send("retrieve", "c1", named).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidRequest, "{}", refused.message);
    // Of another key it is still somebody else's id.
    bench.finished("b/a.txt", text(100), ObjectState::Done).await;
    let stolen = json!({"select": {"key": "b/a.txt"}});
    let refused = bench.send("retrieve", "c1", stolen).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidRequest, "{}", refused.message);
}

#[tokio::test]
async fn one_id_for_two_commands() {
    let bench = Bench::new().await;
    let record = bench.finished("a.txt", text(100), ObjectState::Done).await;
    let select = json!({"object": record.object.id});
    bench
        .send("retrieve", "c1", json!({"select": select, "end": 50}))
        .await
        .unwrap();
    for body in [json!({"select": select}), json!({"select": select, "start": 50})] {
        let refused = bench.send("retrieve", "c1", body).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidRequest, "{}", refused.message);
    }
}

#[tokio::test]
async fn ranges() {
    let bench = Bench::new().await;
    for size in [20_u64, 40_000, 3 << 20] {
        let body = text(size as usize);
        let record = bench
            .finished(&format!("{size}"), body.clone(), ObjectState::Done)
            .await;
        let middle = size / 2;
        let ranges = [
            (Some(0), Some(1)),
            (Some(middle), Some(middle + 7)),
            (Some(size - 1), None),
            (None, Some(size - 1)),
            (Some(3), Some(size)),
            (Some(16_380.min(middle)), Some(16_390.min(size))),
        ];
        for (n, (start, end)) in ranges.into_iter().enumerate() {
            let request = json!({"select": {"object": record.object.id}, "start": start, "end": end});
            let outcome = bench.send("retrieve", &format!("c{size}-{n}"), request).await.unwrap();
            let wanted = start.unwrap_or(0)..end.unwrap_or(size);
            let got = read(bench.outbox(), &key_of(&outcome)).await.unwrap();
            assert!(
                got == body[wanted.start as usize..wanted.end as usize],
                "{wanted:?} of {size}"
            );
            let v = &outcome.values;
            assert_eq!(
                (&v["start"], &v["end"], &v["total_size"]),
                (&json!(wanted.start), &json!(wanted.end), &json!(size))
            );
            assert_eq!(v["size"], wanted.end - wanted.start);
            assert!(!v.contains_key("sha256"));
        }
    }
}

impl Bench {
    /// A handler whose vault is seen through another store.
    fn retrieve_through(&self, store: Arc<dyn ObjectStore>) -> Retrieve {
        let mut vault = self.encrypt.vault().clone();
        vault.place.store = store;
        let (catalog, clock) = (self.rig.deps.catalog.clone(), self.rig.deps.clock.clone());
        Retrieve {
            catalog,
            vault,
            quarantine: self.rig.deps.stores.quarantine.clone(),
            outbox: self.outbox().clone(),
            clock,
        }
    }
}

#[tokio::test]
async fn a_range_reads_the_head_and_the_chunks_it_lies_in() {
    let bench = Bench::new().await;
    let record = bench.finished("large", text(4 << 20), ObjectState::Done).await;
    let spy = Arc::new(Spy {
        inner: bench.vault().store.clone(),
        ranges: Mutex::default(),
    });
    let handler = bench.retrieve_through(spy.clone());
    let body = json!({"select": {"object": record.object.id}, "start": 2_000_000, "end": 2_000_100});
    handler
        .handle(&bench.command("retrieve", "c1", body))
        .await
        .unwrap()
        .unwrap();
    let ranges = std::mem::take(&mut *spy.ranges.lock().unwrap());
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert_eq!(ranges[0], Some(0..65_536));
    let second = ranges[1].clone().unwrap();
    assert!(
        second.start > 1_990_000 && second.end - second.start == 16_400,
        "{second:?}"
    );
    // Near the front one read is enough.
    let body = json!({"select": {"object": record.object.id}, "start": 10, "end": 30_000});
    handler
        .handle(&bench.command("retrieve", "c2", body))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*spy.ranges.lock().unwrap(), [Some(0..65_536)]);
}

#[tokio::test]
async fn a_short_read_is_not_given_out() {
    let bench = Bench::new().await;
    let record = bench.finished("a", text(200_000), ObjectState::Done).await;
    let handler = bench.retrieve_through(Arc::new(Short(bench.vault().store.clone())));
    for (id, part) in [("c1", json!({})), ("c2", json!({"start": 100_000, "end": 100_001}))] {
        let mut body = json!({"select": {"object": record.object.id}});
        body.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        let refused = handler
            .handle(&bench.command("retrieve", id, body))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::CannotOpen);
    }
    assert!(bench.keys_in(bench.outbox()).await.is_empty());
}

#[tokio::test]
async fn what_does_not_open_is_not_given_out() {
    let bench = Bench::new().await;
    let record = bench.finished("a", text(200_000), ObjectState::Done).await;
    let key = record.sealed.as_ref().unwrap().key.to_string();
    let good = read(bench.vault(), &key).await.unwrap();
    let last = good.len() - 1;
    for (n, place) in [0, 12, 60, 300, 2600, 5000, 6200, 100_000, last]
        .into_iter()
        .enumerate()
    {
        let mut bad = good.clone();
        bad[place] ^= 4;
        overwrite(bench.vault(), &key, bad).await;
        let body = json!({"select": {"object": record.object.id}});
        let refused = bench.send("retrieve", &format!("c{n}"), body).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::CannotOpen, "byte {place}");
        assert!(
            refused.message.contains("finds the reason in the log"),
            "{}",
            refused.message
        );
    }
    assert!(bench.keys_in(bench.outbox()).await.is_empty());
    bench
        .vault()
        .store
        .delete(&bench.vault().at(ObjectKey::new(key).unwrap()))
        .await
        .unwrap();
    let refused = bench
        .send("retrieve", "gone", json!({"select": {"object": record.object.id}}))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Damaged);
}

#[tokio::test]
async fn another_objects_seal_is_not_given_out() {
    let bench = Bench::new().await;
    let one = bench.finished("one", text(100), ObjectState::Done).await;
    let two = bench.finished("two", text(100), ObjectState::Done).await;
    let sealed = |record: &ObjectRecord| record.sealed.as_ref().unwrap().key.to_string();
    overwrite(
        bench.vault(),
        &sealed(&one),
        read(bench.vault(), &sealed(&two)).await.unwrap(),
    )
    .await;
    let refused = bench
        .send("retrieve", "c1", json!({"select": {"object": one.object.id}}))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::CannotOpen);
}

#[tokio::test]
async fn a_copy_that_is_not_the_one_in_the_catalog_is_not_given_out() {
    let bench = Bench::new().await;
    let mut record = bench.finished("a", text(100), ObjectState::Done).await;
    record.sealed.as_mut().unwrap().plaintext_sha256 = "00".repeat(32);
    bench.rig.record(record.clone());
    let body = json!({"select": {"object": record.object.id}});
    assert_eq!(
        bench.send("retrieve", "c1", body.clone()).await.unwrap_err().code,
        ErrorCode::CannotOpen
    );
    record.sealed.as_mut().unwrap().plaintext_size = 99;
    bench.rig.record(record);
    assert_eq!(
        bench.send("retrieve", "c2", body).await.unwrap_err().code,
        ErrorCode::CannotOpen
    );
    assert!(bench.keys_in(bench.outbox()).await.is_empty());
}

/// Subscribers hear `done` before the row is there: who asks at once was told that the document is not ready.
#[tokio::test]
async fn a_document_that_is_about_to_be_final_is_waited_for() {
    let bench = Bench::new().await;
    let mut record = bench.finished("late", text(10), ObjectState::Open).await;
    let row = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        record.state = ObjectState::Done;
        bench.rig.record(record.clone());
    };
    let body = json!({"select": {"key": "late"}});
    let (answer, ()) = tokio::join!(bench.send("retrieve", "c1", body), row);
    answer.unwrap();
}

#[tokio::test]
async fn what_may_not_be_given_out_is_refused_with_its_code() {
    let bench = Bench::new().await;
    for (state, code) in [
        (ObjectState::Open, ErrorCode::NotReady),
        (ObjectState::Dead, ErrorCode::NotReady),
        (ObjectState::Quarantined, ErrorCode::Quarantined),
        (ObjectState::Deleted, ErrorCode::NotFound),
    ] {
        let record = bench.finished(state.as_str(), text(10), state).await;
        let refused = bench
            .send("retrieve", "c1", json!({"select": {"object": record.object.id}}))
            .await
            .unwrap_err();
        assert_eq!(refused.code, code, "{state:?}");
        assert!(
            refused.message.contains(&record.object.id.to_string()),
            "{}",
            refused.message
        );
        assert_eq!(
            (refused.time, refused.request_id.as_str()),
            (bench.rig.clock.now(), "c1")
        );
    }
    // The verdict counts even if a row's state says otherwise.
    let mut record = bench.finished("odd", text(10), ObjectState::Done).await;
    record.verdict = Some(Verdict::Quarantine);
    bench.rig.record(record.clone());
    let refused = bench
        .send("retrieve", "c1", json!({"select": {"key": "odd"}}))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Quarantined);
    // Replaced before it was sealed; and replaced after it.
    record = bench.finished("replaced", text(10), ObjectState::Superseded).await;
    let body = json!({"select": {"object": record.object.id}});
    bench.send("retrieve", "c2", body.clone()).await.unwrap();
    record.sealed = None;
    bench.rig.record(record);
    assert_eq!(
        bench.send("retrieve", "c3", body).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    for select in [
        json!({"object": ObjectId(uuid::Uuid::from_u128(7))}),
        json!({"key": "none"}),
        json!({"key": "odd", "bucket": "other"}),
    ] {
        assert_eq!(
            bench
                .send("retrieve", "c4", json!({"select": select}))
                .await
                .unwrap_err()
                .code,
            ErrorCode::NotFound
        );
    }
    let copies = bench.keys_in(bench.outbox()).await;
    assert!(copies.len() == 1 && copies[0].contains("/c2/"), "{copies:?}");
}

#[tokio::test]
async fn another_tenants_object_is_not_there() {
    let bench = Bench::new().await;
    let record = bench.finished("a", text(10), ObjectState::Done).await;
    let mut job = bench.command("retrieve", "c1", json!({"select": {"object": record.object.id}}));
    job.command.tenant = TenantName::new("other").unwrap();
    let refused = bench.handler("retrieve").handle(&job).await.unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn ranges_outside_the_document() {
    let bench = Bench::new().await;
    let record = bench.finished("a", text(100), ObjectState::Done).await;
    for (start, end) in [
        (100, None),
        (u64::MAX, None),
        (100, Some(200)),
        (u64::MAX - 1, Some(u64::MAX)),
    ] {
        let body = json!({"select": {"object": record.object.id}, "start": start, "end": end});
        let refused = bench.send("retrieve", "c1", body).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.details["size"].as_str()),
            (ErrorCode::InvalidRange, "100")
        );
    }
    assert!(bench.keys_in(bench.outbox()).await.is_empty());
}

#[tokio::test]
async fn an_end_behind_the_document_is_brought_to_it() {
    let bench = Bench::new().await;
    let body = text(100);
    let record = bench.finished("a", body.clone(), ObjectState::Done).await;
    for (n, (start, end)) in [(0, 101), (99, u64::MAX), (40, 100_000)].into_iter().enumerate() {
        let request = json!({"select": {"object": record.object.id}, "start": start, "end": end});
        let outcome = bench.send("retrieve", &format!("c{n}"), request).await.unwrap();
        let (got, v) = (read(bench.outbox(), &key_of(&outcome)).await.unwrap(), &outcome.values);
        assert_eq!(got, body[start as usize..], "{start}..{end}");
        assert_eq!(
            (&v["start"], &v["end"], &v["size"]),
            (&json!(start), &json!(100), &json!(100 - start))
        );
        assert_eq!(v.contains_key("sha256"), start == 0);
    }
}

#[tokio::test]
async fn a_command_that_waited_too_long() {
    let bench = Bench::new().await;
    let record = bench.finished("a", text(100), ObjectState::Done).await;
    let job = bench.command(
        "retrieve",
        "c1",
        json!({"select": {"object": record.object.id}, "expires_s": 60}),
    );
    bench.rig.clock.advance_millis(60_000);
    let refused = bench.handler("retrieve").handle(&job).await.unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::LimitExceeded);
    assert!(bench.keys_in(bench.outbox()).await.is_empty());
}

#[tokio::test]
async fn bodies_are_checked() {
    let handler = Bench::new().await.handler("retrieve");
    let id = "0190b1f0-0000-7000-8000-000000000000";
    for body in [
        json!({"select": {"object": id}}),
        json!({"select": {"key": "a"}, "start": 1, "end": 2, "expires_s": 60, "id": "c1"}),
        json!({"select": {"key": "a", "bucket": "inbox"}, "end": 1, "expires_s": 604_800}),
    ] {
        handler.check(&body).unwrap();
    }
    for (body, says) in [
        (json!(null), "null"),
        (json!({}), "select"),
        (json!({"select": {}}), "neither object nor key"),
        (json!({"select": {"object": id, "key": "a"}}), "both object and key"),
        (json!({"select": {"object": id, "bucket": "inbox"}}), "bucket"),
        (json!({"select": {"object": "x"}}), "UUID"),
        (json!({"select": {"key": ""}}), "empty"),
        (json!({"select": {"key": "a", "name": "b"}}), "name"),
        (json!({"select": {"key": "a"}, "stort": 1}), "stort"),
        (json!({"select": {"key": "a"}, "start": -1}), "-1"),
        (json!({"select": {"key": "a"}, "start": 2, "end": 2}), "not before"),
        (json!({"select": {"key": "a"}, "end": 0}), "not before"),
        (json!({"select": {"key": "a"}, "expires_s": 59}), "59"),
        (json!({"select": {"key": "a"}, "expires_s": 604_801}), "604801"),
    ] {
        let error = handler.check(&body).unwrap_err();
        assert!(error.contains(says), "{body}: {error}");
    }
}

#[tokio::test]
async fn whichever_step_fails_the_repeated_command_succeeds() {
    let bench = Bench::new().await;
    let body = text(100_000);
    for (name, request) in [("whole", json!({})), ("part", json!({"start": 90_000, "end": 90_010}))] {
        let record = bench.finished(name, body.clone(), ObjectState::Done).await;
        let mut step = 0;
        loop {
            let mut request = request.clone();
            request["select"] = json!({"object": record.object.id});
            let (handler, job) = (
                bench.handler("retrieve"),
                bench.command("retrieve", &format!("{name}{step}"), request),
            );
            bench.rig.fail_step(step);
            let answer = handler.handle(&job).await;
            let met = bench.rig.steps() > step;
            bench.rig.heal();
            if !met {
                answer.unwrap().unwrap();
                break;
            }
            let error = answer.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Retry, "step {step}: {error}");
            let outcome = handler.handle(&job).await.unwrap().unwrap();
            let got = read(bench.outbox(), &key_of(&outcome)).await.unwrap();
            let wanted = job.command.body["start"].as_u64().unwrap_or(0) as usize
                ..job.command.body["end"].as_u64().unwrap_or(100_000) as usize;
            assert!(got == body[wanted], "step {step}");
            step += 1;
        }
        assert!(step > 7, "only {step} steps");
    }
}

#[tokio::test]
async fn a_cancelled_command_leaves_nothing() {
    let bench = Bench::new().await;
    let record = bench.finished("a", text(100), ObjectState::Done).await;
    let job = bench.command("retrieve", "c1", json!({"select": {"object": record.object.id}}));
    job.cancelled.cancel();
    match bench.handler("retrieve").handle(&job).await {
        Err(ProcessError::Cancelled) => assert!(bench.keys_in(bench.outbox()).await.is_empty()),
        // It was done before it looked.
        Ok(Ok(_)) => {}
        other => panic!("{other:?}"),
    }
}
