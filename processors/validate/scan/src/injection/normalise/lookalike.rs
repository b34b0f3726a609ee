//! Words that mix look-alike letters of several scripts (Unicode UTS #39, mixed-script confusables).

use std::ops::Range;

use unicode_security::confusable_detection::skeleton;

use super::evidence::{Evidence, Step};
use crate::injection::language::Language;
use crate::mapped::{Builder, Mapped};

/// Lower-case and upper-case letters UTS #39 folds to something else than the letter a reader sees, or not at all.
const OWN: &[(&str, &str)] = &[
    (
        "АаӐӒВЕеЁІіЇЈјКкМмНнОоӨөРрСсТтУуҮүХхЅѕԁԛԜԝҺһӀьԍԌ",
        "AaAABEeEIiIJjKkMmHnOoOoPpCcTtYyYyXxSsdqWwHhIbgG",
    ),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνοπρτυχγηω", "ABEZHIKMNOPTYXabeikvonptuxynw"),
    ("ՏՕԼԱոօսհցզքքո", "SOLUnouhgqppn"),
    ("ɑɡɩıɪʀɴᴀᴄᴅᴇɢʜᴊᴋʟᴍᴏᴘʙꜱᴛᴜᴠᴡʏᴢꜰƙƅɓ", "agiiirnacdeghjklmopbstuvwyzfkbb"),
    ("ᎪᎢᎬᎳᎻᏃᏒᏚᏞᏟᏢ", "ATEWHZRSLCP"),
];

fn lookalike(c: char) -> Option<char> {
    for (from, to) in OWN {
        if let Some(at) = from.chars().position(|other| other == c) {
            return to.chars().nth(at);
        }
    }
    let mut buffer = [0; 4];
    let mut folded = skeleton(c.encode_utf8(&mut buffer));
    match (folded.next(), folded.next()) {
        (Some(plain), None) if plain.is_ascii_alphabetic() => Some(plain),
        _ => None,
    }
}

fn cyrillic(c: char) -> bool {
    matches!(c as u32, 0x400..=0x52f)
}

/// Other alphabets with look-alikes, and the letters of phonetic notation.
fn strange(c: char) -> bool {
    matches!(c as u32, 0x131 | 0x180..=0x1bf | 0x250..=0x2af | 0x370..=0x3ff | 0x400..=0x58f | 0x13a0..=0x13ff | 0x1d00..=0x1d2b | 0xa730 | 0xa731)
}

struct Word {
    span: Range<usize>,
    latin: u32,
    strange: u32,
    /// Changes between Latin and other letters.
    switches: u32,
    /// Every strange letter has a Latin look-alike.
    folds: bool,
    cyrillic: bool,
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<(Word, bool)> = None;
    for (at, c) in text.char_indices() {
        if !c.is_alphabetic() {
            words.extend(word.take().map(|(word, _)| word).filter(|word| word.strange > 0));
            continue;
        }
        let odd = strange(c);
        let (word, last_odd) = word.get_or_insert((
            Word {
                span: at..at,
                latin: 0,
                strange: 0,
                switches: 0,
                folds: true,
                cyrillic: false,
            },
            odd,
        ));
        word.span.end = at + c.len_utf8();
        if odd {
            word.strange += 1;
            word.cyrillic |= cyrillic(c);
            word.folds = word.folds && lookalike(c).is_some();
        } else {
            word.latin += 1;
        }
        word.switches += u32::from(odd != *last_odd);
        *last_odd = odd;
    }
    words.extend(word.map(|(word, _)| word).filter(|word| word.strange > 0));
    words
}

/// Bits a character from which mixed words, written in Latin letters, are no English (see [`Language::mean`]).
const FOREIGN: f32 = 4.1;
/// Letters of mixed words that tell; of fewer the whole text does.
const TELL: usize = 24;

/// Letters of Latin alphabets: Turkish, Azerbaijani, Hausa, Ewe and many others have some that look like others.
fn of_an_alphabet(c: char) -> bool {
    matches!(c as u32, 0x131 | 0x180..=0x24f | 0x250..=0x2af)
}

/// Whether the mixed words have only letters that alphabets have, and read as no English in Latin ones: then they are of a language that is written so.
fn are_foreign<'t>(text: &'t str, language: &Language, mixed: impl Iterator<Item = &'t str> + Clone) -> bool {
    let letters = || mixed.clone().flat_map(str::chars);
    if letters().any(|c| strange(c) && !of_an_alphabet(c)) {
        return false;
    }
    let plain = |c: char| if strange(c) { lookalike(c).unwrap_or(c) } else { c };
    let mean = if letters().count() >= TELL {
        language.mean(mixed.flat_map(|word| word.chars().chain([' '])).map(plain))
    } else {
        language.mean(text.chars().map(plain))
    };
    mean > FOREIGN
}

/// Writes mixed words in Latin letters; in text that is not Cyrillic or Greek also the words made of look-alikes only.
pub(super) fn unify(input: &Mapped, language: &Language, evidence: &mut Evidence) -> Option<Mapped> {
    let text = input.text.as_str();
    let words = words(text);
    // Words no Latin reading exists for: the text is written in that script.
    let native = words
        .iter()
        .filter(|word| word.latin == 0 && !word.folds && word.strange > 2)
        .count();
    let mixed = |word: &Word| {
        word.latin > 0 && word.folds && word.latin + word.strange >= 3 && (native < 3 || word.switches > 1)
    };
    let count = words.iter().filter(|word| mixed(word)).count();
    let long = words.iter().any(|word| mixed(word) && word.latin + word.strange >= 4);
    // Small capitals and the like: whole words without one ordinary letter.
    let decorated = |word: &Word| word.latin == 0 && word.folds && word.strange >= 3 && !word.cyrillic && native == 0;
    let decorations = words.iter().filter(|word| decorated(word)).count();
    if count < 2 && !long && decorations < 3 {
        return None;
    }
    let those = words
        .iter()
        .filter(|word| mixed(word))
        .map(|word| &text[word.span.clone()]);
    if count > 0 && decorations == 0 && are_foreign(text, language, those) {
        return None;
    }
    let mut builder = Builder::new(input);
    for word in &words {
        let whole = word.latin == 0 && word.folds && native == 0;
        if !(mixed(word) || whole) {
            continue;
        }
        if mixed(word) || decorated(word) {
            evidence.note(Step::MixedScript, input.origin(word.span.clone()));
        }
        for (at, c) in text[word.span.clone()].char_indices() {
            if strange(c)
                && let Some(plain) = lookalike(c)
            {
                let start = word.span.start + at;
                let mut buffer = [0; 4];
                builder.replace(start..start + c.len_utf8(), plain.encode_utf8(&mut buffer));
            }
        }
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_table_is_even() {
        for (from, to) in OWN {
            assert_eq!(from.chars().count(), to.chars().count(), "{from}");
        }
    }

    fn english() -> Language {
        let text = "the nurse wrote that all the previous instructions of the doctor were in the system and that he had read them before";
        Language::train([text].into_iter())
    }

    #[test]
    fn ordinary_foreign_words_are_left_alone() {
        for text in [
            "кот и пёс вышли погулять, HTML-код",
            "μm and Δt and α-helix",
            "naïve façade",
            "παράδειγμα κειμένου",
            "Hastanın kaydı bugün yapıldı ve saatleri yarın açıklanacak",
            "Haƙuri ya zama dole, Ɗan ƙasa ya kamata ya san haƙƙinsa",
        ] {
            assert!(
                unify(&Mapped::identity(text), &english(), &mut Evidence::default()).is_none(),
                "{text}"
            );
        }
    }

    #[test]
    fn letters_of_other_alphabets_in_english_are_not() {
        for text in ["all the prevıous ınstructıons of the system", "рrevious instructiоns"] {
            let form = unify(&Mapped::identity(text), &english(), &mut Evidence::default()).unwrap();
            assert!(form.text.contains("previous instructions"), "{}", form.text);
        }
    }
}
