//! Street addresses: number and street in the orders of several countries, post boxes, military mail, corners.

use std::ops::Range;

use super::kind::Kind;
use super::lexicon::flag;
use super::pass::{is_capital, word_end};
use super::scan::Scan;

/// Endings by which a single word is a street.
const ENDINGS: &[&str] = &[
    "straße", "strasse", "gasse", "allee", "platz", "weg", "damm", "ufer", "straat", "laan", "plein", "gracht", "kade",
    "dijk", "gatan", "gata", "vägen", "veien", "vegen", "vej", "gade", "stræde", "katu", "kuja", "polku", "utca",
    "körút",
];
/// Most words of a street's name.
const WORDS: usize = 6;

impl Scan<'_> {
    /// Whether a word ends a street's name.
    pub(super) fn street_end(&self, word: &Range<usize>) -> bool {
        let text = &self.text[word.clone()];
        if text.len() < 2 || text.len() > 40 {
            return false;
        }
        self.flags(word) & flag::STREET != 0 && is_capital(self.text, word.start) || {
            let ends = |text: &str| {
                ENDINGS.iter().any(|ending| {
                    text.len() > ending.len() + 2
                        && text.as_bytes()[text.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
                })
            };
            match text.is_ascii() {
                // The shortest endings have three letters.
                true => text.len() > 5 && ends(text),
                false => ends(&text.to_lowercase()),
            }
        }
    }

    /// Whether a word is `Box`, `PSC`, `Unit`, `CMR`, as in post boxes and military mail.
    pub(super) fn is_box(&self, word: &Range<usize>) -> bool {
        let word = &self.text[word.clone()];
        ["box", "psc", "cmr", "postfach", "apartado"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    }

    /// An address that the number at `start..end` belongs to.
    pub(super) fn address(&mut self, start: usize, end: usize) {
        let chunk = &self.text[start..end];
        let digits = chunk.bytes().filter(u8::is_ascii_digit).count();
        if !(1..=6).contains(&digits) || chunk.len() > digits + 2 && !chunk.contains('-') || chunk.len() > 10 {
            return;
        }
        if let Some(before) = self.word_before(start) {
            if self.is_box(&before) {
                return self.post_box(before, end);
            }
            // "Villacher Strasse 89", "Søndergade 52"
            if self.street_end(&before) && self.byte(start - 1) == b' ' && self.text[before.clone()].len() > 3 {
                let from = self.words_back(&before);
                let single = from == before.start && self.flags(&before) & flag::STREET != 0;
                if !single {
                    let to = self.address_tail(end);
                    self.done = self.done.max(to);
                    return self.add(Kind::Location, self.number_before(from)..to, 0.7);
                }
            }
        }
        // "123 Maple Street, Springfield, IL 62704"
        let mut at = end;
        let mut street = None;
        for index in 0..WORDS {
            if self.byte(at) != b' ' {
                break;
            }
            let from = at + 1;
            let to = word_end(self.bytes, from);
            let number = self.bytes[from.min(self.bytes.len())..]
                .iter()
                .take(6)
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count();
            if to == from && number > 0 && index < 3 {
                // A second number, or a numbered street: "350 5th Avenue".
                at = from + number;
                continue;
            }
            if to == from || to - from > 40 {
                break;
            }
            let particle = matches!(
                &self.text[from..to],
                "de" | "la" | "du" | "des" | "del" | "van" | "der" | "of" | "el" | "do" | "da"
            );
            if !is_capital(self.text, from) && !particle && !self.street_end(&(from..to)) {
                break;
            }
            at = to;
            // "Rue", "Avenue" stand before the name in some languages, and then a name must follow.
            if self.street_end(&(from..to)) {
                let abbreviated = usize::from(self.byte(to) == b'.');
                let name_follows = self.byte(to) == b' ' && is_capital(self.text, to + 1);
                if index > 0 || name_follows {
                    street = Some(to + abbreviated);
                }
                if index > 0 && !name_follows {
                    break;
                }
                if index == 0 && name_follows {
                    continue;
                }
                at += abbreviated;
            } else if index > 0 && street.is_some() && !particle {
                street = Some(to);
            }
        }
        if let Some(street) = street {
            let to = self.address_tail(street);
            self.done = self.done.max(to);
            self.add(Kind::Location, self.number_before(start)..to, 0.75);
        }
    }

    /// Capital words before a street word, in the same line.
    fn words_back(&self, word: &Range<usize>) -> usize {
        let mut from = word.start;
        for _ in 0..3 {
            let Some(before) = self.word_before(from) else { break };
            if from - before.end != 1
                || self.byte(before.end) != b' '
                || !is_capital(self.text, before.start)
                || self.flags(&before) & flag::COMMON != 0
            {
                break;
            }
            from = before.start;
        }
        from
    }

    /// A number that stands directly before a place, as generated addresses have one.
    fn number_before(&self, at: usize) -> usize {
        if at < 2 || self.bytes[at - 1] != b' ' {
            return at;
        }
        let digits = self.bytes[..at - 1]
            .iter()
            .rev()
            .take(6)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let free = at - 1 == digits || !self.byte(at.wrapping_sub(digits + 2)).is_ascii_alphanumeric();
        if (1..=5).contains(&digits) && free {
            at - 1 - digits
        } else {
            at
        }
    }

    /// "P.O. Box 149", "PSC 6293, Box 8158\nAPO AP 04336"
    fn post_box(&mut self, word: Range<usize>, end: usize) {
        let mut start = word.start;
        let before = &self.text[..start];
        for lead in ["P.O. ", "PO ", "P. O. ", "Post Office ", "p.o. ", "po "] {
            if before.ends_with(lead) {
                start -= lead.len();
                break;
            }
        }
        let mut end = end;
        if self.text[end..].starts_with(", Box ") || self.text[end..].starts_with(", box ") {
            end += 6 + self.bytes[end + 6..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
        }
        let to = self.address_tail(end);
        self.done = self.done.max(to);
        self.add(Kind::Location, self.number_before(start)..to, 0.85);
    }

    /// What may follow a street: flat, city, state, ZIP, on the same or the next lines.
    fn address_tail(&self, street: usize) -> usize {
        let mut end = street;
        let mut capitals = 0;
        for _ in 0..14 {
            // At most a comma, a line break and two spaces.
            let mut at = end;
            while at - end < 5 && matches!(self.byte(at), b' ' | b',' | b'\n' | b'.') {
                at += 1;
            }
            let broken = self.text[end..at].contains(". ") || self.text[end..at].contains("\n\n");
            if at == end || broken {
                break;
            }
            let comma = self.text[end..at].contains([',', '\n']);
            let digits = self.bytes[at..]
                .iter()
                .take(7)
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits > 0 {
                // A ZIP code ends it; a flat's number goes on.
                if !(2..=6).contains(&digits) || self.byte(at + digits).is_ascii_alphanumeric() {
                    break;
                }
                end = at + digits;
                if self.byte(end) == b'-'
                    && self.bytes[end + 1..]
                        .iter()
                        .take(5)
                        .take_while(|byte| byte.is_ascii_digit())
                        .count()
                        == 4
                {
                    end += 5;
                }
                if digits >= 4 && capitals > 0 {
                    break;
                }
                continue;
            }
            let to = word_end(self.bytes, at);
            if to == at {
                break;
            }
            let word = &self.text[at..to];
            let flat = matches!(
                word.to_ascii_lowercase().as_str(),
                "apt" | "suite" | "unit" | "floor" | "box" | "ste" | "apartment" | "flat" | "nan"
            );
            let known = self.lexicon.word(word).flags
                & (flag::CITY | flag::STATE | flag::STATE_CODE | flag::COUNTRY | flag::PART)
                != 0;
            // Without a comma only a flat, a known place or a code goes on; a sentence does not.
            if !(flat || is_capital(self.text, at) && (comma || known || capitals > 0)) || capitals > 5 {
                break;
            }
            capitals += usize::from(!flat);
            end = to;
            if flat && self.byte(to) == b'.' {
                end += 1;
            }
        }
        end
    }
}
