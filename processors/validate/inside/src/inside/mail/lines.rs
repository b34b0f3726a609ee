//! The lines of a source, one after the other, in little memory however long they are.

use super::super::source::Source;

/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// Bytes of a line that are kept. RFC 5322 (2.1.1) allows 998; what programs write into one header line is longer at times.
const KEPT: usize = 64 << 10;

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Its first byte.
    pub start: u64,
    /// Behind its last byte, without the line break.
    pub end: u64,
    /// Behind its line break.
    pub next: u64,
}

/// Reads lines that end with LF or CRLF; the last may end with the source.
pub(super) struct Lines<'a> {
    source: &'a Source,
    piece: Vec<u8>,
    used: usize,
    /// Place of the first byte that was not given yet.
    at: u64,
    kept: Vec<u8>,
    pieces: u64,
}

impl<'a> Lines<'a> {
    pub fn new(source: &'a Source) -> Self {
        Self {
            source,
            piece: Vec::new(),
            used: 0,
            at: 0,
            kept: Vec::new(),
            pieces: 0,
        }
    }

    /// The next line; none at the end, or where the source cannot be read.
    pub fn next(&mut self) -> Option<Line> {
        let start = self.at;
        self.kept.clear();
        let mut last = None;
        loop {
            if self.used == self.piece.len() {
                self.piece = self.source.some(self.at, PIECE);
                self.used = 0;
                self.pieces += 1;
                if self.piece.is_empty() {
                    return (self.at > start).then_some(Line {
                        start,
                        end: self.at,
                        next: self.at,
                    });
                }
            }
            let rest = &self.piece[self.used..];
            let found = memchr::memchr(b'\n', rest);
            let part = &rest[..found.unwrap_or(rest.len())];
            self.kept
                .extend_from_slice(&part[..part.len().min(KEPT - self.kept.len())]);
            last = part.last().copied().or(last);
            self.used += part.len();
            self.at += part.len() as u64;
            if found.is_none() {
                continue;
            }
            let mut end = self.at;
            self.used += 1;
            self.at += 1;
            if last == Some(b'\r') {
                end -= 1;
                let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                self.kept.truncate(length);
            }
            return Some(Line {
                start,
                end,
                next: self.at,
            });
        }
    }

    /// The beginning of the line that was given last, without its line break.
    pub fn text(&self) -> &[u8] {
        &self.kept
    }

    /// Pieces read so far: time to ask whether to go on when it changes.
    pub fn pieces(&self) -> u64 {
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_either_break_and_are_kept_in_part() {
        let long = [&b"a\r\n\nb\r"[..], &vec![b'x'; 200_000], b"\r\nend"].concat();
        let source = Source::memory(long.clone());
        let mut lines = Lines::new(&source);
        let mut seen = Vec::new();
        while let Some(line) = lines.next() {
            assert!(long[line.start as usize..line.end as usize].starts_with(lines.text()));
            seen.push((line.start, line.end, line.next, lines.text().len()));
        }
        let end = 7 - 1 + 200_000;
        assert_eq!(
            seen,
            [
                (0, 1, 3, 1),
                (3, 3, 4, 0),
                (4, end, end + 2, KEPT),
                (end + 2, end + 5, end + 5, 3)
            ]
        );
    }
}
