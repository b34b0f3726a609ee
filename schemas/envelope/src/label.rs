//! The byte strings that hashes, keys and signatures are computed over. Only bytes: the functions that use them live elsewhere.
//!
//! Every string begins with its own label, so that no output for one purpose can serve another.

use crate::prefix::MAGIC;
use crate::recipients::Role;

/// The application context of the origin signature.
pub const ORIGIN_CONTEXT: &[u8] = b"SEALED/v1 origin";

/// The application context of the signature over a batch's root.
pub const BATCH_CONTEXT: &[u8] = b"SEALED/v1 origin batch";

const KEY_ID: &[u8] = b"SEALED/v1 key-id";
const TENANT: &[u8] = b"SEALED/v1 tenant\0";
const WRAP: &[u8] = b"SEALED/v1 wrap\0";
const PAYLOAD: &[u8] = b"SEALED/v1 payload\0";
const RECIPIENTS_MAC: &[u8] = b"SEALED/v1 recipients-mac\0";
const METADATA: &[u8] = b"SEALED/v1 metadata\0";
const ESCROW_COINS: &[u8] = b"SEALED/v1 escrow-coins\0";
const STATEMENT: &[u8] = b"SEALED/v1 statement\0";
const BATCH: &[u8] = b"SEALED/v1 batch\0";
/// Prefix of the payload key derivation, as C2SP chunked-encryption gives it for AES-256-GCM.
const CHUNKED: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A tenant's id is the first 16 bytes of SHA-256 over this.
pub fn tenant_input(name: &str) -> Vec<u8> {
    concat(&[TENANT, name.as_bytes()])
}

/// A key's id is the first 16 bytes of SHA-256 over this. `alg` is the stanza algorithm, or for signers 0x0100 + the signature
/// algorithm.
pub fn key_id_input(alg: u16, public_key: &[u8]) -> Vec<u8> {
    concat(&[KEY_ID, &alg.to_be_bytes(), public_key])
}

/// The header hash `H` is SHA-256 over this.
pub fn header_input(core: &[u8]) -> Vec<u8> {
    concat(&[&MAGIC, core])
}

/// HPKE `info` of a stanza.
pub fn wrap_info(role: Role, key_id: &[u8; 16], header: &[u8; 32]) -> Vec<u8> {
    concat(&[WRAP, &[role.id()], key_id, header])
}

/// Context of the payload: binds its keys to the header.
pub fn payload_context(header: &[u8; 32]) -> Vec<u8> {
    concat(&[PAYLOAD, header])
}

/// HKDF `info` of the payload's AEAD key, base nonce and commitment (76 bytes).
pub fn payload_info(salt: &[u8; 24], context: &[u8]) -> Vec<u8> {
    concat(&[CHUNKED, salt, context])
}

/// HKDF `info` of the recipients' MAC key (32 bytes).
pub fn recipients_mac_info(header: &[u8; 32]) -> Vec<u8> {
    concat(&[RECIPIENTS_MAC, header])
}

/// What the recipients' MAC is over. `block` is the block without its MAC.
pub fn recipients_mac_input(header: &[u8; 32], block: &[u8]) -> Vec<u8> {
    concat(&[&MAGIC, header, block])
}

/// HKDF `info` of the private metadata's key (32 bytes). Bound to object and tenant, not to `H`, which it is part of.
pub fn metadata_info(object: &[u8; 16], tenant: &[u8; 16]) -> Vec<u8> {
    concat(&[METADATA, object, tenant])
}

/// HKDF `info` of the recovery stanza's encapsulation coins (64 bytes for MLKEM768-X25519).
pub fn escrow_coins_info(header: &[u8; 32], key_id: &[u8; 16]) -> Vec<u8> {
    concat(&[ESCROW_COINS, header, key_id])
}

/// What the signer signs, under [`ORIGIN_CONTEXT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Header hash `H`.
    pub header: &'a [u8; 32],
    /// SHA-256 of the recipients block of revision 0, MAC included.
    pub recipients: &'a [u8; 32],
    /// Length of the payload in bytes.
    pub payload_len: u64,
    /// Hash over the payload.
    pub payload_root: &'a [u8; 32],
    /// Key id of the signer.
    pub signer: &'a [u8; 16],
}

/// The statement's bytes.
pub fn statement(statement: &Statement<'_>) -> Vec<u8> {
    concat(&[
        STATEMENT,
        statement.header,
        statement.recipients,
        &statement.payload_len.to_be_bytes(),
        statement.payload_root,
        statement.signer,
    ])
}

/// What the signer signs for a batch, under [`BATCH_CONTEXT`]: number of statements, root of the tree over them, key id of the signer.
pub fn batch(size: u16, root: &[u8; 32], signer: &[u8; 16]) -> Vec<u8> {
    concat(&[BATCH, &size.to_be_bytes(), root, signer])
}

/// What a leaf of the tree is SHA-256 over (RFC 9162, 2.1.1).
pub fn leaf_input(statement: &[u8]) -> Vec<u8> {
    concat(&[&[0x00], statement])
}

/// What an inner node of the tree is SHA-256 over.
pub fn node_input(left: &[u8; 32], right: &[u8; 32]) -> Vec<u8> {
    concat(&[&[0x01], left, right])
}
