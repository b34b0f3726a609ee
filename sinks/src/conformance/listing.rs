//! Listings and finding by key.

use cofferdam_schemas::{BucketName, ObjectKey, ObjectRef, ObjectState, Outcome, TenantName};

use super::fixture::{at, done, event, object, result, stamped, tenant};
use crate::store::{Filter, Store};

const DAY: i64 = 86_400_000;

/// All keys of a listing in pages of `limit`.
async fn keys(store: &dyn Store, tenant: &TenantName, filter: &Filter, limit: usize) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_objects(tenant, filter, after, limit).await.unwrap();
        assert!(page.rows.len() <= limit);
        keys.extend(page.rows.iter().map(|row| row.object.key.to_string()));
        match page.next {
            // A cursor survives being text.
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return keys,
        }
    }
}

async fn put(store: &dyn Store, tenant: &TenantName, bucket: &str, key: &str, millis: i64) -> ObjectRef {
    let doc = object(tenant, bucket, key, millis);
    store.put_events(&[stamped(event(&doc), millis)]).await.unwrap();
    doc
}

/// Newest first whatever the order of writing; pages neither repeat nor leave out, also where times are equal.
pub async fn newest_first_in_pages(store: &dyn Store) {
    let tenant = tenant();
    for n in [3, 0, 4, 1, 2] {
        put(store, &tenant, "inbox", &format!("k{n}"), n).await;
    }
    for n in 0..5 {
        put(store, &tenant, "inbox", &format!("tie{n}"), 10).await;
    }
    let all = keys(store, &tenant, &Filter::default(), 100).await;
    assert_eq!(all.len(), 10);
    assert_eq!(all[5..], ["k4", "k3", "k2", "k1", "k0"]);
    for limit in [1, 2, 3, 10] {
        assert_eq!(
            keys(store, &tenant, &Filter::default(), limit).await,
            all,
            "pages of {limit}"
        );
    }
}

/// Days without rows cost nothing, and pages go across days; more days than one read gives.
pub async fn over_many_days(store: &dyn Store) {
    let tenant = tenant();
    let days: Vec<i64> = (0..70).map(|n| n * 2 * DAY).chain([-400 * DAY, 3000 * DAY]).collect();
    for (n, millis) in days.iter().enumerate() {
        put(store, &tenant, "inbox", &format!("d{n}"), *millis).await;
    }
    let mut expected: Vec<(i64, String)> = days
        .iter()
        .enumerate()
        .map(|(n, millis)| (-millis, format!("d{n}")))
        .collect();
    expected.sort();
    let expected: Vec<String> = expected.into_iter().map(|(_, key)| key).collect();
    for limit in [1000, 7] {
        assert_eq!(
            keys(store, &tenant, &Filter::default(), limit).await,
            expected,
            "pages of {limit}"
        );
    }
}

/// A few under a prefix, many, none, and the prefix itself as a key: in every bucket the same as picking them out of all.
pub async fn prefixes(store: &dyn Store) {
    let tenant = tenant();
    let mut events = Vec::new();
    for n in 0..1_100_i64 {
        let (bucket, key) = match n {
            0..40 => ("inbox", format!("few/{n}")),
            40..45 => ("other", format!("few/{n}")),
            45 => ("inbox", "few/".to_owned()),
            46 => ("inbox", "few0".to_owned()),
            47 => ("inbox", "fe".to_owned()),
            _ => ("inbox", format!("many/{n}")),
        };
        // Not in the order of the keys, and some at the same time.
        let doc = object(&tenant, bucket, &key, (n * 7919 % 1000) * 60_000);
        events.push(stamped(event(&doc), 1));
    }
    store.put_events(&events).await.unwrap();
    let all = keys(store, &tenant, &Filter::default(), 1000).await;
    assert_eq!(all.len(), 1_100);
    for prefix in ["few/", "few/4", "few", "many/", "none/", "", "many/1099"] {
        let filter = Filter {
            prefix: Some(prefix.to_owned()),
            ..Filter::default()
        };
        let expected: Vec<String> = all.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
        for limit in [7, 1000] {
            assert_eq!(
                keys(store, &tenant, &filter, limit).await,
                expected,
                "{prefix:?}, pages of {limit}"
            );
        }
    }
    let filter = Filter {
        prefix: Some("few/".to_owned()),
        bucket: Some(BucketName::new("other").unwrap()),
        state: Some(ObjectState::Open),
    };
    assert_eq!(keys(store, &tenant, &filter, 2).await.len(), 5);
    let done = Filter {
        state: Some(ObjectState::Done),
        ..filter
    };
    assert!(keys(store, &tenant, &done, 2).await.is_empty());
}

/// State, bucket and prefix.
pub async fn filters(store: &dyn Store) {
    let tenant = tenant();
    for n in 0..6 {
        let doc = put(
            store,
            &tenant,
            if n % 2 == 0 { "inbox" } else { "other" },
            &format!("{}/{n}", if n < 3 { "a" } else { "b" }),
            n,
        )
        .await;
        if n >= 4 {
            store.put_final(&[stamped(done(&doc), 100)]).await.unwrap();
        }
    }
    let check = async |filter: Filter, expected: &[&str]| {
        for limit in [1, 100] {
            assert_eq!(
                keys(store, &tenant, &filter, limit).await,
                expected,
                "{filter:?} in pages of {limit}"
            );
        }
    };
    check(
        Filter {
            prefix: Some("a/".into()),
            ..Filter::default()
        },
        &["a/2", "a/1", "a/0"],
    )
    .await;
    check(
        Filter {
            bucket: Some(BucketName::new("other").unwrap()),
            ..Filter::default()
        },
        &["b/5", "b/3", "a/1"],
    )
    .await;
    check(
        Filter {
            state: Some(ObjectState::Done),
            ..Filter::default()
        },
        &["b/5", "b/4"],
    )
    .await;
    check(
        Filter {
            state: Some(ObjectState::Open),
            prefix: Some("b".into()),
            ..Filter::default()
        },
        &["b/3"],
    )
    .await;
    check(
        Filter {
            state: Some(ObjectState::Deleted),
            ..Filter::default()
        },
        &[],
    )
    .await;
    check(
        Filter {
            prefix: Some("%".into()),
            ..Filter::default()
        },
        &[],
    )
    .await;
}

/// What waits for a person, until it was overcome. A failure that comes after all, or again, is found again.
pub async fn dead_letters_by_their_index(store: &dyn Store) {
    let tenant = tenant();
    let mut docs = Vec::new();
    for n in 0..4 {
        let doc = put(store, &tenant, "inbox", &format!("d{n}"), n).await;
        store
            .put_results(&[stamped(result(&doc, "validate", Outcome::Dead), 10)])
            .await
            .unwrap();
        docs.push(doc);
    }
    // Both processors gave up on the second.
    store
        .put_results(&[stamped(result(&docs[1], "encrypt", Outcome::Dead), 11)])
        .await
        .unwrap();
    let dead = Filter {
        state: Some(ObjectState::Dead),
        ..Filter::default()
    };
    for limit in [1, 2, 100] {
        assert_eq!(keys(store, &tenant, &dead, limit).await, ["d3", "d2", "d1", "d0"]);
    }
    let mut replayed = result(&docs[2], "validate", Outcome::Done);
    replayed.finished_at = at(60_000);
    store.put_results(&[stamped(replayed, 60_000)]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(keys(store, &tenant, &dead, 100).await, ["d3", "d1", "d0"]);
    }
    store.put_final(&[stamped(done(&docs[0]), 61_000)]).await.unwrap();
    assert_eq!(keys(store, &tenant, &dead, 1).await, ["d3", "d1"]);
    // The old failure is delivered again: still overcome.
    store
        .put_results(&[stamped(result(&docs[2], "validate", Outcome::Dead), 10)])
        .await
        .unwrap();
    assert_eq!(keys(store, &tenant, &dead, 100).await, ["d3", "d1"]);
}

/// Superseded and deleted versions are passed over, in one bucket and over all.
pub async fn newest_version_of_a_key(store: &dyn Store) {
    let tenant = tenant();
    let key = ObjectKey::new("doc").unwrap();
    let find = async |bucket: Option<&str>| {
        let bucket = bucket.map(|bucket| BucketName::new(bucket).unwrap());
        store
            .find_by_key(&tenant, bucket.as_ref(), &key)
            .await
            .unwrap()
            .map(|row| row.object.last_modified)
    };
    assert_eq!(find(None).await, None);
    for millis in [5, 1, 3] {
        put(store, &tenant, "inbox", "doc", millis).await;
    }
    put(store, &tenant, "other", "doc", 4).await;
    assert_eq!(find(None).await, Some(at(5)));
    assert_eq!(find(Some("other")).await, Some(at(4)));
    let newest = object(&tenant, "inbox", "doc", 5);
    let mut message = done(&newest);
    message.state = cofferdam_schemas::FinalState::Superseded;
    store.put_final(&[stamped(message, 100)]).await.unwrap();
    assert_eq!(find(None).await, Some(at(4)));
    assert_eq!(find(Some("inbox")).await, Some(at(3)));
    store
        .mark_deleted(&tenant, &object(&tenant, "inbox", "doc", 3).id, at(200))
        .await
        .unwrap();
    assert_eq!(find(Some("inbox")).await, Some(at(1)));
    // More versions to pass over than one read gives.
    for millis in 1000..1040 {
        let doc = put(store, &tenant, "inbox", "doc", millis).await;
        store.mark_deleted(&tenant, &doc.id, at(2000)).await.unwrap();
    }
    assert_eq!(find(Some("inbox")).await, Some(at(1)));
}

/// Keys are taken as they are: no normalisation, no pattern, no path.
pub async fn keys_are_plain_bytes(store: &dyn Store) {
    let tenant = tenant();
    let long = "k".repeat(1024);
    let all = [
        "a b+c%2Fd",
        "päper",
        "pa\u{308}per",
        "😀/☃",
        "../../x",
        "x//y",
        "x/y",
        "'; DROP TABLE objects; --",
        "%_",
        "\"",
        "\n\t",
        &long,
    ];
    for (n, key) in all.iter().enumerate() {
        put(store, &tenant, "inbox", key, n as i64).await;
    }
    for (n, key) in all.iter().enumerate() {
        let found = store
            .find_by_key(&tenant, None, &ObjectKey::new(*key).unwrap())
            .await
            .unwrap();
        assert_eq!(found.map(|row| row.object.last_modified), Some(at(n as i64)), "{key:?}");
        let filter = Filter {
            prefix: Some((*key).to_owned()),
            ..Filter::default()
        };
        assert!(
            keys(store, &tenant, &filter, 100).await.contains(&(*key).to_owned()),
            "{key:?}"
        );
    }
}
