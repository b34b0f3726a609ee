//! One run of bytes, whatever it is: told from its head, then every engine that fits.

use std::sync::Arc;

use bytes::Bytes;
use cofferdam_scan::structure::schema::Selected;
use cofferdam_scan::structure::text::detect as detect_encoding;

use super::{Engines, Gather, Structure, TextScan};
use crate::kind::{Claim, Detected, PAGE, Pages, detect};

/// Looks at bytes as they go by. Text is scanned here; what is inside other formats is looked at elsewhere.
pub struct Look {
    engines: Arc<Engines>,
    name: String,
    inside: Option<String>,
    claims: Vec<Claim>,
    schemas: Selected,
    /// Bytes there will be, as somebody claims.
    size: u64,
    /// Bytes that came so far.
    seen: u64,
    state: State,
    detected: Option<Detected>,
}

/// What a run of bytes was.
pub struct Seen {
    /// Whether it was text, and scanned.
    pub text: bool,
    /// What it is, where its head was all of it.
    pub detected: Option<Detected>,
}

/// Bytes after which the text is asked whether it has enough for a scan: multiples of this, wherever chunks end, so that a document gives the same findings
/// in the same order however it arrives.
const STEP: u64 = 128 * 1024;

enum State {
    /// The head so far.
    Head(Vec<u8>),
    Text(Box<TextScan>, Box<Structure>),
    Other,
}

impl Look {
    /// At the beginning. `size` is what somebody claims, and only decides whether the head is taken for the whole.
    pub fn new(engines: Arc<Engines>, name: &str, inside: Option<String>, claims: Vec<Claim>, size: u64) -> Self {
        Self {
            engines,
            name: name.to_owned(),
            inside,
            claims,
            schemas: Selected::default(),
            size,
            seen: 0,
            state: State::Head(Vec::new()),
            detected: None,
        }
    }

    /// What it has to conform to; nothing unless said.
    pub fn conforming(mut self, schemas: Selected) -> Self {
        self.schemas = schemas;
        self
    }

    /// The next bytes.
    pub fn feed(&mut self, mut chunk: &[u8], gather: &mut Gather) {
        if let State::Head(head) = &mut self.state {
            let (now, later) = chunk.split_at(chunk.len().min(PAGE as usize - head.len()));
            head.extend_from_slice(now);
            if head.len() < PAGE as usize {
                return;
            }
            let head = std::mem::take(head);
            let whole = later.is_empty() && self.size == PAGE;
            self.begin(&head, whole, gather);
            self.seen = PAGE;
            chunk = later;
        }
        if let State::Text(text, structure) = &mut self.state {
            while !chunk.is_empty() {
                let until = (STEP - self.seen % STEP) as usize;
                let (now, later) = chunk.split_at(chunk.len().min(until));
                // Labelled values first: what the text's scan finds in their place is the same.
                structure.feed(now, gather);
                text.feed(now);
                self.seen += now.len() as u64;
                if now.len() == until {
                    text.scan(gather);
                }
                chunk = later;
            }
        }
    }

    fn begin(&mut self, head: &[u8], whole: bool, gather: &mut Gather) {
        let size = if whole {
            head.len() as u64
        } else {
            self.size.max(head.len() as u64 + 1)
        };
        let pages = Pages::new(size, Bytes::copy_from_slice(head));
        self.state = State::Other;
        let Ok(detected) = detect(&pages, &self.claims) else {
            return;
        };
        if whole {
            self.detected = Some(detected.clone());
        }
        // Whatever is written in characters, be it a drawing, a calendar or a key.
        if detected.encoding.is_some() {
            let guess = detect_encoding(head, whole);
            let delimiter = detected.facts.get("delimiter").and_then(|text| text.as_str());
            let delimiter = delimiter.and_then(|text| text.as_bytes().first().copied());
            let (engines, inside) = (&self.engines, &self.inside);
            let text = TextScan::new(
                engines.clone(),
                &self.name,
                inside.clone(),
                guess.encoding,
                guess.mark as u64,
            )
            .written_in(detected.notation());
            let structure = Structure::new(
                &detected.name,
                delimiter,
                engines.clone(),
                inside.clone(),
                &self.schemas,
                gather,
            );
            self.state = State::Text(Box::new(text), Box::new(structure));
            // The mark is for the structure, which says so; the text begins behind it.
            if let State::Text(text, structure) = &mut self.state {
                structure.feed(head, gather);
                text.feed(&head[guess.mark.min(head.len())..]);
            }
        }
    }

    /// There are no more.
    pub fn finish(mut self, gather: &mut Gather) -> Seen {
        if let State::Head(head) = &mut self.state {
            let head = std::mem::take(head);
            if !head.is_empty() {
                self.begin(&head, true, gather);
            }
        }
        let text = match self.state {
            State::Text(text, structure) => {
                structure.finish(gather);
                text.finish(gather);
                true
            }
            State::Head(_) | State::Other => false,
        };
        Seen {
            text,
            detected: self.detected,
        }
    }
}
