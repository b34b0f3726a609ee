//! Sentences around what was found, and their tokens.

use std::ops::Range;

use super::context::floor;
use super::pass::{chunk_end, gap, word_end};
use super::scan::Found;

/// Most bytes of a sentence on either side of its trigger.
const REACH: usize = 480;
/// Most tokens read at once.
pub const MOST: usize = 320;

/// The sentences that hold at least one find, each once, in order.
pub fn segments(text: &str, found: &[Found]) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = found.iter().map(|found| found.span.start).collect();
    starts.sort_unstable();
    let bytes = text.as_bytes();
    let mut segments: Vec<Range<usize>> = Vec::new();
    for trigger in starts {
        let last = segments.last().map_or(0, |segment| segment.end);
        if trigger < last {
            continue;
        }
        let low = floor(text, trigger.saturating_sub(REACH)).max(last);
        let mut from = trigger;
        while from > low && !ends_at(bytes, from) {
            from -= 1;
        }
        let high = floor(text, trigger + REACH);
        let mut to = trigger + 1;
        while to < high && !ends_at(bytes, to) {
            to += 1;
        }
        let (from, to) = (floor(text, from), floor(text, to));
        // Where a limit cuts, it cuts at a space.
        let to = if to == high && high < text.len() {
            text[trigger..to]
                .rfind(' ')
                .filter(|space| *space > 0)
                .map_or(to, |space| trigger + space)
        } else {
            to
        };
        if from < to {
            segments.push(from..to);
        }
    }
    segments
}

/// Whether a sentence ends just before `at`: after an empty line, or after a mark, a space and a word that is no abbreviation.
fn ends_at(bytes: &[u8], at: usize) -> bool {
    let Some([before, mark]) = at.checked_sub(2).and_then(|from| bytes.get(from..at)) else {
        return false;
    };
    if (*before, *mark) == (b'\n', b'\n') {
        return true;
    }
    if !matches!(mark, b' ' | b'\n') || !matches!(before, b'.' | b'?' | b'!') {
        return false;
    }
    let word = bytes[..at - 2]
        .iter()
        .rev()
        .take(5)
        .take_while(|byte| byte.is_ascii_lowercase())
        .count();
    *before != b'.' || word >= 4
}

/// A word, a number with what is joined to it, or a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// A line break stands before it.
    pub broken: bool,
    /// A space or the beginning stands before it.
    pub spaced: bool,
}

/// The tokens of a segment, at most [`MOST`].
pub fn tokens(text: &str, segment: &Range<usize>, out: &mut Vec<Token>) {
    out.clear();
    let bytes = &text.as_bytes()[..segment.end];
    let mut at = segment.start;
    let (mut broken, mut spaced) = (false, true);
    while at < bytes.len() && out.len() < MOST {
        let start = at;
        match bytes[at] {
            b'\n' => (broken, spaced, at) = (true, true, at + 1),
            byte if byte.is_ascii_whitespace() => (spaced, at) = (true, at + 1),
            byte => {
                at = if byte.is_ascii_alphanumeric() {
                    let end = chunk_end(bytes, at);
                    let joined = bytes[at..end].iter().any(u8::is_ascii_digit);
                    if joined { end } else { word_end(bytes, at) }
                } else if byte >= 0x80 && gap(bytes, at) == 0 {
                    word_end(bytes, at)
                } else {
                    at + gap(bytes, at).max(1)
                };
                // A word may be cut by the end of the segment, but never inside a character.
                let end = floor(text, at.min(segment.end)).max(start);
                if end == start {
                    break;
                }
                out.push(Token {
                    span: start..end,
                    broken,
                    spaced,
                });
                (broken, spaced) = (false, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phi::kind::Kind;
    use crate::phi::scan::Source;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut out = Vec::new();
        tokens(text, &(0..text.len()), &mut out);
        let words: Vec<&str> = out.iter().map(|token| &text[token.span.clone()]).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn numbers_stay_whole_and_words_do_not_join() {
        check(
            "34-year-old Anna S., MRN: CC-98765",
            &["34-year-old", "Anna", "S", ".", ",", "MRN", ":", "CC-98765"],
        );
        check("Luke’s “Åsa”", &["Luke", "’", "s", "“", "Åsa", "”"]);
    }

    #[test]
    fn segments_are_sentences_with_finds() {
        let text = "Nothing happens here. Anna Smith came. Nobody else.";
        let found = [Found {
            kind: Kind::Name,
            span: 22..32,
            confidence: 0.9,
            source: Source::Rule,
        }];
        assert_eq!(segments(text, &found), vec![Range { start: 22, end: 39 }]);
        assert!(segments(text, &[]).is_empty());
    }
}
