//! What the tagger may say at all: it has read little, and code, tables and headings are strange to it.

use super::kind::Kind;
use super::lexicon::{Lexicon, flag};
use super::name::{camel, goes_on};
use super::scan::Found;

/// Longest place.
const PLACE: usize = 100;

/// Words of licences, which are copied everywhere and name no place but their publisher's.
const LICENCES: &[&str] = &["GNU", "License", "Licence", "Software"];

/// "README.md": a dot goes on in lower case.
fn names_file(value: &str) -> bool {
    value
        .as_bytes()
        .windows(2)
        .any(|pair| pair[0] == b'.' && pair[1].is_ascii_lowercase())
}

/// What stands behind a name in capitals.
const AFTER: &[&str] = &[
    "II", "III", "IV", "JR", "SR", "MD", "DO", "RN", "NP", "PA", "DDS", "DMD", "DPM", "DVM", "LPN", "CNA", "CRNA",
    "PT", "OT", "LCSW", "MSW", "MPH", "MBA", "MSN", "BSN", "DNP", "APRN", "ESQ",
];

/// Whether one of the words of a name is an abbreviation that no gazetteer knows, among words that are written as names are: "Travis CI", "Maya ASCII".
pub(super) fn is_abbreviation(lexicon: &Lexicon, name: &str) -> bool {
    let capitals = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let unknown = |word: &str| lexicon.word(word).flags & (flag::FIRST | flag::LAST | flag::TITLE) == 0;
    let odd = |word: &str| (2..=5).contains(&word.len()) && capitals(word) && unknown(word) && !AFTER.contains(&word);
    words(name).any(odd) && words(name).any(|word| !capitals(word))
}

/// Whether a find of the tagger has the form of what it is said to be.
pub(super) fn plausible(lexicon: &Lexicon, text: &str, found: &Found) -> bool {
    let value = &text[found.span.clone()];
    match found.kind {
        Kind::Name => !goes_on(&text[found.span.end..]) && name(lexicon, value, found.confidence),
        Kind::Location => !is_copyright(&text[..found.span.start], value) && place(lexicon, value, found.confidence),
        kind if kind.by_cue() => {
            let digits = value.bytes().filter(u8::is_ascii_digit).count();
            let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
            digits >= 3.max(letters)
                && digits + letters >= 5
                && found.confidence >= 0.6
                && !value.contains(['\n', '.', '=', '"'])
        }
        _ => true,
    }
}

fn words(value: &str) -> impl Iterator<Item = &str> + Clone {
    value
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| !word.is_empty())
}

fn name(lexicon: &Lexicon, value: &str, confidence: f32) -> bool {
    let odd = |letter: char| {
        letter.is_ascii_digit()
            || matches!(
                letter,
                '_' | '/'
                    | '='
                    | '<'
                    | '>'
                    | '{'
                    | '}'
                    | '['
                    | ']'
                    | '('
                    | ')'
                    | '"'
                    | '`'
                    | ':'
                    | ';'
                    | '@'
                    | '#'
                    | '&'
                    | '*'
                    | '|'
            )
    };
    if value.contains(odd) || value.len() > 60 || words(value).any(camel) || is_abbreviation(lexicon, value) {
        return false;
    }
    let (mut count, mut known, mut capital, mut common) = (0, 0, 0, 0);
    for word in words(value) {
        let flags = lexicon.word(word).flags;
        count += 1;
        known += usize::from(flags & (flag::FIRST | flag::LAST) != 0);
        common += usize::from(flags & flag::COMMON != 0 && flags & (flag::FIRST | flag::LAST) == 0);
        capital += usize::from(word.chars().next().is_some_and(char::is_uppercase));
    }
    // "Major Changes" has no title.
    let ordinary =
        |word: &str| lexicon.word(word).flags & flag::COMMON != 0 && lexicon.word(word).flags & flag::LAST == 0;
    let titled = words(value)
        .next()
        .is_some_and(|word| lexicon.word(word).flags & flag::TITLE != 0)
        && words(value).skip(1).any(|word| !ordinary(word));
    // A single word that no gazetteer knows is too little, unless the tagger has no doubt.
    count > 0
        && count <= 6
        && common < count
        && match capital {
            0 => known == count,
            _ => titled || known > 0 || count > 1 && confidence >= 0.7 || confidence >= 0.97,
        }
}

/// "Copyright (c) 2017 Jane Doe": a year and an owner, no number and street.
fn is_copyright(before: &str, value: &str) -> bool {
    let year = value.len() > 5 && value.as_bytes()[4] == b' ' && matches!(&value.as_bytes()[..2], b"19" | b"20");
    let before = before.trim_end();
    year && ["(c)", "(C)", "©", "opyright", "OPYRIGHT"]
        .iter()
        .any(|mark| before.ends_with(mark))
}

fn place(lexicon: &Lexicon, value: &str, confidence: f32) -> bool {
    let odd = |letter: char| {
        matches!(
            letter,
            '_' | '=' | '<' | '>' | '{' | '}' | '[' | ']' | '"' | '`' | ':' | ';' | '@' | '*' | '|' | '$' | '\\'
        )
    };
    let count_of = |sign: char| value.matches(sign).count();
    if value.contains(odd)
        || value.len() > PLACE
        || value.contains("\n\n")
        || count_of('(') != count_of(')')
        || value.starts_with("HTTP/")
        || value.starts_with('#')
        || names_file(value)
        || words(value).any(|word| LICENCES.iter().any(|known| word.eq_ignore_ascii_case(known)))
    {
        return false;
    }
    let place = flag::CITY
        | flag::STATE
        | flag::STATE_CODE
        | flag::FACILITY
        | flag::HOSPITAL
        | flag::STREET
        | flag::PART
        | flag::COUNTRY;
    let (mut count, mut known, mut capital) = (0, 0, 0);
    // An abbreviation that no gazetteer knows is a place of nothing.
    let short = !value.contains(char::is_lowercase);
    for word in words(value) {
        count += 1;
        // "or", "in" and "md" are no states where they are not in capitals of their own.
        let code = !short && word.bytes().all(|byte| byte.is_ascii_uppercase());
        let place = if code { place } else { place & !flag::STATE_CODE };
        known += usize::from(lexicon.word(word).flags & place != 0);
        capital += usize::from(word.chars().next().is_some_and(char::is_uppercase));
    }
    // A number is a place only as a postal code, which the recognizers judge; a country or a state alone is allowed.
    let whole = lexicon.phrase(value).flags;
    let alone = whole & (flag::COUNTRY | flag::STATE | flag::NATION) != 0 && whole & flag::CITY == 0;
    count > 0
        && !alone
        && (capital * 2 >= count || known > 0 && confidence >= 0.9)
        && (known > 0 || confidence >= 0.9 && !(short && count == 1))
        && !words(value).any(camel)
}
