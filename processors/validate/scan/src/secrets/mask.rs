//! What may be shown of a secret, and what may be compared.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Most characters of a secret that are shown.
const SHOWN: usize = 4;

/// The secret as it may be shown to a person: at most four characters of its beginning and never more than a fifth of it, then four
/// asterisks whatever its length. `AKIA****` tells which kind of key it is, `****` stands for a short password.
pub fn mask(value: &str) -> String {
    let fifth = value.chars().take(SHOWN * 5).count() / 5;
    let mut shown: String = value.chars().take(fifth.min(SHOWN)).collect();
    // Control characters would reach a terminal.
    if shown.chars().any(|c| c.is_control() || c.is_whitespace()) {
        shown.clear();
    }
    shown.push_str("****");
    shown
}

/// A name for the secret that can be stored and compared: SHA-256 as 64 hexadecimal digits, or with a key HMAC-SHA-256 (RFC 2104).
/// Weak passwords can be guessed from the plain hash, so an installation should give its own key.
pub fn fingerprint(key: Option<&[u8]>, value: &[u8]) -> String {
    let keyed = key.and_then(|key| Hmac::<Sha256>::new_from_slice(key).ok());
    match keyed {
        Some(mut mac) => {
            mac.update(value);
            hex::encode(mac.finalize().into_bytes())
        }
        None => hex::encode(Sha256::digest(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_at_most_a_fifth() {
        assert_eq!(mask("hunter2"), "h****");
        assert_eq!(mask("abc"), "****");
        assert_eq!(mask("AKIA0123456789ABCDEF"), "AKIA****");
        assert_eq!(mask(&"x".repeat(4000)), "xxxx****");
        assert_eq!(mask("äöüäöüäöüä"), "äö****");
        assert_eq!(mask("\u{1b}[2Jabcdefghijklmnopqrst"), "****");
        assert_eq!(mask(""), "****");
    }

    #[test]
    fn known_answers() {
        // FIPS 180-2 "abc"; RFC 4231 test case 2.
        assert_eq!(
            fingerprint(None, b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            fingerprint(Some(b"Jefe"), b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
