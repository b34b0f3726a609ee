//! Each recognizer: what it finds, with which boundaries, and what it leaves.

use super::*;
use crate::phi::categories::{State, report};

#[test]
fn dates_are_whole() {
    check("seen on April 12, 2023 again", &[("phi/date", "April 12, 2023")]);
    check("seen on the 3rd of May 2021.", &[("phi/date", "3rd of May 2021")]);
    check("on Jan 20th '23 (follow-up)", &[("phi/date", "Jan 20th '23")]);
    check("since July 2021", &[("phi/date", "July 2021")]);
    check("on 2018-01-14 03:07:43, the", &[("phi/date", "2018-01-14 03:07:43")]);
    check("born 12-Apr-1961", &[("phi/date", "12-Apr-1961")]);
    check(
        "12/31/1999, 31.12.1999",
        &[("phi/date", "12/31/1999"), ("phi/date", "31.12.1999")],
    );
}

#[test]
fn what_is_no_date_stays() {
    for text in [
        "in 2021 and 2023",
        "13/13/2020",
        "31/31/99",
        "version 10.2.1",
        "half of 3/4 cups",
        "may 3 people come",
        "in 24/7 care",
        "0/0/0000",
        "last summer, three weeks ago",
        "an 18-year-old",
        "120/80 mmHg",
    ] {
        check(text, &[]);
    }
}

#[test]
fn ages_over_89_only() {
    check("a 90-year-old woman", &[("phi/age-over-89", "90-year-old")]);
    check("she is 104 years old", &[("phi/age-over-89", "104 years old")]);
    check("aged 95", &[("phi/age-over-89", "95")]);
    check("a 89-year-old woman, aged 12, 126 years old, 95 % of 900 years", &[]);
}

#[test]
fn social_security_numbers() {
    check("SSN: 536-90-4399", &[("phi/ssn", "536-90-4399")]);
    check("SSN 123 45 6789", &[("phi/ssn", "123 45 6789")]);
    check("my social security number is 536904399.", &[("phi/ssn", "536904399")]);
    check("000-45-6789 666-45-6789 536-00-4399 536-90-0000", &[]);
    check("code 536904399", &[]);
    check("1536-90-43991", &[]);
    check("(MRN: 536-90-4399)", &[("phi/mrn", "536-90-4399")]);
}

#[test]
fn cards_of_all_lengths() {
    for number in [
        "503890547220",
        "4222222222222",
        "30569309025904",
        "378282246310005",
        "4111111111111111",
        "4415101282806639538",
    ] {
        check(&format!("card {number} lost"), &[("pci/pan", number)]);
    }
    for number in ["4111 1111 1111 1111", "4111-1111-1111-1111", "3782 822463 10005"] {
        check(&format!("pay with {number}."), &[("pci/pan", number)]);
    }
    check("4111111111111112", &[]);
    check("1700000000000 ms, 1234567890123456", &[]);
}

#[test]
fn telephone_and_fax() {
    for number in [
        "(212) 555-0147",
        "212-555-0147",
        "+49 30 901820",
        "+447700 900123",
        "1-212-555-0147",
        "212-555-0147x89",
        "+41 (0)71 526 99 04",
    ] {
        check(&format!("Call {number} now"), &[("phi/phone", number)]);
    }
    check("Fax: 212-555-0147", &[("phi/fax", "212-555-0147")]);
    check("(Phone: 555-123-4567)?", &[("phi/phone", "555-123-4567")]);
    check("12 345 678 people, 1,234,567 more, 2019-2020, 10-20-30", &[]);
}

#[test]
fn network_addresses() {
    check(
        "mail a.b+c@mail.example.org.",
        &[("phi/email", "a.b+c@mail.example.org")],
    );
    check("a@b, @home, x@y..z, me@localhost", &[]);
    check(
        "see https://example.org/a?b=1, then",
        &[("phi/url", "https://example.org/a?b=1")],
    );
    check("(www.example.org)", &[("phi/url", "www.example.org")]);
    check("from 203.0.113.7:8080.", &[("phi/ip", "203.0.113.7")]);
    check(
        "at fe80::1ff:fe23:4567:890a here",
        &[("phi/ip", "fe80::1ff:fe23:4567:890a")],
    );
    check("00:1A:2B:3C:4D:5E", &[("phi/mac", "00:1A:2B:3C:4D:5E")]);
    check("256.1.1.1, v1.2.3.4, 12:30:45, std::mem::swap, main.rs", &[]);
}

#[test]
fn ids_follow_their_context_word() {
    check("MRN: 998877", &[("phi/mrn", "998877")]);
    check("MRN is CC-98765 for", &[("phi/mrn", "CC-98765")]);
    check("insurance policy #XY-345678.", &[("phi/health-plan", "XY-345678")]);
    check("ins policy no. HS-987654", &[("phi/health-plan", "HS-987654")]);
    check("account number 9988776655", &[("phi/account", "9988776655")]);
    check(
        "my driver's license number is F16282354",
        &[("phi/driver-licence", "F16282354")],
    );
    check("pacemaker serial number PM-556677", &[("phi/device", "PM-556677")]);
    check("passport no C03005988", &[("phi/passport", "C03005988")]);
    check("license plate KXJ4471", &[("phi/vehicle", "KXJ4471")]);
    check(
        "the policy of 2021, plan 9, account for 30 % of cases, ID of 12 people",
        &[],
    );
}

#[test]
fn names_with_titles_initials_and_particles() {
    check("seen by Dr. Amina Haddad today", &[("phi/name", "Amina Haddad")]);
    check("Patient Maria S., seen again", &[("phi/name", "Maria S.")]);
    check(
        "letter of Vincent van der Berg arrived",
        &[("phi/name", "Vincent van der Berg")],
    );
    for text in [
        "Parkinson's disease, Crohn's disease and Hodgkin lymphoma",
        "The Chaddock reflex and the Glasgow Coma Scale",
        "Lisinopril, Metformin or Eliquis",
        "Current Treatment Guidelines",
        "She speaks French in May",
    ] {
        check(text, &[]);
    }
}

#[test]
fn places_below_a_state() {
    check(
        "treated at Riverbend Hospital last",
        &[("phi/location", "Riverbend Hospital")],
    );
    check(
        "lives at 48 Larch Avenue, Dayton, OH 45402.",
        &[("phi/location", "48 Larch Avenue, Dayton, OH 45402")],
    );
    check("mail to P.O. Box 4471.", &[("phi/location", "P.O. Box 4471")]);
    check("zip code 60614", &[("phi/location", "60614")]);
    check("ZIP 036**", &[("phi/location", "036**")]);
    check("ZIP 606**, in France, in Texas, the hospital", &[]);
}

#[test]
fn all_national_numbers_need_their_check_digits() {
    for (text, rule) in [
        ("BSN 111222333", "pii/national-id-nl"),
        ("X1234567L", "pii/national-id-es"),
        ("RSSMRA85T10A562S", "pii/national-id-it"),
        ("NHS number 943 476 5919", "pii/national-id-uk-nhs"),
        ("CPF 529.982.247-25", "pii/national-id-br"),
        ("VAT BE0428759497", "pii/eu-vat"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "pii/iban"),
    ] {
        assert!(scan(text).iter().any(|(found, _)| found == rule), "{text}");
        // One digit changed.
        let at = text.rfind(|letter: char| letter.is_ascii_digit()).unwrap();
        let digit = (text.as_bytes()[at] - b'0' + 1) % 10;
        let wrong = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
        assert!(!scan(&wrong).iter().any(|(found, _)| found == rule), "{wrong}");
    }
}

#[test]
fn a_label_is_a_context_word() {
    let mut hits = Vec::new();
    PHI.scan("536904399", Some("patient.ssn"), &mut hits);
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].rule, "phi/ssn");
    hits.clear();
    PHI.scan("536904399", Some("quantity"), &mut hits);
    assert!(hits.is_empty());
}

#[test]
fn values_of_labelled_columns() {
    let hint = |name: &str| PHI.label_hint(name).map(Hint::rule);
    assert_eq!(hint("patient_name"), Some("phi/name"));
    assert_eq!(hint("DateOfBirth"), Some("phi/date"));
    assert_eq!(hint("address.zip"), Some("phi/location"));
    assert_eq!(hint("MRN"), Some("phi/mrn"));
    assert_eq!(hint("home_phone"), Some("phi/phone"));
    assert_eq!(hint("file_name"), None);
    assert_eq!(hint("visit_count"), None);
    let value = |name: &str, value: &str| {
        let mut hits = Vec::new();
        PHI.scan_labelled(value, PHI.label_hint(name).unwrap(), &mut hits);
        hits.into_iter()
            .map(|hit| (hit.rule.into_owned(), value[hit.span].to_owned()))
            .collect::<Vec<_>>()
    };
    let one = |rule: &str, found: &str| vec![(rule.to_owned(), found.to_owned())];
    assert_eq!(value("patient_name", " Xqwz Blorp "), one("phi/name", "Xqwz Blorp"));
    assert_eq!(value("zip", "02139"), one("phi/location", "02139"));
    assert_eq!(value("mrn", "7788"), one("phi/mrn", "7788"));
    assert_eq!(value("ssn", "536904399"), one("phi/ssn", "536904399"));
    assert_eq!(value("age", "88"), vec![]);
    assert_eq!(value("age", "93"), one("phi/age-over-89", "93"));
    assert_eq!(value("ssn", "n/a"), vec![]);
    assert_eq!(value("dob", "1961"), vec![]);
    // What is only called a name may be that of anything.
    for person in ["john smith", "Xqwz Blorp", "王伟", "علي حسن"] {
        assert_eq!(value("name", person), one("phi/name", person));
    }
    for thing in ["serde_json", "Profiles can contain properties.", "sneaky profile name"] {
        assert_eq!(value("name", thing), vec![], "{thing}");
    }
}

#[test]
fn every_category_is_answered() {
    let mut hits = Vec::new();
    PHI.scan("SSN 536-90-4399, mail a@example.org", None, &mut hits);
    let states = report(hits.iter().map(|hit| (hit.rule.as_ref(), 1)));
    let of = |letter: char| states.iter().find(|(category, _)| category.letter == letter).unwrap().1;
    assert_eq!(
        (of('G'), of('F'), of('A')),
        (State::Found(1), State::Found(1), State::NotFound)
    );
    assert_eq!((of('P'), of('Q')), (State::NotCheckable, State::NotCheckable));
    // Every built-in PHI rule belongs to a category, and every category's rules exist.
    let rules: Vec<&str> = states
        .iter()
        .flat_map(|(category, _)| category.rules)
        .copied()
        .collect();
    assert!(rules.iter().all(|rule| Kind::of_rule(rule).is_some()));
    assert!(
        Kind::ALL
            .iter()
            .all(|kind| rules.contains(&kind.rule()) || *kind == Kind::PersonYear),
        "{rules:?}"
    );
}

#[test]
fn no_hit_holds_the_value() {
    let mut hits = Vec::new();
    let text = "Dr. Amina Haddad, SSN 536-90-4399, card 4111111111111111, born 7 May 1961, call 212-555-0147";
    PHI.scan(text, None, &mut hits);
    assert!(hits.len() >= 5);
    for hit in hits {
        let value = &text[hit.span];
        let texts = [
            hit.message,
            hit.remediation.unwrap_or_default(),
            hit.citation.unwrap_or_default(),
        ];
        assert!(texts.iter().all(|text| !text.contains(value)));
    }
}

#[test]
fn what_manuals_and_programs_say_is_nobodys() {
    for text in [
        "OS: Windows Server 2022 (10.0.20348)",
        "Prints the number 3.141592653 of the circle",
        "the id of int32 and of BASE32_NOPAD",
        "certificate: x509-ocsp, X509Certificate",
        "License Apache-2.0",
        "RFC 9562: Universally Unique Identifiers",
        "the serial backend for x86-64 and AVX512",
        "Maya ASCII (MA) is a format",
        "pub const VHOST_VDPA_GET_DEVICE_ID: u32 = 1074048880;",
        "const EAP_SIM_CREDENTIAL: T = 4i32; const CALL: u32 = 2147790711;",
        "case: 30 80 02 03 01 00 01 02 03 01",
        "the id starts at 23:59:59, or 3_600 of 10000000",
        "hash id sha256 or rfc5912",
        "Update the version in README.md and CHANGELOG.md.",
        "under the terms of the GNU General Public License, version 2",
        "If you have any questions, feel free to ask. Don't hesitate to ask questions!",
        "let uri = Uri::parse(s)?; assert_eq!(uri.scheme(), x); // the name of James::parse",
    ] {
        check(text, &[]);
    }
    check("- 1.5.1 (2026-05-22)", &[("phi/date", "2026-05-22")]);
    check("rustc 1.71.0 (2023-07-13) is needed", &[("phi/date", "2023-07-13")]);
    check(
        "Call +44 (0)20 7946 0958 or (212) 555-0142",
        &[("phi/phone", "+44 (0)20 7946 0958"), ("phi/phone", "(212) 555-0142")],
    );
    check("Copyright (c) 2017 Jane Smith", &[("phi/name", "Jane Smith")]);
    check("appelez le 01 42 68 53 00", &[("phi/phone", "01 42 68 53 00")]);
    check("Seen by Jane Smith MD.", &[("phi/name", "Jane Smith MD")]);
    check("Signed: Maria HUBER", &[("phi/name", "Maria HUBER")]);
    check("medical license number MD-445566", &[("phi/licence", "MD-445566")]);
    check("patient id of isolate 778899", &[("phi/other-id", "778899")]);
    check("MRN SHA778899", &[("phi/mrn", "SHA778899")]);
    check(
        "Found persons:\nID: 1, Name: Steven\nID: 2, Name: John\nID: 3",
        &[("phi/name", "Steven"), ("phi/name", "John")],
    );
}
