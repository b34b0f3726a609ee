//! The order of opening, policies, roles, the escrow proof, and what errors say.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cofferdam_encrypt::crypto::{
    CompositeSigner, Dek, Entropy, OpenError, OpenReason, Opener, RecipientKey, Refused, Role, SealError, SealRequest,
    Sealer, SignError, SignatureAlg, Signer, Stanza, StanzaAlg, Untrusted, Unwrap, VerifiedHead, escrow_proof,
};
use cofferdam_schemas::KeyId;
use futures::executor::block_on;

use crate::generate::Parts;
use crate::support::{Keys, Trust, World, each_provider, plaintext, rust_crypto, tenant};

/// Counts what it is asked.
struct Counting<'a>(&'a Keys, AtomicUsize);

#[async_trait]
impl Unwrap for Counting<'_> {
    fn holds(&self, id: &KeyId) -> bool {
        self.0.holds(id)
    }
    async fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.unwrap(stanza, header).await
    }
}

#[test]
fn no_private_key_is_touched_before_the_signature_and_the_tenant_hold() {
    let world = World::new(rust_crypto());
    let object = world.seal_fresh(b"text").object;
    let keys = Keys::of(&[&world.kem]);
    let counting = Counting(&keys, AtomicUsize::new(0));
    let asked = |object: &[u8], trust: &Trust, name: &str| {
        let tenant = tenant(name);
        let request = cofferdam_encrypt::crypto::OpenRequest::new(&tenant);
        counting.1.store(0, Ordering::Relaxed);
        let opened = block_on(Opener::begin(
            world.provider.clone(),
            object,
            trust,
            &request,
            &counting,
        ));
        (opened.map(drop), counting.1.load(Ordering::Relaxed))
    };
    let mut changed = object.clone();
    changed[30] ^= 1;
    let (opened, calls) = asked(&changed, &world.trust, "acme");
    assert!(matches!(opened, Err(OpenError::Untrusted(Untrusted::Signature))));
    assert_eq!(calls, 0);
    let (opened, calls) = asked(&object, &Trust(vec![]), "acme");
    assert!(matches!(opened, Err(OpenError::Untrusted(Untrusted::UnknownSigner))));
    assert_eq!(calls, 0);
    let (opened, calls) = asked(&object, &world.trust, "other");
    assert!(matches!(opened, Err(OpenError::Refused(Refused::Tenant))));
    assert_eq!(calls, 0);
    let (opened, calls) = asked(&object, &world.trust, "acme");
    opened.unwrap();
    assert_eq!(calls, 1);
}

/// Does not answer for one key, and works for the others.
struct Partly<'a>(&'a Keys, KeyId);

#[async_trait]
impl Unwrap for Partly<'_> {
    fn holds(&self, id: &KeyId) -> bool {
        self.0.holds(id) || *id == self.1
    }
    async fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError> {
        if stanza.key_id == self.1.0 {
            return Err(OpenError::Unavailable("timeout".into()));
        }
        self.0.unwrap(stanza, header).await
    }
}

#[test]
fn a_silent_key_service_is_no_verdict() {
    let world = World::new(rust_crypto());
    let object = world.seal_fresh(b"text").object;
    let none = Keys::default();
    let opened = world.open_with(&object, &world.open_request(), &Partly(&none, world.kem.id()));
    assert!(matches!(opened, Err(OpenError::Unavailable(_))));
    // Another stanza still opens it.
    let recovery = Keys::of(&[&world.recovery]);
    let opened = world.open_with(&object, &world.open_request(), &Partly(&recovery, world.kem.id()));
    assert_eq!(opened.unwrap(), b"text");
    // "Try again" is not lost behind a stanza that never opens.
    let mut parts = Parts::of(&object);
    parts.change_recipients(|recipients| recipients.stanzas[1].body[1160] ^= 1);
    let object = parts.sign(&world.signer).object();
    let opened = world.open_with(&object, &world.open_request(), &Partly(&recovery, world.kem.id()));
    assert!(matches!(opened, Err(OpenError::Unavailable(_))));
}

#[test]
fn metadata_context_and_identity_come_back() {
    each_provider(|provider| {
        let world = World::new(provider);
        let text = plaintext(20_000);
        let made = world.seal_fresh(&text);
        let opener = world
            .begin(&made.object, &world.open_request(), &Keys::of(&[&world.recovery]))
            .unwrap();
        assert_eq!(opener.private(), world.request().private.as_ref());
        let context = [("department", "finance"), ("purpose", "archive")];
        assert_eq!(
            opener.context(),
            context.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert_eq!(opener.role(), Role::Recovery);
        assert_eq!(opener.key_id(), world.recovery.id());
        assert_eq!(opener.core().object, world.object);
        assert_eq!(opener.plaintext_len(), 20_000);
        let summary = &made.sealed.summary;
        assert_eq!(opener.header_hash(), summary.header_hash);
        assert_eq!(opener.payload_len(), summary.payload_len);
        assert_eq!(opener.payload_root(), summary.payload_root);
        assert_eq!(opener.payload_offset(), summary.head_len as u64);
        assert_eq!(opener.core().signer, summary.signer.0);
        let ids = [(Role::Tenant, world.kem.id()), (Role::Recovery, world.recovery.id())];
        assert_eq!(summary.recipients, ids);
        let sealed_name = "bersicht";
        assert!(
            !made
                .object
                .windows(sealed_name.len())
                .any(|w| w == sealed_name.as_bytes()),
            "the name is sealed"
        );
    });
}

#[test]
fn overhead_is_what_the_page_says() {
    let world = World::new(rust_crypto());
    let mut request = world.request();
    (request.private, request.context) = (None, vec![]);
    let object = world.seal(&request, b"x").object;
    assert_eq!(object.len(), 20 + 62 + 2417 + 3432 + 73);
}

#[test]
fn policies_are_allow_lists() {
    let world = World::new(rust_crypto());
    let object = world.seal_fresh(b"text").object;
    let keys = Keys::of(&[&world.kem]);
    let open = |change: &dyn Fn(&mut cofferdam_encrypt::crypto::OpenRequest<'_>)| {
        let mut request = world.open_request();
        change(&mut request);
        world.open_with(&object, &request, &keys).map(drop)
    };
    open(&|_| {}).unwrap();
    assert!(matches!(
        open(&|r| r.policy.suites.clear()),
        Err(OpenError::Refused(Refused::Suite(1)))
    ));
    assert!(matches!(
        open(&|r| r.policy.signature_algs.clear()),
        Err(OpenError::Refused(Refused::SignatureAlg(1)))
    ));
    let only = |alg| move |r: &mut cofferdam_encrypt::crypto::OpenRequest<'_>| r.policy.stanza_algs = vec![alg];
    assert!(matches!(
        open(&only(StanzaAlg::MlKem768)),
        Err(OpenError::CannotOpen(OpenReason::NoStanza))
    ));
    let role = |role| move |r: &mut cofferdam_encrypt::crypto::OpenRequest<'_>| r.policy.roles = vec![role];
    assert!(matches!(
        open(&role(Role::Recovery)),
        Err(OpenError::CannotOpen(OpenReason::NoStanza))
    ));
    open(&role(Role::Tenant)).unwrap();
    assert!(matches!(
        open(&|r| r.object = Some([0; 16])),
        Err(OpenError::Refused(Refused::Object))
    ));
    let len = object.len() as u64;
    open(&|r| r.object_len = Some(len)).unwrap();
    assert!(matches!(
        open(&|r| r.object_len = Some(len - 1)),
        Err(OpenError::CannotOpen(OpenReason::Truncated))
    ));
    assert!(matches!(
        open(&|r| r.object_len = Some(len + 1)),
        Err(OpenError::CannotOpen(OpenReason::Trailing))
    ));
}

#[test]
fn a_directory_that_gives_another_key_is_not_believed() {
    struct Confused(Trust);
    impl cofferdam_encrypt::crypto::Directory for Confused {
        fn verifier(&self, _: &KeyId) -> Option<cofferdam_encrypt::crypto::VerifyKey> {
            self.0.0.first().cloned()
        }
    }
    let world = World::new(rust_crypto());
    let object = world.seal_fresh(b"text").object;
    let other = CompositeSigner::from_seeds(&[1; 32], &[2; 32]);
    let request = world.open_request();
    let verified = VerifiedHead::verify(
        world.provider.clone(),
        &object,
        &Confused(Trust(vec![other.verify_key()])),
        &request,
    );
    assert!(matches!(verified, Err(OpenError::Untrusted(Untrusted::KeyMismatch))));
}

#[test]
fn how_much_is_needed_is_known_from_the_prefix() {
    let world = World::new(rust_crypto());
    let made = world.seal_fresh(b"text");
    assert_eq!(Opener::needs(b"").unwrap(), 20);
    assert_eq!(Opener::needs(&made.object[..19]).unwrap(), 20);
    assert_eq!(Opener::needs(&made.object[..20]).unwrap(), made.sealed.head.len() + 56);
    assert!(Opener::needs(b"%PDF-1.7").is_err(), "said at once");
    let keys = Keys::of(&[&world.kem]);
    let request = world.open_request();
    let short = &made.object[..made.sealed.head.len() + 55];
    let opened = block_on(Opener::begin(
        world.provider.clone(),
        short,
        &world.trust,
        &request,
        &keys,
    ));
    assert!(matches!(opened.map(drop), Err(OpenError::Envelope(_))));
}

#[test]
fn escrow_is_proved_without_the_recovery_key() {
    each_provider(|provider| {
        let world = World::new(provider.clone());
        let object = world.seal_fresh(b"text").object;
        let opener = world
            .begin(&object, &world.open_request(), &Keys::of(&[&world.kem]))
            .unwrap();
        let right = world.recovery.recipient(Role::Recovery);
        assert!(opener.prove_escrow(&right));
        // Another key; the right key in another role; the tenant's key as recovery key.
        assert!(
            !opener.prove_escrow(
                &RecipientKey::new(Role::Recovery, StanzaAlg::MlKem768X25519, world.kem.public()).unwrap()
            )
        );
        assert!(!opener.prove_escrow(&world.recovery.recipient(Role::Grantee)));
        assert!(!opener.prove_escrow(&world.kem.recipient(Role::Tenant)));

        // A recovery stanza that is signed and names the right key, and yet does not open: the proof tells.
        for at in [0, 600, 1100, 1130, 1167] {
            let mut parts = Parts::of(&object);
            parts.change_recipients(|recipients| recipients.stanzas[1].body[at] ^= 1);
            let stanza = cofferdam_envelope::Recipients::parse(&parts.recipients)
                .unwrap()
                .stanzas[1]
                .clone();
            let header = opener.header_hash();
            let dek = world.kem.unwrap(&opener.stanzas()[0], &header).unwrap();
            assert!(!escrow_proof(provider.as_ref(), &dek, &right, &stanza, &header), "{at}");
            assert!(world.recovery.unwrap(&stanza, &header).is_err(), "{at}");
            assert!(escrow_proof(
                provider.as_ref(),
                &dek,
                &right,
                &opener.stanzas()[1],
                &header
            ));
            assert!(!escrow_proof(
                provider.as_ref(),
                &dek,
                &right,
                &opener.stanzas()[1],
                &[0; 32]
            ));
        }
    });
}

#[test]
fn both_recipients_always() {
    let world = World::new(rust_crypto());
    let seal = |recipients: Vec<RecipientKey>| {
        let request = SealRequest::new(world.object, world.tenant.clone(), 1, recipients);
        Sealer::new(world.provider.as_ref(), &request, &world.signer).map(drop)
    };
    let (kem, recovery) = (
        world.kem.recipient(Role::Tenant),
        world.recovery.recipient(Role::Recovery),
    );
    assert!(matches!(seal(vec![]), Err(SealError::Recipients(_))));
    assert!(matches!(seal(vec![kem.clone()]), Err(SealError::Recipients(_))));
    assert!(matches!(seal(vec![recovery.clone()]), Err(SealError::Recipients(_))));
    assert!(
        matches!(
            seal(vec![kem.clone(), recovery.clone(), kem.clone()]),
            Err(SealError::Envelope(_))
        ),
        "twice"
    );
    seal(vec![kem, recovery]).unwrap();
}

#[test]
fn heads_that_do_not_fit_are_refused() {
    let world = World::new(rust_crypto());
    let seal = |change: &dyn Fn(&mut SealRequest)| {
        let mut request = world.request();
        change(&mut request);
        Sealer::new(world.provider.as_ref(), &request, &world.signer).map(drop)
    };
    let long = |len: usize| "x".repeat(len);
    assert!(matches!(
        seal(&|r| r.context = vec![("a".into(), long(65_534))]),
        Err(SealError::Envelope(_))
    ));
    assert!(matches!(
        seal(&|r| r.private.as_mut().unwrap().key = long(70_000)),
        Err(SealError::Envelope(_))
    ));
    assert!(matches!(
        seal(&|r| r.context = vec![("a\0b".into(), "c".into())]),
        Err(SealError::Envelope(_))
    ));
    assert!(matches!(
        seal(&|r| r.context = vec![("a".into(), "1".into()), ("a".into(), "2".into())]),
        Err(SealError::Envelope(_))
    ));
    assert!(matches!(
        seal(&|r| r.retention_class = Some(String::new())),
        Err(SealError::Envelope(_))
    ));
    seal(&|r| r.private.as_mut().unwrap().key = long(1024)).unwrap();
}

#[test]
fn a_signer_that_fails_or_gives_the_wrong_length() {
    struct Bad(CompositeSigner, Option<usize>);
    #[async_trait]
    impl Signer for Bad {
        fn key_id(&self) -> KeyId {
            self.0.key_id()
        }
        fn alg(&self) -> SignatureAlg {
            self.0.alg()
        }
        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
            self.1
                .map(|len| vec![0; len])
                .ok_or_else(|| SignError::Unavailable("timeout".into()))
        }
    }
    let world = World::new(rust_crypto());
    let finish = |len| {
        let signer = Bad(CompositeSigner::from_seeds(&[1; 32], &[2; 32]), len);
        let sealer = Sealer::new(world.provider.as_ref(), &world.request(), &signer).unwrap();
        block_on(sealer.finish(&signer)).map(drop)
    };
    assert!(matches!(finish(None), Err(SealError::Sign(SignError::Unavailable(_)))));
    assert!(matches!(finish(Some(64)), Err(SealError::Envelope(_))));
    finish(Some(3373)).unwrap();
}

#[test]
fn certificates_count_only_for_a_directory_that_checks_them() {
    struct Certified(CompositeSigner);
    #[async_trait]
    impl Signer for Certified {
        fn key_id(&self) -> KeyId {
            self.0.key_id()
        }
        fn alg(&self) -> SignatureAlg {
            self.0.alg()
        }
        fn certificate(&self) -> &[u8] {
            b"issued by somebody"
        }
        async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
            self.0.sign(statement).await
        }
    }
    struct Checks<'a>(&'a Trust);
    impl cofferdam_encrypt::crypto::Directory for Checks<'_> {
        fn verifier(&self, _: &KeyId) -> Option<cofferdam_encrypt::crypto::VerifyKey> {
            None
        }
        fn verifier_certified(
            &self,
            signer: &KeyId,
            certificate: &[u8],
            at: u64,
        ) -> Option<cofferdam_encrypt::crypto::VerifyKey> {
            let holds = certificate == b"issued by somebody" && at == crate::support::SEALED_AT;
            holds.then(|| self.0.verifier(signer))?
        }
    }
    use cofferdam_encrypt::crypto::Directory;
    let world = World::new(rust_crypto());
    let signer = Certified(CompositeSigner::from_seeds(
        &crate::support::SIGNER_ML_DSA_SEED,
        &crate::support::SIGNER_ED25519_SEED,
    ));
    let object = world.seal_signed(&world.request(), b"text", &signer).object;
    let request = world.open_request();
    let verify = |directory: &dyn Directory, object: &[u8]| {
        VerifiedHead::verify(world.provider.clone(), object, directory, &request).map(drop)
    };
    verify(&Checks(&world.trust), &object).unwrap();
    assert!(matches!(
        verify(&world.trust, &object),
        Err(OpenError::Untrusted(Untrusted::UnknownSigner))
    ));
    let mut changed = object.clone();
    let at = object.windows(6).position(|window| window == b"issued").unwrap();
    changed[at] ^= 1;
    assert!(matches!(
        verify(&Checks(&world.trust), &changed),
        Err(OpenError::Untrusted(Untrusted::UnknownSigner))
    ));
}

#[test]
fn one_outward_error() {
    use std::error::Error;
    let reasons = [
        OpenReason::NoStanza,
        OpenReason::Encapsulation,
        OpenReason::Stanza,
        OpenReason::RecipientsMac,
        OpenReason::Commitment,
        OpenReason::Metadata,
        OpenReason::Chunk,
        OpenReason::Truncated,
        OpenReason::Trailing,
    ];
    let mut words = std::collections::BTreeSet::new();
    for reason in reasons {
        let error = OpenError::from(reason);
        assert_eq!(error.to_string(), "sealed object cannot be opened");
        assert!(error.source().is_none(), "no reason through the back door");
        assert!(words.insert(error.audit()), "the audit log tells them apart");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let world = World::new(rust_crypto());
    let opener_keys = Keys::of(&[&world.kem]);
    let object = world.seal_fresh(b"text").object;
    let opener = world.begin(&object, &world.open_request(), &opener_keys).unwrap();
    let dek = world.kem.unwrap(&opener.stanzas()[0], &opener.header_hash()).unwrap();
    let texts = [
        format!("{dek:?}"),
        format!("{:?}", world.kem),
        format!("{:?}", world.request()),
        format!("{:?}", opener.private()),
    ];
    assert_eq!(texts[0], "Dek(..)");
    for text in &texts {
        // The tenant's seed is 32 times 17.
        let seed = ["17, 17, 17, 17", "11111111"].iter().any(|seed| text.contains(seed));
        assert!(!text.contains("Übersicht") && !seed, "{text}");
    }
}

#[test]
fn fresh_randomness_every_time() {
    let world = World::new(rust_crypto());
    let [one, two] = [world.seal_fresh(b"text").object, world.seal_fresh(b"text").object];
    let (one, two) = (Parts::of(&one), Parts::of(&two));
    assert_ne!(one.recipients, two.recipients);
    assert_ne!(one.payload[..24], two.payload[..24], "salt");
    assert_ne!(one.payload[56..], two.payload[56..]);
    let seeded = |seed: u8| Entropy::from_seed(world.provider.as_ref(), &[seed; 32]).unwrap();
    let seal = |seed: u8| {
        let sealer =
            Sealer::with_entropy(world.provider.as_ref(), &world.request(), &world.signer, seeded(seed)).unwrap();
        sealer.header_hash()
    };
    assert_eq!(seal(1), seal(1));
    assert_ne!(seal(1), seal(2), "the private metadata is in the header");
}
