//! Which encoding a text is in, from its head.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

/// An encoding a [`super::Decoder`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 3629, strict.
    Utf8,
    /// RFC 2781, little end first.
    Utf16Le,
    /// RFC 2781, big end first.
    Utf16Be,
    /// Four bytes a character, little end first.
    Utf32Le,
    /// Four bytes a character, big end first.
    Utf32Be,
    /// One of the WHATWG Encoding Standard: windows-125x, ISO-8859-x, Shift_JIS, GBK and so on.
    Legacy(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// Its name as in the IANA registry, small letters.
    pub fn name(self) -> String {
        match self {
            Self::Utf8 => "utf-8".to_owned(),
            Self::Utf16Le => "utf-16le".to_owned(),
            Self::Utf16Be => "utf-16be".to_owned(),
            Self::Utf32Le => "utf-32le".to_owned(),
            Self::Utf32Be => "utf-32be".to_owned(),
            Self::Legacy(encoding) => encoding.name().to_ascii_lowercase(),
        }
    }

    /// The encoding a label such as `latin1` or `utf-16` means. UTF-32 is known here though the standard leaves it out.
    pub fn for_label(label: &str) -> Option<Self> {
        match label.trim().to_ascii_lowercase().as_str() {
            "utf-32le" => return Some(Self::Utf32Le),
            "utf-32be" | "utf-32" => return Some(Self::Utf32Be),
            _ => {}
        }
        let found = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())?;
        Some(match found.name() {
            "UTF-8" => Self::Utf8,
            "UTF-16LE" => Self::Utf16Le,
            "UTF-16BE" => Self::Utf16Be,
            _ => Self::Legacy(found),
        })
    }
}

/// What the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// The encoding.
    pub encoding: Encoding,
    /// Bytes of the byte order mark.
    pub mark: usize,
    /// Whether it is certain: a mark, or valid UTF-8. Otherwise it is a guess from the frequency of letters.
    pub certain: bool,
}

/// Finds the encoding. `whole` says that nothing comes after `head`. 64 KiB of head are plenty.
///
/// Order: byte order mark, UTF-16 and UTF-32 by the places of zero bytes, UTF-8 if valid, and else `chardetng`, the detector of Firefox.
/// Text of which at most one byte in 32 is broken stays UTF-8, because there the break is what has to be told: but only if it has valid
/// characters beyond ASCII too.
pub fn detect(head: &[u8], whole: bool) -> Guess {
    let marked = |encoding, mark| Guess {
        encoding,
        mark,
        certain: true,
    };
    match head {
        [0xef, 0xbb, 0xbf, ..] => return marked(Encoding::Utf8, 3),
        [0xff, 0xfe, 0, 0, ..] => return marked(Encoding::Utf32Le, 4),
        [0, 0, 0xfe, 0xff, ..] => return marked(Encoding::Utf32Be, 4),
        [0xff, 0xfe, ..] => return marked(Encoding::Utf16Le, 2),
        [0xfe, 0xff, ..] => return marked(Encoding::Utf16Be, 2),
        _ => {}
    }
    if let Some(encoding) = unmarked(head) {
        return Guess {
            encoding,
            mark: 0,
            certain: false,
        };
    }
    let (broken, beyond) = utf8_faults(head, whole);
    if broken == 0 || (beyond > broken && broken * 32 <= head.len()) {
        return marked(Encoding::Utf8, 0);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, whole);
    let found = detector.guess(None, Utf8Detection::Deny);
    Guess {
        encoding: Encoding::Legacy(found),
        mark: 0,
        certain: false,
    }
}

/// Broken sequences, and valid characters beyond ASCII.
fn utf8_faults(head: &[u8], whole: bool) -> (usize, usize) {
    let (mut broken, mut beyond) = (0, 0);
    let mut chunks = head.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        beyond += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        let bad = chunk.invalid();
        // The head may end within a character.
        let cut = chunks.peek().is_none() && !whole && is_prefix(bad);
        broken += usize::from(!bad.is_empty() && !cut);
    }
    (broken, beyond)
}

/// Whether some character begins with these bytes and has more.
fn is_prefix(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

/// UTF-16 and UTF-32 without a mark: in text of mostly Latin letters the high bytes are zero, and hardly any other is.
fn unmarked(head: &[u8]) -> Option<Encoding> {
    let head = &head[..head.len().min(4096)];
    if head.len() < 4 || !head.contains(&0) {
        return None;
    }
    let zeros = |step: usize, offset: usize| {
        let all = head.iter().skip(offset).step_by(step);
        let (number, zero) = all.fold((0, 0), |(n, z), byte| (n + 1, z + usize::from(*byte == 0)));
        (zero * 100).checked_div(number).unwrap_or(0)
    };
    if head.len() >= 8 {
        let quarter = [zeros(4, 0), zeros(4, 1), zeros(4, 2), zeros(4, 3)];
        if quarter[3] >= 98 && quarter[2] >= 98 && quarter[0] < 2 {
            return Some(Encoding::Utf32Le);
        }
        if quarter[0] >= 98 && quarter[1] >= 98 && quarter[3] < 2 {
            return Some(Encoding::Utf32Be);
        }
    }
    match (zeros(2, 0), zeros(2, 1)) {
        (0..=2, 50..) => Some(Encoding::Utf16Le),
        (50.., 0..=2) => Some(Encoding::Utf16Be),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &[u8], name: &str, certain: bool) {
        let guess = detect(head, true);
        assert_eq!((guess.encoding.name().as_str(), guess.certain), (name, certain));
    }

    #[test]
    fn encodings() {
        check(b"", "utf-8", true);
        check(b"plain", "utf-8", true);
        check("\u{feff}x".as_bytes(), "utf-8", true);
        check(b"\xff\xfea\0", "utf-16le", true);
        check(b"\xfe\xff\0a", "utf-16be", true);
        check(b"\xff\xfe\0\0a\0\0\0", "utf-32le", true);
        check(b"\0\0\xfe\xff\0\0\0a", "utf-32be", true);
        check(b"a\0b\0c\0d\0", "utf-16le", false);
        check(b"\0a\0b\0c\0d", "utf-16be", false);
        check(b"a\0\0\0b\0\0\0", "utf-32le", false);
        check(b"\0\0\0a\0\0\0b", "utf-32be", false);
        check(b"caf\xe9 cr\xe8me, tr\xe8s bien", "windows-1252", false);
        let russian: Vec<u8> =
            "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43a}\u{430}\u{43a} \u{434}\u{435}\u{43b}\u{430}?"
                .chars()
                .map(|c| {
                    if c.is_ascii() {
                        c as u8
                    } else {
                        (c as u32 - 0x350) as u8
                    }
                })
                .collect();
        check(&russian, "windows-1251", false);
    }

    #[test]
    fn one_broken_byte_does_not_make_it_another_encoding() {
        let mut text = "é".repeat(100).into_bytes();
        text.push(0xff);
        check(&text, "utf-8", true);
    }

    #[test]
    fn labels() {
        assert_eq!(Encoding::for_label("Latin1").unwrap().name(), "windows-1252");
        assert_eq!(Encoding::for_label("UTF-16").unwrap(), Encoding::Utf16Le);
        assert_eq!(Encoding::for_label("utf-32be").unwrap(), Encoding::Utf32Be);
        assert_eq!(Encoding::for_label("klingon"), None);
    }
}
