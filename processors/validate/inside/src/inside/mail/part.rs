//! One part that holds no parts: whether it is handed over, and as what.

use std::io::{Cursor, Read};

use super::super::kind::{HEAD, Kind};
use super::super::meter::{Packed, fill};
use super::super::names::{self, Leads};
use super::super::rules;
use super::super::source::Source;
use super::super::visitor::Role;
use super::super::walk::Found;
use super::decode::{Decoder, Encoding};
use super::header::Headers;
use super::{Marks, Message};

/// Longest name that is kept.
const NAME: usize = 4_096;
/// Where the type of a CMS message stands.
const CMS: usize = 256;
/// Types of CMS messages that are encrypted (RFC 5652 6.1 and 8, RFC 5083 2.1).
const SECRET: &[&[u8]] = &[
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06",
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",
];
/// How the attachments of Outlook begin that hold all others ([MS-OXTNEF] 2.1.3.1).
const TNEF: &[u8] = b"\x78\x9f\x3e\x22";

/// Whether a line begins an encrypted text (RFC 9580 6.2).
pub(super) fn is_armor(line: &[u8]) -> bool {
    line.starts_with(b"-----BEGIN PGP MESSAGE-----")
}

/// Whether a line is the first of a file in uuencode (POSIX.1-2017, uuencode): `begin 644 name`. Such files stand in the text of old mail.
pub(super) fn begins_file(line: &[u8]) -> bool {
    let mode = line.strip_prefix(b"begin ").unwrap_or_default();
    let digits = mode.iter().take_while(|byte| (b'0'..b'8').contains(*byte)).count();
    matches!(digits, 3 | 4) && mode.get(digits) == Some(&b' ') && mode.len() > digits + 1
}

/// Whether a line has as many letters as its first one says.
pub(super) fn is_uuencoded(line: &[u8]) -> bool {
    let count = usize::from(line.first().copied().unwrap_or(b' ').wrapping_sub(b' '));
    let letters = count.div_ceil(3) * 4;
    // Some programs end lines with a checksum; others cut blanks off.
    (1..64).contains(&count) && (letters.saturating_sub(3)..=letters + 2).contains(&line.len())
}

/// The mark that tells readers of UTF-16 without one which of its bytes comes first.
fn mark(charset: &str, head: &[u8]) -> &'static [u8] {
    let big = match charset {
        "utf-16be" => true,
        "utf-16le" => false,
        // RFC 2781 (4.3) has the first byte first; most programs write the other.
        "utf-16" => head.first() == Some(&0),
        _ => return b"",
    };
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => b"",
        _ if big => b"\xfe\xff",
        _ => b"\xff\xfe",
    }
}

impl Message<'_, '_, '_> {
    /// Looks at the part from `start` to `end`; false to stop.
    pub(super) fn leaf(&mut self, headers: &Headers, start: u64, end: u64, seen: Marks) -> bool {
        let window = self.source.window(start, end.saturating_sub(start));
        self.leaves += 1;
        let (encoding, kind) = (headers.encoding(), headers.kind());
        let mut head = vec![0; HEAD];
        let count = fill(&mut Decoder::new(window.clone(), encoding), &mut head).unwrap_or(0);
        head.truncate(count);
        if head.is_empty() && headers.file_name().is_none() {
            return true;
        }
        let name = self.name(headers);
        let place = self.child(&name);
        let signed = matches!(kind, "application/pkcs7-mime" | "application/x-pkcs7-mime")
            || name.to_ascii_lowercase().ends_with(".p7m");
        let secret = signed && is_secret(&head);
        let armored = seen.armored || memchr::memmem::find(&head, b"-----BEGIN PGP MESSAGE-----").is_some();
        let within = self
            .open
            .iter()
            .any(|open| open.headers.kind() == "multipart/encrypted");
        if (secret || armored) && !within {
            self.walk.report(&rules::ENCRYPTED, &place);
        }
        if secret || armored && encoding == Encoding::Plain && is_armor(&head) {
            return true;
        }
        if signed || kind == "application/ms-tnef" || kind == "message/partial" || head.starts_with(TNEF) {
            self.walk.report(&rules::FORMAT, &place);
        }
        if encoding == Encoding::Unknown || encoding == Encoding::Plain && seen.uuencoded {
            self.walk.report(&rules::METHOD, &place);
        }
        let sniffed = Kind::sniff(&head);
        if !headers.is_attachment() && stands_there(headers, &window, sniffed) {
            return true;
        }
        match names::leads(&name) {
            Leads::Inside => {}
            Leads::Out => self.walk.report(&rules::TRAVERSAL, &place),
            Leads::Absolute => self.walk.report(&rules::ABSOLUTE, &place),
        }
        if names::is_odd(&name) {
            self.walk.report(&rules::ODD_NAME, &place);
        }
        let nested = is_message(kind) && matches!(sniffed, Kind::Text | Kind::Mail | Kind::Binary);
        // A message that stands in this one as it is, and letters that nobody can read, have been scanned with it.
        let scanned = nested && encoding == Encoding::Plain
            || encoding == Encoding::Unknown && sniffed == Kind::Text && !names::runs(&name);
        let found = Found {
            place: place.clone(),
            declared: None,
            packed: Packed::Not,
            role: if scanned { Role::Part } else { Role::File },
            enter: true,
        };
        let mut decoder = Decoder::new(window, encoding);
        let taken = {
            let charset = headers.content.text("charset").unwrap_or_default().to_ascii_lowercase();
            let is_text = kind.is_empty() || kind.starts_with("text/");
            let mark = if is_text { mark(&charset, &head) } else { b"" };
            let mut marked = Cursor::new(mark).chain(&mut decoder);
            let known = nested.then_some(Kind::Mail);
            self.walk.member_as(found, known, &mut marked, self.depth)
        };
        if !taken.cut {
            if !scanned {
                let place = self.place;
                self.walk.visitor.stood(place, self.base + start..self.base + end);
            }
            if decoder.is_broken() {
                self.walk.report(&rules::BROKEN, &place);
            }
            if decoder.is_short() || taken.error.is_some() {
                self.walk.report(&rules::TRUNCATED, &place);
            }
        }
        self.walk.more(self.place)
    }

    /// What the part is called: as its file, or by what it is.
    fn name(&mut self, headers: &Headers) -> String {
        if let Some(name) = headers.file_name() {
            return name.chars().take(NAME).collect();
        }
        let body = match headers.kind() {
            "" | "text/plain" => "body.txt",
            "text/html" => "body.html",
            kind if is_message(kind) => return format!("part {}.eml", self.leaves),
            _ => return format!("part {}", self.leaves),
        };
        if self.bodies.contains(&body) {
            return body.replace("body", &format!("part {}", self.leaves));
        }
        self.bodies.push(body);
        body.to_owned()
    }
}

/// Whether the part is a message of its own (RFC 2046 5.2.1, RFC 6532 3.7).
fn is_message(kind: &str) -> bool {
    matches!(kind, "message/rfc822" | "message/global" | "message/news")
}

fn is_secret(head: &[u8]) -> bool {
    let head = &head[..head.len().min(CMS)];
    head.first() == Some(&0x30) && SECRET.iter().any(|kind| memchr::memmem::find(head, kind).is_some())
}

/// Whether the part is text that reads the same in the message as it does decoded.
fn stands_there(headers: &Headers, window: &Source, sniffed: Kind) -> bool {
    let kind = headers.kind();
    let text = kind.is_empty() || kind.starts_with("text/") || kind.starts_with("message/");
    if !text || kind == "text/html" || is_message(kind) {
        return false;
    }
    if !matches!(sniffed, Kind::Text | Kind::Mail | Kind::Script | Kind::Empty) {
        return false;
    }
    let same = match headers.encoding() {
        Encoding::Plain => true,
        Encoding::Quoted => !any(window, |byte| byte == b'='),
        Encoding::Base64 | Encoding::Unknown => false,
    };
    let charset = headers.content.text("charset").unwrap_or_default().to_ascii_lowercase();
    same && match charset.as_str() {
        "" | "us-ascii" | "ascii" | "utf-8" | "utf8" => true,
        // Sets of one byte whose first half is ASCII.
        name => {
            let single = ["iso-8859-", "windows-125", "latin", "koi8-"];
            single.iter().any(|start| name.starts_with(start)) && !any(window, |byte| byte >= 0x80)
        }
    }
}

fn any(window: &Source, is: impl Fn(u8) -> bool) -> bool {
    let mut reader = window.clone();
    let mut piece = vec![0; 64 << 10];
    while let Ok(count) = reader.read(&mut piece) {
        if count == 0 {
            return false;
        }
        if piece[..count].iter().any(|byte| is(*byte)) {
            return true;
        }
    }
    // What cannot be read is handed over, and reported there.
    true
}
