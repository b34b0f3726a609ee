//! National identifiers with their check digits. Sources: the issuing authorities' published rules, named at each function.

use super::check::{digits, luhn, verhoeff, weighted};
use super::kind::Kind;

/// A check of digits or letters and digits without separators.
type Check = fn(&[u8]) -> bool;

/// What a chunk without separators may be: each with whether its form alone is telling enough to need no context word.
pub fn candidates(number: &[u8]) -> impl Iterator<Item = (Kind, bool)> {
    let checks: [(Kind, bool, Check); 19] = [
        (Kind::NatEs, true, spain),
        (Kind::NatIt, true, italy),
        (Kind::NatFi, true, finland),
        (Kind::NatUkNino, true, nino),
        (Kind::NatFr, true, france),
        (Kind::NatNl, false, netherlands),
        (Kind::NatPl, false, poland),
        (Kind::NatDe, false, germany),
        (Kind::NatSe, false, sweden),
        (Kind::NatBe, false, belgium),
        (Kind::NatPt, false, portugal),
        (Kind::NatDk, false, denmark),
        (Kind::NatNo, false, norway),
        (Kind::NatCh, true, switzerland),
        (Kind::NatUkNhs, false, nhs),
        (Kind::NatIn, false, india),
        (Kind::NatBr, false, brazil),
        (Kind::NatCa, false, canada),
        (Kind::NatAu, false, australia),
    ];
    let number = number.to_vec();
    checks
        .into_iter()
        .filter(move |(.., check)| check(&number))
        .map(|(kind, telling, _)| (kind, telling))
}

fn day_and_month(day: u32, month: u32) -> bool {
    (1..=31).contains(&day) && (1..=12).contains(&month)
}

fn varied(digits: &[u32]) -> bool {
    digits.iter().any(|digit| *digit != digits[0])
}

/// DNI: eight digits and a letter, NIE: X, Y or Z, seven digits and a letter; remainder by 23 (Ministerio del Interior).
pub fn spain(number: &[u8]) -> bool {
    let [first, .., last] = number else { return false };
    let lead: &[u8] = match first {
        b'X' => b"0",
        b'Y' => b"1",
        b'Z' => b"2",
        b'0'..=b'9' => &[],
        _ => return false,
    };
    let body = [lead, &number[usize::from(!lead.is_empty())..number.len() - 1]].concat();
    let Some(digits) = digits(&body) else { return false };
    let value = digits.iter().fold(0, |value, digit| (value * 10 + digit) % 23);
    digits.len() == 8 && *last == b"TRWAGMYFPDXBNJZSQVHLCKE"[value as usize]
}

/// Codice fiscale: 16 places, check letter (D.M. 23 December 1976).
pub fn italy(number: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let form = |(index, byte): (usize, &u8)| match index {
        0..=5 | 8 | 11 | 15 => byte.is_ascii_uppercase(),
        // Digits become the letters LMNPQRSTUV where two people would have the same code.
        _ => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(byte),
    };
    if number.len() != 16 || !number.iter().enumerate().all(form) || !b"ABCDEHLMPRST".contains(&number[8]) {
        return false;
    }
    let value = |byte: u8| {
        usize::from(if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            byte - b'A'
        })
    };
    let sum: u32 = number[..15]
        .iter()
        .enumerate()
        .map(|(index, &byte)| {
            if index % 2 == 0 {
                ODD[value(byte)]
            } else {
                value(byte) as u32
            }
        })
        .sum();
    u32::from(number[15] - b'A') == sum % 26
}

/// BSN: nine digits, weights 9 to 2 and -1, modulo 11 (Besluit burgerservicenummer).
pub fn netherlands(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    d.len() == 9 && varied(&d) && (weighted(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) + 11 - d[8]).is_multiple_of(11)
}

/// PESEL: eleven digits, date of birth with the century in the month, weights 1 3 7 9 (PESEL act of 2010).
pub fn poland(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    d.len() == 11
        && day_and_month(d[4] * 10 + d[5], (d[2] * 10 + d[3]) % 20)
        && weighted(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// NIR: 13 digits (or Corsica's 2A, 2B) and a key, 97 less the remainder (INSEE).
pub fn france(number: &[u8]) -> bool {
    if number.len() != 15 || !matches!(number[0], b'1' | b'2') {
        return false;
    }
    let mut body = number.to_vec();
    let less = match &number[5..7] {
        b"2A" => 1_000_000,
        b"2B" => 2_000_000,
        _ => 0,
    };
    if less > 0 {
        body[6] = b'0';
    }
    let Some(d) = digits(&body) else { return false };
    let value = |part: &[u32]| part.iter().fold(0u64, |value, digit| value * 10 + u64::from(*digit));
    let month = value(&d[3..5]);
    (matches!(month, 1..=12 | 20..=42 | 50..=99)) && 97 - (value(&d[..13]) - less) % 97 == value(&d[13..])
}

/// Steuer-Identifikationsnummer: eleven digits, one of them twice or thrice in the first ten, ISO 7064 MOD 11,10 (139b AO).
pub fn germany(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    if d.len() != 11 || d[0] == 0 {
        return false;
    }
    let mut counts = [0; 10];
    d[..10].iter().for_each(|digit| counts[*digit as usize] += 1);
    let repeated = counts.iter().filter(|count| **count > 1).count();
    let most = counts.iter().max().copied().unwrap_or(0);
    let mut product = 10;
    for digit in &d[..10] {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        product = sum * 2 % 11;
    }
    repeated == 1 && (2..=3).contains(&most) && (11 - product) % 10 == d[10]
}

/// Personnummer: ten or twelve digits, date, Luhn (Skatteverket).
pub fn sweden(number: &[u8]) -> bool {
    let short = if number.len() == 12 && matches!(&number[..2], b"19" | b"20") {
        &number[2..]
    } else {
        number
    };
    let Some(d) = digits(short) else { return false };
    // A coordination number has 60 added to the day.
    d.len() == 10 && day_and_month((d[4] * 10 + d[5]) % 60, d[2] * 10 + d[3]) && luhn(short)
}

/// Henkilötunnus without its sign: six digits of the date, a century sign removed, three digits, a check letter or digit (DVV).
pub fn finland(number: &[u8]) -> bool {
    // With the century sign: 11 places.
    if number.len() != 11 || !b"-+ABCDEFYXWVU".contains(&number[6]) {
        return false;
    }
    let Some(d) = digits(&[&number[..6], &number[7..10]].concat()) else {
        return false;
    };
    let value = d.iter().fold(0u32, |value, digit| value * 10 + digit);
    day_and_month(d[0] * 10 + d[1], d[2] * 10 + d[3])
        && number[10] == b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(value % 31) as usize]
}

/// Rijksregisternummer: eleven digits, 97 less the remainder, with a 2 in front for those born from 2000 on.
pub fn belgium(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    if d.len() != 11 || (d[2] * 10 + d[3]) % 20 > 12 || d[4] * 10 + d[5] > 31 {
        return false;
    }
    let value = d[..9].iter().fold(0u64, |value, digit| value * 10 + u64::from(*digit));
    let key = u64::from(d[9] * 10 + d[10]);
    97 - value % 97 == key || 97 - (2_000_000_000 + value) % 97 == key
}

/// NIF: nine digits, weights 9 to 2, modulo 11 (Autoridade Tributária).
pub fn portugal(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    if d.len() != 9 || !matches!(d[0], 1 | 2 | 3 | 5 | 6 | 8 | 9) {
        return false;
    }
    let rest = weighted(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    d[8] == if rest < 2 { 0 } else { 11 - rest }
}

/// CPR: ten digits, date first; the check digit is not used since 2007 (CPR-kontoret).
pub fn denmark(number: &[u8]) -> bool {
    digits(number).is_some_and(|d| d.len() == 10 && day_and_month(d[0] * 10 + d[1], d[2] * 10 + d[3]))
}

/// Fødselsnummer: eleven digits, two check digits (Skatteetaten).
pub fn norway(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    d.len() == 11
        && day_and_month((d[0] * 10 + d[1]) % 40, (d[2] * 10 + d[3]) % 40)
        && weighted(&d[..10], &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// AHV number: 756 and ten digits, EAN-13 check (ZAS).
pub fn switzerland(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    d.len() == 13
        && number.starts_with(b"756")
        && weighted(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// NHS number: ten digits, weights 10 to 2, modulo 11 (NHS data dictionary).
pub fn nhs(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    d.len() == 10 && varied(&d) && weighted(&d, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// National insurance number by form: two letters, six digits, A to D (HMRC NIM39110).
pub fn nino(number: &[u8]) -> bool {
    if number.len() != 9 || !number[2..8].iter().all(u8::is_ascii_digit) || !matches!(number[8], b'A'..=b'D') {
        return false;
    }
    let prefix = &number[..2];
    prefix.iter().all(u8::is_ascii_uppercase)
        && !prefix.iter().any(|letter| b"DFIQUV".contains(letter))
        && prefix[1] != b'O'
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"]
            .iter()
            .any(|not| prefix == *not)
}

/// Aadhaar: twelve digits, not beginning with 0 or 1, Verhoeff (UIDAI).
pub fn india(number: &[u8]) -> bool {
    number.len() == 12 && number[0] >= b'2' && verhoeff(number)
}

/// CPF: eleven digits, two check digits modulo 11 (Receita Federal).
pub fn brazil(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    if d.len() != 11 || !varied(&d) {
        return false;
    }
    let check = |count: usize| {
        let sum: u32 = (0..count).map(|index| d[index] * (count + 1 - index) as u32).sum();
        sum * 10 % 11 % 10
    };
    check(9) == d[9] && check(10) == d[10]
}

/// SIN: nine digits, Luhn, not beginning with 0 or 8 (Service Canada).
pub fn canada(number: &[u8]) -> bool {
    number.len() == 9 && !matches!(number[0], b'0' | b'8') && luhn(number)
}

/// TFN: nine digits, weights 1 4 3 7 5 8 6 9 10, modulo 11 (Australian Taxation Office).
pub fn australia(number: &[u8]) -> bool {
    let Some(d) = digits(number) else { return false };
    d.len() == 9 && varied(&d) && weighted(&d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// VAT numbers of the European Union by country prefix: lengths of the part after it and whether letters occur in it
/// (VIES, structure of VAT identification numbers).
const VAT: &[(&str, &[usize], bool)] = &[
    ("ATU", &[8], false),
    ("BE", &[10], false),
    ("BG", &[9, 10], false),
    ("CY", &[9], true),
    ("CZ", &[8, 9, 10], false),
    ("DE", &[9], false),
    ("DK", &[8], false),
    ("EE", &[9], false),
    ("EL", &[9], false),
    ("ES", &[9], true),
    ("FI", &[8], false),
    ("FR", &[11], true),
    ("HR", &[11], false),
    ("HU", &[8], false),
    ("IE", &[8, 9], true),
    ("IT", &[11], false),
    ("LT", &[9, 12], false),
    ("LU", &[8], false),
    ("LV", &[11], false),
    ("MT", &[8], false),
    ("NL", &[12], true),
    ("PL", &[10], false),
    ("PT", &[9], false),
    ("RO", &[8, 9, 10], false),
    ("SE", &[12], false),
    ("SI", &[8], false),
    ("SK", &[10], false),
    ("XI", &[9], false),
];

/// A VAT number of a member state, by form, and by check digits for Belgium, Italy and Portugal.
pub fn vat(number: &[u8]) -> bool {
    let Some((prefix, lengths, letters)) = VAT.iter().find(|(prefix, ..)| number.starts_with(prefix.as_bytes())) else {
        return false;
    };
    let rest = &number[prefix.len()..];
    if !lengths.contains(&rest.len()) || rest.iter().filter(|byte| byte.is_ascii_digit()).count() < 7 {
        return false;
    }
    if !letters && !rest.iter().all(u8::is_ascii_digit) {
        return false;
    }
    match *prefix {
        "BE" => digits(rest).is_some_and(|d| {
            let value = d[..8].iter().fold(0, |value, digit| value * 10 + digit);
            97 - value % 97 == d[8] * 10 + d[9]
        }),
        "IT" => luhn(rest),
        "PT" => portugal(rest),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass() {
        assert!(spain(b"12345678Z") && spain(b"X1234567L") && !spain(b"12345678A"));
        assert!(italy(b"RSSMRA85T10A562S") && !italy(b"RSSMRA85T10A562T"));
        assert!(netherlands(b"111222333") && !netherlands(b"111222334"));
        assert!(poland(b"44051401359") && !poland(b"44051401358"));
        assert!(france(b"255081416802538") && !france(b"255081416802539"));
        assert!(germany(b"86095742719") && !germany(b"86095742718"));
        assert!(sweden(b"8112189876") && sweden(b"198112189876") && !sweden(b"8112189877"));
        assert!(finland(b"131052-308T") && !finland(b"131052-308U"));
        assert!(belgium(b"85073003328") && !belgium(b"85073003329"));
        assert!(portugal(b"123456789") && !portugal(b"123456780"));
        assert!(switzerland(b"7569217076985") && !switzerland(b"7569217076986"));
        assert!(nhs(b"9434765919") && !nhs(b"9434765918"));
        assert!(nino(b"AB123456C") && !nino(b"BG123456C") && !nino(b"AB123456E"));
        assert!(brazil(b"52998224725") && !brazil(b"52998224726") && !brazil(b"11111111111"));
        assert!(canada(b"130692544") && !canada(b"130692545"));
        assert!(australia(b"123456782") && !australia(b"123456783"));
        assert!(
            vat(b"ATU13585627")
                && vat(b"DE136695976")
                && vat(b"BE0428759497")
                && !vat(b"BE0428759498")
                && !vat(b"US123456789")
        );
    }

    #[test]
    fn a_made_up_number_with_right_digits_passes_and_each_wrong_last_digit_does_not() {
        for (right, check) in [
            (&b"234123412346"[..], india as fn(&[u8]) -> bool),
            (b"01010750160", norway),
        ] {
            let valid = (b'0'..=b'9')
                .filter(|digit| check(&[&right[..right.len() - 1], &[*digit]].concat()))
                .count();
            assert_eq!(valid, 1, "{}", String::from_utf8_lossy(right));
        }
    }
}
