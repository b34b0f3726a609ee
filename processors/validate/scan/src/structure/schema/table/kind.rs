//! Types of columns.

use super::super::expr::{Type, Val};
use super::time::Format;

/// How the text of a cell is read.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Integer,
    Decimal,
    Text,
    Boolean,
    Time(Vec<Format>, &'static str),
}

impl Kind {
    /// The type by its name in a contract. `formats` applies to dates and times.
    pub fn of(name: &str, formats: &[String]) -> Result<Self, String> {
        let timed = |default: &[&str], what| {
            let given: Vec<&str> = if formats.is_empty() {
                default.to_vec()
            } else {
                formats.iter().map(String::as_str).collect()
            };
            let parsed: Result<Vec<Format>, String> = given.into_iter().map(Format::parse).collect();
            Ok(Self::Time(parsed?, what))
        };
        match name {
            "date" => timed(&["%Y-%m-%d"], "a date"),
            "datetime" => timed(
                &["%Y-%m-%dT%H:%M:%S%f%z", "%Y-%m-%dT%H:%M:%S%f", "%Y-%m-%d %H:%M:%S%f"],
                "a time",
            ),
            "integer" => Ok(Self::Integer),
            "decimal" => Ok(Self::Decimal),
            "text" | "enum" => Ok(Self::Text),
            "boolean" => Ok(Self::Boolean),
            _ => Err("takes integer, decimal, text, enum, boolean, date or datetime".to_owned()),
        }
    }

    pub fn expr(&self) -> Type {
        match self {
            Self::Integer | Self::Decimal => Type::Number,
            Self::Text => Type::Text,
            Self::Boolean => Type::Truth,
            Self::Time(..) => Type::Time,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Integer => "an integer",
            Self::Decimal => "a decimal number",
            Self::Text => "a text",
            Self::Boolean => "true or false",
            Self::Time(_, what) => what,
        }
    }

    /// The value of a text; `None` if it is none of this type.
    pub fn read<'t>(&self, text: &'t str) -> Option<Val<'t>> {
        match self {
            Self::Text => Some(Val::Text(text)),
            Self::Integer => {
                let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
                let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                good.then(|| text.parse().ok().map(Val::Number)).flatten()
            }
            Self::Decimal => {
                // `inf`, `nan` and `1.` are numbers to Rust, and no decimals.
                let good = text
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
                    && !text.starts_with(['e', 'E'])
                    && !text.ends_with('.');
                let number: f64 = good.then(|| text.parse().ok()).flatten()?;
                number.is_finite().then_some(Val::Number(number))
            }
            Self::Boolean => {
                let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
                match (is(["true", "yes", "1", "t"]), is(["false", "no", "0", "f"])) {
                    (true, _) => Some(Val::Truth(true)),
                    (_, true) => Some(Val::Truth(false)),
                    _ => None,
                }
            }
            Self::Time(formats, _) => formats.iter().find_map(|format| format.read(text)).map(Val::Time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let read = |kind: &str, text| Kind::of(kind, &[]).unwrap().read(text);
        for (kind, good, bad) in [
            (
                "integer",
                &["0", "-5", "+7", "007"][..],
                &["", "-", "1.0", "1e3", "x", "１", " 1"][..],
            ),
            (
                "decimal",
                &["0", "-5.25", ".5", "1e-3", "+1.5E+10"],
                &["", "1.", "inf", "NaN", "e5", "1e999", "1,5", "-", "."],
            ),
            ("boolean", &["true", "No", "1", "F"], &["", "2", "y e s"]),
            ("date", &["2024-02-29"], &["2023-02-29", "29.02.2024", ""]),
            (
                "datetime",
                &["2024-01-01T00:00:00Z", "2024-01-01 10:00:00.123"],
                &["2024-01-01", "2024-01-01T25:00:00Z"],
            ),
            ("text", &["", "x"], &[]),
        ] {
            good.iter()
                .for_each(|text| assert!(read(kind, text).is_some(), "{kind} {text}"));
            bad.iter()
                .for_each(|text| assert!(read(kind, text).is_none(), "{kind} {text}"));
        }
        assert!(Kind::of("number", &[]).is_err());
        assert!(Kind::of("date", &["%Y".to_owned()]).is_err());
    }
}
