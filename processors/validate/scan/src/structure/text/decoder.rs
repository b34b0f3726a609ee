//! From bytes to UTF-8, with the way back: every piece of text knows which bytes of the document it came from.

use encoding_rs::DecoderResult;

use super::encoding::Encoding;

/// Bytes of text in a piece that is not a plain cut of the document.
const PIECE: usize = 8 * 1024;

/// A piece of decoded text.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The text.
    pub text: &'a str,
    /// Where it stands in the whole decoded text, in bytes of UTF-8.
    pub at: u64,
    /// The text is one U+FFFD that stands for bytes which the encoding does not allow.
    pub replaced: bool,
    origin: Origin<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Origin<'a> {
    /// Byte for byte, from here.
    Same(u64),
    /// One entry for each byte of the text and one for its end.
    Table(&'a [u64]),
}

impl<'a> Piece<'a> {
    /// Text that stands in the document as it is, from byte `start`.
    pub fn plain(text: &'a str, at: u64, start: u64) -> Self {
        Self {
            text,
            at,
            replaced: false,
            origin: Origin::Same(start),
        }
    }

    /// The byte of the document from which byte `index` of the text came; for the end of the text the byte after the last.
    #[inline]
    pub fn source(&self, index: usize) -> u64 {
        match self.origin {
            Origin::Same(start) => start + index as u64,
            Origin::Table(table) => table.get(index).or(table.last()).copied().unwrap_or(0),
        }
    }

    /// The byte of the document it begins with, if it stands there as it is.
    pub fn plain_start(&self) -> Option<u64> {
        match self.origin {
            Origin::Same(start) => Some(start),
            Origin::Table(_) => None,
        }
    }

    /// A part of it. `from` and `to` must be character boundaries.
    pub fn part(&self, from: usize, to: usize) -> Self {
        Self {
            text: &self.text[from..to],
            at: self.at + from as u64,
            replaced: self.replaced,
            origin: match self.origin {
                Origin::Same(start) => Origin::Same(start + from as u64),
                Origin::Table(table) => Origin::Table(&table[from..=to]),
            },
        }
    }
}

/// A piece that is kept.
#[derive(Debug)]
pub struct OwnedPiece {
    text: String,
    at: u64,
    replaced: bool,
    start: u64,
    map: Vec<u64>,
}

impl OwnedPiece {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The piece.
    pub fn piece(&self) -> Piece<'_> {
        Piece {
            text: &self.text,
            at: self.at,
            replaced: self.replaced,
            origin: if self.map.is_empty() {
                Origin::Same(self.start)
            } else {
                Origin::Table(&self.map)
            },
        }
    }

    /// Adds a piece to a list, joining it to the last where both stand in the document as they are.
    pub fn push(list: &mut Vec<Self>, piece: &Piece<'_>) {
        if piece.text.is_empty() {
            return;
        }
        let (start, map) = match piece.origin {
            Origin::Same(start) => (start, Vec::new()),
            Origin::Table(map) => (0, map.to_vec()),
        };
        if let Some(last) = list.last_mut()
            && map.is_empty()
            && last.map.is_empty()
            && last.start + last.text.len() as u64 == start
        {
            last.text.push_str(piece.text);
            return;
        }
        list.push(Self {
            text: piece.text.to_owned(),
            at: piece.at,
            replaced: piece.replaced,
            start,
            map,
        });
    }
}

/// Decodes a stream. Memory: one piece of 8 KiB and its map, whatever the length of the document.
pub struct Decoder {
    kind: Kind,
    /// Bytes of the document that were consumed.
    consumed: u64,
    /// Bytes of text that were given out.
    given: u64,
    /// A character of which the beginning has come.
    carry: Vec<u8>,
    text: String,
    map: Vec<u64>,
}

enum Kind {
    Utf8,
    /// UTF-16 or UTF-32: bytes a unit, and whether the big end comes first.
    Units(usize, bool),
    Single(Box<[char; 256]>),
    Multi(Box<encoding_rs::Decoder>),
}

impl Decoder {
    /// `start` is the byte of the document at which the first chunk begins (behind a byte order mark).
    pub fn new(encoding: Encoding, start: u64) -> Self {
        let kind = match encoding {
            Encoding::Utf8 => Kind::Utf8,
            Encoding::Utf16Le => Kind::Units(2, false),
            Encoding::Utf16Be => Kind::Units(2, true),
            Encoding::Utf32Le => Kind::Units(4, false),
            Encoding::Utf32Be => Kind::Units(4, true),
            Encoding::Legacy(encoding) if encoding.is_single_byte() => Kind::Single(Box::new(table(encoding))),
            Encoding::Legacy(encoding) => Kind::Multi(Box::new(encoding.new_decoder_without_bom_handling())),
        };
        Self {
            kind,
            consumed: start,
            given: 0,
            carry: Vec::with_capacity(8),
            text: String::new(),
            map: Vec::new(),
        }
    }

    /// Bytes of the document consumed so far, a byte order mark included.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Decodes the next bytes.
    pub fn feed(&mut self, chunk: &[u8], out: &mut impl FnMut(&Piece<'_>)) {
        match &mut self.kind {
            Kind::Utf8 => self.utf8(chunk, out),
            Kind::Units(..) => self.units(chunk, out),
            Kind::Single(_) => self.single(chunk, out),
            Kind::Multi(_) => self.multi(chunk, false, out),
        }
    }

    /// The document ends: what is left of a character is replaced.
    pub fn finish(&mut self, out: &mut impl FnMut(&Piece<'_>)) {
        if matches!(self.kind, Kind::Multi(_)) {
            self.multi(&[], true, out);
        }
        if !self.carry.is_empty() {
            let start = self.consumed - self.carry.len() as u64;
            self.carry.clear();
            self.replace(start, out);
        }
        self.flush_until(self.consumed, out);
    }

    fn utf8(&mut self, mut chunk: &[u8], out: &mut impl FnMut(&Piece<'_>)) {
        while !self.carry.is_empty() {
            let Some((&byte, rest)) = chunk.split_first() else {
                return;
            };
            let start = self.consumed - self.carry.len() as u64;
            self.carry.push(byte);
            match std::str::from_utf8(&self.carry) {
                Ok(text) => {
                    out(&Piece::plain(text, self.given, start));
                    self.given += text.len() as u64;
                    self.carry.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    // What came before was the beginning of a character, so it is this byte that does not fit: it is read anew.
                    self.carry.clear();
                    self.replace(start, out);
                    continue;
                }
            }
            self.consumed += 1;
            chunk = rest;
        }
        // Checking a whole chunk is many times faster than looking for its parts, and it is nearly always valid up to its last character.
        let valid = std::str::from_utf8(chunk).map_or_else(|error| error.valid_up_to(), str::len);
        if let Ok(text) = std::str::from_utf8(&chunk[..valid])
            && !text.is_empty()
        {
            out(&Piece::plain(text, self.given, self.consumed));
            self.given += text.len() as u64;
            self.consumed += text.len() as u64;
            chunk = &chunk[valid..];
        }
        let mut parts = chunk.utf8_chunks().peekable();
        while let Some(valid) = parts.next() {
            let text = valid.valid();
            if !text.is_empty() {
                out(&Piece::plain(text, self.given, self.consumed));
                self.given += text.len() as u64;
                self.consumed += text.len() as u64;
            }
            let bad = valid.invalid();
            if bad.is_empty() {
                continue;
            }
            let start = self.consumed;
            self.consumed += bad.len() as u64;
            // Only the last of a chunk can be a character that goes on.
            let cut = std::str::from_utf8(bad).is_err_and(|error| error.error_len().is_none());
            if cut && parts.peek().is_none() {
                self.carry.extend_from_slice(bad);
            } else {
                self.replace(start, out);
            }
        }
    }

    /// Gives out U+FFFD for the bytes from `start` to what was consumed.
    fn replace(&mut self, start: u64, out: &mut impl FnMut(&Piece<'_>)) {
        self.flush_until(start, out);
        let end = self.consumed.max(start);
        let map = [start, start, start, end];
        out(&Piece {
            text: "\u{fffd}",
            at: self.given,
            replaced: true,
            origin: Origin::Table(&map),
        });
        self.given += 3;
    }

    /// Adds a character to the piece under construction.
    fn add(&mut self, letter: char, start: u64, out: &mut impl FnMut(&Piece<'_>)) {
        if self.text.len() + 4 > PIECE {
            self.flush_until(start, out);
        }
        self.text.push(letter);
        self.map.resize(self.text.len(), start);
    }

    fn flush_until(&mut self, end: u64, out: &mut impl FnMut(&Piece<'_>)) {
        if self.text.is_empty() {
            return;
        }
        self.map.push(end);
        out(&Piece {
            text: &self.text,
            at: self.given,
            replaced: false,
            origin: Origin::Table(&self.map),
        });
        self.given += self.text.len() as u64;
        self.text.clear();
        self.map.clear();
    }

    fn units(&mut self, chunk: &[u8], out: &mut impl FnMut(&Piece<'_>)) {
        let Kind::Units(size, big) = self.kind else { return };
        for &byte in chunk {
            self.carry.push(byte);
            self.consumed += 1;
            if !self.carry.len().is_multiple_of(size) {
                continue;
            }
            if size == 4 {
                let number = self
                    .carry
                    .iter()
                    .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
                let number = if big { number } else { number.swap_bytes() };
                self.carry.clear();
                match char::from_u32(number) {
                    Some(letter) => self.add(letter, self.consumed - 4, out),
                    None => self.replace_back(4, out),
                }
                continue;
            }
            self.utf16(big, out);
        }
        self.flush_whole(out);
    }

    /// One or two whole units are in the carry.
    fn utf16(&mut self, big: bool, out: &mut impl FnMut(&Piece<'_>)) {
        let unit = |pair: &[u8]| match pair {
            [a, b] if big => u16::from_be_bytes([*a, *b]),
            [a, b] => u16::from_le_bytes([*a, *b]),
            _ => 0,
        };
        let (first, second) = (unit(&self.carry[..2]), unit(&self.carry[2..]));
        let two = self.carry.len() == 4;
        let is_high = (0xd800..0xdc00).contains(&first);
        if is_high && !two {
            return;
        }
        let units = [first, second];
        let decoded = char::decode_utf16(units[..if two { 2 } else { 1 }].iter().copied()).next();
        match decoded {
            Some(Ok(letter)) => {
                let start = self.consumed - self.carry.len() as u64;
                self.carry.clear();
                self.add(letter, start, out);
            }
            // Half a pair, followed by something that is read anew.
            _ if two => {
                let next = [self.carry[2], self.carry[3]];
                self.consumed -= 2;
                self.carry.clear();
                self.replace_back(2, out);
                self.carry.extend(next);
                self.consumed += 2;
                self.utf16(big, out);
            }
            _ => {
                self.carry.clear();
                self.replace_back(2, out);
            }
        }
    }

    /// Replaces the `length` bytes that were consumed last.
    fn replace_back(&mut self, length: u64, out: &mut impl FnMut(&Piece<'_>)) {
        let start = self.consumed - length;
        self.replace(start, out);
    }

    /// Gives out what was decoded; a character that has only begun stays.
    fn flush_whole(&mut self, out: &mut impl FnMut(&Piece<'_>)) {
        self.flush_until(self.consumed - self.carry.len() as u64, out);
    }

    fn single(&mut self, chunk: &[u8], out: &mut impl FnMut(&Piece<'_>)) {
        for &byte in chunk {
            let Kind::Single(table) = &self.kind else { return };
            let letter = table[usize::from(byte)];
            self.consumed += 1;
            if letter == '\u{fffd}' {
                self.replace_back(1, out);
            } else {
                self.add(letter, self.consumed - 1, out);
            }
        }
        self.flush_whole(out);
    }

    /// Byte by byte, because `encoding_rs` does not say which bytes a character came from.
    fn multi(&mut self, chunk: &[u8], last: bool, out: &mut impl FnMut(&Piece<'_>)) {
        let steps = chunk.iter().map(std::slice::from_ref).map(|byte| (byte, false));
        for (mut input, last) in steps.chain(last.then_some((&[][..], true))) {
            if let [byte] = input {
                self.carry.push(*byte);
                self.consumed += 1;
            }
            // It takes the byte in the second call at the latest; the bound only keeps a mistake there from being endless here.
            for _ in 0..8 {
                let Kind::Multi(decoder) = &mut self.kind else { return };
                let mut text = [0; 16];
                let (result, read, written) = decoder.decode_to_utf8_without_replacement(input, &mut text, last);
                let start = self.consumed - self.carry.len() as u64;
                if written > 0 {
                    let decoded = std::str::from_utf8(&text[..written]).unwrap_or("\u{fffd}");
                    decoded.chars().for_each(|letter| self.add(letter, start, out));
                    self.carry.clear();
                }
                input = &input[read..];
                if let DecoderResult::Malformed(_, _) = result {
                    // The byte that was not taken belongs to what follows.
                    let keep = input.len() as u64;
                    self.flush_until(start, out);
                    let consumed = self.consumed;
                    self.consumed -= keep;
                    self.replace(start.min(self.consumed), out);
                    self.consumed = consumed;
                    self.carry.clear();
                    self.carry.extend_from_slice(input);
                    continue;
                }
                if input.is_empty() {
                    break;
                }
            }
        }
        self.flush_whole(out);
    }
}

/// What each byte means; U+FFFD where it means nothing.
fn table(encoding: &'static encoding_rs::Encoding) -> [char; 256] {
    std::array::from_fn(|byte| {
        let byte = [u8::try_from(byte).unwrap_or(0)];
        let (text, _) = encoding.decode_without_bom_handling(&byte);
        text.chars().next().unwrap_or('\u{fffd}')
    })
}
