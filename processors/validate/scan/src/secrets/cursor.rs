//! Steps in a text that is not trusted: every one of them is bounded.

use std::ops::Range;

/// Longest value.
pub(super) const LONGEST: usize = 4096;

/// A text that is read at any place; beyond its ends there are zeros.
pub(super) struct Text<'a>(pub &'a [u8]);

impl Text<'_> {
    pub fn at(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    pub fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.at(at))
    }

    pub fn skip(&self, from: usize, most: usize, test: impl Fn(u8) -> bool) -> usize {
        let rest = self.0.get(from..).unwrap_or_default();
        from + rest.iter().take(most).take_while(|byte| test(**byte)).count()
    }

    pub fn blanks(&self, from: usize) -> usize {
        self.skip(from, 64, |byte| matches!(byte, b' ' | b'\t'))
    }

    pub fn spaces(&self, from: usize) -> usize {
        self.skip(from, 128, |byte| byte.is_ascii_whitespace())
    }

    pub fn starts(&self, from: usize, word: &[u8]) -> bool {
        self.0
            .get(from..from + word.len())
            .is_some_and(|bytes| bytes.eq_ignore_ascii_case(word))
    }

    /// Up to the byte, which must come within the limit.
    pub fn until(&self, from: usize, limit: usize, stop: u8) -> Option<usize> {
        let end = (from + limit).min(self.0.len());
        memchr::memchr(stop, self.0.get(from..end)?).map(|at| from + at)
    }
}

/// The text in quotes that begins exactly at `from`.
pub(super) fn quotation(text: &Text<'_>, from: usize) -> Option<Range<usize>> {
    let (mark, start) = match (text.at(from), text.at(from + 1)) {
        (b'\\', mark @ (b'"' | b'\'')) => (mark, from + 2),
        (mark @ (b'"' | b'\'' | b'`'), _) => (mark, from + 1),
        _ => return None,
    };
    let escaped = text.at(from) == b'\\';
    // Three quotes: Python, TOML.
    let start = if text.at(start) == mark && text.at(start + 1) == mark {
        start + 2
    } else {
        start
    };
    let mut at = start;
    while at < text.0.len() && at - start <= LONGEST {
        match text.0[at] {
            b'\n' => return None,
            b'\\' if escaped => return Some(start..at),
            b'\\' => at += 1,
            byte if byte == mark => return Some(start..at),
            _ => {}
        }
        at += 1;
    }
    None
}
