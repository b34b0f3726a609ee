//! Examples inside a pack, with generated values.
//!
//! A pack must not hold anything that looks like a live token, or every other scanner (and the host of the repository) would stop on
//! it. So an example writes `@{kind:length}` and the value is made when the pack is checked: `hex`, `HEX`, `alnum`, `upper` (letters
//! and digits), `lower`, `alpha`, `digit`, `b64`, `url64`. `@{text:…}` is the Base64 of the text. `@@` is one `@`.

/// The example with its values filled in, the same at every call.
pub(crate) fn expand(example: &str) -> String {
    let mut out = String::with_capacity(example.len());
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut rest = example;
    while let Some(at) = rest.find("@{") {
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else { break };
        let inner = &rest[at + 2..at + end];
        match inner.split_once(':') {
            Some(("text", text)) => out.push_str(&super::base::encode(text.as_bytes())),
            Some((kind, length)) if alphabet(kind).is_some() => {
                out.push_str(&random(&mut seed, kind, length.parse().unwrap_or(0)));
            }
            _ => out.push_str(&rest[at..=at + end]),
        }
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out
}

fn alphabet(kind: &str) -> Option<&'static [u8]> {
    const ALL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    Some(match kind {
        "hex" => b"0123456789abcdef",
        "HEX" => b"0123456789ABCDEF",
        "alnum" => &ALL[..62],
        "upper" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "lower" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "alpha" => &ALL[26..52],
        "digit" => &ALL[52..62],
        "b64" => &ALL[..64],
        "url64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        _ => return None,
    })
}

/// A made-up value; `seed` is moved on. Not random in any sense that matters for security.
pub(crate) fn random(seed: &mut u64, kind: &str, length: usize) -> String {
    let letters = alphabet(kind).unwrap_or(b"x");
    (0..length.min(65_536))
        .map(|_| {
            // xorshift64*, Vigna 2016.
            *seed ^= *seed >> 12;
            *seed ^= *seed << 25;
            *seed ^= *seed >> 27;
            let mixed = seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
            char::from(letters[usize::try_from(mixed).unwrap_or(0) % letters.len()])
        })
        .collect()
}
