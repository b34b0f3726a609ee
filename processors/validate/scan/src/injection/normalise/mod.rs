//! Makes hidden text readable: every step maps back to the bytes it came from, and a step ordinary text does not
//! need is evidence of its own.
//!
//! A survey in one pass over the bytes says which steps are worth trying; plain text costs that pass and nothing
//! else. Ordinary uses are no evidence: a byte-order mark at the start, joiners in emoji and in Arabic and Indic
//! words, soft hyphens, ligatures, full-width letters in Chinese or Japanese text, Base64 that holds no language.

mod characters;
mod cipher;
mod encoded;
mod evidence;
mod lookalike;
mod spelling;
mod survey;

pub use crate::mapped::Mapped;
pub use evidence::{Evidence, Step};
pub use survey::{Clues, Effect, Survey, survey};

use super::language::Language;

/// What the normaliser made of a text.
#[derive(Debug)]
pub struct Normal {
    /// The readable form.
    pub form: Mapped,
    /// What had to be done.
    pub evidence: Evidence,
}

/// Bits a character that a passage made readable may cost: more is no language.
const READS: f32 = 4.6;
/// Times an encoding inside an encoding is opened.
const DEPTH: usize = 3;

/// Applies the steps `clues` calls for. Nothing when no step changed the text. Linear in the text for each step.
pub fn normalise(text: &str, mut clues: Clues, language: &Language) -> Option<Normal> {
    if clues.none() {
        return None;
    }
    let mut evidence = Evidence::default();
    let mut form = Mapped::identity(text);
    let mut changed = false;
    let mut take = |form: &mut Mapped, next: Option<Mapped>| {
        if let Some(next) = next {
            *form = next;
            changed = true;
            true
        } else {
            false
        }
    };
    if clues.characters {
        let next = characters::plain(&form, &mut evidence);
        let plain = take(&mut form, next);
        let next = lookalike::unify(&form, language, &mut evidence);
        let unified = take(&mut form, next);
        // What the characters hid may be spelled or encoded in its turn.
        if plain || unified {
            clues = clues.or(survey(&form.text));
        }
    }
    if clues.encoded {
        for depth in 0..DEPTH {
            let next = encoded::decode(&form, language, &mut evidence);
            if !take(&mut form, next) {
                break;
            }
            if depth + 1 == DEPTH
                && survey(&form.text).encoded
                && encoded::decode(&form, language, &mut Evidence::default()).is_some()
            {
                evidence.note(Step::Limit, form.origin(0..form.text.len()));
            }
        }
    }
    if clues.spaced {
        let next = spelling::join(&form, language, &mut evidence);
        take(&mut form, next);
    }
    if clues.leet {
        let next = spelling::unleet(&form, language, &mut evidence);
        take(&mut form, next);
    }
    if clues.cipher {
        let next = cipher::turn(&form, language, &mut evidence);
        take(&mut form, next);
    }
    (changed || !evidence.is_empty()).then_some(Normal { form, evidence })
}
