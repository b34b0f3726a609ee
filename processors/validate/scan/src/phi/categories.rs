//! The 18 categories of 45 CFR 164.514(b)(2)(i), and which of them a text scanner can speak about.

/// Whether a category can be looked for in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// Yes: `clean` means looked for and not found.
    Checkable,
    /// No: say so, never `clean`.
    NotCheckable,
}

/// What a scan says of one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// So many times.
    Found(u64),
    /// Looked for.
    NotFound,
    /// Not something text shows.
    NotCheckable,
}

/// One category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Category {
    /// `A` to `R`, the paragraph of the rule.
    pub letter: char,
    /// What it is.
    pub name: &'static str,
    /// Whether it can be looked for.
    pub coverage: Coverage,
    /// The rules that look for it.
    pub rules: &'static [&'static str],
}

const fn category(letter: char, name: &'static str, rules: &'static [&'static str]) -> Category {
    let coverage = if rules.is_empty() {
        Coverage::NotCheckable
    } else {
        Coverage::Checkable
    };
    Category {
        letter,
        name,
        coverage,
        rules,
    }
}

/// All 18.
pub const CATEGORIES: [Category; 18] = [
    category('A', "names", &["phi/name"]),
    category('B', "geographic subdivisions smaller than a state", &["phi/location"]),
    category(
        'C',
        "dates more precise than a year, and ages over 89",
        &["phi/date", "phi/age-over-89"],
    ),
    category('D', "telephone numbers", &["phi/phone"]),
    category('E', "fax numbers", &["phi/fax"]),
    category('F', "e-mail addresses", &["phi/email"]),
    category('G', "social security numbers", &["phi/ssn"]),
    category('H', "medical record numbers", &["phi/mrn"]),
    category('I', "health plan beneficiary numbers", &["phi/health-plan", "phi/mbi"]),
    category(
        'J',
        "account numbers",
        &[
            "phi/account",
            "pii/iban",
            "pci/pan",
            "pci/track",
            "pii/bank-routing",
            "pii/crypto-address",
        ],
    ),
    category(
        'K',
        "certificate and licence numbers",
        &["phi/licence", "phi/driver-licence", "phi/npi", "phi/dea"],
    ),
    category(
        'L',
        "vehicle identifiers and licence plates",
        &["phi/vehicle", "phi/vin"],
    ),
    category(
        'M',
        "device identifiers and serial numbers",
        &["phi/device", "phi/imei", "phi/mac"],
    ),
    category('N', "URLs", &["phi/url"]),
    category('O', "IP addresses", &["phi/ip"]),
    category('P', "biometric identifiers", &[]),
    category('Q', "full-face photographs", &[]),
    category(
        'R',
        "any other unique identifying number, characteristic or code",
        &[
            "phi/other-id",
            "phi/passport",
            "phi/itin",
            "pii/eu-vat",
            "pii/national-id-es",
            "pii/national-id-it",
            "pii/national-id-nl",
            "pii/national-id-pl",
            "pii/national-id-fr",
            "pii/national-id-de",
            "pii/national-id-se",
            "pii/national-id-fi",
            "pii/national-id-be",
            "pii/national-id-pt",
            "pii/national-id-dk",
            "pii/national-id-no",
            "pii/national-id-ch",
            "pii/national-id-uk-nhs",
            "pii/national-id-uk-nino",
            "pii/national-id-in",
            "pii/national-id-br",
            "pii/national-id-ca",
            "pii/national-id-au",
        ],
    ),
];

/// What findings, as rules and how often each was found, say of every category.
pub fn report<'r>(found: impl Iterator<Item = (&'r str, u64)> + Clone) -> [(Category, State); 18] {
    CATEGORIES.map(|category| {
        let here = found.clone().filter(|(rule, _)| category.rules.contains(rule));
        let state = match (category.coverage, here.map(|(_, count)| count).sum()) {
            (Coverage::NotCheckable, _) => State::NotCheckable,
            (Coverage::Checkable, 0) => State::NotFound,
            (Coverage::Checkable, count) => State::Found(count),
        };
        (category, state)
    })
}
