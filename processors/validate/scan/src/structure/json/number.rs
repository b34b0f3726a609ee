//! Numbers: their grammar as a machine, and what programs make of them.

/// Where in a number we are (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Spot {
    /// The state after the first byte.
    pub fn first(byte: u8) -> Self {
        match byte {
            b'-' => Self::Minus,
            b'0' => Self::Zero,
            _ => Self::Whole,
        }
    }

    /// The next state; `None` when the byte does not belong to the number.
    #[inline]
    pub fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus | Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::Sign,
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }

    /// Whether the number may end here.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Power)
    }
}

/// What IEEE 754 binary64, and so most programs, make of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays, but for rounding of its last digits.
    Kept,
    /// An integer beyond 2⁵³ that changes when read.
    Rounded,
    /// Too large: infinite.
    Infinite,
    /// Not zero, but becomes zero.
    Vanished,
}

pub(super) fn fate(number: &str) -> Fate {
    let exponent = number.bytes().position(|byte| matches!(byte, b'e' | b'E'));
    if exponent.is_none() && number.len() <= 15 {
        return Fate::Kept;
    }
    let digits = &number[..exponent.unwrap_or(number.len())];
    let value: f64 = number.parse().unwrap_or(0.0);
    if value.is_infinite() {
        Fate::Infinite
    } else if value == 0.0 && digits.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
        Fate::Vanished
    } else if exponent.is_none() && !number.contains('.') && value.abs() >= 9_007_199_254_740_992.0 {
        // Written out again, an integer that f64 holds exactly has the same digits.
        let same = format!("{value:.0}") == number;
        if same { Fate::Kept } else { Fate::Rounded }
    } else {
        Fate::Kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates() {
        for (number, expected) in [
            ("1e400", Fate::Infinite),
            ("-1e309", Fate::Infinite),
            ("1.7976931348623157e308", Fate::Kept),
            ("1e-400", Fate::Vanished),
            ("0e400", Fate::Kept),
            ("0e-400", Fate::Kept),
            ("9007199254740993", Fate::Rounded),
            ("90071992547409931", Fate::Rounded),
            ("90071992547409920", Fate::Kept),
            ("-123456789012345678901234567890", Fate::Rounded),
        ] {
            assert_eq!(fate(number), expected, "{number}");
        }
        assert_eq!(fate(&"9".repeat(400)), Fate::Infinite);
    }
}
