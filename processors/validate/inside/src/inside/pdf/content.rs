//! The operators that show text (ISO 32000-2, 9.4). Positions are used only to tell words and lines apart.

use std::collections::BTreeMap;
use std::rc::Rc;

use lopdf::Encoding;

/// A gap in `TJ`, in thousandths of the font size, that is a space between words.
const GAP: f32 = -180.0;
/// Operands kept before an operator; the standard allows 33 for the largest.
const OPERANDS: usize = 64;

enum Token<'a> {
    Number(f32),
    Name(&'a [u8]),
    Text(Vec<u8>),
    Open,
    Close,
    Operator(&'a [u8]),
}

/// Bytes of a string that are given to a font at once: a font may make much of each of them.
const SHOWN: usize = 8 << 10;

/// What a content stream shows.
pub(super) struct Shown {
    pub text: String,
    /// Whether there is more than `most` bytes of it.
    pub cut: bool,
}

/// The text that a content stream shows, about `most` bytes of it.
pub(super) fn text(bytes: &[u8], encodings: &BTreeMap<Vec<u8>, Rc<Encoding<'_>>>, most: usize) -> Shown {
    let (mut out, mut part_of) = (String::new(), String::new());
    let mut tokens = Tokens { bytes, at: 0 };
    let mut operands: Vec<Token<'_>> = Vec::new();
    let mut font: Option<Rc<Encoding<'_>>> = None;
    let mut height = f32::NAN;
    let mut cut = false;
    while let Some(token) = tokens.next() {
        let Token::Operator(operator) = token else {
            // An array of texts may be long; anything else of that length is rubbish.
            if operands.len() < OPERANDS || matches!(operands.first(), Some(Token::Open)) && operands.len() < 1 << 16 {
                operands.push(token);
            }
            continue;
        };
        let numbers: Vec<f32> = operands
            .iter()
            .filter_map(|token| {
                if let Token::Number(number) = token {
                    Some(*number)
                } else {
                    None
                }
            })
            .take(6)
            .collect();
        match operator {
            b"Tf" => {
                let name = operands.iter().find_map(|token| {
                    if let Token::Name(name) = token {
                        Some(*name)
                    } else {
                        None
                    }
                });
                font = name.and_then(|name| encodings.get(name).cloned());
            }
            b"Tj" | b"TJ" | b"'" | b"\"" => {
                if matches!(operator, b"'" | b"\"") {
                    line(&mut out);
                }
                for operand in &operands {
                    match operand {
                        Token::Text(text) => {
                            for part in text.chunks(SHOWN) {
                                cut |= out.len() >= most;
                                if !cut {
                                    part_of.clear();
                                    show(part, font.as_deref(), &mut part_of);
                                    append(&mut out, &part_of, most);
                                }
                            }
                        }
                        Token::Number(gap) if operator == b"TJ" && *gap < GAP => space(&mut out),
                        _ => {}
                    }
                }
            }
            b"Td" | b"TD" => match numbers[..] {
                [_, down] if down.abs() > 0.5 => line(&mut out),
                _ => space(&mut out),
            },
            b"T*" => line(&mut out),
            b"Tm" => {
                // Same height: the same line goes on.
                if let [.., _, y] = numbers[..] {
                    if (y - height).abs() < 1.0 {
                        space(&mut out)
                    } else {
                        line(&mut out)
                    }
                    height = y;
                }
            }
            b"BT" | b"ET" => space(&mut out),
            b"ID" => tokens.skip_image(),
            _ => {}
        }
        operands.clear();
        if cut {
            let end = out.floor_char_boundary(most);
            out.truncate(end);
            break;
        }
    }
    Shown { text: out, cut }
}

/// Appends, in memory that grows by doubling but not beyond what may be needed: the last doubling would be more than the process has.
fn append(out: &mut String, part: &str, most: usize) {
    let needed = out.len() + part.len();
    if needed > out.capacity() {
        let room = (out.capacity() * 2).min(most + part.len()).max(needed);
        out.reserve_exact(room - out.len());
    }
    out.push_str(part);
}

fn line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with([' ', '\n']) {
        out.push(' ');
    }
}

/// Writes what a string shows into an empty text.
fn show(bytes: &[u8], font: Option<&Encoding<'_>>, out: &mut String) {
    let shown = font.is_some_and(|font| font.write_to_string(bytes, out).is_ok());
    if !shown {
        out.clear();
        out.extend(bytes.iter().map(|byte| char::from(*byte)));
    }
}

struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
    )
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            match self.peek()? {
                byte if is_space(byte) => self.at += 1,
                b'%' => {
                    self.at += self.bytes[self.at..]
                        .iter()
                        .position(|byte| matches!(byte, b'\n' | b'\r'))
                        .unwrap_or(self.bytes.len() - self.at)
                }
                _ => break,
            }
        }
        let start = self.at;
        self.at += 1;
        Some(match self.bytes[start] {
            b'(' => Token::Text(self.literal()),
            b'<' if self.peek() == Some(b'<') => {
                self.at += 1;
                Token::Open
            }
            b'<' => Token::Text(self.hexadecimal()),
            b'>' => {
                self.at += usize::from(self.peek() == Some(b'>'));
                Token::Close
            }
            b'[' => Token::Open,
            b']' | b')' | b'{' | b'}' => Token::Close,
            b'/' => {
                let word = self.word(self.at);
                Token::Name(word)
            }
            _ => {
                let word = self.word(start);
                let number = std::str::from_utf8(word).ok().and_then(|word| word.parse::<f32>().ok());
                number.map_or(Token::Operator(word), Token::Number)
            }
        })
    }

    fn word(&mut self, start: usize) -> &'a [u8] {
        while self.peek().is_some_and(|byte| !is_space(byte) && !is_delimiter(byte)) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    fn literal(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut open = 1u32;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                b'\\' => {
                    if let Some(byte) = self.escape() {
                        text.push(byte);
                    }
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        text
    }

    fn escape(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\r' => {
                self.at += usize::from(self.peek() == Some(b'\n'));
                return None;
            }
            b'\n' => return None,
            b'0'..=b'7' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    match self.peek() {
                        Some(digit @ b'0'..=b'7') => {
                            value = value * 8 + u32::from(digit - b'0');
                            self.at += 1;
                        }
                        _ => break,
                    }
                }
                // High bits are ignored (7.3.4.2).
                value as u8
            }
            other => other,
        })
    }

    fn hexadecimal(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut high = None;
        while let Some(byte) = self.peek() {
            self.at += 1;
            if byte == b'>' {
                break;
            }
            let Some(digit) = char::from(byte).to_digit(16) else {
                continue;
            };
            match high.take() {
                None => high = Some(digit as u8),
                Some(first) => text.push(first << 4 | digit as u8),
            }
        }
        text.extend(high.map(|digit| digit << 4));
        text
    }

    /// The bytes of a picture within the stream, up to `EI` between spaces.
    fn skip_image(&mut self) {
        while let Some(found) = super::raw::find(&self.bytes[self.at..], b"EI") {
            let at = self.at + found;
            self.at = at + 2;
            let before = at.checked_sub(1).is_some_and(|at| is_space(self.bytes[at]));
            if before && self.peek().is_none_or(is_space) {
                return;
            }
        }
        self.at = self.bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, expected: &str) {
        assert_eq!(text(content.as_bytes(), &BTreeMap::new(), 1_000).text.trim(), expected);
    }

    #[test]
    fn text_is_put_together() {
        check(
            "BT /F1 12 Tf 72 720 Td (Hello) Tj 0 -14 Td (W\\157rld \\(x\\)) Tj ET",
            "Hello\nWorld (x)",
        );
        check("BT [(Hel) 20 (lo) -250 (you)] TJ ET", "Hello you");
        check("BT <48 65 6C 6c 6F> Tj T* <4> Tj ET", "Hello\n@");
        check("BI /W 1 ID (no) Tj x EI BT (yes) Tj ET", "yes");
        check("(unclosed", "");
        check("BT (a) Tj ( % not a comment) Tj ET % (comment) Tj", "a % not a comment");
    }
}
