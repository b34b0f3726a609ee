//! A password in the authority of a URL (RFC 3986, section 3.2.1).

use std::ops::Range;

/// Longest user information looked at.
const LONGEST: usize = 512;

/// What stands before the `@` of the URL whose `://` ends at `start`: the password, or a token that stands alone.
pub(crate) enum UserInfo {
    /// `user:password@`.
    Password(Range<usize>),
    /// `token@`.
    Alone(Range<usize>),
}

/// Reads the user information, if there is any. Passwords often hold characters that should have been encoded, so what ends it is
/// white space, a quote or a bracket, and a slash only if no `@` follows in the same word.
pub(crate) fn user_info(text: &[u8], start: usize) -> Option<UserInfo> {
    let rest = &text[start..(start + LONGEST).min(text.len())];
    let word = rest
        .iter()
        .take_while(|byte| {
            !byte.is_ascii_whitespace()
                && !matches!(
                    byte,
                    b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'|' | b',' | b'(' | b')'
                )
        })
        .count();
    let slash = rest[..word]
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(word);
    // The last @ before the first slash; else the last one behind it, if what stands before looks like user:password.
    let (at, colon) = match memchr::memrchr(b'@', &rest[..slash]) {
        Some(at) => (at, memchr::memchr(b':', &rest[..at])),
        None => {
            let at = memchr::memrchr(b'@', &rest[..word])?;
            let colon = memchr::memchr(b':', &rest[..slash])?;
            // host:port/path@version is no password.
            let port = rest[colon + 1..slash].iter().all(u8::is_ascii_digit);
            let host = rest[at + 1..word]
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
                .count();
            if port || rest[..colon].contains(&b'.') || !rest[at + 1..at + 1 + host].contains(&b'.') {
                return None;
            }
            (at, Some(colon))
        }
    };
    match colon {
        Some(colon) if colon + 1 < at => Some(UserInfo::Password(start + colon + 1..start + at)),
        // `token:@host`: the user is the secret (Stripe, GitHub).
        Some(colon) => (colon > 0).then(|| UserInfo::Alone(start..start + colon)),
        None => (at > 0).then(|| UserInfo::Alone(start..start + at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        let start = url.find("://").unwrap() + 3;
        let found = user_info(url.as_bytes(), start).map(|info| match info {
            UserInfo::Password(span) | UserInfo::Alone(span) => &url[span],
        });
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn finds_the_password() {
        check("postgres://app:hunter2@db:5432/x", Some("hunter2"));
        check("postgres://app:hun/ter@2@db.example/x", Some("hun/ter@2"));
        check("https://abcdef0123@github.com/x", Some("abcdef0123"));
        check("https://example.org:8080/a@b", None);
        check("https://example.org/a:b@c.d", None);
        check("redis://:s3cret@cache", Some("s3cret"));
        check("https://example.org", None);
        check("mongodb://a:p@1.example,b.example/x", Some("p"));
    }
}
