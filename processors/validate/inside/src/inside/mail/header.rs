//! The headers of a message or a part: what it holds, how that is written, what it is called (RFC 5322 2.2; RFC 2045 5 and 6; RFC 2183;
//! RFC 2231).

use super::decode::Encoding;
use super::words;

/// Bytes of one header that are kept, with the lines it goes on in.
const HEADER: usize = 256 << 10;
/// Bytes of all headers with encoded words that are kept.
const WORDS: usize = 1 << 20;

/// What the headers say.
#[derive(Default)]
pub(super) struct Headers {
    pub content: Value,
    pub disposition: Value,
    pub encoding: String,
    /// Lines with the headers that had encoded words, decoded.
    pub words: String,
    /// Two headers say different things of one part.
    pub differ: bool,
    /// A line is no header, or one that matters is longer than any sound one.
    pub broken: bool,
}

impl Headers {
    /// The media type, in lower case; empty if none is said.
    pub fn kind(&self) -> &str {
        &self.content.main
    }

    pub fn encoding(&self) -> Encoding {
        Encoding::of(&self.encoding)
    }

    /// The name of the file, if it has one.
    pub fn file_name(&self) -> Option<String> {
        let name = self
            .disposition
            .text("filename")
            .or_else(|| self.content.text("name"))?;
        let name = name.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Whether it is meant to be kept as a file.
    pub fn is_attachment(&self) -> bool {
        self.disposition.main == "attachment" || self.file_name().is_some()
    }
}

/// Takes the lines of headers.
pub(super) struct Block {
    headers: Headers,
    /// Whether encoded words are asked for.
    words: bool,
    current: Vec<u8>,
    /// Whether something of it was left out.
    cut: bool,
    seen: [bool; 3],
    any: bool,
}

impl Block {
    /// The headers of a message, whose encoded words are kept, or of a part.
    pub fn new(message: bool) -> Self {
        Self {
            headers: Headers::default(),
            words: message,
            current: Vec::new(),
            cut: false,
            seen: [false; 3],
            any: false,
        }
    }

    /// Whether this is a message that has not begun.
    pub fn awaits(&self) -> bool {
        self.words && !self.any
    }

    /// A line that is not empty; `cut` if there was more of it.
    pub fn line(&mut self, line: &[u8], cut: bool) {
        let line = if self.any { line } else { without_mark(line) };
        self.any = true;
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            let room = HEADER.saturating_sub(self.current.len());
            self.cut |= cut || line.len() > room;
            self.current.extend(&line[..line.len().min(room)]);
            return;
        }
        self.header();
        if memchr::memchr(b':', line).is_none() {
            // Programs disagree on whether the text begins here; to go on finds more of what is said of the part.
            self.headers.broken = true;
        } else {
            self.current.extend(line);
            self.cut = cut;
        }
    }

    /// What all of them say.
    pub fn finish(mut self) -> Headers {
        self.header();
        self.headers
    }

    fn header(&mut self) {
        let current = std::mem::take(&mut self.current);
        let mut cut = std::mem::take(&mut self.cut);
        let Some(colon) = memchr::memchr(b':', &current) else {
            return;
        };
        let (name, value) = (current[..colon].trim_ascii_end(), current[colon + 1..].trim_ascii());
        let headers = &mut self.headers;
        let is = |what: &str| name.eq_ignore_ascii_case(what.as_bytes());
        if is("content-type") {
            take(
                &mut headers.content,
                &mut headers.differ,
                &mut self.seen[0],
                Value::read(value),
            );
        } else if is("content-disposition") {
            take(
                &mut headers.disposition,
                &mut headers.differ,
                &mut self.seen[1],
                Value::read(value),
            );
        } else if is("content-transfer-encoding") {
            let encoding = Value::read(value).main;
            take(&mut headers.encoding, &mut headers.differ, &mut self.seen[2], encoding);
        } else if self.words
            && let Some(text) = words::decoded(value)
        {
            if headers.words.len() < WORDS {
                headers.words.push_str(&String::from_utf8_lossy(name));
                headers.words.push_str(": ");
                headers.words.push_str(&text);
                headers.words.push('\n');
            } else {
                cut = true;
            }
        } else {
            cut = false;
        }
        headers.broken |= cut;
        headers.differ |= headers.content.differ || headers.disposition.differ;
    }
}

/// A line without the mark of UTF-8, which some programs put before a text.
pub(super) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// The first counts; another that says something else is noticed.
fn take<T: PartialEq>(field: &mut T, differ: &mut bool, seen: &mut bool, value: T) {
    if !*seen {
        *field = value;
        *seen = true;
    } else if *field != value {
        *differ = true;
    }
}

/// A value with parameters: `text/plain; charset=utf-8`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    /// What stands before the parameters, in lower case.
    pub main: String,
    /// Names in lower case, as they are written; values without quotes.
    parameters: Vec<(String, Vec<u8>)>,
    /// One parameter has two values.
    differ: bool,
}

impl Value {
    fn read(value: &[u8]) -> Self {
        let mut parts = parts(value).into_iter();
        let main = parts.next().unwrap_or_default();
        let mut this = Self {
            main: lower(&main.text),
            ..Self::default()
        };
        for part in parts {
            let Some(equals) = part.equals else { continue };
            let name = lower(&part.text[..equals]);
            this.parameters
                .push((name, part.text[equals..].trim_ascii_start().to_vec()));
        }
        // In order, so that parts of one value stand together; the first of each counts.
        this.parameters.sort_by(|one, two| one.0.cmp(&two.0));
        this.differ = this
            .parameters
            .windows(2)
            .any(|two| two[0].0 == two[1].0 && two[0].1 != two[1].1);
        this
    }

    fn exact(&self, name: &str) -> Option<&[u8]> {
        let at = self.parameters.partition_point(|parameter| parameter.0.as_str() < name);
        let found = self.parameters.get(at)?;
        (found.0 == name).then_some(&found.1)
    }

    /// A parameter as bytes, put together if it is in parts (RFC 2231 3).
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.exact(name)
            .map(<[u8]>::to_vec)
            .or_else(|| self.extended(name).map(|(_, bytes)| bytes))
    }

    /// A parameter as text. One that names its set of characters goes before a plain one (RFC 6266 4.3), and encoded words, which are not
    /// allowed here, are decoded, as programs do.
    pub fn text(&self, name: &str) -> Option<String> {
        if let Some((charset, bytes)) = self.extended(name) {
            return Some(words::text(&charset, &bytes));
        }
        let bytes = self.exact(name)?;
        Some(words::decoded(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned()))
    }

    /// `name*=charset'language'text`, or the same in parts: `name*0*=`, `name*1=`. With the set of characters.
    fn extended(&self, name: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let single = format!("{name}*");
        if let Some(value) = self.exact(&single) {
            return Some(with_charset(value));
        }
        let (mut charset, mut all) = (Vec::new(), Vec::new());
        for number in 0.. {
            let key = format!("{name}*{number}");
            if let Some(value) = self.exact(&key) {
                all.extend(value);
            } else if let Some(value) = self.exact(&format!("{key}*")) {
                if number == 0 {
                    let (named, bytes) = with_charset(value);
                    charset = named;
                    all.extend(bytes);
                } else {
                    all.extend(words::escaped(value, b'%'));
                }
            } else if number == 0 {
                return None;
            } else {
                break;
            }
        }
        Some((charset, all))
    }
}

fn with_charset(value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(text)) => (charset.to_vec(), words::escaped(text, b'%')),
        _ => (Vec::new(), words::escaped(value, b'%')),
    }
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.trim_ascii()).to_ascii_lowercase()
}

/// What stands between semicolons, without quotes and comments.
#[derive(Default)]
struct Piece {
    text: Vec<u8>,
    /// Behind its name, where the first equals sign was.
    equals: Option<usize>,
}

fn parts(value: &[u8]) -> Vec<Piece> {
    let mut parts = Vec::new();
    let mut piece = Piece::default();
    let (mut quoted, mut comments) = (false, 0usize);
    // Blanks at the end of what is not quoted are no part of it.
    let mut kept = 0;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        if comments > 0 {
            match byte {
                b'\\' => {
                    bytes.next();
                }
                b'(' => comments += 1,
                b')' => comments -= 1,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => {
                quoted = !quoted;
                kept = piece.text.len();
            }
            b'\\' if quoted => {
                // Paths of Windows are often written without a second backslash.
                match bytes.clone().next() {
                    Some(next @ (b'"' | b'\\')) => {
                        bytes.next();
                        piece.text.push(next);
                    }
                    _ => piece.text.push(b'\\'),
                }
            }
            _ if quoted => piece.text.push(byte),
            // In the middle of a word it belongs to a name that should have been quoted.
            b'(' if piece.text.last().is_none_or(u8::is_ascii_whitespace) => comments = 1,
            b';' => {
                end(&mut piece, kept);
                parts.push(std::mem::take(&mut piece));
                kept = 0;
            }
            b'=' if piece.equals.is_none() && !parts.is_empty() => {
                piece.equals = Some(piece.text.len());
                kept = piece.text.len();
            }
            b' ' | b'\t' if piece.equals.is_some_and(|equals| equals == piece.text.len()) => {}
            _ => piece.text.push(byte),
        }
    }
    end(&mut piece, kept);
    parts.push(piece);
    parts
}

fn end(piece: &mut Piece, kept: usize) {
    while piece.text.len() > kept && piece.text.last().is_some_and(u8::is_ascii_whitespace) {
        piece.text.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, main: &str, name: &str, expected: Option<&str>) {
        let value = Value::read(value.as_bytes());
        assert_eq!((value.main.as_str(), value.text(name).as_deref()), (main, expected));
    }

    #[test]
    fn parameters_are_read_in_all_their_spellings() {
        let kind = "application/pdf";
        check("Application/PDF ; Name = \"a;b.pdf\" ", kind, "name", Some("a;b.pdf"));
        check(
            "application/pdf; name=my file(1).pdf; x=y",
            kind,
            "name",
            Some("my file(1).pdf"),
        );
        check(
            "(a \\) (b)) application/pdf (c); name=e.pdf (d)",
            kind,
            "name",
            Some("e.pdf"),
        );
        check(
            "application/pdf; name=\"C:\\x\\a\\\"b.pdf\"",
            kind,
            "name",
            Some("C:\\x\\a\"b.pdf"),
        );
        check(
            "application/pdf; name*=utf-8'de'%C3%BC.pdf; name=u.pdf",
            kind,
            "name",
            Some("ü.pdf"),
        );
        check(
            "application/pdf; name*1=b.pdf; name*0*=latin1''%E9",
            kind,
            "name",
            Some("éb.pdf"),
        );
        check(
            "application/pdf; name=\"=?utf-8?Q?=C3=BC?=.pdf\"",
            kind,
            "name",
            Some("ü.pdf"),
        );
        check("application/pdf; name", kind, "name", None);
        check("", "", "name", None);
    }

    #[test]
    fn two_types_of_one_part_are_noticed() {
        let read = |lines: &[&str]| {
            let mut block = Block::new(true);
            lines.iter().for_each(|line| block.line(line.as_bytes(), false));
            block.finish()
        };
        let sound = read(&["Content-Type: text/plain;", " charset=x", "Subject: =?utf-8?Q?a?="]);
        assert!(!sound.differ && !sound.broken);
        assert_eq!(
            (
                sound.kind(),
                sound.words.as_str(),
                sound.content.text("charset").as_deref()
            ),
            ("text/plain", "Subject: a\n", Some("x"))
        );
        assert!(read(&["Content-Type: text/plain", "content-type: text/html"]).differ);
        assert!(read(&["Content-Type: a/b; boundary=x; boundary=y"]).differ);
        assert!(read(&["Subject: x", "no header"]).broken);
    }
}
