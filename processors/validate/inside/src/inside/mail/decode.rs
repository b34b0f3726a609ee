//! Base64 and quoted-printable (RFC 2045 6.7 and 6.8), decoded while they are read.

use std::io::{self, Read};

use super::super::source::Source;

/// Encoded bytes read at once.
const PIECE: usize = 16 << 10;

/// How the bytes of a part are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As they are: `7bit`, `8bit`, `binary`.
    Plain,
    Base64,
    Quoted,
    /// In a way that is not known here.
    Unknown,
}

impl Encoding {
    /// By the value of `Content-Transfer-Encoding`, in lower case.
    pub fn of(name: &str) -> Self {
        match name {
            "" | "7bit" | "8bit" | "binary" | "7-bit" | "8-bit" => Self::Plain,
            "base64" => Self::Base64,
            "quoted-printable" => Self::Quoted,
            _ => Self::Unknown,
        }
    }
}

/// Reads a part of a message as what it stands for. Like the programs that show mail, it goes on after what it does not understand.
pub(super) struct Decoder {
    source: Source,
    encoding: Encoding,
    base64: Base64,
    quoted: Quoted,
    out: Vec<u8>,
    given: usize,
    ended: bool,
}

impl Decoder {
    pub fn new(source: Source, encoding: Encoding) -> Self {
        Self {
            source,
            encoding,
            base64: Base64::default(),
            quoted: Quoted::default(),
            out: Vec::new(),
            given: 0,
            ended: false,
        }
    }

    /// Whether something in it was no Base64, or no quoted-printable.
    pub fn is_broken(&self) -> bool {
        self.base64.broken || self.quoted.broken
    }

    /// Whether it ended too early.
    pub fn is_short(&self) -> bool {
        self.base64.short || self.quoted.short
    }
}

impl Read for Decoder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if matches!(self.encoding, Encoding::Plain | Encoding::Unknown) {
            return self.source.read(into);
        }
        while self.given == self.out.len() && !self.ended {
            self.out.clear();
            self.given = 0;
            let mut piece = [0; PIECE];
            let count = self.source.read(&mut piece)?;
            self.ended = count == 0;
            if self.encoding == Encoding::Base64 {
                self.base64.take(&piece[..count], &mut self.out);
                if self.ended {
                    self.base64.finish(&mut self.out);
                }
            } else {
                self.quoted.take(&piece[..count], &mut self.out);
                if self.ended {
                    self.quoted.finish(&mut self.out);
                }
            }
        }
        let count = (&self.out[self.given..]).read(into)?;
        self.given += count;
        Ok(count)
    }
}

/// All of a short piece of Base64.
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut state) = (Vec::new(), Base64::default());
    state.take(bytes, &mut out);
    state.finish(&mut out);
    out
}

const PAD: u8 = 64;
const BLANK: u8 = 65;
const OTHER: u8 = 66;

/// What each byte is in Base64 (RFC 4648 4).
const DIGITS: [u8; 256] = {
    let mut table = [OTHER; 256];
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < digits.len() {
        table[digits[at] as usize] = at as u8;
        at += 1;
    }
    table[b'=' as usize] = PAD;
    table[b' ' as usize] = BLANK;
    table[b'\t' as usize] = BLANK;
    table[b'\r' as usize] = BLANK;
    table[b'\n' as usize] = BLANK;
    table
};

#[derive(Default)]
struct Base64 {
    group: u32,
    /// Digits in the group.
    digits: u8,
    /// Signs of padding that are still to come.
    padding: u8,
    padded: bool,
    broken: bool,
    short: bool,
}

impl Base64 {
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            let digit = DIGITS[usize::from(*byte)];
            match digit {
                BLANK => {}
                // What is not of the alphabet is left out (RFC 2045 6.8).
                OTHER => self.broken = true,
                PAD => self.pad(out),
                _ => {
                    // Some programs stop at the padding; the others show what is behind it.
                    self.broken |= self.padded;
                    self.group = self.group << 6 | u32::from(digit);
                    self.digits += 1;
                    if self.digits == 4 {
                        out.extend_from_slice(&self.group.to_be_bytes()[1..]);
                        (self.group, self.digits) = (0, 0);
                    }
                }
            }
        }
    }

    fn pad(&mut self, out: &mut Vec<u8>) {
        match self.digits {
            0 if self.padding > 0 => self.padding -= 1,
            0 | 1 => {
                self.broken = true;
                (self.group, self.digits) = (0, 0);
            }
            digits => {
                self.padding = 3 - digits;
                self.flush(out);
            }
        }
        self.padded = true;
    }

    /// The bytes of a group that is not full.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let group = self.group << (6 * (4 - u32::from(self.digits)));
        let count = usize::from(self.digits.saturating_sub(1));
        out.extend_from_slice(&group.to_be_bytes()[1..][..count]);
        (self.group, self.digits) = (0, 0);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.short = self.digits > 0 || self.padding > 0;
        if self.digits > 0 {
            self.flush(out);
        }
    }
}

#[derive(Default)]
struct Quoted {
    /// What stands behind an equals sign, which is not decided yet.
    pending: Option<Pending>,
    broken: bool,
    short: bool,
}

#[derive(Clone, Copy)]
enum Pending {
    Equals,
    /// One digit.
    Digit(u8),
    /// Blanks, which are no part of the text if the line ends behind them.
    Blank,
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

impl Quoted {
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            let Some(pending) = self.pending else {
                if *byte == b'=' {
                    self.pending = Some(Pending::Equals);
                } else {
                    out.push(*byte);
                }
                continue;
            };
            self.pending = match (pending, *byte) {
                (Pending::Equals | Pending::Blank, b'\n') => None,
                (Pending::Equals | Pending::Blank, b' ' | b'\t' | b'\r') => Some(Pending::Blank),
                (Pending::Equals, byte) if hex(byte).is_some() => Some(Pending::Digit(byte)),
                (Pending::Digit(first), byte) if hex(byte).is_some() => {
                    // Both are digits.
                    out.push(hex(first).unwrap_or(0) << 4 | hex(byte).unwrap_or(0));
                    None
                }
                (pending, byte) => {
                    self.broken = true;
                    out.push(b'=');
                    if let Pending::Digit(first) = pending {
                        out.push(first);
                    }
                    if byte == b'=' {
                        Some(Pending::Equals)
                    } else {
                        out.push(byte);
                        None
                    }
                }
            };
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        // A last line may be joined with nothing.
        if let Some(Pending::Digit(first)) = self.pending {
            self.short = true;
            out.extend([b'=', first]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(encoding: Encoding, written: &[u8], expected: &[u8], broken: bool, short: bool) {
        let mut decoder = Decoder::new(Source::memory(written.to_vec()), encoding);
        let mut out = Vec::new();
        decoder.read_to_end(&mut out).unwrap();
        assert_eq!(
            (out.as_slice(), decoder.is_broken(), decoder.is_short()),
            (expected, broken, short)
        );
    }

    #[test]
    fn base64_is_read_as_mail_programs_read_it() {
        let check = |written: &[u8], expected: &[u8], broken, short| {
            check(Encoding::Base64, written, expected, broken, short);
        };
        check(b"aGVsbG8=", b"hello", false, false);
        check(b"aGV\r\nsbG\r\n8=\r\n", b"hello", false, false);
        check(b"aGVsbA==\r\n", b"hell", false, false);
        check(b"", b"", false, false);
        check(b"aGVsbG8", b"hello", false, true);
        check(b"aGVsbA=", b"hell", false, true);
        check(b"aGVsbG8hI", b"hello!", false, true);
        check(b"aGVs*bG8=", b"hello", true, false);
        check(b"aGVsbG8=aGVsbG8=", b"hellohello", true, false);
        check(b"aGVs=", b"hel", true, false);
    }

    #[test]
    fn quoted_printable_is_read_as_mail_programs_read_it() {
        let check = |written: &[u8], expected: &[u8], broken, short| {
            check(Encoding::Quoted, written, expected, broken, short);
        };
        check(b"a=3Db=\r\nc=C3=a9 \r\n", b"a=bc\xc3\xa9 \r\n", false, false);
        check(b"a= \t\r\nb=\nc=", b"abc", false, false);
        check(b"a=zzb==3D=4g", b"a=zzb===4g", true, false);
        check(b"a=4", b"a=4", false, true);
    }

    #[test]
    fn pieces_do_not_change_what_is_read() {
        let text: Vec<u8> = (0..50_000u32).map(|at| (at * 7) as u8).collect();
        let written: String = text.iter().map(|byte| format!("={byte:02X}")).collect();
        check(Encoding::Quoted, written.as_bytes(), &text, false, false);
    }
}
