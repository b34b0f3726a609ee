//! Telephone and fax numbers: the North American plan by its grammar, others by sign, trunk zero and context.

use super::context::{Context, Lazy};
use super::kind::Kind;
use super::number::Groups;
use super::scan::Scan;

/// Area and exchange codes begin with 2 to 9 (North American Numbering Plan); `555` and the like are accepted.
fn north_american(digits: &[u8]) -> bool {
    let national = if digits.len() == 11 && digits[0] == b'1' {
        &digits[1..]
    } else {
        digits
    };
    national.len() == 10 && national[0] >= b'2' && national[3] >= b'2'
}

impl Scan<'_> {
    /// A telephone number of 7 to 15 digits (E.164 has at most 15).
    pub(super) fn phone(&mut self, groups: &Groups, context: &Lazy<'_>) {
        let digits = &*groups.digits;
        let lengths = &*groups.lengths;
        if !((7..=15).contains(&digits.len()) || groups.extension && digits.len() < 20) {
            return;
        }
        if groups.is_version(&self.text[groups.start..groups.end]) || groups.in_pairs() && self.is_dump(groups) {
            return;
        }
        let single = lengths.len() == 1;
        let (phone, fax) = (context.distance(Kind::Phone), context.distance(Kind::Fax));
        let cue = phone.min(fax);
        // Thousands in groups of three, decimals and ranges are numbers, not telephone numbers.
        let thousands = !single
            && !groups.plus
            && !groups.parenthesis
            && digits[0] != b'0'
            && lengths[1..].iter().all(|length| *length == 3);
        let ranges = lengths.len() == 2 && lengths[0] == lengths[1] && groups.separators[0] != b' ';
        let slashes = groups.separators.contains(&b'/');
        let dashed = groups
            .separators
            .iter()
            .all(|separator| matches!(separator, b'-' | b'.' | b' ' | b')' | b'('));
        let american = north_american(digits);
        let shape: f32 = match lengths {
            _ if groups.plus && digits.len() >= 8 => 0.85,
            [3, 3, 4] | [1, 3, 3, 4] if american && (groups.parenthesis || !groups.spaced_only()) => 0.8,
            [3, 7] | [3, 3, 4] if american && groups.parenthesis => 0.8,
            [_, 3, 3, 4] if lengths[0] < 4 && (digits.starts_with(b"00") || digits[0] == b'1') => 0.75,
            [3, 3, 4] => 0.55,
            _ if groups.extension && digits.len() >= 7 => 0.8,
            [2, 2, 2, 2, 2] if digits[0] == b'0' && groups.uniform_only() => 0.75,
            [_, _, ..] if groups.parenthesis && digits.len() >= 9 => 0.6,
            [3..=5, 2..=4, ..] if digits[0] == b'0' && digits.len() >= 9 && dashed => 0.55,
            [3, 4] if !groups.spaced_only() => 0.4,
            [_, _, ..] if digits[0] == b'0' && digits.len() >= 8 && dashed => 0.45,
            [_, _, _, ..] if dashed && !thousands => 0.3,
            _ => 0.2,
        };
        if slashes && !groups.plus || ranges && cue == Context::FAR {
            return;
        }
        let boost: f32 = match cue {
            0..=2 => 0.92,
            3..=4 => 0.85,
            5..=6 => 0.7,
            Context::FAR => 0.0,
            _ => 0.55,
        };
        // "social security number is": the more telling word wins over the mere "number is".
        let rival = context.nearest(|kind| {
            kind.by_cue() || matches!(kind, Kind::Ssn | Kind::Itin | Kind::Pan | Kind::NatUkNhs | Kind::Npi)
        });
        let boost = if rival.is_some_and(|(_, distance)| distance <= cue.saturating_add(1)) {
            boost * 0.6
        } else {
            boost
        };
        // In one piece it needs its context word, unless the plan's grammar and nothing else fits.
        let confidence = match (boost > 0.0, single) {
            (true, true) if !groups.plus && digits.len() > 12 => 0.3,
            (true, true) if !groups.plus && digits.len() < 8 => boost - 0.15,
            (true, _) => boost.max(shape) + if shape > 0.5 { 0.04 } else { 0.0 },
            (false, true) if !groups.plus => 0.15,
            (false, _) if thousands && shape < 0.5 => 0.1,
            (false, _) => shape,
        };
        let kind = if fax < phone { Kind::Fax } else { Kind::Phone };
        // A parenthesis that was opened before the number and is closed after it belongs to the sentence.
        let open = self.byte(groups.start) == b'(' && !self.text[groups.start..groups.end].contains(')');
        let start = groups.start + usize::from(open);
        self.add(kind, start..groups.end, confidence);
        if confidence >= 0.5 {
            self.done = self.done.max(groups.end);
        }
    }

    /// Whether pairs of digits go on as pairs of hexadecimal ones, before or after.
    fn is_dump(&self, groups: &Groups) -> bool {
        let pair = |at: usize| self.byte(at).is_ascii_hexdigit() && self.byte(at.wrapping_add(1)).is_ascii_hexdigit();
        let (start, end) = (groups.start, groups.end);
        self.byte(end) == b' ' && pair(end + 1) && !self.byte(end + 3).is_ascii_alphanumeric()
            || start > 2 && self.byte(start - 1) == b' ' && pair(start - 3)
    }
}

impl Groups {
    /// A version with a date or a build in parentheses, a decimal fraction or an object identifier: before a parenthesis only a country code stands, a number
    /// of two groups has no dot behind the first digits, none has dots between more than five or more than seven at all, or begins with two
    /// digits that stand alone.
    fn is_version(&self, text: &str) -> bool {
        let before = text.find('(').map_or("", |open| &text[..open]);
        let code = before.bytes().filter(u8::is_ascii_digit).count();
        let fraction = !self.plus && matches!(self.lengths[..], [1 | 2 | 5.., _]) && self.separators[0] == b'.';
        let object = self.lengths.len() > 5 && self.separators.iter().all(|separator| *separator == b'.');
        let shape = !self.plus && self.lengths.starts_with(&[1, 1]) || self.lengths.len() > 7;
        code > 3 || before.contains('.') || fraction || object || shape
    }

    /// Every separator is a space.
    fn spaced_only(&self) -> bool {
        self.separators.iter().all(|separator| *separator == b' ')
    }

    /// Every separator is the same.
    fn uniform_only(&self) -> bool {
        self.separators.windows(2).all(|pair| pair[0] == pair[1])
    }
}
