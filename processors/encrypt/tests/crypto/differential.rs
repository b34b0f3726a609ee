//! What one provider seals the other opens, both ways, at every size where something changes; and streams do not depend on their pieces.

use cofferdam_encrypt::crypto::{ProviderKind, Sealer, provider};
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
