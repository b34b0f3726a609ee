//! Scripts in pages and pictures made of text: found while the bytes go past.

use std::collections::BTreeSet;
use std::io::{self, Read};

use super::kind::Kind;
use super::meter::drain;
use super::place::Place;
use super::rules::{self, Rule};
use super::source::Source;
use super::visitor::Role;
use super::walk::Walk;

/// Bytes kept from one piece to the next: longer than the longest word that is looked for.
const OVERLAP: usize = 64;
/// Bytes of words that start something in HTML and SVG. Event handlers are recognised apart.
const SCRIPT: &[&[u8]] = &[
    b"<script",
    b"javascript:",
    b"vbscript:",
    b"<iframe",
    b"<object",
    b"<embed",
    b"<foreignobject",
];
/// Objects that matter in RTF ([MS-RTF] 1.9.1, "Objects"; `\objupdate` runs without a click).
const RTF: &[&[u8]] = &[b"\\objdata", b"\\objupdate", b"\\objocx", b"\\ddeauto"];

/// Passes bytes on and looks at them.
pub(crate) struct Tee<'a> {
    inner: &'a mut dyn Read,
    kind: Option<Kind>,
    tail: Vec<u8>,
    found: BTreeSet<&'static str>,
}

impl<'a> Tee<'a> {
    pub fn new(inner: &'a mut dyn Read, kind: Kind, role: Role) -> Self {
        let looks = matches!(kind, Kind::Html | Kind::Svg | Kind::Rtf) || kind == Kind::Xml && role == Role::File;
        Self {
            inner,
            kind: looks.then_some(kind),
            tail: Vec::new(),
            found: BTreeSet::new(),
        }
    }

    /// Which rules fired.
    pub fn found(&self) -> Vec<&'static Rule> {
        [&RULE_SCRIPT, &RULE_RTF]
            .into_iter()
            .filter(|rule| self.found.contains(rule.name))
            .collect()
    }

    fn look(&mut self, bytes: &[u8]) {
        let Some(kind) = self.kind else { return };
        let mut window = std::mem::take(&mut self.tail);
        // NUL bytes are dropped so that UTF-16 is read like the rest.
        window.extend(bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase));
        let words = match kind {
            Kind::Rtf => RTF,
            // Data may well have elements named `object`.
            Kind::Xml => &SCRIPT[..3],
            _ => SCRIPT,
        };
        let hit = words.iter().any(|word| contains(&window, word))
            || matches!(kind, Kind::Html | Kind::Svg) && has_handler(&window);
        if hit {
            self.found.insert(if kind == Kind::Rtf {
                RULE_RTF.name
            } else {
                RULE_SCRIPT.name
            });
            // Once is enough.
            self.kind = None;
            return;
        }
        let keep = window.len().saturating_sub(OVERLAP);
        self.tail = window.split_off(keep);
    }
}

static RULE_SCRIPT: Rule = rules::SCRIPT;
static RULE_RTF: Rule = rules::RTF_OBJECT;

impl Read for Tee<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.look(&into[..count.min(into.len())]);
        Ok(count)
    }
}

/// The document itself.
pub(crate) fn look(walk: &mut Walk<'_>, source: &Source, kind: Kind, place: &Place) {
    let mut reader = source.clone();
    let mut tee = Tee::new(&mut reader, kind, Role::File);
    if drain(&mut tee).is_err() {
        walk.report(&rules::TRUNCATED, place);
    }
    for rule in tee.found() {
        walk.report(rule, place);
    }
}

/// Whether the bytes contain the word.
pub(crate) fn contains(bytes: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(word) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// An attribute such as `onload=`: white space, `on`, letters, `=`.
fn has_handler(window: &[u8]) -> bool {
    let mut rest = window;
    while let Some(at) = rest
        .windows(3)
        .position(|three| three[0].is_ascii_whitespace() && &three[1..] == b"on")
    {
        let after = &rest[at + 3..];
        let letters = after
            .iter()
            .take(24)
            .take_while(|byte| byte.is_ascii_lowercase())
            .count();
        let equals = after[letters..].iter().find(|byte| !byte.is_ascii_whitespace());
        // Only inside a tag: prose may say "on x = 1" as well.
        let in_tag = rest[..at]
            .iter()
            .rev()
            .take(400)
            .find(|byte| matches!(byte, b'<' | b'>'))
            == Some(&b'<');
        if letters >= 3 && equals == Some(&b'=') && in_tag {
            return true;
        }
        rest = after;
    }
    false
}
