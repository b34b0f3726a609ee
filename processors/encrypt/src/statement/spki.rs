//! Public keys as the world exchanges them: SubjectPublicKeyInfo in PEM (RFC 7468), Ed25519 after RFC 8410, ML-DSA-65 after RFC 9881.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Half;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// Longest text that is looked at.
const LONGEST: usize = 8 * 1024;

/// What DER sets before the key: lengths and the algorithm's identifier, the same for every key of an algorithm.
fn prefix(half: Half) -> &'static [u8] {
    match half {
        // SEQUENCE (42) { SEQUENCE (5) { 1.3.101.112 }, BIT STRING (33), no unused bits }
        Half::Ed25519 => &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
        // SEQUENCE (1970) { SEQUENCE (11) { 2.16.840.1.101.3.4.3.18 }, BIT STRING (1953), no unused bits }
        Half::MlDsa65 => &[
            0x30, 0x82, 0x07, 0xb2, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12, 0x03,
            0x82, 0x07, 0xa1, 0x00,
        ],
    }
}

/// A public key as PEM.
pub(crate) fn write(half: Half, public: &[u8]) -> String {
    let body = STANDARD.encode([prefix(half), public].concat());
    let mut text = format!("{BEGIN}\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + END + "\n"
}

/// The public key in a PEM text; `None` when it is none of this algorithm.
pub(crate) fn read(half: Half, text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    if body.len() > LONGEST {
        return None;
    }
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    der.strip_prefix(prefix(half)).map(<[u8]>::to_vec)
}
