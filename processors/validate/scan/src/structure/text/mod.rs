//! Text in any encoding, as a stream: decoded, checked, and handed on with positions of the original bytes.
//!
//! [`TextScan`] is what every text format runs in. It holds back the first 64 KiB to find the encoding, decodes, checks lines and
//! characters, and gives an [`Engine`] (JSON, CSV, …) the decoded pieces. How the stream is cut into chunks changes nothing.

mod decoder;
mod encoding;
mod lines;

use cofferdam_schemas::Severity;

pub use decoder::{Decoder, OwnedPiece, Piece};
pub use encoding::{Encoding, Guess, detect};
pub use lines::{Checks, Lines};

use super::report::{Collector, Place, Problem, StructureReport};

/// Bytes from which the encoding is told.
pub const HEAD: usize = 64 * 1024;

/// What reads decoded text.
pub trait Engine {
    /// JSON has to be UTF-8 (RFC 8259 section 8.1): an engine that says so gets another encoding reported as a fault.
    const UTF8_ONLY: bool = false;
    /// The next piece.
    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector);
    /// The document ends at this place.
    fn finish(&mut self, end: Place, out: &mut Collector);
}

/// Plain text has no structure beyond its lines.
impl Engine for () {
    fn piece(&mut self, _: &Piece<'_>, _: &mut Collector) {}
    fn finish(&mut self, _: Place, _: &mut Collector) {}
}

/// Two read the same.
impl<A: Engine, B: Engine> Engine for (A, B) {
    const UTF8_ONLY: bool = A::UTF8_ONLY || B::UTF8_ONLY;
    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        self.0.piece(piece, out);
        self.1.piece(piece, out);
    }
    fn finish(&mut self, end: Place, out: &mut Collector) {
        self.0.finish(end, out);
        self.1.finish(end, out);
    }
}

/// May be absent.
impl<A: Engine> Engine for Option<A> {
    const UTF8_ONLY: bool = A::UTF8_ONLY;
    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        if let Some(engine) = self {
            engine.piece(piece, out);
        }
    }
    fn finish(&mut self, end: Place, out: &mut Collector) {
        if let Some(engine) = self {
            engine.finish(end, out);
        }
    }
}

/// How text is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// The encoding, if it is known; found from the head otherwise.
    pub encoding: Option<Encoding>,
    /// Bytes from which a line is remarked upon. 1 MiB unless set.
    pub long_line: u64,
    /// Problems listed per kind; those beyond are counted. 20 unless set.
    pub per_kind: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            encoding: None,
            long_line: 1 << 20,
            per_kind: 20,
        }
    }
}

/// Scans one text document.
pub struct TextScan<E> {
    options: TextOptions,
    head: Vec<u8>,
    body: Option<Body>,
    engine: E,
    out: Collector,
}

struct Body {
    decoder: Decoder,
    checks: Checks,
}

impl<E: Engine> TextScan<E> {
    /// A scan that gives the text to `engine`.
    pub fn new(engine: E, options: TextOptions) -> Self {
        Self {
            options,
            head: Vec::new(),
            body: None,
            engine,
            out: Collector::new(options.per_kind),
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut chunk: &[u8]) {
        if self.body.is_none() {
            let missing = HEAD - self.head.len();
            let (now, later) = chunk.split_at(missing.min(chunk.len()));
            self.head.extend_from_slice(now);
            if self.head.len() < HEAD {
                return;
            }
            self.begin(false);
            chunk = later;
        }
        self.decode(chunk);
    }

    fn begin(&mut self, whole: bool) {
        let mut guess = detect(&self.head, whole);
        if let Some(encoding) = self.options.encoding {
            let mark = if guess.encoding == encoding { guess.mark } else { 0 };
            guess = Guess {
                encoding,
                mark,
                certain: true,
            };
        }
        self.out.word("encoding", guess.encoding.name());
        self.out.fact("byte_order_mark", guess.mark as u64);
        self.out.checked("encoding");
        self.out.checked("lines");
        if !guess.certain {
            self.out
                .not_checked("which encoding is meant", "it was guessed from the letters");
        }
        if E::UTF8_ONLY && guess.encoding != Encoding::Utf8 {
            self.out.reject(
                Problem::new(
                    "structure/json-encoding",
                    Severity::Medium,
                    "JSON in an encoding other than UTF-8",
                )
                .cite("RFC 8259 section 8.1")
                .remedy("convert it to UTF-8"),
            );
        } else if E::UTF8_ONLY && guess.mark > 0 {
            self.out.add("structure/json-mark", 0, || {
                Problem::new(
                    "structure/json-mark",
                    Severity::Info,
                    "JSON that begins with a byte order mark",
                )
                .at(
                    Place {
                        at: 0,
                        line: 1,
                        column: 1,
                    },
                    guess.mark as u64,
                )
                .cite("RFC 8259 section 8.1")
                .remedy("remove the mark")
            });
        }
        self.body = Some(Body {
            decoder: Decoder::new(guess.encoding, guess.mark as u64),
            checks: Checks::default(),
        });
        let head = std::mem::take(&mut self.head);
        self.decode(&head[guess.mark.min(head.len())..]);
    }

    fn decode(&mut self, chunk: &[u8]) {
        let Some(body) = &mut self.body else { return };
        let Body { decoder, checks } = body;
        let (engine, out) = (&mut self.engine, &mut self.out);
        decoder.feed(chunk, &mut |piece| {
            checks.piece(piece);
            engine.piece(piece, out);
        });
    }

    /// The engine, to fetch what its sink has.
    pub fn engine_mut(&mut self) -> &mut E {
        &mut self.engine
    }

    /// The document ends. Gives the engine back, with what it gathered.
    pub fn finish(mut self) -> (StructureReport, E) {
        if self.body.is_none() {
            self.begin(true);
        }
        if let Some(mut body) = self.body.take() {
            let (engine, out, checks) = (&mut self.engine, &mut self.out, &mut body.checks);
            body.decoder.finish(&mut |piece| {
                checks.piece(piece);
                engine.piece(piece, out);
            });
            let end = body.checks.end(body.decoder.consumed());
            self.engine.finish(end, &mut self.out);
            if body.checks.is_broken() {
                self.out.report().valid = false;
            }
            self.out.fact("bytes", body.decoder.consumed());
            body.checks.finish(self.options.long_line, &mut self.out);
        }
        (self.out.finish(), self.engine)
    }
}

#[cfg(test)]
mod tests;
