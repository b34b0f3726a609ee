//! One text through the engines that read text, in windows.

use std::ops::Range;
use std::sync::Arc;

use cofferdam_scan::hit::Hit;
use cofferdam_scan::secrets::{self, Decoded};
use cofferdam_scan::structure::text::{Decoder, Encoding, OwnedPiece, Piece};
use cofferdam_schemas::{Finding, Span};

use super::{Engines, Gather};

/// Bytes of text that are scanned at once.
const WINDOW: usize = 256 * 1024;
/// Bytes that two windows share: as far as the engines follow a key block.
const OVERLAP: usize = 20 * 1024;
/// Values longer than this are passages, of which nothing is shown.
const SHOWN: usize = 512;
/// Values at least this long cannot be guessed from their hash, if they are random; shorter ones are hashed under a key or not at all.
const UNGUESSABLE: usize = 16;

/// Scans one text: decodes, cuts, asks the engines. Memory: some windows, whatever the length.
pub struct TextScan {
    engines: Arc<Engines>,
    /// The document's name, for rules that go by it.
    path: String,
    inside: Option<String>,
    decoder: Decoder,
    window: Window,
    /// Where the window's text stands in the whole decoded text.
    base: u64,
    /// What begins before this place of the decoded text was reported.
    seen: u64,
    /// Lines before the window, and the place in the decoded text where its first line begins.
    line: u64,
    line_start: u64,
}

#[derive(Default)]
struct Window {
    text: String,
    pieces: Vec<OwnedPiece>,
}

impl Window {
    fn push(&mut self, piece: &Piece<'_>) {
        self.text.push_str(piece.text);
        OwnedPiece::push(&mut self.pieces, piece);
    }

    /// The byte of the document from which this byte of the window came.
    fn source(&self, index: usize) -> u64 {
        let mut before = 0;
        for piece in &self.pieces {
            let end = before + piece.text().len();
            if index < end {
                return piece.piece().source(index - before);
            }
            before = end;
        }
        self.pieces
            .last()
            .map_or(0, |last| last.piece().source(last.text().len()))
    }

    /// The byte after the last of a range that ends here.
    fn source_end(&self, index: usize) -> u64 {
        let mut before = 0;
        for piece in &self.pieces {
            let end = before + piece.text().len();
            if index <= end {
                return piece.piece().source(index - before);
            }
            before = end;
        }
        self.source(index)
    }

    /// Lets go of everything before a place, a character boundary.
    fn drop_before(&mut self, at: usize) {
        self.text.drain(..at);
        let mut before = 0;
        let mut kept = Vec::new();
        for piece in &self.pieces {
            let (start, end) = (before, before + piece.text().len());
            before = end;
            if end > at {
                let from = at.saturating_sub(start);
                OwnedPiece::push(&mut kept, &piece.piece().part(from, piece.text().len()));
            }
        }
        self.pieces = kept;
    }
}

impl TextScan {
    /// At the beginning of a text. `start` is the byte at which the first chunk stands, behind a byte order mark.
    pub fn new(engines: Arc<Engines>, path: &str, inside: Option<String>, encoding: Encoding, start: u64) -> Self {
        Self {
            engines,
            path: path.to_owned(),
            inside,
            decoder: Decoder::new(encoding, start),
            window: Window::default(),
            base: 0,
            seen: 0,
            line: 0,
            line_start: 0,
        }
    }

    /// The next bytes.
    pub fn feed(&mut self, chunk: &[u8], gather: &mut Gather) {
        // Small turns, so that a window never grows far beyond its size.
        for part in chunk.chunks(WINDOW / 2) {
            let window = &mut self.window;
            self.decoder.feed(part, &mut |piece| window.push(piece));
            if self.window.text.len() >= WINDOW {
                self.scan(false, gather);
            }
        }
    }

    /// There are no more.
    pub fn finish(mut self, gather: &mut Gather) {
        let window = &mut self.window;
        self.decoder.finish(&mut |piece| window.push(piece));
        self.scan(true, gather);
        let engines = &self.engines;
        for name in engines.names() {
            gather.checked(name);
        }
    }

    /// Scans the window and keeps its end for the next one.
    fn scan(&mut self, last: bool, gather: &mut Gather) {
        let len = self.window.text.len();
        if len == 0 {
            return;
        }
        let cut = if last {
            len
        } else {
            // After a line, or else between characters.
            let line = self
                .window
                .text
                .rfind('\n')
                .filter(|at| *at >= len / 2)
                .map(|at| at + 1);
            line.unwrap_or_else(|| self.window.text.floor_char_boundary(len))
        };
        // Each window answers for what begins before the middle of its overlap with the next.
        let until = if last {
            u64::MAX
        } else {
            self.base + (cut - OVERLAP / 2) as u64
        };
        let mut found = self.engines.scan(&self.window.text[..cut], &self.path, gather);
        found.sort_by_key(|decoded| decoded.hit.span.start);
        let mut place = LineCount {
            at: 0,
            line: self.line,
            start: self.line_start,
        };
        for Decoded { hit, chain } in found {
            let at = self.base + hit.span.start as u64;
            if at < self.seen || at >= until {
                continue;
            }
            let span = self.source_span(&hit.span);
            let category = hit.rule.split('/').next().unwrap_or(&hit.rule);
            if gather.is_labelled(category, span.start, span.end) || gather.counted(&hit.rule) {
                continue;
            }
            place.forward(&self.window.text, self.base, hit.span.start);
            gather.add(self.finding(hit, span, &chain.names(), &place, gather.hash_key()));
        }
        if last {
            return;
        }
        let keep = self.window.text.floor_char_boundary(cut - OVERLAP);
        place.back(&self.window.text, self.base, keep, self.line, self.line_start);
        (self.line, self.line_start) = (place.line, place.start);
        self.window.drop_before(keep);
        self.base += keep as u64;
        self.seen = until;
    }

    fn finding(&self, hit: Hit, span: Span, chain: &[&str], place: &LineCount, key: Option<&[u8]>) -> Finding {
        let range = hit.span.clone();
        let mut finding = Finding::from(hit);
        finding.span = Some(span);
        finding.line = Some(place.line + 1);
        let column = (self.base + range.start as u64).saturating_sub(place.start) + 1;
        finding.column = u32::try_from(column).ok();
        finding.inside = match (&self.inside, chain) {
            (inside, []) => inside.clone(),
            (None, chain) => Some(chain.join("/")),
            (Some(inside), chain) => Some(format!("{inside}!/{}", chain.join("/"))),
        };
        show(&mut finding, &self.window.text[range], key);
        finding
    }

    fn source_span(&self, range: &Range<usize>) -> Span {
        Span {
            start: self.window.source(range.start),
            end: self.window.source_end(range.end),
        }
    }
}

/// Says what a value looks like and which other it equals, and nothing else of it.
pub(super) fn show(finding: &mut Finding, value: &str, key: Option<&[u8]>) {
    // Encoded runs, passages and structure are no values.
    if value.len() > SHOWN
        || value.is_empty()
        || !matches!(finding.category.as_str(), "phi" | "pii" | "pci" | "secrets")
    {
        return;
    }
    finding.masked = Some(secrets::mask(value));
    let random = finding.category == "secrets" && value.len() >= UNGUESSABLE;
    if key.is_some() || random {
        finding.sha256 = Some(secrets::fingerprint(key, value.as_bytes()));
    }
}

/// Counts lines as places are visited in order.
struct LineCount {
    /// The place in the window that was visited last.
    at: usize,
    /// Lines before it, and where its line begins in the whole decoded text.
    line: u64,
    start: u64,
}

impl LineCount {
    fn forward(&mut self, text: &str, base: u64, at: usize) {
        for index in memchr::memchr_iter(b'\n', &text.as_bytes()[self.at..at.max(self.at)]) {
            self.line += 1;
            self.start = base + (self.at + index) as u64 + 1;
        }
        self.at = self.at.max(at);
    }

    /// The same for a place that may lie before the last: counts anew from the window's beginning.
    fn back(&mut self, text: &str, base: u64, at: usize, line: u64, start: u64) {
        if at < self.at {
            *self = Self { at: 0, line, start };
        }
        self.forward(text, base, at);
    }
}
