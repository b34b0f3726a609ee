//! Text: is it, in which encoding, and which of the formats that are text.

use std::borrow::Cow;

use file_format::FileFormat;

/// The beginning of a text document, decoded.
#[derive(Debug)]
pub struct Text<'a> {
    /// The encoding, by its IANA name; `unknown-8bit` (RFC 1428) where bytes above 127 follow no encoding we know.
    pub encoding: &'static str,
    /// The content, without a byte order mark. The last character may be lost where the head ends in the middle of one.
    pub content: Cow<'a, str>,
}

/// Reads the head as text; `None` when it is none. `whole` says that there is nothing after it.
pub fn read(head: &[u8], whole: bool) -> Option<Text<'_>> {
    let (encoding, content) = decode(head, whole)?;
    is_clean(&content).then_some(Text { encoding, content })
}

fn decode(head: &[u8], whole: bool) -> Option<(&'static str, Cow<'_, str>)> {
    if let Some(rest) = head.strip_prefix(b"\xef\xbb\xbf") {
        return Some(("utf-8", utf_8(rest, whole)?.into()));
    }
    if let Some(rest) = head.strip_prefix(b"\xff\xfe\0\0") {
        return Some(("utf-32le", utf_32(rest, u32::from_le_bytes)?.into()));
    }
    if let Some(rest) = head.strip_prefix(b"\0\0\xfe\xff") {
        return Some(("utf-32be", utf_32(rest, u32::from_be_bytes)?.into()));
    }
    if let Some(rest) = head.strip_prefix(b"\xff\xfe") {
        return Some(("utf-16le", utf_16(rest, whole, u16::from_le_bytes)?.into()));
    }
    if let Some(rest) = head.strip_prefix(b"\xfe\xff") {
        return Some(("utf-16be", utf_16(rest, whole, u16::from_be_bytes)?.into()));
    }
    if head.contains(&0) {
        let (encoding, order) = unmarked_utf_16(head)?;
        return Some((encoding, utf_16(head, whole, order)?.into()));
    }
    if let Some(text) = utf_8(head, whole) {
        return Some((if head.is_ascii() { "us-ascii" } else { "utf-8" }, text.into()));
    }
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    Some((eight_bit(head)?, text.into()))
}

/// No control characters but those that texts have: tab, line feed, form feed, carriage return, escape (terminal logs), and Ctrl-Z
/// as the very last (DOS). DEL and C1 controls are let pass: JSON allows the one, and in Windows-1252 the others are letters.
fn is_clean(text: &str) -> bool {
    let text = text.strip_suffix('\x1a').unwrap_or(text);
    !text
        .chars()
        .any(|c| c < ' ' && !matches!(c, '\t' | '\n' | '\x0c' | '\r' | '\x1b'))
}

fn utf_8(bytes: &[u8], whole: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        // A head may end within a character; a document may not.
        Err(error) if !whole && error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

fn utf_16(bytes: &[u8], whole: bool, order: fn([u8; 2]) -> u16) -> Option<String> {
    if whole && !bytes.len().is_multiple_of(2) {
        return None;
    }
    let mut units: Vec<u16> = bytes.chunks_exact(2).map(|pair| order([pair[0], pair[1]])).collect();
    if !whole && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
        units.pop();
    }
    String::from_utf16(&units).ok()
}

fn utf_32(bytes: &[u8], order: fn([u8; 4]) -> u32) -> Option<String> {
    bytes
        .chunks_exact(4)
        .map(|four| char::from_u32(order([four[0], four[1], four[2], four[3]])))
        .collect()
}

/// UTF-16 without a mark, if at least half of the high bytes are nought and hardly any of the low ones are.
#[allow(clippy::type_complexity)]
fn unmarked_utf_16(head: &[u8]) -> Option<(&'static str, fn([u8; 2]) -> u16)> {
    let pairs = head.len() / 2;
    if pairs < 3 {
        return None;
    }
    let zeros = |offset: usize| head.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    match (first * 2 >= pairs, second * 2 >= pairs) {
        (false, true) if first * 50 <= pairs => Some(("utf-16le", u16::from_le_bytes)),
        (true, false) if second * 50 <= pairs => Some(("utf-16be", u16::from_be_bytes)),
        _ => None,
    }
}

/// Text of eight bits a character, which only the absence of control characters tells from noise: 64 random bytes without one have a
/// chance of 1 in 2,400.
fn eight_bit(head: &[u8]) -> Option<&'static str> {
    let high = head.iter().filter(|byte| **byte >= 0x80).count();
    let c1 = head.iter().any(|byte| (0x80..0xa0).contains(byte));
    match high * 100 / head.len().max(1) {
        0..=30 if c1 => Some("windows-1252"),
        0..=30 => Some("iso-8859-1"),
        _ if head.len() >= 64 => Some("unknown-8bit"),
        _ => None,
    }
}

/// The bytes behind a UTF-8 mark and white space.
pub fn skip_space(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

/// HTML by the patterns of the WHATWG MIME Sniffing standard, section 7.1.
pub fn is_html(content: &str) -> bool {
    const TAGS: [&str; 17] = [
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<iframe",
        "<h1",
        "<div",
        "<font",
        "<table",
        "<a",
        "<style",
        "<title",
        "<b",
        "<body",
        "<br",
        "<p",
        "<!--",
    ];
    let bytes = content.as_bytes();
    TAGS.iter().any(|tag| {
        let begins = bytes
            .get(..tag.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()));
        begins && (*tag == "<!--" || matches!(bytes.get(tag.len()), Some(b' ' | b'>' | b'\t' | b'\n' | b'\r')))
    }) && !(content.starts_with("<!--") && content.contains("<?xml"))
}

/// XML without a declaration: one element that begins the document and, if that is all here, ends it.
pub fn is_xml(content: &str, whole: bool) -> bool {
    let Some(rest) = content.strip_prefix('<') else {
        return false;
    };
    let length = rest
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
        .unwrap_or(rest.len());
    let (name, after) = rest.split_at(length);
    let named = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let opens = after.starts_with(['>', '/']) || (after.starts_with(char::is_whitespace) && after.contains('>'));
    let end = content.trim_end();
    let closes = end.ends_with("/>") || end.ends_with(&format!("</{name}>"));
    named && opens && (!whole || closes)
}

/// Formats that are text and announce themselves. `file-format` knows them; what it says is taken only for these, because its binary
/// signatures may be words.
pub fn signature(content: &str) -> Option<FileFormat> {
    use FileFormat as F;
    let found = F::from_bytes(content);
    let taken = match found {
        F::RichTextFormat | F::Latex | F::EncapsulatedPostscript | F::WebVideoTextTracks | F::SubripText => true,
        F::Postscript => content.starts_with("%!PS"),
        F::Icalendar | F::Vcalendar | F::Vcard | F::Mp3Url | F::ShoutcastPlaylist | F::WindowsMediaPlaylist => true,
        armored if is_armored(armored) => true,
        F::MicrosoftVisualStudioSolution => true,
        F::ShellScript | F::MsDosBatch | F::PerlScript | F::PythonScript | F::RubyScript | F::LuaScript => true,
        F::ToolCommandLanguageScript | F::ClojureScript => true,
        F::DrawingExchangeFormatAscii | F::PolygonAscii | F::StandardForTheExchangeOfProductModelData => true,
        F::UniversalSceneDescriptionAscii | F::VirtualRealityModelingLanguage | F::RadianceHdr | F::XPixmap => true,
        F::ExtensibleMarkupLanguage => content.starts_with("<?xml"),
        // The readers of XML search its beginning for element names, and would find them in prose too.
        other => content.starts_with('<') && is_markup(other),
    };
    taken.then_some(found)
}

/// A message of HL7 version 2 in its pipe form: a header of a message, file or batch, which names five signs (HL7 v2.5.1, 2.15.9).
pub fn is_hl7(content: &str) -> bool {
    let rest = ["MSH", "FHS", "BHS"]
        .iter()
        .find_map(|header| content.strip_prefix(header));
    let Some((field, rest)) = rest.and_then(|rest| rest.as_bytes().split_first()) else {
        return false;
    };
    // Four signs, five since version 2.7.
    let signs = rest.iter().take(6).take_while(|byte| *byte != field);
    let signs: Vec<&u8> = signs.collect();
    let differ = (1..signs.len()).all(|at| !signs[..at].contains(&signs[at]));
    field.is_ascii_punctuation()
        && (4..=5).contains(&signs.len())
        && differ
        && signs.iter().all(|sign| sign.is_ascii_punctuation())
}

/// An X12 interchange: a header of 106 characters whose elements have fixed lengths (X12.5; ISA in the HIPAA guides).
pub fn is_x12(content: &str) -> bool {
    let Some(head) = content.as_bytes().get(..106).filter(|head| head.starts_with(b"ISA")) else {
        return false;
    };
    const ELEMENTS: [usize; 16] = [3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103];
    let element = head[3];
    element.is_ascii_punctuation() && ELEMENTS.iter().all(|at| head[*at] == element)
}

/// Whether a format is Base64 between lines that say what it is.
pub fn is_armored(format: FileFormat) -> bool {
    use FileFormat as F;
    matches!(
        format,
        F::PemCertificate
            | F::PemCertificateSigningRequest
            | F::PemPrivateKey
            | F::PemPublicKey
            | F::PgpMessage
            | F::PgpPrivateKeyBlock
            | F::PgpPublicKeyBlock
            | F::PgpSignature
            | F::PgpSignedMessage
            | F::AgeEncryption
    )
}

/// Whether the names of a format's elements are those of a layout.
pub fn is_markup(format: FileFormat) -> bool {
    use FileFormat as F;
    let media_type = format.media_type();
    media_type.ends_with("+xml")
        || matches!(
            format,
            F::Abiword
                | F::AbiwordTemplate
                | F::AdditiveManufacturingFormat
                | F::AdvancedStreamRedirector
                | F::DrawIo
                | F::UniversalSubtitleFormat
                | F::UniformOfficeFormatText
                | F::UniformOfficeFormatSpreadsheet
                | F::UniformOfficeFormatPresentation
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &[u8], encoding: Option<&str>) {
        assert_eq!(read(bytes, true).map(|text| text.encoding), encoding, "{bytes:?}");
    }

    #[test]
    fn encodings() {
        check(b"plain\r\n", Some("us-ascii"));
        check("na\u{ef}ve".as_bytes(), Some("utf-8"));
        check(b"\xef\xbb\xbfmarked", Some("utf-8"));
        check(b"na\xefve caf\xe9 and more", Some("iso-8859-1"));
        check(b"\x93quoted\x94 text, in Windows", Some("windows-1252"));
        check(b"\xff\xfea\0b\0", Some("utf-16le"));
        check(b"\xfe\xff\0a\0b", Some("utf-16be"));
        check(b"a\0b\0c\0d\0", Some("utf-16le"));
        check(b"\0a\0b\0c\0d", Some("utf-16be"));
        check(b"\xff\xfe\0\0a\0\0\0", Some("utf-32le"));
        check(b"log \x1b[1mbold\x1b[0m", Some("us-ascii"));
        check(b"DOS\r\n\x1a", Some("us-ascii"));
    }

    #[test]
    fn what_is_no_text() {
        check(b"\0\x01\x02\x03", None);
        check(b"a\x01b", None);
        check(b"\xff\xfea\0b", None);
        check(b"\x80\x90\xa0", None);
        check(b"\xff\xfe\0\xd8", None);
    }

    #[test]
    fn a_head_may_end_within_a_character() {
        let bytes = "caf\u{e9}".as_bytes();
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(read(cut, false).unwrap().content, "caf");
        assert_ne!(read(cut, true).map(|text| text.encoding), Some("utf-8"));
    }

    proptest! {
        #[test]
        fn utf_16_comes_back(text in "[a-zA-Z0-9 ,.\u{e4}\u{1f600}]{8,80}") {
            let little: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
            let found = read(&little, true).unwrap();
            prop_assert_eq!((found.encoding, &*found.content), ("utf-16le", text.as_str()));
            let big: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
            let found = read(&big, true).unwrap();
            prop_assert_eq!((found.encoding, &*found.content), ("utf-16be", text.as_str()));
        }

        #[test]
        fn nothing_panics(bytes: Vec<u8>, whole: bool) {
            if let Some(text) = read(&bytes, whole) {
                let content = text.content.trim_start();
                signature(content);
                is_html(content);
                is_xml(content, whole);
            }
        }
    }

    #[test]
    fn messages() {
        assert!(is_hl7("MSH|^~\\&|ADT1|"));
        assert!(is_hl7("BHS|^~\\&|x"));
        assert!(!is_hl7("MSH|||||||"), "five signs differ");
        assert!(!is_hl7("MSH is a segment"));
        let header = "ISA*00*          *00*          *ZZ*SENDERID       *ZZ*RECEIVERID     *260612*1253*^*00501*000000905*0*P*:~";
        assert!(is_x12(header));
        assert!(!is_x12(&header.replace("*00501*", "*0501*")));
    }

    #[test]
    fn markup() {
        assert!(is_html("<!DOCTYPE html>\n<p>"));
        assert!(is_html("<SCRIPT>alert(1)</SCRIPT>"));
        assert!(!is_html("<article>"), "not in the standard's list, though HTML");
        assert!(!is_html("<address>"), "begins like <a");
        assert!(is_xml("<a:root x='1'><b/></a:root>\n", true));
        assert!(is_xml("<root>\n<row>", false));
        assert!(!is_xml("<root>\n<row>", true));
        assert!(!is_xml("<3 you", true));
        assert!(!is_xml("< 5", true));
    }
}
