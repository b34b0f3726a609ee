//! Whether a value can be a secret at all: references and placeholders are none.

use super::words::{ELSEWHERE, MESSAGE, NONE, PARTS, WEAK};

/// What a value is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// No secret: a reference, a mask, a word of the programming language, a sentence.
    No,
    /// A word that stands where a password belongs and is hardly a real one.
    Weak,
    /// Can be one; how sure, 0 to 1.
    Secret(f32),
}

/// Shannon entropy in bits a character (Shannon 1948), as gitleaks computes it.
pub(crate) fn entropy(text: &str) -> f32 {
    let mut counts = [0_u32; 256];
    let mut other = std::collections::BTreeMap::<char, u32>::new();
    let mut total = 0_u32;
    for c in text.chars().take(4096) {
        total += 1;
        match u8::try_from(c) {
            Ok(byte) => counts[usize::from(byte)] += 1,
            Err(_) => *other.entry(c).or_default() += 1,
        }
    }
    let share = |count: &u32| {
        let p = *count as f32 / total as f32;
        -p * p.log2()
    };
    counts.iter().filter(|count| **count > 0).map(share).sum::<f32>() + other.values().map(share).sum::<f32>()
}

/// References, masks and words that are no value; applies to passwords and tokens alike.
fn elsewhere(value: &str, lower: &str) -> bool {
    let bytes = value.as_bytes();
    let (first, last) = (bytes.first().copied().unwrap_or(0), bytes.last().copied().unwrap_or(0));
    NONE.contains(&lower)
        || ELSEWHERE.iter().any(|start| lower.starts_with(start))
        || (first == b'<'
            && (last == b'>'
                || bytes
                    .get(1)
                    .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'/')))
        || (first == b'[' && last == b']')
        || (first == b'{' && last == b'}')
        || (first == b'(' && last == b')')
        || (first == b'%' && last == b'%' && bytes.len() > 2)
        || (first == b'@' && last == b'@' && bytes.len() > 2)
        || variable(value.trim_end_matches(['`', '.', ',', ')', ';', '"', '\'']))
        || bytes.iter().all(|byte| *byte == first)
        || value.contains("${")
        || value.contains("{{")
        || value.contains("$(")
        || value.contains('\u{2022}')
        || value.contains('\u{2026}')
        || value.contains('\u{fffd}')
}

/// `$NAME`, `$name->field`, `$1`, `%s`, `:name`; but not `$ecret!9`.
fn variable(value: &str) -> bool {
    let Some(rest) = value.strip_prefix(['$', '%', ':', '@']) else {
        return false;
    };
    let word = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '[' | ']' | '>' | '\'' | '"' | '(' | ')')
    };
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    rest.replace("->", ".").chars().all(word)
        && (value.starts_with('$') && digits * 4 < rest.len().max(4) || digits == 0)
}

fn lower(value: &str) -> String {
    value.chars().take(256).collect::<String>().to_ascii_lowercase()
}

/// A value where a password belongs. The key has said so already, so even a word can be one.
pub(crate) fn password(value: &str) -> Verdict {
    let length = value.chars().take(600).count();
    if !(3..=512).contains(&length) {
        return Verdict::No;
    }
    let lower = lower(value);
    if elsewhere(value, &lower) || value.chars().any(char::is_control) {
        return Verdict::No;
    }
    if value.contains(char::is_whitespace) && !phrase(value) {
        return Verdict::No;
    }
    let plain: String = lower
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' ' | '!'))
        .collect();
    if WEAK.contains(&plain.as_str()) {
        return Verdict::Weak;
    }
    if PARTS.iter().any(|part| lower.contains(part)) {
        // Among random characters such a part is chance.
        return if length > 24 && digits_and_letters(value) && entropy(value) > 3.8 && !value.contains("EXAMPLE") {
            Verdict::Secret(0.6)
        } else {
            Verdict::No
        };
    }
    if expression(value) {
        return Verdict::No;
    }
    let kinds = kinds(value);
    Verdict::Secret(match kinds {
        1 => 0.5,
        2 => 0.7,
        _ => 0.8,
    })
}

/// A pass phrase rather than a sentence on a screen.
fn phrase(value: &str) -> bool {
    let words: Vec<String> = value
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .collect();
    words.len() <= 8
        && value.len() <= 64
        && words.iter().filter(|word| MESSAGE.contains(&word.as_str())).count() <= 1
        // Texts on a screen begin with a capital.
        && (value.starts_with(|c: char| c.is_ascii_lowercase())
            || value.chars().any(|c| c.is_ascii_digit() || "#$%^&*+=~@_".contains(c)))
}

/// `name.field`, `call(…)`, `list[…]`, `a::b`, `a->b`: code, not a value.
fn expression(value: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && part.bytes().filter(u8::is_ascii_digit).count() * 3 < part.len()
    };
    if value.starts_with(|c: char| c.is_ascii_alphabetic()) && value.contains("::") {
        return true;
    }
    let value = value.trim_start_matches('(');
    if let Some(at) = value.find(['(', '[', '{', '<']) {
        let head = value[..at].trim_end_matches('!');
        let tail = &value[at + 1..];
        let names = head.len() > 1
            && head
                .split(['.', ':', '>', '-'])
                .all(|part| part.is_empty() || word(part));
        let inside = tail.is_empty() || tail.contains([')', ']', '}', '>', '"', '\'', ',', '&', '.', ':', '|']);
        if names && inside {
            return true;
        }
    }
    let mut parts = value.split(['.', ':']).filter(|part| !part.is_empty());
    value.contains(['.', ':'])
        && (value.contains("::") || value.contains('.'))
        && parts.clone().count() >= 2
        && parts.all(|part| word(part) && !part.bytes().any(|byte| byte.is_ascii_digit()))
}

/// How many of lower case, upper case, digits and others occur.
pub(crate) fn kinds(value: &str) -> usize {
    let any = |test: fn(&char) -> bool| usize::from(value.chars().any(|c| test(&c)));
    any(char::is_ascii_lowercase)
        + any(char::is_ascii_uppercase)
        + any(char::is_ascii_digit)
        + any(|c| !c.is_ascii_alphanumeric())
}

fn digits_and_letters(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit()) && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// A value where a token or key belongs. Words occur there too (`token: name`), so it must look made by a machine.
pub(crate) fn token(value: &str) -> Verdict {
    let length = value.chars().take(5000).count();
    if !(8..=4096).contains(&length) || value.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        return Verdict::No;
    }
    let lower = lower(value);
    if elsewhere(value, &lower) || expression(value) || PARTS.iter().any(|part| lower.contains(part)) {
        return Verdict::No;
    }
    if WEAK.contains(&lower.as_str()) {
        return Verdict::Weak;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let bits = entropy(value);
    // Identifiers and names of things: words with separators, numbered at most.
    let mut words = value.split(['-', '_', '.', '/', ':', ' ']);
    let worded = words.all(|word| {
        word.trim_end_matches(|c: char| c.is_ascii_digit())
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic())
    }) && digits * 6 < length;
    if digits == length || value.contains("://") || value.starts_with('/') {
        return Verdict::No;
    }
    if worded {
        // Letters only: chance gives about one change between cases in two letters, camel case one in six.
        let letters: Vec<u8> = value.bytes().filter(u8::is_ascii_alphabetic).collect();
        let changes = letters
            .windows(2)
            .filter(|pair| pair[0].is_ascii_uppercase() != pair[1].is_ascii_uppercase())
            .count();
        return if length >= 16 && changes * 10 >= letters.len() * 3 && bits >= 3.5 {
            Verdict::Secret(0.6)
        } else {
            Verdict::No
        };
    }
    match (digits_and_letters(value), length) {
        (true, 20..) if bits >= 3.0 => Verdict::Secret(0.8),
        (true, 12..) if bits >= 2.8 => Verdict::Secret(0.65),
        (true, _) if bits >= 2.5 && kinds(value) >= 2 => Verdict::Secret(0.5),
        (false, 16..) if bits >= 3.5 => Verdict::Secret(0.5),
        _ => Verdict::No,
    }
}

/// `user:password` in Base64, as in `Authorization: Basic` and in Docker's `auth`.
pub(crate) fn pair(value: &str) -> Verdict {
    let plain = super::base::base64(value.trim_matches(['"', '\'']).as_bytes(), 512);
    match plain.and_then(|plain| String::from_utf8(plain).ok()) {
        Some(plain) if !plain.chars().any(char::is_control) => match plain.split_once(':') {
            Some((user, secret)) if !user.is_empty() => match password(secret) {
                Verdict::Secret(_) => Verdict::Secret(0.9),
                other => other,
            },
            _ => Verdict::No,
        },
        _ => Verdict::No,
    }
}

/// Base64 of a text that is not empty and no placeholder, as in a Kubernetes Secret.
pub(crate) fn coded(value: &str) -> Verdict {
    let plain = super::base::base64(value.trim_matches(['"', '\'']).as_bytes(), 8192);
    match plain {
        Some(plain) if plain.len() >= 3 => match std::str::from_utf8(&plain) {
            Ok(text) if text.len() <= 512 && !text.trim().contains(char::is_whitespace) => password(text.trim()),
            Ok(_) => Verdict::Secret(0.6),
            Err(_) if plain.len() >= 16 => Verdict::Secret(0.6),
            Err(_) => Verdict::No,
        },
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, secret: bool) {
        assert_eq!(
            matches!(password(value), Verdict::Secret(_)),
            secret,
            "{value}: {:?}",
            password(value)
        );
    }

    #[test]
    fn passwords() {
        for value in [
            "hunter2",
            "Tr0ub4dor&3",
            "$ecret!9",
            "correct-horse-battery",
            "p@ss(w0rd",
            "s3cr3t!",
            "zaq12wsx",
            "letmein",
        ] {
            check(value, true);
        }
        for value in [
            "${DB_PASSWORD}",
            "$DB_PASSWORD",
            "$password",
            "%DB_PASS%",
            "<password>",
            "{{ db_password }}",
            "xxxxxxxx",
            "********",
            "your_password_here",
            "os.environ['X']",
            "config.password",
            "getpass.getpass(",
            "(self.name",
            "$dir/private/key.pem",
            "AKIAIOSFODNN7EXAMPLE",
            "getpass.getpass()",
            "input('Password: ')",
            "Enter your password",
            "null",
            "string",
            "",
            "ab",
            "!vault",
            "self.password",
            "process.env.DB_PASS",
            "%s",
            ":password",
            "${{ secrets.TOKEN }}",
            "Must be 8 characters",
        ] {
            check(value, false);
        }
        for value in ["changeme", "password", "secret", "change_me", "example"] {
            assert_eq!(password(value), Verdict::Weak, "{value}");
        }
    }

    #[test]
    fn tokens() {
        assert!(matches!(
            token("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"),
            Verdict::Secret(_)
        ));
        for value in [
            "my-csrf-token-name",
            "accessTokenProviderFactory",
            "https://x.example/token1",
            "12345678901234",
            "refresh_token",
            "csrf-token-v2",
        ] {
            assert_eq!(token(value), Verdict::No, "{value}");
        }
    }

    #[test]
    fn entropy_of_known_texts() {
        assert_eq!(entropy("aaaa"), 0.0);
        assert_eq!(entropy("abcd"), 2.0);
        assert_eq!(entropy(""), 0.0);
    }
}
