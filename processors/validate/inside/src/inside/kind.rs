//! What the first bytes of a member say it is. The host's own detection is finer; this one decides how the engine goes on.

use serde::{Deserialize, Serialize};

/// Bytes that [`Kind::sniff`] wants to see.
pub const HEAD: usize = 4_096;

/// The kinds that the engine treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the formats")]
pub enum Kind {
    Zip,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Tar,
    SevenZip,
    Rar,
    Cab,
    Iso,
    Ole,
    Pdf,
    Parquet,
    Png,
    Jpeg,
    Gif,
    Webp,
    Tiff,
    Bmp,
    Elf,
    Pe,
    MachO,
    JavaClass,
    Dex,
    Wasm,
    Shortcut,
    Script,
    Rtf,
    Html,
    Svg,
    Xml,
    Shape,
    Dicom,
    Sqlite,
    Mail,
    Text,
    Binary,
    Empty,
}

impl Kind {
    /// By the first [`HEAD`] bytes.
    pub fn sniff(head: &[u8]) -> Self {
        if head.is_empty() {
            return Self::Empty;
        }
        for (at, magic, kind) in MAGIC {
            if head.get(*at..).is_some_and(|rest| rest.starts_with(magic)) {
                match kind {
                    // "BM" and "MZ" begin many texts: ask for more.
                    Self::Bmp if !is_bmp(head) => {}
                    Self::Pe if !is_pe(head) => {}
                    Self::MachO if !is_mach_o(head) => {}
                    Self::Webp if !head.starts_with(b"RIFF") => {}
                    _ => return *kind,
                }
            }
        }
        if is_tar(head) {
            return Self::Tar;
        }
        if is_mail(head) {
            return Self::Mail;
        }
        text_kind(head)
    }

    /// Whether it holds members that are looked at like files of their own.
    pub fn is_container(self) -> bool {
        use Kind::{
            Bzip2, Dicom, Gif, Gzip, Jpeg, Mail, Ole, Parquet, Pdf, Png, Shape, Sqlite, Tar, Tiff, Webp, Xz, Zip, Zstd,
        };
        matches!(
            self,
            Zip | Gzip
                | Bzip2
                | Xz
                | Zstd
                | Tar
                | Ole
                | Pdf
                | Parquet
                | Png
                | Jpeg
                | Gif
                | Webp
                | Tiff
                | Shape
                | Dicom
                | Sqlite
                | Mail
        )
    }

    /// Whether it can be read front to back without keeping it.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Gzip | Self::Bzip2 | Self::Xz | Self::Zstd | Self::Tar)
    }

    /// Whether a machine runs it.
    pub fn is_program(self) -> bool {
        matches!(
            self,
            Self::Elf | Self::Pe | Self::MachO | Self::JavaClass | Self::Dex | Self::Shortcut
        )
    }
}

const MAGIC: &[(usize, &[u8], Kind)] = &[
    // Before it anything may stand, other formats too.
    (128, b"DICM", Kind::Dicom),
    (0, b"PK\x03\x04", Kind::Zip),
    (0, b"PK\x05\x06", Kind::Zip),
    (0, b"PK\x07\x08PK\x03\x04", Kind::Zip),
    (0, b"\x1f\x8b\x08", Kind::Gzip),
    (0, b"BZh", Kind::Bzip2),
    (0, b"\xfd7zXZ\0", Kind::Xz),
    (0, b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (0, b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (0, b"Rar!\x1a\x07", Kind::Rar),
    (0, b"MSCF\0\0\0\0", Kind::Cab),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Ole),
    (0, b"%PDF-", Kind::Pdf),
    (0, b"SQLite format 3\0", Kind::Sqlite),
    (0, b"PAR1", Kind::Parquet),
    (0, b"PARE", Kind::Parquet),
    (0, b"\x89PNG\r\n\x1a\n", Kind::Png),
    (0, b"\xff\xd8\xff", Kind::Jpeg),
    (0, b"GIF87a", Kind::Gif),
    (0, b"GIF89a", Kind::Gif),
    (8, b"WEBP", Kind::Webp),
    (0, b"II*\0", Kind::Tiff),
    (0, b"MM\0*", Kind::Tiff),
    (0, b"BM", Kind::Bmp),
    (0, b"\x7fELF", Kind::Elf),
    (0, b"MZ", Kind::Pe),
    (0, b"\xfe\xed\xfa\xce", Kind::MachO),
    (0, b"\xfe\xed\xfa\xcf", Kind::MachO),
    (0, b"\xce\xfa\xed\xfe", Kind::MachO),
    (0, b"\xcf\xfa\xed\xfe", Kind::MachO),
    (0, b"\xca\xfe\xba\xbe", Kind::MachO),
    (0, b"\xca\xfe\xba\xbe", Kind::JavaClass),
    (0, b"dex\n03", Kind::Dex),
    (0, b"\0asm", Kind::Wasm),
    (0, b"L\0\0\0\x01\x14\x02\0", Kind::Shortcut),
    (0, b"#!", Kind::Script),
    (0, b"{\\rt", Kind::Rtf),
    (0, b"\0\0\x27\x0a\0\0\0\0", Kind::Shape),
];

fn is_bmp(head: &[u8]) -> bool {
    head.get(6..10) == Some(&[0; 4])
        && head
            .get(14..18)
            .is_some_and(|size| size[1..] == [0; 3] && size[0] >= 12)
}

fn is_pe(head: &[u8]) -> bool {
    // A DOS header of 64 bytes whose last field says where the rest is; text does not have small numbers there.
    match head.get(0x3c..0x40) {
        Some(at) => u32::from_le_bytes([at[0], at[1], at[2], at[3]]) < 0x1_0000 || head[..0x40].contains(&0),
        None => false,
    }
}

fn is_mach_o(head: &[u8]) -> bool {
    // A universal binary and a Java class begin alike: the first counts its few architectures where the other has its version.
    !head.starts_with(b"\xca\xfe\xba\xbe")
        || head
            .get(4..8)
            .is_some_and(|count| count[..3] == [0; 3] && count[3] < 40)
}

/// Whether this is the header of a tar archive: its checksum fits (POSIX.1-2017, pax, ustar interchange format).
pub(crate) fn is_tar(head: &[u8]) -> bool {
    head.get(..512)
        .is_some_and(|block| super::tar::checksum_fits(block) && block[0] != 0)
}

/// Headers that nothing but mail has together, and whether one of them tells mail from other texts with headers.
const MAIL: &[(&str, bool)] = &[
    ("From", true),
    ("Received", true),
    ("Return-Path", true),
    ("Message-ID", true),
    ("MIME-Version", true),
    ("To", false),
    ("Subject", false),
    ("Date", false),
    ("Delivered-To", false),
    ("Reply-To", false),
    ("Cc", false),
    ("Content-Type", false),
    ("DKIM-Signature", false),
];

/// Whether a text begins as a message does (RFC 5322 2.2), or a mailbox (RFC 4155): with headers only, up to the first empty line or the
/// end of `head`, of which two are different ones that mail has, and one of these is `From`, `Received`, `Return-Path`, `Message-ID` or
/// `MIME-Version` with a value that such a header has. A `from` in small letters is a word of many languages for settings and tells nothing.
/// Wants to see the first [`HEAD`] bytes; a last line that is cut off does not matter.
pub fn is_mail(head: &[u8]) -> bool {
    let mut rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut known = [false; MAIL.len()];
    // Whether the header that is going past tells, if its value does.
    let (mut tells, mut told, mut first) = (None, false, true);
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        rest = end.map_or(&[][..], |end| &rest[end + 1..]);
        let begins = std::mem::replace(&mut first, false);
        if line.is_empty() || line.contains(&0) {
            break;
        }
        if begins && is_envelope(line) {
            continue;
        }
        let value = if line[0] == b' ' || line[0] == b'\t' {
            if begins {
                return false;
            }
            line
        } else {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                if end.is_none() {
                    break;
                }
                return false;
            };
            // Blanks before the colon are old, and still read (RFC 5322 4.5.3).
            let name = line[..colon].trim_ascii_end();
            if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
                return false;
            }
            let at = MAIL
                .iter()
                .position(|(mail, _)| name.eq_ignore_ascii_case(mail.as_bytes()));
            tells = at.filter(|at| MAIL[*at].1 && name != b"from");
            if let Some(at) = at {
                known[at] = true;
            }
            &line[colon + 1..]
        };
        told |= tells.is_some_and(|at| match MAIL[at].0 {
            "MIME-Version" => value.contains(&b'1'),
            "Received" => value.iter().any(|byte| !byte.is_ascii_whitespace()),
            // An address, or a name in encoded words whose address is on the next line.
            _ => value.iter().any(|byte| matches!(byte, b'@' | b'<')) || value.windows(2).any(|two| two == b"=?"),
        });
    }
    told && known.iter().filter(|known| **known).count() >= 2
}

/// Whether a line parts the messages of a mailbox: `From `, who sent it, and when (RFC 4155, appendix A).
pub(crate) fn is_envelope(line: &[u8]) -> bool {
    const LONGEST: usize = 1_000;
    let time = |five: &[u8]| five[2] == b':' && [0, 1, 3, 4].iter().all(|at| five[*at].is_ascii_digit());
    line.len() <= LONGEST && line.starts_with(b"From ") && line.windows(5).any(time)
}

fn text_kind(head: &[u8]) -> Kind {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let utf16 = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
    let binary = text
        .iter()
        .filter(|&&byte| byte < 9 || (14..32).contains(&byte) && byte != 27)
        .count();
    if !utf16 && (text.contains(&0) || binary * 20 > text.len()) {
        return Kind::Binary;
    }
    let start: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| *byte != 0)
        .skip_while(u8::is_ascii_whitespace)
        .take(1_024)
        .collect();
    let start = start.to_ascii_lowercase();
    let has = |what: &[u8]| start.windows(what.len()).any(|window| window == what);
    if start.starts_with(b"<svg") || (start.starts_with(b"<") && has(b"<svg")) {
        Kind::Svg
    } else if [b"<!doctype html".as_slice(), b"<html", b"<script", b"<body", b"<head"]
        .iter()
        .any(|tag| start.starts_with(tag))
        || start.starts_with(b"<") && has(b"<html")
    {
        Kind::Html
    } else if start.starts_with(b"<?xml") {
        Kind::Xml
    } else {
        Kind::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &[u8], kind: Kind) {
        assert_eq!(Kind::sniff(head), kind);
    }

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        check(b"", Kind::Empty);
        check(b"PK\x03\x04....", Kind::Zip);
        check(
            b"BM is how this text begins, and it is not a picture at all",
            Kind::Text,
        );
        check(
            b"MZ is also how a text may begin, if it wants to be that kind of text, which it may, yes",
            Kind::Text,
        );
        check(b"\xca\xfe\xba\xbe\0\0\0\x3d", Kind::JavaClass);
        check(b"\xca\xfe\xba\xbe\0\0\0\x02", Kind::MachO);
        check(b"  <?xml version='1.0'?><svg xmlns='x'/>", Kind::Svg);
        check(b"<!DOCTYPE html><html>", Kind::Html);
        check(b"\0\x01\x02\x03\x04", Kind::Binary);
        check("naïve café\n".as_bytes(), Kind::Text);
        check(b"\xff\xfea\0b\0", Kind::Text);
    }

    #[test]
    fn mail_is_told_by_its_headers() {
        for mail in [
            "From: a@b.example\r\nSubject: x\r\n\r\ntext",
            "Return-Path: <>\nReceived: from x by y; now\n",
            "Received: from x\n\tby y; now\nX-A: b\nDate: now\n\nno header\n",
            "Subject: x\nFrom: =?utf-8?Q?a?=\n <a@b.example>\n\n",
            "from: a@b.example\nmessage-id: <1@b.example>\n\n",
            "Content-Type: multipart/mixed; boundary=\"a\"\nMIME-Version: 1.0\n\n--a\n",
            "\u{feff}To: a@b.example\nFrom: b@b.example\n\n",
            "From a@b.example Thu Nov 26 19:30:00 2026\nFrom: a@b.example\nDate: now\n\ntext",
            "From 0123456789abcdef Mon Sep 17 00:00:00 2001\nFrom: A <a@b.example>\nSubject: [PATCH] x\n\n",
            "Message-ID: <1@b.example>\nSubject: a line that is cut\nX-Mail",
            "X-A : b\nFrom : a@b.example\nSubject: x\n\n",
        ] {
            assert_eq!(Kind::sniff(mail.as_bytes()), Kind::Mail, "{mail}");
        }
        for other in [
            "From the beginning: all of it.\nTo: be\n",
            "From: a@b.example\n\nSubject: x\n",
            "From: a@b.example\nFrom: b@b.example\n\n",
            "From: Berlin\nTo: Hamburg\nDate: 2026-11-26\n\n",
            "from: a@b.example\nto: b@b.example\nsubject: x\n",
            "smtp:\n  From: a@b.example\n  To: b@b.example\n",
            "---\nFrom: a@b.example\nSubject: x\n",
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/html\r\n\r\n",
            "GET / HTTP/1.1\r\nFrom: a@b.example\r\nDate: now\r\n\r\n",
            "Date: now\r\nContent-Type: text/html\r\nServer: x\r\n\r\n",
            "A message has headers, such as:\nFrom: a@b.example\nSubject: x\n",
            " From: a@b.example\nSubject: x\n",
            "Metadata-Version: 2.1\nName: x\nAuthor-email: a@b.example\n",
            "From a@b.example Thu Nov 26 19:30:00 2026\nand so on.\n",
            "From: a@b.example\nSubject: x\nfree text without an end of the headers\n\n",
            "name,From: x,To: y\n1,a@b.example,2\n",
            "From\0: a@b.example\nSubject: x\n",
        ] {
            assert_ne!(Kind::sniff(other.as_bytes()), Kind::Mail, "{other}");
        }
    }
}
