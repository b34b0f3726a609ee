//! Dates that are more precise than a year. A bare year is none (45 CFR 164.514(b)(2)(i)(C)); beside a person's name it is noted apart.

use super::kind::Kind;
use super::lexicon::flag;
use super::scan::Scan;

fn value(digits: &str) -> Option<u32> {
    (!digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| {
        digits
            .bytes()
            .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
    })
}

fn is_year(year: u32) -> bool {
    (1850..=2100).contains(&year)
}

/// Three short numbers with hyphens are a date only where one is expected.
const HYPHENS: f32 = 0.45;

/// How sure it is that three numbers are a date.
fn three(parts: [&str; 3], separator: char) -> Option<f32> {
    let [a, b, c] = [value(parts[0])?, value(parts[1])?, value(parts[2])?];
    let day_month = |day: u32, month: u32| (1..=31).contains(&day) && (1..=12).contains(&month);
    match (parts[0].len(), parts[1].len(), parts[2].len()) {
        (4, 1..=2, 1..=2) if is_year(a) && day_month(c, b) => Some(0.95),
        (1..=2, 1..=2, 4) if is_year(c) && (day_month(a, b) || day_month(b, a)) => Some(0.95),
        // Two-digit years: dots make version numbers too.
        (1..=2, 1..=2, 2) if separator == '/' && (day_month(a, b) || day_month(b, a)) => Some(0.85),
        (2, 2, 2) if separator == '.' && day_month(a, b) => Some(0.55),
        (1..=2, 1..=2, 2) if separator == '-' && (day_month(a, b) || day_month(b, a)) => Some(HYPHENS),
        _ => None,
    }
}

impl Scan<'_> {
    /// Looks for a date at the chunk. `true`: it is one, and nothing else.
    pub(super) fn date(&mut self, start: usize, end: usize) -> bool {
        let chunk = &self.text[start..end];
        if chunk.len() > 32 {
            return false;
        }
        self.numeric(start, end) || self.with_month(start, end)
    }

    fn numeric(&mut self, start: usize, end: usize) -> bool {
        let chunk = &self.text[start..end];
        let head_length = chunk.find(['T', ':']).filter(|at| *at >= 8).unwrap_or(chunk.len());
        let head = &chunk[..head_length];
        let Some(separator) = head.chars().find(|letter| matches!(letter, '/' | '-' | '.')) else {
            // 20230412 only where a date is expected.
            let compact = chunk.len() == 8
                && value(&chunk[..4.min(chunk.len())]).is_some_and(is_year)
                && chunk.bytes().all(|b| b.is_ascii_digit());
            if compact && three([&chunk[..4], &chunk[4..6], &chunk[6..8]], '-').is_some() {
                let context = self.context(start, end);
                if context.distance(Kind::Date) <= 2 && context.nearest(|kind| kind.by_cue()).is_none() {
                    self.add(Kind::Date, start..end, 0.8);
                }
            }
            return false;
        };
        let parts: Vec<&str> = head.split(separator).collect();
        let confidence = match parts[..] {
            [a, b, c] => match three([a, b, c], separator) {
                Some(found) if found == HYPHENS && self.context(start, end).distance(Kind::Date) <= 3 => 0.75,
                Some(confidence) => confidence,
                // 12-Apr-2023
                None if self.lexicon.word(b).flags & flag::MONTH != 0
                    && value(a).is_some_and(|day| (1..=31).contains(&day))
                    && value(c).is_some_and(|year| is_year(year) || c.len() == 2) =>
                {
                    0.95
                }
                None => return false,
            },
            // 04/2023; and 4/12 where a date is expected.
            [a, b] if separator == '/' => match (value(a), value(b)) {
                (Some(month), Some(year)) if (1..=12).contains(&month) && b.len() == 4 && is_year(year) => 0.7,
                (Some(month), Some(day)) if (1..=12).contains(&month) && (1..=31).contains(&day) && b.len() <= 2 => {
                    let context = self.context(start, end);
                    if context.distance(Kind::Date) > 0 {
                        return false;
                    }
                    0.6
                }
                _ => return false,
            },
            _ => return false,
        };
        let end = if head_length == chunk.len() {
            self.time(end)
        } else {
            end
        };
        self.add(Kind::Date, start..end, confidence);
        self.done = self.done.max(end);
        true
    }

    /// Where a time of day after a date ends: " 03:07:43", " 3:07 PM".
    fn time(&self, end: usize) -> usize {
        let rest = &self.bytes[end..self.bytes.len().min(end + 24)];
        let skip = match rest {
            [b',', b' ', ..] => 2,
            [b' ', ..] => 1,
            _ => return end,
        };
        let digits = |from: usize| {
            rest[from.min(rest.len())..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let mut at = skip;
        let hour = digits(at);
        if !(1..=2).contains(&hour) || rest.get(at + hour) != Some(&b':') || digits(at + hour + 1) != 2 {
            return end;
        }
        at += hour + 3;
        if rest.get(at) == Some(&b':') && digits(at + 1) == 2 {
            at += 3;
        }
        for noon in [&b" AM"[..], b" PM", b" am", b" pm", b"am", b"pm", b"Z"] {
            if rest[at..].starts_with(noon) {
                at += noon.len();
                break;
            }
        }
        end + at
    }

    /// "April 12, 2023", "12th of April 2023", "April 2023", "Jan 20th '23".
    fn with_month(&mut self, start: usize, end: usize) -> bool {
        let chunk = &self.text[start..end];
        let count = chunk.bytes().take_while(u8::is_ascii_digit).count();
        let suffix = &chunk[count..];
        let ordinal = matches!(suffix.to_ascii_lowercase().as_str(), "st" | "nd" | "rd" | "th");
        let Some(number) = value(&chunk[..count.min(5)]) else {
            return false;
        };
        if !suffix.is_empty() && !ordinal {
            return false;
        }
        let before = self.word_before(start).filter(|word| self.is_month(word));
        if count == 4 && is_year(number) {
            if let Some(month) = before {
                self.add(
                    Kind::Date,
                    month.start..end,
                    if self.capital(&month) { 0.85 } else { 0.5 },
                );
                return true;
            }
            self.add(Kind::PersonYear, start..end, 0.3);
            return false;
        }
        if count > 2 || !(1..=31).contains(&number) {
            return false;
        }
        if let Some(month) = before {
            let year = self.year_after(end);
            let sure = self.capital(&month) || ordinal || year.is_some();
            let to = self.time(year.unwrap_or(end));
            self.add(
                Kind::Date,
                month.start..to,
                if year.is_some() {
                    0.95
                } else if sure {
                    0.8
                } else {
                    0.3
                },
            );
            self.done = self.done.max(to);
            return sure;
        }
        // "12 April", "12th of April", "12. April"
        let mut next = self.word_after(end);
        if next
            .as_ref()
            .is_some_and(|word| matches!(&self.text[word.clone()], "of" | "de"))
        {
            next = next.and_then(|word| self.word_after(word.end));
        }
        let Some(month) = next.filter(|word| self.is_month(word) && word.start - end <= 8) else {
            return false;
        };
        let year = self.year_after(month.end);
        if !self.capital(&month) && year.is_none() && !ordinal {
            return false;
        }
        let to = year.unwrap_or(month.end);
        self.add(Kind::Date, start..to, if year.is_some() { 0.95 } else { 0.7 });
        self.done = self.done.max(to);
        true
    }

    fn capital(&self, word: &std::ops::Range<usize>) -> bool {
        super::pass::is_capital(self.text, word.start)
    }

    fn is_month(&self, word: &std::ops::Range<usize>) -> bool {
        self.flags(word) & flag::MONTH != 0
    }

    /// End of a year after a day or a month: ", 2023", " 2023", " '23".
    fn year_after(&self, end: usize) -> Option<usize> {
        let mut at = end;
        while at - end < 3 && matches!(self.byte(at), b' ' | b',' | b'.') {
            at += 1;
        }
        if self.bytes[at.min(self.bytes.len())..].starts_with(b"de ")
            || self.bytes[at.min(self.bytes.len())..].starts_with(b"of ")
        {
            at += 3;
        }
        let short = matches!(self.byte(at), b'\'');
        at += usize::from(short);
        let count = self.bytes[at.min(self.bytes.len())..]
            .iter()
            .take(5)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let year = value(self.text.get(at..at + count)?)?;
        let fits = if short { count == 2 } else { count == 4 && is_year(year) };
        (at > end && fits && !self.byte(at + count).is_ascii_alphanumeric()).then_some(at + count)
    }
}
