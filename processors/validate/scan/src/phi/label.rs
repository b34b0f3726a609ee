//! Columns and fields: what their name promises, and values taken at that word.

use super::context::{label_cues, label_words};
use super::kind::Kind;
use super::lexicon::{Lexicon, flag};
use super::name::PARTICLES;

/// What the name of a column or field promises of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    pub(super) kind: Kind,
    /// The name says whose. A bare `name` may be that of a package, a test or a product.
    pub(super) owned: bool,
}

impl Hint {
    /// The rule a value is reported under.
    pub fn rule(self) -> &'static str {
        self.kind.rule()
    }
}

/// Reads a name such as `patient_name`, `dateOfBirth`, `address.zip`, `SSN`.
pub(super) fn hint(lexicon: &Lexicon, name: &str) -> Option<Hint> {
    let cues = label_cues(lexicon, name);
    let words = label_words(name);
    let has = |word: &str| words.iter().any(|known| known == word);
    // Words that as a column name mean more, or something else, than in a sentence.
    let kind = match () {
        () if has("count") || has("total") || has("flag") || has("type") || has("status") => return None,
        () if has("email") || has("mail") => Kind::Email,
        () if has("fax") => Kind::Fax,
        () if has("ip") => Kind::Ip,
        () if has("url") || has("website") || has("homepage") => Kind::Url,
        () if has("zip")
            || has("zipcode")
            || has("postcode")
            || has("postal")
            || has("address")
            || has("street")
            || has("city") =>
        {
            Kind::Location
        }
        () if has("dob") || has("birthdate") || has("birthday") || has("date") || has("dod") => Kind::Date,
        () if has("birth") && (has("time") || has("day")) => Kind::Date,
        () if [
            "firstname",
            "lastname",
            "surname",
            "fullname",
            "forename",
            "givenname",
            "familyname",
        ]
        .iter()
        .any(|whole| has(whole)) =>
        {
            Kind::Name
        }
        () if has("given") && words.len() == 1 => Kind::Name,
        // The owner's name, not that of a file or a product.
        () if has("name")
            && (words.len() == 1
                || [
                    "patient",
                    "first",
                    "last",
                    "full",
                    "given",
                    "family",
                    "middle",
                    "maiden",
                    "doctor",
                    "physician",
                    "provider",
                    "contact",
                    "customer",
                    "client",
                    "member",
                    "employee",
                    "nurse",
                    "guardian",
                    "mother",
                    "father",
                    "spouse",
                ]
                .iter()
                .any(|owner| has(owner))) =>
        {
            Kind::Name
        }
        () if has("age") => Kind::AgeOver89,
        () if has("account") && (has("number") || has("no") || has("id") || has("nr")) => Kind::Account,
        () => *Kind::ALL
            .iter()
            .filter(|kind| cues & kind.bit() != 0 && !matches!(kind, Kind::Name | Kind::Date))
            .min_by_key(|kind| match kind {
                Kind::Ssn | Kind::Phone | Kind::Pan | Kind::Iban => 0,
                Kind::OtherId => 3,
                kind if kind.by_cue() => 2,
                _ => 1,
            })?,
    };
    let owned = kind != Kind::Name || words.len() > 1 || !(has("name") || has("given"));
    Some(Hint { kind, owned })
}

/// The same for a member of something that has a name itself: what HL7 calls these in FHIR (R5: HumanName, Identifier, Address) and in CDA.
pub(super) fn hint_in(lexicon: &Lexicon, of: &str, name: &str) -> Option<Hint> {
    let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let any = |one: &str, others: &[&str]| others.iter().any(|other| is(one, other));
    let kind = match () {
        () if is(of, "name") && any(name, &["family", "given", "middle", "text"]) => Kind::Name,
        () if is(of, "identifier") && is(name, "value") => Kind::OtherId,
        () if any(of, &["address", "addr"]) && any(name, &["line", "text", "district"]) => Kind::Location,
        () => return hint(lexicon, name),
    };
    let owned = !is(name, "text");
    Some(Hint { kind, owned })
}

/// Whether a value that is only called a name is written as those of people are: no word of it is an ordinary one, each is in a gazetteer, has a capital or is of a
/// script that has none, and they are two to four where capitals are all there is.
fn is_persons(lexicon: &Lexicon, value: &str) -> bool {
    if value.contains(|sign: char| !(sign.is_alphabetic() || matches!(sign, ' ' | '-' | '\'' | '’' | '.' | ','))) {
        return false;
    }
    let words = || {
        let words = value.split([' ', '-', '.', ',']);
        words.filter(|word| !word.is_empty() && !PARTICLES.contains(word))
    };
    let known = |word: &str| lexicon.word(word).flags & (flag::FIRST | flag::LAST | flag::TITLE) != 0;
    let ordinary = |word: &str| lexicon.word(word).flags & flag::COMMON != 0 && !known(word);
    let capital = |word: &str| word.starts_with(char::is_uppercase);
    let caseless = |word: &str| {
        word.chars()
            .all(|letter| !letter.is_lowercase() && !letter.is_uppercase())
    };
    let sure = |word: &str| known(word) || caseless(word);
    !words().any(ordinary)
        && words().all(|word| sure(word) || capital(word))
        && (words().any(sure) || (2..=4).contains(&words().count()))
}

/// Whether a whole value has the general shape its column promises, and so is one even though nothing else says so.
pub(super) fn fits(lexicon: &Lexicon, hint: Hint, value: &str) -> bool {
    let kind = hint.kind;
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.chars().filter(|letter| letter.is_alphabetic()).count();
    let others = value.chars().count() - digits - letters;
    match kind {
        Kind::Name => {
            (2..=80).contains(&value.len())
                && letters >= 2
                && digits == 0
                && value.split_whitespace().count() <= 6
                && others <= 8
                && (hint.owned || is_persons(lexicon, value))
        }
        Kind::Location => (3..=200).contains(&value.len()) && (letters >= 3 || (4..=9).contains(&digits)),
        Kind::Date => {
            (6..=14).contains(&digits) && letters <= 12
                || letters >= 3 && (1..=8).contains(&digits) && digits != 4 && letters <= 20
        }
        Kind::AgeOver89 => value.trim().parse::<u32>().is_ok_and(|age| (90..=125).contains(&age)),
        Kind::Phone | Kind::Fax => (7..=17).contains(&digits) && letters <= 3,
        Kind::Ssn | Kind::Itin => digits == 9 && letters == 0,
        Kind::Email => value.contains('@') && value.len() >= 5,
        Kind::Url => value.len() >= 6 && value.contains('.'),
        // Whatever has a check of its own must pass it.
        kind if !kind.by_cue() => false,
        _ => {
            (3..=40).contains(&(digits + letters))
                && digits >= 2
                && others <= 8
                && value.split_whitespace().count() <= 4
        }
    }
}
