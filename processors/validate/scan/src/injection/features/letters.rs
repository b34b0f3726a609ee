//! What a character is to the pass.

use super::counts::C;
use crate::injection::language::symbol;

/// What the pass does with a character.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Lower,
    Upper,
    Digit,
    Blank,
    Line,
    White,
    Ask,
    Shout,
    Colon,
    Stop,
    Quote,
    Tick,
    Markup,
    Code,
    Slash,
    /// `' - . @ & ,` may stand between letters of ordinary words and names.
    Joint,
    Sign,
    Control,
    ForeignLetter,
    ForeignSpace,
    Foreign,
}

impl Class {
    /// What a sign that is no letter is counted as, when `before` stands before it.
    #[inline]
    pub(super) fn counter(self, before: Self) -> Option<C> {
        match self {
            Self::Ask => Some(C::Ask),
            Self::Shout => Some(C::Shout),
            Self::Colon => Some(C::Colons),
            Self::Quote => Some(C::Quotes),
            Self::Tick => Some(C::Ticks),
            Self::Markup => Some(C::Markup),
            Self::Code => Some(C::Code),
            Self::Slash if before == Self::Slash => Some(C::Slashes),
            _ => None,
        }
    }

    /// Whether a sentence begins after it.
    #[inline]
    pub(super) fn begins(self) -> bool {
        matches!(self, Self::Ask | Self::Shout | Self::Colon | Self::Stop | Self::Quote)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Ascii {
    pub(super) folded: u8,
    pub(super) symbol: u8,
    pub(super) class: Class,
}

pub(super) static ASCII: [Ascii; 128] = ascii();

const fn ascii() -> [Ascii; 128] {
    let mut table = [Ascii {
        folded: 0,
        symbol: 0,
        class: Class::Control,
    }; 128];
    let mut at = 0;
    while at < 128 {
        let c = at as u8;
        let folded = if c.is_ascii_digit() {
            b'0'
        } else {
            c.to_ascii_lowercase()
        };
        table[at] = Ascii {
            folded,
            symbol: symbol(folded as u32),
            class: match c {
                b'a'..=b'z' => Class::Lower,
                b'A'..=b'Z' => Class::Upper,
                b'0'..=b'9' => Class::Digit,
                b' ' => Class::Blank,
                b'\n' => Class::Line,
                b'\t' | b'\r' | 0x0c => Class::White,
                b'?' => Class::Ask,
                b'!' => Class::Shout,
                b':' => Class::Colon,
                b'.' => Class::Stop,
                b'"' => Class::Quote,
                b'`' => Class::Tick,
                b'#' | b'*' | b'|' | b'<' | b'>' | b'=' => Class::Markup,
                b'(' | b')' | b'{' | b'}' | b'[' | b']' | b';' | b'_' => Class::Code,
                b'/' => Class::Slash,
                b'\'' | b'-' | b'@' | b'&' | b',' => Class::Joint,
                _ if c.is_ascii_graphic() => Class::Sign,
                _ => Class::Control,
            },
        };
        at += 1;
    }
    table
}

pub(super) fn foreign(c: char) -> Class {
    match c {
        '؟' | '？' => Class::Ask,
        '！' => Class::Shout,
        '。' | '।' | '¿' | '¡' => Class::Stop,
        '\u{201c}' | '\u{201d}' => Class::Quote,
        _ if c.is_alphanumeric() || is_mark(c) => Class::ForeignLetter,
        _ if c.is_whitespace() => Class::ForeignSpace,
        _ => Class::Foreign,
    }
}

/// Lower case, digits to `0`, typographic marks to ASCII.
#[inline]
pub(super) fn fold(c: char) -> u64 {
    if c.is_ascii() {
        return u64::from(ASCII[c as usize & 127].folded);
    }
    match c {
        '\u{2018}' | '\u{2019}' | '\u{2032}' => u64::from(b'\''),
        '\u{201c}'..='\u{201f}' | '«' | '»' => u64::from(b'"'),
        '\u{2010}'..='\u{2015}' => u64::from(b'-'),
        _ => u64::from(c.to_lowercase().next().unwrap_or(c) as u32),
    }
}

/// Vowel signs and the like belong to the word they stand in.
#[inline]
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{d7f}' | '\u{e31}'..='\u{e4e}' | '\u{610}'..='\u{65f}')
        && c != '।'
}
