//! Words of other alphabets in headers (RFC 2047), and the sets of characters they are written in.

use super::decode::base64;

/// Longest name of a set of characters.
const CHARSET: usize = 64;

/// Bytes of a named set of characters as text; as UTF-8 where the name is not known. Never fails: what is no text becomes U+FFFD.
pub(super) fn text(charset: &[u8], bytes: &[u8]) -> String {
    match encoding_rs::Encoding::for_label(charset) {
        Some(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The value of a header with its encoded words decoded; none where there are none.
pub(super) fn decoded(value: &[u8]) -> Option<String> {
    let mut out = String::new();
    // A letter may be cut in two by the end of a word, so words of one set of characters are put together first.
    let mut pending: Option<(&[u8], Vec<u8>)> = None;
    let (mut from, mut at, mut any) = (0, 0, false);
    while let Some(found) = memchr::memmem::find(&value[at..], b"=?") {
        let start = at + found;
        let Some((word, length)) = Word::read(&value[start..]) else {
            at = start + 2;
            continue;
        };
        any = true;
        let between = &value[from..start];
        let joined = pending.is_some() && between.iter().all(u8::is_ascii_whitespace);
        match &mut pending {
            Some((charset, bytes)) if joined && charset.eq_ignore_ascii_case(word.charset) => bytes.extend(&word.bytes),
            _ => {
                flush(&mut pending, &mut out);
                if !joined {
                    out.push_str(&String::from_utf8_lossy(between));
                }
                pending = Some((word.charset, word.bytes));
            }
        }
        at = start + length;
        from = at;
    }
    flush(&mut pending, &mut out);
    out.push_str(&String::from_utf8_lossy(&value[from..]));
    any.then_some(out)
}

fn flush(pending: &mut Option<(&[u8], Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = pending.take() {
        out.push_str(&text(charset, &bytes));
    }
}

/// One encoded word: `=?charset*language?B?text?=`.
struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
}

impl<'a> Word<'a> {
    /// With its length.
    fn read(value: &'a [u8]) -> Option<(Self, usize)> {
        let rest = value.get(2..)?;
        let end = rest.iter().take(CHARSET).position(|byte| *byte == b'?')?;
        let charset = rest[..end].split(|byte| *byte == b'*').next().unwrap_or_default();
        let (way, rest) = rest.get(end + 1..)?.split_first()?;
        let rest = rest.strip_prefix(b"?")?;
        let length = memchr::memchr(b'?', rest)?;
        let written = &rest[..length];
        if charset.is_empty() || rest.get(length + 1) != Some(&b'=') {
            return None;
        }
        let bytes = match way.to_ascii_lowercase() {
            b'b' => base64(written),
            b'q' => quoted(written),
            _ => return None,
        };
        Some((Self { charset, bytes }, 2 + end + 3 + length + 2))
    }
}

/// The encoding `Q`: like quoted-printable, with `_` for a space (RFC 2047 4.2).
fn quoted(written: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = written
        .iter()
        .map(|byte| if *byte == b'_' { b' ' } else { *byte })
        .collect();
    escaped(&spaced, b'=')
}

/// Bytes written as two digits behind a sign, in a text that is otherwise as it is.
pub(super) fn escaped(written: &[u8], sign: u8) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(written.len());
    let mut at = 0;
    while let Some(byte) = written.get(at) {
        let high = written.get(at + 1).and_then(digit);
        let low = written.get(at + 2).and_then(digit);
        if let (true, Some(high), Some(low)) = (*byte == sign, high, low) {
            out.push(high << 4 | low);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded_and_joined() {
        for (value, expected) in [
            ("plain =? text", None),
            ("=?utf-8?B?R3LDvMOfZQ==?=", Some("Grüße")),
            (
                "=?ISO-8859-1?q?caf=E9_noir?= <a@b.example>",
                Some("café noir <a@b.example>"),
            ),
            ("Re: =?utf-8*de?Q?a?= =?UTF-8?Q?b?= c", Some("Re: ab c")),
            // One letter in two words.
            ("=?utf-8?Q?=C3?= \t=?utf-8?Q?=BC?=", Some("ü")),
            ("=?utf-8?x?a?= =?utf-8?Q?b", None),
            ("=?unknown-set?Q?=41?=", Some("A")),
        ] {
            assert_eq!(decoded(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }
}
