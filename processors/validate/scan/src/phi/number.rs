//! Everything that holds a digit: one look at the chunk around it and at the groups that follow.

use std::ops::Deref;

use super::check;
use super::context::{Context, Lazy};
use super::kind::Kind;
use super::lexicon::flag;
use super::national;
use super::pass::chunk_end;
use super::scan::Scan;

/// Longest chunk looked at: what is longer is a hash, a key or an encoding, not an identifier.
const LONGEST: usize = 64;
/// Most digits in groups.
const DIGITS: usize = 24;
/// What numbers of standards and processors begin with.
const STANDARDS: &[&str] = &[
    "RFC", "ISO", "IEC", "IEEE", "FIPS", "CVE", "SHA", "UTF", "x509", "x86", "AVX",
];
/// Types after which a program gives a value.
const TYPES: &[&str] = &[
    "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "i128", "usize", "isize",
];
/// Most digit groups in a number with separators.
const GROUPS: usize = 8;

/// A short list that needs no allocation.
#[derive(Clone, Copy)]
pub(super) struct Few<const MOST: usize> {
    items: [u8; MOST],
    count: usize,
}

impl<const MOST: usize> Default for Few<MOST> {
    fn default() -> Self {
        Self {
            items: [0; MOST],
            count: 0,
        }
    }
}

impl<const MOST: usize> Few<MOST> {
    /// Adds an item; there is room for it.
    fn push(&mut self, item: u8) {
        self.items[self.count] = item;
        self.count += 1;
    }
}

impl<const MOST: usize> Deref for Few<MOST> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.items[..self.count]
    }
}

/// Digits in groups with single separators, as telephone and card numbers are written.
#[derive(Default)]
pub(super) struct Groups {
    pub start: usize,
    pub end: usize,
    pub digits: Few<DIGITS>,
    pub lengths: Few<GROUPS>,
    /// The separator before each group but the first.
    pub separators: Few<GROUPS>,
    pub plus: bool,
    pub parenthesis: bool,
    pub extension: bool,
}

impl Groups {
    /// Only spaces between groups.
    fn spaced(&self) -> bool {
        !self.separators.is_empty() && self.separators.iter().all(|separator| *separator == b' ')
    }

    /// Four and more groups of two digits, as bytes are printed.
    pub(super) fn in_pairs(&self) -> bool {
        self.lengths.len() >= 4 && self.lengths.iter().all(|length| *length == 2)
    }

    /// One kind of separator.
    fn uniform(&self) -> bool {
        self.separators.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// A confidence for a number that needs its context word.
fn by_distance(distance: u8) -> f32 {
    match distance {
        0 => 0.93,
        1 => 0.9,
        2 => 0.86,
        3 => 0.78,
        4 => 0.66,
        5 => 0.55,
        Context::FAR => 0.0,
        _ => 0.4,
    }
}

impl Scan<'_> {
    /// Looks at the number whose first digit stands at `at`.
    pub(super) fn number(&mut self, at: usize) {
        if at < self.done {
            return;
        }
        let end = chunk_end(self.bytes, at);
        let start = self.chunk_start(at);
        self.done = end;
        if end - start > LONGEST || self.byte(end) == b'@' {
            return;
        }
        let chunk = &self.text[start..end];
        if self.is_constant(start, chunk) {
            return;
        }
        let letters = chunk.bytes().filter(u8::is_ascii_alphabetic).count();
        // Only 90 to 99 can be an age that matters, and only they cost the look.
        let old = chunk.len() == 2 && chunk.starts_with('9');
        if letters == 0 && chunk.len() <= 2 && !old && self.small(start, end) {
            return;
        }
        if self.date(start, end) || self.internet(start, end) {
            return;
        }
        let groups = if letters == 0 || chunk.contains('x') {
            self.groups(at)
        } else {
            Groups::default()
        };
        let total = groups.digits.len();
        let length = chunk.len();
        // Cheap way out: the small numbers of ordinary prose.
        let zip3 = length == 3 && super::place::SMALL_ZIP3.contains(&chunk);
        let age = length == 3 && (chunk.starts_with('1') || chunk.starts_with('9'));
        if length < 4
            && !old
            && !zip3
            && !age
            && total < 7
            && !groups.plus
            && !groups.parenthesis
            && self.byte(end) != b' '
        {
            self.address(start, end);
            return;
        }
        if length < 3 && !old && total < 7 && !groups.plus && !groups.parenthesis {
            self.address(start, end);
            return;
        }
        let context = Lazy::new(self.text, self.lexicon, start, end, self.label);
        self.age(start, end, &context);
        if groups.digits.len() >= 7 && (letters == 0 || groups.extension) {
            self.grouped(&groups, &context);
        }
        self.alone(start, end, letters, &context);
        self.by_cue(start, end, &groups, &context);
        self.postcode(start, end, &context);
        self.address(start, end);
    }

    /// Whether a number is a value in a program: `ID: u32 = 1074048880`, `20u32`.
    fn is_constant(&self, start: usize, chunk: &str) -> bool {
        let suffix = chunk.trim_start_matches(|c: char| c.is_ascii_digit());
        if suffix.len() < chunk.len() && TYPES.contains(&suffix) {
            return true;
        }
        let before = &self.bytes[..start];
        let Some(before) = before.strip_suffix(b" = ") else {
            return false;
        };
        TYPES
            .iter()
            .any(|kind| before.ends_with(kind.as_bytes()) && before[..before.len() - kind.len()].ends_with(b": "))
    }

    /// Where the chunk around a digit begins: letters and joiners before it belong to it.
    fn chunk_start(&self, at: usize) -> usize {
        let mut start = at;
        while start > 0 && at - start < LONGEST {
            let byte = self.bytes[start - 1];
            let joins = matches!(byte, b'-' | b'.' | b'/' | b':' | b'_')
                && start >= 2
                && self.bytes[start - 2].is_ascii_alphanumeric();
            if !byte.is_ascii_alphanumeric() && !joins {
                break;
            }
            start -= 1;
        }
        // "MRN:12345" and "ID/7": what stands before the mark is a word of its own.
        let head = &self.text[start..at];
        head.rfind([':', '/', '_'])
            .filter(|mark| !head[..*mark].bytes().any(|byte| byte.is_ascii_digit()))
            .map_or(start, |mark| start + mark + 1)
    }

    /// Numbers of one or two digits: a day beside a month, or an age. `true`: there is nothing else to look for.
    fn small(&mut self, start: usize, end: usize) -> bool {
        let next = self.byte(end);
        if !matches!(next, b' ' | b'(' | b',' | b')' | b'.' | b'\n' | 0) {
            return false;
        }
        // A telephone number or an address may begin like this.
        let follows = self.byte(end + 1);
        !(next == b' ' && (follows.is_ascii_alphanumeric() || follows == b'(' || follows >= 0x80))
            && !matches!(self.byte(start.wrapping_sub(1)), b'+' | b'(')
            && !self
                .word_before(start)
                .is_some_and(|word| self.flags(&word) & (flag::MONTH | flag::STREET) != 0 || self.is_box(&word))
            && !self.word_before(start).is_some_and(|word| self.street_end(&word))
    }

    /// The digit groups that begin at `at`, with a sign or a parenthesis before them.
    pub(super) fn groups(&self, at: usize) -> Groups {
        let mut groups = Groups {
            start: at,
            ..Groups::default()
        };
        if at > 0 && matches!(self.bytes[at - 1], b'(' | b'+') {
            groups.parenthesis = self.bytes[at - 1] == b'(';
            groups.plus = !groups.parenthesis;
            groups.start -= 1;
            if groups.parenthesis && groups.start > 0 && self.bytes[groups.start - 1] == b'+' {
                groups.start -= 1;
                groups.plus = true;
            } else if groups.parenthesis && self.byte(at) == b'+' {
                groups.plus = true;
            }
        }
        let mut at = at;
        loop {
            let from = at;
            while self.byte(at).is_ascii_digit() && groups.digits.len() < DIGITS {
                groups.digits.push(self.bytes[at]);
                at += 1;
            }
            groups.lengths.push((at - from) as u8);
            groups.end = at;
            if groups.lengths.len() == GROUPS || groups.digits.len() >= DIGITS {
                break;
            }
            // One separator, or a parenthesis with a space.
            let mut next = at;
            let mut separator = 0;
            while next - at < 3 && matches!(self.byte(next), b' ' | b'-' | b'.' | b'/' | b'(' | b')') {
                if matches!(self.byte(next), b'(' | b')') {
                    groups.parenthesis = true;
                }
                if next > at && self.byte(next) == self.byte(next - 1) {
                    break;
                }
                separator = if separator == 0 || separator == b' ' {
                    self.byte(next)
                } else {
                    separator
                };
                next += 1;
            }
            if next == at || !self.byte(next).is_ascii_digit() {
                break;
            }
            groups.separators.push(separator);
            at = next;
        }
        // x123, ext. 123
        let rest = &self.bytes[groups.end..self.bytes.len().min(groups.end + 12)];
        let mark = [&b"x"[..], b" x", b" ext. ", b" ext ", b"ext"]
            .into_iter()
            .find(|mark| rest.starts_with(mark));
        if let Some(mark) = mark {
            let digits = rest[mark.len()..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if (1..=6).contains(&digits) {
                groups.end += mark.len() + digits;
                groups.extension = true;
            }
        }
        groups
    }

    /// Card, social security, national and telephone numbers, with or without separators.
    fn grouped(&mut self, groups: &Groups, context: &Lazy<'_>) {
        let span = groups.start..groups.end;
        let bare = groups.start + usize::from(groups.parenthesis && self.byte(groups.start) == b'(')..groups.end;
        let digits = &*groups.digits;
        let single = groups.lengths.len() == 1;
        if self.byte(groups.end).is_ascii_alphabetic() && !groups.extension {
            return;
        }
        if (single
            || groups.uniform()
                && matches!(groups.separators[0], b' ' | b'-')
                && groups.lengths.iter().all(|length| *length >= 3))
            && let Some(known) = check::pan(digits)
        {
            let near = context.has(Kind::Pan);
            let shape = single
                || groups.lengths.iter().all(|length| *length == 4)
                || matches!(groups.lengths[..], [4, 6, 4 | 5]);
            let confidence = match (near, known, shape) {
                (true, _, true) => 0.97,
                (true, true, false) => 0.9,
                (false, true, true) => 0.9,
                (true, false, false) | (false, true, false) => 0.55,
                (false, false, _) => 0.3,
            };
            self.add(Kind::Pan, span.clone(), confidence);
        }
        if digits.len() == 9
            && (single
                || groups.lengths[..] == [3, 2, 4] && groups.uniform() && matches!(groups.separators[0], b' ' | b'-'))
        {
            let cue = context.distance(Kind::Ssn);
            let confidence = match (check::ssn(digits), single, groups.spaced()) {
                (true, true, _) if cue != Context::FAR => by_distance(cue),
                (true, false, false) => 0.85f32.max(by_distance(cue) + 0.03),
                (true, false, true) => 0.55f32.max(by_distance(cue)),
                (false, false, _) if cue != Context::FAR => by_distance(cue) - 0.02,
                _ => 0.0,
            };
            let itin = check::itin(digits) && (context.has(Kind::Itin) || !single && cue == Context::FAR);
            self.add(
                Kind::Itin,
                bare.clone(),
                if !itin {
                    0.0
                } else if context.has(Kind::Itin) {
                    0.95
                } else {
                    0.55
                },
            );
            self.add(Kind::Ssn, bare.clone(), confidence);
        }
        if !single {
            self.national(digits, bare.clone(), context, groups.uniform());
        }
        self.phone(groups, context);
    }

    /// Numbers written in one piece.
    fn alone(&mut self, start: usize, end: usize, letters: usize, context: &Lazy<'_>) {
        let chunk = &self.text[start..end];
        if check::crypto(chunk) {
            let confidence = if context.has(Kind::Crypto) { 0.95 } else { 0.7 };
            return self.add(Kind::Crypto, start..end, confidence);
        }
        let mut plain = Few::<LONGEST>::default();
        for byte in chunk.bytes().filter(u8::is_ascii_alphanumeric) {
            plain.push(byte.to_ascii_uppercase());
        }
        let number = &*plain;
        self.track(start, end);
        if letters > 0 {
            let iban_end = self.iban_end(start, end);
            if let Some(iban_end) = iban_end {
                self.done = self.done.max(iban_end);
                return self.add(Kind::Iban, start..iban_end, 0.97);
            }
            for (kind, valid, alone) in [
                (Kind::Vin, number.len() == 17 && check::vin(number), 0.75),
                (Kind::Mbi, number.len() == 11 && check::mbi(number), 0.75),
                (Kind::Dea, number.len() == 9 && check::dea(number), 0.55),
                (Kind::EuVat, national::vat(number), 0.3),
            ] {
                if valid {
                    let confidence = if context.has(kind) { 0.95 } else { alone };
                    self.add(kind, start..end, confidence);
                }
            }
            // The century sign of a Finnish code is one of the separators.
            if chunk.len() == 11 && national::finland(chunk.to_ascii_uppercase().as_bytes()) {
                self.add(Kind::NatFi, start..end, 0.85);
            }
            self.national(number, start..end, context, false);
            return;
        }
        for (kind, valid, far) in [
            (Kind::Npi, number.len() == 10 && check::npi(number), 6),
            (Kind::Imei, number.len() == 15 && check::luhn(number), 6),
            (Kind::BankRouting, number.len() == 9 && check::routing(number), 4),
        ] {
            if valid && context.distance(kind) <= far {
                self.add(kind, start..end, 0.95);
            }
        }
        if chunk.len() == number.len() || number.len() == 13 {
            self.national(number, start..end, context, chunk.contains('.'));
        }
    }

    /// National identifiers. `grouped`: written with the separators that are usual for it.
    fn national(&mut self, number: &[u8], span: std::ops::Range<usize>, context: &Lazy<'_>, grouped: bool) {
        if !(9..=16).contains(&number.len()) {
            return;
        }
        let dashed = self.text[span.clone()].contains('-');
        let dotted = self.text[span.clone()].contains('.');
        for (kind, telling) in national::candidates(number) {
            let confidence = match kind {
                _ if context.has(kind) => 0.95,
                Kind::NatBr if dotted && dashed => 0.85,
                Kind::NatBe if dotted && dashed => 0.85,
                Kind::NatCh if dotted => 0.95,
                Kind::NatSe if dashed && number.len() == 10 => 0.55,
                Kind::NatIn if grouped && !dashed && !dotted => 0.6,
                Kind::NatFr if context.has(Kind::Pan) => 0.3,
                _ if telling => 0.7,
                _ => 0.0,
            };
            if confidence > 0.0 {
                self.add(kind, span.clone(), confidence);
            }
        }
    }

    /// An id-shaped token after a context word that suffices.
    fn by_cue(&mut self, start: usize, end: usize, groups: &Groups, context: &Lazy<'_>) {
        let wide = groups.lengths.len() > 1 && groups.spaced() && groups.lengths.iter().all(|length| *length >= 2);
        let end = if wide { groups.end.max(end) } else { end };
        let chunk = &self.text[start..end];
        let digits = chunk.bytes().filter(u8::is_ascii_digit).count();
        let letters = chunk.bytes().filter(u8::is_ascii_alphabetic).count();
        let year = digits == 4 && letters == 0 && matches!(&self.bytes[start..start + 2], b"19" | b"20");
        let unit = letters > 0 && chunk.bytes().take_while(u8::is_ascii_digit).count() == digits && digits < 4;
        if digits + letters < 4 || digits < 2 || unit || (digits < 3 && letters < 2) {
            return;
        }
        let Some((kind, distance)) = context.nearest(Kind::by_cue) else {
            return;
        };
        let mut confidence = by_distance(distance);
        if letters == 0 && digits < 5 {
            confidence -= if year { 0.45 } else { 0.15 };
        }
        // A few digits some words after "id" are a count or a figure's number.
        if letters == 0 && digits < 6 && distance >= 2 {
            confidence -= 0.3;
        }
        if chunk.contains('.') || chunk.starts_with("0x") {
            confidence -= 0.4;
        }
        // So are types, formats and standards called: int32, x509-ocsp, BASE32_NOPAD, RFC 9562.
        let before = self.word_before(start).map(|word| &self.text[word]);
        let after_standard = before.is_some_and(|word| STANDARDS.iter().any(|known| word.eq_ignore_ascii_case(known)));
        let standard = digits <= 4
            && STANDARDS.iter().any(|known| {
                let (head, rest) = chunk.split_at_checked(known.len()).unwrap_or_default();
                head.eq_ignore_ascii_case(known) && !rest.starts_with(|next: char| next.is_ascii_alphabetic())
            });
        // Times, pages, digits in groups, round figures and pairs as in a dump are numbers of something else.
        let figure = chunk.contains([':', '_']) || chunk.ends_with("0000") || wide && groups.in_pairs();
        if letters > digits || standard || letters == 0 && (figure || after_standard) {
            confidence -= 0.45;
        }
        if self.byte(end) == b'%'
            || self.byte(start.wrapping_sub(1)) == b'$'
            || self.byte(start.wrapping_sub(1)) == b'.'
        {
            confidence -= 0.5;
        }
        self.add(kind, start..end, confidence);
    }

    /// An age over 89 (164.514(b)(2)(i)(C)).
    fn age(&mut self, start: usize, end: usize, context: &Lazy<'_>) {
        let chunk = &self.bytes[start..end];
        let count = chunk.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = chunk[..count.min(4)]
            .iter()
            .fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        if !(90..=125).contains(&value) || count > 3 {
            return;
        }
        let tail = &self.text[start + count..super::context::floor(self.text, start + count + 16)];
        let tail = tail.trim_start_matches([' ', '-']).to_ascii_lowercase();
        let unit = [
            "years old",
            "years-old",
            "year old",
            "year-old",
            "yr old",
            "yr-old",
            "yo",
            "y/o",
            "y.o",
            "years of age",
            "yrs old",
        ]
        .into_iter()
        .find(|unit| tail.starts_with(unit));
        if let Some(unit) = unit {
            let from = self.text[start + count..]
                .find(|letter| letter != ' ' && letter != '-')
                .unwrap_or(0);
            let to = start + count + from + unit.len();
            self.add(Kind::AgeOver89, start..to, 0.95);
        } else if count == chunk.len() && context.distance(Kind::AgeOver89) <= 2 && self.byte(end) != b'%' {
            self.add(Kind::AgeOver89, start..end, 0.85);
        }
    }
}
