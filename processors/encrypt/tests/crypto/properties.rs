//! What must never happen: a changed, cut, lengthened or mixed object that opens.

use std::sync::Arc;

use cofferdam_encrypt::crypto::{OpenError, Provider, ProviderKind, Role, provider};
use proptest::prelude::*;

use crate::generate::Parts;
use crate::support::{Keys, World, plaintext, rust_crypto, tenant};

/// Opens and compares; `Ok` only if it is undetected, so that tests assert an error.
fn undetected(world: &World, keys: &Keys, object: &[u8]) -> Result<Vec<u8>, OpenError> {
    world.open_with(object, &world.open_request(), keys)
}

fn flip_every(provider: Arc<dyn Provider>, stride: usize) {
    let world = World::new(provider);
    let keys = Keys::of(&[&world.kem, &world.recovery]);
    let object = world.seal(&world.request(), b"a small one").object;
    undetected(&world, &keys, &object).unwrap();
    let mut changed = object.clone();
    for bit in (0..object.len() * 8).step_by(stride) {
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(undetected(&world, &keys, &changed).is_err(), "bit {bit} undetected");
        changed[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Every single bit of an object of 6 kB.
#[test]
fn every_flipped_bit_is_detected() {
    flip_every(rust_crypto(), 1);
}

/// The same on the other provider, where an odd stride visits every byte's neighbourhood and all bit positions.
#[test]
fn flipped_bits_are_detected_by_aws_lc() {
    flip_every(provider(ProviderKind::AwsLc), 29);
}

#[test]
fn every_truncation_is_detected() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem]);
    let object = world.seal(&world.request(), b"a small one").object;
    for len in 0..object.len() {
        assert!(
            undetected(&world, &keys, &object[..len]).is_err(),
            "{len} of {} bytes",
            object.len()
        );
    }
    for extra in 1..40 {
        let longer = [object.as_slice(), &vec![0; extra]].concat();
        assert!(undetected(&world, &keys, &longer).is_err(), "{extra} bytes too many");
    }
}

/// Every part of one object put into another of the same tenant, keys and data key: each combination but the two originals is refused.
#[test]
fn parts_do_not_mix() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem, &world.recovery]);
    let mut other = world.request();
    other.context = vec![("purpose".into(), "another".into())];
    let one = Parts::of(&world.seal(&world.request(), b"one").object);
    let two = Parts::of(&world.seal(&other, b"two").object);
    for mix in 0..16u8 {
        let pick = |bit: u8| if mix >> bit & 1 == 0 { &one } else { &two };
        let mixed = Parts {
            core: pick(0).core.clone(),
            recipients: pick(1).recipients.clone(),
            block: pick(2).block.clone(),
            payload: pick(3).payload.clone(),
        };
        let opened = undetected(&world, &keys, &mixed.object());
        match mix {
            0 => assert_eq!(opened.unwrap(), b"one"),
            15 => assert_eq!(opened.unwrap(), b"two"),
            _ => assert!(opened.is_err(), "mix {mix:04b}"),
        }
        // Signed again by the sealer itself, it still must not open: header, stanzas and payload hang together by the keys.
        let again = undetected(&world, &keys, &mixed.sign(&world.signer).object());
        assert_eq!(
            again.is_ok(),
            [0b0000, 0b0100, 0b1011, 0b1111].contains(&mix),
            "signed mix {mix:04b}"
        );
    }
}

/// A tenant's stanzas in an object that was sealed for another, to the same keys: the confused deputy.
#[test]
fn tenants_do_not_mix() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem]);
    let mut other = world.request();
    other.tenant = tenant("other");
    let (ours, theirs) = (
        world.seal(&world.request(), b"ours").object,
        world.seal(&other, b"theirs").object,
    );
    assert!(matches!(undetected(&world, &keys, &theirs), Err(OpenError::Refused(_))));
    let mut mixed = Parts::of(&theirs);
    mixed.core = Parts::of(&ours).core;
    let opened = undetected(&world, &keys, &mixed.sign(&world.signer).object());
    assert!(matches!(opened, Err(OpenError::CannotOpen(_))));
}

/// Recipients of a later revision do not belong into an object, whoever signed them; and an earlier object's recipients do not come back.
#[test]
fn revisions_of_recipients_do_not_mix() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem, &world.recovery]);
    let parts = Parts::of(&world.seal(&world.request(), b"one").object);
    for revision in [1, 2, 0x8000_0000, u32::MAX] {
        let mut later = parts.clone();
        later.recipients[1..5].copy_from_slice(&u32::to_be_bytes(revision));
        let opened = undetected(&world, &keys, &later.sign(&world.signer).object());
        assert!(matches!(opened, Err(OpenError::Envelope(_))), "{revision}");
    }
    // The same stanzas and data key with one recipient more: the MAC is over all of them, so that neither set serves for the other.
    let mut shared = world.request();
    shared.recipients.push(world.kem.recipient(Role::Grantee));
    let shared = Parts::of(&world.seal(&shared, b"one").object);
    for (one, other) in [(&parts, &shared), (&shared, &parts)] {
        let mut swapped = one.clone();
        swapped.recipients = other.recipients.clone();
        let unsigned = undetected(&world, &keys, &swapped.object());
        assert!(matches!(unsigned, Err(OpenError::Untrusted(_))));
        let mac = one.recipients.len() - 32;
        swapped.recipients = one.recipients.clone();
        swapped.recipients[mac..].copy_from_slice(&other.recipients[other.recipients.len() - 32..]);
        let signed = undetected(&world, &keys, &swapped.sign(&world.signer).object());
        assert!(matches!(signed, Err(OpenError::CannotOpen(reason)) if reason.as_str() == "recipients-mac"));
    }
}

/// Every length field, with every value at which a sum or a product might wrap: refused, whatever it was signed by.
#[test]
fn lengths_that_overflow_are_refused() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem]);
    let object = world.seal(&world.request(), b"a small one").object;
    let parts = Parts::of(&object);
    let recipients_at = 20 + parts.core.len();
    let block_at = recipients_at + parts.recipients.len();
    let fields = [
        (8, 4),
        (12, 4),
        (16, 4),
        (20 + 60, 2),
        (20 + 64, 2),
        (recipients_at + 5, 2),
        (recipients_at + 26, 2),
        (block_at + 17, 2),
        (block_at + 19, 8),
    ];
    for (at, width) in fields {
        let original = object[at..at + width].to_vec();
        for value in [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            1 << 20,
            (1 << 20) + 1,
            1 << 31,
            u64::from(u32::MAX),
            1 << 63,
            u64::MAX - 20,
            u64::MAX,
        ] {
            let bytes = &value.to_be_bytes()[8 - width..];
            if original == bytes {
                continue;
            }
            let mut changed = object.clone();
            changed[at..at + width].copy_from_slice(bytes);
            assert!(undetected(&world, &keys, &changed).is_err(), "{value:#x} at {at}");
        }
    }
}

/// A critical extension that nobody knows stops the opening even of an object that is right in everything else.
#[test]
fn unknown_critical_extensions_are_refused() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem]);
    for kind in [0x8000u16, 0x8004, 0x8006, 0xffff] {
        let mut parts = Parts::of(&world.seal(&world.request(), b"one").object);
        let len = u16::from_be_bytes([parts.core[60], parts.core[61]]) + 4;
        parts.core[60..62].copy_from_slice(&len.to_be_bytes());
        parts.core.extend_from_slice(&kind.to_be_bytes());
        parts.core.extend_from_slice(&[0, 0]);
        let opened = undetected(&world, &keys, &parts.sign(&world.signer).object());
        assert!(
            matches!(opened, Err(OpenError::Envelope(cofferdam_envelope::EnvelopeError::UnknownCriticalExtension(k))) if k == kind),
            "{kind:#x}"
        );
    }
}

/// Errors come before plaintext: whatever is released of a changed payload is a true prefix.
#[test]
fn only_authentic_plaintext_is_released() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem]);
    let text = plaintext(50_000);
    let object = world.seal(&world.request(), &text).object;
    let payload_at = Parts::of(&object).object().len() - Parts::of(&object).payload.len();
    for at in (payload_at + 56..object.len()).step_by(97) {
        let mut changed = object.clone();
        changed[at] ^= 0x10;
        let opener = world.begin(&changed, &world.open_request(), &keys).unwrap();
        let mut stream = opener.stream().unwrap();
        let mut out = Vec::new();
        let pushed = stream.update(&changed[opener.consumed() as usize..], &mut out);
        assert!(pushed.is_err() && stream.finish().is_err());
        let chunk = (at - payload_at - 56) / 16_400;
        assert!(
            out == text[..chunk * 16_384],
            "changed in chunk {chunk}, {} bytes released",
            out.len()
        );
    }
}

/// Whoever holds the data key can make other chunks that are authentic; a full read still notices, a range cannot.
#[test]
fn another_recipient_cannot_rewrite_the_payload_unseen() {
    let world = World::new(rust_crypto());
    let keys = Keys::of(&[&world.kem]);
    let honest = world.seal(&world.request(), &plaintext(20_000)).object;
    let forged = world.seal(&world.request(), &vec![7; 20_000]).object;
    let mixed = Parts {
        payload: Parts::of(&forged).payload,
        ..Parts::of(&honest)
    }
    .object();
    assert!(matches!(
        undetected(&world, &keys, &mixed),
        Err(OpenError::PayloadChanged)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random sizes, random pieces, random ranges.
    #[test]
    fn round_trip(len in 0usize..70_000, piece in 1usize..40_000, a in 0.0f64..=1.0, b in 0.0f64..=1.0, aws in any::<bool>()) {
        let world = World::new(provider(ProviderKind::ALL[usize::from(aws)]));
        let keys = Keys::of(&[&world.kem]);
        let text = plaintext(len);
        let object = world.seal(&world.request(), &text).object;
        let opener = world.begin(&object, &world.open_request(), &keys).unwrap();
        let mut stream = opener.stream().unwrap();
        let mut out = Vec::new();
        for part in object[opener.consumed() as usize..].chunks(piece) {
            stream.update(part, &mut out).unwrap();
        }
        stream.finish().unwrap();
        prop_assert!(out == text);

        let (a, b) = ((a * len as f64) as usize, (b * len as f64) as usize);
        let (start, end) = (a.min(b), a.max(b));
        let mut range = opener.range(start as u64..end as u64).unwrap();
        let fetch = range.fetch();
        let mut out = Vec::new();
        for part in object[fetch.start as usize..fetch.end as usize].chunks(piece) {
            range.update(part, &mut out).unwrap();
        }
        range.finish().unwrap();
        prop_assert!(out == text[start..end]);
    }

    /// Several random changes at once, anywhere.
    #[test]
    fn random_damage(changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..6)) {
        let world = World::new(rust_crypto());
        let keys = Keys::of(&[&world.kem]);
        let object = world.seal(&world.request(), b"text").object;
        let mut changed = object.clone();
        for (at, mask) in changes {
            let at = at.index(changed.len());
            changed[at] ^= mask;
        }
        prop_assume!(changed != object);
        prop_assert!(undetected(&world, &keys, &changed).is_err());
    }
}
