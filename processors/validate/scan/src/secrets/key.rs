//! The name that stands before a value.

use std::ops::Range;

/// Longest name looked at, to either side of its keyword.
const SIDE: usize = 64;

/// A byte that can be part of a name. Bytes above 127 are letters of some script.
pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
}

/// The name around `keyword`.
pub(crate) fn around(text: &[u8], keyword: Range<usize>) -> Range<usize> {
    let before = text[..keyword.start]
        .iter()
        .rev()
        .take(SIDE)
        .take_while(|byte| is_name(**byte))
        .count();
    let after = text[keyword.end..]
        .iter()
        .take(SIDE)
        .take_while(|byte| is_name(**byte))
        .count();
    let (mut start, mut end) = (keyword.start - before, keyword.end + after);
    while start < keyword.start && matches!(text[start], b'-' | b'.') {
        start += 1;
    }
    while end > keyword.end && text[end - 1] == b'.' {
        end -= 1;
    }
    start..end
}

/// The name in lower case with `_` between its words: `dbPassword`, `DB-PASSWORD` and `db.password` become `db_password`.
pub(crate) fn normal(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, &byte) in name.iter().enumerate() {
        let previous = at.checked_sub(1).map_or(0, |at| name[at]);
        let next = name.get(at + 1).copied().unwrap_or(0);
        match byte {
            b'_' | b'-' | b'.' | b' ' | b':' | b'[' => {
                if !out.ends_with('_') {
                    out.push('_');
                }
            }
            b'A'..=b'Z' => {
                let hump = previous.is_ascii_lowercase() || previous.is_ascii_digit();
                let last = previous.is_ascii_uppercase() && next.is_ascii_lowercase();
                if (hump || last) && !out.is_empty() && !out.ends_with('_') {
                    out.push('_');
                }
                out.push(char::from(byte.to_ascii_lowercase()));
            }
            0x80.. => out.push('x'),
            _ => out.push(char::from(byte)),
        }
    }
    out.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("dbPassword", "db_password"),
            ("DB-PASSWORD", "db_password"),
            ("spring.datasource.password", "spring_datasource_password"),
            ("PGPASSWORD", "pgpassword"),
            ("APIKey", "api_key"),
            ("userPWD", "user_pwd"),
            ("OAuthToken", "o_auth_token"),
            ("_password", "password"),
        ] {
            assert_eq!(normal(name.as_bytes()), expected);
        }
        let text = b"x = db.user_password: 1";
        assert_eq!(around(text, 12..20), 4..20);
    }
}
