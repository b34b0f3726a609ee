//! Objects that do not parse.

use cofferdam_envelope::PREFIX_LEN;

use super::{Maker, Parts};
use crate::support::plaintext;

/// Step 1.
pub fn malformed(maker: &mut Maker) {
    let request = maker.world.request();
    let good = maker.world.seal(&request, &plaintext(1)).object;
    let core_at = PREFIX_LEN;
    let parts = Parts::of(&good);
    let recipients_at = core_at + parts.core.len();
    let block_at = recipients_at + parts.recipients.len();

    let put = |maker: &mut Maker, name: &str, comment: &str, at: usize, bytes: &[u8]| {
        let mut object = good.clone();
        object[at..at + bytes.len()].copy_from_slice(bytes);
        maker.refused(name, comment, object, 1, "envelope");
    };
    put(maker, "magic", "another file", 0, b"PEALED");
    put(maker, "version", "major version 2", 7, &[2]);
    put(maker, "core-too-short", "core_len 61", 8, &61u32.to_be_bytes());
    put(maker, "core-too-long", "core_len 65,537", 8, &65_537u32.to_be_bytes());
    put(maker, "core-overflow", "core_len 2^32 - 1", 8, &u32::MAX.to_be_bytes());
    put(
        maker,
        "recipients-too-long",
        "recips_len 1 MiB + 1",
        12,
        &((1u32 << 20) + 1).to_be_bytes(),
    );
    put(
        maker,
        "recipients-overflow",
        "recips_len 2^32 - 1",
        12,
        &u32::MAX.to_be_bytes(),
    );
    put(
        maker,
        "signature-overflow",
        "sig_len 2^32 - 1",
        16,
        &u32::MAX.to_be_bytes(),
    );
    put(maker, "lengths-overflow", "all three lengths 2^32 - 1", 8, &[0xff; 12]);
    put(maker, "signature-absent", "sig_len 0 without the flag", 16, &[0; 4]);
    put(
        maker,
        "lengths-shifted",
        "one byte moved from core to recipients",
        8,
        &{
            let lens = [parts.core.len() as u32 - 1, parts.recipients.len() as u32 + 1];
            [lens[0].to_be_bytes(), lens[1].to_be_bytes()].concat()
        },
    );
    put(maker, "suite-unknown", "suite 0x0003", core_at, &[0, 3]);
    put(maker, "suite-reserved", "suite 0x00a0", core_at, &[0, 0xa0]);
    put(maker, "flag-unknown", "flag bit 2", core_at + 2, &[0, 4]);
    put(
        maker,
        "flag-detached-with-signature",
        "flag bit 0, though the block is there",
        core_at + 2,
        &[0, 1],
    );
    put(
        maker,
        "flag-erasable-without-token",
        "flag bit 1 without extension 0x8005",
        core_at + 2,
        &[0, 2],
    );
    put(
        maker,
        "extension-critical-unknown",
        "type 0x8001",
        core_at + 62,
        &[0x80, 0x01],
    );
    put(
        maker,
        "extension-descending",
        "type 0x0009 before 0x0002",
        core_at + 62,
        &[0x00, 0x09],
    );
    put(
        maker,
        "extension-duplicate",
        "type 0x0002 twice",
        core_at + 62,
        &[0x00, 0x02],
    );
    put(
        maker,
        "extension-overflow",
        "a value longer than the core",
        core_at + 64,
        &[0xff, 0xff],
    );
    put(
        maker,
        "context-malformed",
        "a name without a value",
        core_at + 66 + "department".len(),
        b"=",
    );
    put(maker, "recipients-version", "version 2", recipients_at, &[2]);
    put(
        maker,
        "recipients-revision",
        "revision 1 inside the object",
        recipients_at + 1,
        &[0, 0, 0, 1],
    );
    put(maker, "count-zero", "no stanza", recipients_at + 5, &[0, 0]);
    put(maker, "count-too-large", "257 stanzas", recipients_at + 5, &[1, 1]);
    put(
        maker,
        "count-short",
        "one stanza announced, two there",
        recipients_at + 5,
        &[0, 1],
    );
    put(maker, "role-unknown", "role 5", recipients_at + 7, &[5]);
    put(
        maker,
        "stanza-length",
        "body of 1,201 bytes for algorithm 0x0001",
        recipients_at + 26,
        &1201u16.to_be_bytes(),
    );
    put(maker, "signature-alg-unknown", "algorithm 0x07", block_at, &[7]);
    put(
        maker,
        "signature-alg-reserved",
        "algorithm 0x03 without a place in a tree",
        block_at,
        &[3],
    );
    put(
        maker,
        "signature-alg-length",
        "algorithm 0x02 with a composite's length",
        block_at,
        &[2],
    );
    put(
        maker,
        "signer-mismatch",
        "another signer in the block than in the core",
        block_at + 1,
        &[0; 16],
    );
    put(
        maker,
        "certificate-overflow",
        "a certificate longer than the block",
        block_at + 17,
        &[0xff, 0xff],
    );
    put(
        maker,
        "payload-length-impossible",
        "payload_len 56 + 15",
        block_at + 19,
        &71u64.to_be_bytes(),
    );
    put(
        maker,
        "payload-length-overflow",
        "payload_len 2^64 - 1",
        block_at + 19,
        &[0xff; 8],
    );

    let mut doubled = parts.clone();
    let stanza_len = 21 + 1168;
    let stanza = doubled.recipients[7..7 + stanza_len].to_vec();
    doubled.recipients.splice(7..7, stanza);
    doubled.recipients[6] = 3;
    maker.refused(
        "stanza-duplicate",
        "the tenant's stanza twice",
        doubled.object(),
        1,
        "envelope",
    );

    let mut longer = parts;
    longer.recipients.push(0);
    maker.refused(
        "recipients-trailing",
        "one byte after the MAC",
        longer.object(),
        1,
        "envelope",
    );
    maker.refused(
        "head-truncated",
        "the last byte of the head is missing",
        good[..good.len() - 74].to_vec(),
        1,
        "envelope",
    );
    maker.refused(
        "payload-head-truncated",
        "55 bytes of payload",
        good[..good.len() - 18].to_vec(),
        1,
        "envelope",
    );
}
