//! One text through the engines that read text, in windows.
//!
//! Windows are cut where the text says, not where chunks end, and are scanned on all cores, [`GROUP`] at a time; what they find is reported in the order
//! of the text. So a text gives the same findings however it arrives and however many cores there are.

use std::ops::Range;
use std::sync::Arc;

use cofferdam_processor::cores::Cores;
use cofferdam_scan::hit::Hit;
use cofferdam_scan::reading::Notation;
use cofferdam_scan::secrets::{self, Decoded};
use cofferdam_scan::structure::text::{Decoder, Encoding, OwnedPiece, Piece};
use cofferdam_schemas::{Finding, Span};

use super::{Engines, Gather};

/// Bytes of text in a window, at most.
const WINDOW: usize = 512 * 1024;
/// Windows that are scanned at the same time. No more on more cores: it decides in which order findings come.
const GROUP: usize = 4;
/// Bytes that two windows share: as far as the engines follow a key block.
const OVERLAP: usize = 20 * 1024;
/// Threads that share the windows of long texts. A child process may start none and scans by itself.
static CORES: Cores = Cores::new("scan");
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
    notation: Option<Notation>,
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

    /// The piece on which a byte of the window stands, and where in it. The window begins at `base` of the decoded text.
    fn piece(&self, base: u64, index: usize) -> Option<(&OwnedPiece, usize)> {
        let at = base + index as u64;
        let after = self.pieces.partition_point(|piece| piece.piece().at <= at);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        Some((piece, (at - piece.piece().at) as usize))
    }

    /// Bytes of the document from which these of the window came.
    fn source(&self, base: u64, range: &Range<usize>) -> Span {
        let start = self.piece(base, range.start);
        let start = start.map_or(0, |(piece, index)| piece.piece().source(index));
        // The end of the piece with the last byte, not the beginning of the next: between them may be bytes that are no text.
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
        let last = last.and_then(|last| self.piece(base, last));
        let end = last.map_or(start, |(piece, index)| piece.piece().source(index + 1));
        Span { start, end }
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
            notation: None,
            decoder: Decoder::new(encoding, start),
            window: Window::default(),
            base: 0,
            seen: 0,
            line: 0,
            line_start: 0,
        }
    }

    /// It is written in a notation, so that what a person reads is not just what stands there.
    pub fn written_in(mut self, notation: Option<Notation>) -> Self {
        self.notation = notation;
        self
    }

    /// The next bytes. Nothing is scanned: that is for [`scan`](Self::scan) and [`finish`](Self::finish).
    pub fn feed(&mut self, chunk: &[u8]) {
        let window = &mut self.window;
        self.decoder.feed(chunk, &mut |piece| window.push(piece));
    }

    /// Scans what has come, once it is enough for all cores. Asked at places of the document that do not depend on how it arrives.
    pub fn scan(&mut self, gather: &mut Gather) {
        if self.window.text.len() >= GROUP * WINDOW {
            self.windows(false, gather);
        }
    }

    /// There are no more.
    pub fn finish(mut self, gather: &mut Gather) {
        let window = &mut self.window;
        self.decoder.finish(&mut |piece| window.push(piece));
        self.windows(true, gather);
        let engines = &self.engines;
        for name in engines.names() {
            gather.checked(name);
        }
        match self.notation {
            Some(Notation::Html | Notation::Xml | Notation::Markup | Notation::Rtf) => gather.checked("markup"),
            Some(Notation::Hl7 | Notation::X12 | Notation::Properties) => gather.checked("fields"),
            Some(Notation::Armor | Notation::Cells) | None => {}
        }
    }

    /// Scans the windows there are and keeps the rest of the text.
    fn windows(&mut self, last: bool, gather: &mut Gather) {
        let (windows, rest) = cuts(&self.window.text, last);
        let text = &self.window.text;
        let scanned = CORES.each(&windows, |window| {
            self.engines.scan(&text[window.clone()], &self.path, self.notation)
        });
        let mut place = LineCount {
            at: 0,
            line: self.line,
            start: self.line_start,
        };
        for (window, (mut found, told)) in windows.iter().zip(scanned) {
            // Each window answers for what begins before the middle of its overlap with the next.
            let until = match last && window.end == self.window.text.len() {
                true => u64::MAX,
                false => self.base + (window.end - OVERLAP / 2) as u64,
            };
            told.into_iter().for_each(|told| told.to(gather));
            found.sort_by_key(|decoded| decoded.hit.span.start);
            for Decoded { mut hit, chain } in found {
                hit.span = window.start + hit.span.start..window.start + hit.span.end;
                let at = self.base + hit.span.start as u64;
                if at < self.seen || at >= until {
                    continue;
                }
                let span = self.window.source(self.base, &hit.span);
                let category = hit.rule.split('/').next().unwrap_or(&hit.rule);
                if gather.is_labelled(category, span.start, span.end) || gather.counted(&hit.rule) {
                    continue;
                }
                place.forward(&self.window.text, self.base, hit.span.start);
                gather.add(self.finding(hit, span, &chain.names(), &place, gather.hash_key()));
            }
            self.seen = until;
        }
        if last {
            return;
        }
        place.back(&self.window.text, self.base, rest, self.line, self.line_start);
        (self.line, self.line_start) = (place.line, place.start);
        self.window.drop_before(rest);
        self.base += rest as u64;
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
}

/// The windows of a text, and where what is not yet part of a window or overlaps with the next begins.
fn cuts(text: &str, last: bool) -> (Vec<Range<usize>>, usize) {
    let mut windows = Vec::new();
    let mut start = 0;
    loop {
        if text.len() - start <= WINDOW {
            if last && start < text.len() {
                windows.push(start..text.len());
                start = text.len();
            }
            return (windows, start);
        }
        let end = text.floor_char_boundary(start + WINDOW);
        // After a line, or else between characters.
        let middle = text.floor_char_boundary(start + WINDOW / 2);
        let line = text[middle..end].rfind('\n').map(|at| middle + at + 1);
        let end = line.unwrap_or(end);
        windows.push(start..end);
        start = text.floor_char_boundary(end - OVERLAP);
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
