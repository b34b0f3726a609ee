//! The recognizers that are code. Everything a reader sees of them (severity, citation, context words, examples) is data in the packs.

macro_rules! kinds {
    ($($kind:ident = $rule:literal, $coarse:literal, $cued:literal;)*) => {
        /// One built-in recognizer. Its number is its bit in a set of context words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is explained by its rule in the packs")]
        pub enum Kind { $($kind),* }

        impl Kind {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];

            /// The name of the rule.
            pub fn rule(self) -> &'static str {
                match self { $(Kind::$kind => $rule),* }
            }

            /// The label an evaluation compares, see [`coarse_type`].
            pub fn coarse(self) -> &'static str {
                match self { $(Kind::$kind => $coarse),* }
            }

            /// Whether a context word alone makes an id-shaped token one of these.
            pub fn by_cue(self) -> bool {
                match self { $(Kind::$kind => $cued),* }
            }
        }
    };
}

kinds! {
    Name = "phi/name", "NAME", false;
    Location = "phi/location", "LOC", false;
    Date = "phi/date", "DATE", false;
    AgeOver89 = "phi/age-over-89", "AGE", false;
    Phone = "phi/phone", "PHONE", false;
    Fax = "phi/fax", "PHONE", false;
    Email = "phi/email", "EMAIL", false;
    Ssn = "phi/ssn", "SSN", false;
    Mrn = "phi/mrn", "ID", true;
    HealthPlan = "phi/health-plan", "ID", true;
    Account = "phi/account", "ID", true;
    Licence = "phi/licence", "ID", true;
    Vehicle = "phi/vehicle", "ID", true;
    Device = "phi/device", "ID", true;
    Url = "phi/url", "URL", false;
    Ip = "phi/ip", "IP", false;
    OtherId = "phi/other-id", "ID", true;
    Mbi = "phi/mbi", "ID", false;
    Npi = "phi/npi", "ID", false;
    Dea = "phi/dea", "ID", false;
    Vin = "phi/vin", "ID", false;
    Imei = "phi/imei", "ID", false;
    Mac = "phi/mac", "ID", false;
    Passport = "phi/passport", "ID", true;
    DriverLicence = "phi/driver-licence", "ID", true;
    Itin = "phi/itin", "ID", false;
    Iban = "pii/iban", "IBAN", false;
    EuVat = "pii/eu-vat", "ID", false;
    BankRouting = "pii/bank-routing", "ID", false;
    PersonYear = "pii/person-year", "DATE", false;
    Crypto = "pii/crypto-address", "ID", false;
    NatEs = "pii/national-id-es", "ID", false;
    NatIt = "pii/national-id-it", "ID", false;
    NatNl = "pii/national-id-nl", "ID", false;
    NatPl = "pii/national-id-pl", "ID", false;
    NatFr = "pii/national-id-fr", "ID", false;
    NatDe = "pii/national-id-de", "ID", false;
    NatSe = "pii/national-id-se", "ID", false;
    NatFi = "pii/national-id-fi", "ID", false;
    NatBe = "pii/national-id-be", "ID", false;
    NatPt = "pii/national-id-pt", "ID", false;
    NatDk = "pii/national-id-dk", "ID", false;
    NatNo = "pii/national-id-no", "ID", false;
    NatCh = "pii/national-id-ch", "ID", false;
    NatUkNhs = "pii/national-id-uk-nhs", "ID", false;
    NatUkNino = "pii/national-id-uk-nino", "ID", false;
    NatIn = "pii/national-id-in", "ID", false;
    NatBr = "pii/national-id-br", "ID", false;
    NatCa = "pii/national-id-ca", "ID", false;
    NatAu = "pii/national-id-au", "ID", false;
    Pan = "pci/pan", "CARD", false;
    Track = "pci/track", "CARD", false;
}

// The set of context words of a place in a text is one u64.
const _: () = assert!(Kind::ALL.len() <= 64);

impl Kind {
    /// Its bit in a set.
    pub fn bit(self) -> u64 {
        1 << self as u8
    }

    /// The recognizer of a rule name.
    pub fn of_rule(rule: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.rule() == rule)
    }
}

/// The coarse label of a rule, as evaluations compare them: `NAME`, `LOC`, `DATE`, `AGE`, `PHONE` (telephone and fax), `EMAIL`, `SSN`,
/// `ID` (record, plan, account, licence, device and national numbers), `URL`, `IP`, `IBAN`, `CARD`; `OTHER` for a tenant's own rules.
pub fn coarse_type(rule: &str) -> &'static str {
    Kind::of_rule(rule).map_or("OTHER", Kind::coarse)
}
