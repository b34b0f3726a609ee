//! HTML and XML: text without tags, values by the names of their elements and attributes.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use super::{Fields, Hints, Notation, Reading};
use crate::mapped::{Builder, Mapped};

/// Bytes after which something that began like a tag is taken for text.
const TAG: usize = 64 << 10;
/// Bytes of a tag without one attribute that has a value.
const BARE: usize = 64;
/// Bytes of a character reference.
const REFERENCE: usize = 40;
/// Open elements that are kept in mind.
const DEPTH: usize = 256;

/// Elements of HTML within a line: what stands in them belongs to the words around.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
    "var", "wbr",
];

/// Attributes that hold no text: names for other parts of the document, addresses of what a name means, looks and shapes.
const UNREAD: &[&str] = &[
    "class",
    "cx",
    "cy",
    "d",
    "datetime",
    "dx",
    "dy",
    "fill",
    "font-family",
    "gradientTransform",
    "height",
    "id",
    "in",
    "integrity",
    "keyTimes",
    "offset",
    "opacity",
    "points",
    "r",
    "root",
    "rx",
    "ry",
    "schemaLocation",
    "stroke",
    "style",
    "transform",
    "values",
    "version",
    "viewBox",
    "viewbox",
    "width",
    "x",
    "x1",
    "x2",
    "xmlns",
    "y",
    "y1",
    "y2",
];

/// A tag and its parts, as bytes of the text.
struct Tag {
    name: Range<usize>,
    closes: bool,
    /// `<name/>`.
    empty: bool,
    attributes: Range<usize>,
    /// After its `>`.
    end: usize,
}

/// An element that is open.
struct Open<'t> {
    name: &'t str,
    /// Where its content begins; none once it has elements of its own.
    content: Option<usize>,
}

pub(super) fn read(notation: Notation, text: &str, hints: &mut Hints<'_>) -> Reading {
    let whole = Mapped::identity(text);
    let mut out = Builder::new(&whole);
    let mut aside = Aside::new(text, &whole);
    let mut fields = Fields::new(text, hints);
    let mut open: Vec<Open<'_>> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr2(b'<', b'&', &bytes[at..]) {
        let start = at + found;
        let rest = &text[start..];
        at = if rest.starts_with('&') {
            reference(rest).map_or(start + 1, |(length, meant)| {
                out.replace(start..start + length, &meant);
                start + length
            })
        } else if rest.starts_with("<!--") {
            let after = leave_out(&mut out, text, start, "-->");
            aside.take(start + "<!--".len()..after);
            after
        } else if rest.starts_with("<![CDATA[") {
            let begin = start + "<![CDATA[".len();
            let end = memmem::find(&bytes[begin..], b"]]>").map_or(text.len(), |end| begin + end);
            out.replace(start..begin, "");
            out.copy_to(end);
            let after = (end + 3).min(text.len());
            out.replace(end..after, "");
            after
        } else if rest.starts_with("<?") {
            let after = leave_out(&mut out, text, start, "?>");
            aside.take(start + "<?".len()..after);
            after
        } else if rest.starts_with("<!") {
            let after = leave_out(&mut out, text, start, ">");
            aside.take(start + "<!".len()..after);
            after
        } else if let Some(tag) = tag(text, start).filter(|tag| !is_turn(notation, &text[tag.name.clone()])) {
            let name = &text[tag.name.clone()];
            out.replace(start..tag.end, in_place_of(notation, name));
            for (attribute, value) in attributes(text, &tag.attributes) {
                if !UNREAD.contains(&attribute) {
                    aside.take(value);
                }
            }
            match notation {
                Notation::Xml => element(&tag, text, start, &mut open, &mut fields),
                Notation::Html if name.eq_ignore_ascii_case("input") => input(&tag, text, &mut fields),
                _ => {}
            }
            let unread =
                notation != Notation::Xml && ["script", "style"].iter().any(|one| name.eq_ignore_ascii_case(one));
            if unread && !tag.closes && !tag.empty {
                let end = closing(text, tag.end, name);
                out.replace(tag.end..end, "");
                if name.eq_ignore_ascii_case("script") {
                    aside.take(tag.end..end);
                }
                end
            } else {
                tag.end
            }
        } else {
            start + 1
        };
    }
    let fields = fields.found;
    Reading {
        text: out.finish(),
        aside: aside.finish(),
        fields,
    }
}

/// What is not shown: pieces of the text, each on a line of its own.
struct Aside<'a> {
    text: &'a str,
    out: Builder<'a>,
    done: usize,
}

impl<'a> Aside<'a> {
    fn new(text: &'a str, whole: &'a Mapped) -> Self {
        Self {
            text,
            out: Builder::new(whole),
            done: 0,
        }
    }

    fn take(&mut self, piece: Range<usize>) {
        if piece.is_empty() {
            return;
        }
        // A line's end stands for the sign before the piece, and so has a place.
        let before = self.text[..piece.start].char_indices().next_back();
        let before = before.map_or(0, |(at, _)| at).max(self.done);
        self.out.replace(self.done..before, "");
        self.out.replace(before..piece.start, "\n");
        let mut at = piece.start;
        while let Some(found) = memchr(b'&', &self.text.as_bytes()[at..piece.end]) {
            let start = at + found;
            at = start + 1;
            if let Some((length, meant)) = reference(&self.text[start..piece.end]) {
                self.out.replace(start..start + length, &meant);
                at = start + length;
            }
        }
        self.out.copy_to(piece.end);
        self.done = piece.end;
    }

    fn finish(mut self) -> Option<Mapped> {
        if self.done == 0 {
            return None;
        }
        self.out.replace(self.done..self.text.len(), "");
        self.out.finish()
    }
}

/// Whether something written like an element is none of HTML, but the turn of a conversation with a model: those stay in the text.
fn is_turn(notation: Notation, name: &str) -> bool {
    const TURNS: [&str; 6] = ["system", "assistant", "user", "human", "instruction", "instructions"];
    notation == Notation::Html && TURNS.iter().any(|turn| name.eq_ignore_ascii_case(turn))
}

/// Leaves out what ends with `end`, or the rest.
fn leave_out(out: &mut Builder<'_>, text: &str, start: usize, end: &str) -> usize {
    let found = memmem::find(&text.as_bytes()[start..], end.as_bytes());
    let after = found.map_or(text.len(), |found| start + found + end.len());
    out.replace(start..after, "");
    after
}

/// Where the end tag of an element begins whose content is no text.
fn closing(text: &str, from: usize, name: &str) -> usize {
    let bytes = text.as_bytes();
    memmem::find_iter(&bytes[from..], b"</")
        .map(|found| from + found)
        .find(|at| {
            let there = bytes.get(at + 2..at + 2 + name.len());
            there.is_some_and(|there| there.eq_ignore_ascii_case(name.as_bytes()))
        })
        .unwrap_or(text.len())
}

/// What stands for a tag in the text.
fn in_place_of(notation: Notation, name: &str) -> &'static str {
    let is = |one: &&str| name.eq_ignore_ascii_case(one);
    match notation {
        Notation::Html if INLINE.iter().any(is) => "",
        Notation::Html if ["td", "th"].iter().any(is) => "\t",
        Notation::Html => "\n",
        _ => " ",
    }
}

/// The tag that begins at `start`, if one does.
fn tag(text: &str, start: usize) -> Option<Tag> {
    let bytes = text.as_bytes();
    let closes = bytes.get(start + 1) == Some(&b'/');
    let name_start = start + 1 + usize::from(closes);
    let first = text[name_start..].chars().next()?;
    if !(first.is_alphabetic() || first == '_') {
        return None;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '>' | '/' | '<');
    let length = text[name_start..].find(ends)?;
    let name = name_start..name_start + length;
    // `<a@b.example>` and `<https://…>` stand in many texts, and are none.
    let signs = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if !text[name.clone()].chars().all(signs) || text[name.clone()].ends_with(':') {
        return None;
    }
    let mut at = name.end;
    let limit = bytes.len().min(start + TAG);
    while at < limit {
        match bytes[at] {
            // A sentence between two signs of comparison is none either.
            b'>' if at - name.end > BARE && !bytes[name.end..at].contains(&b'=') => return None,
            b'>' => {
                let empty = bytes[at - 1] == b'/';
                return Some(Tag {
                    attributes: name.end..at - usize::from(empty && at > name.end),
                    name,
                    closes,
                    empty,
                    end: at + 1,
                });
            }
            // A quote begins a value only behind its sign.
            quote @ (b'"' | b'\'') if bytes[..at].trim_ascii_end().last() == Some(&b'=') => {
                at += 2 + memchr(quote, &bytes[at + 1..limit])?;
            }
            b'<' => return None,
            _ => at += 1,
        }
    }
    None
}

/// The character that a reference at the start of `rest` means, and how long it is written.
fn reference(rest: &str) -> Option<(usize, Cow<'_, str>)> {
    let head = &rest.as_bytes()[..rest.len().min(REFERENCE)];
    let length = memchr(b';', head)? + 1;
    let written = &rest[..length];
    let inner = &written.as_bytes()[1..length - 1];
    if !inner.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#') {
        return None;
    }
    let meant = html_escape::decode_html_entities(written);
    match &*meant {
        same if same == written => None,
        // For what is looked for these are what they look like.
        "\u{a0}" | "\u{2002}" | "\u{2003}" | "\u{2009}" | "\u{202f}" => Some((length, " ".into())),
        "\u{2010}" | "\u{2011}" => Some((length, "-".into())),
        "\u{ad}" => Some((length, "".into())),
        _ => Some((length, meant)),
    }
}

fn decode(raw: &str) -> String {
    html_escape::decode_html_entities(raw).into_owned()
}

/// The attributes in these bytes: name and value.
fn attributes<'t>(text: &'t str, range: &Range<usize>) -> impl Iterator<Item = (&'t str, Range<usize>)> {
    let mut at = range.start;
    let end = range.end;
    std::iter::from_fn(move || {
        let bytes = text.as_bytes();
        loop {
            at += bytes[at..end]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            if at >= end {
                return None;
            }
            let name = at..at
                + text[at..end]
                    .find(|c: char| c == '=' || c.is_whitespace())
                    .unwrap_or(end - at);
            at = name.end;
            at += bytes[at..end]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            if bytes.get(at) != Some(&b'=') || at >= end {
                // An attribute without a value, or a sign that is none.
                at = at.max(name.start + 1);
                while !text.is_char_boundary(at) {
                    at += 1;
                }
                continue;
            }
            at += 1;
            at += bytes[at..end]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            let value = match bytes[at..end].first() {
                Some(quote @ (b'"' | b'\'')) => {
                    let begin = at + 1;
                    let length = memchr(*quote, &bytes[begin..end]).unwrap_or(end - begin);
                    at = (begin + length + 1).min(end);
                    begin..begin + length
                }
                _ => {
                    let begin = at;
                    at += text[at..end].find(char::is_whitespace).unwrap_or(end - at);
                    begin..at
                }
            };
            return Some((local(&text[name]), value));
        }
    })
}

/// A name without its prefix. What declares a prefix is called by that.
fn local(name: &str) -> &str {
    if name.starts_with("xmlns:") {
        return "xmlns";
    }
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Social security numbers as HL7 registers them; what CDA and FHIR call an id by (HL7 OID registry).
const SSN: &str = "2.16.840.1.113883.4.1";
/// National provider identifiers, likewise.
const NPI: &str = "2.16.840.1.113883.4.6";

fn element<'t>(tag: &Tag, text: &'t str, start: usize, open: &mut Vec<Open<'t>>, fields: &mut Fields<'_, '_, '_>) {
    let name = local(&text[tag.name.clone()]);
    if tag.closes {
        let Some(at) = open.iter().rposition(|one| one.name == name) else {
            return;
        };
        let last = at + 1 == open.len();
        let content = open[at].content;
        open.truncate(at);
        if let Some(content) = content.filter(|_| last) {
            let of = open.last().map_or("", |one| one.name);
            fields.add((of, name), content..start, decode);
        }
        return;
    }
    let of = open.last().map_or("", |one| one.name);
    for (attribute, value) in attributes(text, &tag.attributes) {
        match attribute {
            // Of the document, not of a person.
            "type" => {}
            attribute if UNREAD.contains(&attribute) => {}
            // The element says what it is.
            "value" => fields.add((of, name), value, decode),
            "extension" => {
                let named = match root_of(text, &tag.attributes) {
                    Some(SSN) => "ssn",
                    Some(NPI) => "npi",
                    _ => name,
                };
                fields.add((of, named), value, decode);
            }
            _ => fields.add((name, attribute), value, decode),
        }
    }
    if let Some(outer) = open.last_mut() {
        outer.content = None;
    }
    if !tag.empty && open.len() < DEPTH {
        open.push(Open {
            name,
            content: Some(tag.end),
        });
    }
}

/// What an `extension` belongs to.
fn root_of<'t>(text: &'t str, range: &Range<usize>) -> Option<&'t str> {
    let root = attributes(text, range).find(|(name, _)| *name == "root")?;
    Some(&text[root.1])
}

/// What a form has filled in.
fn input(tag: &Tag, text: &str, fields: &mut Fields<'_, '_, '_>) {
    let named = |one: &str| attributes(text, &tag.attributes).find(|(name, _)| name.eq_ignore_ascii_case(one));
    if let (Some((_, name)), Some((_, value))) = (named("name"), named("value")) {
        fields.add(("", &text[name]), value, decode);
    }
}
