//! What every [`ObjectStore`] must do, as tests that any implementation runs: `object_store_conformance!(make)`, where `make` is an async
//! function that gives an `(Arc<dyn ObjectStore>, BucketName, impl Sized)`: the store, a bucket that exists in it and is empty, and what must be
//! kept until the test has ended (a temporary directory, a server).

// These are tests: they stop at the first wrong value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::time::Duration;

use bytes::Bytes;
use cofferdam_schemas::{BucketName, ETag, ObjectKey};

use crate::objects::{Locator, ObjectError, ObjectStore, PutOptions, read_all};

/// Makes one test of each case for a store.
#[macro_export]
macro_rules! object_store_conformance {
    ($make:path) => {
        $crate::object_store_conformance!(@each $make:
            written_and_read_back,
            what_is_not_there,
            ranges,
            preconditions,
            only_if_absent,
            head_is_written_last,
            large_with_a_head,
            nothing_before_the_end,
            deleting,
            listing,
            keys_are_plain_bytes,
            replaced,
            links,
        );
    };
    (@each $make:path: $($case:ident,)*) => {
        $(#[tokio::test]
        async fn $case() {
            let (store, bucket, _keep) = $make().await;
            $crate::conformance::$case(store.as_ref(), &bucket).await;
        })*
    };
}

/// A key in a bucket.
pub fn at(bucket: &BucketName, key: &str) -> Locator {
    Locator::new(bucket.clone(), ObjectKey::new(key).unwrap())
}

/// Bytes that differ from place to place.
pub fn bytes(length: usize) -> Bytes {
    (0..length as u64)
        .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect::<Vec<_>>()
        .into()
}

async fn put_with(
    store: &dyn ObjectStore,
    at: &Locator,
    head: Bytes,
    body: Bytes,
    options: PutOptions,
) -> Result<crate::ObjectMeta, ObjectError> {
    let mut upload = store
        .upload(
            at,
            PutOptions {
                reserve_head: head.len() as u64,
                ..options
            },
        )
        .await?;
    for chunk in body.chunks(1_000_003) {
        upload.write(body.slice_ref(chunk)).await?;
    }
    upload.finish(head).await
}

async fn put(store: &dyn ObjectStore, at: &Locator, body: &Bytes) -> crate::ObjectMeta {
    put_with(store, at, Bytes::new(), body.clone(), PutOptions::default())
        .await
        .unwrap()
}

async fn get(store: &dyn ObjectStore, at: &Locator, range: Option<std::ops::Range<u64>>) -> Result<Bytes, ObjectError> {
    let body = store.get(at, range).await?;
    let (range, size) = (body.range.clone(), body.meta.size);
    let all = read_all(body.stream, 64 << 20).await?;
    assert_eq!(all.len() as u64, range.end - range.start, "as many bytes as announced");
    assert!(range.end <= size);
    Ok(all)
}

/// Bytes and what goes with them.
pub async fn written_and_read_back(store: &dyn ObjectStore, bucket: &BucketName) {
    store.ready().await.unwrap();
    for length in [0, 1, 65_535, 65_536, 65_537, 3_000_000] {
        let (place, body) = (at(bucket, &format!("object-{length}")), bytes(length));
        let options = PutOptions {
            content_type: Some("application/pdf".into()),
            user: [("colour".to_owned(), "blue".to_owned())].into(),
            size_hint: Some(length as u64),
            ..PutOptions::default()
        };
        let meta = put_with(store, &place, Bytes::new(), body.clone(), options)
            .await
            .unwrap();
        assert_eq!(meta.size, length as u64);
        let found = store.head(&place).await.unwrap();
        assert_eq!(found, meta, "what the write says is what HEAD says");
        assert_eq!(found.content_type.as_deref(), Some("application/pdf"));
        assert_eq!(found.user.get("colour").map(String::as_str), Some("blue"));
        let got = store.get(&place, None).await.unwrap();
        assert_eq!(
            (&got.meta.etag, got.meta.size, got.range.clone()),
            (&meta.etag, meta.size, 0..meta.size)
        );
        assert_eq!(read_all(got.stream, 64 << 20).await.unwrap(), body);
    }
}

/// A missing key, version and bucket.
pub async fn what_is_not_there(store: &dyn ObjectStore, bucket: &BucketName) {
    let missing = |result: Result<(), ObjectError>, what: &str| {
        assert!(
            matches!(result, Err(ObjectError::NotFound { .. })),
            "{what}: {result:?}"
        )
    };
    missing(store.head(&at(bucket, "none")).await.map(|_| ()), "head");
    missing(store.get(&at(bucket, "none"), None).await.map(|_| ()), "get");
    missing(store.get(&at(bucket, "none"), Some(0..5)).await.map(|_| ()), "range");
}

/// Cut to the end, refused behind it.
pub async fn ranges(store: &dyn ObjectStore, bucket: &BucketName) {
    for length in [10_usize, 200_000] {
        let (place, body) = (at(bucket, &format!("r{length}")), bytes(length));
        put(store, &place, &body).await;
        let size = length as u64;
        for range in [0..1, 0..size, 3..7, size - 1..size, 5..size + 100, 0..u64::MAX, 4..4] {
            let expected = body.slice(range.start as usize..range.end.min(size) as usize);
            assert_eq!(
                get(store, &place, Some(range.clone())).await.unwrap(),
                expected,
                "{range:?} of {size}"
            );
        }
        for start in [size, size + 1] {
            let refused = get(store, &place, Some(start..start + 5)).await;
            assert!(
                matches!(refused, Err(ObjectError::InvalidRange { start: s, size: z }) if s == start && z == size),
                "{refused:?}"
            );
        }
    }
    let empty = at(bucket, "empty");
    put(store, &empty, &Bytes::new()).await;
    assert_eq!(get(store, &empty, Some(0..10)).await.unwrap(), Bytes::new());
    assert_eq!(get(store, &empty, None).await.unwrap(), Bytes::new());
    assert!(matches!(
        get(store, &empty, Some(1..10)).await,
        Err(ObjectError::InvalidRange { start: 1, size: 0 })
    ));
}

/// Another entity tag.
pub async fn preconditions(store: &dyn ObjectStore, bucket: &BucketName) {
    let mut place = at(bucket, "k");
    let meta = put(store, &place, &bytes(100)).await;
    place.etag = Some(meta.etag.clone());
    place.version = meta.version.clone();
    assert_eq!(store.head(&place).await.unwrap(), meta);
    assert_eq!(get(store, &place, Some(0..9)).await.unwrap(), bytes(9));
    place.etag = Some(ETag::new("0123456789abcdef0123456789abcdef").unwrap());
    let refused = |result: Result<(), ObjectError>| {
        assert!(
            matches!(result, Err(ObjectError::PreconditionFailed { .. })),
            "{result:?}"
        )
    };
    refused(store.head(&place).await.map(|_| ()));
    refused(store.get(&place, None).await.map(|_| ()));
    refused(store.get(&place, Some(0..5)).await.map(|_| ()));
    refused(store.delete(&place).await);
    assert!(store.head(&at(bucket, "k")).await.is_ok(), "and it is still there");
}

/// The second writer is refused, small and large, and the first one's bytes stay.
pub async fn only_if_absent(store: &dyn ObjectStore, bucket: &BucketName) {
    for length in [10, 20 << 20] {
        let place = at(bucket, &format!("once-{length}"));
        let options = || PutOptions {
            only_if_absent: true,
            ..PutOptions::default()
        };
        put_with(store, &place, Bytes::new(), bytes(length), options())
            .await
            .unwrap();
        let again = put_with(store, &place, Bytes::new(), Bytes::from(vec![0; length]), options()).await;
        assert!(
            matches!(again, Err(ObjectError::PreconditionFailed { .. })),
            "{again:?}"
        );
        assert_eq!(get(store, &place, Some(0..10)).await.unwrap(), bytes(10));
    }
}

/// A reserved head stands before what was written first; it must have the announced length.
pub async fn head_is_written_last(store: &dyn ObjectStore, bucket: &BucketName) {
    for length in [0, 5, 100_000] {
        let place = at(bucket, &format!("head-{length}"));
        let meta = put_with(
            store,
            &place,
            Bytes::from_static(b"HEAD"),
            bytes(length),
            PutOptions::default(),
        )
        .await
        .unwrap();
        assert_eq!(meta.size, length as u64 + 4);
        let all = get(store, &place, None).await.unwrap();
        assert_eq!((&all[..4], &all[4..]), (&b"HEAD"[..], &bytes(length)[..]));
    }
    for wrong in ["", "HEA", "HEAD!"] {
        let place = at(bucket, "wrong");
        let mut upload = store
            .upload(
                &place,
                PutOptions {
                    reserve_head: 4,
                    ..PutOptions::default()
                },
            )
            .await
            .unwrap();
        upload.write(bytes(10)).await.unwrap();
        let refused = upload.finish(Bytes::from_static(wrong.as_bytes())).await;
        assert!(
            matches!(refused, Err(ObjectError::InvalidRequest { .. })),
            "{refused:?}"
        );
        assert!(matches!(store.head(&place).await, Err(ObjectError::NotFound { .. })));
    }
}

/// Larger than any buffer, with a head of more than a megabyte; the sizes are those at which parts end.
pub async fn large_with_a_head(store: &dyn ObjectStore, bucket: &BucketName) {
    let head = bytes(1_200_000);
    for length in [(8 << 20) - 1_200_000, (8 << 20) - 1_199_999, 16 << 20, 21_000_001] {
        let place = at(bucket, "large");
        let meta = put_with(store, &place, head.clone(), bytes(length), PutOptions::default())
            .await
            .unwrap();
        assert_eq!(meta.size, (head.len() + length) as u64);
        let all = get(store, &place, None).await.unwrap();
        assert!(
            all[..head.len()] == head[..] && all[head.len()..] == bytes(length)[..],
            "{length}"
        );
        let middle = get(store, &place, Some(8_388_600..8_388_620)).await.unwrap();
        assert_eq!(middle[..], all[8_388_600..(8_388_620).min(all.len())]);
    }
}

/// Nothing is visible while it is written, nor ever when it is given up or dropped.
pub async fn nothing_before_the_end(store: &dyn ObjectStore, bucket: &BucketName) {
    for length in [100, 17 << 20] {
        let place = at(bucket, &format!("never-{length}"));
        for give_up in [true, false] {
            let mut upload = store.upload(&place, PutOptions::default()).await.unwrap();
            upload.write(bytes(length)).await.unwrap();
            assert!(matches!(store.head(&place).await, Err(ObjectError::NotFound { .. })));
            if give_up {
                upload.abort().await;
            } else {
                drop(upload);
            }
            assert!(matches!(store.head(&place).await, Err(ObjectError::NotFound { .. })));
            assert!(store.list(bucket, "never", None, 10).await.unwrap().is_empty());
        }
    }
}

/// Any number of times; only the version that is meant.
pub async fn deleting(store: &dyn ObjectStore, bucket: &BucketName) {
    let place = at(bucket, "k");
    store.delete(&place).await.unwrap();
    let meta = put(store, &place, &bytes(10)).await;
    let exact = Locator {
        version: meta.version,
        etag: Some(meta.etag),
        ..place.clone()
    };
    store.delete(&exact).await.unwrap();
    store.delete(&exact).await.unwrap();
    assert!(matches!(store.head(&place).await, Err(ObjectError::NotFound { .. })));
    put(store, &place, &bytes(11)).await;
    store.delete(&place).await.unwrap();
    assert!(matches!(store.head(&place).await, Err(ObjectError::NotFound { .. })));
    assert!(store.list(bucket, "", None, 10).await.unwrap().is_empty());
}

/// In byte order, behind a key, as many as asked for.
pub async fn listing(store: &dyn ObjectStore, bucket: &BucketName) {
    let mut names: Vec<String> = (0..25)
        .map(|n| format!("a/{n:02}"))
        .chain(["b".into(), "B".into(), "a".into(), "ä".into(), "a0".into()])
        .collect();
    for name in &names {
        put(store, &at(bucket, name), &bytes(3)).await;
    }
    names.sort();
    let keys = async |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        store
            .list(bucket, prefix, after, limit)
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.key.to_string())
            .collect()
    };
    assert_eq!(keys("", None, 100).await, names);
    assert_eq!(keys("", None, 7).await, names[..7]);
    assert_eq!(
        keys("a/", None, 100).await,
        names
            .iter()
            .filter(|name| name.starts_with("a/"))
            .cloned()
            .collect::<Vec<_>>()
    );
    assert_eq!(keys("a/", Some("a/10"), 3).await, ["a/11", "a/12", "a/13"]);
    assert_eq!(keys("a/1", Some("a/105"), 2).await, ["a/11", "a/12"]);
    assert_eq!(keys("", Some("ä"), 5).await, Vec::<String>::new());
    assert_eq!(keys("none", None, 5).await, Vec::<String>::new());
    assert_eq!(keys("", None, 0).await, Vec::<String>::new());
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = keys("", after.as_deref(), 4).await;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        all.extend(page);
    }
    assert_eq!(all, names);
    let row = &store.list(bucket, "b", None, 1).await.unwrap()[0];
    let meta = store.head(&at(bucket, "b")).await.unwrap();
    assert_eq!((row.size, &row.etag), (3, &meta.etag));
    // Some answers tell the time in whole seconds.
    assert!((row.last_modified.unix_millis() - meta.last_modified.unix_millis()).abs() < 1000);
}

/// No key is a path, a pattern or an encoding of another.
pub async fn keys_are_plain_bytes(store: &dyn ObjectStore, bucket: &BucketName) {
    let long = "k".repeat(1024);
    let names = [
        "with space",
        "a+b",
        "a b",
        "a%2Fb",
        "a/b",
        "p",
        "p/q",
        "../../escape",
        "./x",
        "x",
        "x//y",
        "x/y",
        "/lead",
        "trail/",
        "ä",
        "a\u{308}",
        "😀.txt",
        "q?u=e&r#y",
        "\"quote'<&>",
        "semi;colon",
        "back\\slash",
        "~tilde*",
        &long,
    ];
    for (n, name) in names.iter().enumerate() {
        put(store, &at(bucket, name), &bytes(n + 1)).await;
    }
    for (n, name) in names.iter().enumerate() {
        assert_eq!(
            get(store, &at(bucket, name), None).await.unwrap(),
            bytes(n + 1),
            "{name:?}"
        );
    }
    let mut listed: Vec<String> = store
        .list(bucket, "", None, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.key.to_string())
        .collect();
    let mut expected: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    expected.sort();
    assert_eq!(listed, expected);
    for name in &names {
        store.delete(&at(bucket, name)).await.unwrap();
        listed.retain(|other| other != name);
        assert_eq!(
            store.list(bucket, "", None, 100).await.unwrap().len(),
            listed.len(),
            "{name:?}"
        );
    }
}

/// A second write replaces the first, and has another entity tag.
pub async fn replaced(store: &dyn ObjectStore, bucket: &BucketName) {
    let place = at(bucket, "k");
    let first = put(store, &place, &bytes(100)).await;
    let second = put(store, &place, &bytes(50)).await;
    assert_ne!(first.etag, second.etag);
    assert_eq!(get(store, &place, None).await.unwrap(), bytes(50));
    assert_eq!(store.list(bucket, "", None, 10).await.unwrap().len(), 1);
}

/// There is a link to what is there. (Whether it works is for the test of the endpoint.)
pub async fn links(store: &dyn ObjectStore, bucket: &BucketName) {
    let place = at(bucket, "a b+c.pdf");
    put(store, &place, &bytes(10)).await;
    let link = store
        .presign_get(&place, Duration::from_secs(60), Some("übersicht \"1\".pdf"))
        .await
        .unwrap();
    assert!(
        link.contains(':') && link.is_ascii() || link.starts_with("memory:"),
        "{link}"
    );
}
