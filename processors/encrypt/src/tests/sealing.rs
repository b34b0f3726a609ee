//! Documents are sealed, once, and only what opens again is called sealed.

use std::collections::BTreeMap;

use cofferdam_processor::ErrorClass;
use cofferdam_schemas::{Checksums, ErrorCode, KeyId, TenantName};
use sha2::{Digest, Sha256};

use super::*;
use crate::crypto::{OpenRequest, Opener, Role};

fn vault_key(job: &Job) -> String {
    format!("default/{}.sealed", job.object.id)
}

#[tokio::test]
async fn seals_for_tenant_and_recovery() {
    let bench = Bench::new().await;
    let (job, document) = bench
        .land("patients/anna-smith.txt", b"diagnosis: secret".to_vec())
        .await;
    let conclusion = bench.process(&job, &document).await.unwrap();
    let sealed = conclusion.sealed.unwrap();
    let keys = bench.encrypt_ring().tenant(&job.object.tenant).unwrap();
    assert_eq!(
        (sealed.bucket.as_str(), sealed.key.as_str()),
        ("vault", &*vault_key(&job))
    );
    assert_eq!(
        sealed.recipients,
        [keys.kem.recipient_key().id(), keys.recovery.recipient_key().id()]
    );
    assert_eq!(
        sealed.plaintext_sha256,
        hex::encode(Sha256::digest(b"diagnosis: secret"))
    );
    assert_eq!(
        (sealed.plaintext_size, sealed.suite.as_str(), sealed.opened_at),
        (17, "0x0001", bench.rig.clock.now())
    );
    let bytes = read(bench.vault(), &vault_key(&job)).await.unwrap();
    assert_eq!(sealed.size, bytes.len() as u64);
    assert_eq!(conclusion.details["overhead_bytes"], sealed.size - 17);
    assert_eq!(conclusion.details["provider"], "aws-lc");
    assert!(conclusion.verdict.is_none() && conclusion.findings.is_empty());
    for secret in [&b"diagnosis"[..], b"anna-smith", b"text/plain"] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret));
    }
}

/// How the objects in the vault are signed, and how many were signed with each.
async fn signed(bench: &Bench) -> Vec<(u8, u16)> {
    let mut found = Vec::new();
    for key in bench.keys_in(bench.vault()).await {
        let bytes = read(bench.vault(), &key).await.unwrap();
        let block = cofferdam_envelope::Head::parse(&bytes).unwrap().signature.unwrap();
        found.push((block.alg.id(), block.inclusion.map_or(1, |place| place.size)));
    }
    found
}

/// Every one of them was read back and opened before it was called sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn documents_that_come_together_share_a_signature() {
    for (config, shared) in [
        ("", true),
        ("signatures = \"batch\"", true),
        ("signatures = \"each\"", false),
    ] {
        let bench = Arc::new(Bench::with(config).await);
        let mut sealing = Vec::new();
        for n in 0..40 {
            let bench = bench.clone();
            let (job, document) = bench.land(&format!("small/{n}.txt"), text(n * 7)).await;
            sealing.push(tokio::spawn(async move {
                bench.process(&job, &document).await.unwrap().sealed.unwrap()
            }));
        }
        for one in sealing {
            let sealed = one.await.unwrap();
            assert_eq!(
                sealed.size,
                read(bench.vault(), sealed.key.as_str()).await.unwrap().len() as u64
            );
        }
        let signed = signed(&bench).await;
        assert_eq!(signed.len(), 40);
        let most = signed.iter().map(|&(_, size)| size).max().unwrap();
        assert_eq!(most > 1, shared, "{signed:?}");
        assert!(signed.iter().all(|&(alg, size)| alg == if size > 1 { 3 } else { 1 }));
    }
}

#[tokio::test]
async fn alone_or_large_is_signed_alone() {
    let bench = Bench::new().await;
    for size in [0, 1, 65_536, 65_537, 200_000] {
        let (job, document) = bench.land(&format!("{size}.txt"), text(size)).await;
        let sealed = bench.process(&job, &document).await.unwrap().sealed.unwrap();
        assert_eq!(sealed.plaintext_size, size as u64);
    }
    assert_eq!(signed(&bench).await, [(1, 1); 5]);
}

#[tokio::test]
async fn both_keys_open_it_and_the_name_is_inside() {
    let bench = Bench::new().await;
    let user = BTreeMap::from([("origin".to_owned(), "scanner 7".to_owned())]);
    let (job, document) = bench.land_with("a/b.txt", b"text", user.clone()).await;
    bench.process(&job, &document).await.unwrap();
    let bytes = read(bench.vault(), &vault_key(&job)).await.unwrap();
    let ring = bench.encrypt_ring();
    for role in [Role::Tenant, Role::Recovery] {
        let mut request = OpenRequest::new(&job.object.tenant).object(*job.object.id.0.as_bytes());
        request.policy.roles = vec![role];
        let opener = Opener::begin(
            crate::crypto::provider(Default::default()),
            &bytes,
            &ring,
            &request,
            &ring,
        )
        .await
        .unwrap();
        assert_eq!(opener.role(), role);
        let private = opener.private().unwrap();
        assert_eq!(
            (private.key.as_str(), private.content_type.as_deref(), &private.user),
            ("a/b.txt", Some("text/plain"), &user)
        );
        let mut plain = Vec::new();
        let mut stream = opener.stream().unwrap();
        stream.update(&bytes[opener.consumed() as usize..], &mut plain).unwrap();
        stream.finish().unwrap();
        assert_eq!(plain, b"text");
    }
}

#[tokio::test]
async fn every_size_with_every_provider() {
    for provider in ["rust-crypto", "aws-lc"] {
        let bench = Bench::with(&format!("provider = \"{provider}\"")).await;
        for size in [0, 1, 16_383, 16_384, 16_385, 65_536, 65_537, 1 << 20, (5 << 20) + 3] {
            let body = text(size);
            let (job, document) = bench.land(&format!("{size}"), body.clone()).await;
            let conclusion = bench.process(&job, &document).await.unwrap();
            assert_eq!(conclusion.details["provider"], provider);
            let sealed = conclusion.sealed.unwrap();
            assert_eq!(sealed.plaintext_sha256, hex::encode(Sha256::digest(&body)), "{size}");
            assert_eq!(sealed.plaintext_size, size as u64);
        }
    }
}

#[tokio::test]
async fn redelivery_reuses_what_is_there() {
    let bench = Bench::new().await;
    let (mut job, document) = bench.land("a", text(100)).await;
    let first = bench.process(&job, &document).await.unwrap().sealed.unwrap();
    for attempt in [1, 2] {
        job.attempt = attempt;
        let again = bench.process(&job, &document).await.unwrap().sealed.unwrap();
        assert_eq!(
            (&again.header, &again.payload_root),
            (&first.header, &first.payload_root)
        );
    }
    // Retired: the sealed copy is enough.
    bench.rig.remove(&job).await;
    for attempt in [1, 2] {
        job.attempt = attempt;
        assert_eq!(
            bench.process(&job, &document).await.unwrap().sealed.unwrap().header,
            first.header
        );
    }
}

#[tokio::test]
async fn gone_without_a_copy_is_superseded() {
    let bench = Bench::new().await;
    for attempt in [1, 2] {
        let (mut job, document) = bench.land("a", text(100)).await;
        job.attempt = attempt;
        bench.rig.remove(&job).await;
        assert_eq!(
            bench.process(&job, &document).await.unwrap_err().class(),
            ErrorClass::Superseded
        );
    }
    assert!(bench.keys_in(bench.vault()).await.is_empty());
}

/// Damages the sealed object of a job in one way.
async fn damage(bench: &Bench, job: &Job, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = read(bench.vault(), &vault_key(job)).await.unwrap();
    change(&mut bytes);
    overwrite(bench.vault(), &vault_key(job), bytes.clone()).await;
    bytes
}

#[tokio::test]
async fn a_damaged_leftover_is_replaced_if_the_document_is_there() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 9] = [
        ("magic", |b| b[0] ^= 1),
        ("core", |b| b[30] ^= 1),
        ("stanza", |b| b[400] ^= 1),
        ("signature", |b| b[5000] ^= 1),
        ("last byte", |b| *b.last_mut().unwrap() ^= 1),
        ("cut", |b| b.truncate(b.len() - 1)),
        ("longer", |b| b.push(0)),
        ("head only", |b| b.truncate(3000)),
        ("empty", Vec::clear),
    ];
    let bench = Bench::new().await;
    for (name, change) in changes {
        for attempt in [1, 2] {
            let (mut job, document) = bench.land(&format!("{name}-{attempt}"), text(40_000)).await;
            let first = bench.process(&job, &document).await.unwrap().sealed.unwrap();
            damage(&bench, &job, change).await;
            job.attempt = attempt;
            let again = bench.process(&job, &document).await.unwrap().sealed.unwrap();
            assert_ne!(again.header, first.header, "{name}: it was not sealed anew");
            // And what was made is good.
            assert_eq!(
                bench.process(&job, &document).await.unwrap().sealed.unwrap().header,
                again.header
            );
        }
    }
}

#[tokio::test]
async fn a_damaged_leftover_stays_if_the_document_is_gone() {
    let bench = Bench::new().await;
    let (mut job, document) = bench.land("a", text(100)).await;
    bench.process(&job, &document).await.unwrap();
    let damaged = damage(&bench, &job, |b| *b.last_mut().unwrap() ^= 1).await;
    bench.rig.remove(&job).await;
    for attempt in [1, 2] {
        job.attempt = attempt;
        let error = bench.process(&job, &document).await.unwrap_err();
        assert_eq!(
            (error.class(), error.code()),
            (ErrorClass::Reject, ErrorCode::Damaged),
            "{error}"
        );
    }
    assert_eq!(read(bench.vault(), &vault_key(&job)).await.unwrap(), damaged);
}

#[tokio::test]
async fn another_objects_seal_under_this_key_is_replaced() {
    let bench = Bench::new().await;
    let (other, document) = bench.land("other", text(100)).await;
    bench.process(&other, &document).await.unwrap();
    let (job, document) = bench.land("a", text(100)).await;
    overwrite(
        bench.vault(),
        &vault_key(&job),
        read(bench.vault(), &vault_key(&other)).await.unwrap(),
    )
    .await;
    let sealed = bench.process(&job, &document).await.unwrap().sealed.unwrap();
    assert_eq!(
        read(bench.vault(), &vault_key(&job)).await.unwrap().len() as u64,
        sealed.size
    );
    assert_ne!(
        read(bench.vault(), &vault_key(&job)).await.unwrap(),
        read(bench.vault(), &vault_key(&other)).await.unwrap()
    );
}

#[tokio::test]
async fn a_good_seal_of_other_bytes_is_replaced() {
    let bench = Bench::new().await;
    let (old, document) = bench.land("a", text(100)).await;
    bench.process(&old, &document).await.unwrap();
    // The same id for other bytes: a store that lied about its entity tag.
    let (mut job, document) = bench.land("b", text(101)).await;
    job.object.id = old.object.id;
    let sealed = bench.process(&job, &document).await.unwrap().sealed.unwrap();
    assert_eq!(sealed.plaintext_size, 101);
}

#[tokio::test]
async fn a_seal_of_another_ring_is_left_alone() {
    let (bench, stranger) = (Bench::new().await, Bench::new().await);
    let (mut job, document) = bench.land("a", text(100)).await;
    let (mut theirs, their_document) = stranger.land("a", text(100)).await;
    theirs.object.id = job.object.id;
    stranger.process(&theirs, &their_document).await.unwrap();
    let bytes = read(stranger.vault(), &vault_key(&job)).await.unwrap();
    overwrite(bench.vault(), &vault_key(&job), bytes.clone()).await;
    for attempt in [1, 2] {
        job.attempt = attempt;
        let error = bench.process(&job, &document).await.unwrap_err();
        assert_eq!(
            (error.class(), error.code()),
            (ErrorClass::Reject, ErrorCode::CannotOpen),
            "{error}"
        );
    }
    assert_eq!(read(bench.vault(), &vault_key(&job)).await.unwrap(), bytes);
}

#[tokio::test]
async fn bytes_that_are_not_what_the_store_claims_are_refused() {
    let bench = Bench::new().await;
    let sha256 = |text: &str| Some(hex::encode(Sha256::digest(text)));
    // MD5 of "other".
    let md5 = Some("795f3202b17cb6bc3d4b771d8c6c9eaf".to_owned());
    let claims = [
        Checksums {
            sha256: sha256("other"),
            ..Checksums::default()
        },
        Checksums {
            md5: md5.clone(),
            ..Checksums::default()
        },
    ];
    for checksums in claims {
        let (mut job, document) = bench.land("a", b"text".to_vec()).await;
        job.object.checksums = checksums;
        let error = bench.process(&job, &document).await.unwrap_err();
        assert_eq!(
            (error.class(), error.code()),
            (ErrorClass::Reject, ErrorCode::Damaged),
            "{error}"
        );
    }
    let (mut job, document) = bench.land("b", b"text".to_vec()).await;
    job.object.size = 5;
    assert_eq!(
        bench.process(&job, &document).await.unwrap_err().code(),
        ErrorCode::Damaged
    );
    assert!(bench.keys_in(bench.vault()).await.is_empty());
    // The same claims, where they are true.
    let (mut job, document) = bench.land("c", b"other".to_vec()).await;
    job.object.checksums = Checksums {
        md5,
        ..Checksums::default()
    };
    bench.process(&job, &document).await.unwrap();
}

#[tokio::test]
async fn a_transfer_that_ends_early_is_tried_again() {
    let bench = Bench::new().await;
    let (job, _) = bench.land("a", text(100_000)).await;
    let short = Document::new(
        Arc::new(super::stores::Short(
            bench.rig.deps.stores.landing[&job.object.source].clone(),
        )),
        &job.object,
    );
    assert_eq!(
        bench.process(&job, &short).await.unwrap_err().class(),
        ErrorClass::Retry
    );
    assert!(bench.keys_in(bench.vault()).await.is_empty());
}

#[tokio::test]
async fn a_tenant_without_keys_is_refused_by_name() {
    let bench = Bench::new().await;
    let (mut job, document) = bench.land("a", text(10)).await;
    job.object.tenant = TenantName::new("stranger").unwrap();
    let error = bench.process(&job, &document).await.unwrap_err();
    assert_eq!(
        (error.class(), error.code()),
        (ErrorClass::Reject, ErrorCode::Forbidden)
    );
    assert!(error.to_string().contains("stranger"), "{error}");
}

#[tokio::test]
async fn metadata_that_does_not_fit_is_a_limit() {
    let bench = Bench::new().await;
    let user = BTreeMap::from([("note".to_owned(), "x".repeat(70_000))]);
    let (job, document) = bench.land_with("a", b"text", user).await;
    let error = bench.process(&job, &document).await.unwrap_err();
    assert_eq!(
        (error.class(), error.code()),
        (ErrorClass::Reject, ErrorCode::LimitExceeded),
        "{error}"
    );
}

#[tokio::test]
async fn a_tenants_door_opens_nothing_of_another_tenant() {
    use crate::crypto::Unwrap;
    let bench = Bench::new().await;
    let ring = bench.encrypt_ring();
    let (own, other) = (TenantName::new("default").unwrap(), TenantName::new("other").unwrap());
    ring.add_tenants(std::slice::from_ref(&other), at(0)).unwrap();
    let ids = |tenant: &TenantName| -> [KeyId; 2] {
        let keys = ring.tenant(tenant).unwrap();
        [keys.kem.recipient_key().id(), keys.recovery.recipient_key().id()]
    };
    let held = |tenant, id: KeyId| ring.door(tenant).holds(&id);
    assert_eq!(ids(&own).map(|id| held(&own, id)), [true, false]);
    assert_eq!(ids(&own).map(|id| held(&other, id)), [false, false]);
    assert!(ring.recovery(&own, &ids(&own)[1]).is_some() && ring.recovery(&other, &ids(&own)[1]).is_none());
    assert!(ring.recovery(&own, &ids(&own)[0]).is_none());
}

impl Bench {
    pub(super) fn encrypt_ring(&self) -> crate::keys::KeyRing {
        self.encrypt.ring().clone()
    }

    async fn land_with(&self, key: &str, body: &[u8], user: BTreeMap<String, String>) -> (Job, Document) {
        let (mut job, _) = self.land(key, body).await;
        let store = self.rig.deps.stores.landing[&job.object.source].clone();
        let options = PutOptions {
            content_type: Some("text/plain".to_owned()),
            user,
            ..PutOptions::default()
        };
        let place = Place {
            store: store.clone(),
            bucket: job.object.bucket.clone(),
        };
        let meta = place
            .put(job.object.key.clone(), Bytes::copy_from_slice(body), options)
            .await
            .unwrap();
        job.object.etag = meta.etag;
        let document = Document::new(store, &job.object);
        (job, document)
    }
}
