//! What one provider seals the other opens, both ways, at every size where something changes; and streams do not depend on their pieces.

use cofferdam_encrypt::crypto::{Entropy, ProviderKind, Sealer, Workers, provider};
use futures::executor::block_on;

use crate::support::{Keys, World, each_provider, plaintext};

const SIZES: [usize; 12] = [
    0, 1, 15, 16, 17, 16_383, 16_384, 16_385, 32_768, 49_152, 600_000, 1_000_000,
];

#[test]
fn providers_open_each_other() {
    for [from, to] in [[0, 1], [1, 0]].map(|pair| pair.map(|n| provider(ProviderKind::ALL[n]))) {
        let (sealing, opening) = (World::new(from.clone()), World::new(to));
        for size in SIZES {
            let text = plaintext(size);
            let object = sealing.seal_fresh(&text).object;
            for keys in [Keys::of(&[&opening.kem]), Keys::of(&[&opening.recovery])] {
                let opened = opening.open_with(&object, &opening.open_request(), &keys).unwrap();
                assert!(opened == text, "{size} from {}", from.kind());
            }
            let opener = opening
                .begin(&object, &opening.open_request(), &Keys::of(&[&opening.kem]))
                .unwrap();
            assert!(opener.prove_escrow(&sealing.recovery.recipient(cofferdam_encrypt::crypto::Role::Recovery)));
        }
    }
}

#[test]
fn pieces_make_no_difference() {
    each_provider(|provider| {
        let world = World::new(provider.clone());
        let text = plaintext(300_000);
        let expected = world.seal(&world.request(), &text).object;
        for pieces in [1_000, 16_384, 16_385, 70_000, 299_999] {
            let entropy =
                cofferdam_encrypt::crypto::Entropy::from_seed(provider.as_ref(), &crate::support::ENTROPY_SEED)
                    .unwrap();
            let mut sealer = Sealer::with_entropy(provider.as_ref(), &world.request(), &world.signer, entropy).unwrap();
            let mut payload = Vec::new();
            for piece in text.chunks(pieces) {
                sealer.update_into(piece, &mut payload).unwrap();
                sealer.update_into(&[], &mut payload).unwrap();
            }
            let sealed = block_on(sealer.finish(&world.signer)).unwrap();
            payload.extend_from_slice(&sealed.tail);
            assert!([sealed.head, payload].concat() == expected, "{pieces}");
        }
        let keys = Keys::of(&[&world.kem]);
        for pieces in [1, 999, 16_399, 16_400, 16_401, 50_000, usize::MAX] {
            let opener = world.begin(&expected, &world.open_request(), &keys).unwrap();
            let mut stream = opener.stream().unwrap();
            let mut out = Vec::new();
            for piece in expected[opener.consumed() as usize..].chunks(pieces) {
                stream.update(piece, &mut out).unwrap();
            }
            stream.finish().unwrap();
            assert!(out == text, "{pieces}");
        }
    });
}

/// One thread and all cores make and open the same bytes, from one slice and from pieces that end anywhere.
#[test]
fn workers_make_no_difference() {
    each_provider(|provider| {
        let world = World::new(provider.clone());
        let keys = Keys::of(&[&world.kem]);
        let text = plaintext(3_000_000);
        let seal = |workers: Workers, pieces: usize| {
            let entropy = Entropy::from_seed(provider.as_ref(), &crate::support::ENTROPY_SEED).unwrap();
            let mut sealer = Sealer::with_entropy(provider.as_ref(), &world.request(), &world.signer, entropy).unwrap();
            sealer.set_workers(workers);
            let mut out = Vec::new();
            let pieces: Vec<&[u8]> = text.chunks(pieces).collect();
            // Two calls, so that the second begins with the first one's rest.
            let (first, second) = pieces.split_at(pieces.len() / 2);
            sealer.update_all(first, &mut out).unwrap();
            sealer.update_all(second, &mut out).unwrap();
            let sealed = block_on(sealer.finish(&world.signer)).unwrap();
            [sealed.head, out, sealed.tail].concat()
        };
        let expected = seal(Workers::Caller, text.len());
        for workers in [Workers::Caller, Workers::Cores] {
            for pieces in [8_192, 70_001, 262_144, 1_000_003, text.len()] {
                assert!(seal(workers, pieces) == expected, "{workers:?} {pieces}");
            }
            for pieces in [16_400, 300_007, 1 << 20, usize::MAX] {
                let opener = world.begin(&expected, &world.open_request(), &keys).unwrap();
                let mut stream = opener.stream().unwrap();
                stream.set_workers(workers);
                let mut out = Vec::new();
                for piece in expected[opener.consumed() as usize..].chunks(pieces) {
                    stream.update(piece, &mut out).unwrap();
                }
                stream.finish().unwrap();
                assert!(out == text, "{workers:?} {pieces}");
            }
        }
    });
}

/// However many cores open at the same time, what is released ends before the first chunk that is wrong.
#[test]
fn workers_release_a_true_prefix() {
    each_provider(|provider| {
        let world = World::new(provider);
        let keys = Keys::of(&[&world.kem]);
        let text = plaintext(1_500_000);
        let object = world.seal(&world.request(), &text).object;
        for wrong in [&[0][..], &[1], &[17, 40], &[63, 64], &[90], &[5, 89]] {
            let opener = world.begin(&object, &world.open_request(), &keys).unwrap();
            let mut changed = object[opener.consumed() as usize..].to_vec();
            wrong.iter().for_each(|chunk| changed[chunk * 16_400 + 100] ^= 1);
            let mut stream = opener.stream().unwrap();
            let mut out = b"before".to_vec();
            assert!(stream.update(&changed, &mut out).is_err() && stream.finish().is_err());
            assert!(out[6..] == text[..wrong[0] * 16_384], "{wrong:?}: {} bytes", out.len());
        }
    });
}
