//! Objects that were signed together with others (algorithm 0x03), and what must not pass for that.

use cofferdam_encrypt::crypto::{SignatureAlg, Signer, sign_together};
use cofferdam_envelope::{Inclusion, SignatureBlock, label};
use sha2::{Digest, Sha256};

use super::{Maker, Parts};
use crate::support::plaintext;

/// First, last and middle leaves of trees of every shape.
const PLACES: [(usize, usize); 9] = [
    (1, 0),
    (2, 0),
    (2, 1),
    (3, 2),
    (5, 3),
    (5, 4),
    (13, 6),
    (256, 0),
    (256, 255),
];

pub fn batches(maker: &mut Maker) {
    let request = maker.world.request();
    let text = plaintext(1);
    let parts = Parts::of(&maker.world.seal(&request, &text).object);
    for (size, index) in PLACES {
        let object = parts.clone().sign_in_batch(&maker.world.signer, size, index).object();
        let comment = format!("signature algorithm 0x03, statement {index} of {size}");
        maker.opens(&format!("batch-{size}-{index}"), &comment, object, &text, &[]);
    }

    let good = parts.clone().sign_in_batch(&maker.world.signer, 5, 3);
    let refused = |maker: &mut Maker, name: &str, comment: &str, change: &dyn Fn(&mut SignatureBlock)| {
        let mut changed = good.clone();
        let mut block = SignatureBlock::parse(&good.block).unwrap();
        change(&mut block);
        changed.block = block.to_bytes().unwrap();
        maker.refused(name, comment, changed.object(), 2, "untrusted");
    };
    let place = |block: &mut SignatureBlock, change: &dyn Fn(&mut Inclusion)| change(block.inclusion.as_mut().unwrap());
    refused(maker, "batch-path-bit", "one bit of the path", &|b| {
        place(b, &|i| i.path[1][7] ^= 1)
    });
    refused(
        maker,
        "batch-path-swapped",
        "two hashes of the path in the other order",
        &|b| place(b, &|i| i.path.swap(0, 1)),
    );
    refused(maker, "batch-index", "the neighbour's index", &|b| {
        place(b, &|i| i.index = 2)
    });
    // Index 3 has a path of three hashes in all trees of 5 to 8 leaves: only the signature tells them apart.
    refused(maker, "batch-size", "8 statements instead of 5", &|b| {
        place(b, &|i| i.size = 8)
    });
    refused(
        maker,
        "batch-signature-of-one",
        "a signature over the statement alone, as a batch of one",
        &|b| {
            b.signature = SignatureBlock::parse(&parts.block).unwrap().signature;
            b.inclusion = Some(Inclusion {
                size: 1,
                index: 0,
                path: vec![],
            });
        },
    );
    refused(
        maker,
        "batch-as-one",
        "a batch's signature, as one over the statement alone",
        &|b| {
            b.alg = SignatureAlg::MlDsa65Ed25519;
            b.inclusion = None;
        },
    );
    let other = parts.clone().sign_in_batch(&maker.world.signer, 5, 2);
    refused(
        maker,
        "batch-place-of-another",
        "the place of the statement beside it",
        &|b| {
            b.inclusion = SignatureBlock::parse(&other.block).unwrap().inclusion;
        },
    );

    // A tree in which the statement was hashed as an inner node is: what is signed has the root that this path leads to, if leaves and nodes are not told apart.
    let signer = &maker.world.signer;
    let sibling = [0x5a; 32];
    let confused = |prefix: &[u8]| {
        let leaf = Sha256::digest([prefix, &parts.statement(signer)].concat());
        let root = Sha256::digest([&[1], &leaf[..], &sibling].concat()).into();
        let message = label::batch(2, &root, &signer.key_id().0);
        let mut block = SignatureBlock::parse(&good.block).unwrap();
        block.signature = signer.sign_with_context(label::BATCH_CONTEXT, &message).unwrap();
        block.inclusion = Some(Inclusion {
            size: 2,
            index: 0,
            path: vec![sibling],
        });
        Parts {
            block: block.to_bytes().unwrap(),
            ..parts.clone()
        }
        .object()
    };
    let (node, bare) = (confused(&[1]), confused(&[]));
    maker.refused(
        "batch-leaf-as-node",
        "the statement hashed as an inner node",
        node,
        2,
        "untrusted",
    );
    maker.refused(
        "batch-leaf-bare",
        "the statement hashed without its prefix",
        bare,
        2,
        "untrusted",
    );

    // What no tree has does not parse. The place begins behind the root.
    let at = 19 + 8 + 32;
    let mut malformed = |name: &str, comment: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = good.clone();
        change(&mut changed.block);
        maker.refused(name, comment, changed.object(), 1, "envelope");
    };
    malformed("batch-size-zero", "no statements", &|b| b[at..at + 2].fill(0));
    malformed("batch-size-too-large", "257 statements", &|b| {
        b[at..at + 2].copy_from_slice(&[1, 1])
    });
    malformed("batch-index-too-large", "statement 5 of 5", &|b| b[at + 3] = 5);
    malformed("batch-path-too-long", "one hash too many", &|b| {
        drop(b.splice(at + 4..at + 4, [7; 32]))
    });
    malformed("batch-path-too-short", "one hash too few", &|b| {
        drop(b.drain(at + 4..at + 36))
    });
}

impl Parts {
    /// Signs as [`Parts::sign`] does, together with other statements.
    pub fn sign_in_batch(
        mut self,
        signer: &cofferdam_encrypt::crypto::CompositeSigner,
        size: usize,
        index: usize,
    ) -> Self {
        let own = self.statement(signer);
        let others: Vec<Vec<u8>> = (0..size).map(|n| format!("statement {n}").into_bytes()).collect();
        let mut statements: Vec<&[u8]> = others.iter().map(|other| &other[..]).collect();
        statements[index] = &own;
        // A batch of one has a place, too, though nobody makes it.
        let signature = if size == 1 {
            let leaf = Sha256::digest([&[0][..], &own].concat()).into();
            let message = label::batch(1, &leaf, &signer.key_id().0);
            let bytes = signer.sign_with_context(label::BATCH_CONTEXT, &message).unwrap();
            let inclusion = Some(Inclusion {
                size: 1,
                index: 0,
                path: vec![],
            });
            cofferdam_encrypt::crypto::Signature {
                alg: SignatureAlg::Batch,
                inclusion,
                bytes,
            }
        } else {
            sign_together(signer, &statements).unwrap().swap_remove(index)
        };
        self.block = self.block_of(signer, signature).to_bytes().unwrap();
        self
    }
}
