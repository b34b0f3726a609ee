//! A rewritten text that remembers which bytes of the original each piece came from.

use std::ops::Range;

/// One piece: bytes from `out` on came from `source`, one to one when `exact`.
#[derive(Debug, Clone)]
struct Piece {
    out: usize,
    source: Range<usize>,
    exact: bool,
}

/// The rewritten text.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// What the text reads as.
    pub text: String,
    pieces: Vec<Piece>,
}

impl Mapped {
    /// The text as it is.
    pub fn identity(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            pieces: vec![Piece {
                out: 0,
                source: 0..text.len(),
                exact: true,
            }],
        }
    }

    fn piece(&self, at: usize) -> usize {
        self.pieces.partition_point(|piece| piece.out <= at).saturating_sub(1)
    }

    /// Bytes of the original that `range` of the rewritten text came from. Character borders stay character borders.
    pub fn origin(&self, range: Range<usize>) -> Range<usize> {
        let Some(first) = self.pieces.get(self.piece(range.start)) else {
            return 0..0;
        };
        let start = if first.exact {
            (first.source.start + (range.start - first.out)).min(first.source.end)
        } else {
            first.source.start
        };
        if range.end <= range.start {
            return start..start;
        }
        let last = &self.pieces[self.piece(range.end - 1)];
        let end = if last.exact {
            (last.source.start + (range.end - last.out)).min(last.source.end)
        } else {
            last.source.end
        };
        start.min(end)..start.max(end)
    }
}

/// Writes the next version of a text.
pub struct Builder<'a> {
    input: &'a Mapped,
    text: String,
    pieces: Vec<Piece>,
    /// Input up to here is written or left out on purpose.
    done: usize,
    changed: bool,
}

impl<'a> Builder<'a> {
    /// Starts with nothing written.
    pub fn new(input: &'a Mapped) -> Self {
        Self {
            input,
            text: String::with_capacity(input.text.len()),
            pieces: Vec::new(),
            done: 0,
            changed: false,
        }
    }

    fn push(&mut self, piece: Piece) {
        if let Some(last) = self.pieces.last_mut()
            && last.exact
            && piece.exact
            && last.source.end == piece.source.start
            && piece.out - last.out == last.source.len()
        {
            last.source.end = piece.source.end;
        } else {
            self.pieces.push(piece);
        }
    }

    /// Copies what was not yet written up to byte `to` of the input.
    pub fn copy_to(&mut self, to: usize) {
        let mut at = self.done;
        let mut index = self.input.piece(at);
        while at < to {
            let piece = &self.input.pieces[index];
            let piece_end = self
                .input
                .pieces
                .get(index + 1)
                .map_or(self.input.text.len(), |next| next.out);
            let end = piece_end.min(to);
            let source = if piece.exact {
                piece.source.start + (at - piece.out)..piece.source.start + (end - piece.out)
            } else {
                piece.source.clone()
            };
            let (out, exact) = (self.text.len(), piece.exact);
            self.text.push_str(&self.input.text[at..end]);
            self.push(Piece { out, source, exact });
            at = end;
            index += 1;
        }
        self.done = self.done.max(to);
    }

    /// Writes `with` in place of `range` of the input; everything before it not yet written is copied.
    pub fn replace(&mut self, range: Range<usize>, with: &str) {
        self.copy_to(range.start);
        if !with.is_empty() {
            let out = self.text.len();
            let source = self.input.origin(range.clone());
            self.text.push_str(with);
            self.push(Piece {
                out,
                source,
                exact: false,
            });
        }
        self.done = self.done.max(range.end);
        self.changed = true;
    }

    /// Like [`Self::replace`], for a range whose beginning may already be written: then it stays as it is.
    pub fn replace_last(&mut self, range: Range<usize>, with: &str) {
        if self.done <= range.start {
            self.replace(range, with);
        }
    }

    /// The new text, or nothing when it is the old one.
    pub fn finish(mut self) -> Option<Mapped> {
        if !self.changed {
            return None;
        }
        self.copy_to(self.input.text.len());
        Some(Mapped {
            text: self.text,
            pieces: self.pieces,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rewrites_still_point_at_the_original() {
        let first = Mapped::identity("abXXcd");
        let mut builder = Builder::new(&first);
        builder.replace(2..4, "ü-");
        let second = builder.finish().unwrap();
        assert_eq!(second.text, "abü-cd");
        assert_eq!(second.origin(2..5), 2..4);
        assert_eq!(second.origin(1..6), 1..5);
        let mut builder = Builder::new(&second);
        builder.replace(0..2, "");
        let third = builder.finish().unwrap();
        assert_eq!(third.text, "ü-cd");
        assert_eq!(third.origin(0..3), 2..4);
        assert_eq!(third.origin(3..5), 4..6);
        assert!(Builder::new(&third).finish().is_none());
    }
}
