use cofferdam_schemas::{ObjectEvent, Outcome};
use cofferdam_seams::memory::MemoryStore;

use super::*;
use crate::testing::{
    House, START, at, clock_at, done, foreign, isolation, normaliser, processor, put, sealed, source,
};

fn last(event: &ObjectEvent, state: FinalState, sealed: Option<SealedCopy>) -> Final {
    Final {
        object: event.object.clone(),
        state,
        sealed,
    }
}

async fn sample() -> ObjectEvent {
    let store = MemoryStore::new();
    let meta = put(&store, "docs", "a", "hello").await;
    foreign("docs", "a", &meta)
}

#[tokio::test]
async fn only_a_proven_sealed_copy_lets_the_plaintext_go() {
    let event = sample().await;
    let good = sealed(&event.object, START);
    let decision = |state, sealed| decide(RetirePolicy::UntilDone, &last(&event, state, sealed));
    assert_eq!(decision(FinalState::Done, Some(good.clone())), Retire::Now);
    assert_eq!(decision(FinalState::Quarantined, Some(good.clone())), Retire::Now);
    assert_eq!(
        decision(FinalState::Superseded, Some(good.clone())),
        Retire::Never("superseded")
    );
    assert_eq!(decision(FinalState::Done, None), Retire::Never("unsealed"));
    let shorter = SealedCopy {
        plaintext_size: event.object.size - 1,
        ..good.clone()
    };
    assert_eq!(decision(FinalState::Done, Some(shorter)), Retire::Never("unproven"));
    let unopened = SealedCopy {
        opened_at: Timestamp::from_unix_millis(0),
        ..good.clone()
    };
    assert_eq!(decision(FinalState::Done, Some(unopened)), Retire::Never("unproven"));
    let mut claimed = event.clone();
    claimed.object.checksums.sha256 = Some("aa".repeat(32));
    let other = last(&claimed, FinalState::Done, Some(good));
    assert_eq!(decide(RetirePolicy::UntilDone, &other), Retire::Never("unproven"));
}

#[tokio::test]
async fn policies() {
    let event = sample().await;
    let good = last(&event, FinalState::Done, Some(sealed(&event.object, START)));
    assert_eq!(decide(RetirePolicy::Keep, &good), Retire::Never("kept"));
    let hour = RetirePolicy::After(Duration::from_secs(3600));
    assert_eq!(
        decide(hour, &good),
        Retire::At(Timestamp::from_unix_millis(START + 3_600_000))
    );
    let ever = RetirePolicy::After(Duration::MAX);
    assert!(matches!(decide(ever, &good), Retire::At(when) if when > Timestamp::from_unix_millis(START * 2)));
}

struct Set {
    house: House,
    foreign: MemoryStore,
    finaliser: Finaliser,
}

async fn set(policy: RetirePolicy) -> Set {
    let house = House::new().await;
    let foreign = MemoryStore::new();
    let stores: BTreeMap<SourceName, Arc<dyn ObjectStore>> = [
        (source("inbox"), house.store()),
        (source("minio"), Arc::new(foreign.clone()) as _),
    ]
    .into();
    let finaliser = Finaliser::new(
        Some(house.ledger()),
        stores,
        source("inbox"),
        isolation(&house),
        policy,
        house.clock.clone(),
    );
    Set {
        house,
        foreign,
        finaliser,
    }
}

impl Set {
    /// An upload, published.
    async fn upload(&self, name: &str) -> ObjectEvent {
        self.house.put("inbox", name, "hello").await;
        let row = self.house.ledger().unpublished(0, 100).await.unwrap().pop().unwrap();
        let Outgoing::Event(event) = Outgoing::of(&row, &normaliser()).unwrap() else {
            panic!()
        };
        self.house
            .ledger()
            .mark_published(vec![(row.seq, Some(event.object.id.to_string()))])
            .await
            .unwrap();
        *event
    }

    async fn foreign(&self, name: &str) -> ObjectEvent {
        let meta = put(&self.foreign, "docs", name, "hello").await;
        let event = foreign("docs", name, &meta);
        let payload = serde_json::to_value(&event).unwrap();
        self.house
            .ledger()
            .accept(LedgerKind::Foreign, event.object.id.to_string(), payload)
            .await
            .unwrap();
        event
    }

    async fn is_there(&self, event: &ObjectEvent) -> bool {
        let place = at(event.object.bucket.as_str(), event.object.key.as_str());
        match event.object.source.as_str() {
            "inbox" => self.house.bucket.head(&place).await.is_ok(),
            _ => self.foreign.head(&place).await.is_ok(),
        }
    }
}

#[tokio::test]
async fn until_done_retires_and_closes() {
    let set = set(RetirePolicy::UntilDone).await;
    let (here, there) = (set.upload("a").await, set.foreign("b").await);
    let finals: Vec<Done> = [&here, &there]
        .map(|e| done(e, FinalState::Done, Some(sealed(&e.object, START))))
        .into();
    // Twice: a crash after the deletion repeats it.
    for _ in 0..2 {
        set.finaliser.on_final(&finals).await.unwrap();
        assert!(!set.is_there(&here).await);
        assert!(!set.is_there(&there).await);
        assert!(set.house.rows().await.is_empty());
    }
}

#[tokio::test]
async fn superseded_unsealed_and_kept_plaintexts_stay_and_their_rows_go() {
    let set = set(RetirePolicy::UntilDone).await;
    let (a, b) = (set.upload("a").await, set.foreign("b").await);
    let finals = [
        done(&a, FinalState::Superseded, Some(sealed(&a.object, START))),
        done(&b, FinalState::Done, None),
    ];
    set.finaliser.on_final(&finals).await.unwrap();
    assert!(set.is_there(&a).await && set.is_there(&b).await);
    assert!(set.house.rows().await.is_empty());
}

#[tokio::test]
async fn a_replaced_foreign_object_is_not_deleted() {
    let set = set(RetirePolicy::UntilDone).await;
    let old = set.foreign("a").await;
    let new = set.foreign("a").await;
    assert_ne!(old.object.id, new.object.id);
    set.finaliser
        .on_final(&[done(&old, FinalState::Done, Some(sealed(&old.object, START)))])
        .await
        .unwrap();
    assert!(set.is_there(&new).await);
    assert_eq!(set.house.rows().await.len(), 1, "only the old one's row is closed");
    // The same entity tag at another time: A, B, A.
    let mut twin = new.clone();
    twin.object.last_modified = Timestamp::from_unix_millis(1);
    set.finaliser
        .on_final(&[done(&twin, FinalState::Done, Some(sealed(&twin.object, START)))])
        .await
        .unwrap();
    assert!(set.is_there(&new).await);
}

#[tokio::test]
async fn an_overwritten_upload_goes_without_its_successor() {
    let set = set(RetirePolicy::UntilDone).await;
    let old = set.upload("a").await;
    let new = set.upload("a").await;
    let before = Locator::from(&old.object);
    assert!(set.house.bucket.head(&before).await.is_ok(), "held for the pipeline");
    set.finaliser
        .on_final(&[done(&old, FinalState::Done, Some(sealed(&old.object, START)))])
        .await
        .unwrap();
    assert!(set.house.bucket.head(&before).await.is_err());
    assert!(set.house.bucket.head(&Locator::from(&new.object)).await.is_ok());
    assert_eq!(set.house.rows().await.len(), 1, "retiring writes no row of its own");
}

#[tokio::test]
async fn after_a_time_the_row_remembers() {
    let set = set(RetirePolicy::After(Duration::from_secs(3600))).await;
    let (here, there) = (set.upload("a").await, set.foreign("b").await);
    let finals: Vec<Done> = [&here, &there]
        .map(|e| done(e, FinalState::Done, Some(sealed(&e.object, START))))
        .into();
    set.finaliser.on_final(&finals).await.unwrap();
    assert!(set.is_there(&here).await && set.is_there(&there).await);
    assert!(set.house.rows().await.is_empty(), "not pumped, not re-driven");
    assert_eq!(set.house.ledger().depth().await.unwrap().open, 0);
    assert_eq!(set.finaliser.retire_due(&normaliser(), 10).await.unwrap(), 0);

    set.house.clock.advance_millis(3_600_001);
    // One store is away: its turn comes a minute later.
    set.foreign.fail_next(1);
    assert_eq!(set.finaliser.retire_due(&normaliser(), 10).await.unwrap(), 2);
    assert!(!set.is_there(&here).await && set.is_there(&there).await);
    assert_eq!(set.finaliser.retire_due(&normaliser(), 10).await.unwrap(), 0);
    set.house.clock.advance_millis(AGAIN_MS + 1);
    assert_eq!(set.finaliser.retire_due(&normaliser(), 10).await.unwrap(), 1);
    assert!(!set.is_there(&there).await);
    set.house.clock.advance_millis(AGAIN_MS + 1);
    assert_eq!(set.finaliser.retire_due(&normaliser(), 10).await.unwrap(), 0);
}

#[tokio::test]
async fn a_deletion_that_fails_delays_nobody_and_is_repeated() {
    let set = set(RetirePolicy::UntilDone).await;
    let event = set.foreign("a").await;
    set.foreign.fail_next(1);
    set.finaliser
        .on_final(&[done(&event, FinalState::Done, Some(sealed(&event.object, START)))])
        .await
        .unwrap();
    assert!(set.is_there(&event).await);
    set.house.clock.advance_millis(AGAIN_MS + 1);
    assert_eq!(set.finaliser.retire_due(&normaliser(), 10).await.unwrap(), 1);
    assert!(!set.is_there(&event).await);
}

#[tokio::test]
async fn a_dead_result_parks_and_a_later_final_state_still_closes() {
    let set = set(RetirePolicy::Keep).await;
    let event = set.upload("a").await;
    let dead = |name: &str| ResultEvent {
        id: ResultEvent::result_id(&event.id, &processor(name), "1", Outcome::Dead),
        event: event.id.clone(),
        processor: processor(name),
        processor_version: "1".into(),
        outcome: Outcome::Dead,
        object: event.object.clone(),
        plan: event.plan.clone(),
        verdict: None,
        findings: Vec::new(),
        sealed: None,
        artefacts: Vec::new(),
        details: Default::default(),
        error: None,
        started_at: Timestamp::from_unix_millis(START),
        finished_at: Timestamp::from_unix_millis(START),
    };
    set.finaliser.on_dead(&[dead("word-count")]).await.unwrap();
    assert_eq!(set.house.rows().await.len(), 1, "a processor the plan does not require");
    set.finaliser.on_dead(&[dead("validate")]).await.unwrap();
    assert!(set.house.rows().await.is_empty());
    let subject = event.object.id.to_string();
    assert!(set.house.row(LedgerKind::Upload, &subject).await.is_some());
    set.finaliser
        .on_final(&[done(&event, FinalState::Done, None)])
        .await
        .unwrap();
    assert!(set.house.row(LedgerKind::Upload, &subject).await.is_none());
}

#[tokio::test]
async fn without_a_ledger_it_still_retires() {
    let store = MemoryStore::new();
    let meta = put(&store, "docs", "a", "hello").await;
    let event = foreign("docs", "a", &meta);
    let stores = [(source("minio"), Arc::new(store.clone()) as Arc<dyn ObjectStore>)].into();
    let house = House::new().await;
    let finaliser = Finaliser::new(
        None,
        stores,
        source("inbox"),
        isolation(&house),
        RetirePolicy::UntilDone,
        clock_at(START),
    );
    store.fail_next(1);
    let finals = [done(&event, FinalState::Done, Some(sealed(&event.object, START)))];
    // Nobody would remember it, so whoever called has to call again: the plaintext of a store that did not answer once stayed for ever.
    let error = finaliser.on_final(&finals).await.unwrap_err();
    assert!(matches!(error, IngestError::Retire { .. }), "{error}");
    assert!(store.head(&at("docs", "a")).await.is_ok());
    finaliser.on_final(&finals).await.unwrap();
    assert!(store.head(&at("docs", "a")).await.is_err());
}

/// The sealed copy leaves the vault before the plaintext goes, and the plaintext goes although the policy keeps it.
#[tokio::test]
async fn what_is_quarantined_is_isolated() {
    let set = set(RetirePolicy::Keep).await;
    let event = set.upload("bad.exe").await;
    let copy = sealed(&event.object, START);
    let store = set.house.store();
    put(store.as_ref(), "vault", copy.key.as_str(), "sealed").await;
    let finals = [done(&event, FinalState::Quarantined, Some(copy.clone()))];
    for _ in 0..2 {
        set.finaliser.on_final(&finals).await.unwrap();
        assert!(
            quarantine::is_marked(&set.finaliser.isolation.vault, &copy.key)
                .await
                .unwrap()
        );
        assert_eq!(store.head(&at("quarantine", copy.key.as_str())).await.unwrap().size, 6);
        assert!(store.head(&at("inbox", "bad.exe")).await.is_err());
    }
    // Destroyed meanwhile: there is nothing to isolate, and nothing stands in the way.
    for bucket in ["quarantine", "vault"] {
        store.delete(&at(bucket, copy.key.as_str())).await.unwrap();
    }
    set.finaliser.on_final(&finals).await.unwrap();
}

/// Nothing is retired or closed while the copy cannot be moved: it is tried again.
#[tokio::test]
async fn what_cannot_be_isolated_comes_again() {
    let house = House::new().await;
    let (held, landing) = (MemoryStore::new(), MemoryStore::new());
    let meta = put(&landing, "docs", "bad.exe", "hello").await;
    let event = foreign("docs", "bad.exe", &meta);
    let copy = sealed(&event.object, START);
    put(&held, "vault", copy.key.as_str(), "sealed").await;
    let place = |name| Place {
        store: Arc::new(held.clone()),
        bucket: crate::testing::bucket_name(name),
    };
    let finaliser = Finaliser::new(
        Some(house.ledger()),
        [(source("minio"), Arc::new(landing.clone()) as Arc<dyn ObjectStore>)].into(),
        source("inbox"),
        Isolation {
            vault: place("vault"),
            quarantine: place("quarantine"),
        },
        RetirePolicy::UntilDone,
        clock_at(START),
    );
    let finals = [done(&event, FinalState::Quarantined, Some(copy.clone()))];
    held.fail_next(1);
    assert!(matches!(
        finaliser.on_final(&finals).await,
        Err(IngestError::Isolate { .. })
    ));
    assert!(landing.head(&at("docs", "bad.exe")).await.is_ok());
    finaliser.on_final(&finals).await.unwrap();
    assert!(landing.head(&at("docs", "bad.exe")).await.is_err());
    assert!(held.head(&at("quarantine", copy.key.as_str())).await.is_ok());
}
