//! Natural language in Base64, hexadecimal or binary digits, and letters written as escapes.

use std::collections::BTreeSet;

use super::evidence::{Evidence, Step};
use super::survey::RUN;
use crate::injection::language::Language;
use crate::mapped::{Builder, Mapped};

/// Bits a character above which decoded bytes are no language (packed data, keys).
const READABLE: f32 = 5.2;
/// Escaped letters in one place that no writer needs.
const ESCAPES: u32 = 4;

/// Digits of Base64 that tell whether a run may be opened.
const FIRST: usize = 64;

/// Times Base64 in Base64 is opened at once.
const NESTED: usize = 3;

/// What a byte that is no Base64 digit has in [`VALUES`] …
const NONE: u8 = 64;
/// … and one that may begin an escape.
const ESCAPE: u8 = 65;

/// What each byte is worth as a Base64 digit of either alphabet.
static VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        values[at] = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\\' | b'%' | b'&' => ESCAPE,
            _ => NONE,
        };
        at += 1;
    }
    values
};

#[inline]
fn value(byte: u8) -> Option<u8> {
    Some(VALUES[usize::from(byte)]).filter(|value| *value < NONE)
}

fn base64(run: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(run.len() * 3 / 4);
    let (mut bits, mut have) = (0u32, 0u32);
    for byte in run {
        bits = (bits << 6) | u32::from(value(*byte)?);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    Some(out)
}

fn digits(run: &[u8], radix: u32, each: usize) -> Option<Vec<u8>> {
    let plain: Vec<u8> = run.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    if !plain.len().is_multiple_of(each) {
        return None;
    }
    plain
        .chunks(each)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, radix).ok())
        .collect()
}

/// The bytes as text, if they are language: valid UTF-8 up to a cut character, no control bytes, words.
fn readable(bytes: &[u8], language: &Language) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // a run cut short ends inside a character
        Err(error) if error.error_len().is_none() && error.valid_up_to() + 4 > bytes.len() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let (mut letters, mut control, mut all, mut spaces) = (0usize, 0usize, 0usize, 0usize);
    let mut different = BTreeSet::new();
    for c in text.chars() {
        different.insert(c);
        all += 1;
        letters += usize::from(c.is_alphabetic());
        spaces += usize::from(c == ' ');
        control += usize::from(c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    }
    let foreign = text.len() > all + all / 2;
    // The decimals of a fraction are such digits too: of two signs only there is no text.
    let few = all < 6 || different.len() < 3;
    if few || control > 0 || letters * 10 < all * 6 || (spaces == 0 && !foreign && all > 24) {
        return None;
    }
    (foreign || language.mean(text.chars()) < READABLE).then(|| text.to_owned())
}

/// A Base64 run as text; Base64 in Base64 is opened [`NESTED`] times.
fn open(run: &[u8], language: &Language) -> Option<String> {
    let mut bytes = base64(run)?;
    for _ in 0..NESTED {
        if let Some(text) = readable(&bytes, language) {
            return Some(text);
        }
        let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
        bytes = base64(&bytes[..bytes.len() - padding])?;
    }
    readable(&bytes, language)
}

/// Whether `run`, of digits of Base64, may be opened: what most names and paths would be as Base64 is no text, as their first bytes tell.
pub(super) fn may_hold(run: &[u8]) -> bool {
    let control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t');
    let text = |bytes: &[u8]| {
        let broken = std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_some());
        !broken && !bytes.iter().any(control)
    };
    base64(&run[..run.len().min(FIRST)]).is_some_and(|bytes| text(&bytes)) || hexadecimal(run)
}

fn hexadecimal(run: &[u8]) -> bool {
    run.iter().all(|b| b.is_ascii_hexdigit() || *b == b' ')
}

/// The length of an escape at the beginning of `rest` and the ASCII letter it stands for.
fn escape(rest: &[u8]) -> Option<(usize, u8)> {
    let hex = |from: usize, n: usize| -> Option<u32> {
        u32::from_str_radix(std::str::from_utf8(rest.get(from..from + n)?).ok()?, 16).ok()
    };
    let (length, code) = match rest {
        [b'\\', b'x', ..] => (4, hex(2, 2)?),
        [b'\\', b'u', ..] => (6, hex(2, 4)?),
        [b'%', ..] => (3, hex(1, 2)?),
        [b'&', b'#', ..] => {
            let close = rest.iter().take(9).position(|b| *b == b';')?;
            let body = std::str::from_utf8(rest.get(2..close)?).ok()?;
            let code = match body.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => body.parse().ok()?,
            };
            (close + 1, code)
        }
        _ => return None,
    };
    let code = u8::try_from(code).ok()?;
    (code.is_ascii_graphic() || code == b' ').then_some((length, code))
}

/// Opens each run that holds language, in its place.
pub(super) fn decode(input: &Mapped, language: &Language, evidence: &mut Evidence) -> Option<Mapped> {
    let bytes = input.text.as_bytes();
    let mut builder = Builder::new(input);
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if VALUES[usize::from(byte)] == ESCAPE {
            at = escapes(input, at, &mut builder, evidence);
            continue;
        }
        if value(byte).is_none() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && value(bytes[at]).is_some() {
            at += 1;
        }
        // Digits in groups are one run.
        if matches!(at - start, 2 | 8) && hexadecimal(&bytes[start..at]) {
            let each = at - start;
            let binary = each == 8;
            let same = |from: usize| {
                bytes.get(from..from + each).is_some_and(|group| {
                    group.iter().all(|b| {
                        if binary {
                            matches!(b, b'0' | b'1')
                        } else {
                            b.is_ascii_hexdigit()
                        }
                    })
                }) && bytes.get(from + each).is_none_or(|b| value(*b).is_none())
            };
            if same(start) {
                while bytes.get(at) == Some(&b' ') && same(at + 1) {
                    at += 1 + each;
                }
            }
        }
        let run = &bytes[start..at];
        if run.len() < RUN {
            continue;
        }
        let spaced = run.contains(&b' ');
        let opened = if hexadecimal(run) {
            let binary = run.iter().all(|b| matches!(b, b'0' | b'1' | b' '));
            let (radix, each) = if binary { (2, 8) } else { (16, 2) };
            digits(run, radix, each)
                .and_then(|bytes| readable(&bytes, language))
                .map(|text| (Step::Hex, text))
        } else {
            None
        };
        let opened = opened.or_else(|| {
            (!spaced)
                .then(|| open(run, language))
                .flatten()
                .map(|text| (Step::Base64, text))
        });
        if let Some((step, text)) = opened {
            while bytes.get(at) == Some(&b'=') {
                at += 1;
            }
            evidence.note(step, input.origin(start..at));
            builder.replace(start..at, &text);
        }
    }
    builder.finish()
}

/// Reads escapes from `at` on; returns where they end. Few of them, or none for a letter, stay as they are.
fn escapes(input: &Mapped, at: usize, builder: &mut Builder<'_>, evidence: &mut Evidence) -> usize {
    let bytes = input.text.as_bytes();
    let (mut end, mut letters) = (at, 0);
    let mut text = String::new();
    loop {
        if let Some((length, code)) = escape(&bytes[end..]) {
            text.push(char::from(code));
            letters += u32::from(code.is_ascii_alphabetic());
            end += length;
        } else if bytes.get(end) == Some(&b' ') && end > at {
            text.push(' ');
            end += 1;
        } else {
            break;
        }
    }
    if letters >= ESCAPES {
        evidence.note(Step::Escapes, input.origin(at..end));
        builder.replace(at..end, &text);
    }
    end.max(at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::injection::train::augment;

    proptest! {
        #[test]
        fn what_can_be_opened_is_not_passed_over(
            text in "[ a-z,\n]{12,80}|[ а-яé]{12,60}",
            times in 1usize..=3,
            url: bool,
            cut in 0usize..4,
        ) {
            let mut run = text.clone();
            for _ in 0..times {
                run = augment::base64(run.trim_end_matches('='));
                if url {
                    run = run.replace('+', "-").replace('/', "_");
                }
            }
            let run = run.trim_end_matches('=');
            prop_assert!(may_hold(&run.as_bytes()[..run.len() - cut]));
            prop_assert!(may_hold(hex::encode(&text).as_bytes()));
        }
    }

    #[test]
    fn most_names_are_passed_over() {
        for name in [
            "getElementsByTagName",
            "/usr/local/share/Fonts",
            "src/Main-2/index_old",
            "XMLHttpRequestUpload2",
        ] {
            assert!(!may_hold(name.as_bytes()), "{name}");
        }
    }
}
