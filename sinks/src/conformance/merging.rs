//! The state of an object is the same in whatever order and however often its messages arrive.

use cofferdam_schemas::query::{Decision, DecisionKind};
use cofferdam_schemas::{CommandId, FinalState, ObjectState, Outcome, Selector, Verb, Verdict};

use super::fixture::{at, command_result, done, event, object, plan, result, sealed, stamped, tenant};
use crate::catalog::select;
use crate::store::{Filter, Store};

async fn state(store: &dyn Store, object: &cofferdam_schemas::ObjectRef) -> ObjectState {
    store
        .object(&object.tenant, &object.id)
        .await
        .unwrap()
        .expect("object is known")
        .state
}

/// The ordinary way: open, then done, with everything that was said on the way.
pub async fn events_then_results_then_final(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "a report.pdf", 0);
    store.put_events(&[stamped(event(&doc), 1)]).await.unwrap();
    let row = store.object(&doc.tenant, &doc.id).await.unwrap().unwrap();
    assert_eq!((row.state, &row.object, &row.plan), (ObjectState::Open, &doc, &plan()));
    assert_eq!((row.verdict, row.sealed, row.finished_at), (None, None, None));
    assert_eq!(row.trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert!(!store.is_final(&doc.tenant, &doc.id).await.unwrap());

    store
        .put_results(&[stamped(result(&doc, "encrypt", Outcome::Done), 2)])
        .await
        .unwrap();
    let row = store.object(&doc.tenant, &doc.id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.sealed),
        (ObjectState::Open, Some(sealed(&doc))),
        "the sealed copy is known before the end"
    );

    store
        .put_results(&[stamped(result(&doc, "validate", Outcome::Done), 3)])
        .await
        .unwrap();
    store.put_final(&[stamped(done(&doc), 4)]).await.unwrap();
    let row = store.object(&doc.tenant, &doc.id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.verdict, row.sealed),
        (ObjectState::Done, Some(Verdict::Pass), Some(sealed(&doc)))
    );
    assert_eq!(
        (row.finished_at, row.detected_type.as_deref()),
        (Some(at(4)), Some("application/pdf"))
    );
    assert_eq!((&row.object, row.event), (&doc, doc.event_id(Verb::Put)));
    assert!(store.is_final(&doc.tenant, &doc.id).await.unwrap());

    let results = store.results_of(&doc.tenant, &doc.id).await.unwrap();
    let [first, second] = &results[..] else {
        panic!("two results: {results:?}")
    };
    assert_eq!(
        (first.processor.as_str(), first.outcome, first.started_at),
        ("encrypt", Outcome::Done, at(100))
    );
    assert_eq!(
        (second.verdict, second.findings.len(), second.findings_total),
        (Some(Verdict::Pass), 1, 1)
    );
    let events = store.events_of(&doc.tenant, &doc.id).await.unwrap();
    assert_eq!(
        events
            .iter()
            .map(|event| (event.stored_at, event.verb))
            .collect::<Vec<_>>(),
        [(at(1), Verb::Put)]
    );
}

/// Every order of five messages, each delivered twice, ends in the same rows.
pub async fn any_order_gives_the_same_rows(store: &dyn Store) {
    let tenant = tenant();
    let mut expected = None;
    // Twenty of the 120 orders, the extremes among them.
    for step in 0..20 {
        let doc = object(&tenant, "inbox", &format!("doc-{step}"), step);
        let mut order: Vec<usize> = (0..5).collect();
        order.rotate_left(step as usize % 5);
        if step >= 10 {
            order.reverse();
        }
        if step % 2 == 1 {
            order.swap(1, 3);
        }
        for round in [&order, &order] {
            for message in round {
                match message {
                    0 => store.put_events(&[stamped(event(&doc), 1)]).await.unwrap(),
                    1 => store
                        .put_results(&[stamped(result(&doc, "validate", Outcome::Dead), 2)])
                        .await
                        .unwrap(),
                    2 => store
                        .put_results(&[stamped(result(&doc, "validate", Outcome::Done), 3)])
                        .await
                        .unwrap(),
                    3 => store
                        .put_results(&[stamped(result(&doc, "encrypt", Outcome::Done), 4)])
                        .await
                        .unwrap(),
                    _ => store.put_final(&[stamped(done(&doc), 5)]).await.unwrap(),
                }
            }
        }
        let row = store.object(&tenant, &doc.id).await.unwrap().unwrap();
        let results = store.results_of(&tenant, &doc.id).await.unwrap();
        assert_eq!(row.object, doc);
        // What differs between the objects is made equal before comparing.
        let mut row = row;
        row.object = object(&tenant, "inbox", "same", 0);
        row.event = row.object.event_id(Verb::Put);
        row.sealed = None;
        let shape: Vec<_> = results
            .iter()
            .map(|r| (r.processor.clone(), r.outcome, r.verdict, r.findings_total))
            .collect();
        let expected = expected.get_or_insert((row.clone(), shape.clone()));
        assert_eq!((&row, &shape), (&expected.0, &expected.1), "order {order:?}");
    }
}

/// A processor gives up: dead. Its message is replayed and succeeds: open again, then done. The failure stays visible.
pub async fn dead_then_replayed(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "poison", 0);
    store.put_events(&[stamped(event(&doc), 1)]).await.unwrap();
    store
        .put_results(&[stamped(result(&doc, "encrypt", Outcome::Done), 2)])
        .await
        .unwrap();
    store
        .put_results(&[stamped(result(&doc, "validate", Outcome::Dead), 3)])
        .await
        .unwrap();
    assert_eq!(state(store, &doc).await, ObjectState::Dead);
    let mut replayed = result(&doc, "validate", Outcome::Done);
    replayed.finished_at = at(5000);
    store.put_results(&[stamped(replayed, 5000)]).await.unwrap();
    assert_eq!(state(store, &doc).await, ObjectState::Open);
    // The failure is delivered once more: it changes nothing.
    store
        .put_results(&[stamped(result(&doc, "validate", Outcome::Dead), 3)])
        .await
        .unwrap();
    assert_eq!(state(store, &doc).await, ObjectState::Open);
    store.put_final(&[stamped(done(&doc), 5001)]).await.unwrap();
    assert_eq!(state(store, &doc).await, ObjectState::Done);
    let results = store.results_of(&doc.tenant, &doc.id).await.unwrap();
    let shape: Vec<_> = results.iter().map(|r| (r.processor.as_str(), r.outcome)).collect();
    assert_eq!(
        shape,
        [
            ("encrypt", Outcome::Done),
            ("validate", Outcome::Done),
            ("validate", Outcome::Dead)
        ]
    );
    assert_eq!(results[2].error.as_ref().unwrap().message, "stored bytes are damaged");
}

/// Only what the plan requires makes an object dead.
pub async fn dead_of_an_optional_processor(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "optional", 0);
    store.put_events(&[stamped(event(&doc), 1)]).await.unwrap();
    store
        .put_results(&[stamped(result(&doc, "word-count", Outcome::Dead), 2)])
        .await
        .unwrap();
    assert_eq!(state(store, &doc).await, ObjectState::Open);
}

/// What arrives after the end does not undo it.
pub async fn final_wins_over_late_results(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "late", 0);
    store.put_final(&[stamped(done(&doc), 10)]).await.unwrap();
    store
        .put_results(&[stamped(result(&doc, "validate", Outcome::Dead), 20)])
        .await
        .unwrap();
    store.put_events(&[stamped(event(&doc), 30)]).await.unwrap();
    let row = store.object(&doc.tenant, &doc.id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.verdict, row.sealed),
        (ObjectState::Done, Some(Verdict::Pass), Some(sealed(&doc)))
    );
}

/// Deletion is the last word, and its first time stands.
pub async fn deleted_stays_deleted(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "gone", 0);
    store.put_final(&[stamped(done(&doc), 10)]).await.unwrap();
    store.mark_deleted(&doc.tenant, &doc.id, at(100)).await.unwrap();
    store.mark_deleted(&doc.tenant, &doc.id, at(200)).await.unwrap();
    store.put_events(&[stamped(event(&doc), 300)]).await.unwrap();
    store.put_final(&[stamped(done(&doc), 301)]).await.unwrap();
    store
        .put_results(&[stamped(result(&doc, "validate", Outcome::Done), 302)])
        .await
        .unwrap();
    let row = store.object(&doc.tenant, &doc.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.deleted_at), (ObjectState::Deleted, Some(at(100))));
    assert!(store.find_by_key(&doc.tenant, None, &doc.key).await.unwrap().is_none());
    assert!(store.is_final(&doc.tenant, &doc.id).await.unwrap());
}

/// A release counts for what is quarantined only, and deletion is still the last word.
pub async fn released_when_quarantined(store: &dyn Store) {
    let decision = |kind, n: i64| Decision {
        at: at(n),
        kind,
        command: cofferdam_schemas::CommandId::new(format!("c{n}")).unwrap(),
        reason: format!("because {n}"),
    };
    let doc = object(&tenant(), "inbox", "held", 0);
    let (tenant, id) = (&doc.tenant, &doc.id);
    let release = decision(DecisionKind::Release, 100);
    // Before its final state is known: it does not make one.
    store.decide(tenant, id, &release).await.unwrap();
    store.put_events(&[stamped(event(&doc), 1)]).await.unwrap();
    assert_eq!(state(store, &doc).await, ObjectState::Open);
    let mut last = done(&doc);
    (last.state, last.verdict) = (FinalState::Quarantined, Verdict::Quarantine);
    store.put_final(&[stamped(last.clone(), 10)]).await.unwrap();
    let row = store.object(tenant, id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.verdict),
        (ObjectState::Released, Some(Verdict::Quarantine))
    );
    // Delivered again, and decided again: the later one of a kind stands.
    let again = decision(DecisionKind::Release, 200);
    store.decide(tenant, id, &again).await.unwrap();
    store.decide(tenant, id, &release).await.unwrap();
    store.put_final(&[stamped(last, 300)]).await.unwrap();
    let destroy = decision(DecisionKind::Destroy, 400);
    store.decide(tenant, id, &destroy).await.unwrap();
    store.mark_deleted(tenant, id, at(400)).await.unwrap();
    let row = store.object(tenant, id).await.unwrap().unwrap();
    assert_eq!((row.state, row.decisions), (ObjectState::Deleted, vec![again, destroy]));
    // What is not quarantined is what it is.
    let plain = object(&doc.tenant, "inbox", "plain", 0);
    store.put_final(&[stamped(done(&plain), 10)]).await.unwrap();
    store.decide(tenant, &plain.id, &release).await.unwrap();
    assert_eq!(state(store, &plain).await, ObjectState::Done);
    let other = cofferdam_schemas::TenantName::new("somebody-else").unwrap();
    assert!(store.object(&other, id).await.unwrap().is_none());
}

/// The consumer of events may be behind the consumer of final states.
pub async fn final_alone_makes_the_object_known(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "ahead", 0);
    store.put_final(&[stamped(done(&doc), 10)]).await.unwrap();
    let row = store.object(&doc.tenant, &doc.id).await.unwrap().unwrap();
    assert_eq!((row.state, &row.object), (ObjectState::Done, &doc));
    assert_eq!(
        store.find_by_key(&doc.tenant, None, &doc.key).await.unwrap().as_ref(),
        Some(&row)
    );
    let page = store
        .list_objects(&doc.tenant, &Filter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.rows, [row]);
}

/// A removal or a change of tags of something never seen must not leave an object that is open for ever.
pub async fn removal_alone_is_no_object(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "never seen", 0);
    for (verb, millis) in [(Verb::Del, 1), (Verb::Meta, 2)] {
        let mut message = event(&doc);
        message.verb = verb;
        message.id = doc.event_id(verb);
        store.put_events(&[stamped(message, millis)]).await.unwrap();
    }
    assert!(store.object(&doc.tenant, &doc.id).await.unwrap().is_none());
    assert_eq!(
        store.events_of(&doc.tenant, &doc.id).await.unwrap().len(),
        2,
        "but it is on record"
    );
}

/// The other two final states.
pub async fn superseded_and_quarantined(store: &dyn Store) {
    let tenant = tenant();
    for (final_state, expected) in [
        (FinalState::Superseded, ObjectState::Superseded),
        (FinalState::Quarantined, ObjectState::Quarantined),
    ] {
        let doc = object(&tenant, "inbox", expected.as_str(), 0);
        let mut message = done(&doc);
        message.state = final_state;
        store.put_final(&[stamped(message, 5)]).await.unwrap();
        assert_eq!(state(store, &doc).await, expected);
    }
}

/// The same key and the same id under another tenant is another object.
pub async fn tenants_do_not_see_each_other(store: &dyn Store) {
    let (mine, yours) = (tenant(), tenant());
    let doc = object(&mine, "inbox", "secret", 0);
    store.put_events(&[stamped(event(&doc), 1)]).await.unwrap();
    store
        .put_results(&[stamped(result(&doc, "validate", Outcome::Dead), 2)])
        .await
        .unwrap();
    store
        .put_command_results(&[stamped(command_result(&mine, "c1", &doc), now_ms())])
        .await
        .unwrap();
    assert!(store.object(&yours, &doc.id).await.unwrap().is_none());
    assert!(store.find_by_key(&yours, None, &doc.key).await.unwrap().is_none());
    assert!(store.results_of(&yours, &doc.id).await.unwrap().is_empty());
    assert!(store.events_of(&yours, &doc.id).await.unwrap().is_empty());
    assert!(
        store
            .command(&yours, &CommandId::new("c1").unwrap())
            .await
            .unwrap()
            .is_none()
    );
    for state in [None, Some(ObjectState::Dead)] {
        let filter = Filter {
            state,
            ..Filter::default()
        };
        assert!(
            store
                .list_objects(&yours, &filter, None, 10)
                .await
                .unwrap()
                .rows
                .is_empty()
        );
        assert_eq!(
            store.list_objects(&mine, &filter, None, 10).await.unwrap().rows.len(),
            1
        );
    }
    store.mark_deleted(&yours, &doc.id, at(9)).await.unwrap();
    assert_eq!(
        state(store, &doc).await,
        ObjectState::Dead,
        "another tenant's deletion does not reach it"
    );
}

/// Milliseconds between [`super::fixture::T0`] and now.
fn now_ms() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    now - super::fixture::T0
}

/// A presigned link is told once and stored nowhere.
pub async fn commands_without_links(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "x", 0);
    store
        .put_command_results(&[stamped(command_result(&doc.tenant, "c1", &doc), now_ms())])
        .await
        .unwrap();
    let found = store
        .command(&doc.tenant, &CommandId::new("c1").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.verb.as_str(), found.outcome, found.object),
        ("retrieve", Outcome::Done, Some(doc.id))
    );
    let text = serde_json::to_string(&found).unwrap();
    assert!(!text.contains("Signature") && !text.contains("http"), "{text}");
    assert_eq!(found.values["size"], 4096);
    assert_eq!(found.values["also"], serde_json::json!({"list": ["kept"], "size": 1}));
}

/// 90 days after they were stored, whenever they are written.
pub async fn commands_expire(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "x", 0);
    let (old, recent) = (
        now_ms() - 90 * 86_400_000 - 2000,
        now_ms() - 90 * 86_400_000 + 3_600_000,
    );
    store
        .put_command_results(&[stamped(command_result(&doc.tenant, "old", &doc), old)])
        .await
        .unwrap();
    store
        .put_command_results(&[stamped(command_result(&doc.tenant, "recent", &doc), recent)])
        .await
        .unwrap();
    assert!(
        store
            .command(&doc.tenant, &CommandId::new("old").unwrap())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .command(&doc.tenant, &CommandId::new("recent").unwrap())
            .await
            .unwrap()
            .is_some()
    );
    store.maintain().await.unwrap();
    assert!(
        store
            .command(&doc.tenant, &CommandId::new("recent").unwrap())
            .await
            .unwrap()
            .is_some()
    );
}

/// What a processor may fill freely is cut, and says so.
pub async fn large_values_are_bounded(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "large", 0);
    let mut large = result(&doc, "validate", Outcome::Done);
    large.findings = (0..2000)
        .map(|n| super::fixture::finding(&format!("rule/{n}")))
        .collect();
    large.details.insert("text".into(), "x".repeat(100_000).into());
    store.put_results(&[stamped(large, 1)]).await.unwrap();
    let results = store.results_of(&doc.tenant, &doc.id).await.unwrap();
    assert_eq!(results[0].findings_total, 2000);
    let kept = results[0].findings.len();
    assert!(kept > 100 && kept < 2000, "{kept}");
    assert_eq!(results[0].findings[kept - 1].rule, format!("rule/{}", kept - 1));
    assert!(results[0].details["left_out"].as_u64().unwrap() > 100_000);
}

/// What commands use.
pub async fn catalog_finds_by_id_and_key(store: &dyn Store) {
    let doc = object(&tenant(), "inbox", "päper.pdf", 0);
    store.put_final(&[stamped(done(&doc), 1)]).await.unwrap();
    let tenant = &doc.tenant;
    let by = |id: bool, key: Option<&str>, bucket: Option<&str>| Selector {
        object: id.then_some(doc.id),
        key: key.map(|key| cofferdam_schemas::ObjectKey::new(key).unwrap()),
        bucket: bucket.map(|bucket| cofferdam_schemas::BucketName::new(bucket).unwrap()),
    };
    for (selector, there) in [
        (by(true, None, None), true),
        (by(true, None, Some("inbox")), true),
        (by(true, None, Some("other")), false),
        (by(true, Some("päper.pdf"), None), true),
        (by(true, Some("paper.pdf"), None), false),
        (by(false, Some("päper.pdf"), None), true),
        (by(false, Some("päper.pdf"), Some("inbox")), true),
        (by(false, Some("päper.pdf"), Some("other")), false),
        (by(false, Some("paper.pdf"), None), false),
        (by(false, None, Some("inbox")), false),
        (by(false, None, None), false),
    ] {
        assert_eq!(
            select(store, tenant, &selector).await.unwrap().is_some(),
            there,
            "{selector:?}"
        );
    }
}
