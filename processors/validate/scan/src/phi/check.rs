//! Check digits. Every function takes the digits (or letters and digits) without separators; anything else is `false`.

/// The value of ASCII digits; `None` when one is something else.
pub fn digits(bytes: &[u8]) -> Option<Vec<u32>> {
    bytes
        .iter()
        .map(|byte| byte.is_ascii_digit().then(|| u32::from(byte - b'0')))
        .collect()
}

/// Sum of digit times weight.
pub fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Luhn, ISO/IEC 7812-1 annex B.
pub fn luhn(number: &[u8]) -> bool {
    let Some(digits) = digits(number) else { return false };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| {
            if index % 2 == 1 {
                digit * 2 / 10 + digit * 2 % 10
            } else {
                digit
            }
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// A card number: 12 to 19 digits, Luhn, not all the same. `true` second: the issuer range is one in use
/// (ISO/IEC 7812 ranges as the schemes publish them).
pub fn pan(number: &[u8]) -> Option<bool> {
    if !(12..=19).contains(&number.len()) || !luhn(number) || number.iter().all(|digit| *digit == number[0]) {
        return None;
    }
    let lead = number[..4]
        .iter()
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    let known = match number.len() {
        15 if matches!(lead, 3400..=3499 | 3700..=3799 | 1800 | 2131) => true,
        14 => matches!(lead, 3000..=3059 | 3095 | 3600..=3699 | 3800..=3999),
        13 | 16 | 19 if lead / 1000 == 4 => true,
        16 => matches!(lead, 2200..=2720 | 3528..=3589 | 5000..=5999 | 6000..=6999 | 8100..=8171 | 3000..=3999 | 9792),
        12..=19 => matches!(lead, 5018 | 5020 | 5038 | 5600..=5899 | 6000..=6999 | 3528..=3589),
        _ => false,
    };
    Some(known)
}

/// Verhoeff's dihedral check (J. Verhoeff, 1969), as Aadhaar uses it.
pub fn verhoeff(number: &[u8]) -> bool {
    const PERMUTE: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    fn multiply(left: u32, right: u32) -> u32 {
        match (left < 5, right < 5) {
            (true, true) => (left + right) % 5,
            (true, false) => (left + right - 5) % 5 + 5,
            (false, true) => (left - 5 + 5 - right) % 5 + 5,
            (false, false) => (left + 5 - right) % 5,
        }
    }
    let Some(digits) = digits(number) else { return false };
    let mut check = 0;
    for (index, &digit) in digits.iter().rev().enumerate() {
        let permuted = (0..index % 8).fold(digit, |digit, _| PERMUTE[digit as usize]);
        check = multiply(check, permuted);
    }
    !digits.is_empty() && check == 0
}

/// Length of an IBAN by country, IBAN registry of ISO 13616.
const IBAN: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

/// The length an IBAN of this country has.
pub fn iban_length(country: &[u8]) -> Option<usize> {
    IBAN.iter()
        .find(|(code, _)| country.starts_with(*code))
        .map(|(_, length)| *length)
}

/// An IBAN in capitals: country, length and ISO 7064 MOD 97-10.
pub fn iban(number: &[u8]) -> bool {
    if number.len() < 15 || iban_length(number) != Some(number.len()) {
        return false;
    }
    let (head, tail) = number.split_at(4);
    let rest = tail.iter().chain(head).try_fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => Some((rest * 10 + u32::from(byte - b'0')) % 97),
        b'A'..=b'Z' => Some((rest * 100 + u32::from(byte - b'A') + 10) % 97),
        _ => None,
    });
    rest == Some(1)
}

/// A social security number that can have been given out: SSA, no area 000, 666 or 900 to 999, no group 00, no serial 0000;
/// 078-05-1120 and 219-09-9999 were printed in advertisements.
pub fn ssn(number: &[u8]) -> bool {
    if number.len() != 9 || !number.iter().all(u8::is_ascii_digit) || number == b"078051120" || number == b"219099999" {
        return false;
    }
    let (area, group, serial) = (&number[..3], &number[3..5], &number[5..]);
    area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000"
}

/// An individual taxpayer identification number: IRS, 9xx with group 50-65, 70-88, 90-92, 94-99.
pub fn itin(number: &[u8]) -> bool {
    let Some(digits) = digits(number) else { return false };
    digits.len() == 9 && digits[0] == 9 && matches!(digits[3] * 10 + digits[4], 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// A national provider identifier: 10 digits, begins with 1 or 2, Luhn with the prefix 80840 (45 CFR 162.406).
pub fn npi(number: &[u8]) -> bool {
    number.len() == 10 && matches!(number[0], b'1' | b'2') && luhn(&[b"80840", number].concat())
}

/// A Medicare beneficiary identifier in capitals without dashes (CMS, 11 places; letters without S, L, O, I, B, Z).
pub fn mbi(number: &[u8]) -> bool {
    let letter = |byte: u8| byte.is_ascii_uppercase() && !b"SLOIBZ".contains(&byte);
    let place = |(index, &byte): (usize, &u8)| match index {
        0 => (b'1'..=b'9').contains(&byte),
        1 | 4 | 7 | 8 => letter(byte),
        2 | 5 => letter(byte) || byte.is_ascii_digit(),
        _ => byte.is_ascii_digit(),
    };
    number.len() == 11 && number.iter().enumerate().all(place)
}

/// A DEA registration number: two letters (the second may be 9) and seven digits, the last checks the others.
pub fn dea(number: &[u8]) -> bool {
    if number.len() != 9 || !b"ABCDEFGHJKLMPRSTUX".contains(&number[0]) {
        return false;
    }
    let Some(digits) = digits(&number[2..]) else {
        return false;
    };
    let sum = digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5]);
    (number[1].is_ascii_uppercase() || number[1] == b'9')
        && sum % 10 == digits[6]
        && digits[..6].iter().any(|digit| *digit != digits[0])
}

/// A vehicle identification number in capitals: 17 places, check digit at the ninth (49 CFR 565.15).
pub fn vin(number: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    if number.len() != 17 {
        return false;
    }
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'H' => Some(u32::from(byte - b'A') + 1),
        b'J'..=b'N' => Some(u32::from(byte - b'J') + 1),
        b'P' => Some(7),
        b'R' => Some(9),
        b'S'..=b'Z' => Some(u32::from(byte - b'S') + 2),
        _ => None,
    };
    let Some(values) = number.iter().map(|byte| value(*byte)).collect::<Option<Vec<u32>>>() else {
        return false;
    };
    let rest = weighted(&values, &WEIGHTS) % 11;
    let expected = if rest == 10 { b'X' } else { b'0' + rest as u8 };
    number[8] == expected && number.iter().any(u8::is_ascii_uppercase) && number[13..].iter().all(u8::is_ascii_digit)
}

/// An ABA routing number: nine digits, first two in a range in use, weights 3 7 1.
pub fn routing(number: &[u8]) -> bool {
    let Some(digits) = digits(number) else { return false };
    let lead = digits.iter().take(2).fold(0, |value, digit| value * 10 + digit);
    digits.len() == 9
        && matches!(lead, 1..=12 | 21..=32 | 61..=72 | 80)
        && weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// A Base58 bitcoin address or a Bech32 one by shape, an Ethereum address by shape. Shape only: the check sum would need two hashes.
pub fn crypto(word: &str) -> bool {
    let base58 = |byte: u8| byte.is_ascii_alphanumeric() && !b"0OIl".contains(&byte);
    let mixed = |word: &str| {
        word.bytes().any(|b| b.is_ascii_lowercase())
            && word.bytes().any(|b| b.is_ascii_uppercase())
            && word.bytes().any(|b| b.is_ascii_digit())
    };
    match word.as_bytes() {
        [b'1' | b'3', rest @ ..] => {
            (25..=33).contains(&rest.len()) && rest.iter().all(|byte| base58(*byte)) && mixed(word)
        }
        [b'b', b'c', b'1', rest @ ..] => {
            (39..=59).contains(&rest.len())
                && rest
                    .iter()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() && !b"bio".contains(b))
        }
        [b'0', b'x', rest @ ..] => rest.len() == 40 && rest.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luhn_takes_right_numbers_only() {
        assert!(luhn(b"4111111111111111") && luhn(b"79927398713"));
        assert!(!luhn(b"4111111111111112") && !luhn(b"") && !luhn(b"41x1"));
        assert_eq!(pan(b"4111111111111111"), Some(true));
        assert_eq!(pan(b"0000000000000000"), None);
        assert_eq!(pan(b"41111111111"), None);
    }

    #[test]
    fn every_single_error_is_seen() {
        for (right, check) in [
            (&b"79927398713"[..], luhn as fn(&[u8]) -> bool),
            (b"2363", verhoeff),
            (b"1234567893", npi),
            (b"GB82WEST12345698765432", iban),
        ] {
            assert!(check(right), "{}", String::from_utf8_lossy(right));
            for index in 0..right.len() {
                for digit in b'0'..=b'9' {
                    let mut wrong = right.to_vec();
                    wrong[index] = digit;
                    assert!(wrong == right || !check(&wrong), "{}", String::from_utf8_lossy(&wrong));
                }
            }
        }
    }

    #[test]
    fn identifiers_of_the_united_states() {
        assert!(
            ssn(b"536904399") && !ssn(b"000123456") && !ssn(b"666123456") && !ssn(b"912345678") && !ssn(b"123004567")
        );
        assert!(itin(b"912701234") && !itin(b"912661234"));
        assert!(mbi(b"1EG4TE5MK73") && !mbi(b"1EG4TE5MK7S") && !mbi(b"0EG4TE5MK73"));
        assert!(dea(b"BB1388568") && !dea(b"BB1388569"));
        assert!(vin(b"1M8GDM9AXKP042788") && !vin(b"1M8GDM9A1KP042788") && !vin(b"11111111111111111"));
        assert!(routing(b"021000021") && !routing(b"021000022"));
    }

    #[test]
    fn addresses_of_ledgers() {
        assert!(crypto("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2") && crypto("0x742d35Cc6634C0532925a3b844Bc454e4438f44e"));
        assert!(!crypto("1234567890123456789012345678") && !crypto("0x742d"));
    }
}
