//! Rich Text Format: the text a reader shows.

use encoding_rs::WINDOWS_1252;
use memchr::memchr3;

use crate::mapped::{Builder, Mapped};

/// Destinations that hold no text of the document.
const APART: &[&str] = &[
    "fonttbl",
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "listpicture",
    "rsidtbl",
    "generator",
    "pict",
    "blipuid",
    "panose",
    "objdata",
    "themedata",
    "colorschememapping",
    "datastore",
    "latentstyles",
    "xmlnstbl",
    "filetbl",
    "mmathPr",
    "pnseclvl",
    "wgrffmtfilter",
];
/// Letters of a control word.
const WORD: usize = 32;
/// Groups within groups.
const DEPTH: usize = 1_024;

/// The text without its controls.
pub(super) fn read(text: &str) -> Option<Mapped> {
    let whole = Mapped::identity(text);
    let mut out = Builder::new(&whole);
    let bytes = text.as_bytes();
    // Of each open group: whether it is shown, and signs that stand for a character given by its number.
    let mut groups: Vec<(bool, usize)> = Vec::new();
    let (mut shown, mut fallback) = (true, 1);
    let mut skip = 0;
    let mut at = 0;
    while at < bytes.len() {
        let next = match bytes[at] {
            b'{' => {
                out.replace(at..at + 1, "");
                if groups.len() < DEPTH {
                    groups.push((shown, fallback));
                }
                at + 1
            }
            b'}' => {
                out.replace(at..at + 1, "");
                (shown, fallback) = groups.pop().unwrap_or((true, 1));
                skip = 0;
                at + 1
            }
            b'\r' | b'\n' => {
                out.replace(at..at + 1, "");
                at + 1
            }
            b'\\' => {
                let control = Control::at(text, at);
                let with = match control.name {
                    "'" if skip > 0 => {
                        skip -= 1;
                        String::new()
                    }
                    "'" => {
                        let byte = u8::try_from(control.number.unwrap_or(i64::from(b' '))).unwrap_or(b' ');
                        WINDOWS_1252.decode_without_bom_handling(&[byte]).0.into_owned()
                    }
                    "u" => {
                        skip = fallback;
                        // Beyond 32,767 numbers are written as negative ones.
                        let code = control.number.unwrap_or_default();
                        let code = if code < 0 { code + 0x1_0000 } else { code };
                        u32::try_from(code)
                            .ok()
                            .and_then(char::from_u32)
                            .map(String::from)
                            .unwrap_or_default()
                    }
                    "uc" => {
                        fallback = usize::try_from(control.number.unwrap_or(1)).unwrap_or(1).min(8);
                        String::new()
                    }
                    name if APART.contains(&name) => {
                        shown = false;
                        String::new()
                    }
                    name => meaning(name).to_owned(),
                };
                let mut end = control.end;
                if control.name == "bin" {
                    end = (end + usize::try_from(control.number.unwrap_or_default()).unwrap_or_default())
                        .min(bytes.len());
                    while !text.is_char_boundary(end) {
                        end += 1;
                    }
                }
                out.replace(at..end, if shown { &with } else { "" });
                end
            }
            _ if skip > 0 => {
                skip -= 1;
                let length = text[at..].chars().next().map_or(1, char::len_utf8);
                out.replace(at..at + length, "");
                at + length
            }
            _ => {
                let end = text_end(bytes, at);
                if shown {
                    out.copy_to(end);
                } else {
                    out.replace(at..end, "");
                }
                end
            }
        };
        at = next;
    }
    out.finish()
}

/// Where plain text that begins at `at` ends.
fn text_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let control = memchr3(b'\\', b'{', b'}', rest).unwrap_or(rest.len());
    let line = rest[..control].iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    at + line.unwrap_or(control).max(1)
}

/// A control word or sign.
struct Control<'t> {
    name: &'t str,
    number: Option<i64>,
    /// After it and the space that belongs to it.
    end: usize,
}

impl<'t> Control<'t> {
    /// Of the backslash at `at`.
    fn at(text: &'t str, at: usize) -> Self {
        let bytes = text.as_bytes();
        let begin = at + 1;
        let rest = &bytes[begin..];
        let letters = rest
            .iter()
            .take(WORD)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        if letters == 0 {
            let length = text[begin..].chars().next().map_or(0, char::len_utf8);
            let name = &text[begin..begin + length];
            let hex = (name == "'").then(|| text.get(begin + 1..begin + 3)).flatten();
            let number = hex.and_then(|hex| i64::from_str_radix(hex, 16).ok());
            return Self {
                name,
                number,
                end: begin + length + if number.is_some() { 2 } else { 0 },
            };
        }
        let name = &text[begin..begin + letters];
        let mut end = begin + letters;
        let sign = usize::from(bytes.get(end) == Some(&b'-'));
        let digits = bytes[end + sign..]
            .iter()
            .take(10)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let mut number = None;
        if digits > 0 {
            number = text[end..end + sign + digits].parse().ok();
            end += sign + digits;
        }
        if bytes.get(end) == Some(&b' ') {
            end += 1;
        }
        Self { name, number, end }
    }
}

/// What a control stands for in the text.
fn meaning(name: &str) -> &'static str {
    match name {
        "par" | "line" | "row" | "sect" | "page" | "column" | "\r" | "\n" => "\n",
        "cell" | "nestcell" | "tab" => "\t",
        "~" | "emspace" | "enspace" | "qmspace" => " ",
        "_" => "-",
        "endash" => "–",
        "emdash" => "—",
        "lquote" | "rquote" => "'",
        "ldblquote" | "rdblquote" => "\"",
        "bullet" => "•",
        "\\" => "\\",
        "{" => "{",
        "}" => "}",
        _ => "",
    }
}
