//! What a finder hands to the engine.

use std::ops::Range;

use super::value::Verdict;

/// A value that may be a secret.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// Index of the rule.
    pub rule: usize,
    /// The value.
    pub span: Range<usize>,
    /// What the value's own check said.
    pub verdict: Verdict,
    /// Added to the rule's confidence: what the place says for or against it.
    pub lean: f32,
}

/// The nearest character boundaries at or outside `span`.
pub(crate) fn whole(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// The line or lines of `span`, without the break, at most `limit` bytes to either side.
pub(crate) fn line(text: &str, span: &Range<usize>, limit: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let floor = span.start.saturating_sub(limit);
    let start = memchr::memrchr(b'\n', &bytes[floor..span.start]).map_or(floor, |at| floor + at + 1);
    let roof = (span.end + limit).min(bytes.len());
    let end = memchr::memchr(b'\n', &bytes[span.end..roof]).map_or(roof, |at| span.end + at);
    whole(text, start..end)
}
