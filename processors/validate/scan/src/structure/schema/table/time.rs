//! Dates and times as text, by formats of the kind `%Y-%m-%d`.

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A format known to be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::structure::schema) struct Format(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(char),
    Field(char),
}

impl Format {
    /// Understands `%Y %y %m %d %b %B %H %M %S %f %z %%`. `%f` is an optional fraction with its point, `%z` is `Z` or an offset, `%y` is
    /// 1969 to 2068 (POSIX).
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            parts.push(match letter {
                '%' => match letters.next() {
                    Some('%') => Part::Literal('%'),
                    Some(field) if "YymdbBHMSfz".contains(field) => Part::Field(field),
                    _ => return Err("a % may be followed by Y y m d b B H M S f z or %".to_owned()),
                },
                other => Part::Literal(other),
            });
        }
        let has = |fields: &str| {
            parts
                .iter()
                .any(|part| matches!(part, Part::Field(field) if fields.contains(*field)))
        };
        if has("Yy") && has("mbB") && has("d") {
            Ok(Self(parts))
        } else {
            Err("a format needs year, month and day".to_owned())
        }
    }

    /// Seconds since 1970-01-01, in UTC where no offset is given; `None` if the text is no such time or no such day exists.
    pub fn read(&self, text: &str) -> Option<f64> {
        let (mut year, mut month, mut day) = (0_i64, 0_i64, 0_i64);
        let (mut hour, mut minute, mut second, mut fraction, mut offset) = (0, 0, 0, 0.0, 0);
        let mut rest = text;
        for part in &self.0 {
            match part {
                Part::Literal(letter) => rest = rest.strip_prefix(*letter)?,
                Part::Field('Y') => year = digits(&mut rest, 4, 4)?,
                Part::Field('y') => {
                    let two = digits(&mut rest, 2, 2)?;
                    year = if two < 69 { 2000 + two } else { 1900 + two };
                }
                Part::Field('m') => month = digits(&mut rest, 1, 2)?,
                Part::Field('d') => day = digits(&mut rest, 1, 2)?,
                Part::Field('H') => hour = digits(&mut rest, 1, 2)?,
                Part::Field('M') => minute = digits(&mut rest, 2, 2)?,
                Part::Field('S') => second = digits(&mut rest, 2, 2)?,
                Part::Field('f') => fraction = part_of_second(&mut rest)?,
                Part::Field('z') => offset = zone(&mut rest)?,
                Part::Field(which) => month = name(&mut rest, *which == 'B')?,
            }
        }
        let days_of = [
            31,
            if is_leap(year) { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        let last = *days_of.get(usize::try_from(month - 1).ok()?)?;
        // 60 is a leap second.
        let valid = rest.is_empty() && (1..=last).contains(&day) && hour < 24 && minute < 60 && second <= 60;
        let whole = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        valid.then_some(whole as f64 + fraction)
    }
}

/// A date or time of ISO 8601 in its common forms.
pub(in crate::structure::schema) fn iso(text: &str) -> Option<f64> {
    let forms = [
        "%Y-%m-%d",
        "%Y-%m-%dT%H:%M:%S%f%z",
        "%Y-%m-%dT%H:%M:%S%f",
        "%Y-%m-%d %H:%M:%S%f",
    ];
    forms.iter().find_map(|form| Format::parse(form).ok()?.read(text))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 in the Gregorian calendar, for years from 0: years are counted from March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + of_year - 719_468
}

fn digits(rest: &mut &str, least: usize, most: usize) -> Option<i64> {
    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    let number = rest[..length].parse().ok()?;
    *rest = &rest[length..];
    Some(number)
}

fn part_of_second(rest: &mut &str) -> Option<f64> {
    let Some(after) = rest.strip_prefix('.') else {
        return Some(0.0);
    };
    let length = after.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let fraction = rest[..=length].parse().ok()?;
    *rest = &after[length..];
    Some(fraction)
}

fn zone(rest: &mut &str) -> Option<i64> {
    if let Some(after) = rest.strip_prefix('Z') {
        *rest = after;
        return Some(0);
    }
    let sign = match rest.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    *rest = &rest[1..];
    let hours = digits(rest, 2, 2)?;
    *rest = rest.strip_prefix(':').unwrap_or(rest);
    let minutes = digits(rest, 2, 2)?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn name(rest: &mut &str, whole: bool) -> Option<i64> {
    let matches = |month: &&str| {
        let name = if whole { month } else { &month[..3] };
        rest.get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name))
            .then_some(name.len())
    };
    let (number, length) = MONTHS
        .iter()
        .enumerate()
        .find_map(|(number, month)| Some((number, matches(month)?)))?;
    *rest = &rest[length..];
    i64::try_from(number + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        for (text, seconds) in [
            ("1970-01-01", Some(0.0)),
            ("2000-02-29", Some(951_782_400.0)),
            ("1900-02-29", None),
            ("2023-13-01", None),
            ("2023-00-01", None),
            ("2023-04-31", None),
            ("1969-12-31T23:59:59Z", Some(-1.0)),
            ("1970-01-01T01:00:00.5+01:00", Some(0.5)),
            ("1970-01-01T00:00:00-0130", Some(5400.0)),
            ("1970-01-01 24:00:00", None),
            ("1970-01-01x", None),
            ("", None),
        ] {
            assert_eq!(iso(text), seconds, "{text}");
        }
        let read = |format: &str, text| Format::parse(format).unwrap().read(text);
        assert_eq!(read("%d/%m/%y", "2/1/70"), Some(86_400.0));
        assert_eq!(read("%d %b %Y", "01 Jan 1970"), Some(0.0));
        assert_eq!(read("%B %d, %Y", "may 01, 1970"), Some(120.0 * 86_400.0));
        assert!(Format::parse("%Y-%m").is_err() && Format::parse("%q").is_err() && Format::parse("%").is_err());
    }

    proptest! {
        #[test]
        fn days_follow_each_other(year in 1_i64..9999, month in 1_i64..=12) {
            let (after, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let length = days(after, next, 1) - days(year, month, 1);
            let last = format!("{year:04}-{month:02}-{length:02}");
            let beyond = format!("{year:04}-{month:02}-{:02}", length + 1);
            prop_assert!(iso(&last).is_some() && iso(&beyond).is_none());
        }

        #[test]
        fn nothing_panics(text in "[0-9TZ:+ .a-zé-]{0,30}") {
            iso(&text);
        }
    }
}
