//! Base64, hexadecimal and percent, leniently and in one pass.

const PAD: u8 = 0xff;

/// Six-bit values of both alphabets (RFC 4648, sections 4 and 5), else [`PAD`].
const SIX: [u8; 256] = {
    let mut table = [PAD; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        table[letters[i] as usize] = i as u8;
        i += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

/// Whether the byte is a digit of Base64 in either alphabet.
pub(crate) fn is_base64(byte: u8) -> bool {
    SIX[usize::from(byte)] != PAD
}

/// Decodes Base64 of either alphabet, with or without padding, skipping line breaks, up to `limit` bytes of result.
/// `None` where another byte stands in it or where a digit is left over.
pub(crate) fn base64(text: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity((text.len() / 4 * 3 + 3).min(limit));
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in text {
        let six = SIX[usize::from(byte)];
        if six == PAD {
            match byte {
                b'\r' | b'\n' | b' ' | b'\t' => continue,
                b'=' => break,
                _ => return None,
            }
        }
        bits = bits << 6 | u32::from(six);
        count += 1;
        if count == 4 {
            if out.len() + 3 > limit {
                return Some(out);
            }
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    // The last digits hold one or two bytes, for which there is room or not.
    match count {
        2 if out.len() < limit => out.push((bits >> 4) as u8),
        3 if out.len() + 2 <= limit => out.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        0 | 2 | 3 => {}
        _ => return None,
    }
    Some(out)
}

/// The value of a hexadecimal digit.
pub(crate) fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Decodes an even number of hexadecimal digits, up to `limit` bytes of result.
pub(crate) fn hexadecimal(text: &[u8], limit: usize) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2)
        .take(limit)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

/// Replaces `%XX` (RFC 3986, section 2.1) by the byte it stands for; anything else stays. Up to `limit` bytes of result.
pub(crate) fn percent(text: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().min(limit));
    let mut at = 0;
    while at < text.len() && out.len() < limit {
        let pair = match (
            text.get(at + 1).copied().and_then(nibble),
            text.get(at + 2).copied().and_then(nibble),
        ) {
            (Some(high), Some(low)) if text[at] == b'%' => Some(high << 4 | low),
            _ => None,
        };
        out.push(pair.unwrap_or(text[at]));
        at += if pair.is_some() { 3 } else { 1 };
    }
    out
}

/// Base64 with padding, for examples and tests.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit) & 63) as usize;
            out.push(if digit <= chunk.len() {
                char::from(letters[index])
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_vectors() {
        for (plain, coded) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("", ""),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(base64(coded.as_bytes(), 99).as_deref(), Some(plain.as_bytes()));
            assert_eq!(
                base64(coded.trim_end_matches('=').as_bytes(), 99).as_deref(),
                Some(plain.as_bytes())
            );
        }
        assert_eq!(base64(b"-_-_", 9), base64(b"+/+/", 9));
        assert_eq!(base64(b"Zm9vY", 9), None);
        assert_eq!(base64(b"Zm 9v\r\nYg", 9).as_deref(), Some(&b"foob"[..]));
        assert_eq!(base64(b"Zm9vYmFy", 4).map(|out| out.len()), Some(3));
    }

    /// A fuzz target found a run that was longer than its limit: the bytes of the last digits were not counted.
    #[test]
    fn found_the_last_digits_count_too() {
        for limit in 0..4 {
            for text in [&b"QQ"[..], b"QUI", b"Zm9vYg", b"Zm9vYmE="] {
                assert!(base64(text, limit).is_some_and(|bytes| bytes.len() <= limit), "{limit}");
            }
        }
    }

    #[test]
    fn hex_and_percent() {
        assert_eq!(hexadecimal(b"4aFf", 9), Some(vec![0x4a, 0xff]));
        assert_eq!(hexadecimal(b"4aF", 9), None);
        assert_eq!(percent(b"a%3Ab%zz%", 99), b"a:b%zz%");
    }
}
