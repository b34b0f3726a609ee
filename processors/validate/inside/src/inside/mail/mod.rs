//! Messages (RFC 5322) with their parts (MIME, RFC 2045 to 2049), and mailboxes (RFC 4155).
//!
//! The host scans the bytes of a message as text, so what stands there as text is not handed over again: plain text in ASCII or UTF-8
//! that is not encoded. Everything else is a member: attachments, text in Base64 and quoted-printable, pages, other sets of characters,
//! messages within messages. Headers with encoded words are handed over decoded.
//!
//! Lines go past once, and parts are windows of the source that are decoded while they are read: no more than a line and a header are kept
//! here, however long a message is; a message in a message is read as a whole, as any container in a container. Where programs disagree on
//! what a message says (parts behind the end, two types of one part), it is reported, and as much is looked at as one of them shows.
//!
//! The parser is our own: `mail-parser` 1.0 wants rustc 1.98, and the whole message in memory.

mod decode;
mod header;
mod lines;
mod part;
mod words;

use std::mem::take;

use self::decode::Encoding;
use self::header::{Block, Headers, without_mark};
use self::lines::{Line, Lines};
use super::kind::is_envelope;
use super::place::Place;
use super::rules::{self, Rule};
use super::source::Source;
use super::walk::Walk;

/// Multiparts within multiparts. Programs write five or so.
const NESTING: usize = 50;
/// Longest boundary that is compared; RFC 2046 (5.1.1) allows 70.
const BOUNDARY: usize = 1_000;

/// Hands over the parts of a message, or those of every message of a mailbox.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32) {
    let mut lines = Lines::new(source);
    if let Some(first) = lines.next()
        && is_envelope(without_mark(lines.text()))
    {
        return mailbox(walk, source, place, depth, lines, first);
    }
    Message::new(walk, source, place, depth).look();
}

/// A message begins behind a line `From …` that follows an empty line and is followed by a header (RFC 4155, appendix A).
fn mailbox(walk: &mut Walk<'_>, source: &Source, place: &Place, depth: u32, mut lines: Lines<'_>, first: Line) {
    let (mut number, mut pieces) = (1u64, 0);
    // Where the message begins; where it ends, if the line before was an envelope; where the line before begins.
    let (mut start, mut envelope, mut before) = (first.next, None, 0);
    let mut blank = false;
    while let Some(line) = lines.next() {
        if pieces != lines.pieces() && !walk.more(place) {
            return;
        }
        pieces = lines.pieces();
        let text = lines.text();
        if let Some(end) = envelope.take()
            && is_header(text)
        {
            if !message_of(walk, source, place, depth, number, (start, end)) {
                return;
            }
            number += 1;
            start = line.start;
        }
        if blank && is_envelope(text) {
            envelope = Some(before);
        }
        blank = text.is_empty();
        before = line.start;
    }
    message_of(walk, source, place, depth, number, (start, source.len()));
}

fn is_header(line: &[u8]) -> bool {
    let name = line
        .iter()
        .take_while(|byte| (33..127).contains(*byte) && **byte != b':');
    let length = name.count();
    length > 0 && line.get(length) == Some(&b':') || line.starts_with(b">From ")
}

/// One message of a mailbox; false to stop.
fn message_of(
    walk: &mut Walk<'_>,
    source: &Source,
    place: &Place,
    depth: u32,
    number: u64,
    (start, end): (u64, u64),
) -> bool {
    let window = source.window(start, end.saturating_sub(start));
    let mut message = Message::new(walk, &window, place, depth);
    message.prefix = format!("message {number}/");
    message.base = start;
    message.look()
}

/// A multipart whose parts are going past.
struct Open {
    boundary: Vec<u8>,
    /// Its own headers, and where its content begins.
    headers: Headers,
    start: u64,
    /// Whether a part of it was seen.
    seen: bool,
    closed: bool,
}

/// What the lines belong to.
enum State {
    Headers(Block),
    Body {
        headers: Headers,
        start: u64,
        seen: Marks,
    },
    /// Before the first part of a multipart, or behind the last.
    Outside,
}

/// What the lines of a part show.
#[derive(Clone, Copy, Default)]
struct Marks {
    /// One of them begins an encrypted text.
    armored: bool,
    /// The last one may begin a file in uuencode; one did.
    begins: bool,
    uuencoded: bool,
}

impl Marks {
    fn line(&mut self, text: &[u8]) {
        self.armored |= part::is_armor(text);
        self.uuencoded |= std::mem::replace(&mut self.begins, part::begins_file(text)) && part::is_uuencoded(text);
    }
}

/// One message while it goes past.
struct Message<'w, 'v, 's> {
    walk: &'w mut Walk<'v>,
    source: &'s Source,
    place: &'s Place,
    depth: u32,
    /// Before the names of its parts.
    prefix: String,
    /// Where it begins in the document at `place`.
    base: u64,
    open: Vec<Open>,
    /// Parts that hold no parts, so far.
    leaves: u64,
    /// Names for bodies that were given already.
    bodies: Vec<&'static str>,
    /// Rules that were reported; each is worth saying once for a message.
    said: Vec<&'static str>,
}

impl<'w, 'v, 's> Message<'w, 'v, 's> {
    fn new(walk: &'w mut Walk<'v>, source: &'s Source, place: &'s Place, depth: u32) -> Self {
        Self {
            walk,
            source,
            place,
            depth,
            prefix: String::new(),
            base: 0,
            open: Vec::new(),
            leaves: 0,
            bodies: Vec::new(),
            said: Vec::new(),
        }
    }

    fn report(&mut self, rule: &Rule, at: u64) {
        if !self.said.contains(&rule.name) {
            self.said.push(rule.name);
            self.walk.report_at(rule, self.place, self.base + at);
        }
    }

    /// False to stop, for the whole document.
    fn look(&mut self) -> bool {
        let mut lines = Lines::new(self.source);
        let mut state = State::Headers(Block::new(true));
        let (mut before, mut pieces) = (0, 0);
        while let Some(line) = lines.next() {
            if pieces != lines.pieces() && !self.walk.more(self.place) {
                return false;
            }
            pieces = lines.pieces();
            let text = lines.text();
            let goes_on = if let Some((level, close)) = self.delimiter(text) {
                self.delimited(&mut state, level, close, before, line)
            } else {
                self.line(&mut state, text, line)
            };
            if !goes_on {
                return false;
            }
            before = line.end;
        }
        self.end(state)
    }

    /// Whether the line parts the parts of an open multipart: of which, and whether it ends it. The innermost counts, and one that was
    /// not ended before one that was.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b"--").filter(|_| !self.open.is_empty())?;
        let found = |closed: bool| {
            self.open.iter().enumerate().rev().find_map(|(level, open)| {
                let rest = line.strip_prefix(&open.boundary[..])?;
                let (close, rest) = rest.strip_prefix(b"--").map_or((false, rest), |rest| (true, rest));
                // Blanks may have been added on the way.
                (open.closed == closed && rest.trim_ascii().is_empty()).then_some((level, close))
            })
        };
        found(false).or_else(|| found(true))
    }

    fn delimited(&mut self, state: &mut State, level: usize, close: bool, before: u64, line: Line) -> bool {
        if !self.part_ends(std::mem::replace(state, State::Outside), before) || !self.close_above(level + 1, before) {
            return false;
        }
        let open = &mut self.open[level];
        // Parts behind the end: some programs show them.
        let again = take(&mut open.closed);
        open.closed = close;
        if again {
            self.report(&rules::BROKEN, line.start);
        }
        if !close {
            self.open[level].seen = true;
            *state = State::Headers(Block::new(false));
        }
        true
    }

    /// Multiparts that end because one around them goes on.
    fn close_above(&mut self, level: usize, at: u64) -> bool {
        while self.open.len() > level {
            let Some(open) = self.open.pop() else { break };
            if !open.closed {
                self.report(&rules::BROKEN, at);
            }
            if !self.without_parts(open, at) {
                return false;
            }
        }
        true
    }

    /// A multipart in which no part begins is looked at as one part, if it is encoded; otherwise it stands there as text.
    fn without_parts(&mut self, open: Open, end: u64) -> bool {
        if open.seen || open.headers.encoding() == Encoding::Plain {
            return true;
        }
        self.leaf(&open.headers, open.start, end, Marks::default())
    }

    fn line(&mut self, state: &mut State, text: &[u8], line: Line) -> bool {
        match state {
            // Some programs put empty lines before a message.
            State::Headers(block) if text.is_empty() && block.awaits() => {}
            State::Headers(block) if text.is_empty() => {
                let block = std::mem::replace(block, Block::new(false));
                let Some(next) = self.begins(block.finish(), line.next) else {
                    return false;
                };
                *state = next;
            }
            State::Headers(block) => block.line(text, line.end - line.start > text.len() as u64),
            State::Body { seen, .. } => seen.line(text),
            State::Outside => {}
        }
        true
    }

    /// Headers have ended: what follows? None to stop.
    fn begins(&mut self, mut headers: Headers, start: u64) -> Option<State> {
        if let Err(name) = self.walk.budget.entry() {
            self.walk.limit(name, self.place, None);
            return None;
        }
        if !self.walk.visitor.wants_more() {
            return None;
        }
        if headers.broken {
            self.report(&rules::BROKEN, start);
        }
        if headers.differ {
            self.report(&rules::HEADERS_DIFFER, start);
        }
        let digest = |open: &Open| open.headers.kind() == "multipart/digest";
        if headers.kind().is_empty() && self.open.iter().rev().find(|open| !open.closed).is_some_and(digest) {
            // What the parts of a digest are if they say nothing (RFC 2046 5.1.5).
            headers.content.main = "message/rfc822".to_owned();
        }
        let words = take(&mut headers.words);
        if !words.is_empty() {
            let place = self.child("headers");
            self.walk.text(&place, &words);
        }
        let body = |headers| State::Body {
            headers,
            start,
            seen: Marks::default(),
        };
        if !headers.kind().starts_with("multipart/") {
            return Some(body(headers));
        }
        if headers.kind() == "multipart/encrypted" {
            self.report(&rules::ENCRYPTED, start);
        }
        let boundary = headers.content.bytes("boundary").unwrap_or_default();
        if self.open.len() >= NESTING {
            self.report(&rules::TOO_DEEP, start);
            return Some(body(headers));
        }
        if boundary.is_empty() || boundary.len() > BOUNDARY {
            self.report(&rules::BROKEN, start);
            return Some(body(headers));
        }
        self.open.push(Open {
            boundary,
            headers,
            start,
            seen: false,
            closed: false,
        });
        Some(State::Outside)
    }

    fn part_ends(&mut self, state: State, end: u64) -> bool {
        match state {
            State::Body { headers, start, seen } => self.leaf(&headers, start, end, seen),
            // Headers without an empty line behind them, and nothing else.
            State::Headers(block) => self.begins(block.finish(), end).is_some(),
            State::Outside => true,
        }
    }

    /// The source has ended.
    fn end(&mut self, state: State) -> bool {
        let end = self.source.len();
        if !self.part_ends(state, end) {
            return false;
        }
        if self.open.iter().any(|open| !open.closed) {
            self.report(&rules::TRUNCATED, end);
        }
        while let Some(open) = self.open.pop() {
            if !self.without_parts(open, end) {
                return false;
            }
        }
        true
    }

    fn child(&self, name: &str) -> Place {
        self.place.child(&format!("{}{name}", self.prefix))
    }
}
