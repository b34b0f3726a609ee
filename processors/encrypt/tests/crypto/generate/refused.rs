//! Objects that parse, and are refused before any private key is used.

use cofferdam_encrypt::crypto::{CompositeSigner, Role, SignatureAlg};
use cofferdam_envelope::{Extension, ExtensionKind, PREFIX_LEN, SignatureBlock};

use super::{Maker, MlDsaSigner, Parts};
use crate::support::{plaintext, tenant};

/// Step 2.
pub fn untrusted(maker: &mut Maker) {
    let request = maker.world.request();
    let good = maker.world.seal(&request, &plaintext(1)).object;
    let parts = Parts::of(&good);
    let signature_at = good.len() - parts.payload.len() - 3373;
    let flip = |at: usize| {
        let mut object = good.clone();
        object[at] ^= 1;
        object
    };
    maker.refused(
        "ml-dsa-bit",
        "one bit of the ML-DSA half",
        flip(signature_at + 100),
        2,
        "untrusted",
    );
    maker.refused(
        "ed25519-bit",
        "one bit of the Ed25519 half",
        flip(signature_at + 3309 + 10),
        2,
        "untrusted",
    );
    maker.refused(
        "sealed-at-changed",
        "the header was changed afterwards",
        flip(PREFIX_LEN + 43),
        2,
        "untrusted",
    );
    maker.refused(
        "payload-length-changed",
        "payload_len one more",
        {
            let at = signature_at - 33;
            let mut object = good.clone();
            object[at] += 1;
            object
        },
        2,
        "untrusted",
    );
    maker.refused(
        "payload-root-changed",
        "one bit of the root",
        flip(signature_at - 1),
        2,
        "untrusted",
    );

    let mut other = request.clone();
    other.object[15] = 2;
    let second = Parts::of(&maker.world.seal(&other, &plaintext(1)).object);
    let mut swapped = parts.clone();
    swapped.block = second.block.clone();
    maker.refused(
        "signature-of-another-object",
        "the whole block",
        swapped.object(),
        2,
        "untrusted",
    );
    let mut half = parts.clone();
    let len = half.block.len();
    half.block[len - 64..].copy_from_slice(&second.block[len - 64..]);
    maker.refused(
        "half-signature-of-another-object",
        "the Ed25519 half",
        half.object(),
        2,
        "untrusted",
    );

    let mut stripped = parts.clone();
    stripped.change_recipients(|recipients| drop(recipients.stanzas.pop()));
    maker.refused(
        "recovery-stanza-stripped",
        "one recipient less",
        stripped.object(),
        2,
        "untrusted",
    );
    let mut added = parts.clone();
    added.change_recipients(|recipients| {
        let mut stanza = recipients.stanzas[0].clone();
        stanza.role = Role::Grantee;
        recipients.stanzas.push(stanza);
    });
    maker.refused("grantee-added", "one recipient more", added.object(), 2, "untrusted");
    let mut swapped = parts.clone();
    swapped.change_recipients(|recipients| recipients.stanzas.swap(0, 1));
    maker.refused(
        "stanzas-reordered",
        "the same recipients in another order",
        swapped.object(),
        2,
        "untrusted",
    );

    // With ML-DSA alone allowed, one half of a composite signature must not pass for a whole one.
    let mut half = parts.clone();
    let block = SignatureBlock::parse(&parts.block).unwrap();
    half.block = SignatureBlock {
        alg: SignatureAlg::MlDsa65,
        signature: block.signature[..SignatureAlg::MlDsa65.signature_len()].to_vec(),
        ..block
    }
    .to_bytes()
    .unwrap();
    maker.refused(
        "signature-half-stripped",
        "the ML-DSA half as algorithm 0x02, which the policy allows",
        half.object(),
        2,
        "untrusted",
    );
    maker.allow("signature 0x02");

    let stranger = CompositeSigner::from_seeds(&[0x91; 32], &[0x92; 32]).deterministic();
    let object = maker.world.seal_signed(&request, &plaintext(1), &stranger).object;
    maker.refused(
        "signer-unknown",
        "signed well, by somebody else",
        object,
        2,
        "untrusted",
    );

    let mut certified = SignatureBlock::parse(&parts.block).unwrap();
    certified.certificate = b"not a certificate".to_vec();
    let mut changed = parts.clone();
    changed.block = certified.to_bytes().unwrap();
    maker.refused(
        "certificate-unchecked",
        "a certificate that nobody vouches for",
        changed.object(),
        2,
        "untrusted",
    );

    let object = maker
        .world
        .seal_signed(&request, &plaintext(1), &MlDsaSigner::new())
        .object;
    maker.refused(
        "signature-alg-not-allowed",
        "algorithm 0x02 against a default policy",
        object,
        2,
        "refused",
    );
}

/// Step 3, and what this version does not do.
pub fn refused(maker: &mut Maker) {
    let request = maker.world.request();
    let mut other = request.clone();
    other.tenant = tenant("other");
    let object = maker.world.seal(&other, &plaintext(1)).object;
    maker.refused(
        "other-tenant",
        "sealed for tenant `other`, to the same keys",
        object,
        3,
        "other-tenant",
    );
    let mut other = request.clone();
    other.object[15] = 2;
    let object = maker.world.seal(&other, &plaintext(1)).object;
    maker.refused("other-object", "another object id", object, 3, "other-object");

    let mut erasable = Parts::of(&maker.world.seal(&request, &plaintext(1)).object);
    erasable.change_core(|core| {
        core.flags.erasable = true;
        core.extensions
            .push(Extension::new(ExtensionKind::EraseTokenId, vec![1; 16]));
    });
    let object = erasable.sign(&maker.world.signer).object();
    maker.refused(
        "erasable",
        "needs an erase token, which this version does not fetch",
        object,
        1,
        "refused",
    );
}
