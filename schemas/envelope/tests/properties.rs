//! Every value has one encoding, and no bytes make the parser panic.
#![allow(clippy::unwrap_used)]

use cofferdam_envelope::{
    ContextEntry, Core, Extension, ExtensionKind, Flags, Head, Inclusion, Recipients, Role, SignatureAlg,
    SignatureBlock, Stanza, StanzaAlg, Suite, decode_context, encode_context, geometry,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn extension() -> impl Strategy<Value = Extension> {
    // Unknown types without the critical bit, which may carry anything.
    (0x0100u16..0x7fff, vec(any::<u8>(), 0..50)).prop_map(|(kind, value)| Extension { kind, value })
}

fn context() -> impl Strategy<Value = Vec<ContextEntry>> {
    btree_map("[a-zä]{1,8}", "[^\0]{0,12}", 1..4).prop_map(|map| map.into_iter().collect())
}

fn core() -> impl Strategy<Value = Core> {
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u64>(), any::<[u8; 16]>());
    let extensions = (proptest::option::of(context()), vec(extension(), 0..6), any::<bool>());
    (ids, extensions, any::<bool>()).prop_map(|((object, tenant, sealed_at, signer), extensions, detached)| {
        let (context, mut unknown, erasable) = extensions;
        let context = context.map(|entries| Extension::new(ExtensionKind::Context, encode_context(&entries).unwrap()));
        let token = erasable.then(|| Extension::new(ExtensionKind::EraseTokenId, vec![9; 16]));
        unknown.sort_by_key(|extension| extension.kind);
        unknown.dedup_by_key(|extension| extension.kind);
        let extensions = context.into_iter().chain(unknown).chain(token).collect();
        let flags = Flags { detached, erasable };
        Core {
            suite: Suite::CobblestoneBlake3,
            flags,
            object,
            tenant,
            sealed_at,
            signer,
            extensions,
        }
    })
}

fn stanza() -> impl Strategy<Value = Stanza> {
    let known = prop::sample::select(StanzaAlg::ALL.to_vec());
    (
        prop::sample::select(Role::ALL.to_vec()),
        known,
        any::<[u8; 16]>(),
        vec(any::<u8>(), 1..40),
        any::<bool>(),
    )
        .prop_map(|(role, alg, key_id, body, unknown)| {
            let alg_id = if unknown {
                0x4000 + u16::from(key_id[0])
            } else {
                alg.id()
            };
            let len = if unknown { None } else { alg.body_len() };
            let body = len.map_or(body.clone(), |len| body.into_iter().cycle().take(len).collect());
            Stanza {
                role,
                alg: alg_id,
                key_id,
                body,
            }
        })
}

fn recipients() -> impl Strategy<Value = Recipients> {
    (vec(stanza(), 1..5), any::<[u8; 32]>(), any::<u32>()).prop_map(|(mut stanzas, mac, revision)| {
        stanzas.sort_by_key(|stanza| (stanza.role, stanza.alg, stanza.key_id));
        stanzas.dedup_by_key(|stanza| (stanza.role, stanza.alg, stanza.key_id));
        Recipients { revision, stanzas, mac }
    })
}

fn block() -> impl Strategy<Value = SignatureBlock> {
    let alg = prop::sample::select(SignatureAlg::ALL.to_vec());
    (
        alg,
        any::<[u8; 16]>(),
        vec(any::<u8>(), 0..100),
        0u64..1 << 50,
        any::<[u8; 32]>(),
        any::<u8>(),
    )
        .prop_map(
            |(alg, signer, certificate, plaintext_len, payload_root, fill)| SignatureBlock {
                alg,
                signer,
                certificate,
                payload_len: geometry::payload_len(plaintext_len).unwrap(),
                payload_root,
                inclusion: (alg == SignatureAlg::Batch).then(|| {
                    let size = u16::from(fill) + 1;
                    let index = u16::from(signer[0]) % size;
                    let path = vec![payload_root; Inclusion::path_len(index, size)];
                    Inclusion { size, index, path }
                }),
                signature: vec![fill; alg.signature_len()],
            },
        )
}

fn head() -> impl Strategy<Value = Vec<u8>> {
    (core(), recipients(), block()).prop_map(|(core, recipients, block)| {
        let recipients = Recipients {
            revision: 0,
            ..recipients
        }
        .to_bytes()
        .unwrap();
        let block = SignatureBlock {
            signer: core.signer,
            ..block
        }
        .to_bytes()
        .unwrap();
        let block = if core.flags.detached { vec![] } else { block };
        Head::assemble(&core.to_bytes().unwrap(), &recipients, &block).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn core_round_trips(core in core()) {
        prop_assert_eq!(Core::parse(&core.to_bytes().unwrap()), Ok(core));
    }

    #[test]
    fn recipients_round_trip(recipients in recipients()) {
        prop_assert_eq!(Recipients::parse(&recipients.to_bytes().unwrap()), Ok(recipients));
    }

    #[test]
    fn signature_block_round_trips(block in block()) {
        prop_assert_eq!(SignatureBlock::parse(&block.to_bytes().unwrap()), Ok(block));
    }

    #[test]
    fn context_round_trips(entries in context()) {
        prop_assert_eq!(decode_context(&encode_context(&entries).unwrap()), Ok(entries));
    }

    /// A damaged head is refused, or it is another head: never two encodings of one.
    #[test]
    fn damaged_heads_have_one_encoding(
        mut bytes in head(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(head) = Head::parse(&bytes) {
            prop_assert_eq!(&head.to_bytes().unwrap()[..], &bytes[..head.prefix.payload_offset()]);
        }
    }

    #[test]
    fn any_bytes_parse_or_are_refused(bytes in vec(any::<u8>(), 0..3000)) {
        for made in [
            Core::parse(&bytes).ok().map(|value| value.to_bytes().unwrap()),
            Recipients::parse(&bytes).ok().map(|value| value.to_bytes().unwrap()),
            SignatureBlock::parse(&bytes).ok().map(|value| value.to_bytes().unwrap()),
        ] {
            prop_assert!(made.is_none_or(|made| made == bytes));
        }
        let _ = Head::parse(&bytes);
        let _ = decode_context(&bytes);
    }

    #[test]
    fn geometry_is_a_bijection(plaintext_len in 0u64..1 << 52, noise in any::<u64>()) {
        let payload = geometry::payload_len(plaintext_len).unwrap();
        prop_assert_eq!(geometry::plaintext_len(payload), Ok(plaintext_len));
        if let Ok(plaintext_len) = geometry::plaintext_len(noise) {
            prop_assert_eq!(geometry::payload_len(plaintext_len), Ok(noise));
        }
    }

    #[test]
    fn spans_cover_their_range(len in 0u64..200_000, a in any::<u64>(), b in any::<u64>()) {
        let payload = geometry::payload_len(len).unwrap();
        let (a, b) = (a % (len + 1), b % (len + 1));
        let (start, end) = (a.min(b), a.max(b));
        let span = geometry::span(start..end, payload).unwrap();
        prop_assert!(span.sealed.end <= payload && span.sealed.start <= span.sealed.end);
        prop_assert_eq!(span.len, end - start);
        prop_assert_eq!(span.first_chunk * geometry::CHUNK_LEN as u64 + span.skip as u64, start);
        let chunks = (span.sealed.end - span.sealed.start).div_ceil(geometry::SEALED_CHUNK_LEN as u64);
        let opened = (span.sealed.end - span.sealed.start) - chunks * geometry::TAG_LEN as u64;
        let wanted = if start == end { 0 } else { span.skip as u64 + span.len };
        prop_assert!(opened >= wanted);
        prop_assert!(opened < span.skip as u64 + span.len + geometry::CHUNK_LEN as u64);
    }
}
