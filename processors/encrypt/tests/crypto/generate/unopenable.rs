//! Objects that are trusted and do not open.

use cofferdam_encrypt::crypto::{RecipientSecret, Role, StanzaAlg};
use cofferdam_envelope::geometry::{PAYLOAD_HEAD_LEN, SEALED_CHUNK_LEN};

use super::{Maker, Parts};
use crate::support::{plaintext, tenant};

/// Steps 4 to 8. All of them are signed as they are: these are the defects that only somebody with the signing key, or with the data key, can make.
pub fn unopenable(maker: &mut Maker) {
    let request = maker.world.request();
    let provider = maker.world.provider.clone();
    let small = Parts::of(&maker.world.seal(&request, &plaintext(1)).object);
    let sign = |maker: &Maker, parts: Parts| parts.sign(&maker.world.signer).object();

    let stranger =
        |seed: u8| RecipientSecret::from_seed(provider.clone(), StanzaAlg::MlKem768X25519, &[seed; 32]).unwrap();
    let mut strangers = request.clone();
    strangers.recipients = vec![
        stranger(0x81).recipient(Role::Tenant),
        stranger(0x82).recipient(Role::Recovery),
    ];
    let object = maker.world.seal(&strangers, &plaintext(1)).object;
    maker.refused("no-stanza", "sealed to keys we do not hold", object, 4, "no-stanza");

    let mut other = request.clone();
    other.object[15] = 2;
    let second = Parts::of(&maker.world.seal(&other, &plaintext(1)).object);
    let mut transplanted = small.clone();
    transplanted.recipients = second.recipients;
    let object = sign(maker, transplanted);
    maker.refused(
        "stanzas-of-another-object",
        "the data key is even the same",
        object,
        4,
        "stanza",
    );

    let mut other = request.clone();
    other.tenant = tenant("other");
    let second = Parts::of(&maker.world.seal(&other, &plaintext(1)).object);
    let mut transplanted = small.clone();
    transplanted.recipients = second.recipients;
    let object = sign(maker, transplanted);
    maker.refused(
        "stanzas-of-another-tenant",
        "sealed to the same keys for another tenant",
        object,
        4,
        "stanza",
    );

    let mut roles = small.clone();
    roles.change_recipients(|recipients| {
        recipients.stanzas[0].role = Role::Service;
        recipients.stanzas[1].role = Role::Grantee;
    });
    let object = sign(maker, roles);
    maker.refused("roles-changed", "a stanza is bound to its role", object, 4, "stanza");

    let mut flipped = small.clone();
    flipped.change_recipients(|recipients| recipients.stanzas.iter_mut().for_each(|stanza| stanza.body[500] ^= 1));
    let object = sign(maker, flipped);
    maker.refused(
        "encapsulation-bit",
        "ML-KEM gives another secret, not an error",
        object,
        4,
        "stanza",
    );

    let mut zeros = small.clone();
    zeros.change_recipients(|recipients| {
        recipients
            .stanzas
            .iter_mut()
            .for_each(|stanza| stanza.body[1088..1120].fill(0));
    });
    let object = sign(maker, zeros);
    maker.refused(
        "encapsulation-low-order",
        "an all-zero X25519 half",
        object,
        4,
        "encapsulation",
    );

    let mut mac = small.clone();
    mac.change_recipients(|recipients| recipients.mac[0] ^= 1);
    let object = sign(maker, mac);
    maker.refused("recipients-mac", "one bit of the MAC", object, 5, "recipients-mac");

    for (name, at) in [("salt-bit", 0), ("commitment-bit", 55)] {
        let mut changed = small.clone();
        changed.payload[at] ^= 1;
        let object = sign(maker, changed);
        maker.refused(name, "the key commitment differs", object, 6, "commitment");
    }

    let mut other = request.clone();
    other.sealed_at += 1;
    let payload = Parts::of(&maker.world.seal(&other, &plaintext(1)).object).payload;
    let object = sign(
        maker,
        Parts {
            payload,
            ..small.clone()
        },
    );
    maker.refused(
        "payload-of-another-header",
        "the same data key, object and tenant, sealed a millisecond later",
        object,
        6,
        "commitment",
    );

    let large = Parts::of(&maker.world.seal(&request, &plaintext(40_000)).object);
    let chunk = |n: usize| PAYLOAD_HEAD_LEN + n * SEALED_CHUNK_LEN..PAYLOAD_HEAD_LEN + (n + 1) * SEALED_CHUNK_LEN;
    let mut changed = large.clone();
    changed.payload[chunk(1).start + 7] ^= 1;
    let object = sign(maker, changed);
    maker.refused("chunk-bit", "one bit of the second chunk", object, 7, "chunk");
    let mut changed = large.clone();
    let first = changed.payload[chunk(0)].to_vec();
    changed.payload.copy_within(chunk(1), chunk(0).start);
    changed.payload[chunk(1)].copy_from_slice(&first);
    let object = sign(maker, changed);
    maker.refused("chunks-swapped", "the first two chunks", object, 7, "chunk");
    let mut changed = large.clone();
    changed.payload.drain(chunk(1));
    let object = sign(maker, changed);
    maker.refused("chunk-dropped", "the second chunk is missing", object, 7, "chunk");
    let mut changed = large.clone();
    let repeated = changed.payload[chunk(1)].to_vec();
    changed.payload.splice(chunk(1).end..chunk(1).end, repeated);
    let object = sign(maker, changed);
    maker.refused("chunk-repeated", "the second chunk comes twice", object, 7, "chunk");

    let good = large.object();
    maker.refused(
        "payload-truncated",
        "the last byte is missing",
        good[..good.len() - 1].to_vec(),
        7,
        "truncated",
    );
    maker.refused(
        "payload-cut-at-chunk",
        "the last chunk is missing",
        {
            let end = good.len() - large.payload.len() + chunk(1).end;
            good[..end].to_vec()
        },
        7,
        "truncated",
    );
    maker.refused(
        "payload-trailing",
        "one byte too many",
        [good.as_slice(), &[0]].concat(),
        7,
        "trailing",
    );

    // Somebody who holds the data key makes another payload with it. Every chunk is authentic; only the signed root tells.
    let mut text = plaintext(40_000);
    text[20_000] ^= 1;
    let forged = Parts {
        payload: Parts::of(&maker.world.seal(&request, &text).object).payload,
        ..large
    };
    maker.refused(
        "payload-of-a-recipient",
        "another plaintext under the same data key",
        forged.object(),
        8,
        "payload-root",
    );
}
